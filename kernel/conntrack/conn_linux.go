package conntrack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

const (
	// dumpSize is the most, in bytes, that the kernel sends at a time (netlink_dump in
	// net/netlink/af_netlink.c).
	dumpSize = 32 << 10
	// batchSize is how many requests go in one datagram. Their refusals, of up to 1.3 KiB
	// in the kernel's books, wait in the socket's receive buffer, by default of 208 KiB.
	batchSize = 128
	// attempts bounds how often an exchange is begun again because the table changed
	// meanwhile (NLM_F_DUMP_INTR), or because some of the answers were lost (ENOBUFS).
	attempts = 20
)

// errLost says that not all answers came. The kernel has given them all when a send
// returns, so there is nothing to wait for.
var errLost = errors.New("answers were lost, for want of room or memory")

// Conn is a netlink socket for the conntrack subsystem. It is safe for concurrent use.
type Conn struct {
	mu       sync.Mutex // serialises exchanges
	fd       int        // -1 when closed
	sequence uint32
	buffer   []byte // of dumpSize; contents are of the exchange under way
}

// Dial opens a socket in the namespace of the calling thread. It stays there, on
// whatever thread it is used.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, errno.Wrap("conntrack socket", err)
	}
	// Connected to the kernel it takes messages from nobody else.
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Connect(fd, kernel); err != nil {
		return nil, errors.Join(errno.Wrap("conntrack socket: connect", err), unix.Close(fd))
	}
	// Makes refusals shorter; a kernel without it serves as well.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &Conn{fd: fd, buffer: make([]byte, dumpSize)}, nil
}

// Close closes the socket. Closing it again does nothing.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return nil
	}
	fd := c.fd
	c.fd = -1
	return unix.Close(fd)
}

// again runs an exchange until nothing of it was lost.
func (c *Conn) again(ctx context.Context, exchange func() error) error {
	var err error
	for range attempts {
		if ctx.Err() != nil {
			return cnm.E("", cnm.Timeout, ctx.Err())
		}
		if err = exchange(); !errors.Is(err, errLost) && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
	return cnm.E("", cnm.Conflict, fmt.Errorf("%d attempts: %w", attempts, err))
}

// execute sends at most batchSize requests in one datagram and calls refused with the
// error of each that the kernel refuses, and reply with what it answers else.
func (c *Conn) execute(requests [][]byte, reply func(body []byte), refused func(index int, err error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.sequence + 1
	var datagram []byte
	for i, request := range requests {
		c.sequence++
		var flags uint16
		if i == len(requests)-1 {
			flags = unix.NLM_F_ACK // refusals come anyway; this one is the end
		}
		seal(request, c.sequence, flags)
		datagram = append(datagram, request...)
	}
	if err := c.send(datagram); err != nil {
		return err
	}
	for last := false; !last; {
		err := c.receive(func(m message) error {
			index := m.sequence - first
			if index >= uint32(len(requests)) {
				return nil // the rest of an exchange that was broken off
			}
			if m.kind != unix.NLMSG_ERROR {
				reply(m.body)
				return nil
			}
			last = last || m.sequence == c.sequence
			if err := m.refusal(); err != nil {
				refused(int(index), err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dump sends a request for the table and calls each with every entry.
func (c *Conn) dump(request []byte, each func(body []byte) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sequence++
	seal(request, c.sequence, unix.NLM_F_DUMP)
	if err := c.send(request); err != nil {
		return err
	}
	var first, refused error // what went wrong first; a dump must be read to its end
	for done := false; !done; {
		err := c.receive(func(m message) error {
			switch {
			case m.sequence != c.sequence:
				return nil
			case m.kind == unix.NLMSG_DONE, m.kind == unix.NLMSG_ERROR:
				done = true
				refused = m.refusal() // NLMSG_DONE begins as NLMSG_ERROR does
				return nil
			case m.flags&unix.NLM_F_DUMP_INTR != 0 && first == nil:
				first = fmt.Errorf("the table changed while it was read: %w", errLost)
			}
			if first == nil {
				first = each(m.body)
			}
			return nil
		})
		switch {
		case errors.Is(err, unix.ENOBUFS):
			first = err // the kernel goes on behind the gap
		case err != nil:
			return err
		}
	}
	if refused != nil {
		return refused
	}
	return first
}

func (c *Conn) send(datagram []byte) error {
	if c.fd < 0 {
		return cnm.E("", cnm.Unavailable, errors.New("conntrack socket: closed"))
	}
	for {
		_, err := unix.Write(c.fd, datagram)
		if !errors.Is(err, unix.EINTR) {
			return errno.Wrap("conntrack send", err)
		}
	}
}

// message is one netlink message of an answer; its body is valid until the next
// receive.
type message struct {
	kind, flags uint16
	sequence    uint32
	body        []byte
}

// receive reads one datagram and calls each with its messages (RFC 3549 section 2.3).
func (c *Conn) receive(each func(message) error) error {
	for {
		// With MSG_TRUNC the length is that of the datagram, whatever the buffer's.
		n, _, err := unix.Recvfrom(c.fd, c.buffer, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return errLost
		case err != nil:
			return errno.Wrap("conntrack receive", err)
		case n > len(c.buffer):
			return fmt.Errorf("conntrack receive: datagram of %d bytes, where at most %d are expected", n, len(c.buffer))
		default:
			return messages(c.buffer[:n], each)
		}
	}
}

// messages cuts a datagram.
func messages(data []byte, each func(message) error) error {
	for len(data) >= unix.SizeofNlMsghdr {
		size := binary.NativeEndian.Uint32(data)
		if size < unix.SizeofNlMsghdr || uint64(size) > uint64(len(data)) {
			return fmt.Errorf("conntrack receive: message of %d bytes in a datagram with %d left", size, len(data))
		}
		err := each(message{
			kind:     binary.NativeEndian.Uint16(data[4:]),
			flags:    binary.NativeEndian.Uint16(data[6:]),
			sequence: binary.NativeEndian.Uint32(data[8:]),
			body:     data[unix.SizeofNlMsghdr:size],
		})
		if err != nil {
			return err
		}
		data = data[min(align(int(size)), len(data)):]
	}
	return nil
}

// refusal reads an NLMSG_ERROR; errno 0 is an acknowledgement, and nil.
func (m message) refusal() error {
	if len(m.body) < 4 {
		return fmt.Errorf("conntrack receive: error message of %d bytes", len(m.body))
	}
	if number := int32(binary.NativeEndian.Uint32(m.body)); number != 0 {
		return unix.Errno(-number)
	}
	return nil
}
