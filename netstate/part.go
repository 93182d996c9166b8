package netstate

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// Part is what one owner contributes to one network namespace.
type Part struct {
	// Owner is "network/<id>", "endpoint/<id>", "sandbox/<id>", or for what networks
	// share "parent/<link>". It is written to the kernel as the mark of what is ours. Empty only in observed parts:
	// what somebody else made, which is never changed or removed.
	Owner string `json:"owner"`
	// Namespace is the path of the namespace's file; empty means the host.
	Namespace string     `json:"namespace,omitempty"`
	Links     []Link     `json:"links,omitempty"`
	Addrs     []Addr     `json:"addrs,omitempty"`
	Routes    []Route    `json:"routes,omitempty"`
	Neighbors []Neighbor `json:"neighbors,omitempty"`
	Limits    []Limit    `json:"limits,omitempty"`
	Sysctls   []Sysctl   `json:"sysctls,omitempty"`
	// Intents are the packet filter's; only the host's namespace has them.
	Intents []Intent `json:"intents,omitempty"`
}

// IntentParts returns intents as parts of the host, one for each owner, in an order that
// depends on nothing else. What split makes of an entry are the owner and the intent.
func IntentParts[E any](entries iter.Seq[E], split func(E) (owner string, intent Intent)) []Part {
	type entry struct {
		owner, text string
		intent      Intent
	}
	var all []entry
	for e := range entries {
		owner, intent := split(e)
		all = append(all, entry{owner, intent.String(), intent})
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.text, b.text)) })
	var parts []Part
	for i, e := range all {
		if i == 0 || e.owner != all[i-1].owner {
			parts = append(parts, Part{Owner: e.owner})
		}
		last := &parts[len(parts)-1]
		last.Intents = append(last.Intents, e.intent)
	}
	return parts
}

// Kind is the type of a link.
type Kind string

// Kinds of link.
const (
	// Bridge is an Ethernet bridge.
	Bridge Kind = "bridge"
	// Veth is one end of a virtual Ethernet pair. The end whose Peer is set is the
	// one that creates the pair; the other end is born with it, in Peer.Namespace.
	Veth Kind = "veth"
	// Macvlan has a MAC address of its own on the Ethernet segment of its Parent.
	Macvlan Kind = "macvlan"
	// IPvlan shares the MAC address of its Parent, and has IP addresses of its own.
	IPvlan Kind = "ipvlan"
	// VLAN carries what is tagged with VLANID on its Parent (IEEE 802.1Q).
	VLAN Kind = "vlan"
	// Dummy leads nowhere: what hangs on it is a segment of its own.
	Dummy Kind = "dummy"
	// IFB is where a Limit on what a link receives lets it wait.
	IFB Kind = "ifb"
	// Existing is a link that is there already and stays when its owner goes, as
	// the loopback. It is brought up; it is never marked, created or deleted.
	Existing Kind = "existing"
)

// DefaultMTU is what a Link with MTU zero gets, in bytes (IEEE 802.3).
const DefaultMTU = 1500

// Link is a network interface. A wished link is always up.
type Link struct {
	// Name is unique in its namespace, 1 to 15 bytes.
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// MAC zero leaves the choice to the kernel.
	MAC MAC `json:"mac,omitzero"`
	// MTU is in bytes; zero means DefaultMTU, for links with a Parent that of the
	// Parent, and for Existing and adopted links "as it is".
	MTU int `json:"mtu,omitempty"`
	// Isolated keeps a port of a bridge from the other isolated ports of that bridge: it
	// reaches only the bridge itself and ports that are not isolated.
	Isolated bool `json:"isolated,omitempty"`
	// Hairpin lets a port of a bridge have back what came from it: where bridges filter
	// by the rules for IP (br_netfilter), what a container sends to its own published
	// port is turned round by the bridge.
	Hairpin bool `json:"hairpin,omitempty"`
	// NoIPv6 keeps the kernel from giving the link an IPv6 address of its own, and so
	// from sending anything by IPv6. On bridges with many ports that counts: each such
	// packet goes to all of them. Existing links are left as they are.
	NoIPv6 bool `json:"noIPv6,omitempty"`
	// Master is the bridge this link is a port of, in the same namespace.
	Master string `json:"master,omitempty"`
	// Peer is the other end of a Veth, set at the creating end only.
	Peer Peer `json:"peer,omitzero"`
	// Parent is the link of the host that a Macvlan, IPvlan or VLAN hangs on, whichever
	// namespace this one is in. It goes with its parent.
	Parent string `json:"parent,omitempty"`
	// Mode is one of those below, of a Macvlan or an IPvlan.
	Mode Mode `json:"mode,omitempty"`
	// Flag says of an IPvlan who may talk to whom: ModeBridge, ModePrivate or ModeVEPA.
	Flag Mode `json:"flag,omitempty"`
	// VLANID, of a VLAN, is 1 to 4094.
	VLANID int `json:"vlanID,omitempty"`
	// Carries says what is to hang on the link. One that cannot carry it is refused when
	// it is brought up. It is zero in observed links.
	Carries Load `json:"carries,omitzero"`
	// Adopt, for a Bridge, takes a bridge of that name that somebody else made
	// as it stands, and never deletes it; without one it is made like any other. For a
	// VLAN it takes any link of that name.
	Adopt bool `json:"adopt,omitempty"`
	// Handover says that somebody else takes the link to where it belongs, and then has it.
	// It is made and marked, and never brought up.
	Handover bool `json:"handover,omitempty"`
	// Down is true only in observed links.
	Down bool `json:"down,omitempty"`
}

// Mode is how the links on one parent deal with each other.
type Mode string

// Modes. Those of a Macvlan, and flags of an IPvlan:
const (
	// ModeBridge lets links on one parent talk to each other.
	ModeBridge Mode = "bridge"
	// ModePrivate keeps them apart.
	ModePrivate Mode = "private"
	// ModeVEPA sends everything out by the parent: a switch there may send it back
	// (IEEE 802.1Qbg).
	ModeVEPA Mode = "vepa"
	// ModePassthru, of a Macvlan only, takes the parent for one link.
	ModePassthru Mode = "passthru"
)

// Modes of an IPvlan. They are the parent's: a link in another mode changes that of all.
const (
	// ModeL2 switches by IP address, and sends ARP and broadcasts.
	ModeL2 Mode = "l2"
	// ModeL3 routes as the host does, with no neighbours to look for and no broadcasts.
	ModeL3 Mode = "l3"
	// ModeL3S is ModeL3 through the host's packet filter, with its connections.
	ModeL3S Mode = "l3s"
)

// Load is what hangs on a parent. The zero Load is none.
type Load struct {
	// Kind is Macvlan or IPvlan: no link carries both.
	Kind Kind `json:"kind,omitempty"`
	// Mode and Flag are what all on the parent must have in common: those of an IPvlan.
	Mode Mode `json:"mode,omitempty"`
	Flag Mode `json:"flag,omitempty"`
	// Alone says that there can be no other on the parent.
	Alone bool `json:"alone,omitempty"`
	// MTU, in bytes, is the least that the parent must have; zero is any.
	MTU int `json:"mtu,omitempty"`
}

// Peer names the other end of a veth pair.
type Peer struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

// Addr is an address on a link. IPv6 addresses are set without duplicate address
// detection: IPAM has already made them unique.
type Addr struct {
	Link string `json:"link"`
	// Prefix holds the address itself and the length of its subnet.
	Prefix netip.Prefix `json:"prefix"`
}

// Route is a unicast route of the main table. Routes that the kernel derives from
// an address are not listed.
type Route struct {
	// Destination is masked; 0.0.0.0/0 or ::/0 is the default route.
	Destination netip.Prefix `json:"destination"`
	// Gateway zero means that the destination is on the link itself.
	Gateway netip.Addr `json:"gateway,omitzero"`
	Link    string     `json:"link"`
	// Metric zero is the kernel's default: 0 for IPv4, 1024 for IPv6.
	Metric uint32 `json:"metric,omitempty"`
}

// Neighbor is a permanent entry of the neighbour (ARP, NDP) table.
type Neighbor struct {
	Link string     `json:"link"`
	IP   netip.Addr `json:"ip"`
	MAC  MAC        `json:"mac"`
}

// Limit bounds how fast a link sends, or how fast it receives.
type Limit struct {
	Link string `json:"link"`
	// Through, if it is set, is a link of kind IFB in the same namespace, for this limit
	// alone: what Link receives waits there. Otherwise the limit is for what Link sends.
	Through string `json:"through,omitempty"`
	// Rate is in bits per second: a multiple of 8, and at least LeastRate.
	Rate uint64 `json:"rate"`
	// Burst is what may pass at once, in bytes. It must hold the largest packet.
	Burst uint32 `json:"burst"`
}

// LeastRate and MostRate bound a Limit, in bits per second. What waits must fit into the
// 32 bits that the kernel has for its size in bytes (struct tc_tbf_qopt in
// include/uapi/linux/pkt_sched.h).
const (
	LeastRate = 8_000
	MostRate  = 400_000_000_000
)

// Sysctl is one value below /proc/sys of the namespace. When its owner goes it is
// left as it is, but for After: it belongs on links that go too.
type Sysctl struct {
	// Key is a slash-separated path, for instance net/ipv4/conf/eth0/forwarding.
	Key   string `json:"key"`
	Value string `json:"value"`
	// Optional tolerates a kernel that does not have the key.
	Optional bool `json:"optional,omitempty"`
	// After, if it is not empty, is what the value becomes when its owner goes: for what
	// is on a link that may stay. A link that has gone with it is no error.
	After string `json:"after,omitempty"`
	// Warning is logged when the value had been another: for what changes more than
	// its owner's own links.
	Warning string `json:"warning,omitempty"`
}
