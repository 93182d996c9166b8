package conntrack

import (
	"fmt"
	"net/netip"
	"strings"

	"pgregory.net/rapid"

	"github.com/docker/libnetwork/netstate"
)

// Flow is a connection, in the words of somebody who has never seen the kernel's table:
// Client sent to Sent, and was led to Led. Where the two are the same nothing was
// translated.
type Flow struct {
	Protocol          netstate.Protocol
	Client, Sent, Led netip.AddrPort
}

// ParseFlow reads "udp 198.51.100.2:1000 to 192.0.2.1:53", with " at 172.18.0.2:53" if it
// was translated.
func ParseFlow(text string) Flow {
	word := strings.Fields(text)
	f := Flow{Client: netip.MustParseAddrPort(word[1]), Sent: netip.MustParseAddrPort(word[3])}
	for _, p := range []netstate.Protocol{netstate.TCP, netstate.UDP, netstate.SCTP} {
		if p.String() == word[0] {
			f.Protocol = p
		}
	}
	f.Led = f.Sent
	if len(word) > 4 {
		f.Led = netip.MustParseAddrPort(word[5])
	}
	return f
}

// String is the reverse of ParseFlow.
func (f Flow) String() string {
	text := fmt.Sprintf("%s %s to %s", f.Protocol, f.Client, f.Sent)
	if f.Led != f.Sent {
		text += " at " + f.Led.String()
	}
	return text
}

// entry is how the kernel has it.
func (f Flow) entry() entry {
	return entry{
		original:   tuple{source: f.Client, destination: f.Sent, protocol: uint8(f.Protocol)},
		reply:      tuple{source: f.Led, destination: f.Client, protocol: uint8(f.Protocol)},
		translated: f.Led != f.Sent,
	}
}

// each calls fn with one port of each publication at a time.
func each(publications []Publication, fn func(p Publication, host, target netip.AddrPort) bool) bool {
	for _, p := range publications {
		for port := int(p.HostPort); port <= int(max(p.HostPort, p.HostPortEnd)); port++ {
			target := netip.AddrPortFrom(p.Target, p.TargetPort+uint16(port)-p.HostPort)
			if fn(p, netip.AddrPortFrom(p.HostAddr, uint16(port)), target) {
				return true
			}
		}
	}
	return false
}

// Removed is the naive reference for what Removed shall delete.
func (f Flow) Removed(publications []Publication) bool {
	return f.Led != f.Sent && each(publications, func(p Publication, host, target netip.AddrPort) bool {
		wildcard := !p.HostAddr.IsValid() || p.HostAddr.IsUnspecified()
		return p.Protocol == uint8(f.Protocol) && f.Led == target && f.Sent.Port() == host.Port() && (wildcard || f.Sent == host)
	})
}

// Added is the naive reference for what Added shall delete.
func (f Flow) Added(publications []Publication, isLocal func(netip.Addr) bool) bool {
	look := func(address netip.Addr) (covered, led bool) {
		each(publications, func(p Publication, host, target netip.AddrPort) bool {
			if p.HostAddr.IsUnspecified() {
				host = netip.AddrPortFrom(netip.Addr{}, host.Port())
			}
			if p.Target.Is6() == f.Led.Addr().Is6() && p.Protocol == uint8(f.Protocol) && host == netip.AddrPortFrom(address, f.Sent.Port()) {
				covered, led = true, led || f.Led == target
			}
			return false
		})
		return covered, led
	}
	if f.Protocol != netstate.UDP {
		return false
	}
	if covered, led := look(f.Sent.Addr()); covered {
		return !led
	}
	covered, led := look(netip.Addr{})
	return covered && !led && isLocal(f.Sent.Addr())
}

// Released is the naive reference for what Released shall delete.
func (f Flow) Released(addresses []netip.Addr) bool {
	for _, a := range addresses {
		if f.Client.Addr() == a || f.Led.Addr() == a {
			return true
		}
	}
	return false
}

// Few addresses and ports, so that things meet: hosts, containers and others, of each
// family.
func someAddresses(ipv6 bool) (hosts, containers, others []netip.Addr) {
	parse := func(texts ...string) (out []netip.Addr) {
		for _, text := range texts {
			out = append(out, netip.MustParseAddr(text))
		}
		return out
	}
	if ipv6 {
		return parse("2001:db8::1", "2001:db8::2"), parse("fd00::2", "fd00::3", "fd00::4"), parse("2001:db8:9::1")
	}
	return parse("192.0.2.1", "192.0.2.2"), parse("172.18.0.2", "172.18.0.3", "172.18.0.4"), parse("198.51.100.9")
}

// IsLocal knows the hosts.
func IsLocal(a netip.Addr) bool {
	hosts4, _, _ := someAddresses(false)
	hosts6, _, _ := someAddresses(true)
	return a == hosts4[0] || a == hosts4[1] || a == hosts6[0] || a == hosts6[1]
}

func drawProtocol(t *rapid.T) netstate.Protocol {
	return rapid.SampledFrom([]netstate.Protocol{netstate.TCP, netstate.UDP, netstate.UDP, netstate.SCTP}).Draw(t, "protocol")
}

func drawPort(t *rapid.T) uint16 { return rapid.Uint16Range(1, 6).Draw(t, "port") }

// DrawPublications draws any number that make sense.
func DrawPublications(t *rapid.T) []Publication {
	one := rapid.Custom(func(t *rapid.T) Publication {
		hosts, containers, _ := someAddresses(rapid.Bool().Draw(t, "IPv6"))
		zero, unspecified := netip.Addr{}, netip.IPv4Unspecified()
		if hosts[0].Is6() {
			unspecified = netip.IPv6Unspecified()
		}
		p := Publication{
			Protocol: uint8(drawProtocol(t)), HostAddr: rapid.SampledFrom(append(hosts, zero, unspecified)).Draw(t, "host address"),
			HostPort: drawPort(t), Target: rapid.SampledFrom(containers).Draw(t, "target"), TargetPort: drawPort(t),
		}
		if rapid.Bool().Draw(t, "range") {
			p.HostPortEnd = p.HostPort + rapid.Uint16Range(0, 3).Draw(t, "more ports")
		}
		return p
	})
	return rapid.SliceOfN(one, 1, 8).Draw(t, "publications")
}

// DrawFlows draws at most a number of them, with different clients.
func DrawFlows(t *rapid.T, most int) []Flow {
	var flows []Flow
	for i := range rapid.IntRange(1, most).Draw(t, "number of flows") {
		hosts, containers, others := someAddresses(rapid.Bool().Draw(t, "IPv6"))
		all := append(append(others, containers...), hosts...)
		address := rapid.SampledFrom(all)
		f := Flow{
			Protocol: drawProtocol(t), Client: netip.AddrPortFrom(address.Draw(t, "client"), uint16(1000+i)),
			Sent: netip.AddrPortFrom(address.Draw(t, "sent to"), drawPort(t)),
		}
		f.Led = f.Sent
		if rapid.IntRange(0, 3).Draw(t, "translated, if not 0") > 0 {
			f.Led = netip.AddrPortFrom(rapid.SampledFrom(containers).Draw(t, "led to"), drawPort(t))
		}
		flows = append(flows, f)
	}
	return flows
}

// DrawAddresses draws some of containers.
func DrawAddresses(t *rapid.T) []netip.Addr {
	_, containers4, _ := someAddresses(false)
	_, containers6, _ := someAddresses(true)
	return rapid.SliceOfNDistinct(rapid.SampledFrom(append(containers4, containers6...)), 1, 4, rapid.ID).Draw(t, "addresses")
}
