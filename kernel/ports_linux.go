package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/netstate"
)

// ports implements Ports.
type ports struct{ h *host }

// Do implements Ports.
func (p ports) Do(fn func() error) error { return p.h.resident.do(fn) }

// Bind implements Ports.
func (p ports) Bind(ctx context.Context, protocol netstate.Protocol, address netip.AddrPort, admit bool) (*os.File, error) {
	op := fmt.Sprintf("bind %s port %s", protocol, address)
	if err := ctx.Err(); err != nil {
		return nil, cnm.E(op, cnm.Timeout, err)
	}
	var socket *os.File
	err := p.h.resident.do(func() (err error) {
		socket, err = bind(protocol, address, admit)
		return err
	})
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, cnm.E(op, cnm.Exists, errors.New("in use by another process"))
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, cnm.E(op, cnm.Invalid, fmt.Errorf("%s is no address of the host", address.Addr()))
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ESOCKTNOSUPPORT):
		return nil, cnm.E(op, cnm.Unsupported, fmt.Errorf("this kernel has no sockets of that kind: %w", err))
	}
	return socket, errno.Wrap(op, err)
}

func bind(protocol netstate.Protocol, address netip.AddrPort, admit bool) (*os.File, error) {
	kind := unix.SOCK_STREAM
	if protocol == netstate.UDP {
		kind = unix.SOCK_DGRAM
	}
	family, to := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(address.Port()), Addr: [4]byte{}})
	if address.Addr().Is4() {
		to.(*unix.SockaddrInet4).Addr = address.Addr().As4()
	} else {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
	}
	// Nobody reads it here: the runtime need not watch it.
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return nil, err
	}
	if err = prepare(fd, family, protocol, admit); err == nil {
		err = unix.Bind(fd, to)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("%s port %s", protocol, address)), nil
}

// prepare sets what must be set before the socket is bound. Without a listener the kernel
// refuses connections by itself; datagrams would wait for somebody to read them, so a
// filter drops them.
func prepare(fd, family int, protocol netstate.Protocol, admit bool) error {
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	switch {
	case protocol == netstate.UDP:
		dropAll := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &dropAll[0]})
	case admit && protocol == netstate.TCP:
		// Connections of a former listener may still be waiting for their end.
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	return nil
}

// Admit implements Ports.
func (p ports) Admit(protocol netstate.Protocol, socket *os.File) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return errno.Wrap("admit "+socket.Name(), err)
	}
	controlErr := raw.Control(func(fd uintptr) {
		switch protocol {
		case netstate.TCP:
			err = unix.Listen(int(fd), unix.SOMAXCONN)
		case netstate.UDP:
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
			if errors.Is(err, unix.ENOENT) {
				err = nil // admitted before
			}
		default:
			err = unix.EPROTONOSUPPORT
		}
	})
	return errno.Wrap("admit "+socket.Name(), errors.Join(controlErr, err))
}

// InUse implements Ports.
func (p ports) InUse(ctx context.Context, protocol netstate.Protocol, ports netstate.PortRange) ([]netstate.PortUse, error) {
	if err := ctx.Err(); err != nil {
		return nil, cnm.E("list ports in use", cnm.Timeout, err)
	}
	var sockets []boundSocket
	err := p.h.resident.do(func() (err error) {
		sockets, err = socketsAt(protocol, ports)
		return err
	})
	used := make([]netstate.PortUse, len(sockets))
	for i, s := range sockets {
		if used[i].Address = s.local; ports.First == ports.Last {
			used[i].Holder = holder(s.inode)
		}
	}
	return used, errno.Wrap("list ports in use", err)
}

// Ephemeral implements Ports.
func (p ports) Ephemeral(context.Context) (first, last uint16, reserved []netstate.PortRange, err error) {
	s, err := p.h.space("")
	if err != nil {
		return 0, 0, nil, err
	}
	defer s.release()
	text, err := s.sysctls.Read("net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0, nil, err
	}
	if n, err := fmt.Sscan(text, &first, &last); n != 2 || err != nil || first > last {
		return 0, 0, nil, cnm.E("", cnm.Internal, fmt.Errorf("sysctl ip_local_port_range: %q is no range", text))
	}
	if text, err = s.sysctls.Read("net/ipv4/ip_local_reserved_ports"); err != nil {
		return 0, 0, nil, err
	}
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(low, 10, 16)
		to, err2 := strconv.ParseUint(high, 10, 16)
		if err1 == nil && err2 == nil {
			reserved = append(reserved, netstate.PortRange{First: uint16(from), Last: uint16(to)})
		}
	}
	return first, last, reserved, nil
}

func (p ports) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, cnm.E("dial", cnm.Invalid, err)
	}
	var dialer net.Dialer
	if p.h.path == "" {
		return dialer.DialContext(ctx, network, address)
	}
	// To a plain address the dialer makes its socket on the goroutine that calls it.
	err = p.h.firewall.inside(func() (err error) {
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}
