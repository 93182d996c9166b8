package libnetwork

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/drivers/remote"
	"github.com/docker/libnetwork/internal/linkoption"
	remoteipam "github.com/docker/libnetwork/ipams/remote"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
)

// remoteDriver is what a plugin's network driver can do.
type remoteDriver interface {
	cnm.Driver
	connector
	discoverer
	informer
	addressPlanner
	// Scope asks how far the driver's networks reach.
	Scope(context.Context) (cnm.Scope, error)
}

// remoteIPAM is what a plugin's address manager can do.
type remoteIPAM interface {
	cnm.IPAM
	// RequiresMAC asks whether it wants to know the MAC address that an address is for.
	RequiresMAC(context.Context) (bool, error)
	// RequiresReplay asks whether it forgets when it or we start anew, and wants to hear
	// again of what it has granted.
	RequiresReplay(context.Context) (bool, error)
	// Restore tells it of a pool that an earlier process was granted.
	Restore(cnm.Pool)
}

// plugins are the drivers and address managers that other processes serve. There is one
// for each name that was asked for: whether somebody answers shows when it is used.
type plugins struct {
	registry *plugin.Registry

	mu      sync.Mutex // guards what follows
	drivers map[string]toldDriver
	// nodes are those of the cluster, as far as they are known.
	nodes []remote.Node
	ipams map[string]remoteIPAM
}

// mostPlugins is how many names are remembered: who asks for others, which there hardly
// are, cannot fill the memory with them.
const mostPlugins = 1024

func pluginOptions(cfg *config.Config) plugin.Options {
	p := cfg.Daemon.Plugins
	options := plugin.Options{SocketFolders: p.SocketFolders, SpecFolders: p.SpecFolders, CallTimeout: p.CallTimeout, RetryFor: p.RetryFor}
	if getter := cfg.PluginGetter; getter != nil {
		options.Find = func(name, implements string) (plugin.Client, error) {
			found, err := getter.Get(name, implements, 0)
			if err != nil {
				return nil, err
			}
			return found.Client(), nil
		}
	}
	return options
}

// remoteDriverEntry returns the driver of a plugin.
func (c *controller) remoteDriverEntry(name string) driverEntry {
	p := &c.plugins
	p.mu.Lock()
	defer p.mu.Unlock()
	driver, ok := p.drivers[name]
	if !ok {
		driver = toldDriver{remote.New(p.registry, name), c}
		if len(p.drivers) < mostPlugins {
			p.drivers[name] = driver
		}
		if nodes := p.nodes; len(nodes) > 0 {
			c.background.group.Go(func() { c.tellNodes(c.background.ctx, driver, nodes, nil) })
		}
	}
	return driverEntry{driver: driver, scope: cnm.Local}
}

// setScope completes a network's scope: that of its driver, unless the user says otherwise
// and the driver's networks can be one on several hosts. A plugin that is not there is a
// NetworkTypeError.
func setScope(ctx context.Context, rec *cnm.Network, entry driverEntry) error {
	scope := entry.scope
	if driver, ok := entry.driver.(toldDriver); ok {
		var err error
		scope, err = driver.Scope(ctx)
		if errors.Is(err, cnm.NotFound) || errors.Is(err, cnm.Invalid) {
			return fmt.Errorf("%w: %w", NetworkTypeError(rec.Driver), err)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case rec.Scope == "" || rec.Scope == scope:
		rec.Scope = scope
	case rec.Scope == cnm.Local:
		return invalid("scope %q: networks of driver %q are of scope %q", rec.Scope, rec.Driver, scope)
	case !entry.spans:
		return invalid("scope %q: a network of driver %q is one host's, whatever others have", rec.Scope, rec.Driver)
	}
	return nil
}

// driverOf returns the driver of a network, or nil if this build has none of its name.
func (c *controller) driverOf(n *cnm.Network) cnm.Driver {
	entry, err := c.driver(n.Driver)
	if err != nil {
		return nil
	}
	return entry.driver
}

// remoteIPAMOf returns the address manager of a plugin.
func (c *controller) remoteIPAMOf(name string) remoteIPAM {
	p := &c.plugins
	p.mu.Lock()
	defer p.mu.Unlock()
	ipam, ok := p.ipams[name]
	if !ok {
		ipam = remoteipam.New(p.registry, name)
		if len(p.ipams) < mostPlugins {
			p.ipams[name] = ipam
		}
	}
	return ipam
}

// allParts returns the parts of all records but those of one endpoint.
func (c *controller) allParts(but string) iter.Seq[netstate.Part] {
	return func(yield func(netstate.Part) bool) {
		for _, n := range c.allNetworks() {
			for _, p := range n.record.Load().Parts {
				if !yield(p) {
					return
				}
			}
			for _, ep := range n.allEndpoints() {
				if ep.ID() == but {
					continue
				}
				for _, p := range ep.record.Load().Parts {
					if !yield(p) {
						return
					}
				}
			}
		}
	}
}

// chooseMACFor gives an endpoint a MAC address before it has any other, if its address
// manager wants to know it.
func chooseMACFor(ctx context.Context, ipam cnm.IPAM, rec *cnm.Endpoint) error {
	remote, ok := ipam.(remoteIPAM)
	if !ok || !rec.MAC.IsZero() {
		return nil
	}
	required, err := remote.RequiresMAC(ctx)
	if err != nil || !required {
		return err
	}
	return linkoption.ChooseMAC(rec)
}

// replayRemotes tells plugins' address managers again of what they have granted, if they
// want to hear that, as soon as they can be reached. Others remember.
func (c *controller) replayRemotes() {
	byName := make(map[string][]*network)
	for _, n := range c.allNetworks() {
		rec := n.record.Load()
		if c.ipams[rec.IPAM.Driver] == nil && len(rec.Subnets4)+len(rec.Subnets6) > 0 {
			byName[rec.IPAM.Driver] = append(byName[rec.IPAM.Driver], n)
		}
	}
	for name, networks := range byName {
		c.background.group.Go(func() { c.replayRemote(c.background.ctx, name, networks) })
	}
}

func (c *controller) replayRemote(ctx context.Context, name string, networks []*network) {
	ipam := c.remoteIPAMOf(name)
	c.untilDone(ctx, "tell plugin "+name+" again of the addresses in use", func(ctx context.Context) error {
		required, err := ipam.RequiresReplay(ctx)
		if err != nil || !required {
			return err
		}
		return replayAll(ctx, ipam, networks)
	})
}

// replayAll asks for what is recorded and still stands.
func replayAll(ctx context.Context, ipam cnm.IPAM, networks []*network) error {
	var errs []error
	for _, n := range networks {
		if n.deleted.Load() {
			continue
		}
		errs = append(errs, replayNetwork(ctx, ipam, n.record.Load()))
		for _, ep := range n.Endpoints() {
			errs = append(errs, replayEndpoint(ctx, ipam, ep.(*endpoint).record.Load()))
		}
	}
	return joinKinds(errs)
}
