package remote

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/linkoption"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin/protocol"
)

// mostRoutes is how many static routes an endpoint can bring.
const mostRoutes = 1024

// Join implements cnm.Driver. An endpoint for which the plugin names no link has none, and
// no addresses in the sandbox either. Of an internal network, gateways and default routes
// are left out, whatever the plugin says.
func (d *Driver) Join(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint, sandbox *cnm.Sandbox) ([]netstate.Part, error) {
	if sandbox.Host {
		return nil, cnm.E("", cnm.Forbidden, errors.New("a plugin's network is for sandboxes with a namespace of their own"))
	}
	own, err := ourOptions(ep)
	if err != nil {
		return nil, err
	}
	options, err := endpointOptions(ep, sandbox)
	if err != nil {
		return nil, err
	}
	request := protocol.JoinRequest{NetworkID: n.ID, EndpointID: ep.ID, SandboxKey: sandbox.Key, Options: options}
	var reply protocol.JoinReply
	joined := *ep
	var parts []netstate.Part
	if err = d.call(ctx, "Join", request, &reply); err == nil {
		if parts, err = accept(n, &joined, sandbox, own, reply); err != nil {
			err = d.wrap("Join", err)
		}
	}
	if err != nil {
		return nil, d.takeBack(ctx, err, "Leave", protocol.EndpointRequest{NetworkID: n.ID, EndpointID: ep.ID})
	}
	*ep = joined
	return parts, nil
}

// Leave implements cnm.Driver.
func (d *Driver) Leave(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	return d.repeat(ctx, "Leave", protocol.EndpointRequest{NetworkID: n.ID, EndpointID: ep.ID}, nil)
}

// accept checks the answer to a join, completes the endpoint, and returns what it needs.
func accept(n *cnm.Network, ep *cnm.Endpoint, sandbox *cnm.Sandbox, own *linkoption.Endpoint, reply protocol.JoinReply) ([]netstate.Part, error) {
	ep.SeeksGateway = !reply.DisableGatewayService && !n.Internal
	if reply.InterfaceName == nil || reply.InterfaceName.SrcName == "" {
		if reply.Gateway != "" || reply.GatewayIPv6 != "" || len(reply.StaticRoutes) > 0 {
			return nil, refuse("there are gateways or routes, and no interface for them")
		}
		ep.Interface = ""
		return nil, nil
	}
	source := reply.InterfaceName.SrcName
	if !validLink(source) {
		return nil, refuse("interface %.60q: is no name of a link that can be handed over", source)
	}
	if err := nameInterface(n, ep, own, *reply.InterfaceName); err != nil {
		return nil, err
	}
	if err := setRoutes(n, ep, reply); err != nil {
		return nil, err
	}
	return adopt(ep, sandbox, source, own), nil
}

// nameInterface chooses the name in the sandbox: what the user says comes first, then the
// whole name that the plugin gives, then the beginning of one. The controller's proposal
// is known to be free. Other beginnings get the number of the join, which no other
// endpoint of the sandbox has.
func nameInterface(n *cnm.Network, ep *cnm.Endpoint, own *linkoption.Endpoint, names protocol.InterfaceName) error {
	start, err := checkNetwork(n)
	switch {
	case err != nil:
		return err
	case own.Ifname != "":
		ep.Interface = own.Ifname
	case start != "":
	case names.DstName != "":
		ep.Interface = names.DstName
	case names.DstPrefix == "":
		return refuse("interface %q: has neither a name nor the beginning of one for the sandbox", names.SrcName)
	case !startsNumbered(ep.Interface, names.DstPrefix):
		ep.Interface = names.DstPrefix + strconv.Itoa(max(ep.Order-1, 0))
	}
	if !validLink(ep.Interface) {
		return refuse("interface %.60q: no link in a sandbox can be called that", ep.Interface)
	}
	return nil
}

// startsNumbered reports whether the name is the prefix with a number behind it.
func startsNumbered(name, prefix string) bool {
	number, ok := strings.CutPrefix(name, prefix)
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// adopt returns the part with the link that the plugin made, as it is to be in the sandbox.
func adopt(ep *cnm.Endpoint, sandbox *cnm.Sandbox, source string, own *linkoption.Endpoint) []netstate.Part {
	ipv6 := linkoption.UsesIPv6(ep)
	part := netstate.Part{
		Owner: ep.Owner(), Namespace: sandbox.Key,
		Links: []netstate.Link{{
			Name: ep.Interface, Kind: netstate.Adopted, Source: source, MAC: ep.MAC, NoIPv6: !ipv6,
		}},
		Addrs:   linkoption.Addresses(ep),
		Limits:  own.Egress.Limits(ep.Interface, ""),
		Sysctls: append(linkoption.IPv6Sysctls(ep.Interface, ipv6), own.Sysctls(ep.Interface)...),
	}
	for _, r := range ep.Routes {
		part.Routes = append(part.Routes, netstate.Route{Destination: r.Destination, Gateway: r.NextHop, Link: ep.Interface})
	}
	if own.Ingress.Rate != 0 {
		// The other end of the link, if it has one, is the plugin's.
		through := "ifb" + ep.ID[:min(idLength, len(ep.ID))]
		part.Links = append(part.Links, netstate.Link{Name: through, Kind: netstate.IFB, NoIPv6: true})
		part.Limits = append(part.Limits, own.Ingress.Limits(ep.Interface, through)...)
	}
	return []netstate.Part{part}
}

// idLength of an endpoint's id name its IFB.
const idLength = 11

// setRoutes completes the endpoint with the routes and gateways of the answer.
func setRoutes(n *cnm.Network, ep *cnm.Endpoint, reply protocol.JoinReply) error {
	if len(reply.StaticRoutes) > mostRoutes {
		return refuse("there are %d static routes; want %d at most", len(reply.StaticRoutes), mostRoutes)
	}
	ep.Gateway4, ep.Gateway6, ep.Routes = netip.Addr{}, netip.Addr{}, nil
	for _, r := range reply.StaticRoutes {
		route, err := parseRoute(r)
		if err != nil {
			return err
		}
		if route.Destination.Bits() > 0 {
			ep.Routes = append(ep.Routes, route)
			continue
		}
		// The controller chooses among the default routes of a sandbox.
		if err := setGateway(ep, "static route "+strconv.Quote(r.Destination), route.Destination.Addr().Is4(), hop(route)); err != nil {
			return err
		}
	}
	for _, family := range []struct {
		text string
		ipv4 bool
	}{{reply.Gateway, true}, {reply.GatewayIPv6, false}} {
		if family.text == "" {
			continue
		}
		gateway, err := parseHop("gateway", family.text, family.ipv4)
		if err == nil {
			err = setGateway(ep, "gateway "+strconv.Quote(family.text), family.ipv4, gateway)
		}
		if err != nil {
			return err
		}
	}
	if err := checkHops(ep); err != nil {
		return err
	}
	if n.Internal {
		ep.Gateway4, ep.Gateway6 = netip.Addr{}, netip.Addr{}
	}
	return nil
}

// hop is the gateway that a default route stands for: the unspecified address where
// everything is on the link.
func hop(route cnm.StaticRoute) netip.Addr {
	if route.NextHop.IsValid() {
		return route.NextHop
	}
	return route.Destination.Addr()
}

func setGateway(ep *cnm.Endpoint, what string, ipv4 bool, gateway netip.Addr) error {
	place := &ep.Gateway6
	if ipv4 {
		place = &ep.Gateway4
	}
	if place.IsValid() && *place != gateway {
		return refuse("%s: there is another default route already, by %s", what, *place)
	}
	*place = gateway
	return nil
}

func parseRoute(r protocol.StaticRoute) (cnm.StaticRoute, error) {
	destination, err := netip.ParsePrefix(r.Destination)
	if err != nil || destination.Addr().Is4In6() {
		return cnm.StaticRoute{}, refuse("static route %.60q: want a destination in CIDR form, as 192.0.2.0/24", r.Destination)
	}
	route := cnm.StaticRoute{Destination: destination.Masked()}
	to := route.Destination.Addr()
	switch r.RouteType {
	case protocol.RouteConnected:
		// A next hop is not looked at, as Docker does not. Multicast may be bound to the link.
	case protocol.RouteNextHop:
		if to.IsMulticast() {
			return cnm.StaticRoute{}, refuse("static route %q: multicast goes by no next hop", r.Destination)
		}
		route.NextHop, err = parseHop("static route "+strconv.Quote(r.Destination)+": next hop", r.NextHop, destination.Addr().Is4())
	default:
		err = refuse("static route %q: type %d: want %d, by a next hop, or %d, on the link", r.Destination, r.RouteType, protocol.RouteNextHop, protocol.RouteConnected)
	}
	if to.IsLoopback() {
		return cnm.StaticRoute{}, refuse("static route %q: the loopback is not routed", r.Destination)
	}
	return route, err
}

// checkHops refuses routers that cannot be reached by the endpoint's interface: they would
// be looked for elsewhere, or not at all.
func checkHops(ep *cnm.Endpoint) error {
	hops := []netip.Addr{ep.Gateway4, ep.Gateway6}
	for _, r := range ep.Routes {
		hops = append(hops, r.NextHop)
	}
	for _, h := range hops {
		switch {
		case !h.IsValid() || h.IsUnspecified():
		case h == ep.IPv4.Addr() || h == ep.IPv6.Addr():
			return refuse("router %q: is the endpoint itself", h)
		case !onLink(ep, h):
			return refuse("router %q: is not on the link: neither in a subnet of the endpoint's addresses, nor in the destination of a static route of type %d", h, protocol.RouteConnected)
		}
	}
	return nil
}

func onLink(ep *cnm.Endpoint, h netip.Addr) bool {
	if h.Is6() && h.IsLinkLocalUnicast() && linkoption.UsesIPv6(ep) {
		return true
	}
	for _, own := range append([]netip.Prefix{ep.IPv4, ep.IPv6}, ep.LinkLocal...) {
		if own.IsValid() && own.Contains(h) {
			return true
		}
	}
	for _, r := range ep.Routes {
		if !r.NextHop.IsValid() && r.Destination.Contains(h) {
			return true
		}
	}
	everything := netip.IPv6Unspecified()
	if h.Is4() {
		everything = netip.IPv4Unspecified()
	}
	return ep.Gateway4 == everything || ep.Gateway6 == everything
}

// CheckLinks refuses parts that adopt a link of the host which others have a use for: it
// is adopted already, or was made for a network or an endpoint. Exists is the kind of the
// error. A driver does not know the records of other endpoints; who does can ask.
func CheckLinks(parts []netstate.Part, others iter.Seq[netstate.Part]) error {
	adopted := make(map[string]string) // owners by links
	for _, p := range parts {
		for _, l := range p.Links {
			if l.Kind != netstate.Adopted {
				continue
			}
			if _, twice := adopted[l.Source]; twice {
				return taken(l.Source, p.Owner)
			}
			adopted[l.Source] = p.Owner
		}
	}
	if len(adopted) == 0 {
		return nil
	}
	for p := range others {
		for _, l := range p.Links {
			for _, name := range hostNames(p, l) {
				if owner, ok := adopted[name]; ok && owner != p.Owner {
					return taken(name, p.Owner)
				}
			}
		}
	}
	return nil
}

// hostNames are the names on the host that a link has or stands on.
func hostNames(p netstate.Part, l netstate.Link) []string {
	names := []string{l.Source, l.Parent}
	if p.Namespace == "" {
		names = append(names, l.Name, l.Master)
	}
	if l.Peer.Namespace == "" {
		names = append(names, l.Peer.Name)
	}
	return names
}

func taken(name, owner string) error {
	return cnm.E("", cnm.Exists, fmt.Errorf("link %q: the plugin hands over what %q has a use for; it must make a link for each endpoint", name, owner))
}
