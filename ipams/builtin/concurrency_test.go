package builtin

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/docker/libnetwork/cnm"
)

// Nobody gets what another has, in pools of one's own and in a shared one.
func TestConcurrency(t *testing.T) {
	const workers, each = 8, 200
	m, shared := onePool(t, "10.0.0.0/16", "")
	held := make([][]netip.Prefix, workers)
	pools := make([][]string, workers)
	errs := make(chan error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var err error
			if held[w], pools[w], err = work(m, shared, each, w%2 == 0); err != nil {
				errs <- fmt.Errorf("worker %d: %w", w, err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	checkDistinct(t, "addresses", slices.Concat(held...), workers*each)
	checkDistinct(t, "pools", slices.Concat(pools...), workers*each/2)
	if s := status(t, m, shared); s.Used != workers*each || s.Available != 65534-workers*each {
		t.Errorf("status is %+v", s)
	}
	if len(m.pools) != workers*each/2+1 || len(m.local.granted) != len(m.pools) {
		t.Errorf("%d pools, %d granted", len(m.pools), len(m.local.granted))
	}
}

// work takes and returns two addresses and two pools at a time, and keeps one address
// each time, and a pool every second.
func work(m *IPAM, shared string, times int, serial bool) (held []netip.Prefix, pools []string, err error) {
	ctx := context.Background()
	for i := range times {
		kept, err := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: shared, Serial: serial})
		if err != nil {
			return nil, nil, err
		}
		held = append(held, kept.Prefix)
		given, err := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: shared})
		if err != nil {
			return nil, nil, err
		}
		if err := m.ReleaseAddress(ctx, shared, given.Prefix.Addr()); err != nil {
			return nil, nil, err
		}
		pool, err := m.RequestPool(ctx, cnm.PoolRequest{AddressSpace: LocalSpace})
		if err != nil {
			return nil, nil, err
		}
		// The pool is this worker's own, so its first address is too.
		own, err := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID})
		if err != nil || own.Prefix.Addr() != pool.Prefix.Addr().Next() {
			return nil, nil, fmt.Errorf("first address of %q is %v: %w", pool.ID, own.Prefix, err)
		}
		if _, err := m.Status(pool.ID); err != nil {
			return nil, nil, err
		}
		if i%2 == 0 {
			pools = append(pools, pool.ID)
		} else if err := m.ReleasePool(ctx, pool.ID); err != nil {
			return nil, nil, err
		}
	}
	return held, pools, nil
}

func checkDistinct[T comparable](t *testing.T, what string, list []T, count int) {
	t.Helper()
	seen := make(map[T]bool)
	for _, v := range list {
		if seen[v] {
			t.Errorf("%s: %v twice", what, v)
		}
		seen[v] = true
	}
	if len(seen) != count {
		t.Errorf("%d %s, want %d", len(seen), what, count)
	}
}
