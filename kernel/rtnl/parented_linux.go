package rtnl

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/netstate"
)

// Parented is a link that hangs on another one.
type Parented struct {
	Kind   netstate.Kind // Macvlan, IPvlan or VLAN
	Parent int           // index
	Mode   netstate.Mode
	Flag   netstate.Mode
	VLANID int
}

// Modes in numbers (enum macvlan_mode, enum ipvlan_mode and IPVLAN_F_ in
// include/uapi/linux/if_link.h).
const (
	macvlanPrivate  = 1
	macvlanVEPA     = 2
	macvlanBridge   = 4
	macvlanPassthru = 8

	ipvlanL2      = 0
	ipvlanL3      = 1
	ipvlanL3S     = 2
	ipvlanPrivate = 1
	ipvlanVEPA    = 2
)

// NewParented makes a link that hangs on one of the socket's namespace, down, in our
// group. A namespace that is not negative is the descriptor of the one that the link is
// born in; otherwise that is the socket's too.
func NewParented(name string, a Attributes, p Parented, namespace int) Request {
	r := newLink(name, a)
	r.AddData(nl.NewRtAttr(unix.IFLA_LINK, nl.Uint32Attr(uint32(p.Parent))))
	if namespace >= 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(namespace))))
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(string(p.Kind)))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	switch p.Kind {
	case netstate.Macvlan:
		data.AddRtAttr(nl.IFLA_MACVLAN_MODE, nl.Uint32Attr(macvlanMode(p.Mode)))
	case netstate.IPvlan:
		data.AddRtAttr(nl.IFLA_IPVLAN_MODE, nl.Uint16Attr(ipvlanMode(p.Mode)))
		// Kernels before 4.15 do not know it, nor anything but its absence.
		if flag := ipvlanFlag(p.Flag); flag != 0 {
			data.AddRtAttr(nl.IFLA_IPVLAN_FLAG, nl.Uint16Attr(flag))
		}
	case netstate.VLAN:
		data.AddRtAttr(nl.IFLA_VLAN_ID, nl.Uint16Attr(uint16(p.VLANID)))
	}
	r.AddData(info)
	return Request{message: r}
}

// NewPlain makes a link of a kind that needs nothing else, down, in our group.
func NewPlain(name string, a Attributes, kind netstate.Kind) Request {
	r := newLink(name, a)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(string(kind)))
	r.AddData(info)
	return Request{message: r}
}

// RenameLink gives a link, by index, another name. It must be down.
func RenameLink(index int, name string) Request {
	r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	r.AddData(header)
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return Request{message: r}
}

func macvlanMode(mode netstate.Mode) uint32 {
	switch mode {
	case netstate.ModePrivate:
		return macvlanPrivate
	case netstate.ModeVEPA:
		return macvlanVEPA
	case netstate.ModePassthru:
		return macvlanPassthru
	}
	return macvlanBridge
}

func ipvlanMode(mode netstate.Mode) uint16 {
	switch mode {
	case netstate.ModeL3:
		return ipvlanL3
	case netstate.ModeL3S:
		return ipvlanL3S
	}
	return ipvlanL2
}

func ipvlanFlag(flag netstate.Mode) uint16 {
	switch flag {
	case netstate.ModePrivate:
		return ipvlanPrivate
	case netstate.ModeVEPA:
		return ipvlanVEPA
	}
	return 0
}

// parseParented reads IFLA_INFO_DATA of a link that hangs on another. A mode that we
// know no name for stays empty.
func (l *Link) parseParented(data []byte) {
	attributes, err := parseAttributes(data)
	if err != nil {
		return
	}
	if l.Kind == string(netstate.IPvlan) {
		l.Flag = netstate.ModeBridge
	}
	for _, a := range attributes {
		switch {
		case l.Kind == string(netstate.Macvlan) && a.kind == nl.IFLA_MACVLAN_MODE && len(a.value) >= 4:
			l.Mode = map[uint32]netstate.Mode{
				macvlanPrivate: netstate.ModePrivate, macvlanVEPA: netstate.ModeVEPA,
				macvlanBridge: netstate.ModeBridge, macvlanPassthru: netstate.ModePassthru,
			}[number(a.value)]
		case len(a.value) < 2:
		case l.Kind == string(netstate.IPvlan) && a.kind == nl.IFLA_IPVLAN_MODE:
			l.Mode = map[uint16]netstate.Mode{
				ipvlanL2: netstate.ModeL2, ipvlanL3: netstate.ModeL3, ipvlanL3S: netstate.ModeL3S,
			}[binary.NativeEndian.Uint16(a.value)]
		case l.Kind == string(netstate.IPvlan) && a.kind == nl.IFLA_IPVLAN_FLAG:
			l.Flag = map[uint16]netstate.Mode{
				0: netstate.ModeBridge, ipvlanPrivate: netstate.ModePrivate, ipvlanVEPA: netstate.ModeVEPA,
			}[binary.NativeEndian.Uint16(a.value)]
		case l.Kind == string(netstate.VLAN) && a.kind == nl.IFLA_VLAN_ID:
			l.VLANID = int(binary.NativeEndian.Uint16(a.value))
		}
	}
}
