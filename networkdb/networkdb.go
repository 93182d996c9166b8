package networkdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb/message"
)

// NetworkDB is one node's database. It is safe for concurrent use.
type NetworkDB struct {
	config    Config
	log       *slog.Logger
	transport *meter
	members   *memberlist.Memberlist
	out       sender // members
	// broadcasts are events about nodes and networks.
	broadcasts *memberlist.TransmitLimitedQueue
	active     atomic.Int64
	counters   counters
	// ready is set when members is: memberlist may have messages for us before that.
	ready atomic.Bool

	ringMu sync.Mutex // orders changes of the ring
	ring   *memberlist.Keyring

	ctx      context.Context // the life of the goroutines
	stop     context.CancelFunc
	running  sync.WaitGroup
	news     chan struct{} // of capacity one: there is something to tell
	work     chan func(context.Context)
	returned callList

	mu        sync.Mutex // guards what follows
	state     *state
	closed    bool
	bootstrap []string // addresses given to Join
	awaited   map[string][]chan struct{}
	answers   allowance
	exchanged time.Time // when the nodes of the cluster were last found to differ
}

// sender sends a message to a node, by a packet or by a stream.
type sender interface {
	SendBestEffort(to *memberlist.Node, data []byte) error
	SendReliable(to *memberlist.Node, data []byte) error
}

// counters count what went wrong, and steps of conversations.
type counters struct {
	unsent, dropped atomic.Uint64
	// errors are those that memberlist wrote of, and lastError is the last of them.
	errors    atomic.Uint64
	lastError atomic.Pointer[string]
	steps     [message.Agreed + 1]atomic.Uint64
}

var (
	errClosed    = errors.New("the database is closed")
	errBusy      = errors.New("too much to do: try again")
	errNotJoined = errors.New("this node has not joined the network: join it first")
)

const (
	// workers send what needs a stream, and queueLength things may wait for them.
	workers     = 4
	queueLength = 256
	// handoff is how many messages memberlist lets wait for being handled.
	handoff = 4096
)

// New starts a node that is alone, and is found at its address from now on. It runs until
// Close.
func New(config Config) (*NetworkDB, error) {
	const op = "start network database"
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, cnm.E(op, cnm.Invalid, err)
	}
	d := &NetworkDB{
		config: config, log: config.Logger, state: newState(config),
		news: make(chan struct{}, 1), work: make(chan func(context.Context), queueLength),
		returned: callList{wake: make(chan struct{}, 1)},
		awaited:  map[string][]chan struct{}{}, answers: allowance{perSecond: answersPerSecond},
		transport: &meter{},
	}
	d.broadcasts = &memberlist.TransmitLimitedQueue{
		RetransmitMult: retransmitFactor,
		NumNodes:       func() int { return int(d.active.Load()) },
	}
	d.state.announce = func(name string, data []byte) { d.broadcasts.QueueBroadcast(&broadcast{name, data}) }
	if err := d.start(); err != nil {
		return nil, cnm.E(op, cnm.Unavailable, err)
	}
	return d, nil
}

func (d *NetworkDB) start() (err error) {
	c := d.memberConfig()
	if len(d.config.Keys) > 0 {
		if d.ring, err = memberlist.NewKeyring(d.config.Keys[1:], d.config.Keys[0]); err != nil {
			return err
		}
		c.Keyring = d.ring
	}
	d.transport.Transport = d.config.Transport
	if d.config.Transport == nil {
		if d.transport.Transport, err = listen(d.config.BindAddr, d.config.BindPort); err != nil {
			return err
		}
		d.transport.dial = d.config.Dial
	}
	c.Transport = d.transport
	if d.members, err = memberlist.Create(c); err != nil {
		return errors.Join(err, d.transport.Shutdown())
	}
	d.out = d.members
	d.ready.Store(true)
	d.ctx, d.stop = context.WithCancel(context.Background())
	for _, loop := range []func(context.Context){d.gossip, d.compare, d.bulkSync, d.lookForOthers, d.reap} {
		d.running.Go(func() { loop(d.ctx) })
	}
	for range workers {
		d.running.Go(func() { d.doWork(d.ctx) })
	}
	return nil
}

func (d *NetworkDB) memberConfig() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = d.config.NodeID
	c.BindAddr, c.BindPort = d.config.BindAddr, d.config.BindPort
	c.AdvertiseAddr, c.AdvertisePort = d.config.AdvertiseAddr, d.config.AdvertisePort
	c.UDPBufferSize = d.config.PacketBufferSize
	c.GossipInterval, c.ProbeInterval = d.config.GossipInterval, d.config.ProbeInterval
	c.ProbeTimeout = min(c.ProbeTimeout, d.config.ProbeInterval/2)
	c.PushPullInterval = d.config.PushPullInterval
	c.HandoffQueueDepth = handoff
	// Names and values hardly get smaller, and compression takes more time than all the
	// rest together. What others compressed is understood.
	c.EnableCompression = false
	// A node that failed may come back under another address.
	c.DeadNodeReclaimTime = 10 * time.Second
	c.Logger = log.New(logLines{d}, "", 0)
	g := delegate{d}
	c.Delegate, c.Events = g, g
	return c
}

// submit leaves work to a worker. It returns false, without waiting, if too much waits
// already.
func (d *NetworkDB) submit(fn func(context.Context)) bool {
	select {
	case d.work <- fn:
		return true
	default:
		d.counters.dropped.Add(1)
		return false
	}
}

func (d *NetworkDB) doWork(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case fn := <-d.work:
			fn(ctx)
		}
	}
}

func (d *NetworkDB) reap(ctx context.Context) {
	ticker := time.NewTicker(d.config.ReapInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			d.mu.Lock()
			d.state.reap(now)
			d.mu.Unlock()
		}
	}
}

// Close leaves the cluster and ends everything, watchers included. To others this node's
// entries are gone.
func (d *NetworkDB) Close() {
	// leaveTimeout is how long the goodbye may take to get out.
	const leaveTimeout = time.Second
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		d.running.Wait()
		return
	}
	d.closed = true
	d.state.announceNode(message.Leave)
	d.mu.Unlock()
	if err := d.members.Leave(leaveTimeout); err != nil {
		d.log.Debug("leave cluster", "error", err)
	}
	d.shutdown()
}

// shutdown ends everything, without a word to others.
func (d *NetworkDB) shutdown() {
	d.stop()
	if err := d.members.Shutdown(); err != nil {
		d.log.Debug("shut down", "error", err)
	}
	d.running.Wait()
}

// NodeID returns the name of this node.
func (d *NetworkDB) NodeID() string { return d.config.NodeID }

// JoinNetwork attaches this node to a network, and gets the entries of those that are
// attached already. It waits for them for some seconds at most, and no longer than the
// context lasts. That nobody answers is no error: the entries come later, then. Joining
// again does nothing.
func (d *NetworkDB) JoinNetwork(ctx context.Context, network string) error {
	op := fmt.Sprintf("join network %q", network)
	if err := checkName("network", network, MaxNameLength); err != nil {
		return cnm.E(op, cnm.Invalid, err)
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return cnm.E(op, cnm.Forbidden, errClosed)
	}
	if d.state.joined(network) != nil {
		d.mu.Unlock()
		return nil
	}
	if !d.state.room(false) {
		d.mu.Unlock()
		return cnm.E(op, cnm.Exhausted, errors.New("there are too many networks"))
	}
	n := d.state.network(network)
	n.joined, n.synced, n.differs = true, false, false
	n.agreed, n.compared = time.Now(), time.Time{}
	n.holdings, n.slots, n.queue = map[string]*holding{}, map[entryID]*slot{}, newQueue()
	d.state.attach(n, message.Join)
	d.mu.Unlock()
	if err := d.syncNetwork(ctx, network); err != nil {
		d.log.Debug("network joined without its entries", "network", network, "error", err)
	}
	return nil
}

// LeaveNetwork detaches this node from a network and forgets all its entries; others
// forget this node's.
func (d *NetworkDB) LeaveNetwork(network string) error {
	op := fmt.Sprintf("leave network %q", network)
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.state.joined(network)
	if n == nil {
		return cnm.E(op, cnm.NotFound, errNotJoined)
	}
	d.state.attach(n, message.Leave)
	for owner := range n.holdings {
		d.state.dropOwner(n, owner)
	}
	n.joined = false
	n.holdings, n.slots, n.queue = nil, nil, nil
	return nil
}

// Peers returns the active nodes that are attached to a network, this one included, by
// name.
func (d *NetworkDB) Peers(network string) []PeerInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	var peers []PeerInfo
	if n := d.state.networks[network]; n != nil {
		for name := range n.members {
			if peer := d.state.nodes[name]; n.attached(name) && peer.standing() == active {
				peers = append(peers, peer.info())
			}
		}
	}
	return sorted(peers)
}

// ClusterPeers returns the active nodes of the cluster, this one included, by name.
func (d *NetworkDB) ClusterPeers() []PeerInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	var peers []PeerInfo
	for _, n := range d.state.nodes {
		if n.standing() == active {
			peers = append(peers, n.info())
		}
	}
	return sorted(peers)
}

func (n *node) info() PeerInfo { return PeerInfo{Name: n.name, IP: n.member.Addr.String()} }

func sorted(peers []PeerInfo) []PeerInfo {
	slices.SortFunc(peers, func(a, b PeerInfo) int { return cmp.Compare(a.Name, b.Name) })
	return peers
}
