package libnetwork

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/ipamapi"
	"github.com/docker/libnetwork/ipams/builtin"
	"github.com/docker/libnetwork/ipams/null"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/portmap"
	"github.com/docker/libnetwork/resolver"
)

var errStopped = errors.New("the controller was stopped; make a new one")

// open builds a controller on the machine and the store that the configuration
// names.
func open(ctx context.Context, cfg *config.Config) (*controller, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	store, err := openStore(cfg)
	if err != nil {
		return nil, err
	}
	record, err := loadController(ctx, store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	settings, err := bridgeConfig(cfg)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if cfg.Daemon.Transient && settings.UserlandProxy {
		return nil, errors.Join(invalid("userland proxy: a transient controller ends before anybody connects; leave it away"), store.Close())
	}
	// The configuration is valid, and so is its mark.
	mark, mask, _ := config.ParseMark(cfg.Daemon.AcceptMark)
	host, err := kernel.Open(kernel.Options{
		HostNamespace: cfg.Daemon.HostNamespace, Instance: shortID(record.ID),
		Firewall: kernel.FirewallOptions{
			Backend: cfg.Daemon.FirewallBackend, AcceptMark: mark, AcceptMask: mask, LoopbackProxied: settings.UserlandProxy,
			Brief: cfg.Daemon.Transient,
		},
		Log: slog.Default().With("controller", shortID(record.ID)),
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	c, err := assemble(ctx, cfg, record.ID, store, host)
	if err != nil {
		return nil, errors.Join(err, host.Close(), store.Close())
	}
	return c, nil
}

// assemble builds a controller of the given parts, and restores what the store
// holds.
func assemble(ctx context.Context, cfg *config.Config, id string, store cnm.Store, host kernel.Host) (*controller, error) {
	settings, err := bridgeConfig(cfg)
	if err != nil {
		return nil, err
	}
	drivers := builtinDrivers(settings)
	c := &controller{
		id: id, host: host, store: store, drivers: drivers, config: *cfg, transient: cfg.Daemon.Transient,
		log:        slog.Default().With("controller", shortID(id)),
		announce:   announceSettings{count: cfg.Daemon.Announce.Count, interval: cfg.Daemon.Announce.Interval},
		background: newBackground(), parents: newOpLock(),
		events:    newEvents(),
		ports:     portmap.New(host.Ports(), slog.Default().With("controller", shortID(id))),
		forwarder: resolver.NewForwarder(resolver.ForwarderOptions{Log: slog.Default().With("controller", shortID(id))}),
		plugins: plugins{
			registry: plugin.New(pluginOptions(cfg)), drivers: make(map[string]toldDriver), ipams: make(map[string]remoteIPAM),
		},
		debts: newDebts(), node: newClusterNode(),
		networks: make(map[string]*network), sandboxes: make(map[string]*sandbox),
		names: make(map[string]bool), containers: make(map[string]bool), busy: make(map[string]int),
		paths: newPaths(cmp.Or(cfg.Daemon.ExecRoot, config.DefaultExecRoot), id),
	}
	addresses, err := addressSettings(cfg, id)
	if err != nil {
		return nil, err
	}
	if c.global, err = openGlobal(cfg, id, addresses, c.log); err != nil {
		return nil, err
	}
	if c.ipams, err = builtinIPAMs(addresses, c.global); err != nil {
		return nil, err
	}
	nodes, err := openDiscovery(cfg, c.log)
	if err != nil {
		return nil, cnm.Wrap("discovery of nodes", err)
	}
	if err := c.restore(ctx); err != nil {
		return nil, err
	}
	if cfg.Daemon.Transient {
		return c, nil
	}
	keep := func(rec *cnm.Sandbox) bool {
		_, active := cfg.ActiveSandboxes[rec.ID]
		return cfg.ActiveSandboxes == nil || active
	}
	// What could not be repaired can be tried again; the records stand.
	if err := c.repair(ctx, keep, &mending{}); err != nil {
		c.log.Error("restore: some of what the records say could not be realised; try Repair", "error", err)
	}
	// What another back end had stays in force until this one stands.
	if err := host.Firewall().Clean(ctx); err != nil && !errors.Is(err, cnm.Unsupported) {
		c.log.Error("restore: what another back end of the packet filter left could not be removed", "error", err)
	}
	c.startServing(ctx)
	c.watchFilter()
	c.payDebts()
	c.replayRemotes()
	c.follow()
	c.discover(nodes)
	c.SetClusterProvider(cfg.Daemon.ClusterProvider)
	return c, nil
}

// driverOptions returns what the configuration says to a driver, as text.
func driverOptions(cfg *config.Config, networkType string) (map[string]string, error) {
	given, err := optionMap(cfg.Daemon.DriverCfg[networkType])
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for key, value := range given {
		values := map[string]any{key: value}
		if key == netlabel.GenericData {
			if values, err = optionMap(value); err != nil {
				return nil, err
			}
		}
		for key, value := range values {
			if out[key], err = optionText(value); err != nil {
				return nil, fmt.Errorf("option %q: %w", key, err)
			}
		}
	}
	return out, nil
}

// builtinIPAMs is the table of the address managers of this build.
func builtinIPAMs(settings builtin.Config, g *global) (map[string]cnm.IPAM, error) {
	manager, err := builtin.New(settings)
	if err != nil {
		return nil, err
	}
	table := map[string]cnm.IPAM{ipamapi.DefaultIPAM: manager, ipamapi.NullIPAM: null.New()}
	if g != nil {
		if table[ipamapi.DefaultIPAM], err = newScopedIPAM(manager, g); err != nil {
			return nil, err
		}
	}
	return table, nil
}

// addressSettings is what the configuration says of automatic addresses.
func addressSettings(cfg *config.Config, id string) (builtin.Config, error) {
	pools, never, err := cfg.Daemon.Pools()
	settings := builtin.Config{ULA: builtin.ULAFor(id), NeverUse: never}
	for _, pool := range pools {
		settings.LocalPools = append(settings.LocalPools, builtin.PoolBase(pool))
	}
	return settings, err
}
