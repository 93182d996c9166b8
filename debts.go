package libnetwork

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// A plugin is told of networks and endpoints in other processes' time: it may be away when
// we have something to say, or one of us may be killed before the other has heard. So what
// a plugin has been told of is noted before it is told, and the note goes when the plugin
// has been told of the end. A note of what has no record of ours any more is a debt, which
// is paid in the background as soon as the plugin can be reached.

// keyTold starts the keys of notes.
const keyTold = "told/"

// told is what a plugin knows, or may know.
type told struct {
	Schema int `json:"schema"`
	// Network is as the plugin was told.
	Network cnm.Network `json:"network"`
	// Endpoint is nil if it is the network that the plugin knows.
	Endpoint *cnm.Endpoint `json:"endpoint,omitempty"`
	// Joined says that it was told of the endpoint's joining.
	Joined bool `json:"joined,omitempty"`
	// Ending says that it was told of the network's end, and has maybe done it.
	Ending bool `json:"ending,omitempty"`
	// Release, if it is not nil, is all: what an address manager could not be told.
	Release *release `json:"release,omitempty"`
}

// release is an address, or the pool itself, that a plugin's address manager gets back.
type release struct {
	IPAM string `json:"ipam"`
	Pool string `json:"pool"`
	// Address zero means the pool.
	Address netip.Addr `json:"address,omitzero"`
}

func (t *told) key() string {
	switch {
	case t.Release != nil && !t.Release.Address.IsValid():
		return keyTold + "pool/" + t.Release.IPAM + "/" + t.Release.Pool
	case t.Release != nil:
		return keyTold + "address/" + t.Release.IPAM + "/" + t.Release.Pool + "/" + t.Release.Address.String()
	case t.Endpoint != nil:
		return keyTold + "endpoint/" + t.Endpoint.ID
	}
	return keyTold + "network/" + t.Network.ID
}

func (t *told) subject() string {
	if t.Release != nil && !t.Release.Address.IsValid() {
		return fmt.Sprintf("pool %q of address manager %q", t.Release.Pool, t.Release.IPAM)
	}
	if t.Release != nil {
		return fmt.Sprintf("address %s of pool %q of address manager %q", t.Release.Address, t.Release.Pool, t.Release.IPAM)
	}
	if t.Endpoint != nil {
		return quote("endpoint", t.Endpoint.Name) + " on " + quote("network", t.Network.Name)
	}
	return quote("network", t.Network.Name)
}

// note commits what the plugin is about to be told.
func (c *controller) note(ctx context.Context, t *told) error {
	var b batch
	b.putTold(t)
	return c.commit(ctx, &b)
}

func (b *batch) putTold(t *told) {
	t.Schema = cnm.SchemaVersion
	b.put(t.key(), t)
}

// forget commits that the plugin knows no more. One who is told twice is no trouble.
func (c *controller) forget(ctx context.Context, t *told) {
	var b batch
	b.delete(t.key())
	if err := c.commit(context.WithoutCancel(ctx), &b); err != nil {
		c.log.Error("forget what a plugin was told", "subject", t.subject(), "error", err)
	}
}

// debts are what plugins have still to be told. A goroutine pays them.
type debts struct {
	mu   sync.Mutex // guards what follows
	open map[string]*told
	// wake has room for one: whoever adds says so.
	wake chan struct{}
}

func newDebts() *debts { return &debts{open: make(map[string]*told), wake: make(chan struct{}, 1)} }

func (d *debts) add(t *told) {
	d.keep(t)
	select {
	case d.wake <- struct{}{}:
	default: // it is awake
	}
}

// keep adds what could not be paid, and lets it wait.
func (d *debts) keep(t *told) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, newer := d.open[t.key()]; !newer {
		d.open[t.key()] = t
	}
}

// drop forgets a debt: there is none any more.
func (d *debts) drop(t *told) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, t.key())
}

// take returns the debts, endpoints before networks, and forgets them.
func (d *debts) take() []*told {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*told
	for _, key := range slices.Sorted(maps.Keys(d.open)) {
		out = append(out, d.open[key])
	}
	clear(d.open)
	return out
}

// How long to wait before a plugin that could not be reached is tried again: longer each
// time.
const (
	firstPayment = time.Second
	lastPayment  = time.Minute
)

// untilDone does something in the background until it succeeds or the controller stops.
func (c *controller) untilDone(ctx context.Context, what string, do func(context.Context) error) {
	for wait := firstPayment; ; wait = min(2*wait, lastPayment) {
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		c.log.Warn(what+"; it is tried again", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// loadDebts takes all notes for debts: those of what has a record turn out to be none.
func (c *controller) loadDebts(ctx context.Context) error {
	return c.store.View(ctx, func(tx cnm.Tx) error {
		entries, err := tx.List(keyTold)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			t := new(told)
			if err := json.Unmarshal(entry.Value, t); err != nil {
				return cnm.E("", cnm.Internal, fmt.Errorf("record %q: %w", entry.Key, err))
			}
			if err := checkSchema(entry.Key, t.Schema); err != nil {
				return err
			}
			c.debts.add(t)
		}
		return nil
	})
}

// payDebts starts to pay what plugins have still to be told, until the controller stops.
func (c *controller) payDebts() {
	c.background.group.Go(func() {
		wait := firstPayment
		for {
			left := c.payOnce()
			var again <-chan time.Time
			if wait = min(2*wait, lastPayment); !left {
				wait = firstPayment
			} else {
				again = time.After(wait)
			}
			select {
			case <-c.background.ctx.Done():
				return
			case <-again:
			case <-c.debts.wake:
			}
		}
	})
}

// payOnce tries each debt, and reports whether one is left. A plugin that cannot be reached
// is tried once: the debts to others do not wait for each of its own.
func (c *controller) payOnce() (left bool) {
	away := make(map[string]bool)
	for _, t := range c.debts.take() {
		if !away[t.creditor()] {
			err := c.pay(c.background.ctx, t)
			if err == nil {
				continue
			}
			away[t.creditor()] = isAway(err)
		}
		left = true
		c.debts.keep(t)
	}
	return left
}

// isAway reports whether there was no answer.
func isAway(err error) bool { return errors.Is(err, cnm.Unavailable) || errors.Is(err, cnm.Timeout) }

// creditor names the plugin that is to be told.
func (t *told) creditor() string {
	if t.Release != nil {
		return t.Release.IPAM
	}
	return t.Network.Driver
}

// pay tells the plugin what it has still to hear. Nil is for all.
func (c *controller) pay(ctx context.Context, t *told) error {
	if t.Release != nil {
		return c.payRelease(ctx, t)
	}
	d, ok := c.driverOf(&t.Network).(toldDriver)
	if !ok {
		return nil // a driver of this build has the name now
	}
	// An endpoint that stands must not join while its leaving is told.
	release, err := c.lockStanding(ctx, t)
	if err != nil {
		return err
	}
	defer release()
	// Whoever held the lock may have told the plugin meanwhile: the note says.
	if t, err = c.noted(ctx, t); t == nil {
		return err
	}
	stands, joined, busy := c.standing(t)
	switch {
	case busy:
		return cnm.E("", cnm.Conflict, errors.New("an operation is under way"))
	case stands && (joined || !t.Joined):
		return nil
	}
	if t.Joined && !joined {
		err = d.remoteDriver.Leave(ctx, &t.Network, t.Endpoint)
	}
	if err == nil || refused(err) {
		switch {
		case t.Endpoint == nil:
			err = d.remoteDriver.DeleteNetwork(ctx, &t.Network)
		case !stands:
			err = d.remoteDriver.DeleteEndpoint(ctx, &t.Network, t.Endpoint)
		}
	}
	if err != nil && !refused(err) {
		c.log.Debug("a plugin cannot be told; it is tried again", "subject", t.subject(), "driver", t.Network.Driver, "error", err)
		return err
	}
	c.log.Info("a plugin was told of an end", "subject", t.subject(), "driver", t.Network.Driver)
	if !stands {
		d.forget(ctx, t)
		return nil
	}
	t.Joined = false
	return d.note(ctx, t)
}

// away is an error if the network's addresses are in a store that does not answer: nobody
// needs to wait for that.
func (c *controller) away(network *cnm.Network) error {
	if network.Scope == cnm.Global && c.global != nil && c.global.away.Load() && c.ipams[network.IPAM.Driver] != nil {
		return cnm.E("", cnm.Unavailable, errors.New("the store of the global scope does not answer"))
	}
	return nil
}

// released sees to it that an address manager gets back what it could not be told of, and
// reports whether it will.
func (c *controller) released(ctx context.Context, r release, err error) bool {
	if !isAway(err) {
		return false
	}
	t := &told{Release: &r}
	if err := c.note(ctx, t); err != nil {
		return false
	}
	c.debts.add(t)
	return true
}

func (c *controller) payRelease(ctx context.Context, t *told) error {
	r := t.Release
	ipam, err := c.ipam(r.IPAM)
	switch {
	case err != nil || c.inUse(r):
	case r.Address.IsValid():
		err = ipam.ReleaseAddress(ctx, r.Pool, r.Address)
	default:
		err = ipam.ReleasePool(ctx, r.Pool)
	}
	if err != nil && isAway(err) {
		return err
	}
	if err != nil {
		c.log.Error("an address manager does not take back; it is not asked again", "subject", t.subject(), "error", err)
	}
	c.forget(ctx, t)
	return nil
}

// inUse reports whether somebody here has an address, or a pool, that was to be released: it
// was granted again.
func (c *controller) inUse(r *release) bool {
	for _, n := range c.allNetworks() {
		rec := n.record.Load()
		if rec.IPAM.Driver != r.IPAM {
			continue // pools of others may be called the same
		}
		for _, s := range append(slices.Clone(rec.Subnets4), rec.Subnets6...) {
			if s.Pool.ID == r.Pool && (!r.Address.IsValid() || slices.Contains(reserved(s), r.Address)) {
				return true
			}
		}
		for _, ep := range n.allEndpoints() {
			own := ep.record.Load()
			if own.Pool4 == r.Pool && own.IPv4.Addr() == r.Address || own.Pool6 == r.Pool && own.IPv6.Addr() == r.Address {
				return true
			}
		}
	}
	return false
}

// noted returns the note as it stands, or nil if the plugin knows no more.
func (c *controller) noted(ctx context.Context, t *told) (*told, error) {
	fresh := new(told)
	err := c.store.View(ctx, func(tx cnm.Tx) error {
		value, err := tx.Get(t.key())
		if err != nil {
			return err
		}
		return json.Unmarshal(value, fresh)
	})
	if errors.Is(err, cnm.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return fresh, nil
}

// lockStanding locks the endpoint that a plugin was told of, if it has a record.
func (c *controller) lockStanding(ctx context.Context, t *told) (release func(), err error) {
	if t.Endpoint == nil {
		return func() {}, nil
	}
	c.mu.RLock()
	var ep *endpoint
	if n := c.networks[t.Network.ID]; n != nil {
		ep = n.endpoints[t.Endpoint.ID]
	}
	c.mu.RUnlock()
	if ep == nil {
		return func() {}, nil
	}
	return ep.lock.acquire(ctx, ep.subject())
}

// standing reports whether what a plugin was told of has a record, is in a sandbox, and
// has an operation under way.
func (c *controller) standing(t *told) (stands, joined, busy bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.networks[t.Network.ID]
	if t.Endpoint == nil {
		return n != nil, false, c.busy[t.Network.Owner()] > 0
	}
	busy = c.busy[t.Endpoint.Owner()] > 0
	if n == nil || n.endpoints[t.Endpoint.ID] == nil {
		return false, false, busy
	}
	return true, n.endpoints[t.Endpoint.ID].record.Load().SandboxID != "", busy
}
