package survey

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

func addrFromIP(ip net.IP) (netip.Addr, bool) {
	address, ok := netip.AddrFromSlice(ip)
	return address.Unmap(), ok
}

// instance is under what name the host is opened to look at its ports. Nothing is made
// under it.
const instance = "survey"

func (t *taking) sockets(ctx context.Context) (err error) {
	host, err := kernel.Open(kernel.Options{HostNamespace: t.options.HostNamespace, Instance: instance})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	if t.report.Sockets, err = inUse(ctx, host); err != nil {
		return err
	}
	for _, p := range t.options.Ports {
		// A socket that holds a port and does not listen is in no list: nothing tells that
		// a port is taken but the refusal to take it once more.
		socket, err := host.Ports().Bind(ctx, p.Protocol, p.Address, false)
		if err == nil {
			t.report.Free = append(t.report.Free, p)
			err = socket.Close()
		}
		// What cannot be bound at all is nobody's either, but that is no use to anybody.
		if err != nil && !errors.Is(err, cnm.Exists) && !errors.Is(err, cnm.Unsupported) && !errors.Is(err, cnm.Invalid) {
			return err
		}
	}
	return nil
}

// Sockets returns those in the namespace at path that listen by TCP, and all of UDP.
func Sockets(ctx context.Context, path string) (sockets []Port, err error) {
	host, err := kernel.Open(kernel.Options{HostNamespace: path, Instance: instance})
	if err != nil {
		return nil, cnm.Wrap("look for sockets", err)
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	sockets, err = inUse(ctx, host)
	return sockets, cnm.Wrap("look for sockets", err)
}

func inUse(ctx context.Context, host kernel.Host) ([]Port, error) {
	var out []Port
	for _, protocol := range []netstate.Protocol{netstate.TCP, netstate.UDP} {
		used, err := host.Ports().InUse(ctx, protocol, netstate.PortRange{First: 1, Last: 65535})
		if err != nil {
			return nil, err
		}
		for _, u := range used {
			out = append(out, Port{protocol, u.Address})
		}
	}
	return out, nil
}
