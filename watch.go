package libnetwork

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// mendAgain is how long to wait before another look at the packet filter, when the last
// one failed, or left out what operations were under way for.
const mendAgain = 200 * time.Millisecond

// watchFilter makes the packet filter again what the records say whenever somebody else
// has changed what is ours there, until the controller stops.
func (c *controller) watchFilter() {
	disturbed := make(chan struct{}, 1)
	notify := func() {
		select {
		case disturbed <- struct{}{}:
		default: // once is enough
		}
	}
	err := c.host.Firewall().Watch(c.background.ctx, notify)
	if errors.Is(err, cnm.Unsupported) {
		return // there is nothing to disturb
	}
	if err != nil {
		c.log.Error("watch the packet filter; what others change there stays until Repair", "error", err)
		return
	}
	c.background.group.Go(func() {
		for {
			select {
			case <-c.background.ctx.Done():
				return
			case <-disturbed:
			}
			for !c.mendFilter(c.background.ctx) {
				select {
				case <-c.background.ctx.Done():
					return
				case <-time.After(mendAgain):
				}
			}
		}
	})
}

// mendFilter adds to the packet filter what the records say and takes away what they do
// not. What operations are under way for is left out; it reports whether there was none.
func (c *controller) mendFilter(ctx context.Context) (all bool) {
	wished, release, all := c.recordedIntents()
	defer release()
	observed, err := c.host.Observe(ctx, "")
	if err == nil {
		owners := make(map[string]bool)
		for _, p := range wished {
			owners[p.Owner] = true
		}
		var held []netstate.Part
		for _, p := range observed {
			if owners[p.Owner] && len(p.Intents) > 0 {
				held = append(held, netstate.Part{Owner: p.Owner, Intents: p.Intents})
			}
		}
		if changes := netstate.Diff(held, wished); len(changes) > 0 {
			c.log.Warn("the packet filter was changed by somebody else; mending it", "changes", len(changes))
			if err = c.host.Apply(ctx, changes); err == nil {
				c.mended.Add(1)
				c.tell(Event{Type: ControllerEvent, Action: EventRepair, Detail: fmt.Sprintf("the packet filter, which somebody else had changed: %d changes", len(changes))})
			}
		}
	}
	switch {
	case err == nil:
		c.mendError.Store(nil)
	case ctx.Err() == nil:
		c.mendError.Store(&err)
		c.log.Error("mend the packet filter", "error", err)
	}
	return all && err == nil
}

// recordedIntents returns the intents of all networks and sandboxes that no operation is
// under way for, which stay locked until release, and reports whether that is all.
func (c *controller) recordedIntents() (parts []netstate.Part, release func(), all bool) {
	var releases []func()
	all = true
	try := func(lock opLock) bool {
		release, ok := lock.try()
		if ok {
			releases = append(releases, release)
		}
		all = all && ok
		return ok
	}
	add := func(from []netstate.Part) {
		for _, p := range from {
			if len(p.Intents) > 0 {
				parts = append(parts, netstate.Part{Owner: p.Owner, Intents: p.Intents})
			}
		}
	}
	for _, n := range c.allNetworks() {
		if try(n.lock) && !n.deleted.Load() {
			add(n.record.Load().Parts)
		}
	}
	for _, sb := range c.allSandboxes() {
		if try(sb.lock) {
			if rec := sb.record.Load(); rec.Ready && !sb.deleted.Load() {
				add(c.desired(rec, recordsOf(sb.members())))
			}
		}
	}
	return parts, func() {
		for _, release := range releases {
			release()
		}
	}, all
}
