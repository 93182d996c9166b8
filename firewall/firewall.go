// Package firewall decides what the packet filter shall do for a network and for its
// published ports. It is pure: policy in, intents out; package kernel renders them.
//
// The policy is deny by default. To a container comes what answers it, what was sent to a
// port that was published for it, and what its neighbours on the same bridge send, unless
// they are kept apart. Everything else that would be forwarded to it is dropped: packets
// routed straight to its address, packets from other networks, and what was sent to a port
// that is published on the loopback only but arrives from outside. See docs/firewall.md.
package firewall

import (
	"net/netip"

	"github.com/docker/libnetwork/netstate"
)

// Mode is how packets of one family go in and out of a network.
type Mode string

// Modes. The zero Mode is NAT.
const (
	// NAT hides containers behind the host: published ports are translated.
	NAT Mode = "nat"
	// Unprotected is NAT, but whoever can route to a container may reach all of it.
	Unprotected Mode = "nat-unprotected"
	// Routed translates nothing: published ports can be reached at the container's own
	// address, and so can ping.
	Routed Mode = "routed"
	// Isolated networks are internal, and the host has no address in them.
	Isolated Mode = "isolated"
)

// Translates reports whether published ports are ports of the host.
func (m Mode) Translates() bool { return m == "" || m == NAT || m == Unprotected }

// Family is the policy of a network for IPv4 or for IPv6.
type Family struct {
	// Off leaves the family to somebody else: nothing of it is filtered.
	Off  bool
	Mode Mode
	// Subnets are those of the network. Without one nothing of the family comes in or goes
	// out: containers may give themselves addresses that nobody gave them.
	Subnets []netip.Prefix
	// Masquerade gives what leaves the network an address of the host, where the mode
	// translates.
	Masquerade bool
	// Source is that address; zero means the one of the link by which packets leave.
	Source netip.Addr
}

// Network is the policy of a network on a bridge.
type Network struct {
	Bridge     string
	IPv4, IPv6 Family
	// Internal networks have no way in or out.
	Internal bool
	// InterContainer lets the containers of the network talk to each other.
	InterContainer bool
	// Trusted are links of the host from which all is let in.
	Trusted []string
	// Loopback lets the host reach published ports by its IPv4 loopback addresses.
	Loopback bool
}

// Intents returns what the network needs, whatever is published.
func (n Network) Intents() []netstate.Intent {
	var out []netstate.Intent
	for _, ipv6 := range []bool{false, true} {
		out = append(out, n.family(ipv6)...)
	}
	if len(out) == 0 {
		return nil
	}
	if n.InterContainer {
		out = append(out, netstate.Intent{Kind: netstate.Allow, From: n.Bridge, Link: n.Bridge})
	} else {
		out = append(out, netstate.Intent{Kind: netstate.Separate, Link: n.Bridge})
	}
	if n.Internal {
		return out
	}
	for _, link := range n.Trusted {
		out = append(out, netstate.Intent{Kind: netstate.Allow, From: link, Link: n.Bridge})
	}
	if n.ReachedByLoopback() {
		out = append(out, netstate.Intent{Kind: netstate.Loopback, Link: n.Bridge})
	}
	return out
}

// ReachedByLoopback reports whether packets with an IPv4 loopback address go over the
// bridge, for which the kernel must be told to route them (route_localnet). It routes none
// with that of IPv6.
func (n Network) ReachedByLoopback() bool { return n.Loopback && !n.Internal && n.IPv4.publishes() }

// TurnsRound reports whether what comes from a container may go back to it by way of its
// own published port.
func (n Network) TurnsRound() bool { return !n.Internal && (n.IPv4.publishes() || n.IPv6.publishes()) }

func (f Family) publishes() bool { return !f.Off && len(f.Subnets) > 0 && f.Mode.Translates() }

func (n Network) family(ipv6 bool) []netstate.Intent {
	f := n.IPv4
	if ipv6 {
		f = n.IPv6
	}
	if f.Off {
		return nil
	}
	if n.Internal || f.Mode == Isolated || len(f.Subnets) == 0 {
		return []netstate.Intent{
			{Kind: netstate.Inbound, IPv6: ipv6, Link: n.Bridge, Policy: netstate.Nothing},
			{Kind: netstate.Confine, IPv6: ipv6, Link: n.Bridge},
		}
	}
	policy := netstate.Published
	switch f.Mode {
	case Unprotected:
		policy = netstate.Everything
	case Routed:
		policy = netstate.Opened
	}
	out := []netstate.Intent{{Kind: netstate.Inbound, IPv6: ipv6, Link: n.Bridge, Policy: policy}}
	if !f.Mode.Translates() {
		return out
	}
	for _, subnet := range f.Subnets {
		out = append(out, netstate.Intent{Kind: netstate.Hairpin, Prefix: subnet.Masked(), Link: n.Bridge})
		if f.Masquerade {
			out = append(out, netstate.Intent{Kind: netstate.Masquerade, Prefix: subnet.Masked(), Source: f.Source})
		}
	}
	return out
}

// Publication is a port of a container, or several in a row, with the ports of the host
// they are published at.
type Publication struct {
	Protocol netstate.Protocol
	// Host is unspecified for any address; it does not count where the mode is Routed.
	Host     netip.Addr
	HostPort uint16
	Target   netip.Addr
	Port     uint16
	// Count is how many ports there are in a row, at least 1.
	Count int
}

// Publish returns what a publication on the network needs. Ports mapped one to one are one
// intent, however many there are.
func (n Network) Publish(p Publication) []netstate.Intent {
	f := n.IPv4
	if p.Target.Is6() {
		f = n.IPv6
	}
	last := func(first uint16) uint16 { return first + uint16(p.Count-1) }
	if !f.Mode.Translates() {
		return []netstate.Intent{{Kind: netstate.Open, Protocol: p.Protocol, Target: p.Target, Port: p.Port, PortEnd: last(p.Port)}}
	}
	one := netstate.Intent{Kind: netstate.Publish, Protocol: p.Protocol, Host: p.Host, Target: p.Target}
	if p.Port == p.HostPort {
		one.Port, one.PortEnd, one.TargetPort = p.HostPort, last(p.HostPort), p.Port
		return []netstate.Intent{one}
	}
	out := make([]netstate.Intent, p.Count)
	for i := range out {
		one.Port, one.PortEnd = p.HostPort+uint16(i), p.HostPort+uint16(i)
		one.TargetPort = p.Port + uint16(i)
		out[i] = one
	}
	return out
}
