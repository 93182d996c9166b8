package remotestore

import (
	"context"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// Gate lets operations in until a store is closed. The zero Gate is open.
type Gate struct {
	group sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	next   int
	cancel map[int]context.CancelCauseFunc
}

// Enter returns a context for an operation, which ends with the store, and what to call
// when the operation is over. The error is Unavailable once the store is closed, and
// Timeout for a context that is done.
func (g *Gate) Enter(ctx context.Context, store string) (context.Context, func(), error) {
	if ctx.Err() != nil {
		return nil, nil, Interrupted(ctx, store)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, nil, cnm.E(store, cnm.Unavailable, ErrClosed)
	}
	if g.cancel == nil {
		g.cancel = make(map[int]context.CancelCauseFunc)
	}
	inner, cancel := context.WithCancelCause(ctx)
	id := g.next
	g.next++
	g.cancel[id] = cancel
	g.group.Add(1)
	return inner, func() {
		g.mu.Lock()
		delete(g.cancel, id)
		g.mu.Unlock()
		cancel(nil)
		g.group.Done()
	}, nil
}

// Close ends the operations under way and waits for them. It reports whether this was
// the first call.
func (g *Gate) Close() bool {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	for _, cancel := range g.cancel {
		cancel(ErrClosed)
	}
	g.mu.Unlock()
	g.group.Wait()
	return first
}
