package rtnl

import (
	"bytes"
	"encoding/binary"
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/netstate"
)

// Attributes of a veth pair (include/uapi/linux/veth.h).
const vethInfoPeer = 1

// Link is a link as the kernel reports it.
type Link struct {
	Index  int
	Name   string
	Kind   string // "bridge", "veth", ...; empty for physical links and the loopback
	Alias  string
	MAC    net.HardwareAddr
	MTU    int
	Master int // index, or 0
	Group  uint32
	Up     bool
	Loop   bool // the loopback
	// Ethernet links have MAC addresses and Ethernet frames.
	Ethernet bool
	// Queue is the kind of the queueing discipline for what the link sends.
	Queue  string
	NoIPv6 bool // the kernel gives it no IPv6 address of its own
	// Port is zero for what is no port of a bridge.
	Port BridgePort
	// Mode, Flag and VLANID are of links that hang on another one.
	Mode, Flag netstate.Mode
	VLANID     int
	// Peer is the index of a veth's other end, or of the link that one of the kinds
	// Macvlan, IPvlan or VLAN hangs on, in the namespace that this one knows
	// as PeerNamespaceID; without HasPeerNamespace it is this very namespace.
	Peer             int
	PeerNamespaceID  int32
	HasPeerNamespace bool

	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// BridgePort is what a port of a bridge is besides. The zero value is that of a new one.
type BridgePort struct {
	// Isolated: it does not reach other isolated ports.
	Isolated bool
	// Hairpin: what came from it may go back to it.
	Hairpin bool
}

// Attributes are what can be set on a link; nil and zero leave things as they are.
type Attributes struct {
	Alias string
	MAC   net.HardwareAddr
	MTU   int
	// Master is the index of the bridge; a pointer to zero takes it out of its
	// bridge.
	Master *int
	// NoIPv6 says whether the kernel may give the link an IPv6 address of its own.
	NoIPv6 *bool
	Up     bool
}

func (a Attributes) add(r *nl.NetlinkRequest) {
	if a.Alias != "" {
		r.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(a.Alias)))
	}
	if len(a.MAC) > 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, []byte(a.MAC)))
	}
	if a.MTU > 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(a.MTU))))
	}
	if a.Master != nil {
		r.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(*a.Master))))
	}
	if a.NoIPv6 != nil {
		mode := byte(generateEUI64)
		if *a.NoIPv6 {
			mode = generateNone
		}
		spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
		spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(inet6AddrGenMode, []byte{mode})
		r.AddData(spec)
	}
}

// IFLA_INET6_ADDR_GEN_MODE and its values (include/uapi/linux/if_link.h).
const (
	inet6AddrGenMode = 8
	generateEUI64    = 0
	generateNone     = 1
)

// NewBridge makes a bridge, down, in our group.
func NewBridge(name string, a Attributes) Request {
	r := newLink(name, a)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	r.AddData(info)
	return Request{message: r}
}

// NewVeth makes a pair, down, with the peer in the namespace of the descriptor:
// moving it there later would cost the kernel 20 ms.
func NewVeth(name string, a Attributes, peer string, namespace int) Request {
	r := newLink(name, a)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	end := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(vethInfoPeer, nil)
	nl.NewIfInfomsgChild(end, unix.AF_UNSPEC)
	end.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(peer))
	end.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(namespace)))
	r.AddData(info)
	return Request{message: r}
}

func newLink(name string, a Attributes) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(Group)))
	// These two the kernel takes for a link that is there already only.
	a.Alias, a.NoIPv6 = "", nil
	a.add(r)
	return r
}

// SetLink changes a link, by name.
func SetLink(name string, a Attributes) Request {
	r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	if a.Up {
		header.Flags, header.Change = unix.IFF_UP, unix.IFF_UP
	}
	r.AddData(header)
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	a.add(r)
	return Request{message: r}
}

// IFLA_INFO_SLAVE_KIND and IFLA_INFO_SLAVE_DATA, and of the latter for a port of a bridge
// IFLA_BRPORT_MODE and IFLA_BRPORT_ISOLATED (include/uapi/linux/if_link.h).
const (
	infoSlaveKind      = 4
	infoSlaveData      = 5
	bridgePortMode     = 4
	bridgePortIsolated = 33
)

// MoveLink moves a link, by index, into the namespace of the descriptor, and renames it.
func MoveLink(index int, name string, namespace int) Request {
	r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	r.AddData(header)
	r.AddData(nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(namespace))))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return Request{message: r}
}

// ClearAlias takes a link's alias away, by name.
func ClearAlias(name string) Request {
	r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, nil))
	return Request{message: r}
}

// SetBridgePort says what a port of a bridge, by name, is. It must be in its bridge already.
func SetBridgePort(name string, port BridgePort) Request {
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, 0)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	flag := func(on bool) []byte {
		if on {
			return []byte{1}
		}
		return []byte{0}
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(infoSlaveKind, nl.NonZeroTerminated("bridge"))
	data := info.AddRtAttr(infoSlaveData, nil)
	data.AddRtAttr(bridgePortMode, flag(port.Hairpin))
	data.AddRtAttr(bridgePortIsolated, flag(port.Isolated))
	r.AddData(info)
	return Request{message: r}
}

// DeleteLink deletes a link, by index.
func DeleteLink(index int) Request {
	r := nl.NewNetlinkRequest(unix.RTM_DELLINK, 0)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	r.AddData(header)
	return Request{message: r}
}

// SetLinkGroup puts a link, by index, into a group.
func SetLinkGroup(index int, group uint32) Request {
	r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	r.AddData(header)
	r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	return Request{message: r}
}

// DeleteLinkGroup deletes all links of a group at once.
func DeleteLinkGroup(group uint32) Request {
	r := nl.NewNetlinkRequest(unix.RTM_DELLINK, 0)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	return Request{message: r}
}

// GetLink reads a link by name into out.
func GetLink(name string, out *Link) Request {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return Request{message: r, reply: func(body []byte) { *out, _ = parseLink(body) }}
}

// GetLinkByIndex reads a link by index into out.
func GetLinkByIndex(index int, out *Link) Request {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	r.AddData(header)
	return Request{message: r, reply: func(body []byte) { *out, _ = parseLink(body) }}
}

// allLinks asks for the table of links.
func allLinks() Request {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	return Request{message: r}
}

func parseLink(body []byte) (Link, bool) {
	if len(body) < unix.SizeofIfInfomsg {
		return Link{}, false
	}
	header := nl.DeserializeIfInfomsg(body)
	attributes, err := parseAttributes(body[unix.SizeofIfInfomsg:])
	if err != nil {
		return Link{}, false
	}
	l := Link{
		Index: int(header.Index),
		Up:    header.Flags&unix.IFF_UP != 0,
		Loop:  header.Flags&unix.IFF_LOOPBACK != 0,

		Ethernet: header.Type == unix.ARPHRD_ETHER && header.Flags&unix.IFF_LOOPBACK == 0,
	}
	for _, a := range attributes {
		l.parseAttribute(a.kind, a.value)
	}
	return l, true
}

func (l *Link) parseAttribute(kind uint16, value []byte) {
	switch kind {
	case unix.IFLA_IFNAME:
		l.Name = text(value)
	case unix.IFLA_IFALIAS:
		l.Alias = text(value)
	case unix.IFLA_ADDRESS:
		l.MAC = bytes.Clone(value)
	case unix.IFLA_MTU:
		l.MTU = int(number(value))
	case unix.IFLA_MASTER:
		l.Master = int(number(value))
	case unix.IFLA_GROUP:
		l.Group = number(value)
	case unix.IFLA_QDISC:
		l.Queue = text(value)
	case unix.IFLA_LINK:
		l.Peer = int(number(value))
	case unix.IFLA_LINK_NETNSID:
		l.PeerNamespaceID, l.HasPeerNamespace = int32(number(value)), true
	case unix.IFLA_LINKINFO:
		nested, err := parseAttributes(value)
		if err != nil {
			return
		}
		for _, a := range nested {
			switch a.kind {
			case nl.IFLA_INFO_KIND:
				l.Kind = text(a.value)
			case nl.IFLA_INFO_DATA: // comes behind the kind
				l.parseParented(a.value)
			case infoSlaveData:
				l.Port = bridgePort(a.value)
			}
		}
	case unix.IFLA_AF_SPEC:
		l.NoIPv6 = addrGenMode(value) == generateNone
	case unix.IFLA_STATS64:
		l.parseStatistics(value)
	}
}

// bridgePort reads the attributes of a port; other masters than a bridge may have
// something else under those numbers, but no other is ours.
func bridgePort(data []byte) (port BridgePort) {
	attributes, err := parseAttributes(data)
	if err != nil {
		return BridgePort{}
	}
	for _, a := range attributes {
		on := len(a.value) == 1 && a.value[0] == 1
		switch a.kind {
		case bridgePortMode:
			port.Hairpin = on
		case bridgePortIsolated:
			port.Isolated = on
		}
	}
	return port
}

// addrGenMode returns how the kernel makes IPv6 addresses for the link, or -1.
func addrGenMode(spec []byte) int {
	families, err := parseAttributes(spec)
	if err != nil {
		return -1
	}
	for _, family := range families {
		if family.kind != unix.AF_INET6 {
			continue
		}
		settings, err := parseAttributes(family.value)
		if err != nil {
			return -1
		}
		for _, s := range settings {
			if s.kind == inet6AddrGenMode && len(s.value) > 0 {
				return int(s.value[0])
			}
		}
	}
	return -1
}

// parseStatistics reads the head of struct rtnl_link_stats64
// (include/uapi/linux/if_link.h).
func (l *Link) parseStatistics(value []byte) {
	if len(value) < 64 {
		return
	}
	for i, to := range []*uint64{
		&l.RxPackets, &l.TxPackets, &l.RxBytes, &l.TxBytes,
		&l.RxErrors, &l.TxErrors, &l.RxDropped, &l.TxDropped,
	} {
		*to = binary.NativeEndian.Uint64(value[8*i:])
	}
}

func text(value []byte) string { return string(bytes.TrimRight(value, "\x00")) }

func number(value []byte) uint32 {
	if len(value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(value)
}
