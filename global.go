package libnetwork

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/ipams/shared"
)

// Networks of global scope are records in a store that the hosts of a cluster share. Each
// host has a copy of its own, with what they need on that host, so that they work without
// the store; only what must be one for all hosts asks it: creating and deleting a network
// or an endpoint, and claiming addresses. What others do is told by the store.

// Keys of the shared store. The manager of shared addresses has its own beside them.
const (
	keySharedNetwork  = "global/network/"
	keySharedName     = "global/name/"     // and the network's name, escaped
	keySharedEndpoint = "global/endpoint/" // and the ids of the network and the endpoint
	keySharedEndName  = "global/endname/"  // and the id of the network and the endpoint's name, escaped
)

// global is this host's part in what hosts share.
type global struct {
	store cnm.Store
	// node names this host among them.
	node string
	ipam *shared.IPAM
	// away is set while the store does not answer.
	away atomic.Bool
	// wake has room for one: somebody has an endpoint that others are to know.
	wake chan struct{}

	mu sync.Mutex // guards what follows
	// shares are the endpoints of all hosts by key, as the store has them; nil until it
	// has told.
	shares map[string]*share
	// claimed counts operations that have claimed a key and have no record yet.
	claimed map[string]int
}

// share is an endpoint as other hosts know it.
type share struct {
	Schema    int    `json:"schema"`
	Node      string `json:"node"`
	NetworkID string `json:"networkID"`
	Name      string `json:"name"`
	// What follows is empty while the endpoint is in no sandbox. Names are what its
	// addresses are called, the first one in reverse too.
	Names     []string     `json:"names,omitempty"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
}

func sharedEndpoint(networkID, id string) string { return keySharedEndpoint + networkID + "/" + id }

func sharedEndName(networkID, name string) string {
	return keySharedEndName + networkID + "/" + url.PathEscape(name)
}

// spansHosts refuses a network of global scope where nothing tells hosts of each other.
func (c *controller) spansHosts(rec *cnm.Network) error {
	if rec.Scope != cnm.Global || c.global != nil || c.node.clustered() {
		return nil
	}
	return cnm.E("", cnm.Unsupported, errors.New("networks of global scope need a store that the hosts share, or a cluster: configure one, such as etcd, for the global scope"))
}

func newGlobal(store cnm.Store, node string, ipam *shared.IPAM) *global {
	return &global{store: store, node: node, ipam: ipam, wake: make(chan struct{}, 1), claimed: make(map[string]int)}
}

// poke has the endpoints of this host compared with what others know of them.
func (g *global) poke() {
	select {
	case g.wake <- struct{}{}:
	default: // it will be done
	}
}

// hold keeps a key from being taken for a leftover until the returned function is called.
func (g *global) hold(key string) (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.claimed[key]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.claimed[key]--; g.claimed[key] == 0 {
			delete(g.claimed, key)
		}
	}
}

// put writes a record as JSON.
func put(tx cnm.Tx, key string, record any) error {
	value, err := json.Marshal(record)
	if err != nil {
		return cnm.E("", cnm.Internal, fmt.Errorf("record %q: %w", key, err))
	}
	return tx.Put(key, value)
}

// absent is nil if there is no such key.
func absent(tx cnm.Tx, key string, taken error) error {
	_, err := tx.Get(key)
	switch {
	case err == nil:
		return taken
	case errors.Is(err, cnm.NotFound):
		return nil
	}
	return err
}

// claimNetwork makes the network one of all hosts, if no other has its name or id.
func (c *controller) claimNetwork(ctx context.Context, u *undo.Stack, rec *cnm.Network) error {
	if rec.Scope != cnm.Global {
		return nil
	}
	g := c.global
	if g == nil {
		return nil // the cluster's manager sees to it
	}
	common := sharedRecord(rec)
	err := g.store.Update(ctx, func(tx cnm.Tx) error {
		if err := absent(tx, keySharedName+url.PathEscape(rec.Name), NetworkNameError(rec.Name)); err != nil {
			return err
		}
		if err := absent(tx, keySharedNetwork+rec.ID, cnm.E("", cnm.Exists, fmt.Errorf("id %q: a network has it already; choose another or none", rec.ID))); err != nil {
			return err
		}
		if err := put(tx, keySharedName+url.PathEscape(rec.Name), rec.ID); err != nil {
			return err
		}
		return put(tx, keySharedNetwork+rec.ID, common)
	})
	if err != nil {
		return err
	}
	u.Push("take the network from other hosts", func(ctx context.Context) error { return g.removeNetwork(ctx, rec) })
	return nil
}

// sharedRecord is what the hosts have in common of a network.
func sharedRecord(rec *cnm.Network) *cnm.Network {
	out := *rec
	out.Parts = nil
	out.Subnets4, out.Subnets6 = slices.Clone(rec.Subnets4), slices.Clone(rec.Subnets6)
	for _, subnets := range [][]cnm.Subnet{out.Subnets4, out.Subnets6} {
		for i := range subnets {
			subnets[i].Host = netip.Prefix{} // each host has its own
		}
	}
	return &out
}

func (g *global) removeNetwork(ctx context.Context, rec *cnm.Network) error {
	return g.store.Update(ctx, func(tx cnm.Tx) error {
		left, err := tx.List(keySharedEndpoint + rec.ID + "/")
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return g.inUse(rec, left)
		}
		if err := tx.Delete(keySharedName + url.PathEscape(rec.Name)); err != nil {
			return err
		}
		return tx.Delete(keySharedNetwork + rec.ID)
	})
}

// inUse says who has endpoints in a network.
func (g *global) inUse(rec *cnm.Network, left []cnm.KeyValue) error {
	hosts := make(map[string]int)
	for _, entry := range left {
		var s share
		if err := json.Unmarshal(entry.Value, &s); err != nil {
			return cnm.E("", cnm.Internal, fmt.Errorf("record %q: %w", entry.Key, err))
		}
		hosts[s.Node]++
	}
	var text string
	for _, node := range slices.Sorted(maps.Keys(hosts)) {
		text += fmt.Sprintf(", %d of host %q", hosts[node], shortID(node))
	}
	return cnm.E("", cnm.Forbidden, fmt.Errorf("network %q: has endpoints%s; remove these first", rec.Name, text))
}

// releaseShared takes a network that is being deleted from all hosts.
func (c *controller) releaseShared(ctx context.Context, u *undo.Stack, rec *cnm.Network) error {
	if rec.Scope != cnm.Global || c.global == nil {
		return nil
	}
	if err := c.global.removeNetwork(ctx, rec); err != nil {
		return err
	}
	u.Push("give the network to other hosts again", func(ctx context.Context) error {
		return c.claimNetwork(ctx, &undo.Stack{}, rec)
	})
	return nil
}

// claimEndpoint makes the endpoint's name its own on all hosts, on a network that is still
// there.
func (c *controller) claimEndpoint(ctx context.Context, u *undo.Stack, network *cnm.Network, rec *cnm.Endpoint) (release func(), err error) {
	g := c.global
	if network.Scope != cnm.Global || g == nil {
		return func() {}, nil
	}
	key, name := sharedEndpoint(network.ID, rec.ID), sharedEndName(network.ID, rec.Name)
	release = g.hold(key)
	err = g.store.Update(ctx, func(tx cnm.Tx) error {
		if _, err := tx.Get(keySharedNetwork + network.ID); err != nil {
			if errors.Is(err, cnm.NotFound) {
				return &UnknownNetworkError{name: network.Name, id: network.ID}
			}
			return err
		}
		if err := absent(tx, name, errNameTaken()); err != nil {
			return err
		}
		if err := put(tx, name, rec.ID); err != nil {
			return err
		}
		return put(tx, key, share{Schema: cnm.SchemaVersion, Node: g.node, NetworkID: network.ID, Name: rec.Name})
	})
	if err != nil {
		release()
		return nil, err
	}
	u.Push("take the endpoint from other hosts", func(ctx context.Context) error {
		return g.removeShares(ctx, map[string]*share{key: {NetworkID: network.ID, Name: rec.Name}})
	})
	return release, nil
}

// together is how many endpoints one commit concerns: each is two keys, and all stores can
// do 50.
const together = 20

// removeShares takes endpoints from other hosts.
func (g *global) removeShares(ctx context.Context, gone map[string]*share) error {
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(gone)), together) {
		err := g.store.Update(ctx, func(tx cnm.Tx) error {
			for _, key := range keys {
				if err := dropName(tx, key, gone[key]); err != nil {
					return err
				}
				if err := tx.Delete(key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropName gives an endpoint's name back, unless somebody else has it meanwhile.
func dropName(tx cnm.Tx, key string, s *share) error {
	name := sharedEndName(s.NetworkID, s.Name)
	value, err := tx.Get(name)
	if errors.Is(err, cnm.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var owner string
	if err := json.Unmarshal(value, &owner); err != nil || sharedEndpoint(s.NetworkID, owner) != key {
		return nil //nolint:nilerr // what cannot be read is not ours
	}
	return tx.Delete(name)
}

// renameShared makes another name that of an endpoint on all hosts, and gives back the one
// that it had.
func (c *controller) renameShared(ctx context.Context, u *undo.Stack, n *network, id, from, to string) error {
	g := c.global
	if g == nil || n.record.Load().Scope != cnm.Global {
		return nil
	}
	key := sharedEndpoint(n.ID(), id)
	move := func(ctx context.Context, from, to string) error {
		return g.store.Update(ctx, func(tx cnm.Tx) error {
			if err := absent(tx, sharedEndName(n.ID(), to), errNameTaken()); err != nil {
				return err
			}
			if err := dropName(tx, key, &share{NetworkID: n.ID(), Name: from}); err != nil {
				return err
			}
			return put(tx, sharedEndName(n.ID(), to), id)
		})
	}
	if err := move(ctx, from, to); err != nil {
		return err
	}
	u.Push("take the name back on all hosts", func(ctx context.Context) error { return move(ctx, to, from) })
	return nil
}

func errNameTaken() error {
	return cnm.E("", cnm.Exists, errors.New("the network has an endpoint of that name, here or on another host; choose another or delete it"))
}

// tellTime is how long an operation waits at most for the store to hear of its end.
const tellTime = time.Second

// unshare takes endpoints that were deleted from other hosts, if the store answers; else
// that is done when it does.
func (c *controller) unshare(ctx context.Context, d detachment) {
	gone := make(map[string]*share)
	for i, ep := range d.endpoints {
		if ep.n.record.Load().Scope == cnm.Global {
			gone[sharedEndpoint(ep.n.ID(), ep.ID())] = &share{NetworkID: ep.n.ID(), Name: d.before[i].Name}
		}
	}
	if c.global == nil || len(gone) == 0 {
		return
	}
	defer c.global.poke()
	if c.global.away.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	if err := c.global.removeShares(ctx, gone); err != nil {
		c.log.Warn("take endpoints from other hosts; it is tried again", "error", err)
	}
}

// reconcileEach is how often this host's endpoints are compared with what others know of
// them, whatever happens.
const reconcileEach = 30 * time.Second

// publishShares keeps what others know of this host's endpoints true, until ctx is done.
func (c *controller) publishShares(ctx context.Context) {
	ticker := time.NewTicker(reconcileEach)
	defer ticker.Stop()
	for {
		if err := c.reconcileShares(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("tell other hosts of endpoints; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.global.wake:
		case <-ticker.C:
		}
	}
}

func (c *controller) reconcileShares(ctx context.Context) error {
	g := c.global
	there, settled := g.snapshot()
	if there == nil {
		return nil // the store has not told yet
	}
	// The wish comes behind: what was settled then has its record by now, or none any more.
	wished := c.ownShares()
	changed, gone := make(map[string]*share), make(map[string]*share)
	for _, key := range settled {
		if wished[key] == nil {
			gone[key] = there[key]
		}
	}
	for key, s := range wished {
		if there[key] == nil || !sameShare(there[key], s) {
			changed[key] = s
		}
	}
	if err := g.removeShares(ctx, gone); err != nil {
		return err
	}
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(changed)), together) {
		err := g.store.Update(ctx, func(tx cnm.Tx) error { return g.writeShares(tx, keys, changed) })
		if err != nil {
			return err
		}
	}
	return nil
}

// snapshot returns the endpoints of all hosts, and the keys of those of this host that no
// operation is about to record.
func (g *global) snapshot() (there map[string]*share, settled []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, s := range g.shares {
		if s.Node == g.node && g.claimed[key] == 0 {
			settled = append(settled, key)
		}
	}
	return maps.Clone(g.shares), settled
}

// writeShares writes endpoints of networks that are there.
func (g *global) writeShares(tx cnm.Tx, keys []string, shares map[string]*share) error {
	for _, key := range keys {
		s := shares[key]
		if _, err := tx.Get(keySharedNetwork + s.NetworkID); errors.Is(err, cnm.NotFound) {
			continue // it is being deleted here too
		} else if err != nil {
			return err
		}
		if err := put(tx, key, s); err != nil {
			return err
		}
	}
	return nil
}

func sameShare(a, b *share) bool {
	return a.Node == b.Node && a.Name == b.Name && slices.Equal(a.Names, b.Names) && slices.Equal(a.Addresses, b.Addresses)
}

// ownShares are this host's endpoints as others are to know them, by key.
func (c *controller) ownShares() map[string]*share {
	out := make(map[string]*share)
	for _, n := range c.allNetworks() {
		if n.record.Load().Scope != cnm.Global {
			continue
		}
		for _, ep := range n.allEndpoints() {
			rec, sb := ep.record.Load(), ep.sandbox()
			s := &share{Schema: cnm.SchemaVersion, Node: c.global.node, NetworkID: n.ID(), Name: rec.Name}
			if sb != nil {
				s.Names = endpointNames(rec, sb.ContainerID())
				s.Addresses = endpointAddrs(rec)
			}
			out[sharedEndpoint(n.ID(), rec.ID)] = s
		}
	}
	return out
}
