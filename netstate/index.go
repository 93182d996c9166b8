package netstate

import (
	"maps"
	"net/netip"
	"slices"
)

// owned is an object with where it is and whose it is.
type owned[T Object] struct {
	owner, namespace string
	object           T
}

func (o owned[T]) change(verb Verb) Change {
	return Change{Verb: verb, Owner: o.owner, Namespace: o.namespace, Object: o.object}
}

// table is an ordered map: iteration follows the parts, so that the same parts
// always give the same changes.
type table[K comparable, T Object] struct {
	keys []K
	rows map[K]owned[T]
}

func (t *table[K, T]) put(key K, row owned[T]) {
	if _, ok := t.rows[key]; !ok {
		if t.rows == nil {
			t.rows = make(map[K]owned[T])
		}
		t.keys = append(t.keys, key)
	}
	t.rows[key] = row
}

func (t *table[K, T]) get(key K) (owned[T], bool) {
	row, ok := t.rows[key]
	return row, ok
}

// linkKey also keys the two ends of a pair, so it is a Peer.
type linkKey = Peer

type addrKey struct {
	link   linkKey
	prefix netip.Prefix
}

// routeKey is what the kernel replaces by: one route for each destination and
// metric.
type routeKey struct {
	namespace   string
	destination netip.Prefix
	metric      uint32
}

type neighborKey struct {
	link linkKey
	ip   netip.Addr
}

// limitKey: a link has one limit for what it sends and one for what it receives.
type limitKey struct {
	link     linkKey
	receives bool
}

type sysctlKey struct{ namespace, key string }

// intentKey is the intent as a whole, with its owner: none is ever changed.
type intentKey struct {
	namespace, owner string
	intent           Intent
}

// index holds parts by what identifies each object. Of two objects with one key
// the later stands.
type index struct {
	links     table[linkKey, Link]
	addrs     table[addrKey, Addr]
	routes    table[routeKey, Route]
	neighbors table[neighborKey, Neighbor]
	limits    table[limitKey, Limit]
	sysctls   table[sysctlKey, Sysctl]
	intents   table[intentKey, Intent]
	// creator maps the born end of each veth pair to the end that creates it.
	creator map[linkKey]linkKey
}

func newIndex(parts []Part) *index {
	x := &index{creator: make(map[linkKey]linkKey)}
	for _, p := range parts {
		x.add(p)
	}
	return x
}

func (x *index) add(p Part) {
	for _, l := range p.Links {
		key := linkKey{p.Namespace, l.Name}
		x.links.put(key, owned[Link]{p.Owner, p.Namespace, l})
		if l.Peer.Name != "" {
			x.creator[l.Peer] = key
		}
	}
	for _, a := range p.Addrs {
		x.addrs.put(addrKey{linkKey{p.Namespace, a.Link}, a.Prefix}, owned[Addr]{p.Owner, p.Namespace, a})
	}
	for _, r := range p.Routes {
		x.routes.put(routeKey{p.Namespace, r.Destination, r.Metric}, owned[Route]{p.Owner, p.Namespace, r})
	}
	for _, n := range p.Neighbors {
		x.neighbors.put(neighborKey{linkKey{p.Namespace, n.Link}, n.IP}, owned[Neighbor]{p.Owner, p.Namespace, n})
	}
	for _, l := range p.Limits {
		x.limits.put(limitKey{linkKey{p.Namespace, l.Link}, l.Through != ""}, owned[Limit]{p.Owner, p.Namespace, l})
	}
	for _, s := range p.Sysctls {
		x.sysctls.put(sysctlKey{p.Namespace, s.Key}, owned[Sysctl]{p.Owner, p.Namespace, s})
	}
	for _, i := range p.Intents {
		x.intents.put(intentKey{p.Namespace, p.Owner, i}, owned[Intent]{p.Owner, p.Namespace, i})
	}
}

// namespaces returns the namespaces that hold more than sysctls and intents, sorted, so
// that the host is first.
func (x *index) namespaces() []string {
	set := make(map[string]bool)
	collect(set, x.links)
	collect(set, x.addrs)
	collect(set, x.routes)
	collect(set, x.neighbors)
	collect(set, x.limits)
	return slices.Sorted(maps.Keys(set))
}

func collect[K comparable, T Object](set map[string]bool, t table[K, T]) {
	for _, row := range t.rows {
		set[row.namespace] = true
	}
}
