//go:build !localstores

package libnetwork

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/docker/libnetwork/cluster"
	"github.com/docker/libnetwork/cluster/agent"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/types"
)

// clusterNode is this node's part in the cluster of a provider. What is to be is compared
// with what is, whenever one of both may have changed.
type clusterNode struct {
	// wake has room for one.
	wake chan struct{}
	// follow is held by the goroutine that compares, of which there is one at most.
	follow sync.Once

	mu sync.Mutex // guards what follows
	// provider is nil without a cluster. listening ends the listening to it.
	provider  cluster.Provider
	listening context.CancelFunc
	// keys are those of gossip, the primary one first.
	keys [][]byte
	// agent is nil while the node takes no part. joined is where it was told to go.
	agent  *agent.Agent
	joined string
	// started is closed when the node takes part, and made anew when it does so no more.
	started chan struct{}
	// attached are the networks that others know this node to have.
	attached map[string]bool
}

func newClusterNode() clusterNode {
	return clusterNode{
		wake: make(chan struct{}, 1), listening: func() {}, started: make(chan struct{}), attached: make(map[string]bool),
	}
}

func (n *clusterNode) poke() {
	select {
	case n.wake <- struct{}{}:
	default: // it will be done
	}
}

func (n *clusterNode) clustered() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.provider != nil
}

// current returns the agent, or nil.
func (n *clusterNode) current() *agent.Agent {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.agent
}

// endpoints returns those of other nodes on a network, by id.
func (n *clusterNode) endpoints(networkID string) map[string]named {
	a := n.current()
	if a == nil {
		return nil
	}
	out := make(map[string]named)
	for id, e := range a.Endpoints(networkID) {
		if !e.IP.IsValid() {
			continue
		}
		other := named{names: e.TaskAliases, addresses: []netip.Addr{e.IP}}
		if e.Name != "" {
			other.names = append([]string{e.Name}, e.TaskAliases...)
		}
		out[id] = other
	}
	return out
}

func (n *clusterNode) peers(networkID string) []cnm.Peer {
	if a := n.current(); a != nil {
		return a.Peers(networkID)
	}
	return nil
}

func (c *controller) SetClusterProvider(provider cluster.Provider) {
	n := &c.node
	ctx, cancel := context.WithCancel(c.background.ctx)
	n.mu.Lock()
	n.listening()
	n.provider, n.listening, n.joined = provider, cancel, ""
	n.mu.Unlock()
	if provider == nil {
		n.poke()
		return
	}
	n.follow.Do(func() { c.background.group.Go(c.followCluster) })
	c.background.group.Go(func() {
		changes := provider.ListenClusterEvents()
		n.poke()
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-changes:
				if !ok {
					return
				}
				n.poke()
			}
		}
	})
}

func (c *controller) AgentInitWait() {
	n := &c.node
	n.mu.Lock()
	provider, started := n.provider, n.started
	n.mu.Unlock()
	if provider == nil {
		return
	}
	select {
	case <-started:
	case <-c.background.ctx.Done():
	}
}

func (c *controller) SetKeys(keys []*types.EncryptionKey) error {
	gossip, err := gossipKeys(keys)
	if err != nil {
		return operationError("set keys", err)
	}
	n := &c.node
	n.mu.Lock()
	n.keys = gossip
	running := n.agent
	n.mu.Unlock()
	n.poke()
	if running == nil {
		return nil
	}
	if err := running.Rotate(gossip); err != nil && !errors.Is(err, cnm.Forbidden) {
		return operationError("set keys", err)
	} else if err != nil { // encryption begins, or ends: by another agent
		c.stopAgent()
	}
	return nil
}

// What keys of a cluster are for: the traffic of the gossip database, and that of the
// networks themselves.
const (
	subsystemGossip = "networking:gossip"
	subsystemIPSec  = "networking:ipsec"
)

func gossipKeys(keys []*types.EncryptionKey) ([][]byte, error) {
	var gossip []agent.Key
	for _, key := range keys {
		switch {
		case key == nil:
			return nil, invalid("keys: one is missing")
		case key.Subsystem == subsystemGossip:
			gossip = append(gossip, agent.Key{Time: key.LamportTime, Secret: key.Key})
		case key.Subsystem != subsystemIPSec:
			return nil, invalid("key of subsystem %q: want %q or %q", key.Subsystem, subsystemGossip, subsystemIPSec)
		}
	}
	return agent.Ring(gossip)
}

// clusterEach is how often what is to be is compared with what is, whatever happens.
const clusterEach = 5 * time.Second

// followCluster compares until the controller stops.
func (c *controller) followCluster() {
	ticker := time.NewTicker(clusterEach)
	defer ticker.Stop()
	defer c.stopAgent()
	var told string
	for {
		err := c.matchCluster(c.background.ctx)
		if text := fmt.Sprint(err); err != nil && text != told && c.background.ctx.Err() == nil {
			c.log.Error("take part in the cluster; it is tried again", "error", err)
			told = text
		} else if err == nil {
			told = ""
		}
		select {
		case <-c.background.ctx.Done():
			return
		case <-c.node.wake:
		case <-ticker.C:
		}
	}
}

func (c *controller) matchCluster(ctx context.Context) error {
	n := &c.node
	n.mu.Lock()
	provider, running := n.provider, n.agent
	n.mu.Unlock()
	if provider == nil || !provider.IsAgent() && !provider.IsManager() {
		c.stopAgent()
		return nil
	}
	if running == nil {
		var err error
		if running, err = c.startAgent(provider); err != nil {
			return err
		}
	}
	return errors.Join(c.joinCluster(ctx, provider, running), c.tellCluster(ctx, running))
}

// startAgent begins to take part. Sockets are those of the host, whose namespace may be
// another than the process's.
func (c *controller) startAgent(provider cluster.Provider) (started *agent.Agent, err error) {
	n := &c.node
	n.mu.Lock()
	keys := n.keys
	n.mu.Unlock()
	options := agent.Options{
		Node: c.id, Listen: withoutPort(provider.GetListenAddress()), Advertise: withoutPort(provider.GetAdvertiseAddress()), Keys: keys,
		Changed: c.othersChanged, Dial: c.host.Ports().Dial, Log: c.log,
	}
	err = c.host.Ports().Do(func() error {
		started, err = agent.Start(options)
		return err
	})
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agent, n.joined = started, ""
	clear(n.attached)
	close(n.started)
	return started, nil
}

// withoutPort leaves away the port, which is that of the cluster's manager: gossip has one
// of its own.
func withoutPort(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

func (c *controller) stopAgent() {
	n := &c.node
	n.mu.Lock()
	running := n.agent
	if running != nil {
		n.agent, n.started = nil, make(chan struct{})
	}
	n.mu.Unlock()
	if running != nil {
		running.Close()
		c.namesChanged()
	}
}

// joinCluster goes where the provider says, once for each place: the database remembers.
func (c *controller) joinCluster(ctx context.Context, provider cluster.Provider, running *agent.Agent) error {
	remote := withoutPort(provider.GetRemoteAddress())
	n := &c.node
	n.mu.Lock()
	before := n.joined
	n.mu.Unlock()
	if remote == "" || remote == before {
		return nil
	}
	if err := running.Join(ctx, []string{remote}); err != nil {
		return err
	}
	n.mu.Lock()
	n.joined = remote
	n.mu.Unlock()
	return nil
}

// tellCluster attaches this node to its networks, and tells of the endpoints on them.
func (c *controller) tellCluster(ctx context.Context, running *agent.Agent) error {
	n := &c.node
	own := make(map[string]bool)
	var errs []error
	for _, network := range c.allNetworks() {
		if network.record.Load().Scope != cnm.Global {
			continue
		}
		id := network.ID()
		own[id] = true
		if !n.attached[id] {
			if err := running.Attach(ctx, id); err != nil {
				errs = append(errs, err)
				continue
			}
			n.attached[id] = true
		}
		errs = append(errs, running.Tell(id, network.clusterEndpoints()))
	}
	for id := range n.attached {
		if !own[id] {
			errs = append(errs, running.Detach(id))
			delete(n.attached, id)
		}
	}
	return errors.Join(errs...)
}

// clusterEndpoints are this node's endpoints in sandboxes, as others are to know them.
func (n *network) clusterEndpoints() map[string]agent.Endpoint {
	out := make(map[string]agent.Endpoint)
	for _, ep := range n.allEndpoints() {
		rec, sb := ep.record.Load(), ep.sandbox()
		addresses := endpointAddrs(rec)
		if sb == nil || len(addresses) == 0 {
			continue
		}
		told := agent.Endpoint{IP: addresses[0], TaskAliases: endpointNames(rec, sb.ContainerID())}
		if !rec.Anonymous {
			told.Name, told.TaskAliases = rec.Name, told.TaskAliases[1:]
		}
		out[rec.ID] = told
	}
	return out
}

// othersChanged takes note that other nodes' endpoints on a network have changed.
func (c *controller) othersChanged(networkID string) {
	c.mu.RLock()
	n := c.networks[networkID]
	c.mu.RUnlock()
	if n != nil {
		n.names.version.Add(1)
	}
}

func (c *controller) namesChanged() {
	for _, n := range c.allNetworks() {
		n.names.version.Add(1)
	}
}
