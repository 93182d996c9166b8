package kernel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/kernel/nft"
)

// redirectTable and redirectChain are in containers' namespaces.
const (
	redirectTable = "libnetwork-resolver"
	redirectChain = "LN-RESOLVER"
)

// settleTime is after how long the kernel is done with a change of nftables: it frees what
// was before once nobody can refer to it any more, some 10 ms later. Whoever closes a
// netfilter socket before that waits for it, and links of the namespace can be neither made
// nor deleted meanwhile (nft_rcv_nl_event and nf_tables_netdev_event in the kernel's
// nf_tables_api.c and nft_chain_filter.c take the same lock).
const settleTime = 100 * time.Millisecond

// Listen implements Container.
func (c container) Listen(ctx context.Context, namespace string, address netip.AddrPort) (packets net.PacketConn, streams net.Listener, err error) {
	op := "listen on " + address.String()
	if !address.Addr().Is4() || !address.Addr().IsLoopback() {
		return nil, nil, cnm.E(op, cnm.Invalid, errors.New("want an IPv4 loopback address"))
	}
	backend, err := c.h.firewall.Backend(ctx)
	if errors.Is(err, cnm.Unsupported) {
		backend, err = NoFirewall, nil
	}
	if err != nil {
		return nil, nil, cnm.Wrap(op, err)
	}
	s, err := c.h.space(namespace)
	if err != nil {
		return nil, nil, cnm.Wrap(op, err)
	}
	defer s.release()
	err = s.namespace.Do(func() (err error) {
		at := netip.AddrPortFrom(address.Addr(), 0)
		if backend == NoFirewall {
			at = address // nothing can lead there from another port
		}
		if packets, streams, err = listen(ctx, at); err != nil {
			return err
		}
		if err = c.redirect(ctx, backend, address, packets, streams); err != nil {
			err = errors.Join(err, packets.Close(), streams.Close())
		}
		return err
	})
	if err != nil {
		return nil, nil, cnm.Wrap(op, errno.Wrap("", err))
	}
	return packets, streams, nil
}

// listen makes its sockets on the calling thread.
func listen(ctx context.Context, at netip.AddrPort) (net.PacketConn, net.Listener, error) {
	var config net.ListenConfig
	packets, err := config.ListenPacket(ctx, "udp4", at.String())
	if err != nil {
		return nil, nil, err
	}
	streams, err := config.Listen(ctx, "tcp4", at.String())
	if err != nil {
		return nil, nil, errors.Join(err, packets.Close())
	}
	return packets, streams, nil
}

// redirect leads what is sent to the address to the sockets, in the namespace of the
// calling thread.
func (c container) redirect(ctx context.Context, backend string, address netip.AddrPort, packets net.PacketConn, streams net.Listener) error {
	udp, tcp := localPort(packets.LocalAddr()), localPort(streams.Addr())
	switch backend {
	case NFTables:
		closeSocket, err := nft.Redirect{Table: redirectTable, Address: address.Addr(), Port: address.Port(), UDP: udp, TCP: tcp}.Apply()
		if err == nil {
			c.h.watchers.Go(func() {
				select {
				case <-c.h.ctx.Done():
				case <-time.After(settleTime):
				}
				_ = closeSocket()
			})
		}
		return err
	case IPTablesNFT, IPTablesLegacy:
		return iptables.Redirect{
			Variant: c.h.firewall.iptables(backend).Variant, Chain: redirectChain,
			Address: address.Addr(), Port: address.Port(), UDP: udp, TCP: tcp,
		}.Apply(ctx)
	}
	return nil
}

func localPort(address net.Addr) uint16 {
	at, _ := netip.ParseAddrPort(address.String()) // it is one of a socket
	return at.Port()
}

// Dial implements Container.
func (c container) Dial(ctx context.Context, namespace, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, cnm.E("dial", cnm.Invalid, fmt.Errorf("%q: %w", address, err))
	}
	s, err := c.h.space(namespace)
	if err != nil {
		return nil, cnm.Wrap("dial", err)
	}
	defer s.release()
	// To a plain address the dialer makes its socket on the goroutine that calls it.
	err = s.namespace.Do(func() (err error) {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}
