package networkdb

import (
	"log/slog"
	"maps"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb/message"
)

// state is what a node knows. It sends nothing itself; NetworkDB guards it with a lock.
type state struct {
	self         string
	config       Config
	log          *slog.Logger
	nodes        map[string]*node
	networks     map[string]*network
	networkClock clock
	tableClock   clock
	watchers     map[*watcher]bool
	// announce queues an event about nodes or networks for memberlist's broadcasts. A
	// later one of the same name replaces it.
	announce func(name string, data []byte)
	// bytes is the size of all entries, attached how many attachments there are, and
	// strangers how many of nodes that are not known.
	bytes, attached, strangers int
	// refused counts events that were malformed, or beyond a bound.
	refused uint64
}

// standing is how a node stands to the cluster.
type standing int

const (
	active standing = iota
	failed          // memberlist does not reach it; it may come back as it was
	left            // it said goodbye, or another node has its address
)

func (s standing) String() string { return [...]string{"active", "failed", "left"}[s] }

// node is what is known of a node.
type node struct {
	name string
	// member is memberlist's description of it.
	member memberlist.Node
	// alive is what memberlist says, gone what the node said, at the time of its event.
	alive, gone bool
	time        uint64
	// since is when the standing last changed.
	since time.Time
	// digests tells that the node compares sums.
	digests bool
	// place is the node's in the ring.
	place uint64
}

func (n *node) standing() standing {
	switch {
	case n == nil:
		return left
	case n.gone:
		return left
	case !n.alive:
		return failed
	}
	return active
}

// network is what is known of a network.
type network struct {
	id string
	// members are the nodes that were attached, by name.
	members map[string]*attachment
	// joined tells that this node is attached; what follows is empty otherwise.
	joined   bool
	holdings map[string]*holding // by owner
	slots    map[entryID]*slot
	queue    *queue
	// synced tells that all entries have been exchanged with somebody since joining.
	synced bool
	// compared is when there was a comparison, and agreed when one last found no
	// difference, or the network was joined. differs tells that the last one did.
	compared, agreed time.Time
	differs          bool
}

// attachment is that of a node to a network.
type attachment struct {
	time    uint64
	leaving bool
	// expires is when it is forgotten that the node left, or a node that nobody knows.
	expires time.Time
	sum     uint64
}

// holding is what one node owns in a network.
type holding struct {
	entries map[entryID]*entry
	// sum is that of the sums of all entries.
	sum uint64
	// orphaned is when the owner was last found to be unattached; zero if it is not.
	orphaned time.Time
}

// slot is a key's place in a table.
type slot struct {
	// versions are those of different owners; usually there is one.
	versions map[string]*entry
	// shown is what watchers know; nil is nothing.
	shown *entry
}

func newState(c Config) *state {
	return &state{
		self: c.NodeID, config: c, log: c.Logger,
		nodes: map[string]*node{}, networks: map[string]*network{}, watchers: map[*watcher]bool{},
	}
}

// network returns the network, making it if need be.
func (s *state) network(id string) *network {
	n, ok := s.networks[id]
	if !ok {
		n = &network{id: id, members: map[string]*attachment{}}
		s.networks[id] = n
	}
	return n
}

// joined returns the network if this node has joined it, or else nil.
func (s *state) joined(id string) *network {
	if n := s.networks[id]; n != nil && n.joined {
		return n
	}
	return nil
}

// attached tells that a node is, whether it is reached or not.
func (n *network) attached(name string) bool {
	a := n.members[name]
	return a != nil && !a.leaving
}

// peers returns the active nodes besides this one that are attached.
func (s *state) peers(n *network) []*node {
	var found []*node
	for name := range n.members {
		if peer := s.nodes[name]; name != s.self && n.attached(name) && peer.standing() == active {
			found = append(found, peer)
		}
	}
	return found
}

// visible tells whether the version may be shown.
func (s *state) visible(n *network, e *entry) bool {
	return !e.deleted && n.attached(e.owner) && s.nodes[e.owner].standing() == active
}

// refresh decides what is shown for a key, and tells watchers if that is new.
func (s *state) refresh(n *network, id entryID) {
	place := n.slots[id]
	if place == nil {
		return
	}
	var best *entry
	for _, e := range place.versions {
		if !s.visible(n, e) {
			continue
		}
		if best == nil || e.time > best.time || e.time == best.time && e.owner > best.owner {
			best = e
		}
	}
	before := place.shown
	place.shown = best
	if len(place.versions) == 0 {
		delete(n.slots, id)
	}
	if !sameToReader(before, best) {
		s.tell(subject{n.id, id}, before, best)
	}
}

func (s *state) tell(about subject, from, to *entry) {
	for w := range s.watchers {
		if w.matches(about) {
			w.offer(about, from, to)
		}
	}
}

// refreshOwner decides again what is shown of a node's entries, in one network.
func (s *state) refreshOwner(n *network, owner string) {
	if h := n.holdings[owner]; h != nil {
		for id := range h.entries {
			s.refresh(n, id)
		}
	}
}

// put stores a version in place of an older one.
func (s *state) put(n *network, e *entry) {
	h := n.holdings[e.owner]
	if h == nil {
		h = &holding{entries: map[entryID]*entry{}}
		n.holdings[e.owner] = h
	}
	if old := h.entries[e.entryID]; old != nil {
		h.sum -= old.sum
		s.bytes -= old.size()
	}
	h.entries[e.entryID] = e
	h.sum += e.sum
	s.bytes += e.size()
	place := n.slots[e.entryID]
	if place == nil {
		place = &slot{versions: map[string]*entry{}}
		n.slots[e.entryID] = place
	}
	place.versions[e.owner] = e
	s.refresh(n, e.entryID)
}

// drop forgets a version.
func (s *state) drop(n *network, e *entry) {
	h := n.holdings[e.owner]
	delete(h.entries, e.entryID)
	h.sum -= e.sum
	s.bytes -= e.size()
	if len(h.entries) == 0 {
		delete(n.holdings, e.owner)
	}
	if place := n.slots[e.entryID]; place != nil {
		delete(place.versions, e.owner)
	}
	s.refresh(n, e.entryID)
}

// dropOwner forgets all that a node owns in a network.
func (s *state) dropOwner(n *network, owner string) {
	if h := n.holdings[owner]; h != nil {
		for e := range maps.Values(maps.Clone(h.entries)) {
			s.drop(n, e)
		}
	}
}

// tidy forgets a network that nobody is attached to.
func (s *state) tidy(n *network) {
	if !n.joined && len(n.members) == 0 {
		delete(s.networks, n.id)
	}
}

// enqueue puts an entry in line to be told to others. Own ones come first; what was
// found in a comparison is probably known to most, and needs a few tellings only.
func (s *state) enqueue(n *network, e *entry, action message.Action, level int, now time.Time) {
	n.queue.add(&queued{
		entryID: e.entryID, owner: e.owner, time: e.time, level: level,
		data: e.event(n.id, action, now).Encode(),
	}, e.owner == s.self)
}
