// Package builtin is the default address manager. It cuts pools for networks from
// configured supplies, and hands out the addresses in them. It stores nothing: all
// it holds follows from the records of networks and endpoints, and is asked for
// again after a restart.
package builtin

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// Names of the address spaces.
const (
	LocalSpace  = "LocalDefault"
	GlobalSpace = "GlobalDefault"
)

// IPAM implements cnm.IPAM. It is safe for concurrent use.
type IPAM struct {
	neverUse []netip.Prefix
	spaces   map[string]*space

	mu    sync.RWMutex // guards the lists of the spaces, and pools
	pools map[string]*pool
}

// space is a set of pools that do not overlap.
type space struct {
	bases []PoolBase
	// granted is sorted by address, which for prefixes that do not overlap is an
	// order of the prefixes too.
	granted []grant
}

type grant struct {
	prefix netip.Prefix
	id     string
}

// New returns an address manager, or Invalid for a supply that cannot be cut.
func New(config Config) (*IPAM, error) {
	m := &IPAM{
		neverUse: slices.Clone(config.NeverUse),
		pools:    make(map[string]*pool),
		spaces: map[string]*space{
			LocalSpace:  {bases: config.bases(config.LocalPools, DefaultLocalPools())},
			GlobalSpace: {bases: config.bases(config.GlobalPools, DefaultGlobalPools())},
		},
	}
	for _, s := range m.spaces {
		for _, base := range s.bases {
			if err := base.check(); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// AddressSpaces implements cnm.IPAM.
func (*IPAM) AddressSpaces(context.Context) (local, global string, err error) {
	return LocalSpace, GlobalSpace, nil
}

// RequestPool implements cnm.IPAM. A Pool that is unspecified but for its length, as
// 0.0.0.0/24, asks for any pool of that length.
func (m *IPAM) RequestPool(_ context.Context, r cnm.PoolRequest) (cnm.Pool, error) {
	if err := check(r); err != nil {
		return cnm.Pool{}, cnm.Wrap("request pool", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.spaces[r.AddressSpace]
	if !ok {
		return cnm.Pool{}, cnm.E("request pool", cnm.Invalid,
			fmt.Errorf("address space %q: unknown; there are %q and %q", r.AddressSpace, LocalSpace, GlobalSpace))
	}
	prefix, err := m.choosePool(s, r)
	if err != nil {
		return cnm.Pool{}, cnm.Wrap("request pool", err)
	}
	id := r.AddressSpace + "/" + prefix.String()
	if r.SubPool.IsValid() {
		id += "/" + r.SubPool.String()
	}
	m.pools[id] = newPool(prefix, r.SubPool, r.Holder)
	at, _ := s.find(prefix.Addr())
	s.granted = slices.Insert(s.granted, at, grant{prefix, id})
	return cnm.Pool{ID: id, Prefix: prefix}, nil
}

func check(r cnm.PoolRequest) error {
	for _, prefix := range []netip.Prefix{r.Pool, r.SubPool} {
		if prefix.IsValid() && prefix != prefix.Masked() {
			return cnm.E("", cnm.Invalid, fmt.Errorf("subnet %q: has bits set beyond its length; did you mean %q?", prefix, prefix.Masked()))
		}
	}
	switch {
	case r.SubPool.IsValid() && (automatic(r.Pool) || !r.Pool.Contains(r.SubPool.Addr()) || r.SubPool.Bits() < r.Pool.Bits()):
		return cnm.E("", cnm.Invalid, fmt.Errorf("address range %q: is not within a chosen subnet", r.SubPool))
	case r.Pool.IsValid() && r.Pool.Bits() == 0 && !r.Pool.Addr().IsUnspecified():
		return cnm.E("", cnm.Invalid, fmt.Errorf("subnet %q: has no length", r.Pool))
	}
	return nil
}

// automatic reports whether the choice is left to us.
func automatic(pool netip.Prefix) bool { return !pool.IsValid() || pool.Addr().IsUnspecified() }

func (m *IPAM) choosePool(s *space, r cnm.PoolRequest) (netip.Prefix, error) {
	if !automatic(r.Pool) {
		if other, ok := s.overlapping(r.Pool); ok {
			return netip.Prefix{}, cnm.E("", cnm.Exists, fmt.Errorf("subnet %q: overlaps %q of %s; choose another",
				r.Pool, other.prefix, m.pools[other.id].holder))
		}
		return r.Pool, nil
	}
	ipv6 := r.IPv6 || r.Pool.IsValid() && r.Pool.Addr().Is6()
	avoid := slices.Concat(m.neverUse, r.Avoid)
	for _, base := range s.bases {
		if base.Base.Addr().Is6() != ipv6 {
			continue
		}
		size := base.Size
		if r.Pool.IsValid() && r.Pool.Bits() > 0 {
			size = r.Pool.Bits()
		}
		if size < base.Base.Bits() {
			continue
		}
		if prefix, ok := s.cut(base.Base, size, avoid); ok {
			return prefix, nil
		}
	}
	return netip.Prefix{}, m.noPool(s, ipv6)
}

// cut returns the first free prefix of the size within the base.
func (s *space) cut(base netip.Prefix, size int, avoid []netip.Prefix) (netip.Prefix, bool) {
	ipv4 := base.Addr().Is4()
	final := last(base)
	for n := numberOf(base.Addr()); !final.less(n); {
		candidate := netip.PrefixFrom(n.address(ipv4), size)
		obstacle, blocked := s.obstacle(candidate, avoid)
		if !blocked {
			return candidate, true
		}
		// Go on behind what is in the way, or behind the candidate if that is larger.
		end := last(candidate)
		if e := last(obstacle); end.less(e) {
			end = e
		}
		next := end.plus(1)
		if next.less(n) {
			break
		}
		n = next
	}
	return netip.Prefix{}, false
}

func (s *space) obstacle(candidate netip.Prefix, avoid []netip.Prefix) (netip.Prefix, bool) {
	if other, ok := s.overlapping(candidate); ok {
		return other.prefix, true
	}
	for _, prefix := range avoid {
		if prefix.Overlaps(candidate) {
			return prefix, true
		}
	}
	return netip.Prefix{}, false
}

// find returns where a pool that starts at the address is, or belongs.
func (s *space) find(address netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(s.granted, address, func(g grant, a netip.Addr) int { return g.prefix.Addr().Compare(a) })
}

// overlapping returns a granted pool that overlaps the prefix: it starts within it,
// or is the last that starts before it.
func (s *space) overlapping(prefix netip.Prefix) (grant, bool) {
	at, _ := s.find(prefix.Addr())
	if at < len(s.granted) && s.granted[at].prefix.Overlaps(prefix) {
		return s.granted[at], true
	}
	if at > 0 && s.granted[at-1].prefix.Overlaps(prefix) {
		return s.granted[at-1], true
	}
	return grant{}, false
}

// noPool names who holds the pools, and what to change.
func (m *IPAM) noPool(s *space, ipv6 bool) error {
	const named = 3
	family := "IPv4"
	if ipv6 {
		family = "IPv6"
	}
	var holders []string
	count := 0
	for _, g := range s.granted {
		if g.prefix.Addr().Is6() != ipv6 {
			continue
		}
		if count++; count <= named {
			holders = append(holders, fmt.Sprintf("%s (%s)", m.pools[g.id].holder, g.prefix))
		}
	}
	who := "none is in use"
	if count > 0 {
		who = fmt.Sprintf("%d in use, by %s", count, strings.Join(holders, ", "))
	}
	if count > named {
		who += " and others"
	}
	return cnm.E("", cnm.Exhausted, fmt.Errorf(
		"no %s pool is left (%s): delete networks, give a subnet, or change the setting \"default address pools\"", family, who))
}

// ReleasePool implements cnm.IPAM. Addresses in it are forgotten.
func (m *IPAM) ReleasePool(_ context.Context, poolID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.pools[poolID]
	if !ok {
		return unknown("release pool", poolID)
	}
	delete(m.pools, poolID)
	for _, s := range m.spaces {
		if at, ok := s.find(p.prefix.Addr()); ok && s.granted[at].id == poolID {
			s.granted = slices.Delete(s.granted, at, at+1)
		}
	}
	return nil
}

func unknown(op, poolID string) error {
	return cnm.E(op, cnm.NotFound, fmt.Errorf("pool %q: not found", poolID))
}

func (m *IPAM) pool(op, poolID string) (*pool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if p, ok := m.pools[poolID]; ok {
		return p, nil
	}
	return nil, unknown(op, poolID)
}

// RequestAddress implements cnm.IPAM.
func (m *IPAM) RequestAddress(_ context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	const op = "request address"
	p, err := m.pool(op, r.PoolID)
	if err != nil {
		return cnm.Address{}, err
	}
	prefix, err := p.request(r)
	if err != nil {
		return cnm.Address{}, cnm.Wrap(op, err)
	}
	return cnm.Address{Prefix: prefix}, nil
}

// ReleaseAddress implements cnm.IPAM.
func (m *IPAM) ReleaseAddress(_ context.Context, poolID string, address netip.Addr) error {
	const op = "release address"
	p, err := m.pool(op, poolID)
	if err != nil {
		return err
	}
	return cnm.Wrap(op, p.release(address))
}
