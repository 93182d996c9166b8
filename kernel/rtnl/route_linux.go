package rtnl

import (
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Route is a unicast route of the main table as the kernel reports it.
type Route struct {
	Link        int // index
	Destination netip.Prefix
	Gateway     netip.Addr
	Metric      uint32
	Protocol    uint8
}

// AddRoute sets a route, in place of another of the same destination and metric.
func AddRoute(route Route) Request {
	return Request{message: routeRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, route)}
}

// RemoveRoute takes away a route of ours that is equal in all it says.
func RemoveRoute(route Route) Request {
	return Request{message: routeRequest(unix.RTM_DELROUTE, 0, route)}
}

func routeRequest(kind, flags int, route Route) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(kind, flags)
	header := nl.NewRtMsg()
	header.Family = uint8(family(route.Destination.Addr()))
	header.Dst_len = uint8(route.Destination.Bits())
	header.Table = unix.RT_TABLE_MAIN
	header.Protocol = Protocol
	header.Type = unix.RTN_UNICAST
	header.Scope = unix.RT_SCOPE_UNIVERSE
	if !route.Gateway.IsValid() && route.Destination.Addr().Is4() {
		header.Scope = unix.RT_SCOPE_LINK
	}
	r.AddData(header)
	if route.Destination.Bits() > 0 {
		r.AddData(nl.NewRtAttr(unix.RTA_DST, route.Destination.Masked().Addr().AsSlice()))
	}
	if route.Gateway.IsValid() {
		r.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, route.Gateway.AsSlice()))
	}
	if route.Link > 0 {
		r.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(route.Link))))
	}
	if route.Metric > 0 {
		r.AddData(nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(route.Metric)))
	}
	return r
}

func allRoutes() Request {
	r := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
	// Kernels that check requests strictly return these only; others return all, and
	// parseRoute chooses again.
	r.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_UNSPEC, Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST}})
	return Request{message: r}
}

// defaultMetric6 is what the kernel gives an IPv6 route without one
// (IP6_RT_PRIO_USER in include/uapi/linux/ipv6_route.h).
const defaultMetric6 = 1024

func parseRoute(body []byte) (Route, bool) {
	if len(body) < unix.SizeofRtMsg {
		return Route{}, false
	}
	header := nl.DeserializeRtMsg(body)
	attributes, err := parseAttributes(body[unix.SizeofRtMsg:])
	if err != nil || header.Type != unix.RTN_UNICAST || header.Flags&unix.RTM_F_CLONED != 0 {
		return Route{}, false
	}
	table := uint32(header.Table)
	destination := netip.IPv4Unspecified()
	if header.Family == unix.AF_INET6 {
		destination = netip.IPv6Unspecified()
	}
	r := Route{Protocol: header.Protocol}
	for _, a := range attributes {
		switch a.kind {
		case unix.RTA_DST:
			destination, _ = netip.AddrFromSlice(a.value)
		case unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(a.value)
		case unix.RTA_OIF:
			r.Link = int(number(a.value))
		case unix.RTA_PRIORITY:
			r.Metric = number(a.value)
		case unix.RTA_TABLE:
			table = number(a.value)
		}
	}
	if header.Family == unix.AF_INET6 && r.Metric == defaultMetric6 {
		r.Metric = 0
	}
	r.Destination = netip.PrefixFrom(destination, int(header.Dst_len))
	return r, table == unix.RT_TABLE_MAIN && r.Destination.IsValid() &&
		(header.Family == unix.AF_INET || header.Family == unix.AF_INET6)
}
