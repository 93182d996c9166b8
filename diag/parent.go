package diag

import (
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// parented returns the container's own link of an endpoint that hangs on a link of the
// host, as those of macvlan and ipvlan do; one without a name for all others.
func parented(ep *cnm.Endpoint) netstate.Link {
	for _, p := range ep.Parts {
		for _, l := range p.Links {
			if p.Namespace != "" && (l.Kind == netstate.Macvlan || l.Kind == netstate.IPvlan) {
				return l
			}
		}
	}
	return netstate.Link{}
}

// shimOf returns the name of the link by which the host talks to the containers of such a
// network; empty if there is none.
func shimOf(n *cnm.Network) string {
	if n == nil {
		return ""
	}
	for _, p := range n.Parts {
		for _, l := range p.Links {
			if p.Namespace == "" && (l.Kind == netstate.Macvlan || l.Kind == netstate.IPvlan) {
				return l.Name
			}
		}
	}
	return ""
}

// apart reports whether links on one parent do not reach each other, and whether what they
// send to each other goes out to a switch first.
func apart(l netstate.Link) (never, bySwitch bool) {
	mode := l.Mode
	if l.Kind == netstate.IPvlan {
		mode = l.Flag
	}
	return mode == netstate.ModePrivate, mode == netstate.ModeVEPA
}

func parentName(l netstate.Link) string {
	return fmt.Sprintf("the host's link %q (%s, mode %s)", l.Parent, l.Kind, l.Mode)
}

// byParent sends by an interface that hangs on a link of the host. The host does not see
// such packets, and its packet filter has no say.
func (w *walk) byParent(ep *cnm.Endpoint, link netstate.Link, hop netip.Addr) {
	w.step(w.place(), fmt.Sprintf("sends from %s by its interface %q of network %q, on %s", w.source, ep.Interface, w.networkName(ep.NetworkID), parentName(link)), "", "")
	next, n := w.destination, w.networks[ep.NetworkID]
	if hop.IsValid() && !hop.IsUnspecified() { // an unspecified one stands for the link itself
		next = hop
	}
	network := fmt.Sprintf("network %q", w.networkName(ep.NetworkID))
	to := w.holder(next)
	switch {
	case to != nil && to.NetworkID == ep.NetworkID && next == w.destination:
		never, bySwitch := apart(link)
		if never {
			w.step(network, "its containers are kept apart (mode private)", "", drop)
			return
		}
		if bySwitch {
			w.step(network, "its containers reach each other by a switch outside only, which must send packets back to where they come from (mode vepa)", "", "")
		}
		w.reach(to)
	case w.machine.Host.Local(next):
		// By ARP the host answers for all of its addresses on any of its links (arp_ignore),
		// and by neighbour discovery for those of the link.
		if shim := shimOf(n); shim != "" && (next.Is4() || w.hasLocal(shim, next)) {
			w.in = shim
			w.atHost()
			return
		}
		w.step(network, fmt.Sprintf("%s is this host's, and containers do not reach the host by the link that they hang on; "+
			"for macvlan there is the option com.docker.network.macvlan.host_shim", next), "", drop)
	case n != nil && n.Internal:
		w.step(network, fmt.Sprintf("it is internal, and no container of ours has the address %s there", next), "", drop)
	default:
		w.arrive(placeOutside, fmt.Sprintf("it leaves the host by the link %q for %s, past the host's packet filter; who gets it sees %s%s", link.Parent, next, w.seen(), routed(link)))
	}
}

// routed says what others need for a link that answers no question for its address.
func routed(l netstate.Link) string {
	if l.Mode != netstate.ModeL3 && l.Mode != netstate.ModeL3S {
		return ""
	}
	return fmt.Sprintf("; in mode %s others need a route to the network, by the host's address", l.Mode)
}

func (w *walk) hasLocal(link string, address netip.Addr) bool {
	l, found := w.machine.Host.Link(link)
	if !found {
		return false
	}
	for _, own := range l.Addresses {
		if own.Addr() == address {
			return true
		}
	}
	return false
}

// toParent is how somebody outside reaches a container whose interface hangs on a link of
// the host: by that link, and not by way of the host.
func (w *walk) toParent(ep *cnm.Endpoint, link netstate.Link) {
	if n := w.networks[ep.NetworkID]; n != nil && n.Internal {
		w.step(placeOutside, fmt.Sprintf("network %q is internal: no link leads to it", n.Name), "", drop)
		return
	}
	w.step(placeOutside, fmt.Sprintf("whoever is on the network of %s reaches network %q, past the host's packet filter%s", parentName(link), w.networkName(ep.NetworkID), routed(link)), "", "")
	w.reach(ep)
}

// blocked says why the host does not reach such a container, if it does not.
func (w *walk) blocked(ep *cnm.Endpoint, by string) string {
	link := parented(ep)
	if n := w.networks[ep.NetworkID]; link.Name == "" || n != nil && shimOf(n) == by {
		return ""
	}
	return fmt.Sprintf("its route to %s is by the link %q, and the host does not reach containers by the link that they hang on; "+
		"for macvlan there is the option com.docker.network.macvlan.host_shim", w.destination, by)
}
