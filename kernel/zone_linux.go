package kernel

import (
	"context"
	"log/slog"
	"sync"

	"github.com/docker/libnetwork/kernel/firewalld"
	"github.com/docker/libnetwork/netstate"
)

// zone keeps the links of ours that something may be forwarded to in a zone of firewalld,
// which would reject it otherwise.
type zone struct {
	client *firewalld.Client
	log    *slog.Logger

	mu sync.Mutex
	// links holds, for each link, the intents that say that it is one.
	links map[string]map[netstate.Intent]bool
}

// openZone returns the zone with the links that the filter holds already, nil if the host
// can have no firewalld.
func (f *firewall) openZone(ctx context.Context, filter filter) (*zone, error) {
	if f.options.Bus == "" && f.h.path != "" {
		return nil, nil
	}
	client, err := firewalld.Open(ctx, firewalld.Options{Address: f.options.Bus, Log: f.h.log})
	if err != nil {
		return nil, err
	}
	z := &zone{client: client, log: f.h.log, links: make(map[string]map[netstate.Intent]bool)}
	parts, err := filter.Observe(ctx)
	if err != nil {
		z.close()
		return nil, err
	}
	var held netstate.Changes
	for _, p := range parts {
		for _, i := range p.Intents {
			held = append(held, netstate.Change{Verb: netstate.Add, Owner: p.Owner, Object: i})
		}
	}
	// What firewalld refuses now keeps nothing else from working.
	if err := z.follow(ctx, held); err != nil {
		z.log.Error("firewalld rejects what goes to containers", "error", err)
	}
	return z, nil
}

// follow brings the zone up to what the filter was changed to. A link that firewalld does
// not let go is no error: it is about to be deleted.
func (z *zone) follow(ctx context.Context, changes netstate.Changes) error {
	if z == nil {
		return nil
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	var come, gone []string
	for _, c := range changes {
		i, ok := c.Object.(netstate.Intent)
		if !ok || i.Kind != netstate.Inbound {
			continue
		}
		held := z.links[i.Link]
		switch {
		case c.Verb == netstate.Add && held == nil:
			z.links[i.Link] = map[netstate.Intent]bool{i: true}
			come = append(come, i.Link)
		case c.Verb == netstate.Add:
			held[i] = true
		case held[i]:
			if delete(held, i); len(held) == 0 {
				delete(z.links, i.Link)
				gone = append(gone, i.Link)
			}
		}
	}
	if len(gone) > 0 {
		if err := z.client.Remove(ctx, gone...); err != nil {
			z.log.Warn("firewalld keeps links that are no more", "error", err)
		}
	}
	if len(come) == 0 {
		return nil
	}
	return z.client.Add(ctx, come...)
}

// watch calls notify when firewalld has reloaded: it may have taken away more than its
// own.
func (z *zone) watch(ctx context.Context, group *sync.WaitGroup, notify func()) {
	if z == nil {
		return
	}
	group.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-z.client.Reloaded():
				notify()
			}
		}
	})
}

func (z *zone) close() {
	if z != nil {
		// Nothing waits on it any more, and it returns nil.
		_ = z.client.Close()
	}
}
