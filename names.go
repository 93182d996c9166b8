package libnetwork

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/resolver"
)

// networkNames are what the containers of a network are called. They are made of the
// records when somebody asks after a change, and not at each change: a thousand containers
// that come at once are not worth a thousand lists.
type networkNames struct {
	// version counts the changes.
	version atomic.Uint64
	// made holds the last list, and the version that it is of.
	made   atomic.Pointer[namesOf]
	making sync.Mutex // so that one list is made at a time
}

type namesOf struct {
	version uint64
	names   *resolver.Names
}

// changed is called when the endpoints of the network, as they are now, have other names
// or addresses than before.
func (n *network) changed() {
	n.names.version.Add(1)
	if n.record.Load().Scope == cnm.Global {
		n.c.node.poke()
		if n.c.global != nil {
			n.c.global.poke()
		}
	}
}

// current returns the names as the records have them.
func (n *network) current() *resolver.Names {
	if made := n.names.made.Load(); made != nil && made.version == n.names.version.Load() {
		return made.names
	}
	n.names.making.Lock()
	defer n.names.making.Unlock()
	version := n.names.version.Load() // before the records, which may be newer then
	if made := n.names.made.Load(); made != nil && made.version == version {
		return made.names
	}
	rec := n.record.Load()
	var prefixes []netip.Prefix
	for _, subnet := range slices.Concat(rec.Subnets4, rec.Subnets6) {
		prefixes = append(prefixes, subnet.Pool.Prefix)
	}
	made := &namesOf{version, resolver.NewNames(n.nameRecords(rec.Name), nil, prefixes)}
	n.names.made.Store(made)
	return made.names
}

// nameRecords are those of all endpoints in sandboxes, each with the network's name behind
// it too. The first one is what its addresses are called.
func (n *network) nameRecords(networkName string) []resolver.Record {
	var out []resolver.Record
	for _, ep := range n.allEndpoints() {
		rec, sb := ep.record.Load(), ep.sandbox()
		if sb == nil {
			continue
		}
		out = append(out, namesFor(networkName, endpointNames(rec, sb.ContainerID()), endpointAddrs(rec))...)
	}
	for _, other := range n.otherEndpoints() {
		out = append(out, namesFor(networkName, other.names, other.addresses)...)
	}
	return out
}

// named is an endpoint of another host.
type named struct {
	names     []string
	addresses []netip.Addr
}

// otherEndpoints are those of other hosts, as the shared store tells, or the cluster; of an
// endpoint that both know the store knows more.
func (n *network) otherEndpoints() []named {
	all := make(map[string]named)
	maps.Copy(all, n.c.node.endpoints(n.ID()))
	if g := n.c.global; g != nil {
		for key, s := range g.sharesOf(n.ID()) {
			all[key[strings.LastIndexByte(key, '/')+1:]] = named{s.Names, s.Addresses}
		}
	}
	out := make([]named, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[id])
	}
	return out
}

// namesFor are the names of one endpoint, each with the network's name behind it too.
func namesFor(networkName string, names []string, addresses []netip.Addr) (out []resolver.Record) {
	if len(addresses) == 0 {
		return nil
	}
	for i, name := range names {
		out = append(out,
			resolver.Record{Name: name + "." + networkName, Addrs: addresses, Reverse: i == 0},
			resolver.Record{Name: name, Addrs: addresses})
	}
	return out
}

// endpointAddrs are the endpoint's addresses, IPv4 first.
func endpointAddrs(rec *cnm.Endpoint) (out []netip.Addr) {
	for _, prefix := range []netip.Prefix{rec.IPv4, rec.IPv6} {
		if prefix.IsValid() {
			out = append(out, prefix.Addr())
		}
	}
	return out
}

// endpointNames are the endpoint's name, unless it is anonymous, its further names, and the
// container's short id.
func endpointNames(rec *cnm.Endpoint, containerID string) []string {
	var names []string
	if !rec.Anonymous {
		names = append(names, rec.Name)
	}
	return append(append(names, rec.MyAliases...), shortID(containerID))
}

// sight is what a sandbox sees: the networks that it is in, and what it calls others in
// them.
type sight struct {
	networks []*network
	aliases  map[string]string // to the name of an endpoint
	// names are those of the networks that view is made of.
	names []*resolver.Names
	view  *resolver.View
}

// look returns the view as it is now. Between changes it costs a comparison for each
// network.
func (sb *sandbox) look() *resolver.View {
	s := sb.sight.Load()
	if s == nil {
		return nil
	}
	if s.view != nil && !slices.ContainsFunc(s.networks, s.outdated) {
		return s.view
	}
	fresh := &sight{networks: s.networks, aliases: s.aliases}
	for _, n := range s.networks {
		fresh.names = append(fresh.names, n.current())
	}
	fresh.view = resolver.NewView(nil, fresh.names...)
	if len(s.aliases) > 0 {
		var own []resolver.Record
		for alias, name := range s.aliases {
			if addresses, known := fresh.view.Lookup(name); known {
				own = append(own, resolver.Record{Name: alias, Addrs: addresses})
			}
		}
		fresh.view = resolver.NewView(resolver.NewNames(own, nil, nil), fresh.names...)
	}
	// Somebody may have been faster, or the sandbox has joined another network.
	sb.sight.CompareAndSwap(s, fresh)
	return fresh.view
}

// outdated reports whether the network has other names than the view was made of.
func (s *sight) outdated(n *network) bool { return !slices.Contains(s.names, n.current()) }

// see makes the sandbox see the networks that its endpoints are in, and tells the networks
// of them.
func (sb *sandbox) see(changed ...*endpoint) {
	members := sb.members()
	s := &sight{aliases: make(map[string]string)}
	for _, rec := range byGatewayRank(recordsOf(members), sb.c.networkName) {
		i := slices.IndexFunc(members, func(ep *endpoint) bool { return ep.ID() == rec.ID })
		s.networks = append(s.networks, members[i].n)
		for alias, name := range rec.Aliases {
			s.aliases[alias] = name
		}
	}
	sb.sight.Store(s)
	for _, ep := range changed {
		ep.n.changed()
	}
}
