package storetest

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// NoLeaks checks that a store that was used and closed leaves no goroutine. No other test
// may run at the time.
func NoLeaks(t *testing.T, open func() cnm.Store) {
	t.Helper()
	before := runtime.NumGoroutine()
	s := open()
	put(t, s, "a", "1")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if w, ok := s.(cnm.Watcher); ok {
		for _, err := range w.Watch(ctx, "") {
			if err != nil {
				t.Error(err)
			}
		}
	}
	short, cancelShort := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancelShort()
	for short.Err() == nil { // one is given up half way
		if err := s.Update(short, func(tx cnm.Tx) error { return tx.Put("b", nil) }); err != nil && !errors.Is(err, cnm.Timeout) {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines were there before, and %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}
