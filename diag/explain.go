package diag

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// Verdicts of steps.
const (
	pass      = "pass"
	translate = "translate"
	drop      = "drop"
)

// Places that a packet may come from or go to, beside containers and addresses.
const (
	placeHost    = "host"
	placeOutside = "outside"
)

// Explain says what becomes of a packet. It comes from a container (its id, the beginning
// of it, or an endpoint's name), from "host", from "outside", which is somebody who
// sends packets for containers to the host and comes by a link that no network trusts, or
// from an address. It goes
// to a name as the sender would resolve it, to "host", or to an address. The protocol is
// "tcp", "udp", "sctp", or "icmp" for a ping, which has no port; empty means tcp.
//
// A sender that there is not is NotFound, a name that fits several is Invalid. A target
// that there is not is an explanation, as for the sender it is.
func Explain(ctx context.Context, o Options, from, to string, port int, protocol string) (api.Explanation, error) {
	op := fmt.Sprintf("explain the way from %q to %q", from, to)
	p, number, err := checkQuestion(port, protocol)
	if err != nil {
		return api.Explanation{}, cnm.Wrap(op, err)
	}
	records := o.Inspector.Records()
	machine, err := o.survey(ctx, records, nil)
	if err != nil {
		return api.Explanation{}, cnm.Wrap(op, err)
	}
	w := &walk{
		scene: newScene(records, machine, o.Inspector.Statistics().Firewall), protocol: number, port: uint16(port),
		resolve: o.Inspector.Resolve,
	}
	if err := w.sender(from); err != nil {
		return api.Explanation{}, cnm.Wrap(op, err)
	}
	known, err := w.target(to)
	if err != nil {
		return api.Explanation{}, cnm.Wrap(op, err)
	}
	out := api.Explanation{From: from, To: to, Port: port, Protocol: p}
	if known {
		out.Address = w.destination.String()
		w.start()
		w.listening(ctx)
	}
	out.Allowed, out.Steps = w.arrived, w.steps
	if w.arrived && w.source.IsValid() {
		out.Source = w.source.String()
	}
	return out, nil
}

// icmp stands for both versions of it; it has no ports.
const icmp = netstate.Protocol(1)

func checkQuestion(port int, protocol string) (name string, number netstate.Protocol, err error) {
	name = strings.ToLower(protocol)
	switch name {
	case "", "tcp":
		name, number = "tcp", netstate.TCP
	case "udp":
		number = netstate.UDP
	case "sctp":
		number = netstate.SCTP
	case "icmp":
		number = icmp
	default:
		return "", 0, cnm.E("", cnm.Invalid, fmt.Errorf("protocol %q: want tcp, udp, sctp or icmp", protocol))
	}
	switch {
	case number == icmp && port != 0:
		return "", 0, cnm.E("", cnm.Invalid, fmt.Errorf("port %d: icmp has no ports", port))
	case number != icmp && (port < 1 || port > 65535):
		return "", 0, cnm.E("", cnm.Invalid, fmt.Errorf("port %d: want a number from 1 to 65535", port))
	}
	return name, number, nil
}

// sender finds out who sends.
func (w *walk) sender(from string) error {
	if from == placeHost || from == placeOutside {
		w.from = from
		return nil
	}
	if address, err := netip.ParseAddr(from); err == nil {
		w.source = address.Unmap().WithZone("")
		switch ep := w.holder(w.source); {
		case ep != nil:
			w.from, w.container = placeContainer, w.sandboxes[ep.SandboxID]
		case w.machine.Host.Local(w.source):
			w.from = placeHost
		default:
			w.from = placeOutside
		}
		return nil
	}
	sb, err := w.one(from)
	if err != nil {
		return err
	}
	w.from, w.container = placeContainer, sb
	if sb.Host {
		w.from = placeHost
	}
	return nil
}

// one returns the container of that name.
func (w *walk) one(name string) (*cnm.Sandbox, error) {
	found := w.containers(name)
	switch len(found) {
	case 0:
		return nil, cnm.E("", cnm.NotFound, fmt.Errorf(`container %q: there is none; give the id of a container, the name of an endpoint, "host", "outside" or an address`, name))
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, sb := range found {
		ids = append(ids, sb.ContainerID)
	}
	return nil, cnm.E("", cnm.Invalid, fmt.Errorf("container %q: fits %s; give more of the id", name, strings.Join(ids, ", ")))
}

// target finds the address to send to. It is not known if nobody has the name; the steps
// say so then.
func (w *walk) target(to string) (known bool, err error) {
	if to == placeOutside || to == "" {
		return false, cnm.E("", cnm.Invalid, errors.New(`where to: want a name, "host" or an address`))
	}
	if address, err := netip.ParseAddr(strings.Trim(to, "[]")); err == nil {
		w.destination = address.Unmap().WithZone("")
		return w.sameFamily(), nil
	}
	if to == placeHost {
		return w.targetHost(), nil
	}
	if w.from == placeContainer {
		return w.ask(to)
	}
	sb, err := w.one(to)
	if err != nil {
		return false, err
	}
	if sb.Host {
		return w.targetHost(), nil
	}
	for _, ep := range w.members[sb.ID] {
		for _, prefix := range addressesOf(ep) {
			if !prefix.Addr().IsLinkLocalUnicast() && w.fits(prefix.Addr()) {
				w.destination = prefix.Addr()
				w.step(w.place(), fmt.Sprintf("container %q has the address %s in network %q", sb.ContainerID, w.destination, w.networkName(ep.NetworkID)), "", "")
				return true, nil
			}
		}
	}
	w.step(w.place(), fmt.Sprintf("container %q has no address to be reached at", sb.ContainerID), "", drop)
	return false, nil
}

// fits reports whether the sender can send to an address of that family.
func (w *walk) fits(address netip.Addr) bool {
	return !w.source.IsValid() || w.source.Is4() == address.Is4()
}

func (w *walk) sameFamily() bool {
	if w.fits(w.destination) {
		return true
	}
	w.step(w.place(), fmt.Sprintf("%s and %s are of different versions of IP", w.source, w.destination), "", drop)
	return false
}

// targetHost chooses the address at which the sender reaches the host.
func (w *walk) targetHost() bool {
	ipv6 := w.source.Is6()
	switch w.from {
	case placeHost:
		w.destination = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if ipv6 {
			w.destination = netip.IPv6Loopback()
		}
		return true
	case placeOutside:
		w.destination = w.hostAddress("", ipv6)
		if !w.destination.IsValid() {
			w.destination = w.hostAddress("", !ipv6)
		}
	default:
		w.destination = w.hostOf(w.container)
	}
	if !w.destination.IsValid() {
		w.step(w.place(), "the host has no address in a network of the container, and no other network leads to it", "", drop)
		return false
	}
	return w.sameFamily()
}

// hostOf returns the address of the host that a container knows best: the one of the
// network that gives it the default route, and otherwise of any of its networks.
func (w *walk) hostOf(sb *cnm.Sandbox) netip.Addr {
	for _, ep := range w.members[sb.ID] {
		for _, gateway := range []netip.Addr{ep.Gateway4, ep.Gateway6} {
			if gateway.IsValid() && w.fits(gateway) && w.machine.Host.Local(gateway) {
				return gateway
			}
		}
	}
	for _, ep := range w.members[sb.ID] {
		for _, own := range addressesOf(ep) {
			link := w.bridge(ep)
			if n := w.networks[ep.NetworkID]; n != nil && link == "" {
				link = shimOf(n)
			}
			address := w.hostAddress(link, own.Addr().Is6())
			if address.IsValid() && w.fits(address) {
				return address
			}
		}
	}
	return netip.Addr{}
}

// ask resolves a name as the container does.
func (w *walk) ask(name string) (known bool, err error) {
	answer, err := w.resolve(w.container.ID, name)
	if err != nil {
		return false, err
	}
	where := w.place()
	if !answer.Known {
		what := fmt.Sprintf("no container in its networks is called %q, and the name servers outside are not asked here; ask for an address that they give", name)
		if len(answer.Servers) == 0 {
			what = fmt.Sprintf("no container in its networks is called %q, and there is no name server to ask: the name is unknown", name)
		}
		w.step(where, what, "", drop)
		return false, nil
	}
	var texts []string
	for _, address := range answer.Addresses {
		texts = append(texts, address.String())
		first := !w.destination.IsValid() || w.destination.Is6() && address.Is4()
		if _, _, routed := w.wayOut(address); w.fits(address) && first && (routed || !w.destination.IsValid()) {
			w.destination = address
		}
	}
	if !w.destination.IsValid() {
		w.step(where, fmt.Sprintf("%q is known, and has no address that the sender could use", name), "", drop)
		return false, nil
	}
	w.step(where, fmt.Sprintf("its DNS server answers %q with %s, from network %s", name, strings.Join(texts, ", "), strings.Join(answer.Networks, ", ")), "", "")
	return true, nil
}
