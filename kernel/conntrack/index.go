package conntrack

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
)

// kind is what one dump is about.
type kind struct {
	ipv6     bool
	protocol uint8
}

// byKind checks the publications and sorts them out.
func byKind(publications []Publication) (map[kind][]Publication, error) {
	kinds := make(map[kind][]Publication)
	for _, p := range publications {
		p, err := p.normal()
		if err != nil {
			return nil, err
		}
		k := kind{p.Target.Is6(), p.Protocol}
		kinds[k] = append(kinds[k], p)
	}
	return kinds, nil
}

// index finds publications, of one kind, by an address and the host's port. The time
// does not grow with their number, unless they share both.
type index map[netip.Addr][]span

// span is a publication in a list that is sorted by HostPort.
type span struct {
	Publication
	// reach is the last port of this span and those before it.
	reach uint16
}

// newIndex files the publications under the address that key returns.
func newIndex(publications []Publication, key func(Publication) netip.Addr) index {
	x := make(index)
	for _, p := range publications {
		x[key(p)] = append(x[key(p)], span{p, p.HostPortEnd})
	}
	for _, spans := range x {
		slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.HostPort, b.HostPort) })
		for i := 1; i < len(spans); i++ {
			spans[i].reach = max(spans[i].reach, spans[i-1].reach)
		}
	}
	return x
}

// visit calls each with the publications that are filed under address and have the port,
// until it returns false.
func (x index) visit(address netip.Addr, port uint16, each func(*Publication) bool) {
	spans := x[address]
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
		if e.destination == e.replySource {
			return false // not translated: somebody spoke to the container's address
		}
		port := e.destination.Port()
		x.visit(e.replySource.Addr(), port, func(p *Publication) bool {
			found = (!p.HostAddr.IsValid() || p.HostAddr == e.destination.Addr()) && p.leads(port, e.replySource)
			return !found
		})
		return found
	}
}

// addedMatcher returns what tells the connections that none of the publications made,
// but that one of them would have taken.
func addedMatcher(publications []Publication, isLocal func(netip.Addr) bool) func(*entry) bool {
	x := newIndex(publications, func(p Publication) netip.Addr { return p.HostAddr })
	return func(e *entry) bool {
		covered, made := false, false
		each := func(p *Publication) bool {
			covered = true
			made = p.leads(e.destination.Port(), e.replySource)
			return !made
		}
		x.visit(e.destination.Addr(), e.destination.Port(), each)
		if made {
			return false
		}
		specific := covered
		x.visit(netip.Addr{}, e.destination.Port(), each)
		return covered && !made && (specific || isLocal != nil && isLocal(e.destination.Addr()))
	}
}
