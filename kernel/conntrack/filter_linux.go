package conntrack

import (
	"encoding/binary"
	"net/netip"
)

// narrow returns the attributes by which the kernel leaves out of a dump what cannot
// match: other protocols, and what none of the publications has in common with the rest.
// The target counts only if byTarget is true. A kernel before 5.8 ignores them.
func narrow(publications []Publication, byTarget bool) []byte {
	first := publications[0]
	original := tuple{protocol: first.Protocol, destination: first.HostAddr}
	reply := tuple{source: first.Target}
	if !byTarget {
		reply = tuple{}
	}
	if first.HostPort == first.HostPortEnd {
		original.destinationPort = first.HostPort
	}
	for _, p := range publications[1:] {
		if p.HostAddr != original.destination {
			original.destination = netip.Addr{}
		}
		if p.HostPort != original.destinationPort || p.HostPortEnd != original.destinationPort {
			original.destinationPort = 0
		}
		if p.Target != reply.source {
			reply = tuple{}
		}
	}
	return encodeFilter(original, reply)
}

// encodeFilter returns the attributes for what is set in the tuples.
func encodeFilter(original, reply tuple) []byte {
	filter := appendAttribute(nil, filterOriginal, binary.NativeEndian.AppendUint32(nil, original.flags()))
	out := appendNested(nil, attributeOriginal, original.encode())
	if reply.source.IsValid() {
		filter = appendAttribute(filter, filterReply, binary.NativeEndian.AppendUint32(nil, reply.flags()))
		out = appendNested(out, attributeReply, reply.encode())
	}
	return appendNested(out, attributeFilter, filter)
}

// flags names what is set, as far as filters use it.
func (t tuple) flags() (flags uint32) {
	if t.source.IsValid() {
		flags |= flagSource
	}
	if t.destination.IsValid() {
		flags |= flagDestination
	}
	if t.protocol != 0 {
		flags |= flagProtocol
	}
	if t.destinationPort != 0 {
		flags |= flagDestinationPort
	}
	return flags
}
