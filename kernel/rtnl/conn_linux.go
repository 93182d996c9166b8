package rtnl

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// Sizes of receive buffers, in bytes. None is kept: there is a Conn for each
// container.
const (
	// exchangeSize holds the answer to one request; a link's takes less than 2 KiB.
	exchangeSize = 8 << 10
	// dumpSize is the most that the kernel sends at a time in a dump (netlink_dump in
	// net/netlink/af_netlink.c).
	dumpSize = 32 << 10
)

// MaxRequests is how many requests go in one datagram. The answers wait in the
// socket's receive buffer, by default of 208 KiB, until the last request is carried
// out; an answer that describes a link is charged up to 5 KiB there, and those that
// do not fit are lost.
const MaxRequests = 32

// dumpAttempts bounds how often a dump is begun again because the tables changed
// meanwhile (NLM_F_DUMP_INTR), or because part of it was lost (ENOBUFS).
const dumpAttempts = 20

// Request is one rtnetlink request.
type Request struct {
	message *nl.NetlinkRequest
	// reply, for requests that ask, is called with the answer's body.
	reply func(body []byte)
}

// RequestError says which of several requests the kernel refused.
type RequestError struct {
	// Index is that of the request.
	Index int
	// Errno is the kernel's error, and Text its explanation, if it gave one.
	Errno unix.Errno
	Text  string
}

// Error returns the kernel's words.
func (e *RequestError) Error() string {
	if e.Text != "" {
		return fmt.Sprintf("%s (%s)", e.Errno, e.Text)
	}
	return e.Errno.Error()
}

// Unwrap returns the errno.
func (e *RequestError) Unwrap() error { return e.Errno }

// Conn is an rtnetlink socket. It is safe for concurrent use.
type Conn struct {
	mu       sync.Mutex // serialises exchanges
	fd       int
	sequence uint32
	sends    atomic.Uint64
}

// Dial opens a socket in the namespace of the calling thread.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errno.Wrap("rtnetlink socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, errors.Join(errno.Wrap("rtnetlink socket: bind", err), unix.Close(fd))
	}
	// Two improve errors, and one has dumps filtered by the kernel; a kernel without
	// them serves as well.
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK, unix.NETLINK_GET_STRICT_CHK} {
		_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1)
	}
	return &Conn{fd: fd}, nil
}

// Close closes the socket.
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

// Sends returns how many datagrams have been sent.
func (c *Conn) Sends() uint64 { return c.sends.Load() }

// Execute sends the requests, [MaxRequests] to a datagram, and waits until each is
// answered. The kernel carries out all of them, also those behind one that it
// refuses; the first refusal is returned, as a *RequestError.
func (c *Conn) Execute(ctx context.Context, requests ...Request) error {
	errs, err := c.ExecuteAll(ctx, requests...)
	if err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// ExecuteAll is Execute with the refusal of each request, or nil. The context is
// looked at before each datagram; one that is sent is always waited for.
func (c *Conn) ExecuteAll(ctx context.Context, requests ...Request) ([]error, error) {
	errs := make([]error, len(requests))
	for start := 0; start < len(requests); start += MaxRequests {
		if err := ctx.Err(); err != nil {
			return nil, cnm.E("", cnm.Timeout, err)
		}
		end := min(start+MaxRequests, len(requests))
		if err := c.exchange(requests[start:end], start, errs[start:end]); err != nil {
			return nil, err
		}
	}
	return errs, nil
}

// exchange sends one datagram and fills errs. Offset is the index of the first
// request in what the caller sees.
func (c *Conn) exchange(requests []Request, offset int, errs []error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.sequence + 1
	var datagram []byte
	for _, r := range requests {
		c.sequence++
		r.message.Seq = c.sequence
		r.message.Flags |= unix.NLM_F_ACK
		datagram = append(datagram, r.message.Serialize()...)
	}
	if err := c.send(datagram); err != nil {
		return err
	}
	buffer := make([]byte, exchangeSize)
	for open := len(requests); open > 0; {
		messages, err := c.receive(buffer)
		if err != nil {
			return err
		}
		for _, m := range messages {
			index := m.header.Seq - first
			if index >= uint32(len(requests)) {
				continue // the rest of an exchange that was broken off
			}
			if m.header.Type == unix.NLMSG_ERROR {
				errs[index] = m.refusal(offset + int(index))
				open--
			} else if reply := requests[index].reply; reply != nil {
				reply(m.body)
			}
		}
	}
	return nil
}

// Dump sends a request for a whole table and calls each with every entry. If the
// table changes meanwhile it is read again, so restart is called before each pass.
func (c *Conn) Dump(ctx context.Context, request Request, restart func(), each func(body []byte)) error {
	for range dumpAttempts {
		if err := ctx.Err(); err != nil {
			return cnm.E("", cnm.Timeout, err)
		}
		restart()
		interrupted, err := c.dumpOnce(request, each)
		if err != nil || !interrupted {
			return err
		}
	}
	return cnm.E("", cnm.Conflict, fmt.Errorf("rtnetlink dump: the table changed %d times while it was read", dumpAttempts))
}

func (c *Conn) dumpOnce(request Request, each func(body []byte)) (interrupted bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sequence++
	request.message.Seq = c.sequence
	request.message.Flags |= unix.NLM_F_DUMP
	if err := c.send(request.message.Serialize()); err != nil {
		return false, err
	}
	buffer := make([]byte, dumpSize)
	for {
		messages, err := c.receive(buffer)
		if errors.Is(err, unix.ENOBUFS) {
			// The kernel goes on behind the gap; its end must be read, or it would
			// refuse to begin another.
			interrupted = true
			continue
		}
		if err != nil {
			return false, err
		}
		for _, m := range messages {
			if m.header.Seq != c.sequence {
				continue
			}
			interrupted = interrupted || m.header.Flags&unix.NLM_F_DUMP_INTR != 0
			switch m.header.Type {
			case unix.NLMSG_DONE:
				// Its body is what an NLMSG_ERROR begins with.
				return interrupted, m.refusal(0)
			case unix.NLMSG_ERROR:
				return interrupted, m.refusal(0)
			default:
				each(m.body)
			}
		}
	}
}

func (c *Conn) send(datagram []byte) error {
	if c.fd < 0 {
		return cnm.E("", cnm.Unavailable, errors.New("rtnetlink socket: closed"))
	}
	c.sends.Add(1)
	for {
		err := unix.Sendto(c.fd, datagram, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return errno.Wrap("rtnetlink send", err)
		}
	}
}

// message is one netlink message of an answer; its body is valid until the next
// receive.
type message struct {
	header unix.NlMsghdr
	body   []byte
}

func (c *Conn) receive(buffer []byte) ([]message, error) {
	for {
		// With MSG_TRUNC the length is that of the datagram, whatever the buffer's.
		n, _, err := unix.Recvfrom(c.fd, buffer, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil:
			return nil, errno.Wrap("rtnetlink receive", err)
		case n > len(buffer):
			return nil, fmt.Errorf("rtnetlink receive: datagram of %d bytes, where at most %d are expected", n, len(buffer))
		default:
			return parseMessages(buffer[:n])
		}
	}
}

// parseMessages cuts a datagram into messages (RFC 3549 section 2.3).
func parseMessages(data []byte) ([]message, error) {
	var messages []message
	for len(data) >= unix.SizeofNlMsghdr {
		header := unix.NlMsghdr{
			Len:   binary.NativeEndian.Uint32(data),
			Type:  binary.NativeEndian.Uint16(data[4:]),
			Flags: binary.NativeEndian.Uint16(data[6:]),
			Seq:   binary.NativeEndian.Uint32(data[8:]),
		}
		if header.Len < unix.SizeofNlMsghdr || int(header.Len) > len(data) {
			return nil, fmt.Errorf("rtnetlink receive: message of %d bytes in a datagram with %d left", header.Len, len(data))
		}
		messages = append(messages, message{header, data[unix.SizeofNlMsghdr:header.Len]})
		data = data[min(align(int(header.Len)), len(data)):]
	}
	return messages, nil
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// Flags and attribute of extended acknowledgements (include/uapi/linux/netlink.h).
const (
	flagCapped    = 0x100
	flagAckTLVs   = 0x200
	ackTLVMessage = 1
)

// refusal reads an NLMSG_ERROR; errno 0 is an acknowledgement, and nil.
func (m message) refusal(index int) error {
	if len(m.body) < 4 {
		return fmt.Errorf("rtnetlink receive: error message of %d bytes", len(m.body))
	}
	number := int32(binary.NativeEndian.Uint32(m.body))
	if number == 0 {
		return nil
	}
	refused := &RequestError{Index: index, Errno: unix.Errno(-number)}
	if m.header.Flags&flagAckTLVs == 0 {
		return refused
	}
	rest := m.body[4:]
	if len(rest) < unix.SizeofNlMsghdr {
		return refused
	}
	skip := unix.SizeofNlMsghdr
	if m.header.Flags&flagCapped == 0 {
		skip = align(int(binary.NativeEndian.Uint32(rest)))
	}
	if skip > len(rest) {
		return refused
	}
	attributes, err := parseAttributes(rest[skip:])
	if err != nil {
		return refused
	}
	for _, a := range attributes {
		if a.kind == ackTLVMessage {
			refused.Text = string(bytes.TrimRight(a.value, "\x00"))
		}
	}
	return refused
}
