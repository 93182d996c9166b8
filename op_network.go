package libnetwork

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/netstate"
)

func (c *controller) NewNetwork(networkType, name string, id string, options ...NetworkOption) (Network, error) {
	return c.NewNetworkContext(context.Background(), networkType, name, id, options...)
}

func (c *controller) NewNetworkContext(ctx context.Context, networkType, name, id string, options ...NetworkOption) (_ Network, err error) {
	defer c.begin("create network")(&err)
	n, err := c.createNetwork(ctx, networkType, name, id, options)
	if err != nil {
		return nil, operationError("create "+quote("network", name), err)
	}
	return n, nil
}

// networkRecord checks the request and returns the record to be, without what only
// an address manager or a driver can fill in.
func (c *controller) networkRecord(networkType, name, id string, options []NetworkOption) (*cnm.Network, driverEntry, error) {
	c.mu.RLock()
	networkType = cmp.Or(networkType, c.config.Daemon.DefaultDriver)
	c.mu.RUnlock()
	spec := networkSpec{record: cnm.Network{
		Schema: cnm.SchemaVersion, ID: cmp.Or(id, newID()), Name: name, Driver: networkType,
		EnableIPv4: true, Created: time.Now().UTC().Truncate(time.Millisecond),
	}}
	if err := checkName(name); err != nil {
		return nil, driverEntry{}, err
	}
	if err := checkID(spec.record.ID); err != nil {
		return nil, driverEntry{}, err
	}
	entry, err := c.driver(networkType)
	if err != nil {
		return nil, driverEntry{}, err
	}
	for _, option := range options {
		if option != nil {
			option(&spec)
		}
	}
	if err := joinErrors("", spec.errs); err != nil {
		return nil, driverEntry{}, err
	}
	return &spec.record, entry, nil
}

// createNetwork reserves, records, realises and announces a network.
func (c *controller) createNetwork(ctx context.Context, networkType, name, id string, options []NetworkOption) (_ *network, err error) {
	if err := c.running(); err != nil {
		return nil, err
	}
	rec, entry, err := c.networkRecord(networkType, name, id, options)
	if err != nil {
		return nil, err
	}
	if err := setScope(ctx, rec, entry); err != nil {
		return nil, err
	}
	if err := c.spansHosts(rec); err != nil {
		return nil, err
	}
	defer c.track(rec.Owner())()
	release := func() {}
	defer func() { release() }() // after what may have to be undone
	var u undo.Stack
	defer u.OnError(ctx, &err)

	if err := c.claim(&u, rec, entry); err != nil {
		return nil, err
	}
	if !entry.noAddresses {
		if err := c.allocatePools(ctx, &u, rec, entry.driver); err != nil {
			return nil, err
		}
	}
	if err := c.claimNetwork(ctx, &u, rec); err != nil {
		return nil, err
	}
	if release, err = c.makeNetwork(ctx, &u, rec, entry); err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.networks[rec.ID], nil
}

// makeNetwork makes on this host what a network whose addresses are known needs. Release
// lets go of the parents; it is called when what may have to be undone has been.
func (c *controller) makeNetwork(ctx context.Context, u *undo.Stack, rec *cnm.Network, entry driverEntry) (release func(), err error) {
	release = func() {}
	if rec.Parts, err = entry.driver.CreateNetwork(ctx, rec); err != nil {
		return release, err
	}
	u.Push("delete network in the driver", func(ctx context.Context) error { return entry.driver.DeleteNetwork(ctx, rec) })
	if err := c.claimLinks(u, rec); err != nil {
		return release, err
	}
	hold, err := c.holdParents(ctx, rec)
	if err != nil {
		return release, err
	}
	release = hold
	if err := c.checkParents(rec); err != nil {
		return release, err
	}
	if err := c.record(ctx, u, func(b *batch) { b.putNetwork(rec); b.had(c.networkGrants(rec)) }, func(b *batch) { b.delete(keyNetwork + rec.ID) }); err != nil {
		return release, err
	}
	if err := c.realiseNetwork(ctx, u, rec); err != nil {
		return release, err
	}
	n := c.newNetwork(rec)
	c.mu.Lock()
	c.networks[rec.ID] = n
	c.mu.Unlock()
	n.changed()
	n.tell(EventCreate)
	return release, nil
}

// record commits what do writes; if a later step fails, what back writes.
func (c *controller) record(ctx context.Context, u *undo.Stack, do, back func(*batch)) error {
	var b batch
	do(&b)
	if err := c.commit(ctx, &b); err != nil {
		return err
	}
	u.Push("take the records back", func(ctx context.Context) error {
		var b batch
		back(&b)
		return c.commit(ctx, &b)
	})
	return nil
}

// realise leads the kernel from one list of parts to another, and back if this or
// a later step fails.
func (c *controller) realise(ctx context.Context, u *undo.Stack, from, to []netstate.Part) error {
	changes := netstate.Diff(from, to)
	if len(changes) == 0 {
		return nil
	}
	u.Push("take the changes back", func(ctx context.Context) error {
		return c.host.Apply(ctx, netstate.Diff(to, from))
	})
	return c.host.Apply(ctx, changes)
}

// claim takes the network's name, id and, for a driver that has one network at
// most, its place.
func (c *controller) claim(u *undo.Stack, rec *cnm.Network, entry driverEntry) error {
	if !c.take(u, claimName(rec.Name)) {
		return NetworkNameError(rec.Name)
	}
	if !c.take(u, claimID(rec.ID)) {
		return cnm.E("", cnm.Exists, fmt.Errorf("id %q: a network has it already; choose another or none", rec.ID))
	}
	if entry.single && !c.take(u, claimDriver(rec.Driver)) {
		return cnm.E("", cnm.Forbidden, fmt.Errorf("driver %q: has its one network already", rec.Driver))
	}
	return nil
}

// claimLinks takes the names of the host's links, so that no two networks of ours
// share a bridge.
func (c *controller) claimLinks(u *undo.Stack, rec *cnm.Network) error {
	for _, name := range hostLinks(rec) {
		if !c.take(u, claimLink(name)) {
			return cnm.E("", cnm.Exists, fmt.Errorf("link %q: another network of ours has it; choose another name", name))
		}
	}
	return nil
}

func (c *controller) take(u *undo.Stack, key string) bool {
	if !c.reserve(c.names, key) {
		return false
	}
	u.Push("release "+key, func(context.Context) error { c.release(c.names, key); return nil })
	return true
}

// What a network takes, as keys of controller.names.
func claimName(name string) string     { return "name/" + name }
func claimID(id string) string         { return "id/" + id }
func claimDriver(driver string) string { return "driver/" + driver }
func claimLink(name string) string     { return "link/" + name }

// claims returns all that a network took.
func claims(rec *cnm.Network, entry driverEntry) []string {
	keys := []string{claimName(rec.Name), claimID(rec.ID)}
	if entry.single {
		keys = append(keys, claimDriver(rec.Driver))
	}
	for _, name := range hostLinks(rec) {
		keys = append(keys, claimLink(name))
	}
	return keys
}

// hostLinks are those that are the network's alone.
func hostLinks(rec *cnm.Network) []string {
	var names []string
	for _, p := range rec.Parts {
		for _, l := range p.Links {
			if p.Namespace == "" && p.Owner == rec.Owner() && l.Kind != netstate.Existing {
				names = append(names, l.Name)
			}
		}
	}
	return names
}

func (n *network) DeleteContext(ctx context.Context) (err error) {
	defer n.c.begin("delete network")(&err)
	return operationError("delete "+n.subject(), n.delete(ctx))
}

// delete takes a network away: record, kernel, and then what was reserved for it. One of
// global scope goes from all hosts.
func (n *network) delete(ctx context.Context) error { return n.remove(ctx, true) }

// drop takes away this host's copy of a network that is gone from the others. A container
// that is in it keeps what it has until it goes.
func (n *network) drop(ctx context.Context) error { return n.remove(ctx, false) }

func (n *network) remove(ctx context.Context, everywhere bool) (err error) {
	c := n.c
	if err := c.running(); err != nil {
		return err
	}
	release, err := n.lock.acquire(ctx, n.subject())
	if err != nil {
		return err
	}
	defer release()
	rec := n.record.Load()
	entry, err := c.driver(rec.Driver)
	if err != nil {
		return err
	}
	if err := n.close(entry); err != nil {
		return err
	}
	defer c.track(rec.Owner())()
	releaseParents, err := c.holdParents(ctx, rec)
	if err != nil {
		n.reopen()
		return err
	}
	defer releaseParents()
	var u undo.Stack
	defer u.OnError(ctx, &err)
	u.Push("open the network again", func(context.Context) error { n.reopen(); return nil })

	if everywhere {
		if err := c.releaseShared(ctx, &u, rec); err != nil {
			return err
		}
	}
	draft := *rec
	if err := entry.driver.DeleteNetwork(ctx, &draft); err != nil {
		return err
	}
	u.Push("create network in the driver", func(ctx context.Context) error {
		_, err := entry.driver.CreateNetwork(ctx, &draft)
		return err
	})
	grants := c.networkGrants(rec)
	if !everywhere {
		grants = nil // the other hosts have them
	}
	if err := c.record(ctx, &u, func(b *batch) { b.delete(keyNetwork + rec.ID); b.owed(grants) }, func(b *batch) { b.putNetwork(rec); b.had(grants) }); err != nil {
		return err
	}
	if err := c.realise(ctx, &u, rec.Parts, c.sharedParts(rec)); err != nil {
		return err
	}

	c.mu.Lock()
	n.deleted.Store(true)
	delete(c.networks, rec.ID)
	for _, key := range claims(rec, entry) {
		delete(c.names, key)
	}
	c.mu.Unlock()
	if everywhere {
		c.releaseNetwork(context.WithoutCancel(ctx), rec)
	}
	n.changed()
	n.tell(EventDelete)
	return nil
}

// close makes sure that the network has no endpoints and gets none.
func (n *network) close(entry driverEntry) error {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	rec := n.record.Load()
	switch {
	case n.deleted.Load():
		return &UnknownNetworkError{name: rec.Name, id: rec.ID}
	case entry.single:
		return cnm.E("", cnm.Forbidden, fmt.Errorf("the network of driver %q stays", rec.Driver))
	case len(n.endpointNames) > 0:
		return &ActiveEndpointsError{name: rec.Name, id: rec.ID, endpoints: slices.Sorted(maps.Keys(n.endpointNames))}
	}
	n.closing = true
	return nil
}

func (n *network) reopen() {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	n.closing = false
}
