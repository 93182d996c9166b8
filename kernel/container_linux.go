package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// container implements Container.
type container struct{ h *host }

func (c container) Statistics(ctx context.Context, namespace string, names []string) (map[string]Statistics, error) {
	s, err := c.h.space(namespace)
	if err != nil {
		return nil, cnm.Wrap("statistics", err)
	}
	defer s.release()
	links, err := s.links(ctx, names)
	if err != nil {
		return nil, cnm.Wrap("statistics", err)
	}
	out := make(map[string]Statistics, len(links))
	for name, l := range links {
		out[name] = Statistics{
			RxBytes: l.RxBytes, RxPackets: l.RxPackets, RxErrors: l.RxErrors, RxDropped: l.RxDropped,
			TxBytes: l.TxBytes, TxPackets: l.TxPackets, TxErrors: l.TxErrors, TxDropped: l.TxDropped,
		}
	}
	return out, nil
}

// Prefixes implements Container.
func (c container) Prefixes(ctx context.Context, namespace string) ([]netip.Prefix, error) {
	s, err := c.h.space(namespace)
	if err != nil {
		return nil, cnm.Wrap("look for routes", err)
	}
	defer s.release()
	addrs, err := s.conn.Addrs(ctx)
	if err != nil {
		return nil, cnm.Wrap("look for routes", err)
	}
	routes, err := s.conn.Routes(ctx)
	if err != nil {
		return nil, cnm.Wrap("look for routes", err)
	}
	var out []netip.Prefix
	for _, a := range addrs {
		out = append(out, a.Prefix.Masked())
	}
	for _, r := range routes {
		if r.Destination.Bits() > 0 {
			out = append(out, r.Destination)
		}
	}
	return out, nil
}

func (c container) HasIPv6(ctx context.Context, namespace string) (bool, error) {
	s, err := c.h.space(namespace)
	if err != nil {
		return false, cnm.Wrap("look for IPv6", err)
	}
	defer s.release()
	addrs, err := s.conn.Addrs(ctx)
	if err != nil {
		return false, cnm.Wrap("look for IPv6", err)
	}
	return slices.ContainsFunc(addrs, func(a rtnl.Addr) bool { return a.Prefix.Addr() == netip.IPv6Loopback() }), nil
}

func (c container) Announce(ctx context.Context, namespace, link string, addresses []netip.Addr) error {
	op := fmt.Sprintf("announce addresses of %q", link)
	if err := ctx.Err(); err != nil {
		return cnm.E(op, cnm.Timeout, err)
	}
	s, err := c.h.space(namespace)
	if err != nil {
		return cnm.Wrap(op, err)
	}
	defer s.release()
	var found rtnl.Link
	if err := s.conn.Execute(ctx, rtnl.GetLink(link, &found)); err != nil {
		return errno.Wrap(op, err)
	}
	mac, err := netstate.MACFrom(found.MAC)
	if err != nil {
		return cnm.E(op, cnm.Unsupported, err)
	}
	return errno.Wrap(op, s.namespace.Do(func() error { return sendAll(found.Index, mac, addresses) }))
}

// sendAll sends a frame for each address, on a thread in the namespace.
func sendAll(link int, mac netstate.MAC, addresses []netip.Addr) (err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	for _, address := range addresses {
		var frame []byte
		if address.Is4() {
			frame = arpAnnouncement(mac, address)
		} else {
			frame = neighborAdvertisement(mac, address)
		}
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link}); err != nil {
			return fmt.Errorf("send announcement of %s: %w", address, err)
		}
	}
	return nil
}

// arpAnnouncement is an ARP request for an address by its own holder, broadcast (RFC
// 5227 section 2.3).
func arpAnnouncement(mac netstate.MAC, address netip.Addr) []byte {
	ip := address.As4()
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac[:]...)
	frame = append(frame,
		0x08, 0x06, // EtherType ARP
		0, 1, // Ethernet
		0x08, 0x00, // IPv4
		6, 4, // lengths of the addresses
		0, 1, // request
	)
	frame = append(append(frame, mac[:]...), ip[:]...)
	frame = append(frame, 0, 0, 0, 0, 0, 0)
	return append(frame, ip[:]...)
}

// Sizes of what follows, in bytes.
const (
	ethernetHeader = 14
	ipv6Header     = 40
	advertisement  = 32 // with the link-layer address option
)

// neighborAdvertisement is one that nobody asked for, to all nodes, with the
// override flag (RFC 4861 sections 4.4 and 7.2.6).
func neighborAdvertisement(mac netstate.MAC, address netip.Addr) []byte {
	source := address.As16()
	allNodes := netip.IPv6LinkLocalAllNodes().As16()
	frame := make([]byte, ethernetHeader+ipv6Header+advertisement)
	copy(frame, []byte{0x33, 0x33, 0, 0, 0, 1}) // ff02::1 (RFC 2464 section 7)
	copy(frame[6:], mac[:])
	binary.BigEndian.PutUint16(frame[12:], 0x86dd) // EtherType IPv6

	ip := frame[ethernetHeader:]
	ip[0] = 6 << 4
	binary.BigEndian.PutUint16(ip[4:], advertisement)
	ip[6], ip[7] = unix.IPPROTO_ICMPV6, 255 // hop limit (RFC 4861 section 7.1.2)
	copy(ip[8:], source[:])
	copy(ip[24:], allNodes[:])

	icmp := ip[ipv6Header:]
	icmp[0] = 136  // neighbour advertisement
	icmp[4] = 0x20 // override
	copy(icmp[8:], source[:])
	icmp[24], icmp[25] = 2, 1 // target link-layer address, 8 bytes
	copy(icmp[26:], mac[:])
	binary.BigEndian.PutUint16(icmp[2:], checksum(source, allNodes, icmp))
	return frame
}

// checksum is that of ICMPv6, over the pseudo-header too (RFC 4443 section 2.3).
func checksum(source, destination [16]byte, icmp []byte) uint16 {
	var sum uint32
	add := func(b []byte) {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
	}
	add(source[:])
	add(destination[:])
	add(icmp)
	sum += uint32(len(icmp)) + unix.IPPROTO_ICMPV6
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
