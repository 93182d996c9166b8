package kerneltest

import (
	"context"
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

// Lan is a host with others around it: a neighbor on the same Ethernet segment, and a
// remote machine behind the neighbor, which is a router.
//
//	remote --- neighbor --- host
//
// Each is a namespace, by its path.
type Lan struct {
	Host, Neighbor, Remote string
	machine                kernel.Host
}

// Addresses of the machines of a Lan, from the ranges for documentation (RFC 5737,
// RFC 3849). The host's link is called LanLink.
const (
	LanLink      = "lan0"
	HostIPv4     = "192.0.2.1"
	HostIPv6     = "2001:db8:1::1"
	NeighborIPv4 = "192.0.2.2"
	NeighborIPv6 = "2001:db8:1::2"
	RemoteIPv4   = "198.51.100.2"
	RemoteIPv6   = "2001:db8:2::2"
)

const (
	routerIPv4 = "198.51.100.1"
	routerIPv6 = "2001:db8:2::1"
)

// NewLan makes one. It goes when the test ends.
func NewLan(t testing.TB) *Lan {
	t.Helper()
	l := &Lan{Host: NewNamespace(t), Neighbor: NewNamespace(t), Remote: NewNamespace(t)}
	machine, err := kernel.Open(kernel.Options{HostNamespace: l.Host, Instance: "lan"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	})
	l.machine = machine
	l.connect(t, "", LanLink, []string{HostIPv4, HostIPv6}, l.Neighbor, "eth0", []string{NeighborIPv4, NeighborIPv6})
	l.connect(t, l.Neighbor, "eth1", []string{routerIPv4, routerIPv6}, l.Remote, "eth0", []string{RemoteIPv4, RemoteIPv6})
	l.apply(t, netstate.Part{Owner: "lan/router", Namespace: l.Neighbor, Sysctls: []netstate.Sysctl{
		{Key: "net/ipv4/ip_forward", Value: "1"}, {Key: "net/ipv6/conf/all/forwarding", Value: "1"},
	}})
	l.Route(t, "", "198.51.100.0/24", NeighborIPv4, LanLink)
	l.Route(t, "", "2001:db8:2::/64", NeighborIPv6, LanLink)
	l.Route(t, l.Remote, "0.0.0.0/0", routerIPv4, "eth0")
	l.Route(t, l.Remote, "::/0", routerIPv6, "eth0")
	return l
}

// Route adds a route in a namespace; the host's is "".
func (l *Lan) Route(t testing.TB, namespace, destination, gateway, link string) {
	t.Helper()
	l.apply(t, netstate.Part{Owner: "lan/route", Namespace: namespace, Routes: []netstate.Route{{
		Destination: netip.MustParsePrefix(destination), Gateway: netip.MustParseAddr(gateway), Link: link,
	}}})
}

// Expose makes the neighbor, and with it the remote machine, send what is for the prefix
// to the host: somebody who knows, or guesses, where containers are.
func (l *Lan) Expose(t testing.TB, prefix netip.Prefix) {
	t.Helper()
	host := HostIPv4
	if prefix.Addr().Is6() {
		host = HostIPv6
	}
	l.Route(t, l.Neighbor, prefix.Masked().String(), host, "eth0")
}

func (l *Lan) apply(t testing.TB, parts ...netstate.Part) {
	t.Helper()
	if err := l.machine.Apply(context.Background(), netstate.Diff(nil, parts)); err != nil {
		t.Fatal(err)
	}
}

// connect joins two namespaces by a cable.
func (l *Lan) connect(t testing.TB, one, oneLink string, oneAddresses []string, other, otherLink string, otherAddresses []string) {
	t.Helper()
	end := func(namespace, link string, addresses []string) netstate.Part {
		p := netstate.Part{Owner: "lan/cable", Namespace: namespace, Links: []netstate.Link{{Name: link, Kind: netstate.Veth}}}
		for _, text := range addresses {
			bits := 24
			if address := netip.MustParseAddr(text); address.Is6() {
				bits = 64
			}
			p.Addrs = append(p.Addrs, netstate.Addr{Link: link, Prefix: netip.PrefixFrom(netip.MustParseAddr(text), bits)})
		}
		p.Sysctls = []netstate.Sysctl{{Key: "net/ipv6/conf/" + link + "/accept_dad", Value: "0"}}
		return p
	}
	near, far := end(one, oneLink, oneAddresses), end(other, otherLink, otherAddresses)
	near.Links[0].Peer = netstate.Peer{Namespace: other, Name: otherLink}
	l.apply(t, near, far)
}
