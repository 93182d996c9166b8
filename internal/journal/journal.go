// Package journal remembers the last entries of a sequence for readers that come and go.
package journal

import (
	"context"
	"iter"
	"sync"
)

// Log is a sequence of numbered entries, of which it remembers the last ones. Writers
// never wait for readers.
type Log[E any] struct {
	mu sync.Mutex
	// ring holds the entry with number n at n modulo its length.
	ring []E
	// first is the number of the first entry there ever was or will be, and next that of
	// the one to come.
	first, next uint64
	// grown is closed, and replaced, with each entry.
	grown  chan struct{}
	closed bool
}

// New returns a log that remembers size entries and numbers them from first on, which is
// at least 1.
func New[E any](size int, first uint64) *Log[E] {
	return &Log[E]{ring: make([]E, size), first: first, next: first, grown: make(chan struct{})}
}

// Add appends the entry that build makes of its number; build must not use the log.
func (l *Log[E]) Add(build func(number uint64) E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.ring[l.next%uint64(len(l.ring))] = build(l.next)
	l.next++
	close(l.grown)
	l.grown = make(chan struct{})
}

// Close ends all readers, once they have read what is there.
func (l *Log[E]) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.grown)
	}
}

// Read returns the entries behind the one numbered after, and goes on with what comes
// until ctx is done or the log is closed. A number that is yet to come means the next
// entry. In place of entries that are forgotten, or of another log's numbers, there is
// what missed makes of the number before the next entry that follows; zero misses nothing.
func (l *Log[E]) Read(ctx context.Context, after uint64, missed func(last uint64) E) iter.Seq[E] {
	return func(yield func(E) bool) {
		next := l.start(after)
		for {
			batch, from, grown := l.from(next)
			if from > next && next != 0 && !yield(missed(from-1)) {
				return
			}
			for _, entry := range batch {
				if ctx.Err() != nil || !yield(entry) {
					return
				}
			}
			next = from + uint64(len(batch))
			if len(batch) > 0 {
				continue
			}
			if grown == nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-grown:
			}
		}
	}
}

// start returns the number of the entry to begin with; zero is the oldest one.
func (l *Log[E]) start(after uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case after == 0:
		return 0
	case after >= l.next:
		return l.next
	}
	return after + 1
}

// from returns what there is from number on, with the number of the first of it, and what
// to wait for if that is nothing: nil if nothing more comes.
func (l *Log[E]) from(number uint64) (batch []E, first uint64, grown <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.first
	if size := uint64(len(l.ring)); l.next-l.first > size {
		oldest = l.next - size
	}
	first = max(number, oldest)
	for n := first; n < l.next; n++ {
		batch = append(batch, l.ring[n%uint64(len(l.ring))])
	}
	if len(batch) == 0 && l.closed {
		return nil, first, nil
	}
	return batch, first, l.grown
}
