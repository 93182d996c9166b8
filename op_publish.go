package libnetwork

import (
	"context"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/portmap"
)

// publisher is a driver whose endpoints can publish ports on the host. Networks of
// others have no use for it: their containers are reached in another way, or not at all.
type publisher interface {
	// PortBindings returns what a binding that was asked for comes to: one for each
	// address of the host, all with the same port.
	PortBindings(*cnm.Network, *cnm.Endpoint, cnm.PortBinding) ([]cnm.PortBinding, error)
	// Publications returns what the packet filter shall do for Endpoint.Published.
	Publications(*cnm.Network, *cnm.Endpoint) ([]netstate.Intent, error)
}

// publication is what an operation changes in what is published through the endpoints of
// a sandbox: by those that join, and by the one that gives the default route, which
// publishes what the sandbox asked for.
type publication struct {
	c *controller
	// records are the endpoints of the sandbox after the operation.
	records []*cnm.Endpoint
	// endpoints are the reservations of those that join, by id.
	endpoints map[string]*portmap.Reservation
	// sandbox is the new reservation of the sandbox, if moves is set. It may be nil.
	sandbox *portmap.Reservation
	moves   bool
}

// publish reserves ports, and completes the records. What was held before stays held
// until settle.
func (c *controller) publish(ctx context.Context, u *undo.Stack, sandbox *cnm.Sandbox, before, after []*cnm.Endpoint, renew bool) (*publication, error) {
	p := &publication{c: c, records: slices.Clone(after), endpoints: make(map[string]*portmap.Reservation)}
	u.Push("release ports", func(context.Context) error { p.release(); return nil })
	for _, rec := range after {
		if len(rec.PortBindings) == 0 || find(before, rec.ID) != nil {
			continue
		}
		holder := portmap.Holder{ID: rec.Owner(), Name: quote("endpoint", rec.Name) + " of " + quote("container", sandbox.ContainerID)}
		reservation, err := p.reserve(ctx, holder, rec, rec.PortBindings)
		if err != nil {
			return nil, err
		}
		if reservation != nil {
			p.endpoints[rec.ID] = reservation
			p.add(rec, reservation.Bindings())
		}
	}
	if err := p.move(ctx, u, sandbox, before, renew); err != nil {
		return nil, err
	}
	return p, p.complete()
}

// move publishes what the sandbox asked for through another endpoint, if another gives
// the default route now. The host's ports stay the same.
func (p *publication) move(ctx context.Context, u *undo.Stack, sandbox *cnm.Sandbox, before []*cnm.Endpoint, renew bool) error {
	from, to := p.c.publishingEndpoint(before), p.c.publishingEndpoint(p.records)
	stays := from == nil && to == nil || from != nil && to != nil && from.ID == to.ID
	if stays && !renew {
		return nil
	}
	if from != nil && find(p.records, from.ID) != nil { // one that leaves was told before
		p.c.revoke(ctx, u, from, sandbox)
	}
	if err := p.c.program(ctx, u, to, sandbox); err != nil {
		return err
	}
	if len(sandbox.PortBindings) == 0 && !renew {
		return nil
	}
	p.moves = true
	asked := sandbox.PortBindings
	if from != nil {
		asked = asGranted(asked, from.Published)
		if left := find(p.records, from.ID); left != nil {
			p.drop(left)
		}
	}
	if to == nil || len(asked) == 0 {
		return nil
	}
	to = find(p.records, to.ID)
	holder := portmap.Holder{ID: sandbox.Owner(), Name: quote("container", sandbox.ContainerID)}
	reservation, err := p.reserve(ctx, holder, to, asked)
	if err != nil || reservation == nil {
		return err
	}
	p.sandbox = reservation
	bindings := slices.Clone(reservation.Bindings())
	for i := range bindings {
		bindings[i].Sandbox = true
	}
	p.add(to, bindings)
	return nil
}

// asGranted returns the bindings with the ports that the host chose for them before.
func asGranted(asked, granted []cnm.PortBinding) []cnm.PortBinding {
	out := slices.Clone(asked)
	used := make(map[uint16]bool)
	for i := range out {
		for _, g := range granted {
			same := g.Sandbox && g.Protocol == out[i].Protocol && g.Port == out[i].Port && g.PortEnd == out[i].PortEnd
			chosen := out[i].HostPort == 0 || out[i].HostPort <= g.HostPort && g.HostPort <= out[i].HostPortEnd
			if same && chosen && g.HostPort != 0 && !used[g.HostPort] {
				used[g.HostPort] = true
				out[i].HostPort, out[i].HostPortEnd = g.HostPort, 0
				break
			}
		}
	}
	return out
}

// publishingEndpoint is the one that publishes what the sandbox asked for: the one with
// the default route for IPv4, or if there is none, for IPv6.
func (c *controller) publishingEndpoint(endpoints []*cnm.Endpoint) *cnm.Endpoint {
	ranked := byGatewayRank(endpoints, c.networkName)
	for _, has := range []func(*cnm.Endpoint) bool{
		func(ep *cnm.Endpoint) bool { return ep.Gateway4.IsValid() },
		func(ep *cnm.Endpoint) bool { return ep.Gateway6.IsValid() },
	} {
		if i := slices.IndexFunc(ranked, has); i >= 0 {
			return ranked[i]
		}
	}
	return nil
}

// reserve takes the host's ports for bindings of an endpoint; nil if its driver publishes
// nothing.
func (p *publication) reserve(ctx context.Context, holder portmap.Holder, rec *cnm.Endpoint, asked []cnm.PortBinding) (*portmap.Reservation, error) {
	network, driver, err := p.c.publisher(rec)
	if driver == nil || err != nil {
		return nil, err
	}
	groups := make([][]cnm.PortBinding, len(asked))
	for i, binding := range asked {
		if groups[i], err = driver.PortBindings(network, rec, binding); err != nil {
			return nil, err
		}
	}
	return p.c.ports.Reserve(ctx, holder, groups)
}

// publisher returns the endpoint's network and its driver, nil if that is no publisher.
func (c *controller) publisher(rec *cnm.Endpoint) (*cnm.Network, publisher, error) {
	c.mu.RLock()
	n := c.networks[rec.NetworkID]
	c.mu.RUnlock()
	if n == nil {
		return nil, nil, ErrNoSuchNetwork(rec.NetworkID)
	}
	network := *n.record.Load()
	entry, err := c.driver(network.Driver)
	if err != nil {
		return nil, nil, err
	}
	driver, _ := entry.driver.(publisher)
	return &network, driver, nil
}

// add and drop put a changed copy in the place of a record.
func (p *publication) add(rec *cnm.Endpoint, bindings []cnm.PortBinding) {
	changed := *rec
	changed.Published = slices.Concat(rec.Published, bindings)
	p.records = replace(p.records, []*cnm.Endpoint{&changed})
}

func (p *publication) drop(rec *cnm.Endpoint) {
	changed := *rec
	changed.Published = slices.DeleteFunc(slices.Clone(rec.Published), func(b cnm.PortBinding) bool { return b.Sandbox })
	p.records = replace(p.records, []*cnm.Endpoint{&changed})
}

// complete asks the drivers what the packet filter shall do.
func (p *publication) complete() error {
	for i, rec := range p.records {
		if len(rec.Published) == 0 && len(rec.Intents) == 0 {
			continue
		}
		network, driver, err := p.c.publisher(rec)
		if err != nil {
			return err
		}
		intents, err := driver.Publications(network, rec)
		if err != nil {
			return err
		}
		if slices.Equal(intents, rec.Intents) {
			continue
		}
		changed := *rec
		changed.Intents = intents
		p.records[i] = &changed
	}
	return nil
}

// serve starts the proxies of what is new.
func (p *publication) serve() error {
	for _, reservation := range p.reservations() {
		if err := reservation.Serve(); err != nil {
			return err
		}
	}
	return nil
}

// settle makes the reservations those of the sandbox and its endpoints, and releases what
// they take the place of.
func (p *publication) settle(sb *sandbox, endpoints []*endpoint) {
	for _, ep := range endpoints {
		if reservation := p.endpoints[ep.ID()]; reservation != nil {
			ep.ports = reservation
		}
	}
	if p.moves {
		releasePorts(&sb.ports)
		sb.ports = p.sandbox
	}
}

func (p *publication) release() {
	for _, reservation := range p.reservations() {
		reservation.Release()
	}
}

func (p *publication) reservations() []*portmap.Reservation {
	var out []*portmap.Reservation
	for _, reservation := range p.endpoints {
		out = append(out, reservation)
	}
	if p.sandbox != nil {
		out = append(out, p.sandbox)
	}
	return out
}

// releasePorts ends a reservation, if there is one.
func releasePorts(held **portmap.Reservation) {
	if *held != nil {
		(*held).Release()
		*held = nil
	}
}

// find returns the record with the id, or nil.
func find(records []*cnm.Endpoint, id string) *cnm.Endpoint {
	if i := slices.IndexFunc(records, func(rec *cnm.Endpoint) bool { return rec.ID == id }); i >= 0 {
		return records[i]
	}
	return nil
}

// changed returns the records of after that are not, as they are, in before.
func changed(before, after []*cnm.Endpoint) []*cnm.Endpoint {
	return slices.DeleteFunc(slices.Clone(after), func(rec *cnm.Endpoint) bool { return slices.Contains(before, rec) })
}

// restorePorts reserves again what the record says is published. What somebody else has
// taken meanwhile stays with the packet filter, which decides before any socket does.
func (c *controller) restorePorts(ctx context.Context, ep *endpoint, sb *sandbox) {
	rec := ep.record.Load()
	groups := map[bool][][]cnm.PortBinding{}
	for _, b := range rec.Published {
		groups[b.Sandbox] = append(groups[b.Sandbox], []cnm.PortBinding{b})
	}
	for ofSandbox, own := range groups {
		holder := portmap.Holder{ID: rec.Owner(), Name: ep.subject()}
		held := &ep.ports
		if ofSandbox {
			holder, held = portmap.Holder{ID: "sandbox/" + sb.ID(), Name: sb.subject()}, &sb.ports
		}
		reserve := c.ports.Reserve
		if c.transient {
			reserve = c.ports.Assume // nobody holds them between operations either
		}
		reservation, err := reserve(ctx, holder, own)
		if err != nil {
			c.log.Error("restore published ports", "endpoint", rec.Name, "container", sb.ContainerID(), "error", err)
			continue
		}
		*held = reservation
	}
}

// startServing starts the proxies and DNS servers of what was restored, and then serves
// the hooks of container runtimes.
func (c *controller) startServing(ctx context.Context) {
	for _, sb := range c.allSandboxes() {
		rec := sb.record.Load()
		if !rec.Ready {
			continue
		}
		members := sb.members()
		if err := sb.servePorts(members); err != nil {
			c.log.Error("restore published ports", "container", sb.ContainerID(), "error", err)
		}
		sb.startResolver(ctx, rec, recordsOf(members))()
		sb.see(members...)
		if sb.server.Load() != nil {
			sb.updateFiles(ctx)
		}
	}
	c.takeKeys()
}

// stopServing ends the proxies and DNS servers and gives the ports back; the packet filter
// goes on.
func (c *controller) stopServing() {
	for _, sb := range c.allSandboxes() {
		releasePorts(&sb.ports)
		sb.stopResolver()
		for _, ep := range sb.members() {
			releasePorts(&ep.ports)
		}
	}
}

// servePorts starts the proxies of a sandbox and its endpoints.
func (sb *sandbox) servePorts(members []*endpoint) error {
	var errs []error
	held := []*portmap.Reservation{sb.ports}
	for _, ep := range members {
		held = append(held, ep.ports)
	}
	for _, reservation := range held {
		if reservation != nil {
			errs = append(errs, reservation.Serve())
		}
	}
	return joinKinds(errs)
}
