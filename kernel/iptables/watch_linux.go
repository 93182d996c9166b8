package iptables

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
)

// Watch calls notify, from one goroutine, after somebody else has changed the tables that
// our chains are in: within a third of a second, and bursts once. It ends, and done is
// called, when ctx is done. If it returns an error, done is not called.
func (f *Filter) Watch(ctx context.Context, notify, done func()) error {
	if f.variant == VariantLegacy {
		return f.watchSizes(ctx, notify, done)
	}
	var socket *os.File
	err := f.inside(func() (err error) {
		socket, err = eventSocket()
		return err
	})
	if err != nil {
		return errno.Wrap("iptables: watch", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	go func() {
		defer done()
		f.watchEvents(socket, notify)
		if stop() {
			_ = socket.Close()
		}
	}()
	return nil
}

const (
	// gather is how long a watcher gathers changes before it reports them at once.
	gather = 20 * time.Millisecond
	// eventBuffer is what a few ten thousand events need, in bytes.
	eventBuffer = 16 << 20
)

// eventSocket gets the events of nf_tables, which say who caused them.
func eventSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, eventBuffer),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "iptables events"), nil
}

// watchEvents ends when the socket is closed.
func (f *Filter) watchEvents(socket *os.File, notify func()) {
	buffer := make([]byte, 64<<10)
	for {
		if socket.SetReadDeadline(time.Time{}) != nil {
			return
		}
		senders, err := f.next(socket, buffer)
		if len(senders) > 0 && err == nil {
			err = socket.SetReadDeadline(time.Now().Add(gather))
		}
		gathering := len(senders) > 0
		for gathering && err == nil {
			var more []uint32
			more, err = f.next(socket, buffer)
			senders = append(senders, more...)
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if slices.ContainsFunc(senders, func(sender uint32) bool { return !f.children.has(sender) }) {
			notify()
		}
	}
}

// unknownSender stands for whoever caused events that were lost.
const unknownSender = 0

// next reads a datagram and returns who changed a table of ours in it.
func (f *Filter) next(socket *os.File, buffer []byte) ([]uint32, error) {
	n, err := socket.Read(buffer)
	if errors.Is(err, unix.ENOBUFS) {
		return []uint32{unknownSender}, nil
	}
	if err != nil {
		return nil, err
	}
	return senders(buffer[:n]), nil
}

// genericSize is the length of what stands before the attributes (struct nfgenmsg,
// include/uapi/linux/netfilter/nfnetlink.h).
const genericSize = 4

// senders returns the address of whoever sent each message about our tables. In all
// messages of nf_tables that name a table, its name is attribute 1
// (include/uapi/linux/netfilter/nf_tables.h). A program has one socket, and the kernel
// gives it the number of its process for an address.
func senders(data []byte) []uint32 {
	var out []uint32
	for len(data) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(data))
		if length < unix.SizeofNlMsghdr || length > len(data) {
			break
		}
		kind, sender := binary.NativeEndian.Uint16(data[4:]), binary.NativeEndian.Uint32(data[12:])
		if kind&0xff != unix.NFT_MSG_NEWGEN && ourTable(data[unix.SizeofNlMsghdr:length]) {
			out = append(out, sender)
		}
		data = data[min((length+3)&^3, len(data)):]
	}
	return out
}

func ourTable(body []byte) bool {
	if len(body) < genericSize+unix.SizeofNlAttr {
		return false
	}
	attribute := body[genericSize:]
	size := int(binary.NativeEndian.Uint16(attribute))
	if binary.NativeEndian.Uint16(attribute[2:]) != 1 || size < unix.SizeofNlAttr || size > len(attribute) {
		return false
	}
	name := string(bytes.TrimRight(attribute[unix.SizeofNlAttr:size], "\x00"))
	switch body[0] {
	case unix.NFPROTO_IPV4:
		return slices.Contains(familyOf(false).tables(), name)
	case unix.NFPROTO_IPV6:
		return slices.Contains(familyOf(true).tables(), name)
	}
	return false
}
