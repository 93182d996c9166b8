package libnetwork

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/netstate"
)

func (n *network) CreateEndpointContext(ctx context.Context, name string, options ...EndpointOption) (_ Endpoint, err error) {
	defer n.c.begin("create endpoint")(&err)
	ep, err := n.createEndpoint(ctx, name, options)
	if err != nil {
		return nil, operationError(fmt.Sprintf("create endpoint %q on %s", name, n.subject()), err)
	}
	return ep, nil
}

// createEndpoint reserves addresses and records the endpoint. The kernel has
// nothing to do before the endpoint joins a sandbox.
func (n *network) createEndpoint(ctx context.Context, name string, options []EndpointOption) (_ *endpoint, err error) {
	c, network := n.c, n.record.Load()
	if err := c.running(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, cnm.E("", cnm.Timeout, err)
	}
	spec := endpointSpec{record: cnm.Endpoint{
		Schema: cnm.SchemaVersion, ID: newID(), Name: name, NetworkID: network.ID,
		Created: time.Now().UTC().Truncate(time.Millisecond),
	}}
	if err := checkName(name); err != nil {
		return nil, err
	}
	for _, option := range options {
		if option != nil {
			option(&spec)
		}
	}
	if err := joinErrors("", spec.errs); err != nil {
		return nil, err
	}
	entry, err := c.driver(network.Driver)
	if err != nil {
		return nil, err
	}
	var u undo.Stack
	defer u.OnError(ctx, &err)

	if err := n.takeEndpointName(name); err != nil {
		return nil, err
	}
	u.Push("release the name", func(context.Context) error { n.releaseEndpointName(name); return nil })
	rec := &spec.record
	if err := n.checkMAC(rec.MAC); err != nil {
		return nil, err
	}
	if !entry.noAddresses {
		ipam, err := c.ipam(network.IPAM.Driver)
		if err != nil {
			return nil, err
		}
		if err := chooseMACFor(ctx, ipam, rec); err != nil {
			return nil, err
		}
		a := &allocator{c: c, name: network.IPAM.Driver, ipam: ipam, undo: &u}
		if err := a.endpointAddresses(ctx, network, &spec); err != nil {
			return nil, err
		}
	} else if spec.wantIPv4.IsValid() || spec.wantIPv6.IsValid() {
		return nil, invalid("IP address: networks of driver %q have none", network.Driver)
	}
	release, err := c.claimEndpoint(ctx, &u, network, rec)
	if err != nil {
		return nil, err
	}
	defer release()
	draft := *network
	if err := entry.driver.CreateEndpoint(ctx, &draft, rec); err != nil {
		return nil, err
	}
	u.Push("delete endpoint in the driver", func(ctx context.Context) error { return entry.driver.DeleteEndpoint(ctx, &draft, rec) })
	if !spec.recordWithJoin {
		grants := c.endpointGrants(network, rec)
		if err := c.record(ctx, &u, func(b *batch) { b.putEndpoint(rec); b.had(grants) }, func(b *batch) { b.delete(keyEndpoint + rec.ID); b.owed(grants) }); err != nil {
			return nil, err
		}
	}

	ep := n.newEndpoint(rec)
	c.mu.Lock()
	n.endpoints[rec.ID] = ep
	c.mu.Unlock()
	ep.tell(EventCreate, nil)
	return ep, nil
}

func (n *network) takeEndpointName(name string) error {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	switch {
	case n.closing || n.deleted.Load():
		return &UnknownNetworkError{name: n.Name(), id: n.ID()}
	case n.endpointNames[name]:
		return cnm.E("", cnm.Exists, fmt.Errorf("the network has an endpoint of that name; choose another or delete it"))
	}
	n.endpointNames[name] = true
	return nil
}

func (n *network) releaseEndpointName(name string) {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	delete(n.endpointNames, name)
}

// checkMAC refuses a given MAC address that another endpoint of the network has.
func (n *network) checkMAC(mac netstate.MAC) error {
	if mac.IsZero() {
		return nil
	}
	n.c.mu.RLock()
	defer n.c.mu.RUnlock()
	for _, ep := range n.endpoints {
		if rec := ep.record.Load(); rec.MAC == mac {
			return cnm.E("", cnm.Exists, fmt.Errorf("MAC address %q: endpoint %q has it; choose another or none", mac, rec.Name))
		}
	}
	return nil
}

func (ep *endpoint) DeleteContext(ctx context.Context, force bool) (err error) {
	defer ep.n.c.begin("delete endpoint")(&err)
	sb := ep.sandbox()
	if err = ep.delete(ctx, force); err == nil && sb != nil {
		sb.tendGatewayLeft(ctx)
	}
	return operationError(fmt.Sprintf("delete %s on %s", ep.subject(), ep.n.subject()), err)
}

func (ep *endpoint) delete(ctx context.Context, force bool) error {
	sb, release, err := ep.lockWithSandbox(ctx)
	if err != nil {
		return err
	}
	defer release()
	if sb == nil {
		return ep.n.c.detach(ctx, detachment{endpoints: []*endpoint{ep}, deleteEndpoints: true})
	}
	if !force {
		return &ActiveContainerError{name: ep.Name(), id: ep.ID(), containerID: sb.ContainerID()}
	}
	return ep.n.c.detach(ctx, detachment{sandbox: sb, endpoints: []*endpoint{ep}, deleteEndpoints: true})
}

// lockWithSandbox locks the sandbox that the endpoint is in, if any, and then the
// endpoint. Between looking and locking the endpoint may move, so it looks again.
func (ep *endpoint) lockWithSandbox(ctx context.Context) (*sandbox, func(), error) {
	if err := ep.n.c.running(); err != nil {
		return nil, nil, err
	}
	for {
		sb := ep.sandbox()
		releaseSandbox := func() {}
		if sb != nil {
			release, err := sb.lock.acquire(ctx, sb.subject())
			if err != nil {
				return nil, nil, err
			}
			releaseSandbox = release
		}
		release, err := ep.lock.acquire(ctx, ep.subject())
		if err != nil {
			releaseSandbox()
			return nil, nil, err
		}
		both := func() { release(); releaseSandbox() }
		switch {
		case ep.deleted.Load():
			both()
			return nil, nil, ep.gone()
		case ep.sandbox() == sb:
			return sb, both, nil
		}
		both()
	}
}
