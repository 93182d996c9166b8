// Package tally counts operations, how long they take and how they end.
package tally

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Tally counts operations by name. The zero Tally is empty and ready.
type Tally[K comparable] struct {
	mu    sync.Mutex
	names map[string]*Count[K]
}

// Count is what is known of the operations of one name.
type Count[K comparable] struct {
	Name string
	// Failures are by what the caller takes for the kind of an error.
	Failures map[K]uint64
	// Buckets counts durations of at most the bound with the same index; the last bucket
	// has those above all bounds.
	Buckets []uint64
	Count   uint64
	Sum     time.Duration
}

// Bounds returns the upper bounds of the buckets. An attach takes some milliseconds, what
// waits for others or for a plugin seconds.
func Bounds() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{
		ms / 2, 1 * ms, 2 * ms, 5 * ms, 10 * ms, 20 * ms, 50 * ms, 100 * ms, 200 * ms, 500 * ms,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	}
}

// Add counts an operation; failed says that it ended with an error of the kind.
func (t *Tally[K]) Add(name string, took time.Duration, failed bool, kind K) {
	bounds := Bounds()
	bucket, _ := slices.BinarySearch(bounds, took)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = make(map[string]*Count[K])
	}
	c := t.names[name]
	if c == nil {
		c = &Count[K]{Name: name, Failures: make(map[K]uint64), Buckets: make([]uint64, len(bounds)+1)}
		t.names[name] = c
	}
	c.Buckets[bucket]++
	c.Count++
	c.Sum += took
	if failed {
		c.Failures[kind]++
	}
}

// Counts returns a copy of all counts, sorted by name.
func (t *Tally[K]) Counts() []Count[K] {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Count[K], 0, len(t.names))
	for _, name := range slices.Sorted(maps.Keys(t.names)) {
		c := *t.names[name]
		c.Failures, c.Buckets = maps.Clone(c.Failures), slices.Clone(c.Buckets)
		out = append(out, c)
	}
	return out
}
