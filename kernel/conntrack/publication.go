// Package conntrack forgets connections of published ports that came or went.
//
// The kernel translates the addresses of a connection as it did for the first packet,
// whatever the rules say later. So packets of a port that is published no more still
// reach the container that had it, and those of somebody who sent before a port was
// published still do not reach the container. Forgetting the connection makes its next
// packet the first one.
//
// A [Conn] is a netlink socket in one namespace. What it need not see stays in the
// kernel: dumps are filtered there, as far as the kernel can (Linux 5.8).
//
// On systems other than Linux there is [Publication] only.
package conntrack

import (
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
)

// Numbers of the transport protocols that have ports to publish (IANA, Assigned
// Internet Protocol Numbers).
const (
	protocolTCP  = 6
	protocolUDP  = 17
	protocolSCTP = 132
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
	// one. Zero means that the container's ports do not matter.
	TargetPort uint16
}

// normal returns p in the form that matching wants: addresses as the kernel has them, no
// HostAddr where any will do, and HostPortEnd set.
func (p Publication) normal() (Publication, error) {
	invalid := func(format string, args ...any) (Publication, error) {
		return p, cnm.E(fmt.Sprintf("publication of port %d", p.HostPort), cnm.Invalid, fmt.Errorf(format, args...))
	}
	p.HostAddr, p.Target = p.HostAddr.Unmap().WithZone(""), p.Target.Unmap().WithZone("")
	if p.HostAddr.IsUnspecified() {
		p.HostAddr = netip.Addr{}
	}
	if p.HostPortEnd == 0 {
		p.HostPortEnd = p.HostPort
	}
	switch {
	case p.Protocol != protocolTCP && p.Protocol != protocolUDP && p.Protocol != protocolSCTP:
		return invalid("protocol %d: want 6 (TCP), 17 (UDP) or 132 (SCTP)", p.Protocol)
	case !p.Target.IsValid() || p.Target.IsUnspecified():
		return invalid("target %q: want the container's address", p.Target)
	case p.HostAddr.IsValid() && p.HostAddr.Is4() != p.Target.Is4():
		return invalid("host address %q and target %q: want both of one family", p.HostAddr, p.Target)
	case p.HostPort == 0 || p.HostPortEnd < p.HostPort:
		return invalid("ports %d to %d: want a range that begins above 0", p.HostPort, p.HostPortEnd)
	case int(p.TargetPort)+int(p.HostPortEnd-p.HostPort) > 65535:
		return invalid("ports %d to %d: their ports of the container, from %d on, would go beyond 65535",
			p.HostPort, p.HostPortEnd, p.TargetPort)
	}
	return p, nil
}

// leads reports whether p takes packets for the host's port to the container's address
// and port. The host's port is one of p's.
func (p *Publication) leads(port uint16, to netip.AddrPort) bool {
	return to.Addr() == p.Target && (p.TargetPort == 0 || to.Port() == p.TargetPort+(port-p.HostPort))
}
