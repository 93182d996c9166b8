package diag

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/survey"
	"github.com/docker/libnetwork/netstate"
)

func (x *examination) checkRecords() []complaint {
	var out []complaint
	for _, d := range x.differences {
		// Settings are written anew by each repair, whether they differ or not: they have a
		// check of their own.
		changes := slices.DeleteFunc(slices.Clone(d.Changes), func(line string) bool { return strings.Contains(line, ": "+string(netstate.Write)+" sysctl ") })
		if len(changes) > 0 {
			out = append(out, warn("dnet repair", "%s: %s", d.Subject, strings.Join(changes, "; ")))
		}
	}
	return out
}

// hostSettings are those of the host that networks ask for.
func hostSettings(records libnetwork.Records) []netstate.Sysctl {
	var out []netstate.Sysctl
	for _, n := range records.Networks {
		for _, p := range n.Parts {
			if p.Namespace == "" {
				out = append(out, p.Sysctls...)
			}
		}
	}
	return out
}

func (x *examination) checkSettings() []complaint {
	var out []complaint
	for _, s := range hostSettings(x.records) {
		value, known := x.machine.Sysctls[s.Key]
		if known && value != s.Value && s.Key != keyForward4 && s.Key != keyForward6 {
			out = append(out, warn("dnet repair", "%s is %s, and a network needs it to be %s", s.Key, value, s.Value))
		}
	}
	return slices.Compact(out)
}

// mark starts the alias of the links of every controller, before its name.
const mark = "libnetwork "

func (x *examination) checkOtherControllers() []complaint {
	count := make(map[string]int)
	var names []string
	for _, l := range x.machine.Host.Links {
		words := strings.Fields(l.Alias)
		if !strings.HasPrefix(l.Alias, mark) || len(words) != 3 || words[1] == x.instance {
			continue
		}
		if count[words[1]]++; count[words[1]] == 1 {
			names = append(names, words[1])
		}
	}
	var out []complaint
	for _, name := range names {
		out = append(out, inform("start the daemon on the data folder of that controller; or, if that is lost, delete the links with ip link delete",
			"there are %d links of a controller %s, which is another one than this", count[name], name))
	}
	return out
}

// pools are the subnets of our networks.
func (x *examination) pools() map[*cnm.Network][]netip.Prefix {
	out := make(map[*cnm.Network][]netip.Prefix)
	for _, n := range x.records.Networks {
		for _, s := range slices.Concat(n.Subnets4, n.Subnets6) {
			if s.Pool.Prefix.IsValid() {
				out[n] = append(out[n], s.Pool.Prefix)
			}
		}
	}
	return out
}

func (x *examination) checkSubnets() []complaint {
	pools := x.pools()
	var out []complaint
	report := func(link string, prefix netip.Prefix, what string) {
		if x.bridges[link] != nil || prefix.Addr().IsLoopback() || prefix.Addr().IsLinkLocalUnicast() || prefix.Bits() == 0 {
			return
		}
		for _, n := range x.records.Networks {
			for _, pool := range pools[n] {
				if bridgeOf(n).Name != "" && pool.Overlaps(prefix) {
					out = append(out, wrong(fmt.Sprintf("move %s to another subnet, or make network %q anew with another --subnet", what, n.Name),
						"subnet %s of network %q overlaps %s of %s", pool, n.Name, prefix, what))
				}
			}
		}
	}
	for _, l := range x.machine.Host.Links {
		for _, address := range l.Addresses {
			report(l.Name, address.Masked(), fmt.Sprintf("link %q", l.Name))
		}
	}
	for _, r := range x.machine.Host.Routes {
		own := slices.ContainsFunc(x.machine.Host.Links, func(l survey.Link) bool {
			return l.Name == r.Link && slices.ContainsFunc(l.Addresses, func(a netip.Prefix) bool { return a.Masked() == r.Destination })
		})
		if !own {
			report(r.Link, r.Destination, fmt.Sprintf("a route by the link %q", r.Link))
		}
	}
	return out
}

func (x *examination) checkPorts() []complaint {
	var out []complaint
	for _, p := range x.machine.Free {
		out = append(out, wrong("restart the daemon", "%s port %s is published, and nobody holds it: a program of the host can take it", p.Protocol, p.Address))
	}
	for _, ep := range x.records.Endpoints {
		for _, b := range ep.Published {
			if s, taken := x.listener(b); taken && ep.SandboxID != "" {
				out = append(out, warn("stop that program, or publish another port",
					"%s port %s is published for endpoint %q, and a program of the host listens at %s: it gets nothing that the packet filter translates", s.Protocol, netip.AddrPortFrom(b.HostIP, s.Address.Port()), ep.Name, s.Address))
			}
		}
	}
	return out
}

// listener returns a program's socket that is in the place of one of ours. A proxy of ours
// listens, too, and a port of UDP that is only held looks as if somebody did.
func (x *examination) listener(b cnm.PortBinding) (survey.Port, bool) {
	if !b.HostIP.IsValid() || b.Proxy || netstate.Protocol(b.Protocol) != netstate.TCP {
		return survey.Port{}, false
	}
	i := slices.IndexFunc(x.machine.Sockets, func(s survey.Port) bool {
		address, port := s.Address.Addr(), s.Address.Port()
		same := address == b.HostIP || address.Is4() == b.HostIP.Is4() && (address.IsUnspecified() || b.HostIP.IsUnspecified())
		return same && s.Protocol == netstate.TCP && port >= b.HostPort && int(port) < int(b.HostPort)+b.Count() && !x.proxied(s)
	})
	if i < 0 {
		return survey.Port{}, false
	}
	return x.machine.Sockets[i], true
}

// proxied reports whether the socket is that of a userland proxy of ours.
func (x *examination) proxied(s survey.Port) bool {
	for _, ep := range x.records.Endpoints {
		for _, b := range ep.Published {
			in := s.Address.Port() >= b.HostPort && int(s.Address.Port()) < int(b.HostPort)+b.Count()
			if b.Proxy && in && b.HostIP == s.Address.Addr() && netstate.Protocol(b.Protocol) == s.Protocol {
				return true
			}
		}
	}
	return false
}

// checkEphemeral looks at rows of ports that are too long to be held: a program of the
// host may be given one of them.
func (x *examination) checkEphemeral() []complaint {
	fields := strings.Fields(x.machine.Sysctls[keyEphemeral])
	if len(fields) != 2 {
		return nil
	}
	first, err1 := strconv.Atoi(fields[0])
	last, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil {
		return nil
	}
	var out []complaint
	for _, ep := range x.records.Endpoints {
		for _, b := range ep.Published {
			from, to := int(b.HostPort), int(b.HostPort)+b.Count()-1
			if b.Count() <= wideRow || to < first || from > last || reserved(x.machine.Sysctls[keyReserved], max(from, first), min(to, last)) {
				continue
			}
			row := fmt.Sprintf("%d-%d", from, to)
			out = append(out, warn("sysctl -w net.ipv4.ip_local_reserved_ports="+row,
				"ports %s are published for endpoint %q, and the host hands out ports from %d to %d to its own programs", row, ep.Name, first, last))
		}
	}
	return out
}

// reserved reports whether all ports from first to last are in a list such as "8080,9000-9100".
func reserved(list string, first, last int) bool {
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 == nil && err2 == nil && from <= first && last <= to {
			return true
		}
	}
	return false
}

// mostPorts is how many a bridge of Linux takes (BR_MAX_PORTS in net/bridge/br_private.h,
// and port number 0 is none).
const mostPorts = 1023

func (x *examination) checkBridgePorts() []complaint {
	count := make(map[string]int)
	for _, l := range x.machine.Host.Links {
		count[l.Master]++
	}
	var out []complaint
	for _, n := range x.records.Networks {
		bridge := bridgeOf(n).Name
		if bridge == "" || count[bridge] < mostPorts*9/10 {
			continue
		}
		level := warn
		if count[bridge] >= mostPorts {
			level = wrong
		}
		out = append(out, level("put further containers into another network", "the bridge of network %q has %d ports of %d that a bridge can have", n.Name, count[bridge], mostPorts))
	}
	return out
}

func (x *examination) checkMTU() []complaint {
	var out []complaint
	for _, n := range x.records.Networks {
		bridge, found := x.machine.Host.Link(bridgeOf(n).Name)
		if !found || n.Internal {
			continue
		}
		for _, anywhere := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			i := slices.IndexFunc(x.machine.Host.Routes, func(r survey.Route) bool { return r.Destination == netip.PrefixFrom(anywhere, 0) })
			if i < 0 || anywhere.Is6() && len(n.Subnets6) == 0 || anywhere.Is4() && len(n.Subnets4) == 0 {
				continue
			}
			out = append(out, tooLong(n, bridge, x.machine.Host, x.machine.Host.Routes[i].Link)...)
		}
	}
	return slices.Compact(out)
}

func tooLong(n *cnm.Network, bridge survey.Link, host survey.Space, name string) []complaint {
	uplink, found := host.Link(name)
	if !found || bridge.MTU <= uplink.MTU {
		return nil
	}
	return []complaint{warn(fmt.Sprintf("make the network anew with the option com.docker.network.driver.mtu=%d", uplink.MTU),
		"packets of network %q may have %d bytes, and those that go out by the link %q only %d; connections may stall", n.Name, bridge.MTU, name, uplink.MTU)}
}
