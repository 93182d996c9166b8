package libnetwork

import (
	"context"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
)

// A plugin's address manager does not forget what it has granted, nor can it be asked what
// that is. So a grant is noted as something to be released as soon as it is known, and the
// note goes in the commit that records who has it; it comes back in the commit by which that
// record goes, until the plugin has heard. Only what is granted when we are killed before
// the note is lost: an address that was not chosen cannot be noted before it is known, and
// one that was chosen may be somebody else's until the plugin has answered.

// isRemoteIPAM reports whether a plugin is the address manager of that name.
func (c *controller) isRemoteIPAM(name string) bool { return c.ipams[name] == nil }

// noteGrant notes what a plugin has granted. If that cannot be, it is released.
func (a *allocator) noteGrant(ctx context.Context, r release) error {
	if !a.c.isRemoteIPAM(r.IPAM) {
		return nil
	}
	t := &told{Release: &r}
	a.c.debts.drop(t) // it was to be released once, and is now had again
	err := a.c.note(ctx, t)
	if err == nil {
		return nil
	}
	return joinKinds([]error{err, a.c.giveBack(context.WithoutCancel(ctx), r)})
}

// giveBack releases what was granted. What a plugin could not be told is a debt.
func (c *controller) giveBack(ctx context.Context, r release) error {
	ipam, err := c.ipam(r.IPAM)
	if err != nil {
		return err
	}
	if r.Address.IsValid() {
		err = ipam.ReleaseAddress(ctx, r.Pool, r.Address)
	} else {
		err = ipam.ReleasePool(ctx, r.Pool)
	}
	if !c.isRemoteIPAM(r.IPAM) {
		return err
	}
	switch {
	case err != nil && c.released(ctx, r, err):
		return nil
	case err != nil && isAway(err):
		return err // and the note stays
	}
	c.forget(ctx, &told{Release: &r})
	return err
}

// endpointGrants are what an endpoint has of a plugin's address manager.
func (c *controller) endpointGrants(network *cnm.Network, rec *cnm.Endpoint) []release {
	if network == nil || !c.isRemoteIPAM(network.IPAM.Driver) {
		return nil
	}
	var out []release
	add := func(pool string, prefix netip.Prefix) {
		if prefix.IsValid() && pool != "" { // otherwise the network's driver chose it
			out = append(out, release{network.IPAM.Driver, pool, prefix.Addr()})
		}
	}
	add(rec.Pool4, rec.IPv4)
	add(rec.Pool6, rec.IPv6)
	return out
}

// networkGrants are what a network has of a plugin's address manager.
func (c *controller) networkGrants(rec *cnm.Network) []release {
	if !c.isRemoteIPAM(rec.IPAM.Driver) {
		return nil
	}
	var out []release
	for _, subnet := range slices.Concat(rec.Subnets4, rec.Subnets6) {
		for _, address := range reserved(subnet) {
			if !address.IsUnspecified() { // which stands for no gateway
				out = append(out, release{rec.IPAM.Driver, subnet.Pool.ID, address})
			}
		}
		out = append(out, release{rec.IPAM.Driver, subnet.Pool.ID, netip.Addr{}})
	}
	return out
}

// had writes that a record says who has the grants.
func (b *batch) had(grants []release) {
	for _, r := range grants {
		b.delete((&told{Release: &r}).key())
	}
}

// owed writes that no record says who has the grants any more.
func (b *batch) owed(grants []release) {
	for _, r := range grants {
		b.putTold(&told{Release: &r})
	}
}

// networkOf returns the record of an endpoint's network; nil if there is none any more.
func (c *controller) networkOf(rec *cnm.Endpoint) *cnm.Network {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.networks[rec.NetworkID]
	if n == nil {
		return nil
	}
	return n.record.Load()
}
