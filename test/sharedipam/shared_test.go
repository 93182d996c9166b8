package sharedipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/ipams/builtin"
	"github.com/docker/libnetwork/ipams/shared"
)

func replica() (cnm.IPAM, error) { return builtin.New(builtin.Config{}) }

func newIPAM(t testing.TB, store cnm.Store, node string) *shared.IPAM {
	t.Helper()
	m, err := shared.New(store, replica, shared.Options{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func requestPool(t testing.TB, m *shared.IPAM, prefix, holder string) cnm.Pool {
	t.Helper()
	r := cnm.PoolRequest{AddressSpace: builtin.GlobalSpace, Holder: holder}
	if prefix != "" {
		r.Pool = netip.MustParsePrefix(prefix)
	}
	p, err := m.RequestPool(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func address(t testing.TB, m *shared.IPAM, r cnm.AddressRequest) netip.Addr {
	t.Helper()
	a, err := m.RequestAddress(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Prefix.IsValid() || a.Prefix.Bits() == a.Prefix.Addr().BitLen() {
		t.Errorf("address %s lacks its pool's length", a.Prefix)
	}
	return a.Prefix.Addr()
}

func wantKind(t testing.TB, err error, kind cnm.Kind, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want kind %q", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func content(t testing.TB, store cnm.Store) (keys []string) {
	t.Helper()
	err := store.View(context.Background(), func(tx cnm.Tx) error {
		entries, err := tx.List("")
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestPoolsDoNotOverlapAcrossHosts(t *testing.T) {
	store := memory.New()
	one, two := newIPAM(t, store, "one"), newIPAM(t, store, "two")
	a, b := requestPool(t, one, "", `network "a"`), requestPool(t, two, "", `network "b"`)
	if a.Prefix.Overlaps(b.Prefix) {
		t.Errorf("%s and %s overlap", a.Prefix, b.Prefix)
	}
	_, err := two.RequestPool(context.Background(), cnm.PoolRequest{AddressSpace: builtin.GlobalSpace, Pool: a.Prefix, Holder: `network "c"`})
	wantKind(t, err, cnm.Exists, "request pool", a.Prefix.String(), `network "a"`)
	if again := requestPool(t, two, a.Prefix.String(), `network "a"`); again.ID != a.ID {
		t.Errorf("the network's own pool is %q, and then %q", a.ID, again.ID)
	}
	_, err = one.RequestPool(context.Background(), cnm.PoolRequest{AddressSpace: builtin.LocalSpace})
	wantKind(t, err, cnm.Invalid, builtin.LocalSpace, builtin.GlobalSpace)
	if err := two.ReleasePool(context.Background(), a.ID); err != nil {
		t.Error(err)
	}
	wantKind(t, one.ReleasePool(context.Background(), a.ID), cnm.NotFound, a.ID)
}

func TestAddressesAcrossHosts(t *testing.T) {
	ctx := context.Background()
	store := memory.New()
	one, two := newIPAM(t, store, "one"), newIPAM(t, store, "two")
	pool := requestPool(t, one, "10.1.0.0/28", `network "a"`)
	taken := make(map[netip.Addr]*shared.IPAM)
	for i := range 14 {
		m := []*shared.IPAM{one, two}[i%2]
		a := address(t, m, cnm.AddressRequest{PoolID: pool.ID})
		if taken[a] != nil {
			t.Fatalf("address %s was granted twice", a)
		}
		taken[a] = m
	}
	_, err := one.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID})
	wantKind(t, err, cnm.Exhausted, "request address", "14 of 14")
	free := netip.MustParseAddr("10.1.0.7")
	_, err = two.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID, Address: free})
	wantKind(t, err, cnm.Exists, free.String(), `network "a"`)
	for range 2 {
		if err := two.ReleaseAddress(ctx, pool.ID, free); err != nil {
			t.Fatal(err)
		}
	}
	// The other host does not know that it is free, until it looks.
	if got := address(t, one, cnm.AddressRequest{PoolID: pool.ID}); got != free {
		t.Errorf("got %s, want the only free one, %s", got, free)
	}
	if err := one.ReleaseAddress(ctx, pool.ID, free); err != nil {
		t.Fatal(err)
	}
	if got := address(t, two, cnm.AddressRequest{PoolID: pool.ID, Address: free}); got != free {
		t.Errorf("got %s, want what was asked for, %s", got, free)
	}
}

func TestRefusedAddresses(t *testing.T) {
	ctx := context.Background()
	store := memory.New()
	m := newIPAM(t, store, "one")
	pool := requestPool(t, m, "10.1.0.0/24", "")
	before := len(content(t, store))
	for _, text := range []string{"10.1.0.0", "10.1.0.255", "10.2.0.1", "fd00::1"} {
		_, err := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID, Address: netip.MustParseAddr(text)})
		wantKind(t, err, cnm.Invalid, text)
	}
	wantKind(t, m.ReleaseAddress(ctx, pool.ID, netip.MustParseAddr("10.2.0.1")), cnm.Invalid, "10.2.0.1")
	wantKind(t, m.ReleaseAddress(ctx, pool.ID, netip.Addr{}), cnm.Invalid)
	wantKind(t, m.ReleaseAddress(ctx, "none", netip.MustParseAddr("10.1.0.1")), cnm.NotFound, "none")
	_, err := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: "none"})
	wantKind(t, err, cnm.NotFound, "none")
	if after := len(content(t, store)); after != before {
		t.Errorf("%d entries became %d", before, after)
	}
	_, err = shared.New(store, replica, shared.Options{})
	wantKind(t, err, cnm.Invalid, "node")
}

func TestRestart(t *testing.T) {
	ctx := context.Background()
	store := memory.New()
	m, other := newIPAM(t, store, "one"), newIPAM(t, store, "other")
	const holder = `network "a"`
	pool := requestPool(t, m, "10.1.0.0/24", holder)
	gateway := address(t, m, cnm.AddressRequest{PoolID: pool.ID, Gateway: true})
	kept := address(t, m, cnm.AddressRequest{PoolID: pool.ID})
	leaked := address(t, m, cnm.AddressRequest{PoolID: pool.ID})
	foreign := address(t, other, cnm.AddressRequest{PoolID: pool.ID})

	m = newIPAM(t, store, "one")
	if again := requestPool(t, m, "10.1.0.0/24", holder); again.ID != pool.ID {
		t.Errorf("the pool is %q, and then %q", pool.ID, again.ID)
	}
	for _, who := range []*shared.IPAM{m, other} { // each host has the gateway
		if got := address(t, who, cnm.AddressRequest{PoolID: pool.ID, Gateway: true, Address: gateway}); got != gateway {
			t.Errorf("the gateway is %s, and then %s", gateway, got)
		}
	}
	address(t, m, cnm.AddressRequest{PoolID: pool.ID, Address: kept})
	for _, again := range []netip.Addr{kept, foreign, gateway} {
		_, err := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID, Address: again})
		wantKind(t, err, cnm.Exists, again.String())
	}
	if err := m.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := other.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID, Address: kept})
	wantKind(t, err, cnm.Exists, kept.String())
	address(t, other, cnm.AddressRequest{PoolID: pool.ID, Address: leaked})
	if err := m.ReleaseNode(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	address(t, m, cnm.AddressRequest{PoolID: pool.ID, Address: foreign})
	_, err = m.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID, Address: gateway})
	wantKind(t, err, cnm.Exists, gateway.String())
}

func TestReleasedPool(t *testing.T) {
	ctx := context.Background()
	store := memory.New()
	one, two := newIPAM(t, store, "one"), newIPAM(t, store, "two")
	pool := requestPool(t, one, "10.1.0.0/24", "a")
	var first netip.Addr
	for i := range 120 {
		a := address(t, two, cnm.AddressRequest{PoolID: pool.ID})
		if i == 0 {
			first = a
		}
	}
	if err := one.ReleasePool(ctx, pool.ID); err != nil {
		t.Fatal(err)
	}
	if keys := content(t, store); len(keys) != 0 {
		t.Errorf("%d entries stay, such as %q", len(keys), keys[0])
	}
	_, err := two.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID})
	wantKind(t, err, cnm.NotFound, pool.ID)
	requestPool(t, one, "10.1.0.0/24", "b")
	// What the other host knew is of the earlier pool.
	if got := address(t, two, cnm.AddressRequest{PoolID: pool.ID}); got != first {
		t.Errorf("got %s, want the lowest address of the new pool, %s", got, first)
	}
}

func ExampleNew() {
	store := memory.New() // the hosts of a cluster have one of etcd, say
	m, err := shared.New(store, func() (cnm.IPAM, error) { return builtin.New(builtin.Config{}) }, shared.Options{Node: "host1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	pool, err := m.RequestPool(ctx, cnm.PoolRequest{AddressSpace: builtin.GlobalSpace, Holder: `network "web"`})
	if err != nil {
		fmt.Println(err)
		return
	}
	address, err := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID})
	fmt.Println(address.Prefix, err)
	// Output: 10.0.0.1/24 <nil>
}
