package diag

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/survey"
	"github.com/docker/libnetwork/netstate"
)

// binding returns what is published at the host's port that the packet is for, whether or
// not the kernel translates it; nil if nothing is.
func (w *walk) binding(proxied bool) (*cnm.PortBinding, *cnm.Endpoint) {
	for _, ep := range w.records.Endpoints {
		for _, b := range ep.Published {
			at := b.HostIP == w.destination || b.HostIP.IsValid() && b.HostIP.IsUnspecified() && b.HostIP.Is4() == w.destination.Is4()
			in := b.HostPort <= w.port && int(w.port) < int(b.HostPort)+b.Count()
			if at && in && netstate.Protocol(b.Protocol) == w.protocol && b.Proxy == proxied && ep.SandboxID != "" {
				return &b, ep
			}
		}
	}
	return nil, nil
}

// deliver is where packets are for the host itself: a userland proxy or a program of the
// host takes them.
func (w *walk) deliver() {
	if w.protocol == icmp {
		w.arrive(placeHost, fmt.Sprintf("%s is the host's own address", w.destination))
		return
	}
	if b, ep := w.binding(true); b != nil {
		target := netip.AddrPortFrom(b.IP, b.Port+(w.port-b.HostPort))
		w.step(placeHost, fmt.Sprintf("the userland proxy takes it and sends it to %s as its own", target), "", translate)
		w.source, w.in = w.hostAddress(w.bridge(ep), b.IP.Is6()), ""
		w.destination, w.port = target.Addr(), target.Port()
		w.route()
		return
	}
	at := netip.AddrPortFrom(w.destination, w.port)
	if b, ep := w.binding(false); b != nil {
		w.step(placeHost, fmt.Sprintf("%s is published for endpoint %q, but not to be reached in this way: nobody answers", at, ep.Name), "", drop)
		return
	}
	if !slices.ContainsFunc(w.machine.Sockets, w.takes) {
		w.step(placeHost, fmt.Sprintf("%s is the host's own, is not published for a container, and no program listens there", at), "", drop)
		return
	}
	w.foreign("input")
	w.arrive(placeHost, fmt.Sprintf("a program of the host listens at %s; it sees %s", at, w.seen()))
}

func (w *walk) seen() string {
	if w.source.IsValid() {
		return w.source.String()
	}
	return "the sender's own address"
}

// foreign names chains of others that drop what they do not accept: they have a say too.
func (w *walk) foreign(hook string) {
	for _, c := range w.machine.Chains {
		if c.Drops && c.Hook == hook && !ours(c) && coversFamily(c.Family, w.destination) {
			w.step(placeHost, fmt.Sprintf("somebody else's chain %q of table \"%s %s\" has a say too: %s", c.Name, c.Family, c.Table, c.Why), "", "")
		}
	}
}

func coversFamily(family string, address netip.Addr) bool {
	return family == "inet" || family == "ip" && address.Is4() || family == "ip6" && address.Is6()
}

// route decides by which link the packet leaves the host.
func (w *walk) route() {
	way, found := w.machine.Host.Way(w.destination)
	if !found {
		w.step(placeHost, fmt.Sprintf("it has no route to %s%s", w.destination, w.without()), "", drop)
		return
	}
	ep := w.holder(w.destination)
	if ep != nil && parented(ep).Name != "" {
		if why := w.blocked(ep, way.Link); why != "" {
			w.step(placeHost, why, "", drop)
			return
		}
	} else if ep != nil && w.bridge(ep) != way.Link {
		w.step(placeHost, fmt.Sprintf("its route to %s is by the link %q, and not to network %q%s", w.destination, way.Link, w.networkName(ep.NetworkID), w.without()), "", drop)
		return
	}
	if w.in != "" {
		key := map[bool]string{false: keyForward4, true: keyForward6}[w.destination.Is6()]
		if value, known := w.machine.Sysctls[key]; known && value == "0" {
			w.step(placeHost, fmt.Sprintf("it forwards nothing: %s is 0", key), "", drop)
			return
		}
		if !w.forward(way.Link) {
			return
		}
		w.foreign("forward")
	}
	w.leave(way.Link)
}

// without says why there is no route to a container.
func (w *walk) without() string {
	ep := w.holder(w.destination)
	if ep == nil {
		return ""
	}
	if n := w.networks[ep.NetworkID]; n != nil && !w.hostAddress(bridgeOf(n).Name, w.destination.Is6()).IsValid() {
		return fmt.Sprintf(": it has no address in network %q", n.Name)
	}
	return ""
}

// forward is what the packet filter says to a packet that goes from one link to another.
func (w *walk) forward(out string) bool {
	ipv6 := w.destination.Is6()
	if i, ok := w.of(netstate.Separate, out, ipv6); ok && w.in == out {
		w.step(placeHost, "the containers of the network are kept apart, by published ports too", i.String(), drop)
		return false
	}
	allow, allowed := w.allow(w.in, out)
	if i, ok := w.of(netstate.Confine, w.in, ipv6); ok && !allowed {
		w.step(placeHost, "nothing leaves the network that it comes from", i.String(), drop)
		return false
	}
	inbound, filtered := w.of(netstate.Inbound, out, ipv6)
	if !filtered {
		what := "it goes to no network of ours, and is forwarded"
		if w.bridges[out] != nil {
			what = "the network is not filtered: what is forwarded to it gets there"
		}
		w.step(placeHost, what, "", pass)
		return true
	}
	open, opened := w.opened()
	switch {
	case inbound.Policy == netstate.Everything:
		w.step(placeHost, "the network lets in everything", inbound.String(), pass)
	case inbound.Policy == netstate.Published && w.translated:
		w.step(placeHost, "the network lets in what was sent to a published port", inbound.String(), pass)
	case inbound.Policy == netstate.Opened && w.protocol == icmp:
		w.step(placeHost, "the network lets in pings", inbound.String(), pass)
	case inbound.Policy == netstate.Opened && opened:
		w.step(placeHost, "the port is open", open.String(), pass)
	case allowed:
		w.step(placeHost, "it comes by a link that all is let in from", allow.String(), pass)
	default:
		w.step(placeHost, w.refusal(inbound.Policy), inbound.String(), drop)
		return false
	}
	return true
}

// opened returns the intent that opens the port of the container.
func (w *walk) opened() (netstate.Intent, bool) {
	return w.intent(func(i netstate.Intent) bool {
		return i.Kind == netstate.Open && i.Protocol == w.protocol && i.Target == w.destination && i.Port <= w.port && w.port <= i.PortEnd
	})
}

func (w *walk) refusal(policy netstate.Policy) string {
	switch policy {
	case netstate.Nothing:
		return "the network is internal: nothing comes in"
	case netstate.Opened:
		return "the network lets in the ports that are published, and this one is not"
	default:
		return "the network lets in what was sent to published ports of the host only, and this was sent to the container's own address"
	}
}

// leave is the end of the packet's way through the host: it may get another source there.
func (w *walk) leave(out string) {
	w.masquerade(out)
	ep := w.holder(w.destination)
	if ep == nil {
		if n := w.bridges[out]; n != nil {
			w.step(fmt.Sprintf("network %q", n.Name), fmt.Sprintf("no container of ours has the address %s there", w.destination), "", drop)
			return
		}
		what := fmt.Sprintf("it leaves the host by the link %q; who gets it sees %s", out, w.seen())
		if _, hidden := w.inSubnet(w.source); hidden {
			what += ", and must have a route to it by this host in order to answer"
		}
		w.arrive(placeHost, what)
		return
	}
	w.reach(ep)
}

// reach is where a container gets the packet.
func (w *walk) reach(ep *cnm.Endpoint) {
	w.reached = w.sandboxes[ep.SandboxID]
	at := w.destination.String()
	if w.port != 0 {
		at = netip.AddrPortFrom(w.destination, w.port).String()
	}
	w.arrive(fmt.Sprintf("container %q", w.reached.ContainerID), fmt.Sprintf("it is reached at %s, and sees %s", at, w.seen()))
}

// listening adds a remark if no program of the container takes the packet. It decides
// nothing: a program may come.
func (w *walk) listening(ctx context.Context) {
	if w.reached == nil || w.protocol != netstate.TCP && w.protocol != netstate.UDP {
		return
	}
	sockets, err := survey.Sockets(ctx, w.reached.Key)
	if err == nil && !slices.ContainsFunc(sockets, w.takes) {
		w.step(fmt.Sprintf("container %q", w.reached.ContainerID),
			fmt.Sprintf("no program in it listens at %s now", netip.AddrPortFrom(w.destination, w.port)), "", "")
	}
}

// takes reports whether the socket is one that the packet is for.
func (w *walk) takes(s survey.Port) bool {
	address := s.Address.Addr()
	same := address == w.destination || address.IsUnspecified() && address.Is4() == w.destination.Is4()
	return same && s.Protocol == w.protocol && s.Address.Port() == w.port
}

func (w *walk) inSubnet(address netip.Addr) (*cnm.Network, bool) {
	for _, n := range w.records.Networks {
		for _, s := range slices.Concat(n.Subnets4, n.Subnets6) {
			if address.IsValid() && s.Pool.Prefix.Contains(address) {
				return n, true
			}
		}
	}
	return nil, false
}

// masquerade changes the source of a packet as postrouting does.
func (w *walk) masquerade(out string) {
	if !w.source.IsValid() {
		return
	}
	change := func(to netip.Addr, what string, i netstate.Intent) {
		if to.IsValid() && to != w.source {
			w.step(placeHost, fmt.Sprintf("%s: the source becomes %s in place of %s", what, to, w.source), i.String(), translate)
			w.source = to
		}
	}
	ipv6 := w.source.Is6()
	if i, ok := w.of(netstate.Loopback, out, false); ok && w.source.Is4() && w.source.IsLoopback() {
		change(w.hostAddress(out, ipv6), "it comes from the host's loopback", i)
		return
	}
	own, isOwn := w.intent(func(i netstate.Intent) bool {
		return i.Kind == netstate.Hairpin && i.Link == out && i.Prefix.Contains(w.source)
	})
	if isOwn && w.translated {
		change(w.hostAddress(out, ipv6), "it goes back to the network that it comes from, and the answer must come by the host", own)
	}
	if isOwn {
		return
	}
	masquerade, ok := w.intent(func(i netstate.Intent) bool { return i.Kind == netstate.Masquerade && i.Prefix.Contains(w.source) })
	if !ok {
		return
	}
	if masquerade.Source.IsValid() {
		change(masquerade.Source, "the network leaves with a fixed address", masquerade)
		return
	}
	change(w.hostAddress(out, ipv6), "the network is hidden behind the host", masquerade)
}

// ours reports whether a chain is one of the library's own, whichever controller made it.
func ours(c survey.Chain) bool {
	return c.Family == "inet" && len(c.Table) > len(ourTable) && c.Table[:len(ourTable)] == ourTable
}

// ourTable is what the names of our tables begin with.
const ourTable = "libnetwork-"
