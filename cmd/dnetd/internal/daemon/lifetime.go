package daemon

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api/server"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/process"
)

// How long to wait before a sandbox that could not be deleted is tried again, at first and
// at last.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// lifetimes deletes sandboxes whose owners have ended. What it follows is on the records,
// so that the next daemon goes on with it.
type lifetimes struct {
	controller libnetwork.NetworkController
	inspector  libnetwork.Inspector
	log        *slog.Logger
	ctx        context.Context
	cancel     context.CancelFunc
	group      sync.WaitGroup

	mu sync.Mutex
	// followed ends the following of a sandbox, by its id.
	followed map[string]context.CancelFunc
	stopped  bool
}

func newLifetimes(ctx context.Context, c libnetwork.NetworkController, i libnetwork.Inspector, log *slog.Logger) *lifetimes {
	l := &lifetimes{controller: c, inspector: i, log: log, followed: make(map[string]context.CancelFunc)}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.group.Go(l.forget)
	return l
}

// forget ends the following of sandboxes that somebody has deleted.
func (l *lifetimes) forget() {
	for event := range l.inspector.Events(l.ctx, math.MaxUint64) {
		switch {
		case event.Type == libnetwork.SandboxEvent && event.Action == libnetwork.EventDelete:
			l.end(func(id string) bool { return id == event.ID })
		case event.Action == libnetwork.EventMissed:
			l.end(func(id string) bool { _, err := l.controller.SandboxByID(id); return err != nil })
		}
	}
}

func (l *lifetimes) end(which func(id string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, cancel := range l.followed {
		if which(id) {
			cancel()
			delete(l.followed, id)
		}
	}
}

// Owner implements server.Lifetimes.
func (l *lifetimes) Owner(ctx context.Context, pid int) (server.Owner, error) {
	conn, ok := ctx.Value(connectionKey{}).(net.Conn)
	if limited, is := conn.(*limitedConn); is {
		conn = limited.Conn
	}
	local, isLocal := conn.(*net.UnixConn)
	if !ok || !isLocal {
		return server.Owner{}, cnm.E("lifetime", cnm.Unsupported, errors.New("only a connection by the Unix socket tells which process asks"))
	}
	find := func() (*process.Process, error) { return process.Peer(local) }
	if pid != 0 {
		find = func() (*process.Process, error) { return process.Open(pid) }
	}
	p, err := find()
	if err != nil {
		return server.Owner{}, err
	}
	return server.Owner{PID: p.PID, Start: p.Start}, p.Close()
}

// Follow implements server.Lifetimes.
func (l *lifetimes) Follow(sandboxID string, owner server.Owner) error {
	p, err := process.Open(owner.PID)
	switch {
	case errors.Is(err, cnm.NotFound):
		p = nil
	case err != nil:
		return err
	case p.Start != owner.Start: // the number is another's now
		if err := p.Close(); err != nil {
			return err
		}
		p = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		if p != nil {
			return p.Close()
		}
		return nil // the next daemon finds it by its record
	}
	ctx, cancel := context.WithCancel(l.ctx)
	l.followed[sandboxID] = cancel
	l.group.Go(func() {
		// Nobody tells of a sandbox that had gone before it was followed.
		defer l.end(func(id string) bool { return id == sandboxID })
		if p != nil {
			err := p.Wait(ctx)
			if closeErr := p.Close(); closeErr != nil {
				l.log.Error("stop following a process", "process", owner.PID, "error", closeErr)
			}
			if err != nil {
				if ctx.Err() == nil {
					l.log.Error("follow a process", "process", owner.PID, "error", err)
				}
				return
			}
		}
		l.delete(sandboxID, owner)
	})
	return nil
}

// delete takes the sandbox away. What cannot be done now, as with a full disk, is tried
// again until the daemon ends; then the next start does it.
func (l *lifetimes) delete(sandboxID string, owner server.Owner) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		sb, err := l.controller.SandboxByID(sandboxID)
		if err == nil {
			l.log.Info("the owner of a sandbox has ended; deleting it", "container", sb.ContainerID(), "process", owner.PID)
			err = sb.DeleteContext(context.WithoutCancel(l.ctx))
		}
		if err == nil || errors.Is(err, cnm.NotFound) {
			return
		}
		l.log.Error("delete the sandbox of a process that has ended", "sandbox", sandboxID, "error", err, "again", wait)
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// restore goes on with what an earlier daemon followed.
func (l *lifetimes) restore() {
	for _, rec := range l.inspector.Records().Sandboxes {
		owner, ok := server.OwnerOf(rec.Labels)
		if !ok {
			continue
		}
		if err := l.Follow(rec.ID, owner); err != nil {
			l.log.Error("follow the owner of a sandbox", "container", rec.ContainerID, "process", owner.PID, "error", err)
		}
	}
}

// stop ends the following, and waits for deletions under way.
func (l *lifetimes) stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.cancel()
	l.group.Wait()
}
