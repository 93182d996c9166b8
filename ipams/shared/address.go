package shared

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// pool is what is known of a pool here.
type pool struct {
	id       string
	instance string
	// automatic is where addresses come from that are not chosen.
	automatic netip.Prefix

	mu sync.Mutex // guards what follows, and is not held across I/O
	// replica holds this pool, and the addresses that were taken when it was last looked.
	replica cnm.IPAM
	// earlier are the addresses that this node claimed before this process started, and
	// that it has not asked for since.
	earlier map[netip.Addr]bool
	heat    int
}

// pool returns a pool that is in the store.
func (m *IPAM) pool(ctx context.Context, poolID string) (*pool, error) {
	m.mu.Lock()
	p := m.pools[poolID]
	m.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := m.load(ctx, poolID)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// The first one that was loaded stays: nothing has been claimed before it was, so
	// all that it found of this node is of an earlier process.
	if first := m.pools[poolID]; first != nil {
		return first, nil
	}
	m.pools[poolID] = p
	return p, nil
}

func (m *IPAM) forget(poolID, instance string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.pools[poolID]; p != nil && p.instance == instance {
		delete(m.pools, poolID)
	}
}

// load reads a pool and its addresses.
func (m *IPAM) load(ctx context.Context, poolID string) (*pool, error) {
	var record poolRecord
	var entries []cnm.KeyValue
	err := m.store.View(ctx, func(tx cnm.Tx) (err error) {
		if record, err = getPool(tx, poolID); err != nil {
			return err
		}
		entries, err = tx.List(addressKeys + record.Instance + "/")
		return err
	})
	if err != nil {
		return nil, err
	}
	replica, err := m.replicaWith(ctx, []poolRecord{record})
	if err != nil {
		return nil, err
	}
	p := &pool{id: poolID, instance: record.Instance, automatic: record.Prefix, replica: replica, earlier: make(map[netip.Addr]bool)}
	if record.SubPool.IsValid() {
		p.automatic = record.SubPool
	}
	for _, e := range entries {
		address, err := netip.ParseAddr(strings.TrimPrefix(e.Key, addressKeys+record.Instance+"/"))
		if err != nil {
			return nil, cnm.E("", cnm.Internal, fmt.Errorf("key %q: is no address", e.Key))
		}
		claimed, err := decodeAddress(e.Key, e.Value)
		if err != nil {
			return nil, err
		}
		if _, err := replica.RequestAddress(ctx, cnm.AddressRequest{PoolID: poolID, Address: address}); err != nil {
			return nil, cnm.E("", cnm.Internal, fmt.Errorf("key %q: cannot be: %w", e.Key, err))
		}
		if claimed.Node == m.node && !claimed.Gateway {
			p.earlier[address] = true
		}
	}
	return p, nil
}

// refresh makes the replica know what is taken now.
func (m *IPAM) refresh(ctx context.Context, p *pool) error {
	now, err := m.load(ctx, p.id)
	if err != nil {
		return err
	}
	if now.instance != p.instance {
		return errReplaced
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replica = now.replica
	return nil
}

// abandon gives up an address of an earlier process that nobody has asked for.
func (p *pool) abandon(address netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.earlier[address]
	delete(p.earlier, address)
	return was
}

// Heat is how much hosts are in each other's way: each collision adds one, up to
// mostHeat, and one claim in coolEach without any takes one away.
const (
	mostHeat = 6
	coolEach = 8
	// scatterFrom is the heat from which on addresses are chosen at random: all hosts want
	// the lowest free address, and only one of them can have it.
	scatterFrom = 2
	// scatterTries is how often, before the replica chooses.
	scatterTries = 4
)

// suggest lets the replica choose, or chance if it is hot.
func (p *pool) suggest(ctx context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heat >= scatterFrom && !r.Address.IsValid() && !r.Serial && !r.Gateway {
		for range scatterTries {
			chosen := r
			chosen.Address = randomIn(p.automatic)
			if suggestion, err := p.replica.RequestAddress(ctx, chosen); err == nil {
				return suggestion, nil
			}
		}
	}
	return p.replica.RequestAddress(ctx, r)
}

// collided counts a collision, or that there was none.
func (p *pool) collided(collided bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case collided:
		p.heat = min(p.heat+1, mostHeat)
	case p.heat > 0 && rand.IntN(coolEach) == 0:
		p.heat--
	}
}

// randomIn returns any address of a prefix.
func randomIn(prefix netip.Prefix) netip.Addr {
	b := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(b)*8; bit++ {
		if rand.IntN(2) == 0 {
			b[bit/8] |= 0x80 >> (bit % 8)
		}
	}
	address, _ := netip.AddrFromSlice(b) // of the length that it had
	return address
}

// untake tells the replica that an address is free.
func (p *pool) untake(ctx context.Context, address netip.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.replica.ReleaseAddress(ctx, p.id, address)
}

// refreshEach is after how many collisions in a row the replica is too old to go on with.
const refreshEach = 6

// RequestAddress implements cnm.IPAM. An address that this node claimed before it started,
// and a network's gateway, are granted to who asks for them. The errors are those of the
// replica, and those of the store: if one of kind Unavailable says that it is not known
// whether the claim was committed, Sweep releases it after a restart.
func (m *IPAM) RequestAddress(ctx context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	r.Address = r.Address.Unmap()
	var granted cnm.Address
	err := m.onPool(ctx, r.PoolID, func(p *pool) (err error) {
		granted, err = m.request(ctx, p, r)
		return err
	})
	return granted, cnm.Wrap(opRequestAddress, err)
}

// errReplaced says that the pool was released and requested again, maybe by another host.
// It is not to be changed.
var errReplaced = errors.New("was released and requested again")

// replacedLimit bounds how often that may happen during one request.
const replacedLimit = 5

// onPool calls fn with what is known of a pool, and again if that is of an earlier pool of
// the same id.
func (m *IPAM) onPool(ctx context.Context, poolID string, fn func(*pool) error) error {
	for range replacedLimit {
		p, err := m.pool(ctx, poolID)
		if err != nil {
			return err
		}
		err = fn(p)
		if errors.Is(err, cnm.NotFound) || errors.Is(err, errReplaced) {
			m.forget(poolID, p.instance)
		}
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
	return cnm.E("", cnm.Conflict, fmt.Errorf("pool %q: %w again and again", poolID, errReplaced))
}

func (m *IPAM) request(ctx context.Context, p *pool, r cnm.AddressRequest) (cnm.Address, error) {
	fresh := false
	for collisions := 0; ; {
		suggestion, err := p.suggest(ctx, r)
		known := errors.Is(err, cnm.Exists)
		if errors.Is(err, cnm.Exhausted) && !fresh {
			// Others may have released some.
			if err := m.refresh(ctx, p); err != nil {
				return cnm.Address{}, err
			}
			fresh = true
			continue
		}
		if err != nil && !known {
			return cnm.Address{}, err
		}
		address := r.Address
		if !address.IsValid() {
			address = suggestion.Prefix.Addr()
		}
		granted, claimErr := m.claim(ctx, p, address, r)
		switch {
		case claimErr != nil:
			if !known {
				_ = p.untake(ctx, address) // the address is in the pool
			}
			return cnm.Address{}, claimErr
		case granted && known: // the replica does not tell its prefix
			return m.prefixed(ctx, p, address)
		case granted:
			if collisions == 0 {
				p.collided(false)
			}
			return suggestion, nil
		case known:
			return cnm.Address{}, err
		case r.Address.IsValid():
			continue // the replica has it now, and says who it is
		}
		p.collided(true)
		if collisions++; collisions%refreshEach == 0 {
			if err := m.refresh(ctx, p); err != nil {
				return cnm.Address{}, err
			}
		}
		fresh = false
	}
}

// prefixed returns an address with its pool's length.
func (m *IPAM) prefixed(ctx context.Context, p *pool, address netip.Addr) (cnm.Address, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.replica.ReleaseAddress(ctx, p.id, address); err != nil {
		return cnm.Address{}, err
	}
	return p.replica.RequestAddress(ctx, cnm.AddressRequest{PoolID: p.id, Address: address})
}

// claim makes an address this node's, in one commit, and reports whether it is.
func (m *IPAM) claim(ctx context.Context, p *pool, address netip.Addr, r cnm.AddressRequest) (granted bool, err error) {
	key := addressKeys + p.instance + "/" + address.String()
	earlier := r.Address.IsValid() && p.abandon(address)
	err = m.store.Update(ctx, func(tx cnm.Tx) error {
		granted = false
		record, err := getPool(tx, p.id)
		if err != nil {
			return err
		}
		if record.Instance != p.instance {
			return errReplaced
		}
		value, err := tx.Get(key)
		if errors.Is(err, cnm.NotFound) {
			granted = true
			claimed := addressRecord{Schema: schemaVersion, Node: m.node, Gateway: r.Gateway}
			if !r.MAC.IsZero() {
				claimed.MAC = r.MAC.String()
			}
			return put(tx, key, claimed)
		}
		if err != nil {
			return err
		}
		held, err := decodeAddress(key, value)
		granted = err == nil && (earlier && held.Node == m.node || r.Gateway && held.Gateway && r.Address.IsValid())
		return err
	})
	if err != nil && earlier { // it may be asked for again
		p.mu.Lock()
		p.earlier[address] = true
		p.mu.Unlock()
	}
	return granted, err
}

// ReleaseAddress implements cnm.IPAM, whoever claimed the address.
func (m *IPAM) ReleaseAddress(ctx context.Context, poolID string, address netip.Addr) error {
	address = address.Unmap()
	return cnm.Wrap(opReleaseAddress, m.onPool(ctx, poolID, func(p *pool) error { return m.release(ctx, p, address) }))
}

func (m *IPAM) release(ctx context.Context, p *pool, address netip.Addr) error {
	// The replica knows whether the address is in the pool. If it takes it for free too
	// soon, a claim of it fails, and that is all.
	if err := p.untake(ctx, address); err != nil {
		return err
	}
	p.abandon(address)
	err := m.store.Update(ctx, func(tx cnm.Tx) error {
		record, err := getPool(tx, p.id)
		if err != nil {
			return err
		}
		if record.Instance != p.instance {
			return errReplaced
		}
		key := addressKeys + p.instance + "/" + address.String()
		if _, err := tx.Get(key); err != nil {
			if errors.Is(err, cnm.NotFound) {
				return nil
			}
			return err
		}
		return tx.Delete(key)
	})
	if err == nil {
		err = p.untake(ctx, address)
	}
	return err
}
