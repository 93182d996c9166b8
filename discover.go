package libnetwork

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/discovery"
	"github.com/docker/libnetwork/drivers/remote"
)

// discoverer is a driver that wants to know the nodes of the cluster.
type discoverer interface {
	DiscoverNew(context.Context, remote.Node) error
	DiscoverDelete(context.Context, remote.Node) error
}

// nodeSource is where the nodes of the cluster are known.
type nodeSource struct {
	watcher discovery.Watcher
	// registry and store are nil unless the nodes are in a store; self is what is registered.
	registry *discovery.Registry
	store    cnm.Store
	self     discovery.Node
}

// openDiscovery returns the source that the configuration names, or nil. Nobody is asked yet.
func openDiscovery(cfg *config.Config, log *slog.Logger) (_ *nodeSource, err error) {
	s := &nodeSource{}
	if cfg.Cluster.Address != "" {
		if s.self, err = discovery.ParseNode(cfg.Cluster.Address); err != nil {
			return nil, err
		}
	}
	switch {
	case cfg.Cluster.Watcher != nil:
		s.watcher = watcher2017{cfg.Cluster.Watcher}
		return s, nil
	case cfg.Cluster.Discovery == "":
		return nil, nil
	}
	source, err := discovery.ParseSource(cfg.Cluster.Discovery, datastore.ProviderEtcd, datastore.ProviderConsul, datastore.ProviderZooKeeper)
	if err != nil {
		return nil, err
	}
	if source.Provider == "" {
		s.watcher = source.Static
		return s, nil
	}
	client := datastore.ScopeClientCfg{Provider: source.Provider, Address: source.Address}
	if scope := cfg.Scopes[datastore.GlobalScope]; scope != nil && scope.Client.Provider == source.Provider {
		client.Config = scope.Client.Config
	}
	if s.store, err = openRemoteStore(client, log); err != nil {
		return nil, err
	}
	s.registry, err = discovery.New(s.store, discovery.Options{Heartbeat: time.Duration(cfg.Cluster.Heartbeat) * time.Second, Log: log})
	if err != nil {
		return nil, joinKinds([]error{err, s.store.Close()})
	}
	s.watcher = s.registry
	return s, nil
}

// deregisterTime bounds how long a node that ends waits for the store to hear of it.
const deregisterTime = 2 * time.Second

// discover makes this node known and follows the others, until the controller stops.
func (c *controller) discover(s *nodeSource) {
	if s == nil {
		return
	}
	c.background.group.Go(func() {
		ctx := c.background.ctx
		if s.registry != nil {
			c.background.group.Go(func() { c.register(ctx, s) })
			defer func() {
				last, cancel := context.WithTimeout(context.WithoutCancel(ctx), deregisterTime)
				defer cancel()
				if err := joinKinds([]error{s.registry.Close(last), s.store.Close()}); err != nil {
					c.log.Warn("discovery of nodes: the end", "error", err)
				}
			}()
		}
		failing := false
		for change, err := range s.watcher.Watch(ctx) {
			if err != nil {
				if !failing {
					c.log.Warn("discovery of nodes; the nodes that are known still hold", "error", err)
				}
				failing = true
				continue
			}
			failing = false
			c.nodesChanged(ctx, s.self, change)
		}
	})
}

// register makes this node known, as soon as the store answers.
func (c *controller) register(ctx context.Context, s *nodeSource) {
	if s.self.Host == "" {
		return
	}
	c.untilDone(ctx, "discovery of nodes: make this one known", func(ctx context.Context) error {
		return s.registry.Register(ctx, s.self)
	})
}

// nodesChanged tells plugins of nodes that came and went.
func (c *controller) nodesChanged(ctx context.Context, self discovery.Node, change discovery.Change) {
	convert := func(nodes []discovery.Node) (out []remote.Node) {
		for _, n := range nodes {
			out = append(out, remote.Node{Address: n.Host, Self: n.Host == self.Host})
		}
		return out
	}
	p := &c.plugins
	p.mu.Lock()
	p.nodes = convert(change.Nodes)
	drivers := make([]toldDriver, 0, len(p.drivers))
	for _, driver := range p.drivers {
		drivers = append(drivers, driver)
	}
	p.mu.Unlock()
	for _, driver := range drivers {
		c.tellNodes(ctx, driver, convert(change.Joined), convert(change.Left))
	}
}

// tellNodes tells a plugin of nodes. One that cannot be told now hears of those that there
// are when it is used next.
func (c *controller) tellNodes(ctx context.Context, driver discoverer, joined, left []remote.Node) {
	var errs []error
	for _, node := range left {
		errs = append(errs, driver.DiscoverDelete(ctx, node))
	}
	for _, node := range joined {
		errs = append(errs, driver.DiscoverNew(ctx, node))
	}
	if err := joinKinds(errs); err != nil && ctx.Err() == nil {
		c.log.Warn("tell a plugin of nodes", "error", err)
	}
}

// watcher2017 tells of the nodes that a watcher of the 2017 API tells of.
type watcher2017 struct{ config.Watcher }

// Watch implements discovery.Watcher.
func (w watcher2017) Watch(ctx context.Context) iter.Seq2[discovery.Change, error] {
	return func(yield func(discovery.Change, error) bool) {
		stop := make(chan struct{})
		defer close(stop)
		lists, failures := w.Watcher.Watch(stop)
		var before []discovery.Node
		for {
			var change discovery.Change
			var err error
			select {
			case <-ctx.Done():
				return
			case err = <-failures:
				change.Nodes = before
			case entries, ok := <-lists:
				if !ok {
					return
				}
				change, before = changeFrom(before, entries)
			}
			if !yield(change, err) {
				return
			}
		}
	}
}

func changeFrom(before []discovery.Node, entries config.Entries) (discovery.Change, []discovery.Node) {
	var now []discovery.Node
	for _, entry := range entries {
		if node, err := discovery.ParseNode(entry.String()); err == nil && !slices.Contains(now, node) {
			now = append(now, node)
		}
	}
	change := discovery.Change{Nodes: now}
	for _, node := range now {
		if !slices.Contains(before, node) {
			change.Joined = append(change.Joined, node)
		}
	}
	for _, node := range before {
		if !slices.Contains(now, node) {
			change.Left = append(change.Left, node)
		}
	}
	return change, now
}
