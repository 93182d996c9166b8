package conntrack

import "net/netip"

// entry is what counts of an entry of the kernel's table. All of its slices point into
// the message that it was read from.
type entry struct {
	ipv6     bool
	protocol uint8
	// destination is where the first packet was sent to, and replySource where the
	// answers come from; they differ if the destination was translated. The ports are 0
	// for a protocol without.
	destination, replySource netip.AddrPort
	// original, zone and id are attributes as the kernel gave them, which name the entry
	// when it is to be deleted. A zone may be missing: then the entry is in zone 0, or
	// its original tuple has the zone.
	original, zone, id []byte
}
