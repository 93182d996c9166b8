package iptables

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
)

// Watch calls notify, from one goroutine, after somebody else has changed what may be
// ours, or what leads to it: within a third of a second, and bursts once. The older
// interface only tells that the tables were changed. It ends, and done is called, when ctx
// is done. If it returns an error, done is not called.
func (f *Filter) Watch(ctx context.Context, notify, done func()) error {
	if f.variant == VariantLegacy {
		return f.watchSizes(ctx, notify, done)
	}
	var fd int
	err := f.inside(func() (err error) {
		fd, err = eventSocket(watchBuffer)
		return err
	})
	if err != nil {
		return errno.Wrap("iptables: watch", err)
	}
	socket := os.NewFile(uintptr(fd), "iptables events")
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
	// watchBuffer is what a few ten thousand events need, in bytes.
	watchBuffer = 16 << 20
)

// eventSocket gets the events of nf_tables, which say who caused them, in the namespace of
// the calling thread. To read it does not wait.
func eventSocket(buffer int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}),
	)
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// watchEvents ends when the socket is closed.
func (f *Filter) watchEvents(socket *os.File, notify func()) {
	buffer := make([]byte, 64<<10)
	for {
		foreign, err := f.next(socket, buffer)
		if err != nil {
			return
		}
		if !foreign {
			continue
		}
		if socket.SetReadDeadline(time.Now().Add(gather)) != nil {
			return
		}
		for err == nil {
			_, err = f.next(socket, buffer)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || socket.SetReadDeadline(time.Time{}) != nil {
			return
		}
		notify()
	}
}

// next reads a datagram and reports whether somebody else changed what may be ours. If
// some were lost, it may be so.
func (f *Filter) next(socket *os.File, buffer []byte) (foreign bool, err error) {
	n, err := socket.Read(buffer)
	if errors.Is(err, unix.ENOBUFS) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return f.options.foreign(buffer[:n], f.children.has), nil
}

// Attributes of messages of nf_tables, by what they are about, and the length of what
// stands before them, struct nfgenmsg (include/uapi/linux/netfilter/nf_tables.h and
// nfnetlink.h). The name of the table is attribute 1 in all of them.
const (
	attributeTable     = 1
	attributeRuleChain = 2 // NFTA_RULE_CHAIN
	attributeChainName = 3 // NFTA_CHAIN_NAME
	genericSize        = 4
)

// foreign reports whether one of the messages is about what may be ours, and not sent by
// one of our processes. A program has one socket, and the kernel gives it the number of its
// process for an address.
func (o Options) foreign(data []byte, own func(sender uint32) bool) bool {
	for len(data) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(data))
		if length < unix.SizeofNlMsghdr || length > len(data) {
			return false
		}
		kind, sender := binary.NativeEndian.Uint16(data[4:]), binary.NativeEndian.Uint32(data[12:])
		if o.concerned(kind&0xff, data[unix.SizeofNlMsghdr:length]) && !own(sender) {
			return true
		}
		data = data[min((length+3)&^3, len(data)):]
	}
	return false
}

// concerned reports whether a message is about what may be ours.
func (o Options) concerned(kind uint16, body []byte) bool {
	if len(body) < genericSize || body[0] != unix.NFPROTO_IPV4 && body[0] != unix.NFPROTO_IPV6 {
		return false
	}
	f := familyOf(body[0] == unix.NFPROTO_IPV6)
	table := attribute(body[genericSize:], attributeTable)
	if !slices.Contains(f.tables(), table) {
		return false
	}
	switch kind {
	case unix.NFT_MSG_DELTABLE:
		return true
	case unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_DELCHAIN:
		name := attribute(body[genericSize:], attributeChainName)
		return strings.HasPrefix(name, o.prefix()) || name == chainUser
	case unix.NFT_MSG_NEWRULE, unix.NFT_MSG_DELRULE:
		name := attribute(body[genericSize:], attributeRuleChain)
		leads := slices.ContainsFunc(f.jumps(table, true), func(r rule) bool { return r.chain == name })
		return strings.HasPrefix(name, o.prefix()) || leads && kind == unix.NFT_MSG_DELRULE
	}
	return false
}

// attribute returns a text; empty if there is none.
func attribute(data []byte, number uint16) string {
	for len(data) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(data))
		if size < unix.SizeofNlAttr || size > len(data) {
			return ""
		}
		if binary.NativeEndian.Uint16(data[2:]) == number {
			return string(bytes.TrimRight(data[unix.SizeofNlAttr:size], "\x00"))
		}
		data = data[min((size+3)&^3, len(data)):]
	}
	return ""
}
