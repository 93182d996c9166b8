package kerneltest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

// Fake is a Host in memory, with those of the kernel's manners that matter to its
// users: a pair of links lives and dies as one, also with a namespace; what is on a
// link goes with it; a route needs a link that is up and a gateway that is near.
type Fake struct {
	mu     sync.Mutex // guards what follows
	spaces map[string]*fakeSpace
	// pinned says which paths are namespaces that Create or Bind made.
	pinned map[string]bool
	next   byte // of the MAC addresses of links that ask for none
	notify map[int]func()
	// Announced counts the addresses that were announced.
	announced int
	closed    bool
	intents   map[string][]netstate.Intent
	// disturbed is called when somebody else changes the packet filter.
	disturbed []func()
	// lacks are features that the kernel does not have.
	lacks map[kernel.Feature]bool
}

type fakeSpace struct {
	links     map[string]*fakeLink
	addrs     []ownedAddr
	routes    []netstate.Route
	neighbors []netstate.Neighbor
	limits    []netstate.Limit
	sysctls   map[string]string
}

type ownedAddr struct {
	netstate.Addr
	foreign bool
}

type fakeLink struct {
	netstate.Link
	owner string
	// was is what kind an adopted link is.
	was netstate.Kind
	// peer is the other end of a pair, in the namespace peerSpace.
	peer      *fakeLink
	peerSpace *fakeSpace
}

// NewFake returns a machine with a host and nothing in it but the loopback.
func NewFake() *Fake {
	return &Fake{
		spaces: map[string]*fakeSpace{"": newFakeSpace()}, pinned: make(map[string]bool), notify: make(map[int]func()),
		intents: make(map[string][]netstate.Intent), lacks: make(map[kernel.Feature]bool),
	}
}

func newFakeSpace() *fakeSpace {
	lo := &fakeLink{Link: netstate.Link{Name: "lo", Kind: netstate.Existing, MTU: 65536, Down: true}}
	return &fakeSpace{links: map[string]*fakeLink{"lo": lo}, sysctls: make(map[string]string)}
}

// Plant puts a link that is nobody's into a namespace, up.
func (f *Fake) Plant(namespace string, link netstate.Link, addresses ...netip.Prefix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.spaces[namespace]
	s.links[link.Name] = &fakeLink{Link: link}
	for _, a := range addresses {
		s.addrs = append(s.addrs, ownedAddr{netstate.Addr{Link: link.Name, Prefix: a}, true})
	}
}

// Vanish deletes a link as somebody else would.
func (f *Fake) Vanish(namespace, link string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delete(f.spaces[namespace], link)
}

// Announced returns how many addresses were announced.
func (f *Fake) Announced() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.announced
}

// Apply implements kernel.Host.
func (f *Fake) Apply(ctx context.Context, changes netstate.Changes) error {
	if err := ctx.Err(); err != nil {
		return cnm.E("apply", cnm.Timeout, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range changes {
		if err := f.apply(c); err != nil {
			return cnm.E("apply", cnm.KindOf(err), fmt.Errorf("%s: %w", c, err))
		}
	}
	for _, notify := range f.notify {
		notify()
	}
	return nil
}

func (f *Fake) apply(c netstate.Change) error {
	s, ok := f.spaces[c.Namespace]
	takesAway := c.Verb == netstate.Delete || c.Verb == netstate.Remove
	if !ok && takesAway {
		return nil
	}
	if !ok {
		return notFound("namespace %q: does not exist", c.Namespace)
	}
	switch o := c.Object.(type) {
	case netstate.Link:
		return f.applyLink(s, c, o)
	case netstate.Sysctl:
		return s.write(o)
	case netstate.Intent:
		return f.applyIntent(c, o)
	}
	link, ok := s.links[linkOf(c.Object)]
	switch {
	case !ok && takesAway:
		return nil
	case !ok:
		return notFound("link %q: does not exist", linkOf(c.Object))
	}
	switch o := c.Object.(type) {
	case netstate.Addr:
		s.applyAddr(c.Verb, o, link)
	case netstate.Route:
		return s.applyRoute(c.Verb, o, link)
	case netstate.Neighbor:
		s.neighbors = slices.DeleteFunc(s.neighbors, func(n netstate.Neighbor) bool { return n.Link == o.Link && n.IP == o.IP })
		if c.Verb == netstate.Add {
			s.neighbors = append(s.neighbors, o)
		}
	case netstate.Limit:
		return f.applyLimit(s, c.Verb, o)
	}
	return nil
}

func linkOf(object netstate.Object) string {
	switch o := object.(type) {
	case netstate.Addr:
		return o.Link
	case netstate.Route:
		return o.Link
	case netstate.Neighbor:
		return o.Link
	case netstate.Limit:
		return o.Link
	}
	return ""
}

func (f *Fake) applyLink(s *fakeSpace, c netstate.Change, want netstate.Link) error {
	have, ok := s.links[want.Name]
	switch {
	case c.Verb == netstate.Delete:
		if ok && have.owner == c.Owner && have.Kind == netstate.Adopted {
			f.giveBack(s, have)
		} else if ok && have.owner == c.Owner {
			f.delete(s, want.Name)
		}
		return nil
	case c.Verb == netstate.Create && ok:
		if want.Adopt && have.owner == "" && (have.Kind == want.Kind || want.Kind == netstate.VLAN) {
			return nil
		}
		if have.owner != c.Owner || have.Kind != want.Kind {
			return cnm.E("", cnm.Exists, fmt.Errorf("link %q: exists and is not ours", want.Name))
		}
	case c.Verb == netstate.Create:
		if err := f.create(s, want); err != nil {
			return err
		}
		have = s.links[want.Name]
	case !ok:
		return notFound("link %q: does not exist", want.Name)
	}
	if c.Verb == netstate.Raise {
		if err := f.checkLoad(have.Link, want.Carries); err != nil {
			return err
		}
		have.Down = false
		return nil
	}
	return f.update(s, have, c.Owner, want)
}

func (f *Fake) create(s *fakeSpace, want netstate.Link) error {
	if err := checkLink(want); err != nil {
		return err
	}
	if _, ok := s.links[want.Master]; want.Master != "" && !ok {
		return notFound("bridge %q: does not exist", want.Master)
	}
	if f.lacks[kernel.Feature(want.Kind)] {
		return kernel.Absent(kernel.Feature(want.Kind))
	}
	made := &fakeLink{Link: netstate.Link{Name: want.Name, Kind: want.Kind, MAC: f.newMAC(), MTU: netstate.DefaultMTU, Down: true}}
	switch want.Kind {
	case netstate.Bridge, netstate.Dummy, netstate.IFB:
	case netstate.Adopted:
		adopted, err := f.adopt(want)
		if err != nil {
			return err
		}
		made = adopted
	case netstate.Macvlan, netstate.IPvlan, netstate.VLAN:
		if err := f.hang(made, want); err != nil {
			return err
		}
	case netstate.Veth:
		other, ok := f.spaces[want.Peer.Namespace]
		if !ok {
			return notFound("namespace %q: does not exist", want.Peer.Namespace)
		}
		if other.links[want.Peer.Name] != nil {
			return cnm.E("", cnm.Exists, fmt.Errorf("link %q: exists in namespace %q", want.Peer.Name, want.Peer.Namespace))
		}
		born := &fakeLink{
			Link: netstate.Link{Name: want.Peer.Name, Kind: netstate.Veth, MAC: f.newMAC(), MTU: netstate.DefaultMTU, Down: true},
			peer: made, peerSpace: s,
		}
		made.peer, made.peerSpace, made.Peer = born, other, want.Peer
		other.links[want.Peer.Name] = born
	default:
		return cnm.E("", cnm.Unsupported, fmt.Errorf("link %q: cannot make one of kind %q", want.Name, want.Kind))
	}
	s.links[want.Name] = made
	return nil
}

func checkLink(want netstate.Link) error {
	switch {
	case want.Name == "" || len(want.Name) > 15 || strings.ContainsAny(want.Name, "/ "):
		return cnm.E("", cnm.Invalid, fmt.Errorf("link %q: is no name", want.Name))
	case want.MTU != 0 && (want.MTU < 68 || want.MTU > 65535):
		return cnm.E("", cnm.Invalid, fmt.Errorf("link %q: MTU %d is out of bounds", want.Name, want.MTU))
	case kernel.CheckParented(want) != nil:
		return cnm.E("", cnm.Invalid, kernel.CheckParented(want))
	case want.Kind == netstate.Veth && want.Peer.Name == "":
		return cnm.E("", cnm.Invalid, fmt.Errorf("link %q: is born with its peer, and cannot be made by itself", want.Name))
	}
	return nil
}

func (f *Fake) newMAC() netstate.MAC {
	f.next++
	return netstate.MAC{2, 0xfa, 0xce, 0, 0, f.next}
}

func (f *Fake) update(s *fakeSpace, have *fakeLink, owner string, want netstate.Link) error {
	if !want.MAC.IsZero() {
		have.MAC = want.MAC
	}
	if want.Kind == netstate.Adopted {
		have.owner = owner
	}
	if want.Kind == netstate.Existing || want.Kind == netstate.Adopted {
		have.MTU = cmp.Or(want.MTU, have.MTU)
		return nil
	}
	if _, ok := s.links[want.Master]; want.Master != "" && !ok {
		return notFound("bridge %q: does not exist", want.Master)
	}
	have.owner, have.NoIPv6, have.Master = owner, want.NoIPv6, want.Master
	have.Isolated, have.Hairpin = want.Isolated, want.Hairpin
	if want.Parent == "" || want.MTU != 0 {
		have.MTU = cmp.Or(want.MTU, netstate.DefaultMTU)
	}
	return nil
}

// delete takes a link away with its other end, with what hangs on it, and with all that
// is on them.
func (f *Fake) delete(s *fakeSpace, name string) {
	s.delete(name)
	if s != f.spaces[""] {
		return
	}
	for _, other := range f.spaces {
		for _, link := range slices.Collect(maps.Values(other.links)) {
			if link.Parent == name {
				f.delete(other, link.Name)
			}
		}
	}
}

func (s *fakeSpace) delete(name string) {
	link, ok := s.links[name]
	if !ok {
		return
	}
	delete(s.links, name)
	s.addrs = slices.DeleteFunc(s.addrs, func(a ownedAddr) bool { return a.Link == name })
	s.routes = slices.DeleteFunc(s.routes, func(r netstate.Route) bool { return r.Link == name })
	s.neighbors = slices.DeleteFunc(s.neighbors, func(n netstate.Neighbor) bool { return n.Link == name })
	s.limits = slices.DeleteFunc(s.limits, func(l netstate.Limit) bool { return l.Link == name || l.Through == name })
	for _, port := range s.links {
		if port.Master == name {
			port.Master = ""
		}
	}
	if link.peer != nil {
		link.peer.peer = nil
		link.peerSpace.delete(link.peer.Name)
	}
}

func (s *fakeSpace) applyAddr(verb netstate.Verb, a netstate.Addr, link *fakeLink) {
	same := func(o ownedAddr) bool { return o.Addr == a }
	s.addrs = slices.DeleteFunc(s.addrs, same)
	if verb == netstate.Add {
		s.addrs = append(s.addrs, ownedAddr{Addr: a})
		return
	}
	// With the last IPv4 address of a link its IPv4 routes go.
	if a.Prefix.Addr().Is4() && !slices.ContainsFunc(s.addrs, func(o ownedAddr) bool { return o.Link == a.Link && o.Prefix.Addr().Is4() }) {
		s.routes = slices.DeleteFunc(s.routes, func(r netstate.Route) bool { return r.Link == a.Link && r.Destination.Addr().Is4() })
	}
}

func (s *fakeSpace) applyRoute(verb netstate.Verb, r netstate.Route, link *fakeLink) error {
	if verb == netstate.Remove {
		s.routes = slices.DeleteFunc(s.routes, func(o netstate.Route) bool { return o == r })
		return nil
	}
	if link.Down {
		return cnm.E("", cnm.Invalid, fmt.Errorf("link %q: is down", r.Link))
	}
	near := func(p netip.Prefix, on string) bool { return on == r.Link && p.Masked().Contains(r.Gateway) }
	if r.Gateway.IsValid() &&
		!slices.ContainsFunc(s.addrs, func(a ownedAddr) bool { return near(a.Prefix, a.Link) }) &&
		!slices.ContainsFunc(s.routes, func(o netstate.Route) bool { return !o.Gateway.IsValid() && near(o.Destination, o.Link) }) {
		return cnm.E("", cnm.Invalid, fmt.Errorf("gateway %s: is not near", r.Gateway))
	}
	s.routes = slices.DeleteFunc(s.routes, func(o netstate.Route) bool {
		return o.Destination == r.Destination && o.Metric == r.Metric
	})
	s.routes = append(s.routes, r)
	return nil
}

func (s *fakeSpace) write(o netstate.Sysctl) error {
	parts := strings.Split(o.Key, "/")
	if len(parts) < 3 || parts[0] != "net" || slices.Contains(parts, "..") {
		return cnm.E("", cnm.Invalid, fmt.Errorf("sysctl %q: want a key below net/", o.Key))
	}
	if parts[2] == "conf" && len(parts) > 3 && s.links[parts[3]] == nil && parts[3] != "all" && parts[3] != "default" {
		if o.Optional {
			return nil
		}
		return notFound("sysctl %q: does not exist", o.Key)
	}
	s.sysctls[o.Key] = o.Value
	return nil
}

func notFound(format string, args ...any) error {
	return cnm.E("", cnm.NotFound, fmt.Errorf(format, args...))
}

// Observe implements kernel.Host.
func (f *Fake) Observe(_ context.Context, namespaces ...string) ([]netstate.Part, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []netstate.Part
	for _, namespace := range slices.Compact(slices.Sorted(slices.Values(namespaces))) {
		if s, ok := f.spaces[namespace]; ok {
			out = append(out, s.parts(namespace)...)
		}
		if namespace == "" {
			out = append(out, f.filtered()...)
		}
	}
	return out, nil
}

func (s *fakeSpace) parts(namespace string) []netstate.Part {
	parts := make(map[string]*netstate.Part)
	part := func(owner string) *netstate.Part {
		if parts[owner] == nil {
			parts[owner] = &netstate.Part{Owner: owner, Namespace: namespace}
		}
		return parts[owner]
	}
	for _, name := range slices.Sorted(maps.Keys(s.links)) {
		link := s.links[name]
		p := part(link.owner)
		p.Links = append(p.Links, link.Link)
	}
	slices.SortFunc(s.addrs, func(a, b ownedAddr) int {
		return cmp.Or(cmp.Compare(a.Link, b.Link), cmp.Compare(a.Prefix.String(), b.Prefix.String()))
	})
	for _, a := range s.addrs {
		p := part("")
		if !a.foreign {
			p = part(s.links[a.Link].owner)
		}
		p.Addrs = append(p.Addrs, a.Addr)
	}
	slices.SortFunc(s.routes, func(a, b netstate.Route) int { return cmp.Compare(a.String(), b.String()) })
	for _, r := range s.routes {
		p := part(s.links[r.Link].owner)
		p.Routes = append(p.Routes, r)
	}
	slices.SortFunc(s.neighbors, func(a, b netstate.Neighbor) int { return cmp.Compare(a.String(), b.String()) })
	for _, n := range s.neighbors {
		p := part(s.links[n.Link].owner)
		p.Neighbors = append(p.Neighbors, n)
	}
	slices.SortFunc(s.limits, func(a, b netstate.Limit) int { return cmp.Compare(a.String(), b.String()) })
	for _, l := range s.limits {
		p := part(s.links[l.Link].owner)
		p.Limits = append(p.Limits, l)
	}
	var out []netstate.Part
	for _, owner := range slices.Sorted(maps.Keys(parts)) {
		out = append(out, *parts[owner])
	}
	return out
}

// Watch implements kernel.Host.
func (f *Fake) Watch(ctx context.Context, notify func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return cnm.E("watch", cnm.Unavailable, errors.New("the host is closed"))
	}
	id := len(f.notify)
	f.notify[id] = notify
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.notify[id] = func() {}
	})
	return nil
}

// Close implements kernel.Host.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	clear(f.notify)
	return nil
}
