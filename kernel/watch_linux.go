package kernel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
)

// watchPoll is how often a watcher looks whether it is to end, and so the longest
// that ending it takes.
const watchPoll = 100 * time.Millisecond

// watchGroups are the multicast groups of what Watch reports.
const watchGroups = 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
	1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1)

func (h *host) Watch(ctx context.Context, notify func()) error {
	if err := h.ctx.Err(); err != nil {
		return cnm.E("watch", cnm.Unavailable, errors.New("the host is closed"))
	}
	s, err := h.space("")
	if err != nil {
		return cnm.Wrap("watch", err)
	}
	var fd int
	err = s.namespace.Do(func() (err error) {
		fd, err = watchSocket()
		return err
	})
	if err != nil {
		return cnm.E("watch", cnm.Internal, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(h.ctx, cancel)
	h.watchers.Go(func() {
		defer cancel()
		defer stop()
		defer unix.Close(fd) //nolint:errcheck // nothing was written
		watch(ctx, fd, notify)
	})
	return nil
}

func watchSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, fmt.Errorf("rtnetlink socket: %w", err)
	}
	timeout := unix.NsecToTimeval(watchPoll.Nanoseconds())
	if err := errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: watchGroups}),
	); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// watch reads until the socket is empty and then reports once.
func watch(ctx context.Context, fd int, notify func()) {
	buffer := make([]byte, 32<<10)
	changed := false
	for ctx.Err() == nil {
		flags := 0
		if changed {
			flags = unix.MSG_DONTWAIT
		}
		_, _, err := unix.Recvfrom(fd, buffer, flags)
		switch {
		case err == nil || errors.Is(err, unix.ENOBUFS):
			// Without room for a message, it is lost; that it was there is enough.
			changed = true
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if changed {
				changed = false
				notify()
			}
		default:
			return
		}
	}
}
