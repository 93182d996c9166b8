package nftevents

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
)

const (
	// gather is how long a watcher gathers changes before it reports them at once.
	gather = 15 * time.Millisecond
	// watchBuffer is what a few ten thousand events need, in bytes.
	watchBuffer = 16 << 20
)

// Watch calls notify, from one goroutine, after a change that concerns it, or when some
// were lost, and bursts once. It ends, and done is called, when ctx is done. It must be
// called on a thread in the namespace. If it returns an error, done is not called.
func Watch(ctx context.Context, concerns func(Message) bool, notify, done func()) error {
	fd, err := Socket(watchBuffer)
	if err != nil {
		return err
	}
	socket := os.NewFile(uintptr(fd), "nf_tables events")
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	go func() {
		defer done()
		watch(socket, concerns, notify)
		if stop() {
			_ = socket.Close()
		}
	}()
	return nil
}

// Socket gets the events in the namespace of the calling thread. To read it does not wait.
// The buffer is in bytes.
func Socket(buffer int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return -1, errno.Wrap("nf_tables events", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}),
	)
	if err != nil {
		return -1, errno.Wrap("nf_tables events", errors.Join(err, unix.Close(fd)))
	}
	return fd, nil
}

// watch ends when the socket is closed.
func watch(socket *os.File, concerns func(Message) bool, notify func()) {
	buffer := make([]byte, 64<<10)
	for {
		concerned, err := next(socket, buffer, concerns)
		if err != nil {
			return
		}
		if !concerned {
			continue
		}
		if socket.SetReadDeadline(time.Now().Add(gather)) != nil {
			return
		}
		for err == nil {
			_, err = next(socket, buffer, concerns)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || socket.SetReadDeadline(time.Time{}) != nil {
			return
		}
		notify()
	}
}

// next reads a datagram. If some were lost, they may have been of concern.
func next(socket *os.File, buffer []byte, concerns func(Message) bool) (concerned bool, err error) {
	n, err := socket.Read(buffer)
	if errors.Is(err, unix.ENOBUFS) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return Any(buffer[:n], concerns), nil
}

// Message is one event.
type Message struct {
	// Kind is NFT_MSG_NEWTABLE and so on, without the subsystem.
	Kind uint16
	// Sender is the netlink address of who caused it.
	Sender uint32
	// Family is that of the table (NFPROTO_IPV4 and so on).
	Family     byte
	attributes []byte
}

// AttributeTable is the name of the table, in messages of all kinds that have one
// (include/uapi/linux/netfilter/nf_tables.h).
const AttributeTable = 1

// genericSize is the length of struct nfgenmsg, which stands before the attributes
// (include/uapi/linux/netfilter/nfnetlink.h).
const genericSize = 4

// Any reports whether one of the messages in a datagram is what is asked for.
func Any(data []byte, is func(Message) bool) bool {
	for len(data) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(data))
		if length < unix.SizeofNlMsghdr || length > len(data) {
			return false
		}
		if body := data[unix.SizeofNlMsghdr:length]; len(body) >= genericSize && is(Message{
			Kind: binary.NativeEndian.Uint16(data[4:]) & 0xff, Sender: binary.NativeEndian.Uint32(data[12:]),
			Family: body[0], attributes: body[genericSize:],
		}) {
			return true
		}
		data = data[min((length+3)&^3, len(data)):]
	}
	return false
}

// Text returns an attribute that is a text; empty if there is none.
func (m Message) Text(attribute uint16) string {
	data := m.attributes
	for len(data) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(data))
		if size < unix.SizeofNlAttr || size > len(data) {
			return ""
		}
		if binary.NativeEndian.Uint16(data[2:]) == attribute {
			return string(bytes.TrimRight(data[unix.SizeofNlAttr:size], "\x00"))
		}
		data = data[min((size+3)&^3, len(data)):]
	}
	return ""
}
