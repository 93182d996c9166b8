package libnetwork

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/internal/journal"
	"github.com/docker/libnetwork/internal/tally"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/portmap"
	"github.com/docker/libnetwork/resolver"
	"github.com/docker/libnetwork/types"
)

// controller is the one implementation of NetworkController.
type controller struct {
	id      string
	host    kernel.Host
	store   cnm.Store
	drivers map[string]driverEntry
	ipams   map[string]cnm.IPAM
	plugins plugins
	// node is this node's part in a cluster.
	node clusterNode
	// global is nil without a store that hosts share.
	global *global
	debts  *debts
	ports  *portmap.Mapper
	// forwarder asks name servers outside for the DNS servers of all sandboxes.
	forwarder *resolver.Forwarder
	paths     paths
	log       *slog.Logger
	// transient says that nothing goes on when the one operation is done.
	transient bool
	// announce is how often and how far apart addresses are announced, unless the
	// network says otherwise.
	announce announceSettings

	// background runs what goes on after an operation has returned.
	background background
	// events are what has happened, and tally what was done and how long it took.
	events *journal.Log[Event]
	tally  tally.Tally[cnm.Kind]
	mended atomic.Uint64
	// mendError is why the packet filter could not be mended when it was last tried; nil
	// means that it could.
	mendError atomic.Pointer[error]

	// parents is held while a network comes to a parent or leaves it.
	parents opLock

	mu sync.RWMutex // guards what follows; never held across I/O
	// config is what New was given, and ReloadConfiguration changed.
	config config.Config
	// networks and sandboxes are by id.
	networks  map[string]*network
	sandboxes map[string]*sandbox
	// names and containers hold the names and container ids in use, those of
	// operations under way too, so that two can never take the same.
	names      map[string]bool
	containers map[string]bool
	// busy counts the operations under way for each owner of parts, so that Repair
	// does not take what is being made for garbage.
	busy    map[string]int
	stopped bool
}

// New returns a controller. On a data dir that has been used before it finds what
// an earlier controller made there, repairs what differs, and removes what is dead.
func New(cfgOptions ...config.Option) (NetworkController, error) {
	cfg := config.ParseConfigOptions(cfgOptions...)
	c, err := open(context.Background(), cfg)
	if err != nil {
		return nil, published(cnm.Wrap("new controller", err))
	}
	return c, nil
}

// track notes an operation on an owner until the returned function is called.
func (c *controller) track(owner string) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy[owner]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.busy[owner]--; c.busy[owner] == 0 {
			delete(c.busy, owner)
		}
	}
}

// reserve takes a key of names or containers; false means that it is taken.
func (c *controller) reserve(set map[string]bool, key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if set[key] {
		return false
	}
	set[key] = true
	return true
}

func (c *controller) release(set map[string]bool, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(set, key)
}

// running refuses operations on a controller that was stopped.
func (c *controller) running() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.stopped {
		return cnm.E("", cnm.Unavailable, errStopped)
	}
	return nil
}

func (c *controller) ID() string { return c.id }

func (c *controller) BuiltinDrivers() []string { return slices.Sorted(maps.Keys(c.drivers)) }

func (c *controller) BuiltinIPAMDrivers() []string { return slices.Sorted(maps.Keys(c.ipams)) }

func (c *controller) Config() config.Config {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return *c.config.Clone()
}

// allNetworks returns the networks sorted by name.
func (c *controller) allNetworks() []*network {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.allNetworksLocked()
}

func (c *controller) allNetworksLocked() []*network {
	return slices.SortedFunc(maps.Values(c.networks), func(a, b *network) int {
		return cmp.Or(cmp.Compare(a.Name(), b.Name()), cmp.Compare(a.ID(), b.ID()))
	})
}

// allSandboxes returns the sandboxes sorted by container id.
func (c *controller) allSandboxes() []*sandbox {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.SortedFunc(maps.Values(c.sandboxes), func(a, b *sandbox) int {
		return cmp.Or(cmp.Compare(a.ContainerID(), b.ContainerID()), cmp.Compare(a.ID(), b.ID()))
	})
}

func (c *controller) Networks() []Network {
	all := c.allNetworks()
	out := make([]Network, len(all))
	for i, n := range all {
		out[i] = n
	}
	return out
}

func (c *controller) WalkNetworks(walker NetworkWalker) {
	for _, n := range c.allNetworks() {
		if walker(n) {
			return
		}
	}
}

func (c *controller) NetworkByName(name string) (Network, error) {
	if name == "" {
		return nil, ErrInvalidName(name)
	}
	for _, n := range c.allNetworks() {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, ErrNoSuchNetwork(name)
}

func (c *controller) NetworkByID(id string) (Network, error) {
	if id == "" {
		return nil, ErrInvalidID(id)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n, ok := c.networks[id]; ok {
		return n, nil
	}
	return nil, ErrNoSuchNetwork(id)
}

func (c *controller) Sandboxes() []Sandbox {
	all := c.allSandboxes()
	out := make([]Sandbox, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

func (c *controller) WalkSandboxes(walker SandboxWalker) {
	for _, s := range c.allSandboxes() {
		if walker(s) {
			return
		}
	}
}

func (c *controller) SandboxByID(id string) (Sandbox, error) {
	if id == "" {
		return nil, ErrInvalidID(id)
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s, ok := c.sandboxes[id]; ok {
		return s, nil
	}
	return nil, types.NotFoundErrorf("sandbox %q: not found", id)
}

func (c *controller) SandboxDestroy(containerID string) error {
	for _, s := range c.allSandboxes() {
		if s.ContainerID() == containerID {
			return s.Delete()
		}
	}
	return nil
}

// Stop waits for what goes on in the background, which it cuts short.
func (c *controller) Stop() {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	c.stopped = true
	c.mu.Unlock()
	c.background.stop()
	if err := c.plugins.registry.Close(); err != nil {
		c.log.Error("stop: close the connections to plugins", "error", err)
	}
	if err := c.commit(context.Background(), &batch{}); err != nil {
		c.log.Error("stop: write the last records", "error", err)
	}
	c.events.Close()
	c.stopServing()
	_ = c.forwarder.Close() // it is always nil
	if err := c.host.Close(); err != nil {
		c.log.Error("stop: close the kernel's sockets", "error", err)
	}
	if err := c.store.Close(); err != nil {
		c.log.Error("stop: close the store", "error", err)
	}
	if c.global != nil {
		if err := c.global.store.Close(); err != nil {
			c.log.Error("stop: close the store of the global scope", "error", err)
		}
	}
}

func (c *controller) ReloadConfiguration(cfgOptions ...config.Option) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.config
	fresh := old.Clone()
	fresh.Daemon.Labels = nil
	fresh.ProcessOptions(cfgOptions...)
	if err := fresh.Validate(); err != nil {
		return err
	}
	if fresh.Daemon.DataDir != old.Daemon.DataDir || fresh.Daemon.ExecRoot != old.Daemon.ExecRoot ||
		fresh.Daemon.HostNamespace != old.Daemon.HostNamespace {
		return types.ForbiddenErrorf("reload configuration: the data dir, the exec root and the host's namespace cannot change while running")
	}
	c.config.Daemon.Labels = fresh.Daemon.Labels
	c.config.Cluster = fresh.Cluster
	return nil
}

func (c *controller) CloseStore() error {
	if !c.transient {
		return operationError("close the store", cnm.E("", cnm.Forbidden, errors.New("the controller goes on: it was not made with OptionTransient")))
	}
	return operationError("close the store", errors.Join(c.commit(context.Background(), &batch{}), c.store.Close()))
}

// background owns the goroutines that outlive an operation.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup
}

func newBackground() background {
	ctx, cancel := context.WithCancel(context.Background())
	return background{ctx: ctx, cancel: cancel}
}

func (b *background) stop() {
	b.cancel()
	b.group.Wait()
}

// announceSettings say how often, and how far apart.
type announceSettings struct {
	count    int
	interval time.Duration
}
