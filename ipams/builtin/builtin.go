// Package builtin is the default address manager. It cuts pools for networks from
// configured supplies, and hands out the addresses in them. It stores nothing: all
// it holds follows from the records of networks and endpoints, and is asked for
// again, in any order, after a restart.
package builtin

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// Names of the address spaces, as the first releases had them.
const (
	// LocalSpace has the pools of networks of scope cnm.Local.
	LocalSpace = "LocalDefault"
	// GlobalSpace has the pools of networks of scope cnm.Global.
	GlobalSpace = "GlobalDefault"
)

// The operations, as errors begin.
const (
	opRequestPool    = "request pool"
	opReleasePool    = "release pool"
	opRequestAddress = "request address"
	opReleaseAddress = "release address"
	opStatus         = "pool status"
)

// IPAM implements cnm.IPAM. It is safe for concurrent use. New makes one.
//
// The id of a pool is its address space, its prefix and, if it has one, its sub-pool,
// with slashes between: LocalDefault/172.17.0.0/16/172.17.1.0/24.
type IPAM struct {
	neverUse      []netip.Prefix
	local, global *space

	// mu guards pools, and the lists of the spaces. It may be held when the lock of a
	// pool is taken, not the other way round.
	mu    sync.RWMutex
	pools map[string]*pool // by id
}

// space is a set of pools that do not overlap.
type space struct {
	bases   []PoolBase
	granted prefixes
	pools   map[netip.Prefix]*pool // those of granted
}

// New returns an address manager. Invalid is for a supply that cannot be cut.
func New(config Config) (*IPAM, error) {
	const op = "create address manager"
	for _, b := range config.supplies() {
		if err := b.check(); err != nil {
			return nil, cnm.Wrap(op, err)
		}
	}
	if err := checkULA(config.ULA); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	for _, prefix := range config.NeverUse {
		if !prefix.IsValid() {
			return nil, cnm.E(op, cnm.Invalid, fmt.Errorf("prefix %q: cannot be left out, it is not a prefix", prefix))
		}
	}
	return &IPAM{
		neverUse: prefixesOf(config.NeverUse...),
		local:    newSpace(config.bases(config.LocalPools, DefaultLocalPools())),
		global:   newSpace(config.bases(config.GlobalPools, DefaultGlobalPools())),
		pools:    make(map[string]*pool),
	}, nil
}

func newSpace(bases []PoolBase) *space {
	return &space{bases: bases, pools: make(map[netip.Prefix]*pool)}
}

func (m *IPAM) space(name string) (*space, error) {
	switch name {
	case LocalSpace:
		return m.local, nil
	case GlobalSpace:
		return m.global, nil
	}
	return nil, cnm.E("", cnm.Invalid, fmt.Errorf("address space %q: is unknown; there are %q and %q", name, LocalSpace, GlobalSpace))
}

// AddressSpaces implements cnm.IPAM.
func (*IPAM) AddressSpaces(context.Context) (local, global string, err error) {
	return LocalSpace, GlobalSpace, nil
}

// RequestPool implements cnm.IPAM. A Pool that is unspecified but for its length, as
// 0.0.0.0/24 or ::/80, asks for any pool of that length.
//
// Invalid is for a request that could never be granted, Exists for a chosen pool that
// overlaps another of the address space, and Exhausted if no automatic one is left.
func (m *IPAM) RequestPool(_ context.Context, r cnm.PoolRequest) (cnm.Pool, error) {
	s, err := m.space(r.AddressSpace)
	if err == nil {
		err = check(r)
	}
	if err != nil {
		return cnm.Pool{}, cnm.Wrap(opRequestPool, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	prefix, err := m.choosePool(s, r)
	if err != nil {
		return cnm.Pool{}, cnm.Wrap(opRequestPool, err)
	}
	p := newPool(s, prefix, r)
	s.granted.add(prefix)
	s.pools[prefix] = p
	m.pools[p.id] = p
	return cnm.Pool{ID: p.id, Prefix: prefix}, nil
}

// ReleasePool implements cnm.IPAM. The addresses in it are forgotten.
func (m *IPAM) ReleasePool(_ context.Context, poolID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.pools[poolID]
	if !ok {
		return unknown(opReleasePool, poolID)
	}
	p.space.granted.remove(p.prefix)
	delete(p.space.pools, p.prefix)
	delete(m.pools, poolID)
	return nil
}

func unknown(op, poolID string) error {
	return cnm.E(op, cnm.NotFound, fmt.Errorf("pool %q: does not exist; it was released, or never requested", poolID))
}

func (m *IPAM) pool(op, poolID string) (*pool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if p, ok := m.pools[poolID]; ok {
		return p, nil
	}
	return nil, unknown(op, poolID)
}

// RequestAddress implements cnm.IPAM. An automatic address is the lowest that is free;
// a serial one the next free behind the last that was handed out, and from the start
// when the end is reached. A gateway is an automatic address like others, never serial.
//
// Invalid is for an address that the pool cannot give, Exists for one that is taken,
// Exhausted if there is no free one, and NotFound for an unknown pool.
func (m *IPAM) RequestAddress(_ context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	p, err := m.pool(opRequestAddress, r.PoolID)
	if err != nil {
		return cnm.Address{}, err
	}
	prefix, err := p.request(r)
	if err != nil {
		return cnm.Address{}, cnm.Wrap(opRequestAddress, err)
	}
	return cnm.Address{Prefix: prefix}, nil
}

// ReleaseAddress implements cnm.IPAM. Invalid is for an address outside the pool, and
// NotFound for an unknown pool.
func (m *IPAM) ReleaseAddress(_ context.Context, poolID string, address netip.Addr) error {
	p, err := m.pool(opReleaseAddress, poolID)
	if err != nil {
		return err
	}
	return cnm.Wrap(opReleaseAddress, p.release(address))
}
