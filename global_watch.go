package libnetwork

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
)

// follow keeps this host's copies as the store has them, until the controller stops. The
// store need not answer: then all stays as it is.
func (c *controller) follow() {
	if c.global == nil {
		return
	}
	ctx := c.background.ctx
	c.background.group.Go(func() { c.followNetworks(ctx) })
	c.background.group.Go(func() { c.followEndpoints(ctx) })
	c.background.group.Go(func() { c.publishShares(ctx) })
	c.background.group.Go(func() { c.restoreClaims(ctx) })
}

// watch calls told with the changes below a prefix: first with all that there is.
func (c *controller) watch(ctx context.Context, prefix string, told func(first bool, changes []cnm.Change)) {
	watcher, ok := c.global.store.(cnm.Watcher)
	if !ok {
		c.log.Error("the store of global scope tells of no changes: what other hosts do is seen after a restart only")
		return
	}
	first, failing := true, false
	for changes, err := range watcher.Watch(ctx, prefix) {
		if err != nil {
			if !failing {
				c.log.Warn("the store of global scope does not answer; networks stay as they are", "error", err)
			}
			failing = true
			c.global.away.Store(true)
			continue
		}
		failing = false
		c.global.away.Store(false)
		told(first, changes)
		first = false
	}
}

// followEndpoints takes note of the endpoints of all hosts.
func (c *controller) followEndpoints(ctx context.Context) {
	g := c.global
	c.watch(ctx, keySharedEndpoint, func(_ bool, changes []cnm.Change) {
		touched := make(map[string]bool)
		g.mu.Lock()
		if g.shares == nil {
			g.shares = make(map[string]*share)
		}
		for _, change := range changes {
			networkID, _, _ := strings.Cut(strings.TrimPrefix(change.Key, keySharedEndpoint), "/")
			touched[networkID] = true
			delete(g.shares, change.Key)
			if change.Deleted {
				continue
			}
			s := new(share)
			if err := json.Unmarshal(change.Value, s); err != nil || checkSchema(change.Key, s.Schema) != nil {
				c.log.Error("an endpoint of another host cannot be read", "key", change.Key, "error", err)
				continue
			}
			g.shares[change.Key] = s
		}
		g.mu.Unlock()
		for id := range touched {
			if n, err := c.NetworkByID(id); err == nil {
				n.(*network).names.version.Add(1)
			}
		}
		g.poke()
	})
}

// sharesOf returns the endpoints of other hosts in a network.
func (g *global) sharesOf(networkID string) map[string]*share {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]*share)
	for key, s := range g.shares {
		if s.Node != g.node && s.NetworkID == networkID {
			out[key] = s
		}
	}
	return out
}

// adoptAgain is how often a network of other hosts is tried that this one could not have.
const adoptAgain = 30 * time.Second

// followNetworks makes and deletes this host's copies of networks.
func (c *controller) followNetworks(ctx context.Context) {
	changes := make(chan func(map[string]*cnm.Network))
	done := make(chan struct{})
	go func() { // ends with ctx; the loop below waits for it
		defer close(done)
		c.watch(ctx, keySharedNetwork, func(first bool, told []cnm.Change) {
			select {
			case changes <- func(there map[string]*cnm.Network) { c.noteNetworks(there, first, told) }:
			case <-ctx.Done():
			}
		})
	}()
	defer func() { <-done }()
	ticker := time.NewTicker(adoptAgain)
	defer ticker.Stop()
	there, told := make(map[string]*cnm.Network), false
	for {
		select {
		case <-ctx.Done():
			return
		case note := <-changes:
			note(there)
			told = true
		case <-ticker.C:
		}
		if told {
			c.matchNetworks(ctx, there)
		}
	}
}

// noteNetworks takes note of what the store has.
func (c *controller) noteNetworks(there map[string]*cnm.Network, first bool, told []cnm.Change) {
	if first {
		clear(there)
	}
	for _, change := range told {
		id := strings.TrimPrefix(change.Key, keySharedNetwork)
		delete(there, id)
		if change.Deleted {
			continue
		}
		rec := new(cnm.Network)
		if err := json.Unmarshal(change.Value, rec); err != nil || checkSchema(change.Key, rec.Schema) != nil || rec.ID != id {
			c.log.Error("a network of other hosts cannot be read", "key", change.Key, "error", err)
			continue
		}
		there[id] = rec
	}
}

// matchNetworks makes what is missing here, and deletes what is gone there.
func (c *controller) matchNetworks(ctx context.Context, there map[string]*cnm.Network) {
	for id, rec := range there {
		if _, err := c.NetworkByID(id); err == nil {
			continue
		}
		if err := c.adoptNetwork(ctx, rec); err != nil && ctx.Err() == nil {
			c.log.Error("a network of other hosts cannot be had here; it is tried again", "network", rec.Name, "error", err)
		}
	}
	for _, n := range c.allNetworks() {
		rec := n.record.Load()
		if rec.Scope != cnm.Global || there[rec.ID] != nil {
			continue
		}
		if err := n.drop(ctx); err != nil && !errors.Is(err, cnm.NotFound) && ctx.Err() == nil {
			c.log.Error("a network that other hosts have deleted stays here; it is tried again", "network", rec.Name, "error", err)
		}
	}
}

// adoptNetwork makes this host's copy of a network that another host has made. One that is
// being made or deleted here is left to that.
func (c *controller) adoptNetwork(ctx context.Context, common *cnm.Network) (err error) {
	rec := *common
	entry, err := c.driver(rec.Driver)
	if err != nil {
		return err
	}
	c.mu.RLock()
	under := c.names[claimID(rec.ID)]
	c.mu.RUnlock()
	if under {
		return nil
	}
	defer c.track(rec.Owner())()
	release := func() {}
	defer func() { release() }()
	var u undo.Stack
	defer u.OnError(ctx, &err)
	if err := c.claim(&u, &rec, entry); err != nil {
		return err
	}
	if err := c.hostShares(ctx, &u, &rec, entry.driver); err != nil {
		return err
	}
	release, err = c.makeNetwork(ctx, &u, &rec, entry)
	return err
}

// hostShares takes the addresses that this host is to have in the network's subnets.
func (c *controller) hostShares(ctx context.Context, u *undo.Stack, rec *cnm.Network, driver cnm.Driver) error {
	plan, err := planAddresses(ctx, driver, rec)
	if err != nil || !plan.Host {
		return err
	}
	ipam, err := c.ipam(rec.IPAM.Driver)
	if err != nil {
		return err
	}
	a := &allocator{c: c, name: rec.IPAM.Driver, ipam: ipam, undo: u}
	for _, subnets := range [][]cnm.Subnet{rec.Subnets4, rec.Subnets6} {
		for i := range subnets {
			granted, err := a.address(ctx, cnm.AddressRequest{PoolID: subnets[i].Pool.ID, Options: rec.IPAM.Options})
			if err != nil {
				return fmt.Errorf("address of the host: %w", err)
			}
			subnets[i].Host = granted.Prefix
		}
	}
	return nil
}

// restoreClaims asks again for this host's shared addresses, and gives back what a process
// had claimed that was killed before it had recorded that.
func (c *controller) restoreClaims(ctx context.Context) {
	c.untilDone(ctx, "claim this host's shared addresses again", func(ctx context.Context) error {
		if err := c.replayShared(ctx); err != nil {
			return err
		}
		return c.global.ipam.Sweep(ctx)
	})
}

// replayShared asks for the addresses of this host's records: of endpoints, and its own.
func (c *controller) replayShared(ctx context.Context) error {
	var errs []error
	for _, n := range c.allNetworks() {
		rec := n.record.Load()
		if rec.Scope != cnm.Global || c.ipams[rec.IPAM.Driver] == nil {
			continue
		}
		for _, ep := range n.allEndpoints() {
			errs = append(errs, replayEndpoint(ctx, c.global.ipam, ep.record.Load()))
		}
		for _, s := range append(rec.Subnets4, rec.Subnets6...) {
			if s.Host.IsValid() {
				_, err := c.global.ipam.RequestAddress(ctx, cnm.AddressRequest{PoolID: s.Pool.ID, Address: s.Host.Addr()})
				errs = append(errs, err)
			}
		}
	}
	return joinKinds(errs)
}
