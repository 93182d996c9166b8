package rtnl

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/netstate"
)

// IFA_PROTO, since Linux 5.18 (include/uapi/linux/if_addr.h); older kernels ignore
// it.
const ifaProto = 11

// Addr is an address as the kernel reports it.
type Addr struct {
	Link     int // index
	Prefix   netip.Prefix
	Protocol uint8
}

// AddAddr sets an address, without duplicate address detection.
func AddAddr(link int, prefix netip.Prefix) Request {
	r := addrRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, link, prefix)
	r.AddData(nl.NewRtAttr(ifaProto, []byte{Protocol}))
	if prefix.Addr().Is4() && prefix.Bits() < 31 {
		r.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, broadcast(prefix)))
	}
	return Request{message: r}
}

// RemoveAddr takes an address away.
func RemoveAddr(link int, prefix netip.Prefix) Request {
	return Request{message: addrRequest(unix.RTM_DELADDR, 0, link, prefix)}
}

func addrRequest(kind, flags, link int, prefix netip.Prefix) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(kind, flags)
	header := nl.NewIfAddrmsg(family(prefix.Addr()))
	header.Index = uint32(link)
	header.Prefixlen = uint8(prefix.Bits())
	if prefix.Addr().Is6() {
		header.Flags = unix.IFA_F_NODAD
	}
	r.AddData(header)
	address := prefix.Addr().AsSlice()
	r.AddData(nl.NewRtAttr(unix.IFA_LOCAL, address))
	r.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, address))
	return r
}

func family(address netip.Addr) int {
	if address.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func broadcast(prefix netip.Prefix) []byte {
	b := prefix.Addr().As4()
	host := ^uint32(0) >> prefix.Bits()
	return binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b[:])|host)
}

func allAddrs() Request {
	r := nl.NewNetlinkRequest(unix.RTM_GETADDR, 0)
	r.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	return Request{message: r}
}

func parseAddr(body []byte) (Addr, bool) {
	if len(body) < unix.SizeofIfAddrmsg {
		return Addr{}, false
	}
	header := nl.DeserializeIfAddrmsg(body)
	attributes, err := parseAttributes(body[unix.SizeofIfAddrmsg:])
	if err != nil {
		return Addr{}, false
	}
	a := Addr{Link: int(header.Index)}
	var address, local netip.Addr
	for _, attribute := range attributes {
		switch attribute.kind {
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(attribute.value)
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(attribute.value)
		case ifaProto:
			if len(attribute.value) > 0 {
				a.Protocol = attribute.value[0]
			}
		}
	}
	// On point-to-point links IFA_ADDRESS is the other side.
	if local.IsValid() {
		address = local
	}
	a.Prefix = netip.PrefixFrom(address, int(header.Prefixlen))
	return a, a.Prefix.IsValid()
}

// Neighbor is an entry of a neighbour table as the kernel reports it.
type Neighbor struct {
	Link     int // index
	IP       netip.Addr
	MAC      netstate.MAC
	Protocol uint8
}

// ndaProtocol is NDA_PROTOCOL (include/uapi/linux/neighbour.h), since Linux 5.0.
const ndaProtocol = 12

// AddNeighbor sets a permanent entry.
func AddNeighbor(link int, ip netip.Addr, mac netstate.MAC) Request {
	r := neighborRequest(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, link, ip)
	r.AddData(nl.NewRtAttr(unix.NDA_LLADDR, mac[:]))
	r.AddData(nl.NewRtAttr(ndaProtocol, []byte{Protocol}))
	return Request{message: r}
}

// RemoveNeighbor takes an entry away.
func RemoveNeighbor(link int, ip netip.Addr) Request {
	return Request{message: neighborRequest(unix.RTM_DELNEIGH, 0, link, ip)}
}

func neighborRequest(kind, flags, link int, ip netip.Addr) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(kind, flags)
	r.AddData(&neighborHeader{family: uint8(family(ip)), index: uint32(link), state: unix.NUD_PERMANENT})
	r.AddData(nl.NewRtAttr(unix.NDA_DST, ip.AsSlice()))
	return r
}

// neighborHeader is struct ndmsg (include/uapi/linux/neighbour.h).
type neighborHeader struct {
	family uint8
	index  uint32
	state  uint16
}

// Len returns the encoded size, in bytes.
func (h *neighborHeader) Len() int { return unix.SizeofNdMsg }

// Serialize returns the encoded header.
func (h *neighborHeader) Serialize() []byte {
	b := make([]byte, unix.SizeofNdMsg)
	b[0] = h.family
	binary.NativeEndian.PutUint32(b[4:], h.index)
	binary.NativeEndian.PutUint16(b[8:], h.state)
	return b
}

func allNeighbors() Request {
	r := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	r.AddData(&neighborHeader{})
	return Request{message: r}
}

func parseNeighbor(body []byte) (Neighbor, bool) {
	if len(body) < unix.SizeofNdMsg {
		return Neighbor{}, false
	}
	attributes, err := parseAttributes(body[unix.SizeofNdMsg:])
	if err != nil || binary.NativeEndian.Uint16(body[8:])&unix.NUD_PERMANENT == 0 {
		return Neighbor{}, false
	}
	n := Neighbor{Link: int(binary.NativeEndian.Uint32(body[4:]))}
	for _, a := range attributes {
		switch a.kind {
		case unix.NDA_DST:
			n.IP, _ = netip.AddrFromSlice(a.value)
		case unix.NDA_LLADDR:
			if len(a.value) != len(n.MAC) {
				return Neighbor{}, false
			}
			copy(n.MAC[:], a.value)
		case ndaProtocol:
			if len(a.value) > 0 {
				n.Protocol = a.value[0]
			}
		}
	}
	return n, n.IP.IsValid()
}
