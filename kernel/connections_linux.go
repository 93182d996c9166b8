package kernel

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/conntrack"
	"github.com/docker/libnetwork/netstate"
)

// connections makes the kernel forget those that a change of published ports, or a
// container that goes, leaves behind. To look for them takes it a walk over its table, of
// up to 10 ms, whatever is in it: so that is done in the background, once for what came
// meanwhile. An address that connections still lead to is not given to a container before
// that.
type connections struct {
	h *host

	mu             sync.Mutex // guards what follows
	removed, added []conntrack.Publication
	released       []netip.Addr
	// leading holds the addresses that connections may lead to which nobody wants.
	leading map[netip.Addr]bool
	// idle is closed when the worker has ended; nil while there is none.
	idle chan struct{}
	// unable is set when the kernel was found to have no means for it.
	unable bool
	conn   *conntrack.Conn
}

// follow takes note of what the packet filter was changed to.
func (c *connections) follow(changes netstate.Changes) {
	var removed, added []conntrack.Publication
	for _, change := range changes {
		i, ok := change.Object.(netstate.Intent)
		if !ok || i.Kind != netstate.Publish {
			continue
		}
		p := conntrack.Publication{
			Protocol: uint8(i.Protocol), HostAddr: i.Host, HostPort: i.Port, HostPortEnd: i.PortEnd,
			Target: i.Target, TargetPort: i.TargetPort,
		}
		switch {
		case change.Verb == netstate.Remove:
			removed = append(removed, p)
		case i.Protocol == netstate.UDP:
			// Of other protocols a client that got no answer begins anew.
			added = append(added, p)
		}
	}
	var targets []netip.Addr
	for _, p := range removed {
		targets = append(targets, p.Target)
	}
	c.order(targets, func() {
		c.removed, c.added = append(c.removed, removed...), append(c.added, added...)
	}, len(removed)+len(added))
}

// release takes note of addresses of containers that have gone.
func (c *connections) release(addresses []netip.Addr) {
	c.order(addresses, func() { c.released = append(c.released, addresses...) }, len(addresses))
}

// order adds to what is to be forgotten, unless that is nothing, and starts the worker if
// there is none. Connections may lead to the addresses until then.
func (c *connections) order(addresses []netip.Addr, add func(), count int) {
	if count == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	add()
	if c.leading == nil {
		c.leading = make(map[netip.Addr]bool)
	}
	for _, a := range addresses {
		c.leading[a] = true
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
		go c.work()
	}
}

// work forgets until there is nothing left to forget.
func (c *connections) work() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.removed)+len(c.added)+len(c.released) > 0 {
		removed, added, released := c.removed, c.added, c.released
		c.removed, c.added, c.released = nil, nil, nil
		c.mu.Unlock()
		err := c.forget(removed, added, released)
		c.mu.Lock()
		switch {
		case errors.Is(err, cnm.Unsupported) && c.unable:
			// It was said once.
		case err != nil:
			c.unable = errors.Is(err, cnm.Unsupported)
			c.h.log.Error("connections to ports and addresses of containers that have gone, or are new, may go on as before", "error", err)
		}
	}
	clear(c.leading)
	close(c.idle)
	c.idle = nil
}

// forget is called by the worker alone.
func (c *connections) forget(removed, added []conntrack.Publication, released []netip.Addr) error {
	ctx := context.Background()
	if c.conn == nil {
		err := c.h.firewall.inside(func() (err error) {
			c.conn, err = conntrack.Dial()
			return err
		})
		if err != nil {
			return err
		}
	}
	_, removeErr := c.conn.Removed(ctx, removed)
	_, releaseErr := c.conn.Released(ctx, released)
	err := errors.Join(removeErr, releaseErr)
	if len(added) == 0 {
		return err
	}
	local, localErr := c.local(ctx)
	if localErr != nil {
		return errors.Join(err, localErr)
	}
	_, addErr := c.conn.Added(ctx, added, local)
	return errors.Join(err, addErr)
}

// local tells the addresses of the host.
func (c *connections) local(ctx context.Context) (func(netip.Addr) bool, error) {
	s, err := c.h.space("")
	if err != nil {
		return nil, err
	}
	defer s.release()
	addrs, err := s.conn.Addrs(ctx)
	own := make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		own[a.Prefix.Addr()] = true
	}
	return func(a netip.Addr) bool { return a.IsLoopback() || own[a] }, err
}

// settle waits, if connections may lead to one of the addresses that the changes add,
// until they are forgotten.
func (c *connections) settle(ctx context.Context, changes netstate.Changes) error {
	c.mu.Lock()
	idle := c.idle
	meets := idle != nil && slices.ContainsFunc(changes, func(change netstate.Change) bool {
		a, ok := change.Object.(netstate.Addr)
		return ok && change.Verb == netstate.Add && c.leading[a.Prefix.Addr()]
	})
	c.mu.Unlock()
	if !meets {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait returns when all that was ordered is forgotten. That needs the host to be open.
func (c *connections) wait() {
	c.mu.Lock()
	idle := c.idle
	c.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// close waits for what is under way. Nothing is added any more.
func (c *connections) close() {
	c.wait()
	if c.conn != nil {
		// Nothing waits on the socket, whose closing says nothing.
		_ = c.conn.Close()
	}
}
