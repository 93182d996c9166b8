package netstate

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
)

// Intent is what the packet filter shall do, as meaning and not as rules: each back
// end renders it in its own best way. Kind says which fields count; the others are
// zero, so that equal intents are equal values.
//
// Nothing that an intent does not name is touched: packets that neither come from nor
// go to a link of ours pass as if there were no filter.
type Intent struct {
	Kind IntentKind `json:"kind"`
	// Link is the bridge of a network, for all kinds but Masquerade, Publish and Open.
	Link string `json:"link,omitempty"`
	// From, of Allow, is the link that packets come from.
	From string `json:"from,omitempty"`
	// IPv6 says which family Inbound and Confine are about; false is IPv4. All others
	// have an address that tells.
	IPv6 bool `json:"ipv6,omitempty"`
	// Policy, of Inbound, says what is let in.
	Policy Policy `json:"policy,omitempty"`
	// Prefix is the subnet of Hairpin and Masquerade.
	Prefix netip.Prefix `json:"prefix,omitzero"`
	// Source, of Masquerade, is the address that packets get; zero means that of the
	// link they leave by.
	Source netip.Addr `json:"source,omitzero"`
	// Protocol is the transport of Publish and Open: TCP, UDP or SCTP.
	Protocol Protocol `json:"protocol,omitempty"`
	// Host, of Publish, is the host's address; unspecified (0.0.0.0 or ::) means any of
	// that family.
	Host netip.Addr `json:"host,omitzero"`
	// Port and PortEnd, inclusive, are the host's ports for Publish, and the container's
	// for Open. Both are set, also for a single port.
	Port    uint16 `json:"port,omitempty"`
	PortEnd uint16 `json:"portEnd,omitempty"`
	// Target is the container's address for Publish and Open.
	Target netip.Addr `json:"target,omitzero"`
	// TargetPort, of Publish, is the container's port for the host's Port. A range is
	// mapped one to one: then it equals Port.
	TargetPort uint16 `json:"targetPort,omitempty"`
}

// IntentKind is what an Intent is about.
type IntentKind string

// Kinds of intent.
const (
	// Inbound says which packets of a family may be forwarded to Link.
	Inbound IntentKind = "inbound"
	// Confine forwards nothing of a family that comes from Link, but where Allow does.
	Confine IntentKind = "confine"
	// Allow accepts what is forwarded from From to Link, whatever Inbound says. From and
	// Link may be the same: then containers on the bridge may talk to each other.
	Allow IntentKind = "allow"
	// Separate forwards nothing from Link back to Link, published ports neither: what is
	// behind it is kept apart. Allow does not count.
	Separate IntentKind = "separate"
	// Loopback lets the host reach published ports by its IPv4 loopback addresses: packets
	// from there get the address of Link. In turn Link may send nothing to 127.0.0.0/8.
	Loopback IntentKind = "loopback"
	// Hairpin lets what is in Prefix, behind Link, reach ports that are published by a
	// neighbour: such packets get the address of Link. Of what is in Prefix and stays on
	// Link nothing is masqueraded.
	Hairpin IntentKind = "hairpin"
	// Masquerade gives packets from Prefix an address of the host.
	Masquerade IntentKind = "masquerade"
	// Publish sends what comes for ports of the host to Target.
	Publish IntentKind = "publish"
	// Open lets ports of Target be reached where Inbound is Opened.
	Open IntentKind = "open"
)

// Policy is what Inbound lets in, besides answers and what Allow accepts.
type Policy string

// Policies.
const (
	// Published lets in what came for a published port.
	Published Policy = "published"
	// Opened lets in pings and what Open names.
	Opened Policy = "opened"
	// Everything lets in all.
	Everything Policy = "everything"
	// Nothing lets in nothing, no answers either.
	Nothing Policy = "nothing"
)

// Protocol is a transport protocol by its IANA number.
type Protocol uint8

// Transport protocols with ports (IANA Assigned Internet Protocol Numbers).
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String returns the name in lower case, or the number.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return strconv.Itoa(int(p))
}

// PortRange is a range of transport ports, inclusive.
type PortRange struct{ First, Last uint16 }

// Contains reports whether the port is in the range.
func (r PortRange) Contains(port uint16) bool { return r.First <= port && port <= r.Last }

// PortUse is a socket that has a port of the host.
type PortUse struct {
	Address netip.AddrPort
	// Holder is the process, as in `process "nginx" (pid 7)`. It is empty where nobody
	// looked for it.
	Holder string
}

func (Intent) object() {}

// Is6 reports whether the intent is about IPv6. Allow, Separate and Loopback
// are about both families, and report false.
func (i Intent) Is6() bool {
	address := cmp.Or(i.Target, i.Prefix.Addr())
	return i.IPv6 || address.Is6()
}

// Wildcard reports whether a Publish is for any address of the host.
func (i Intent) Wildcard() bool { return i.Host.IsUnspecified() }

// String returns the intent on one line, such as
// "publish tcp 0.0.0.0:8080 to 172.18.0.2:80". ParseIntent reads it.
func (i Intent) String() string {
	switch i.Kind {
	case Inbound:
		return fmt.Sprintf("inbound %s %s %s", family(i.IPv6), i.Link, i.Policy)
	case Confine:
		return fmt.Sprintf("confine %s %s", family(i.IPv6), i.Link)
	case Allow:
		return fmt.Sprintf("allow %s to %s", i.From, i.Link)
	case Loopback, Separate:
		return fmt.Sprintf("%s %s", i.Kind, i.Link)
	case Hairpin:
		return fmt.Sprintf("hairpin %s on %s", i.Prefix, i.Link)
	case Masquerade:
		if i.Source.IsValid() {
			return fmt.Sprintf("masquerade %s as %s", i.Prefix, i.Source)
		}
		return fmt.Sprintf("masquerade %s", i.Prefix)
	case Publish:
		return fmt.Sprintf("publish %s %s to %s", i.Protocol, ports(i.Host, i.Port, i.PortEnd),
			netip.AddrPortFrom(i.Target, i.TargetPort))
	case Open:
		return fmt.Sprintf("open %s %s", i.Protocol, ports(i.Target, i.Port, i.PortEnd))
	}
	return string(i.Kind)
}

func family(ipv6 bool) string {
	if ipv6 {
		return "ipv6"
	}
	return "ipv4"
}

func ports(address netip.Addr, first, last uint16) string {
	text := netip.AddrPortFrom(address, first).String()
	if last != first {
		text += "-" + strconv.Itoa(int(last))
	}
	return text
}
