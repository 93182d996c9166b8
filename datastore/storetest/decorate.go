package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/docker/libnetwork/cnm"
)

// CountingStore counts what is asked of another store.
type CountingStore struct {
	cnm.Store
	updates atomic.Int64
}

// Counting returns a store that counts.
func Counting(store cnm.Store) *CountingStore { return &CountingStore{Store: store} }

// Updates returns the number of calls of Update.
func (c *CountingStore) Updates() int { return int(c.updates.Load()) }

// Update implements cnm.Store.
func (c *CountingStore) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	c.updates.Add(1)
	return c.Store.Update(ctx, fn)
}

// FailingStore makes an Update fail when told to.
type FailingStore struct {
	cnm.Store

	mu     sync.Mutex // guards what follows
	calls  int
	failAt int
}

// Failing returns a store that works on another one.
func Failing(store cnm.Store) *FailingStore { return &FailingStore{Store: store} }

// FailAt makes the n-th Update from now fail, once, after its function has run and
// with nothing written. Zero makes none fail.
func (f *FailingStore) FailAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.failAt = 0, n
}

// Calls returns the number of Updates since FailAt.
func (f *FailingStore) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

var errTold = errors.New("was told to fail")

// Update implements cnm.Store.
func (f *FailingStore) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	f.mu.Lock()
	f.calls++
	call, fail := f.calls, f.calls == f.failAt
	f.mu.Unlock()
	return f.Store.Update(ctx, func(tx cnm.Tx) error {
		if err := fn(tx); err != nil || !fail {
			return err
		}
		return cnm.E("", cnm.Internal, fmt.Errorf("commit %d %w", call, errTold))
	})
}
