package diag

import (
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// placeContainer is where a packet comes from if container is set.
const placeContainer = "container"

// walk follows the first packet of a conversation, from station to station. The intents
// decide as the back ends of the packet filter do; docs/firewall.md has it in words.
type walk struct {
	*scene
	resolve func(sandboxID, name string) (libnetwork.Resolution, error)

	from      string       // placeHost, placeOutside or placeContainer
	container *cnm.Sandbox // of placeContainer

	// The packet, as it is at the station.
	protocol            netstate.Protocol
	source, destination netip.Addr
	port                uint16
	in                  string // the host's link that it came in by; empty: the host sent it
	translated          bool

	steps   []api.Step
	arrived bool
	// reached is the container that the packet arrives at; nil if it is none.
	reached *cnm.Sandbox
}

func (w *walk) step(where, what, rule, verdict string) {
	w.steps = append(w.steps, api.Step{Where: where, What: what, Rule: rule, Verdict: verdict})
}

func (w *walk) place() string {
	if w.from == placeContainer {
		return fmt.Sprintf("container %q", w.container.ContainerID)
	}
	return w.from
}

func (w *walk) arrive(where, what string) {
	w.step(where, what, "", pass)
	w.arrived = true
}

func (w *walk) bridge(ep *cnm.Endpoint) string {
	if n := w.networks[ep.NetworkID]; n != nil {
		return bridgeOf(n).Name
	}
	return ""
}

func (w *walk) start() {
	switch w.from {
	case placeContainer:
		w.fromContainer()
	case placeHost:
		w.fromHost()
	default:
		w.fromOutside()
	}
}

// wayOut returns the endpoint that a container's packets for the address go by, and the
// next hop; zero means that it is on the link.
func (w *walk) wayOut(address netip.Addr) (ep *cnm.Endpoint, hop netip.Addr, found bool) {
	best := -1
	try := func(by *cnm.Endpoint, to netip.Prefix, via netip.Addr) {
		if to.IsValid() && to.Contains(address) && to.Bits() > best {
			best, ep, hop, found = to.Bits(), by, via, true
		}
	}
	for _, member := range w.members[w.container.ID] {
		for _, own := range addressesOf(member) {
			try(member, own.Masked(), netip.Addr{})
		}
		for _, r := range member.Routes {
			try(member, r.Destination, r.NextHop)
		}
		// They are in the order of rank: the first with a gateway gives the default route.
		for _, gateway := range []netip.Addr{member.Gateway4, member.Gateway6} {
			if gateway.IsValid() && gateway.Is4() == address.Is4() {
				try(member, netip.PrefixFrom(gateway, 0).Masked(), gateway)
			}
		}
	}
	return ep, hop, found
}

func (w *walk) fromContainer() {
	if w.destination.IsLoopback() || w.owns(w.container, w.destination) {
		w.source, w.reached = w.destination, w.container
		w.arrive(w.place(), fmt.Sprintf("%s is the container itself: the packet does not leave it", w.destination))
		return
	}
	ep, hop, found := w.wayOut(w.destination)
	if !found {
		w.step(w.place(), fmt.Sprintf("it has no route to %s: %s", w.destination, w.whyNoRoute()), "", drop)
		return
	}
	for _, own := range addressesOf(ep) {
		if !w.source.IsValid() && own.Addr().Is4() == w.destination.Is4() {
			w.source = own.Addr()
		}
	}
	if link := parented(ep); link.Name != "" {
		w.byParent(ep, link, hop)
		return
	}
	if !hop.IsValid() {
		w.onLink(ep)
		return
	}
	w.step(w.place(), fmt.Sprintf("sends from %s by its interface %q of network %q to the gateway %s", w.source, ep.Interface, w.networkName(ep.NetworkID), hop), "", "")
	if !w.machine.Host.Local(hop) {
		w.arrive(w.place(), fmt.Sprintf("the gateway %s is not this host: what becomes of the packet is decided there", hop))
		return
	}
	w.in = w.bridge(ep)
	w.atHost()
}

func (w *walk) owns(sb *cnm.Sandbox, address netip.Addr) bool {
	for _, ep := range w.members[sb.ID] {
		if hasAddress(ep, address) {
			return true
		}
	}
	return false
}

func (w *walk) whyNoRoute() string {
	members := w.members[w.container.ID]
	if len(members) == 0 {
		return "it is in no network"
	}
	family, internal := "IPv4", true
	if w.destination.Is6() {
		family = "IPv6"
	}
	for _, ep := range members {
		n := w.networks[ep.NetworkID]
		internal = internal && n != nil && n.Internal
	}
	if internal {
		return "it is in internal networks only, which have no way out"
	}
	return "none of its networks has a gateway for " + family
}

// onLink sends to somebody on the same network.
func (w *walk) onLink(ep *cnm.Endpoint) {
	n, bridge := w.networks[ep.NetworkID], w.bridge(ep)
	network := fmt.Sprintf("network %q", w.networkName(ep.NetworkID))
	w.step(w.place(), fmt.Sprintf("%s is in its own %s: it sends from %s by its interface %q", w.destination, network, w.source, ep.Interface), "", "")
	if bridge != "" && w.machine.Host.Local(w.destination) {
		w.in = bridge
		w.atHost()
		return
	}
	to := w.holder(w.destination)
	if to == nil || to.NetworkID != ep.NetworkID {
		w.step(network, fmt.Sprintf("no container of ours has the address %s there", w.destination), "", drop)
		return
	}
	if portOf(ep).Isolated && portOf(to).Isolated {
		rule := netstate.Intent{Kind: netstate.Separate, Link: bridge}
		w.step(network, "its containers are kept apart (com.docker.network.bridge.enable_icc is false)", rule.String(), drop)
		return
	}
	rule := ""
	if i, ok := w.allow(bridge, bridge); ok {
		rule = i.String()
	}
	if n != nil && bridge != "" {
		w.step(network, "its containers reach each other by the bridge, at all ports", rule, pass)
	}
	w.reach(to)
}

func (w *walk) fromHost() {
	local := w.machine.Host.Local(w.destination)
	switch {
	case local && !w.source.IsValid():
		w.source = w.destination
	case !local:
		way, found := w.machine.Host.Way(w.destination)
		if !found {
			w.step(placeHost, fmt.Sprintf("it has no route to %s", w.destination), "", drop)
			return
		}
		if !w.source.IsValid() {
			w.source = w.hostAddress(way.Link, w.destination.Is6())
		}
	}
	w.atHost()
}

func (w *walk) fromOutside() {
	if ep := w.holder(w.destination); ep != nil {
		if link := parented(ep); link.Name != "" {
			w.toParent(ep, link)
			return
		}
	}
	w.in = "?" // a link that no intent names
	target := w.destination
	if w.source.IsValid() {
		target = w.source
	}
	if way, found := w.machine.Host.Way(target); found && w.source.IsValid() {
		w.in = way.Link
	}
	what := "sends to the host"
	if w.source.IsValid() {
		what = fmt.Sprintf("%s sends to the host, which is on its way by the link %q", w.source, w.in)
	}
	w.step(placeOutside, what, "", "")
	w.atHost()
}

// atHost is where packets come to the host, and those of the host begin.
func (w *walk) atHost() {
	if w.in != "" && w.destination.IsLoopback() {
		rule := ""
		if i, ok := w.of(netstate.Loopback, w.in, false); ok && w.destination.Is4() {
			rule = i.String()
		}
		w.step(placeHost, "nobody but the host itself reaches its loopback", rule, drop)
		return
	}
	if !w.machine.Host.Local(w.destination) {
		w.route()
		return
	}
	if publish, ok := w.published(); ok {
		offset := w.port - publish.Port
		before := netip.AddrPortFrom(w.destination, w.port)
		w.destination, w.port, w.translated = publish.Target, publish.TargetPort+offset, true
		w.step(placeHost, fmt.Sprintf("%s is a published port: the destination becomes %s", before, netip.AddrPortFrom(w.destination, w.port)), publish.String(), translate)
		w.route()
		return
	}
	w.deliver()
}

// published returns the intent that translates the packet's destination: one for just the
// address goes before one for all.
func (w *walk) published() (netstate.Intent, bool) {
	if w.in != "" && w.source.IsValid() && w.source.IsLinkLocalUnicast() {
		return netstate.Intent{}, false // not forwarded: left to the userland proxy
	}
	if w.destination.Is6() && w.destination.IsLoopback() {
		return netstate.Intent{}, false // Linux routes nothing from ::1 to another link
	}
	fits := func(single, exact bool) func(netstate.Intent) bool {
		return func(i netstate.Intent) bool {
			if i.Kind != netstate.Publish || i.Protocol != w.protocol || w.port < i.Port || w.port > i.PortEnd {
				return false
			}
			if (i.Port == i.PortEnd) != single || i.Is6() != w.destination.Is6() {
				return false
			}
			if w.destination.IsLoopback() && !w.reachedByLoopback(i.Target) {
				return false
			}
			return exact && i.Host == w.destination || !exact && i.Wildcard()
		}
	}
	for _, way := range []struct{ single, exact bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		if i, ok := w.intent(fits(way.single, way.exact)); ok {
			return i, true
		}
	}
	return netstate.Intent{}, false
}

// reachedByLoopback reports whether the kernel may translate what is sent to the host's
// IPv4 loopback to the address.
func (w *walk) reachedByLoopback(target netip.Addr) bool {
	ep := w.holder(target)
	if ep == nil {
		return false
	}
	_, ok := w.of(netstate.Loopback, w.bridge(ep), false)
	return ok
}
