package libnetwork

import (
	"context"
	"fmt"

	"github.com/docker/libnetwork/cnm"
)

// opLock serialises the operations on one object. Unlike a sync.Mutex it can be
// given up waiting for.
type opLock chan struct{}

func newOpLock() opLock { return make(opLock, 1) }

// acquire waits for the lock, or until ctx is done.
func (l opLock) acquire(ctx context.Context, subject string) (release func(), err error) {
	// Otherwise select might take a free lock although ctx is done.
	if err := ctx.Err(); err != nil {
		return nil, cnm.E("", cnm.Timeout, fmt.Errorf("%s: %w", subject, err))
	}
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	case <-ctx.Done():
		return nil, cnm.E("", cnm.Timeout, fmt.Errorf("%s: another operation is under way: %w", subject, ctx.Err()))
	}
}

// try takes the lock if it is free.
func (l opLock) try() (release func(), ok bool) {
	select {
	case l <- struct{}{}:
		return func() { <-l }, true
	default:
		return nil, false
	}
}
