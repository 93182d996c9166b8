package kernel

import (
	"context"
	"sync"
	"time"

	"github.com/docker/libnetwork/kernel/rtnl"
)

// reaperWorkers bounds how many deletions wait in the kernel at a time. Waits of
// that many pass together: the kernel's grace periods are shared.
const reaperWorkers = 16

// reaper deletes links. The kernel keeps who asks for it waiting for 20 to 30 ms,
// until nothing can refer to the link any more, though it is out of sight within a
// millisecond or two. So a worker waits, and the caller looks.
type reaper struct {
	slots chan struct{}
	group sync.WaitGroup

	mu   sync.Mutex // guards idle
	idle []*rtnl.Conn
}

func newReaper() *reaper { return &reaper{slots: make(chan struct{}, reaperWorkers)} }

// deletion is one under way.
type deletion struct {
	space  *space
	index  int
	result chan error
}

// start begins to delete a link of the space.
func (r *reaper) start(s *space, index int) *deletion {
	d := &deletion{space: s, index: index, result: make(chan error, 1)}
	r.group.Go(func() {
		r.slots <- struct{}{}
		defer func() { <-r.slots }()
		d.result <- r.delete(s, index)
	})
	return d
}

// delete uses a socket of its own: the one of the space must stay free for others.
func (r *reaper) delete(s *space, index int) error {
	conn, err := r.conn(s)
	if err != nil {
		return err
	}
	err = conn.Execute(context.Background(), rtnl.DeleteLink(index))
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

// wait returns when the link is out of sight, or could not be deleted. Asking for a
// link waits for the lock that its removal holds, so few questions are needed.
func (d *deletion) wait(ctx context.Context) error {
	const longest = time.Millisecond
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, longest) {
		select {
		case err := <-d.result:
			return err
		case <-time.After(pause):
		}
		var link rtnl.Link
		if err := d.space.conn.Execute(ctx, rtnl.GetLinkByIndex(d.index, &link)); err != nil {
			if gone(err) {
				return nil
			}
			return err
		}
	}
}

// wait returns when all deletions are through.
func (r *reaper) wait() {
	r.group.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.idle {
		_ = conn.Close()
	}
	r.idle = nil
}
