package conntrack

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
)

// tuple is one direction of a connection. Ports are 0 for a protocol without.
type tuple struct {
	source, destination netip.AddrPort
	protocol            uint8
}

// entry is what counts of an entry of the kernel's table.
type entry struct {
	// original is the direction of the first packet, reply that of the answers: they come
	// from where the first packet was led to.
	original, reply tuple
	// translated says that the kernel changed the destination.
	translated bool
	name       name
}

// name has the attributes that name an entry when it is to be deleted, as the kernel gave
// them, in the message that it gave them in. A zone may be missing: then the entry is in
// zone 0, or its tuples have the zone.
type name struct{ original, zone, id []byte }

// key is what a publication is filed under: its protocol, and an address of it.
type key struct {
	protocol uint8
	address  netip.Addr
}

// index finds publications by key and the host's port. The time does not grow with their
// number, unless they share both.
type index map[key][]span

// span is a publication in a list that is sorted by HostPort.
type span struct {
	Publication
	// reach is the last port of this span and those before it.
	reach uint16
}

// newIndex files the publications under the address that by returns.
func newIndex(publications []Publication, by func(Publication) netip.Addr) index {
	x := make(index)
	for _, p := range publications {
		k := key{p.Protocol, by(p)}
		x[k] = append(x[k], span{p, p.HostPortEnd})
	}
	for _, spans := range x {
		slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.HostPort, b.HostPort) })
		for i := 1; i < len(spans); i++ {
			spans[i].reach = max(spans[i].reach, spans[i-1].reach)
		}
	}
	return x
}

// visit calls each with the publications that are filed under the key and have the port,
// until it returns false.
func (x index) visit(k key, port uint16, each func(*Publication) bool) {
	spans := x[k]
	behind := sort.Search(len(spans), func(i int) bool { return spans[i].HostPort > port })
	for i := behind - 1; i >= 0 && spans[i].reach >= port; i-- {
		if spans[i].HostPortEnd >= port && !each(&spans[i].Publication) {
			return
		}
	}
}

// removedMatcher returns what tells the connections that were translated to one of the
// publications.
func removedMatcher(publications []Publication) func(*entry) bool {
	x := newIndex(publications, func(p Publication) netip.Addr { return p.Target })
	return func(e *entry) (found bool) {
		if !e.translated {
			return false // somebody spoke to the container's address
		}
		destination := e.original.destination
		x.visit(key{e.original.protocol, e.reply.source.Addr()}, destination.Port(), func(p *Publication) bool {
			found = (!p.HostAddr.IsValid() || p.HostAddr == destination.Addr()) && p.leads(destination.Port(), e.reply.source)
			return !found
		})
		return found
	}
}

// addedMatcher returns what tells the connections that go elsewhere than the publications
// say. As in the packet filter, those of an address go before those of any.
func addedMatcher(publications []Publication, isLocal func(netip.Addr) bool) func(*entry) bool {
	x := newIndex(publications, func(p Publication) netip.Addr { return p.HostAddr })
	return func(e *entry) bool {
		destination := e.original.destination
		look := func(address netip.Addr) (covered, led bool) {
			x.visit(key{e.original.protocol, address}, destination.Port(), func(p *Publication) bool {
				covered, led = true, p.leads(destination.Port(), e.reply.source)
				return !led
			})
			return covered, led
		}
		if covered, led := look(destination.Addr()); covered {
			return !led
		}
		covered, led := look(netip.Addr{})
		return covered && !led && isLocal != nil && isLocal(destination.Addr())
	}
}

// releasedMatcher returns what tells the connections from and to the addresses.
func releasedMatcher(addresses []netip.Addr) func(*entry) bool {
	released := make(map[netip.Addr]bool, len(addresses))
	for _, a := range addresses {
		released[a] = true
	}
	return func(e *entry) bool {
		return released[e.original.source.Addr()] || released[e.reply.source.Addr()]
	}
}

// families are things of IPv4 and of IPv6.
type families[T any] [2][]T

// byFamily checks things and puts each with its kind. Normal returns it in the form that
// matching wants, and an address of it.
func byFamily[T any](things []T, normal func(T) (T, netip.Addr, error)) (out families[T], err error) {
	for _, thing := range things {
		thing, address, err := normal(thing)
		if err != nil {
			return out, err
		}
		kind := 0
		if address.Is6() {
			kind = 1
		}
		out[kind] = append(out[kind], thing)
	}
	return out, nil
}
