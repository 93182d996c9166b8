package libnetwork

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
)

// loaded is what the store held.
type loaded struct {
	networks  []*cnm.Network
	endpoints []*cnm.Endpoint
	sandboxes []*cnm.Sandbox
}

// load reads the records, without regard to what is left of what they describe.
func (c *controller) load(ctx context.Context) (*loaded, error) {
	var l loaded
	err := c.store.View(ctx, func(tx cnm.Tx) (err error) {
		if l.networks, err = loadAll(tx, keyNetwork, func(n *cnm.Network) int { return n.Schema }); err != nil {
			return err
		}
		if l.endpoints, err = loadAll(tx, keyEndpoint, func(e *cnm.Endpoint) int { return e.Schema }); err != nil {
			return err
		}
		l.sandboxes, err = loadAll(tx, keySandbox, func(s *cnm.Sandbox) int { return s.Schema })
		return err
	})
	return &l, err
}

// restore makes what the store holds the state of the controller. It asks no
// driver: parts are stored with the records.
func (c *controller) restore(ctx context.Context) error {
	l, err := c.load(ctx)
	if err != nil {
		return err
	}
	for _, rec := range l.networks {
		n := c.newNetwork(rec)
		c.networks[rec.ID] = n
		// A driver that this build lacks claims nothing; its networks can be seen.
		for _, key := range claims(rec, c.drivers[rec.Driver]) {
			c.names[key] = true
		}
		if err := c.restoreAddresses(ctx, rec); err != nil {
			return cnm.Wrap("restore "+n.subject(), err)
		}
	}
	for _, rec := range l.sandboxes {
		c.sandboxes[rec.ID] = c.newSandbox(rec)
		c.containers[rec.ContainerID] = true
	}
	for _, rec := range l.endpoints {
		if err := c.restoreEndpoint(ctx, rec); err != nil {
			return err
		}
	}
	return c.loadDebts(ctx)
}

// restoreEndpoint puts the endpoint into its network and sandbox.
func (c *controller) restoreEndpoint(ctx context.Context, rec *cnm.Endpoint) error {
	op := "restore " + quote("endpoint", rec.Name)
	n, ok := c.networks[rec.NetworkID]
	if !ok {
		return cnm.E(op, cnm.Internal, fmt.Errorf("record %q: its network %q has no record", keyEndpoint+rec.ID, rec.NetworkID))
	}
	if rec.SandboxID != "" && c.sandboxes[rec.SandboxID] == nil {
		rec = detached(rec)
		c.log.Warn("endpoint was in a sandbox without a record", "endpoint", rec.Name)
	}
	ep := n.newEndpoint(rec)
	n.endpoints[rec.ID] = ep
	n.endpointNames[rec.Name] = true
	if sb := c.sandboxes[rec.SandboxID]; sb != nil {
		sb.endpoints[rec.ID] = ep
		c.restorePorts(ctx, ep, sb)
	}
	network := n.record.Load()
	ipam := c.ipams[network.IPAM.Driver]
	if ipam == nil || network.Scope == cnm.Global && c.global != nil {
		return nil
	}
	return cnm.Wrap(op, replayEndpoint(ctx, ipam, rec))
}

// restoreAddresses makes the network's address manager what it was.
func (c *controller) restoreAddresses(ctx context.Context, rec *cnm.Network) error {
	ipam := c.ipams[rec.IPAM.Driver]
	switch {
	case ipam == nil:
		for _, subnet := range slices.Concat(rec.Subnets4, rec.Subnets6) {
			c.remoteIPAMOf(rec.IPAM.Driver).Restore(subnet.Pool)
		}
		return nil
	case rec.Scope == cnm.Global && c.global != nil:
		return nil // the store knows, and may not answer now
	}
	return replayNetwork(ctx, ipam, rec)
}

// replayNetwork asks the address manager for what it granted to the network before.
func replayNetwork(ctx context.Context, ipam cnm.IPAM, rec *cnm.Network) error {
	subnets := slices.Concat(rec.Subnets4, rec.Subnets6)
	confs := slices.Concat(rec.IPAM.IPv4, rec.IPAM.IPv6)
	for _, subnet := range subnets {
		request := cnm.PoolRequest{
			AddressSpace: rec.IPAM.AddressSpace, Pool: subnet.Pool.Prefix, IPv6: subnet.Pool.Prefix.Addr().Is6(),
			Holder: quote("network", rec.Name), Options: rec.IPAM.Options,
		}
		for _, conf := range confs {
			if conf.Pool == subnet.Pool.Prefix {
				request.SubPool = conf.SubPool
			}
		}
		pool, err := ipam.RequestPool(ctx, request)
		if err != nil {
			return err
		}
		if pool.ID != subnet.Pool.ID {
			return cnm.E("", cnm.Internal, fmt.Errorf("pool %q: the address manager now calls it %q", subnet.Pool.ID, pool.ID))
		}
		for _, address := range reserved(subnet) {
			request := cnm.AddressRequest{PoolID: pool.ID, Address: address, Options: rec.IPAM.Options}
			request.Gateway = address == subnet.Gateway.Addr()
			if _, err := ipam.RequestAddress(ctx, request); err != nil {
				return err
			}
		}
	}
	return nil
}

func replayEndpoint(ctx context.Context, ipam cnm.IPAM, rec *cnm.Endpoint) error {
	var errs []error
	replay := func(pool string, prefix netip.Prefix) {
		if !prefix.IsValid() || pool == "" { // the latter is an address that the driver chose
			return
		}
		_, err := ipam.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool, Address: prefix.Addr(), MAC: rec.MAC, Options: rec.IPAMOptions})
		errs = append(errs, err)
	}
	replay(rec.Pool4, rec.IPv4)
	replay(rec.Pool6, rec.IPv6)
	return errors.Join(errs...)
}
