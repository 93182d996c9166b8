// Package conntrack forgets connections of published ports that came or went, and of
// containers whose address somebody else is to get.
//
// The kernel translates the addresses of a connection as it did for the first packet,
// whatever the rules say later. So packets of a port that is published no more still
// reach the container that had it, and those of somebody who sent before a port was
// published still do not reach the container. Forgetting the connection makes its next
// packet the first one.
//
// # What it costs
//
// The kernel finds a connection by all of its addresses and ports, and nobody knows the
// client's. So it has to walk over its table, which is one for all network namespaces, in
// one of two ways. A deletion with a filter looks at the buckets that are not empty, one
// by one. A dump locks each bucket, and as long as the answer has room, of 32 KiB, the
// processor takes no packets. With the 262,144 buckets of a machine of more than 4 GiB
// (BenchmarkForget; Linux 6.18, 2026):
//
//	entries                          10      1,000     50,000
//	Count                         10 µs      10 µs      10 µs
//	one deletion with a filter   0.1 ms     0.2 ms       9 ms
//	one dump with a filter       2.4 ms     2.5 ms      13 ms
//	one dump without             2.4 ms     3.2 ms      55 ms
//
// Nothing is walked for an empty table, nor for other ports than of UDP that were added,
// and for an address that was released there is nothing to remove. Otherwise there is one
// dump for each family, whatever the number of ports and addresses. [Conn.Removed] and
// [Conn.Released] take deletions with a filter instead as long as they cost less, if the
// kernel has them (Linux 6.11), and if filters can tell just what is meant: of IPv4, and
// ports of TCP and UDP. [Conn.Added] cannot, since no filter says where connections do not
// go. Dumps have a filter that leaves out most of what is not meant (Linux 5.8).
//
// On systems other than Linux there is [Publication] only.
package conntrack

import (
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// Publication is a published port, or a range of ports mapped one to one, as far as
// connections are concerned. The zero value is invalid.
type Publication struct {
	// Protocol is the IANA number: 6 for TCP, 17 for UDP, 132 for SCTP.
	Protocol uint8
	// HostAddr is the address that is published, of the same family as Target. Zero
	// and unspecified (0.0.0.0 or ::) mean any address of the host.
	HostAddr netip.Addr
	// HostPort and HostPortEnd are the first and last port of the host. A zero
	// HostPortEnd means that there is just one.
	HostPort, HostPortEnd uint16
	// Target is the container's address. Its family is that of the publication.
	Target netip.Addr
	// TargetPort is the container's port for HostPort; the ports behind follow one by
	// one.
	TargetPort uint16
}

// normal returns p in the form that matching wants: addresses as the kernel has them, no
// HostAddr where any will do, and HostPortEnd set. The address is of its family.
func (p Publication) normal() (Publication, netip.Addr, error) {
	invalid := func(format string, args ...any) (Publication, netip.Addr, error) {
		return p, p.Target, cnm.E(fmt.Sprintf("publication of port %d", p.HostPort), cnm.Invalid, fmt.Errorf(format, args...))
	}
	p.HostAddr, p.Target = plain(p.HostAddr), plain(p.Target)
	if p.HostAddr.IsUnspecified() {
		p.HostAddr = netip.Addr{}
	}
	if p.HostPortEnd == 0 {
		p.HostPortEnd = p.HostPort
	}
	switch netstate.Protocol(p.Protocol) {
	case netstate.TCP, netstate.UDP, netstate.SCTP:
	default:
		return invalid("protocol %d: want 6 (TCP), 17 (UDP) or 132 (SCTP)", p.Protocol)
	}
	switch {
	case !p.Target.IsValid() || p.Target.IsUnspecified():
		return invalid("target %q: want the container's address", p.Target)
	case p.HostAddr.IsValid() && p.HostAddr.Is4() != p.Target.Is4():
		return invalid("host address %q and target %q: want both of one family", p.HostAddr, p.Target)
	case p.HostPort == 0 || p.HostPortEnd < p.HostPort:
		return invalid("ports %d to %d: want a range that begins above 0", p.HostPort, p.HostPortEnd)
	case p.TargetPort == 0 || int(p.TargetPort)+p.ports()-1 > 65535:
		return invalid("ports %d to %d for the container's from %d on: want those in 1 to 65535",
			p.HostPort, p.HostPortEnd, p.TargetPort)
	}
	return p, p.Target, nil
}

// normalAddress does the same for the address of a container.
func normalAddress(a netip.Addr) (netip.Addr, netip.Addr, error) {
	a = plain(a)
	if !a.IsValid() || a.IsUnspecified() {
		return a, a, cnm.E("", cnm.Invalid, fmt.Errorf("address %q: want that of a container", a))
	}
	return a, a, nil
}

// plain returns the address as the kernel's table has it.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// ports returns how many ports p has.
func (p *Publication) ports() int { return int(p.HostPortEnd) - int(p.HostPort) + 1 }

// leads reports whether p takes packets for the host's port to the container's address
// and port. The host's port is one of p's.
func (p *Publication) leads(port uint16, to netip.AddrPort) bool {
	return to == netip.AddrPortFrom(p.Target, p.TargetPort+(port-p.HostPort))
}
