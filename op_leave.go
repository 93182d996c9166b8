package libnetwork

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/netstate"
)

func (ep *endpoint) LeaveContext(ctx context.Context, sandbox Sandbox, options ...EndpointOption) (err error) {
	defer ep.n.c.begin("leave endpoint")(&err)
	sb, err := ep.n.c.ours(sandbox)
	if err != nil {
		return err
	}
	err = ep.leave(ctx, sb, options)
	if err == nil {
		sb.tendGatewayLeft(ctx)
	}
	return operationError(fmt.Sprintf("leave %s on %s from %s", ep.subject(), ep.n.subject(), sb.subject()), err)
}

func (ep *endpoint) leave(ctx context.Context, sb *sandbox, options []EndpointOption) error {
	spec := endpointSpec{record: *ep.record.Load()}
	for _, option := range options {
		if option != nil {
			option(&spec)
		}
	}
	if err := joinErrors("", spec.errs); err != nil {
		return err
	}
	current, release, err := ep.lockWithSandbox(ctx)
	if err != nil {
		return err
	}
	defer release()
	switch current {
	case sb:
		return ep.n.c.detach(ctx, detachment{sandbox: sb, endpoints: []*endpoint{ep}})
	case nil:
		return cnm.E("", cnm.Forbidden, ErrNoContainer{})
	default:
		return cnm.E("", cnm.Forbidden, fmt.Errorf("the endpoint is in another sandbox, of container %q", current.ContainerID()))
	}
}

// detachment says what goes: endpoints from their sandbox, and perhaps the
// endpoints themselves, and the sandbox. Whoever calls detach holds the locks of
// the sandbox and of the endpoints.
type detachment struct {
	sandbox         *sandbox // nil if the endpoints are in none
	endpoints       []*endpoint
	deleteEndpoints bool
	deleteSandbox   bool

	// What follows is filled in by plan. The records of the endpoints:
	before, after []*cnm.Endpoint
	// What plugins get back of those that go.
	grants []release
	// Who is in the sandbox, and what is published through those that stay; nil if the
	// sandbox goes.
	members []*endpoint
	ports   *publication
}

// detach reserves, records and realises a detachment, in one commit.
func (c *controller) detach(ctx context.Context, d detachment) (err error) {
	var u undo.Stack
	defer u.OnError(ctx, &err)
	if d.sandbox != nil {
		// The order is that of Docker: what is published is revoked before its endpoint leaves.
		gives := c.publishingEndpoint(recordsOf(d.sandbox.members()))
		if gives != nil && find(recordsOf(d.endpoints), gives.ID) != nil {
			c.revoke(ctx, &u, gives, d.sandbox.record.Load())
		}
	}
	for _, ep := range d.endpoints {
		defer c.track(ep.record.Load().Owner())()
		if err := ep.detachDriver(ctx, &u, d); err != nil {
			return err
		}
	}
	if err := d.plan(ctx, c, &u); err != nil {
		return err
	}
	if err := c.record(ctx, &u, d.write, d.restore); err != nil {
		return err
	}
	if d.sandbox != nil {
		if err := c.realiseDetachment(ctx, &u, d); err != nil {
			return err
		}
	}
	c.forgetAtPlugins(context.WithoutCancel(ctx), d)
	c.publishDetachment(context.WithoutCancel(ctx), d)
	return nil
}

// forgetAtPlugins tells plugins of the ends of their endpoints: when the links that they
// made are back on the host, where they look for them.
func (c *controller) forgetAtPlugins(ctx context.Context, d detachment) {
	for i, ep := range d.endpoints {
		network := *ep.n.record.Load()
		if driver, remote := c.driverOf(&network).(toldDriver); remote && d.deleteEndpoints {
			driver.forgetEndpoint(ctx, &network, d.after[i])
		}
	}
}

// plan finds out what the records of the endpoints, and of those that stay in the
// sandbox, are to be.
func (d *detachment) plan(ctx context.Context, c *controller, u *undo.Stack) (err error) {
	d.before = recordsOf(d.endpoints)
	for _, rec := range d.before {
		d.after = append(d.after, detached(rec))
		if d.deleteEndpoints {
			d.grants = append(d.grants, c.endpointGrants(c.networkOf(rec), rec)...)
		}
	}
	if d.sandbox == nil || d.deleteSandbox {
		return nil
	}
	d.members = d.sandbox.members()
	remaining := slices.DeleteFunc(recordsOf(d.members), func(rec *cnm.Endpoint) bool { return find(d.before, rec.ID) != nil })
	d.ports, err = c.publish(ctx, u, d.sandbox.record.Load(), recordsOf(d.members), remaining, false)
	return err
}

func (d *detachment) write(b *batch) {
	for _, rec := range d.after {
		if d.deleteEndpoints {
			b.delete(keyEndpoint + rec.ID)
		} else {
			b.putEndpoint(rec)
		}
	}
	b.owed(d.grants)
	if d.ports != nil {
		for _, rec := range changed(recordsOf(d.members), d.ports.records) {
			b.putEndpoint(rec)
		}
	}
	if d.deleteSandbox {
		b.delete(keySandbox + d.sandbox.ID())
	}
}

func (d *detachment) restore(b *batch) {
	for _, rec := range slices.Concat(d.before, recordsOf(d.members)) {
		b.putEndpoint(rec)
	}
	b.had(d.grants)
	if d.deleteSandbox {
		b.putSandbox(d.sandbox.record.Load())
	}
}

// detachDriver tells the driver, and how to take it back.
func (ep *endpoint) detachDriver(ctx context.Context, u *undo.Stack, d detachment) error {
	network, rec := *ep.n.record.Load(), *ep.record.Load()
	entry, err := ep.n.c.driver(network.Driver)
	if err != nil {
		return err
	}
	if d.sandbox != nil {
		if err := entry.driver.Leave(ctx, &network, &rec); err != nil {
			return err
		}
		sandbox := *d.sandbox.record.Load()
		u.Push("join in the driver", func(ctx context.Context) error {
			_, err := entry.driver.Join(ctx, &network, &rec, &sandbox)
			return err
		})
	}
	if _, remote := entry.driver.(toldDriver); d.deleteEndpoints && !remote {
		if err := entry.driver.DeleteEndpoint(ctx, &network, &rec); err != nil {
			return err
		}
		u.Push("create endpoint in the driver", func(ctx context.Context) error {
			return entry.driver.CreateEndpoint(ctx, &network, &rec)
		})
	}
	return nil
}

// detached returns the record without what Join set.
func detached(rec *cnm.Endpoint) *cnm.Endpoint {
	out := *rec
	out.SandboxID, out.Interface = "", ""
	out.Gateway4, out.Gateway6 = cnm.Endpoint{}.Gateway4, cnm.Endpoint{}.Gateway6
	out.Routes, out.Parts, out.SeeksGateway = nil, nil, false
	out.Published, out.Intents = nil, nil
	out.Priority, out.Order = 0, 0
	return &out
}

func (c *controller) realiseDetachment(ctx context.Context, u *undo.Stack, d detachment) error {
	sandbox := d.sandbox.record.Load()
	if !sandbox.Ready {
		return nil
	}
	desired := func(records []*cnm.Endpoint) []netstate.Part { return c.desired(sandbox, records) }
	if sandbox.Foreign {
		alive, err := c.alive(ctx, sandbox)
		if err != nil {
			return err
		}
		if !alive {
			// What is at its path now, if anything is, must not be touched.
			desired = func(records []*cnm.Endpoint) []netstate.Part {
				return slices.DeleteFunc(c.desired(sandbox, records), func(p netstate.Part) bool { return p.Namespace == sandbox.Key })
			}
		}
	}
	if d.deleteSandbox {
		if err := c.realise(ctx, u, desired(recordsOf(d.sandbox.members())), nil); err != nil {
			return err
		}
	} else {
		if err := c.realise(ctx, u, desired(recordsOf(d.members)), desired(d.ports.records)); err != nil {
			return err
		}
		if err := d.ports.serve(); err != nil {
			return err
		}
	}
	if d.deleteSandbox && sandbox.Own() {
		return c.leaveNamespace(ctx, sandbox)
	}
	return nil
}

// forgetConnections keeps what is sent to an endpoint that is gone from whoever gets its
// addresses next.
func (c *controller) forgetConnections(rec *cnm.Endpoint) {
	if rec.SandboxID == "" {
		return
	}
	for _, prefix := range []netip.Prefix{rec.IPv4, rec.IPv6} {
		if prefix.IsValid() {
			c.host.Firewall().Forget(prefix.Addr())
		}
	}
}

// publishDetachment makes the new state visible and releases what was reserved.
func (c *controller) publishDetachment(ctx context.Context, d detachment) {
	for i, ep := range d.endpoints {
		c.forgetConnections(d.before[i])
		ep.quiet()
		ep.record.Store(d.after[i])
		releasePorts(&ep.ports)
	}
	if d.deleteSandbox {
		releasePorts(&d.sandbox.ports)
	}
	if d.ports != nil {
		d.ports.settle(d.sandbox, d.members)
		storeRecords(d.members, d.ports.records)
	}
	c.mu.Lock()
	for _, ep := range d.endpoints {
		if d.sandbox != nil {
			delete(d.sandbox.endpoints, ep.ID())
		}
		if d.deleteEndpoints {
			ep.deleted.Store(true)
			delete(ep.n.endpoints, ep.ID())
			delete(ep.n.endpointNames, ep.Name())
		}
	}
	if d.deleteSandbox {
		d.sandbox.deleted.Store(true)
		delete(c.sandboxes, d.sandbox.ID())
		delete(c.containers, d.sandbox.ContainerID())
	}
	c.mu.Unlock()
	if d.sandbox != nil {
		d.sandbox.see(d.endpoints...)
	}
	if d.deleteEndpoints {
		for i, ep := range d.endpoints {
			c.releaseEndpoint(ctx, ep.n.record.Load(), d.after[i])
		}
		c.unshare(ctx, d)
	}
	switch {
	case d.deleteSandbox:
		d.sandbox.stopResolver()
		d.sandbox.removeFiles()
	case d.sandbox != nil:
		d.sandbox.updateFiles(ctx)
	}
	d.tell()
}

func (d *detachment) tell() {
	for _, ep := range d.endpoints {
		if d.sandbox != nil {
			ep.tell(EventLeave, d.sandbox)
		}
		if d.deleteEndpoints {
			ep.tell(EventDelete, nil)
		}
	}
	if d.deleteSandbox {
		d.sandbox.tell(EventDelete)
	}
}
