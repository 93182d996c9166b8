package kernel_test

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/docker/libnetwork/netstate"
)

// What follows does, in the namespace of the calling thread and by other means than
// this package's, what somebody else on the machine may do.

func addByHand(link string, prefix netip.Prefix) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{
		IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}})
}

func neighborByHand(link string, n netstate.Neighbor) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	return netlink.NeighSet(&netlink.Neigh{
		LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: n.IP.AsSlice(), HardwareAddr: n.MAC.HardwareAddr(),
	})
}

// learned returns the MAC address by which the namespace knows an IP address.
func learned(link string, ip netip.Addr) (netstate.MAC, error) {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return netstate.MAC{}, err
	}
	family := netlink.FAMILY_V6
	if ip.Is4() {
		family = netlink.FAMILY_V4
	}
	list, err := netlink.NeighList(l.Attrs().Index, family)
	if err != nil {
		return netstate.MAC{}, err
	}
	for _, n := range list {
		if n.IP.Equal(ip.AsSlice()) {
			return netstate.MACFrom(n.HardwareAddr)
		}
	}
	return netstate.MAC{}, nil
}
