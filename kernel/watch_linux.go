package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// watchSettle is how long a watcher gathers changes before it reports them at once:
// a container's attachment makes some twenty within a millisecond or two.
const watchSettle = 5 * time.Millisecond

// watchGroups are the multicast groups of what Watch reports.
const watchGroups = 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
	1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)

func (h *host) Watch(ctx context.Context, notify func()) error {
	s, err := h.space("")
	if err != nil {
		return cnm.Wrap("watch", err)
	}
	defer s.release()
	var socket *os.File
	err = s.namespace.Do(func() (err error) {
		socket, err = watchSocket()
		return err
	})
	if err != nil {
		return cnm.Wrap("watch", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errors.Join(cnm.E("watch", cnm.Unavailable, errors.New("the host is closed")), socket.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	stopOnClose := context.AfterFunc(h.ctx, cancel)
	// Closing the socket ends the read that the watcher waits in.
	stopReading := context.AfterFunc(ctx, func() { _ = socket.Close() })
	h.watchers.Go(func() {
		watch(ctx, socket, notify)
		stopOnClose()
		if stopReading() {
			_ = socket.Close()
		}
		cancel()
	})
	return nil
}

// watchSocket listens in the namespace of the calling thread.
func watchSocket() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errno.Wrap("rtnetlink socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: watchGroups}); err != nil {
		return nil, errno.Wrap("rtnetlink socket", errors.Join(fmt.Errorf("subscribe: %w", err), unix.Close(fd)))
	}
	return os.NewFile(uintptr(fd), "rtnetlink"), nil
}

// watch waits for a change, gathers more for a moment, and reports them once.
func watch(ctx context.Context, socket *os.File, notify func()) {
	buffer := make([]byte, headSize)
	for readChange(socket, buffer) == nil {
		if socket.SetReadDeadline(time.Now().Add(watchSettle)) != nil {
			return
		}
		var err error
		for err == nil {
			err = readChange(socket, buffer)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || socket.SetReadDeadline(time.Time{}) != nil || ctx.Err() != nil {
			return
		}
		notify()
	}
}

// headSize is room for the head of a message; what it says does not matter.
const headSize = 64

// readChange waits for a message, or for the news that some were lost.
func readChange(socket *os.File, buffer []byte) error {
	_, err := socket.Read(buffer)
	if errors.Is(err, unix.ENOBUFS) {
		return nil
	}
	return err
}
