package libnetwork

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/netstate"
)

func (ep *endpoint) JoinContext(ctx context.Context, sandbox Sandbox, options ...EndpointOption) error {
	sb, err := ep.n.c.ours(sandbox)
	if err != nil {
		return err
	}
	return operationError(fmt.Sprintf("join %s on %s to %s", ep.subject(), ep.n.subject(), sb.subject()), ep.join(ctx, sb, options))
}

// ours returns the sandbox behind the interface, if this controller made it.
func (c *controller) ours(public Sandbox) (*sandbox, error) {
	sb, ok := public.(*sandbox)
	if !ok || sb == nil || sb.c != c {
		return nil, ErrInvalidJoin{}
	}
	return sb, nil
}

// join puts the endpoint into the sandbox: reserve, record, realise, announce.
func (ep *endpoint) join(ctx context.Context, sb *sandbox, options []EndpointOption) (err error) {
	c := ep.n.c
	release, err := ep.lockForJoin(ctx, sb)
	if err != nil {
		return err
	}
	defer release()
	network, sandbox := *ep.n.record.Load(), sb.record.Load()
	entry, err := c.driver(network.Driver)
	if err != nil {
		return err
	}
	members := sb.members()
	rec, others, err := ep.joinRecords(&network, sandbox, members, options)
	if err != nil {
		return err
	}
	defer c.track(rec.Owner())()
	var u undo.Stack
	defer u.OnError(ctx, &err)

	if rec.Parts, err = entry.driver.Join(ctx, &network, rec, sandbox); err != nil {
		return err
	}
	u.Push("leave in the driver", func(ctx context.Context) error { return entry.driver.Leave(ctx, &network, rec) })

	before := recordsOf(members)
	after := append(replace(before, others), rec)
	err = c.record(ctx, &u, func(b *batch) {
		b.putEndpoint(rec)
		for _, other := range others {
			b.putEndpoint(other)
		}
	}, func(b *batch) {
		b.putEndpoint(ep.record.Load())
		for _, other := range before {
			if slices.ContainsFunc(others, func(o *cnm.Endpoint) bool { return o.ID == other.ID }) {
				b.putEndpoint(other)
			}
		}
	})
	if err != nil {
		return err
	}
	if sandbox.Ready {
		if err := c.realise(ctx, &u, c.desired(sandbox, before), c.desired(sandbox, after)); err != nil {
			return err
		}
	}

	ep.record.Store(rec)
	for _, member := range members {
		for _, other := range others {
			if member.ID() == other.ID {
				member.record.Store(other)
			}
		}
	}
	c.mu.Lock()
	sb.endpoints[rec.ID] = ep
	c.mu.Unlock()
	sb.updateFiles(ctx)
	if sandbox.Ready {
		ep.announce()
	}
	return nil
}

// lockForJoin locks the sandbox and the endpoint, which must be free to join.
func (ep *endpoint) lockForJoin(ctx context.Context, sb *sandbox) (func(), error) {
	if err := ep.n.c.running(); err != nil {
		return nil, err
	}
	releaseSandbox, err := sb.lock.acquire(ctx, sb.subject())
	if err != nil {
		return nil, err
	}
	release, err := ep.lock.acquire(ctx, ep.subject())
	if err != nil {
		releaseSandbox()
		return nil, err
	}
	both := func() { release(); releaseSandbox() }
	switch current := ep.sandbox(); {
	case ep.deleted.Load():
		err = ep.gone()
	case sb.deleted.Load():
		err = cnm.E("", cnm.NotFound, errors.New("the sandbox does not exist any more"))
	case current == sb:
		err = cnm.E("", cnm.Forbidden, errors.New("the endpoint is in the sandbox already"))
	case current != nil:
		err = cnm.E("", cnm.Forbidden, fmt.Errorf("the endpoint is in the sandbox of container %q; leave it first", current.ContainerID()))
	}
	if err != nil {
		both()
		return nil, err
	}
	return both, nil
}

// joinRecords returns the endpoint's record as it is to be, and those of other
// members of the sandbox whose priority changes.
func (ep *endpoint) joinRecords(network *cnm.Network, sandbox *cnm.Sandbox, members []*endpoint, options []EndpointOption) (*cnm.Endpoint, []*cnm.Endpoint, error) {
	rec := *ep.record.Load()
	spec := endpointSpec{record: rec}
	for _, option := range options {
		if option != nil {
			option(&spec)
		}
	}
	if err := joinErrors("", spec.errs); err != nil {
		return nil, nil, err
	}
	rec = spec.record
	rec.SandboxID = sandbox.ID
	rec.Interface = freeInterface(interfacePrefix(network.Options), members)
	rec.Priority = spec.priorities[rec.ID]
	rec.Order = 1
	var others []*cnm.Endpoint
	for _, member := range members {
		other := *member.record.Load()
		rec.Order = max(rec.Order, other.Order+1)
		if priority, ok := spec.priorities[other.ID]; ok && priority != other.Priority {
			other.Priority = priority
			others = append(others, &other)
		}
	}
	return &rec, others, nil
}

// freeInterface returns the prefix with the lowest number that no member uses.
func freeInterface(prefix string, members []*endpoint) string {
	used := make(map[string]bool, len(members))
	for _, member := range members {
		used[member.record.Load().Interface] = true
	}
	for i := 0; ; i++ {
		if name := prefix + strconv.Itoa(i); !used[name] {
			return name
		}
	}
}

func recordsOf(endpoints []*endpoint) []*cnm.Endpoint {
	records := make([]*cnm.Endpoint, len(endpoints))
	for i, ep := range endpoints {
		records[i] = ep.record.Load()
	}
	return records
}

// replace returns records with those of others in place of the ones of equal id.
func replace(records, others []*cnm.Endpoint) []*cnm.Endpoint {
	out := slices.Clone(records)
	for i, record := range out {
		for _, other := range others {
			if other.ID == record.ID {
				out[i] = other
			}
		}
	}
	return out
}

func (ep *endpoint) LeaveContext(ctx context.Context, sandbox Sandbox, options ...EndpointOption) error {
	sb, err := ep.n.c.ours(sandbox)
	if err != nil {
		return err
	}
	return operationError(fmt.Sprintf("leave %s on %s from %s", ep.subject(), ep.n.subject(), sb.subject()), ep.leave(ctx, sb, options))
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
}

// detach reserves, records and realises a detachment, in one commit.
func (c *controller) detach(ctx context.Context, d detachment) (err error) {
	var u undo.Stack
	defer u.OnError(ctx, &err)
	for _, ep := range d.endpoints {
		defer c.track(ep.record.Load().Owner())()
		if err := ep.detachDriver(ctx, &u, d); err != nil {
			return err
		}
	}
	before := recordsOf(d.endpoints)
	after := make([]*cnm.Endpoint, len(before))
	for i, rec := range before {
		after[i] = detached(rec)
	}
	if err := c.record(ctx, &u, func(b *batch) { d.write(b, after) }, func(b *batch) { d.restore(b, before) }); err != nil {
		return err
	}
	if d.sandbox != nil {
		if err := c.realiseDetachment(ctx, &u, d); err != nil {
			return err
		}
	}
	c.publishDetachment(context.WithoutCancel(ctx), d, after)
	return nil
}

func (d *detachment) write(b *batch, after []*cnm.Endpoint) {
	for _, rec := range after {
		if d.deleteEndpoints {
			b.delete(keyEndpoint + rec.ID)
		} else {
			b.putEndpoint(rec)
		}
	}
	if d.deleteSandbox {
		b.delete(keySandbox + d.sandbox.ID())
	}
}

func (d *detachment) restore(b *batch, before []*cnm.Endpoint) {
	for _, rec := range before {
		b.putEndpoint(rec)
	}
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
	if d.deleteEndpoints {
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
	out.Routes, out.Parts = nil, nil
	out.Priority, out.Order = 0, 0
	return &out
}

func (c *controller) realiseDetachment(ctx context.Context, u *undo.Stack, d detachment) error {
	sandbox := d.sandbox.record.Load()
	if !sandbox.Ready {
		return nil
	}
	members := d.sandbox.members()
	remaining := slices.DeleteFunc(slices.Clone(members), func(ep *endpoint) bool { return slices.Contains(d.endpoints, ep) })
	var to []netstate.Part
	if !d.deleteSandbox {
		to = c.desired(sandbox, recordsOf(remaining))
	}
	if err := c.realise(ctx, u, c.desired(sandbox, recordsOf(members)), to); err != nil {
		return err
	}
	if d.deleteSandbox && !sandbox.Host {
		return c.host.Namespaces().Delete(ctx, sandbox.Key)
	}
	return nil
}

// publishDetachment makes the new state visible and releases what was reserved.
func (c *controller) publishDetachment(ctx context.Context, d detachment, after []*cnm.Endpoint) {
	for i, ep := range d.endpoints {
		ep.quiet()
		ep.record.Store(after[i])
		if d.deleteEndpoints {
			c.releaseEndpoint(ctx, ep.n.record.Load(), after[i])
		}
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
	switch {
	case d.deleteSandbox:
		d.sandbox.removeFiles()
	case d.sandbox != nil:
		d.sandbox.updateFiles(ctx)
	}
}
