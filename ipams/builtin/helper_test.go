package builtin

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/cnm"
)

var _ cnm.IPAM = (*IPAM)(nil)

func prefix(text string) netip.Prefix {
	if text == "" {
		return netip.Prefix{}
	}
	return netip.MustParsePrefix(text)
}

func addr(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(text)
}

// fataler is what *testing.T, *testing.B and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func newIPAM(t fataler, config Config) *IPAM {
	t.Helper()
	m, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func requestPool(t fataler, m *IPAM, r cnm.PoolRequest) cnm.Pool {
	t.Helper()
	if r.AddressSpace == "" {
		r.AddressSpace = LocalSpace
	}
	p, err := m.RequestPool(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// onePool returns an address manager with one pool.
func onePool(t fataler, pool, subPool string) (*IPAM, string) {
	t.Helper()
	m := newIPAM(t, Config{})
	return m, requestPool(t, m, cnm.PoolRequest{Pool: prefix(pool), SubPool: prefix(subPool), Holder: `network "web"`}).ID
}

func requestAddress(t fataler, m *IPAM, r cnm.AddressRequest) netip.Addr {
	t.Helper()
	a, err := m.RequestAddress(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a.Prefix.Addr()
}

func releaseAddress(t fataler, m *IPAM, id, address string) {
	t.Helper()
	if err := m.ReleaseAddress(context.Background(), id, addr(address)); err != nil {
		t.Fatal(err)
	}
}

// wantError checks the kind and the whole text.
func wantError(t *testing.T, err error, kind cnm.Kind, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v: %s", kind, text)
	}
	if !errors.Is(err, kind) || cnm.KindOf(err) != kind {
		t.Errorf("kind is %v, want %v", cnm.KindOf(err), kind)
	}
	if err.Error() != text {
		t.Errorf("error is\n\t%s\nwant\n\t%s", err, text)
	}
}
