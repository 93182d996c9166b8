package remote

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/protocol"
)

// mostOffers is how many pools a plugin may offer before one does not overlap what is to
// be avoided.
const mostOffers = 64

// RequestPool implements cnm.IPAM. The plugin does not know of r.Avoid: what it offers and
// is of no use is kept until it has offered something better, so that it does not offer
// the same again, and then released.
func (m *IPAM) RequestPool(ctx context.Context, r cnm.PoolRequest) (_ cnm.Pool, err error) {
	p, err := m.registry.Get(ctx, m.name, Type)
	if err != nil {
		return cnm.Pool{}, err
	}
	request := protocol.RequestPoolRequest{AddressSpace: r.AddressSpace, Pool: text(r.Pool), SubPool: text(r.SubPool), Options: r.Options, V6: wantsIPv6(r)}
	if request.Options == nil {
		request.Options = map[string]string{}
	}
	var kept []cnm.Pool
	defer func() {
		var errs []error
		for _, pool := range kept {
			errs = append(errs, m.giveBack(ctx, nil, "ReleasePool", protocol.ReleasePoolRequest{PoolID: pool.ID}))
		}
		if undo := errors.Join(errs...); err != nil && undo != nil {
			err = fmt.Errorf("%w; %w", err, undo)
		}
	}()
	for range mostOffers {
		var reply protocol.RequestPoolReply
		if err := p.Call(ctx, method("RequestPool"), request, &reply); err != nil {
			return cnm.Pool{}, err
		}
		pool, err := parsePool(reply, r)
		if err == nil {
			err = offeredBefore(kept, pool)
		}
		if err != nil {
			return cnm.Pool{}, m.wrap("RequestPool", m.refusePool(ctx, err, reply.PoolID, kept))
		}
		if !overlapsAny(pool.Prefix, r) {
			m.Restore(pool)
			return pool, nil
		}
		kept = append(kept, pool)
	}
	return cnm.Pool{}, m.wrap("RequestPool", cnm.E("", cnm.Exhausted, fmt.Errorf(
		"the plugin has offered %d subnets that the host uses, the last %q; name a subnet", len(kept), kept[len(kept)-1].Prefix)))
}

// refusePool gives back a pool whose grant makes no sense, unless it is one that is kept.
func (m *IPAM) refusePool(ctx context.Context, err error, id string, kept []cnm.Pool) error {
	same := func(pool cnm.Pool) bool { return pool.ID == id }
	if id == "" || !validText(id) || slices.ContainsFunc(kept, same) {
		return err
	}
	return m.giveBack(ctx, err, "ReleasePool", protocol.ReleasePoolRequest{PoolID: id})
}

// offeredBefore refuses a pool that is kept already: asking again would lead nowhere.
func offeredBefore(kept []cnm.Pool, pool cnm.Pool) error {
	for _, k := range kept {
		if k.Prefix == pool.Prefix {
			return cnm.E("", cnm.Exhausted, fmt.Errorf("the plugin offers subnet %q again, which the host uses; name a subnet", pool.Prefix))
		}
		if k.ID == pool.ID {
			return refuse("pool %.60q: has two subnets, %q and %q", pool.ID, k.Prefix, pool.Prefix)
		}
	}
	return nil
}

// automatic reports whether the choice is left to the plugin.
func automatic(pool netip.Prefix) bool { return !pool.IsValid() || pool.Addr().IsUnspecified() }

// overlapsAny reports whether an automatic pool is one to be avoided. A pool of all
// addresses is none of anybody's.
func overlapsAny(pool netip.Prefix, r cnm.PoolRequest) bool {
	return automatic(r.Pool) && pool.Bits() > 0 && slices.ContainsFunc(r.Avoid, pool.Overlaps)
}

func wantsIPv6(r cnm.PoolRequest) bool {
	if r.Pool.IsValid() {
		return r.Pool.Addr().Is6()
	}
	return r.IPv6
}

// text is empty for no prefix.
func text(prefix netip.Prefix) string {
	if !prefix.IsValid() {
		return ""
	}
	return prefix.String()
}
