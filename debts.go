package libnetwork

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
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
}

func (t *told) key() string {
	if t.Endpoint != nil {
		return keyTold + "endpoint/" + t.Endpoint.ID
	}
	return keyTold + "network/" + t.Network.ID
}

func (t *told) subject() string {
	if t.Endpoint != nil {
		return quote("endpoint", t.Endpoint.Name) + " on " + quote("network", t.Network.Name)
	}
	return quote("network", t.Network.Name)
}

// toldDriver is a plugin's driver that notes what it tells.
type toldDriver struct {
	remoteDriver
	c *controller
}

// note commits what the plugin is about to be told.
func (d toldDriver) note(ctx context.Context, t *told) error {
	t.Schema = cnm.SchemaVersion
	var b batch
	b.put(t.key(), t)
	return d.c.commit(ctx, &b)
}

// forget commits that the plugin knows no more. One who is told twice is no trouble.
func (d toldDriver) forget(ctx context.Context, t *told) {
	var b batch
	b.delete(t.key())
	if err := d.c.commit(context.WithoutCancel(ctx), &b); err != nil {
		d.c.log.Error("forget what a plugin was told", "subject", t.subject(), "error", err)
	}
}

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

// DeleteNetwork implements cnm.Driver.
func (d toldDriver) DeleteNetwork(ctx context.Context, n *cnm.Network) error {
	t := &told{Network: *n}
	if err := d.remoteDriver.DeleteNetwork(ctx, n); err != nil {
		d.c.debts.add(t)
		return err
	}
	d.forget(ctx, t)
	return nil
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

// DeleteEndpoint implements cnm.Driver. A container can be removed whatever its plugin does:
// what that could not be told is a debt.
func (d toldDriver) DeleteEndpoint(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	t := &told{Network: *n, Endpoint: ep}
	if err := d.remoteDriver.DeleteEndpoint(ctx, n, ep); err != nil {
		d.gone(ctx, t, err)
		return nil
	}
	d.forget(ctx, t)
	return nil
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
		return parts, nil
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
			left := false
			for _, t := range c.debts.take() {
				if !c.pay(c.background.ctx, t) {
					left = true
					c.debts.keep(t)
				}
			}
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

// pay tells the plugin what it has still to hear, and reports whether that is all.
func (c *controller) pay(ctx context.Context, t *told) bool {
	d, ok := c.driverOf(&t.Network).(toldDriver)
	if !ok {
		return true // a driver of this build has the name now
	}
	stands, joined, busy := c.standing(t)
	switch {
	case busy:
		return false
	case stands && (joined || !t.Joined):
		return true
	}
	var err error
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
		return false
	}
	c.log.Info("a plugin was told of an end", "subject", t.subject(), "driver", t.Network.Driver)
	if !stands {
		d.forget(ctx, t)
		return true
	}
	t.Joined = false
	return d.note(ctx, t) == nil
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
