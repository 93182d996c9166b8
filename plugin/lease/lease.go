// Package lease is an address manager that remembers: what it has granted is in a store
// before it answers, and is there again after a restart. It is for callers who keep no
// records that could be asked again, such as a container engine on the other side of a
// socket.
//
// Which pools and addresses are granted is decided by package ipams/builtin.
package lease

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/ipams/builtin"
)

// ReplayTime is how long after a grant the same may be asked for once more by a caller that
// got no answer, since this side ended in between: engines try again for 30 seconds.
const ReplayTime = time.Minute

// OptionSerial is "true" in the options of a request for a pool if all automatic addresses
// of the pool are to be ones that were not used lately.
const OptionSerial = "com.docker.network.ipam.serial"

// Options say how to open a Book.
type Options struct {
	// Pools says where automatic pools come from.
	Pools builtin.Config
	// Avoid returns what automatic pools must not overlap beside each other. Nil means
	// nothing.
	Avoid func(context.Context) ([]netip.Prefix, error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Book implements cnm.IPAM. It is safe for concurrent use. Open makes one.
type Book struct {
	options Options
	store   cnm.Store
	manager *builtin.IPAM
	// lock is held by the operation under way: the store and the manager change together.
	// Commits would come one after the other anyway.
	lock chan struct{}

	// What follows belongs to whoever holds lock.
	pools map[string]*Pool // by id
	// open are grants whose answer may not have reached the caller, by their key: those of
	// this process, which Answered takes away, and replayable those of an earlier one.
	open, replayable map[string]time.Time
}

// Pool is a pool that was granted.
type Pool struct {
	ID     string
	Prefix netip.Prefix
	// SubPool is where automatic addresses come from; zero means anywhere.
	SubPool netip.Prefix
	// Serial says that automatic addresses are ones that were not used lately.
	Serial  bool
	Granted time.Time
	// Addresses are those granted in it.
	Addresses map[netip.Addr]Address
}

// Address is an address that was granted.
type Address struct {
	// Gateway says that it was asked for as that of the gateway.
	Gateway bool
	Granted time.Time
}

// Open returns the book that is in the store. Close the store after the last use of it.
func Open(ctx context.Context, store cnm.Store, o Options) (*Book, error) {
	const op = "open address book"
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Avoid == nil {
		o.Avoid = func(context.Context) ([]netip.Prefix, error) { return nil, nil }
	}
	manager, err := builtin.New(o.Pools)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	b := &Book{
		options: o, store: store, manager: manager, lock: make(chan struct{}, 1),
		open: make(map[string]time.Time),
	}
	if b.pools, b.replayable, err = load(ctx, store); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	for _, p := range b.pools {
		if err := b.take(ctx, p); err != nil {
			return nil, cnm.Wrap(op, err)
		}
	}
	return b, nil
}

// take asks the manager again for what is in the book.
func (b *Book) take(ctx context.Context, p *Pool) error {
	space, err := spaceOf(p.ID)
	if err != nil {
		return err
	}
	again, err := b.manager.RequestPool(ctx, cnm.PoolRequest{AddressSpace: space, Pool: p.Prefix, SubPool: p.SubPool})
	if err != nil {
		return err
	}
	if again.ID != p.ID {
		return cnm.E("", cnm.Internal, fmt.Errorf("pool %q: is now called %q", p.ID, again.ID))
	}
	for address := range p.Addresses {
		if _, err := b.manager.RequestAddress(ctx, cnm.AddressRequest{PoolID: p.ID, Address: address}); err != nil {
			return err
		}
	}
	return nil
}

// acquire waits for the operation before.
func (b *Book) acquire(ctx context.Context) (release func(), err error) {
	select {
	case b.lock <- struct{}{}:
		return func() { <-b.lock }, nil
	case <-ctx.Done():
		return nil, cnm.E("wait for other requests for addresses", cnm.Timeout, ctx.Err())
	}
}

// AddressSpaces implements cnm.IPAM.
func (b *Book) AddressSpaces(ctx context.Context) (local, global string, err error) {
	return b.manager.AddressSpaces(ctx)
}

// RequestPool implements cnm.IPAM. No automatic pool is granted twice before it is given
// back.
func (b *Book) RequestPool(ctx context.Context, r cnm.PoolRequest) (cnm.Pool, error) {
	release, err := b.acquire(ctx)
	if err != nil {
		return cnm.Pool{}, err
	}
	defer release()
	chosen := r.Pool.IsValid() && !r.Pool.Addr().IsUnspecified()
	if !chosen {
		avoid, err := b.options.Avoid(ctx)
		if err != nil {
			return cnm.Pool{}, cnm.Wrap("request pool", err)
		}
		r.Avoid = append(avoid, r.Avoid...)
	} else if p := b.replayedPool(r); p != nil {
		return cnm.Pool{ID: p.ID, Prefix: p.Prefix}, nil
	}
	granted, err := b.manager.RequestPool(ctx, r)
	if err != nil {
		return cnm.Pool{}, err
	}
	p := &Pool{
		ID: granted.ID, Prefix: granted.Prefix, SubPool: r.SubPool, Serial: r.Options[OptionSerial] == "true", Granted: b.now(),
		Addresses: make(map[netip.Addr]Address),
	}
	err = b.commit(ctx, chosen, keyPool(p.ID), p.Granted, func(t cnm.Tx) error { return putPool(t, p) })
	if err != nil {
		return cnm.Pool{}, errors.Join(err, b.manager.ReleasePool(context.WithoutCancel(ctx), p.ID))
	}
	b.pools[p.ID] = p
	return granted, nil
}

// replayedPool returns the pool that an earlier process granted to the same request, if the
// caller cannot have got the answer.
func (b *Book) replayedPool(r cnm.PoolRequest) *Pool {
	for _, p := range b.pools {
		space, err := spaceOf(p.ID)
		same := err == nil && space == r.AddressSpace && p.Prefix == r.Pool && p.SubPool == r.SubPool
		if same && len(p.Addresses) == 0 && b.replays(keyPool(p.ID)) {
			return p
		}
	}
	return nil
}

// replays reports whether a grant may be given once more, and notes that it was.
func (b *Book) replays(key string) bool {
	granted, ok := b.replayable[key]
	delete(b.replayable, key)
	if ok = ok && b.now().Sub(granted) < ReplayTime; ok {
		b.open[key] = granted
	}
	return ok
}

// ReleasePool implements cnm.IPAM. The addresses in it go with it.
func (b *Book) ReleasePool(ctx context.Context, poolID string) error {
	release, err := b.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	p, ok := b.pools[poolID]
	if !ok {
		return b.manager.ReleasePool(ctx, poolID) // which says what is wrong
	}
	b.forget(keyPool(poolID))
	for address := range p.Addresses {
		b.forget(keyAddress(poolID, address))
	}
	err = b.store.Update(ctx, func(t cnm.Tx) error {
		for address := range p.Addresses {
			if err := t.Delete(keyAddress(poolID, address)); err != nil {
				return err
			}
		}
		return errors.Join(t.Delete(keyPool(poolID)), putOpen(t, b.owed()))
	})
	if err != nil {
		return cnm.Wrap("release pool", err)
	}
	delete(b.pools, poolID)
	return b.manager.ReleasePool(context.WithoutCancel(ctx), poolID)
}

// RequestAddress implements cnm.IPAM.
func (b *Book) RequestAddress(ctx context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	release, err := b.acquire(ctx)
	if err != nil {
		return cnm.Address{}, err
	}
	defer release()
	p, chosen := b.pools[r.PoolID], r.Address.IsValid()
	if p != nil && chosen {
		given, taken := p.Addresses[r.Address]
		if taken && given.Gateway == r.Gateway && b.replays(keyAddress(p.ID, r.Address)) {
			return cnm.Address{Prefix: netip.PrefixFrom(r.Address, p.Prefix.Bits())}, nil
		}
	}
	r.Serial = r.Serial || p != nil && p.Serial
	granted, err := b.manager.RequestAddress(ctx, r)
	if err != nil {
		return cnm.Address{}, err
	}
	address, entry := granted.Prefix.Addr(), Address{Gateway: r.Gateway, Granted: b.now()}
	key := keyAddress(p.ID, address)
	err = b.commit(ctx, chosen, key, entry.Granted, func(t cnm.Tx) error { return putAddress(t, key, entry) })
	if err != nil {
		return cnm.Address{}, errors.Join(err, b.manager.ReleaseAddress(context.WithoutCancel(ctx), p.ID, address))
	}
	p.Addresses[address] = entry
	return granted, nil
}

// ReleaseAddress implements cnm.IPAM.
func (b *Book) ReleaseAddress(ctx context.Context, poolID string, address netip.Addr) error {
	release, err := b.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	address = address.Unmap()
	p := b.pools[poolID]
	if p == nil {
		return b.manager.ReleaseAddress(ctx, poolID, address) // which says what is wrong
	}
	if _, granted := p.Addresses[address]; granted {
		key := keyAddress(poolID, address)
		b.forget(key)
		err := b.store.Update(ctx, func(t cnm.Tx) error { return errors.Join(t.Delete(key), putOpen(t, b.owed())) })
		if err != nil {
			return cnm.Wrap("release address", err)
		}
		delete(p.Addresses, address)
	}
	return b.manager.ReleaseAddress(context.WithoutCancel(ctx), poolID, address)
}

func (b *Book) now() time.Time { return b.options.Now().UTC().Truncate(time.Millisecond) }

// owed returns the grants that may be asked for once more when this process has ended: its
// own, and those of an earlier one, which the caller may not have got round to.
func (b *Book) owed() map[string]time.Time {
	out := maps.Clone(b.open)
	maps.Copy(out, b.replayable)
	now := b.now()
	maps.DeleteFunc(out, func(_ string, granted time.Time) bool { return now.Sub(granted) >= ReplayTime })
	return out
}

// forget makes sure that a grant is not given once more.
func (b *Book) forget(key string) {
	delete(b.open, key)
	delete(b.replayable, key)
}

// commit writes a grant, and that its answer is under way if the caller chose it. For what
// the manager chose there is no way to tell a repeated request from another.
func (b *Book) commit(ctx context.Context, chosen bool, key string, granted time.Time, put func(cnm.Tx) error) error {
	if chosen {
		b.open[key] = granted
	}
	err := b.store.Update(ctx, func(t cnm.Tx) error { return errors.Join(put(t), putOpen(t, b.owed())) })
	if err != nil {
		delete(b.open, key)
	}
	return err
}

// PoolAnswered and AddressAnswered say that the caller has got the answer: from now on the
// same request is another's. For what was not chosen by the caller they do nothing.
func (b *Book) PoolAnswered(ctx context.Context, poolID string) error {
	return b.answered(ctx, keyPool(poolID))
}

// AddressAnswered is PoolAnswered for an address.
func (b *Book) AddressAnswered(ctx context.Context, poolID string, address netip.Addr) error {
	return b.answered(ctx, keyAddress(poolID, address))
}

func (b *Book) answered(ctx context.Context, key string) error {
	release, err := b.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if _, ok := b.open[key]; !ok {
		return nil
	}
	delete(b.open, key)
	return cnm.Wrap("note an answer", b.store.Update(ctx, func(t cnm.Tx) error { return putOpen(t, b.owed()) }))
}
