package conntrack

import (
	"encoding/binary"
	"net/netip"

	"github.com/docker/libnetwork/netstate"
)

// filter says which entries of a family are meant. What is zero does not count; ports
// need a protocol.
//
// It has no IPv6 addresses, which the kernel compares the wrong way round: it leaves out
// what is equal, and takes what is not (ctnetlink_filter_match_tuple in
// net/netfilter/nf_conntrack_netlink.c, as of Linux 6.18).
type filter struct {
	ipv6            bool
	original, reply tuple
	translated      bool
}

// Flags of a filter say which parts of its tuples count
// (net/netfilter/nf_internals.h).
const (
	flagSource          = 1 << 0
	flagDestination     = 1 << 1
	flagProtocol        = 1 << 3
	flagSourcePort      = 1 << 4
	flagDestinationPort = 1 << 5
)

// translation is what connections are like that were translated to the publication. If it
// has more than one port, ports do not count.
func translation(p Publication) filter {
	f := filter{ipv6: p.Target.Is6(), translated: true}
	f.original.protocol, f.reply.protocol = p.Protocol, p.Protocol
	if f.ipv6 {
		p.HostAddr, p.Target = netip.Addr{}, netip.Addr{}
	}
	if p.ports() > 1 {
		p.HostPort, p.TargetPort = 0, 0
	}
	f.original.destination = netip.AddrPortFrom(p.HostAddr, p.HostPort)
	f.reply.source = netip.AddrPortFrom(p.Target, p.TargetPort)
	return f
}

// arrival is what connections are like that came for the publication, wherever they were
// led.
func arrival(p Publication) filter {
	f := translation(p)
	return filter{ipv6: f.ipv6, original: f.original}
}

// common returns what is common to what connections of the publications are like. They
// are of one family.
func common(publications []Publication, like func(Publication) filter) filter {
	out := like(publications[0])
	for _, p := range publications[1:] {
		f := like(p)
		out.original, out.reply = out.original.common(f.original), out.reply.common(f.reply)
	}
	return out
}

func (t tuple) common(u tuple) tuple {
	if t.protocol != u.protocol {
		t.protocol, u = 0, tuple{
			source:      netip.AddrPortFrom(u.source.Addr(), 0),
			destination: netip.AddrPortFrom(u.destination.Addr(), 0),
		}
	}
	return tuple{commonEnd(t.source, u.source), commonEnd(t.destination, u.destination), t.protocol}
}

func commonEnd(a, b netip.AddrPort) netip.AddrPort {
	address, port := a.Addr(), a.Port()
	if b.Addr() != address {
		address = netip.Addr{}
	}
	if b.Port() != port {
		port = 0
	}
	return netip.AddrPortFrom(address, port)
}

// exact returns filters for just what was translated to the publications, one for each
// port. There are none if they would be more than limit, for IPv6, whose addresses cannot
// be told apart, and for SCTP, whose ports cannot: the kernel compares those of TCP and UDP
// and takes all others for the ones that are meant.
func exact(publications []Publication, limit int) []filter {
	var out []filter
	for _, p := range publications {
		if p.Target.Is6() || netstate.Protocol(p.Protocol) == netstate.SCTP || p.ports() > limit-len(out) {
			return nil
		}
		for n := range uint16(p.ports()) {
			one := p
			one.HostPort, one.HostPortEnd, one.TargetPort = p.HostPort+n, p.HostPort+n, p.TargetPort+n
			out = append(out, translation(one))
		}
	}
	return out
}

// ends returns filters for just what goes from and to the addresses, of one family. There are none if
// they would be more than limit, and for IPv6.
func ends(addresses []netip.Addr, limit int) []filter {
	if addresses[0].Is6() || 2*len(addresses) > limit {
		return nil
	}
	var out []filter
	for _, a := range addresses {
		end := tuple{source: netip.AddrPortFrom(a, 0)}
		out = append(out, filter{original: end}, filter{reply: end})
	}
	return out
}

// message returns a request about the entries that the filter is for.
//
// As a deletion, kernels before 6.11 take it for one by name, and refuse it: no tuple of
// ours has both addresses. Without a tuple it would be one of all there are.
func (f filter) message(kind uint16) []byte {
	m := newMessage(kind, f.ipv6)
	var which []byte
	for _, t := range []struct {
		attribute, which uint16
		tuple            tuple
	}{{attributeOriginal, filterOriginal, f.original}, {attributeReply, filterReply, f.reply}} {
		if flags := t.tuple.flags(); flags != 0 {
			which = appendAttribute(which, t.which, binary.NativeEndian.AppendUint32(nil, flags))
			m = appendNested(m, t.attribute, t.tuple.encode())
		}
	}
	if which != nil {
		m = appendNested(m, attributeFilter, which)
	}
	if f.translated {
		status := binary.BigEndian.AppendUint32(nil, statusTranslated)
		m = appendAttribute(appendAttribute(m, attributeStatus, status), attributeStatusMask, status)
	}
	return m
}

// flags says what is set.
func (t tuple) flags() (flags uint32) {
	for _, part := range []struct {
		set  bool
		flag uint32
	}{
		{t.source.Addr().IsValid(), flagSource},
		{t.destination.Addr().IsValid(), flagDestination},
		{t.protocol != 0, flagProtocol},
		{t.source.Port() != 0, flagSourcePort},
		{t.destination.Port() != 0, flagDestinationPort},
	} {
		if part.set {
			flags |= part.flag
		}
	}
	return flags
}

// encode returns attributes for what is set.
func (t tuple) encode() []byte {
	var ip, protocol, out []byte
	for _, end := range []struct {
		at         netip.AddrPort
		kind, port uint16
	}{{t.source, ip4Source, protocolSourcePort}, {t.destination, ip4Destination, protocolDestinationPort}} {
		if end.at.Addr().IsValid() {
			ip = appendAttribute(ip, end.kind, end.at.Addr().AsSlice())
		}
		if end.at.Port() != 0 {
			protocol = appendAttribute(protocol, end.port, binary.BigEndian.AppendUint16(nil, end.at.Port()))
		}
	}
	if ip != nil {
		out = appendNested(out, tupleIP, ip)
	}
	if t.protocol != 0 {
		out = appendNested(out, tupleProtocol, appendAttribute(protocol, protocolNumber, []byte{t.protocol}))
	}
	return out
}
