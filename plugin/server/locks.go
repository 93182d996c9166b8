package server

import (
	"context"
	"fmt"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// locks are one for each thing that requests are about: what the engine calls one request
// is several operations of the controller. The zero value is ready.
type locks struct {
	mu   sync.Mutex // guards held, and the counts in it
	held map[string]*lock
}

type lock struct {
	place chan struct{}
	users int // holding or waiting
}

// acquire waits until nobody else has the key.
func (l *locks) acquire(ctx context.Context, key string) (release func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = make(map[string]*lock)
	}
	one := l.held[key]
	if one == nil {
		one = &lock{place: make(chan struct{}, 1)}
		l.held[key] = one
	}
	one.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.held, key)
		}
	}
	select {
	case one.place <- struct{}{}:
		return func() { <-one.place; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, cnm.E(fmt.Sprintf("wait for other requests about %s", key), cnm.Timeout, ctx.Err())
	}
}
