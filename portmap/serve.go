package portmap

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/portmap/proxy"
)

// Serve starts the proxies of the bindings that have one. Before, connections to their
// ports are refused.
func (r *Reservation) Serve() error {
	for _, h := range r.held {
		if !h.claim.proxied {
			continue
		}
		for i, socket := range h.claim.sockets {
			target := netip.AddrPortFrom(h.target.Addr(), h.target.Port()+uint16(i))
			if err := r.serve(h.claim.protocol, socket, target); err != nil {
				return cnm.Wrap("start userland proxy for "+h.claim.subject(), err)
			}
		}
	}
	return nil
}

func (r *Reservation) serve(protocol netstate.Protocol, socket *os.File, target netip.AddrPort) error {
	if err := r.mapper.sockets.Admit(protocol, socket); err != nil {
		return err
	}
	listener, err := listen(protocol, socket)
	if err != nil {
		return err
	}
	r.proxies = append(r.proxies, proxy.Start(listener, target, proxy.Options{Dial: r.mapper.sockets.Dial, Log: r.mapper.log}))
	return nil
}

// listen gives the proxy a descriptor of its own: the port stays held when the proxy ends.
func listen(protocol netstate.Protocol, socket *os.File) (proxy.Listener, error) {
	switch protocol {
	case netstate.TCP:
		listener, err := net.FileListener(socket)
		if err != nil {
			return proxy.Listener{}, err
		}
		return proxy.Listener{TCP: listener.(*net.TCPListener)}, nil
	case netstate.UDP:
		conn, err := net.FilePacketConn(socket)
		if err != nil {
			return proxy.Listener{}, err
		}
		return proxy.Listener{UDP: conn.(*net.UDPConn)}, nil
	}
	return proxy.Listener{}, cnm.E("", cnm.Unsupported, fmt.Errorf("no proxy for %s", protocol))
}
