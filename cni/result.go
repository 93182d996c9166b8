package cni

import (
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// attached is what came of an attachment.
type attached struct {
	mac string
	// mtu is in bytes; zero means that it is not known, as it is the parent's.
	mtu       int
	addresses []netip.Prefix
	// gateways are next hops of default routes. The unspecified address means that
	// everything is on the link.
	gateways []netip.Addr
	routes   []route
	// hostLinks are names of the attachment's links on the host: its bridge, its end of the
	// pair.
	hostLinks []hostLink
	// resolver is the address of a DNS server in the container; zero if there is none.
	resolver netip.Addr
}

type hostLink struct {
	name string
	mtu  int
}

// route is one beside the default routes.
type route struct {
	destination netip.Prefix
	nextHop     netip.Addr
}

// resolverNdots makes names without a dot be asked as they are first: names of containers
// have none.
const resolverNdots = "ndots:0"

// result puts it into the form of the specification, behind what plugins before this one
// have made.
func (a *attached) result(c *configuration) *types100.Result {
	out := &types100.Result{CNIVersion: types100.ImplementedSpecVersion}
	if c.previous != nil {
		out.Interfaces, out.IPs, out.Routes, out.DNS = c.previous.Interfaces, c.previous.IPs, c.previous.Routes, c.previous.DNS
	}
	for _, link := range a.hostLinks {
		out.Interfaces = append(out.Interfaces, &types100.Interface{Name: link.name, Mtu: link.mtu})
	}
	inside := len(out.Interfaces)
	out.Interfaces = append(out.Interfaces, &types100.Interface{
		Name: c.attachment.ifname, Mac: a.mac, Mtu: a.mtu, Sandbox: c.attachment.netns,
	})
	for _, address := range a.addresses {
		ip := &types100.IPConfig{Interface: types100.Int(inside), Address: ipNet(address)}
		if gateway := a.gateway(address.Addr().Is4()); gateway.IsValid() && !gateway.IsUnspecified() {
			ip.Gateway = gateway.AsSlice()
		}
		out.IPs = append(out.IPs, ip)
	}
	for _, gateway := range a.gateways {
		defaults := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if gateway.Is6() {
			defaults = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		out.Routes = append(out.Routes, routeTo(defaults, gateway))
	}
	for _, r := range a.routes {
		out.Routes = append(out.Routes, routeTo(r.destination, r.nextHop))
	}
	a.addDNS(&out.DNS, c)
	return out
}

func (a *attached) gateway(is4 bool) netip.Addr {
	for _, gateway := range a.gateways {
		if gateway.Is4() == is4 {
			return gateway
		}
	}
	return netip.Addr{}
}

func routeTo(destination netip.Prefix, gateway netip.Addr) *types.Route {
	r := &types.Route{Dst: ipNet(destination)}
	if gateway.IsValid() && !gateway.IsUnspecified() {
		r.GW = gateway.AsSlice()
	}
	return r
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// addDNS fills in what is empty: the embedded server if there is one, which asks those that
// are configured; else what was asked for this container; else what the configuration has.
func (a *attached) addDNS(out *types.DNS, c *configuration) {
	wanted := c.nameResolution()
	if len(out.Nameservers) == 0 {
		if out.Nameservers = wanted.Nameservers; a.resolver.IsValid() {
			out.Nameservers = []string{a.resolver.String()}
			wanted.Options = append(wanted.Options, resolverNdots)
		}
	}
	if out.Domain == "" {
		out.Domain = wanted.Domain
	}
	if len(out.Search) == 0 {
		out.Search = wanted.Search
	}
	if len(out.Options) == 0 {
		out.Options = wanted.Options
	}
}

// nameResolution is what was asked for the container, over what the configuration has.
func (c *configuration) nameResolution() types.DNS {
	out := c.dns
	if asked := c.attachment.dns; !asked.IsEmpty() {
		out = types.DNS{Nameservers: asked.Nameservers, Domain: asked.Domain, Search: asked.Search, Options: asked.Options}
		if len(out.Nameservers) == 0 {
			out.Nameservers = c.dns.Nameservers
		}
	}
	return *out.Copy()
}
