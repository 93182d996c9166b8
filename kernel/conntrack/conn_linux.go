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
	// attempts bounds how often an exchange is begun again.
	attempts = 20
)

// errLost says that not all answers came. The kernel has one ready whenever it is asked for
// it, so there is nothing to wait for.
var errLost = errors.New("answers were lost, for want of room or memory")

// again reports whether an exchange is worth another attempt: answers were lost, or the
// table changed while it was read, or a dump that was broken off is still under way.
func again(err error) bool {
	return errors.Is(err, errLost) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EBUSY)
}

// Conn is a netlink socket for the conntrack subsystem. It is safe for concurrent use.
type Conn struct {
	mu       sync.Mutex // serialises exchanges
	socket   socket     // nil when closed
	sequence uint32
	buffer   []byte // of dumpSize; contents are of the exchange under way
}

// socket is a connection with the kernel, which answers while it is sent to.
type socket interface {
	Send(datagram []byte) error
	// Receive returns the length of the datagram, whatever the buffer's, and EAGAIN if
	// there is none.
	Receive(buffer []byte) (int, error)
	Close() error
}

// netlink is the socket's descriptor.
type netlink int

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
	return &Conn{socket: netlink(fd), buffer: make([]byte, dumpSize)}, nil
}

func (n netlink) Send(datagram []byte) error {
	_, err := unix.Write(int(n), datagram)
	return err
}

func (n netlink) Receive(buffer []byte) (int, error) {
	size, _, err := unix.Recvfrom(int(n), buffer, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
	return size, err
}

func (n netlink) Close() error { return unix.Close(int(n)) }

// Close closes the socket, when what is under way has ended. Closing it again does
// nothing.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket == nil {
		return nil
	}
	s := c.socket
	c.socket = nil
	return s.Close()
}

// retry runs an exchange until nothing of it was lost.
func (c *Conn) retry(ctx context.Context, exchange func() error) error {
	var err error
	for range attempts {
		if ctx.Err() != nil {
			return cnm.E("", cnm.Timeout, ctx.Err())
		}
		if err = exchange(); err == nil {
			return nil
		}
		c.drain()
		if !again(err) {
			return err
		}
	}
	return cnm.E("", cnm.Conflict, fmt.Errorf("%d attempts: %w", attempts, err))
}

// drain reads what is left of an exchange that failed. The kernel goes on with a dump only
// while somebody reads, and begins no other before.
func (c *Conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for err := error(nil); c.socket != nil && (err == nil || errors.Is(err, unix.ENOBUFS)); {
		_, err = c.socket.Receive(c.buffer)
	}
}

// execute sends requests in one datagram and calls refused with the error of each that the
// kernel refuses, and answered with what it says else. They are at most batchSize.
func (c *Conn) execute(requests [][]byte, answered func(body []byte), refused func(error)) error {
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
		err := c.receive(func(m message) {
			switch {
			case m.sequence-first >= uint32(len(requests)):
				// Of an exchange that failed, and is not drained yet.
			case m.kind != unix.NLMSG_ERROR:
				answered(m.body)
			default:
				last = last || m.sequence == c.sequence
				if err := m.refusal(); err != nil {
					refused(err)
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dump sends a request for the table and calls each with every entry that comes.
func (c *Conn) dump(request []byte, each func(body []byte) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sequence++
	seal(request, c.sequence, unix.NLM_F_DUMP)
	if err := c.send(request); err != nil {
		return err
	}
	var failed error // what went wrong first; a dump must be read to its end
	for done := false; !done; {
		err := c.receive(func(m message) {
			if m.sequence != c.sequence {
				return // of an exchange that failed, and is not drained yet
			}
			if m.flags&unix.NLM_F_DUMP_INTR != 0 && failed == nil {
				failed = fmt.Errorf("the table changed while it was read: %w", errLost)
			}
			if m.kind == unix.NLMSG_DONE || m.kind == unix.NLMSG_ERROR {
				done = true
				if err := m.refusal(); err != nil { // NLMSG_DONE begins as NLMSG_ERROR does
					failed = err
				}
			} else if failed == nil {
				failed = each(m.body)
			}
		})
		switch {
		case errors.Is(err, unix.ENOBUFS):
			failed = err // the kernel goes on behind the gap
		case err != nil:
			return err
		}
	}
	return failed
}

func (c *Conn) send(datagram []byte) error {
	if c.socket == nil {
		return cnm.E("", cnm.Unavailable, errors.New("conntrack socket: closed"))
	}
	for {
		err := c.socket.Send(datagram)
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
func (c *Conn) receive(each func(message)) error {
	for {
		n, err := c.socket.Receive(c.buffer)
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
func messages(data []byte, each func(message)) error {
	for len(data) >= unix.SizeofNlMsghdr {
		size := binary.NativeEndian.Uint32(data)
		if size < unix.SizeofNlMsghdr || uint64(size) > uint64(len(data)) {
			return fmt.Errorf("conntrack receive: message of %d bytes in a datagram with %d left", size, len(data))
		}
		each(message{
			kind:     binary.NativeEndian.Uint16(data[4:]),
			flags:    binary.NativeEndian.Uint16(data[6:]),
			sequence: binary.NativeEndian.Uint32(data[8:]),
			body:     data[unix.SizeofNlMsghdr:size],
		})
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
