package cni

import (
	"context"
	"errors"
	"math"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
)

// delete takes an attachment away, and the sandbox with the last one. It is no error if
// there is nothing.
func (b *local) delete(ctx context.Context, network string, k key) error {
	n, err := b.controller.NetworkByName(network)
	if err != nil && !errors.Is(err, cnm.NotFound) {
		return err
	}
	var rec *cnm.Endpoint
	if err == nil {
		rec = b.endpoint(n.ID(), k)
	}
	sb := b.sandbox(k.container)
	switch {
	case rec == nil && sb != nil && len(sb.Endpoints()) == 0:
		return ignoreGone(sb.DeleteContext(ctx)) // of an ADD that was killed
	case rec == nil:
		return nil
	case sb != nil && rec.SandboxID == sb.ID() && len(sb.Endpoints()) == 1:
		return ignoreGone(sb.DeleteContext(ctx)) // both in one commit
	}
	ep, err := n.EndpointByID(rec.ID)
	if err != nil {
		return ignoreGone(err)
	}
	if err := ignoreGone(ep.DeleteContext(ctx, true)); err != nil || sb == nil || len(sb.Endpoints()) > 0 {
		return err
	}
	return ignoreGone(sb.DeleteContext(ctx))
}

func ignoreGone(err error) error {
	if errors.Is(err, cnm.NotFound) {
		return nil
	}
	return err
}

// collect takes away what no valid attachment owns, then the network if nothing is attached
// to it, and then what bears our mark without a record. One trouble does not keep it from
// the rest.
func (b *local) collect(ctx context.Context, network string, valid map[key]bool) error {
	var errs []error
	n, err := b.controller.NetworkByName(network)
	if err == nil {
		var attachments []key
		for _, rec := range b.inspector.Records().Endpoints {
			if rec.NetworkID == n.ID() {
				attachments = append(attachments, keyOf(rec.Labels))
			}
		}
		errs = removeInvalid(attachments, valid, func(k key) error { return b.delete(ctx, network, k) })
	} else {
		errs = append(errs, ignoreGone(err))
	}
	containers := make(map[string]bool, len(valid))
	for k := range valid {
		containers[k.container] = true
	}
	for _, sb := range b.controller.Sandboxes() {
		if len(sb.Endpoints()) == 0 && !containers[sb.ContainerID()] {
			errs = append(errs, ignoreGone(sb.DeleteContext(ctx)))
		}
	}
	if n, err := b.controller.NetworkByName(network); err == nil && len(n.Endpoints()) == 0 {
		errs = append(errs, ignoreGone(n.DeleteContext(ctx)))
	}
	return joined(append(errs, b.controller.Repair(ctx)))
}

// joined is errors.Join that keeps the kind of the first.
func joined(errs []error) error {
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	for _, first := range errs {
		if first != nil {
			return cnm.E("", cnm.KindOf(first), err)
		}
	}
	return err
}

// check returns what is recorded of an attachment, and what the machine holds otherwise.
func (b *local) check(ctx context.Context, c *configuration) (*attached, []string, error) {
	n, err := b.controller.NetworkByName(c.network.Name)
	if err != nil {
		return nil, nil, errNoAttachment(c)
	}
	rec := b.endpoint(n.ID(), c.attachment.key())
	if rec == nil || rec.SandboxID == "" {
		return nil, nil, errNoAttachment(c)
	}
	is, err := b.describe(n.ID(), rec.ID)
	if err != nil {
		return nil, nil, err
	}
	found, err := b.inspector.Mend(ctx, libnetwork.MendOptions{DryRun: true, Sandbox: rec.SandboxID})
	var changes []string
	for _, difference := range found {
		changes = append(changes, difference.Changes...)
	}
	return is, changes, err
}

// status says why an ADD would fail, as far as that can be told beforehand.
func (b *local) status(ctx context.Context, c *configuration) error {
	if b.controller == nil {
		return fitKernel(ctx, c)
	}
	n, err := b.controller.NetworkByName(c.network.Name)
	if errors.Is(err, cnm.NotFound) {
		return fitKernel(ctx, c)
	}
	if err != nil {
		return unavailable(err)
	}
	if differs := c.network.differs(b.summary(n)); differs != "" && len(n.Endpoints()) > 0 {
		return fail(types.ErrPluginNotAvailable, "network %q: was made with another configuration (%s)", n.Name(), differs)
	}
	use, err := b.inspector.AddressUse(n.ID())
	if err != nil {
		return unavailable(err)
	}
	return exhausted(n.Name(), use)
}

// exhausted says that a family of the network has no address left.
func exhausted(network string, use []libnetwork.SubnetUse) error {
	free, holders := make(map[bool]uint64), make(map[bool]int)
	for _, u := range use {
		is4 := u.Pool.Addr().Is4()
		left := u.Available
		if !u.Known {
			left = math.MaxUint64
		}
		free[is4] = max(free[is4], left)
		holders[is4] += len(u.Holders)
	}
	for is4, left := range free {
		if left > 0 {
			continue
		}
		family := map[bool]string{true: "IPv4", false: "IPv6"}[is4]
		return fail(types.ErrPluginNotAvailable, "network %q: has no %s address left, %d are in use; give it another subnet, or remove containers", network, family, holders[is4])
	}
	return nil
}

// fitKernel tries what a network of the driver needs of the kernel.
func fitKernel(ctx context.Context, c *configuration) (err error) {
	host, err := kernel.Open(kernel.Options{Instance: "cni-status", Firewall: kernel.FirewallOptions{Backend: c.firewall}})
	if err != nil {
		return unavailable(err)
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	wanted := map[string][]kernel.Feature{
		"bridge": {kernel.FeatureBridge, kernel.FeatureVeth}, "macvlan": {kernel.FeatureMacvlan}, "ipvlan": {kernel.FeatureIPvlan},
	}
	if err := host.Features().Require(wanted[c.network.Driver]...); err != nil {
		return unavailable(err)
	}
	if c.network.Driver != defaultDriver {
		return nil
	}
	if _, err := host.Firewall().Backend(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}
