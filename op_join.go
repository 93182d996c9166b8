package libnetwork

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
)

func (ep *endpoint) JoinContext(ctx context.Context, sandbox Sandbox, options ...EndpointOption) (err error) {
	defer ep.n.c.begin("join endpoint")(&err)
	sb, err := ep.n.c.ours(sandbox)
	if err != nil {
		return err
	}
	err = ep.join(ctx, sb, options)
	if err == nil {
		if err = sb.tendGateway(ctx); err != nil {
			err = joinKinds([]error{err, ep.leave(context.WithoutCancel(ctx), sb, nil)})
		}
	}
	return operationError(fmt.Sprintf("join %s on %s to %s", ep.subject(), ep.n.subject(), sb.subject()), err)
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
	if err := c.wantOwn(ctx, sandbox); err != nil {
		return err
	}
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
	if sandbox.Handover && rec.Interface != waitingInterface(rec) {
		return invalid("interface %q: whoever the interface is handed over to chooses its name; leave it away", rec.Interface)
	}

	before := recordsOf(members)
	listening := sb.startResolver(ctx, sandbox, append(slices.Clone(before), rec))
	defer listening()
	ports, err := c.publish(ctx, &u, sandbox, before, append(replace(before, others), rec), false)
	if err != nil {
		return err
	}
	if err := c.change(ctx, &u, sb, sandbox, before, ports, ep.record.Load()); err != nil {
		return err
	}

	all := append(members, ep)
	ports.settle(sb, all)
	storeRecords(all, ports.records)
	c.mu.Lock()
	sb.endpoints[rec.ID] = ep
	c.mu.Unlock()
	listening()
	sb.see(ep)
	sb.updateFiles(ctx)
	if sandbox.Ready {
		ep.announce()
	}
	ep.tell(EventJoin, sb)
	return nil
}

// change records and realises what an operation makes of the endpoints in a sandbox.
// Old are the records of those that are not in it yet.
func (c *controller) change(ctx context.Context, u *undo.Stack, sb *sandbox, sandbox *cnm.Sandbox, before []*cnm.Endpoint, ports *publication, old ...*cnm.Endpoint) error {
	records, all := changed(before, ports.records), append(old, before...)
	err := c.record(ctx, u, func(b *batch) {
		for _, rec := range records {
			b.putEndpoint(rec)
			b.had(c.endpointGrants(c.networkOf(rec), rec)) // it may have no record yet
		}
		if sb.unrecorded.Load() {
			b.putSandbox(sandbox)
		}
	}, func(b *batch) {
		for _, rec := range records {
			b.putEndpoint(find(all, rec.ID))
		}
	})
	if err != nil {
		return err
	}
	sb.unrecorded.Store(false)
	if !sandbox.Ready {
		return nil
	}
	if err := c.realise(ctx, u, c.desired(sandbox, before), c.desired(sandbox, ports.records)); err != nil {
		return err
	}
	return ports.serve()
}

// storeRecords makes the records those of the endpoints with their ids.
func storeRecords(endpoints []*endpoint, records []*cnm.Endpoint) {
	for _, ep := range endpoints {
		if rec := find(records, ep.ID()); rec != nil {
			ep.record.Store(rec)
		}
	}
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
	if sandbox.Handover {
		rec.Interface = waitingInterface(&rec)
	}
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
