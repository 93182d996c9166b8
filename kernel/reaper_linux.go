package kernel

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/docker/libnetwork/kernel/rtnl"
)

// reaperWorkers bounds how many deletions wait in the kernel at a time, each in a
// thread. Their waits pass together: the kernel's grace periods are shared.
const reaperWorkers = 32

// reaper deletes links. The kernel keeps who asks for it waiting for about 17 ms,
// until nothing can refer to the links any more, though they are out of sight much
// sooner. So a worker waits, and the caller looks. Medians on 2 cores, Linux 6.18,
// ports of a bridge that is up, in milliseconds:
//
//	links                         1     4    16    64   200
//	out of sight, one by one    1.2   5.6    29   131   473
//	out of sight, as a group    1.2   1.3   3.6    15    67
//	caller of RTM_DELLINK waits  17    17    20    30    91
type reaper struct {
	slots chan struct{}

	mu   sync.Mutex // guards idle
	idle []*rtnl.Conn
}

func newReaper() *reaper { return &reaper{slots: make(chan struct{}, reaperWorkers)} }

// deletion is one under way.
type deletion struct {
	space   *space
	indexes []int
	result  chan error
}

// start begins to delete links of the space.
func (r *reaper) start(ctx context.Context, s *space, indexes []int) (*deletion, error) {
	request := rtnl.DeleteLink(indexes[0])
	if len(indexes) > 1 {
		// High numbers, since whoever else uses groups counts from 0.
		group := rand.Uint32() | 1<<31
		marks := make([]rtnl.Request, len(indexes))
		for i, index := range indexes {
			marks[i] = rtnl.SetLinkGroup(index, group)
		}
		errs, err := s.conn.ExecuteAll(ctx, marks...)
		if err != nil {
			return nil, err
		}
		for _, err := range errs {
			if err != nil && !gone(err) {
				return nil, err
			}
		}
		request = rtnl.DeleteLinkGroup(group)
	}
	d := &deletion{space: s, indexes: indexes, result: make(chan error, 1)}
	s.acquire()
	go func() {
		defer s.release()
		r.slots <- struct{}{}
		defer func() { <-r.slots }()
		d.result <- r.execute(s, request)
	}()
	return d, nil
}

// execute uses a socket of its own: the one of the space must stay free for others.
func (r *reaper) execute(s *space, request rtnl.Request) error {
	conn, err := r.conn(s)
	if err != nil {
		return err
	}
	err = conn.Execute(context.Background(), request)
	if s.name == "" {
		r.mu.Lock()
		r.idle = append(r.idle, conn)
		r.mu.Unlock()
	} else {
		_ = conn.Close()
	}
	if err != nil && gone(err) {
		return nil
	}
	return err
}

// conn returns a socket in the space; those of the host are used again.
func (r *reaper) conn(s *space) (conn *rtnl.Conn, err error) {
	if s.name == "" {
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.idle); n > 0 {
			conn, r.idle = r.idle[n-1], r.idle[:n-1]
			return conn, nil
		}
	}
	err = s.namespace.Do(func() (err error) {
		conn, err = rtnl.Dial()
		return err
	})
	return conn, err
}

// wait returns when the links are out of sight, or could not be deleted. Asking for
// a link waits for the lock that its removal holds, so few questions are needed.
func (d *deletion) wait(ctx context.Context) error {
	const longest = time.Millisecond
	left := d.indexes
	for pause := 50 * time.Microsecond; len(left) > 0; pause = min(2*pause, longest) {
		select {
		case err := <-d.result:
			return err
		case <-time.After(pause):
		}
		found := make([]rtnl.Link, len(left))
		requests := make([]rtnl.Request, len(left))
		for i, index := range left {
			requests[i] = rtnl.GetLinkByIndex(index, &found[i])
		}
		errs, err := d.space.conn.ExecuteAll(ctx, requests...)
		if err != nil {
			return err
		}
		var still []int
		for i, err := range errs {
			switch {
			case err == nil:
				still = append(still, left[i])
			case !gone(err):
				return err
			}
		}
		left = still
	}
	return nil
}

// close closes the sockets, after the last deletion.
func (r *reaper) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, conn := range r.idle {
		errs = append(errs, conn.Close())
	}
	r.idle = nil
	return errors.Join(errs...)
}
