package nft

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

// settle is how long a watcher gathers changes before it reports them at once.
const settle = 10 * time.Millisecond

// Watch calls notify, from one goroutine, after somebody else has changed our table, or
// deleted it. It ends, and done is called, when ctx is done. It must be called on a
// thread in the namespace.
func (f *Filter) Watch(ctx context.Context, notify, done func()) error {
	socket, err := watchSocket()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	go func() {
		defer done()
		f.watch(socket, notify)
		if stop() {
			_ = socket.Close()
		}
	}()
	return nil
}

func watchSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, errno.Wrap("nftables: watch", err)
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return nil, errno.Wrap("nftables: watch", errors.Join(err, unix.Close(fd)))
	}
	return os.NewFile(uintptr(fd), "nftables"), nil
}

func (f *Filter) watch(socket *os.File, notify func()) {
	buffer := make([]byte, 64<<10)
	for {
		foreign, err := f.next(socket, buffer)
		if err != nil {
			return
		}
		if !foreign {
			continue
		}
		if socket.SetReadDeadline(time.Now().Add(settle)) != nil {
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

// next reads a datagram and reports whether somebody else changed our table. If some were
// lost, it may be so.
func (f *Filter) next(socket *os.File, buffer []byte) (foreign bool, err error) {
	n, err := socket.Read(buffer)
	if errors.Is(err, unix.ENOBUFS) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return concerns(buffer[:n], f.options.Table, f.portID), nil
}

// nfgenmsgSize is the length of what stands before the attributes (struct nfgenmsg).
const nfgenmsgSize = 4

// concerns reports whether one of the messages is about the table and of another sender.
// In all messages of nftables that name a table, its name is attribute 1
// (include/uapi/linux/netfilter/nf_tables.h).
func concerns(data []byte, table string, own uint32) bool {
	for len(data) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(data))
		if length < unix.SizeofNlMsghdr || length > len(data) {
			return false
		}
		kind, sender := binary.NativeEndian.Uint16(data[4:]), binary.NativeEndian.Uint32(data[12:])
		body := data[unix.SizeofNlMsghdr:length]
		if sender != own && kind&0xff != unix.NFT_MSG_NEWGEN && len(body) >= nfgenmsgSize+4 {
			attribute := body[nfgenmsgSize:]
			size := int(binary.NativeEndian.Uint16(attribute))
			if binary.NativeEndian.Uint16(attribute[2:]) == 1 && size >= 4 && size <= len(attribute) &&
				string(bytes.TrimRight(attribute[4:size], "\x00")) == table {
				return true
			}
		}
		data = data[min((length+3)&^3, len(data)):]
	}
	return false
}
