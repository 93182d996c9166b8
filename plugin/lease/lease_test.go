package lease

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/bolt"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/ipams/builtin"
)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func open(t testing.TB, store cnm.Store, c *clock) *Book {
	t.Helper()
	b, err := Open(context.Background(), store, Options{Pools: builtin.Config{ULA: builtin.ULAFor("test")}, Now: c.read})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func pool(t testing.TB, b *Book, text string) cnm.Pool {
	t.Helper()
	r := cnm.PoolRequest{AddressSpace: builtin.LocalSpace}
	if text != "" {
		r.Pool = prefix(text)
	}
	p, err := b.RequestPool(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func address(t testing.TB, b *Book, id, text string) netip.Addr {
	t.Helper()
	r := cnm.AddressRequest{PoolID: id}
	if text != "" {
		r.Address = addr(text)
	}
	a, err := b.RequestAddress(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a.Prefix.Addr()
}

func list(t testing.TB, b *Book) []Pool {
	t.Helper()
	out, err := b.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantKind(t testing.TB, err error, kind cnm.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want %v", err, kind)
	}
}

// TestRestart: what was granted stays granted, in a file that was closed and opened.
func TestRestart(t *testing.T) {
	ctx, path := context.Background(), t.TempDir()+"/leases.db"
	reopen := func() *bolt.Store {
		store, err := bolt.Open(path, bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store, c := reopen(), newClock()
	b := open(t, store, c)
	first, second := pool(t, b, ""), pool(t, b, "")
	if first.Prefix.Overlaps(second.Prefix) {
		t.Fatalf("two automatic pools are %s and %s", first.Prefix, second.Prefix)
	}
	sub, err := b.RequestPool(ctx, cnm.PoolRequest{AddressSpace: builtin.LocalSpace, Pool: prefix("10.1.0.0/16"), SubPool: prefix("10.1.2.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	six, err := b.RequestPool(ctx, cnm.PoolRequest{AddressSpace: builtin.GlobalSpace, IPv6: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{first.ID, sub.ID, six.ID} {
		address(t, b, id, "")
		address(t, b, id, "")
	}
	address(t, b, sub.ID, "10.1.9.9")
	before := list(t, b)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	store = reopen()
	defer store.Close() //nolint:errcheck // the test's own
	b = open(t, store, c)
	if diff := cmp.Diff(before, list(t, b), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	if got := address(t, b, sub.ID, ""); got != addr("10.1.2.2") {
		t.Errorf("the next address of the range is %s", got)
	}
	if p := pool(t, b, ""); p.Prefix == first.Prefix || p.Prefix == second.Prefix {
		t.Errorf("pool %s is granted again", p.Prefix)
	}
	c.now = c.now.Add(ReplayTime)
	_, err = b.RequestAddress(ctx, cnm.AddressRequest{PoolID: sub.ID, Address: addr("10.1.9.9")})
	wantKind(t, err, cnm.Exists)
	if err := b.ReleasePool(ctx, sub.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, b.ReleasePool(ctx, sub.ID), cnm.NotFound)
	_, err = b.RequestAddress(ctx, cnm.AddressRequest{PoolID: sub.ID})
	wantKind(t, err, cnm.NotFound)
	wantKind(t, b.ReleaseAddress(ctx, sub.ID, addr("10.1.2.2")), cnm.NotFound)
	if got := pool(t, b, "10.1.0.0/16"); len(list(t, b)) != 5 || got.ID == sub.ID {
		t.Errorf("pool %q, of %d", got.ID, len(list(t, b)))
	}
}

// TestReplay: what an earlier process granted and perhaps did not answer is granted once
// more, to the same request, once and for a while.
func TestReplay(t *testing.T) {
	ctx, store, c := context.Background(), memory.New(), newClock()
	chosen := cnm.PoolRequest{AddressSpace: builtin.LocalSpace, Pool: prefix("10.5.0.0/24")}
	gateway := cnm.AddressRequest{PoolID: "LocalDefault/10.6.0.0/24", Address: addr("10.6.0.1"), Gateway: true}
	b := open(t, store, c)
	for _, text := range []string{"10.5.0.0/24", "10.6.0.0/24"} {
		pool(t, b, text)
	}
	if _, err := b.RequestAddress(ctx, gateway); err != nil {
		t.Fatal(err)
	}
	_, err := b.RequestPool(ctx, chosen)
	wantKind(t, err, cnm.Exists) // by a process that lives, it is another's

	b = open(t, store, c)
	if p, err := b.RequestPool(ctx, chosen); err != nil || p.ID != "LocalDefault/10.5.0.0/24" {
		t.Errorf("pool %q, %v", p.ID, err)
	}
	_, err = b.RequestPool(ctx, chosen)
	wantKind(t, err, cnm.Exists)
	other := gateway
	other.Gateway = false
	_, err = b.RequestAddress(ctx, other)
	wantKind(t, err, cnm.Exists)
	if a, err := b.RequestAddress(ctx, gateway); err != nil || a.Prefix != prefix("10.6.0.1/24") {
		t.Errorf("address %s, %v", a.Prefix, err)
	}
	_, err = b.RequestAddress(ctx, gateway)
	wantKind(t, err, cnm.Exists)

	// What the caller has got is another's the next time.
	if err := b.PoolAnswered(ctx, "LocalDefault/10.5.0.0/24"); err != nil {
		t.Fatal(err)
	}
	b = open(t, store, c)
	_, err = b.RequestPool(ctx, chosen)
	wantKind(t, err, cnm.Exists)
	// And so is what nobody has asked for in time.
	c.now = c.now.Add(ReplayTime)
	_, err = b.RequestAddress(ctx, gateway)
	wantKind(t, err, cnm.Exists)
	// What was released and granted again is no replay.
	if err := b.ReleaseAddress(ctx, gateway.PoolID, gateway.Address); err != nil {
		t.Fatal(err)
	}
	if _, err := b.RequestAddress(ctx, gateway); err != nil {
		t.Fatal(err)
	}
	if err := b.AddressAnswered(ctx, gateway.PoolID, gateway.Address); err != nil {
		t.Fatal(err)
	}
	b = open(t, store, c)
	_, err = b.RequestAddress(ctx, gateway)
	wantKind(t, err, cnm.Exists)
}

// TestReplayAfterTwoRestarts: a process that granted something else and ended before the
// caller asked again has not forgotten what its predecessor owes.
func TestReplayAfterTwoRestarts(t *testing.T) {
	store, c := memory.New(), newClock()
	b := open(t, store, c)
	owed := pool(t, b, "10.5.0.0/24")
	address(t, b, pool(t, b, "10.6.0.0/24").ID, "10.6.0.7")
	b = open(t, store, c)
	pool(t, b, "10.7.0.0/24")
	b = open(t, store, c)
	if again := pool(t, b, "10.5.0.0/24"); again.ID != owed.ID {
		t.Errorf("pool %q, want %q", again.ID, owed.ID)
	}
	address(t, b, "LocalDefault/10.6.0.0/24", "10.6.0.7")
	c.now = c.now.Add(ReplayTime)
	b = open(t, store, c)
	pool(t, b, "10.8.0.0/24")
	err := store.View(context.Background(), func(tx cnm.Tx) error {
		open, err := loadOpen(tx)
		if len(open) != 1 {
			t.Errorf("what nobody can ask for again is kept: %v", open)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// failing is a store whose commits fail while it is told so.
type failing struct {
	cnm.Store
	fail bool
}

func (f *failing) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	if f.fail {
		return cnm.E("write", cnm.Exhausted, errors.New("the disk is full"))
	}
	return f.Store.Update(ctx, fn)
}

// TestFullDisk: what is not recorded is not granted, and what is not recorded as released
// stays granted.
func TestFullDisk(t *testing.T) {
	ctx, store := context.Background(), &failing{Store: memory.New()}
	b := open(t, store, newClock())
	p := pool(t, b, "10.5.0.0/24")
	a := address(t, b, p.ID, "10.5.0.7")
	before := list(t, b)
	store.fail = true
	_, err := b.RequestPool(ctx, cnm.PoolRequest{AddressSpace: builtin.LocalSpace, Pool: prefix("10.6.0.0/24")})
	wantKind(t, err, cnm.Exhausted)
	_, err = b.RequestAddress(ctx, cnm.AddressRequest{PoolID: p.ID, Address: addr("10.5.0.8")})
	wantKind(t, err, cnm.Exhausted)
	wantKind(t, b.ReleaseAddress(ctx, p.ID, a), cnm.Exhausted)
	wantKind(t, b.ReleasePool(ctx, p.ID), cnm.Exhausted)
	store.fail = false
	if diff := cmp.Diff(before, list(t, b), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("after failures (-before +after):\n%s", diff)
	}
	pool(t, b, "10.6.0.0/24")
	address(t, b, p.ID, "10.5.0.8")
	_, err = b.RequestAddress(ctx, cnm.AddressRequest{PoolID: p.ID, Address: a})
	wantKind(t, err, cnm.Exists)
}

// TestSerial: what was given back is not given out again at once, after a restart neither.
func TestSerial(t *testing.T) {
	ctx, store, c := context.Background(), memory.New(), newClock()
	b := open(t, store, c)
	p, err := b.RequestPool(ctx, cnm.PoolRequest{AddressSpace: builtin.LocalSpace, Pool: prefix("10.5.0.0/24"), Options: map[string]string{OptionSerial: "true"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"10.5.0.1", "10.5.0.2", "10.5.0.3"} {
		if got := address(t, b, p.ID, ""); got != addr(want) {
			t.Errorf("address %s, want %s", got, want)
		}
	}
	if err := b.ReleaseAddress(ctx, p.ID, addr("10.5.0.1")); err != nil {
		t.Fatal(err)
	}
	b = open(t, store, c)
	if got := address(t, b, p.ID, ""); got != addr("10.5.0.4") {
		t.Errorf("address %s after a restart", got)
	}
}

func TestAvoid(t *testing.T) {
	avoid := func(context.Context) ([]netip.Prefix, error) { return []netip.Prefix{prefix("172.16.0.0/12")}, nil }
	b, err := Open(context.Background(), memory.New(), Options{Avoid: avoid})
	if err != nil {
		t.Fatal(err)
	}
	if p := pool(t, b, ""); p.Prefix.Overlaps(prefix("172.16.0.0/12")) {
		t.Errorf("pool %s overlaps what is to be avoided", p.Prefix)
	}
	pool(t, b, "172.16.5.0/24") // what is chosen may
}

// TestDamage: a book that cannot be understood is not opened, and not changed.
func TestDamage(t *testing.T) {
	for _, entry := range []cnm.KeyValue{
		{Key: keyPool("LocalDefault/10.5.0.0/24"), Value: []byte("{")},
		{Key: keyPool("LocalDefault/10.5.0.0/24"), Value: []byte(`{"schema":2,"prefix":"10.5.0.0/24"}`)},
		{Key: keyPool("none"), Value: []byte(`{"schema":1,"prefix":"10.5.0.0/24"}`)},
		{Key: keyPool("LocalDefault/10.7.0.0/24"), Value: []byte(`{"schema":1,"prefix":"10.5.0.0/24"}`)},
		{Key: keyAddress("LocalDefault/10.5.0.0/24", addr("10.5.0.1")), Value: []byte(`{"schema":1}`)},
		{Key: keyOpen, Value: []byte("[]")},
	} {
		store := memory.New()
		if err := store.Update(context.Background(), func(t cnm.Tx) error { return t.Put(entry.Key, entry.Value) }); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), store, Options{}); err == nil {
			t.Errorf("%s %s: is taken", entry.Key, entry.Value)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	b := open(t, memory.New(), newClock())
	p := pool(t, b, "10.5.0.0/24")
	var mu sync.Mutex
	seen := make(map[netip.Addr]bool)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			a, err := b.RequestAddress(context.Background(), cnm.AddressRequest{PoolID: p.ID})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[a.Prefix.Addr()] {
				t.Errorf("address %s, %v", a.Prefix, err)
			}
			seen[a.Prefix.Addr()] = true
		})
	}
	group.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	release, err := b.acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.RequestAddress(ctx, cnm.AddressRequest{PoolID: p.ID})
	wantKind(t, err, cnm.Timeout)
	release()
}

// TestWalk: whatever happened, a book that is opened again is the one that was there.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		store, c, ctx := memory.New(), newClock(), context.Background()
		b := open(t, store, c)
		ids := []string{"LocalDefault/10.0.0.0/29", "LocalDefault/10.0.0.8/29", "GlobalDefault/10.0.0.0/28"}
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			id := rapid.SampledFrom(ids).Draw(r, "pool")
			a := addr(fmt.Sprintf("10.0.0.%d", rapid.IntRange(0, 17).Draw(r, "address")))
			switch rapid.IntRange(0, 5).Draw(r, "step") {
			case 0:
				space, _ := spaceOf(id)
				_, _ = b.RequestPool(ctx, cnm.PoolRequest{AddressSpace: space, Pool: prefix(id[len(space)+1:])})
			case 1:
				_ = b.ReleasePool(ctx, id)
			case 2:
				_, _ = b.RequestAddress(ctx, cnm.AddressRequest{PoolID: id, Address: a})
			case 3:
				_, _ = b.RequestAddress(ctx, cnm.AddressRequest{PoolID: id})
			case 4:
				_ = b.ReleaseAddress(ctx, id, a)
			case 5:
				before := fmt.Sprint(list(t, b))
				b = open(t, store, c)
				if after := fmt.Sprint(list(t, b)); after != before {
					r.Fatalf("was %s\nis  %s", before, after)
				}
			}
		}
	})
}
