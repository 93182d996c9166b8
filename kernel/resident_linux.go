package kernel

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
)

// resident is a thread that stays in the host's namespace, for what is done there often
// and takes no time: to enter takes longer than to bind a port, and so does to wake the
// thread. What runs there may call do again, at no cost.
type resident struct {
	h     *host
	once  sync.Once
	calls chan call
	ended chan struct{}
	err   error // why there is none
	id    int   // of the thread
}

type call struct {
	fn   func() error
	done chan error
}

func newResident(h *host) *resident {
	return &resident{h: h, calls: make(chan call), ended: make(chan struct{})}
}

// do runs fn, which must not wait for anything, on the thread.
func (r *resident) do(fn func() error) error {
	r.once.Do(r.start)
	if r.err != nil {
		return r.err
	}
	if unix.Gettid() == r.id {
		return fn()
	}
	c := call{fn, make(chan error, 1)}
	select {
	case r.calls <- c:
		return <-c.done
	case <-r.h.ctx.Done():
		return cnm.E("", cnm.Unavailable, errors.New("the host is closed"))
	}
}

func (r *resident) start() {
	s, err := r.h.space("")
	if err != nil {
		r.err = err
		close(r.ended)
		return
	}
	entered := make(chan error, 2) // one more than is read
	go func() {
		defer close(r.ended)
		defer s.release()
		entered <- s.namespace.Do(func() error {
			r.id = unix.Gettid()
			entered <- nil
			r.serve()
			return nil
		})
	}()
	if r.err = <-entered; r.err != nil {
		<-r.ended
	}
}

// serve takes calls until the host is closed.
func (r *resident) serve() {
	for {
		select {
		case c := <-r.calls:
			c.done <- c.fn()
		case <-r.h.ctx.Done():
			return
		}
	}
}

// close waits until the thread has left. The host's context is done.
func (r *resident) close() {
	r.once.Do(func() { close(r.ended) })
	<-r.ended
}
