package libnetwork

import (
	"context"
	"errors"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/remote"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
)

// toldDriver is a plugin's driver that notes what it tells.
type toldDriver struct {
	remoteDriver
	c *controller
}

func (d toldDriver) note(ctx context.Context, t *told) error { return d.c.note(ctx, t) }

func (d toldDriver) forget(ctx context.Context, t *told) { d.c.forget(ctx, t) }

// failed sees to it that a plugin which may have done what it was asked for, though the
// call failed, takes it back.
func (d toldDriver) failed(ctx context.Context, t *told, err error) {
	if plugin.MayHaveHappened(err) {
		d.c.debts.add(t)
		return
	}
	d.forget(ctx, t)
}

// CreateNetwork implements cnm.Driver.
func (d toldDriver) CreateNetwork(ctx context.Context, n *cnm.Network) (parts []netstate.Part, err error) {
	t := &told{Network: *n}
	if err := d.note(ctx, t); err != nil {
		return nil, err
	}
	if parts, err = d.remoteDriver.CreateNetwork(ctx, n); err != nil {
		d.failed(ctx, t, err)
	}
	return parts, err
}

// DeleteNetwork implements cnm.Driver. A plugin may have ended the network though we have
// not heard, or were killed: who asks again is then not held up by its not knowing it.
func (d toldDriver) DeleteNetwork(ctx context.Context, n *cnm.Network) error {
	t := &told{Network: *n}
	before, err := d.c.noted(ctx, t)
	if err != nil {
		return err
	}
	t.Ending = true
	if err := d.note(ctx, t); err != nil {
		return err
	}
	err = d.remoteDriver.DeleteNetwork(ctx, n)
	if err != nil && refused(err) && before != nil && before.Ending {
		d.c.log.Warn("a plugin does not let go of what it may have ended already; it is not asked again", "subject", t.subject(), "driver", n.Driver, "error", err)
		err = nil
	}
	if err == nil {
		d.forget(ctx, t)
		return nil
	}
	if t.Ending = plugin.MayHaveHappened(err); !t.Ending {
		if noteErr := d.note(context.WithoutCancel(ctx), t); noteErr != nil {
			d.c.log.Error("note that a plugin was not told", "subject", t.subject(), "error", noteErr)
		}
	}
	d.c.debts.add(t)
	return err
}

// CreateEndpoint implements cnm.Driver.
func (d toldDriver) CreateEndpoint(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	before := *ep
	t := &told{Network: *n, Endpoint: &before}
	if err := d.note(ctx, t); err != nil {
		return err
	}
	err := d.remoteDriver.CreateEndpoint(ctx, n, ep)
	if err != nil {
		d.failed(ctx, t, err)
	}
	return err
}

// DeleteEndpoint implements cnm.Driver.
func (d toldDriver) DeleteEndpoint(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	d.forgetEndpoint(ctx, n, ep)
	return nil
}

// forgetEndpoint tells the plugin of an endpoint's end. A container can be removed whatever
// its plugin does: what that could not be told is a debt.
func (d toldDriver) forgetEndpoint(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) {
	t := &told{Network: *n, Endpoint: ep}
	if err := d.remoteDriver.DeleteEndpoint(ctx, n, ep); err != nil {
		d.gone(ctx, t, err)
		return
	}
	d.forget(ctx, t)
}

// gone goes on without the plugin.
func (d toldDriver) gone(ctx context.Context, t *told, err error) {
	if refused(err) {
		d.c.log.Error("a plugin does not let go; it is not asked again", "subject", t.subject(), "driver", t.Network.Driver, "error", err)
		d.forget(ctx, t)
		return
	}
	d.c.log.Warn("a plugin cannot be told; it is tried again", "subject", t.subject(), "driver", t.Network.Driver, "error", err)
	d.c.debts.add(t)
}

// refused reports whether the plugin has answered, and will not answer otherwise.
func refused(err error) bool {
	var answered *plugin.Error
	return errors.As(err, &answered) || errors.Is(err, plugin.NotImplemented)
}

// Join implements cnm.Driver.
func (d toldDriver) Join(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint, sb *cnm.Sandbox) (parts []netstate.Part, err error) {
	before := *ep
	t := &told{Network: *n, Endpoint: &before, Joined: true}
	if err := d.note(ctx, t); err != nil {
		return nil, err
	}
	if parts, err = d.remoteDriver.Join(ctx, n, ep, sb); err == nil {
		if err = remote.CheckLinks(parts, d.c.allParts(ep.ID)); err == nil {
			return parts, nil
		}
		*ep = before
		return nil, joinKinds([]error{err, d.Leave(context.WithoutCancel(ctx), n, ep)})
	}
	if plugin.MayHaveHappened(err) {
		d.c.debts.add(t)
		return nil, err
	}
	t.Joined = false
	if noteErr := d.note(context.WithoutCancel(ctx), t); noteErr != nil {
		d.c.log.Error("note that a plugin was not told", "subject", t.subject(), "error", noteErr)
	}
	return nil, err
}

// Leave implements cnm.Driver.
func (d toldDriver) Leave(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	t := &told{Network: *n, Endpoint: detached(ep), Joined: true}
	if err := d.remoteDriver.Leave(ctx, n, ep); err != nil && !refused(err) {
		d.c.log.Warn("a plugin cannot be told; it is tried again", "subject", t.subject(), "driver", n.Driver, "error", err)
		d.c.debts.add(t)
		return nil
	} else if err != nil {
		d.c.log.Error("a plugin does not let go; it is not asked again", "subject", t.subject(), "driver", n.Driver, "error", err)
	}
	t.Joined = false
	return d.note(context.WithoutCancel(ctx), t)
}
