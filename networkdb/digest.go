package networkdb

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/docker/libnetwork/networkdb/message"
)

// Bounds of one conversation. What is beyond them is for the next one.
const (
	maxSummaries   = 1 << 16
	maxRepairBytes = 1 << 20
	// exchangePause is how often, at most, the nodes of the cluster are exchanged with
	// another one because they differ. They do for some seconds whenever a node fails.
	exchangePause = 2 * time.Second
	// offerPackets bounds what begins a conversation; a packet has sums of 15 networks or
	// more.
	offerPackets = 8
	// answersPerSecond bounds how many such packets a node answers.
	answersPerSecond = 50
)

// tableSum is the sum over what active, attached nodes own in the network.
func (s *state) tableSum(n *network) (sum uint64) {
	for owner, h := range n.holdings {
		if s.compared(n, owner) {
			sum += h.sum
		}
	}
	return sum
}

// compared tells whether the entries of a node are. Those of nodes that failed are not:
// nobody can say which are right, and they are forgotten at different times.
func (s *state) compared(n *network, owner string) bool {
	return n.attached(owner) && s.nodes[owner].standing() == active
}

// offer begins a conversation with a node, or with a random one if there is no name.
func (s *state) offer(name string) (out []sending) {
	peer := s.nodes[name]
	if name == "" {
		peer = s.randomComparer()
	}
	if peer == nil || peer.standing() != active || !peer.digests || peer.name == s.self {
		return nil
	}
	var shared []*network
	for _, n := range s.networks { // in random order: those left out come another time
		if n.joined && n.attached(peer.name) {
			shared = append(shared, n)
		}
	}
	members, attachments := s.memberSum(), s.attachmentSum()
	for len(out) == 0 || len(shared) > 0 && len(out) < offerPackets {
		d := &message.Digest{Step: message.Offer, Node: s.self, Members: members, Attachments: attachments}
		for size := 64 + len(s.self); len(shared) > 0; shared = shared[1:] {
			n := shared[0]
			if size += len(n.id) + 24; size > s.config.packet() && len(d.Networks) > 0 {
				break
			}
			d.Networks = append(d.Networks, message.NetworkDigest{Network: n.id, Sum: s.tableSum(n)})
			d.Confirm = d.Confirm || n.differs
		}
		out = append(out, s.sendFitting(peer, message.Compound{Digest: d}.Encode()))
	}
	return out
}

// randomComparer returns a random node that compares sums, one with a network of ours if
// there is any.
func (s *state) randomComparer() *node {
	var any, sharing []*node
	for _, p := range s.nodes {
		if p.name != s.self && p.digests && p.standing() == active {
			any = append(any, p)
		}
	}
	for _, n := range s.networks {
		if n.joined {
			for _, p := range s.peers(n) {
				if p.digests {
					sharing = append(sharing, p)
				}
			}
		}
	}
	if len(sharing) > 0 {
		any = sharing
	}
	if len(any) == 0 {
		return nil
	}
	return any[rand.IntN(len(any))]
}

// digest handles a step of a conversation and returns the next one.
func (s *state) digest(d *message.Digest, now time.Time) []sending {
	peer := s.nodes[d.Node]
	if peer.standing() != active || d.Node == s.self {
		return nil
	}
	var out []sending
	if d.SendAttachments {
		out = append(out, s.sendFitting(peer, s.attachments().Encode()))
	}
	answer := &message.Digest{Step: d.Step + 1, Node: s.self}
	equal := &message.Digest{Step: message.Agreed, Node: s.self}
	var events [][]byte
	if d.Step == message.Offer && d.Attachments != s.attachmentSum() {
		answer.SendAttachments = true
		out = append(out, s.sendFitting(peer, s.attachments().Encode()))
	}
	for i := range d.Networks {
		n := s.joined(d.Networks[i].Network)
		if n == nil {
			continue
		}
		var next *message.NetworkDigest
		switch d.Step {
		case message.Offer:
			if next = s.answerOffer(n, &d.Networks[i], now); next == nil && d.Confirm {
				equal.Networks = append(equal.Networks, message.NetworkDigest{Network: n.id})
			}
		case message.Owners:
			n.compared, n.differs = now, true
			next = s.answerOwners(n, &d.Networks[i])
		case message.Entries:
			var more [][]byte
			next, more = s.answerEntries(n, &d.Networks[i], now)
			events = append(events, more...)
		case message.Want:
			events = append(events, s.answerWant(n, &d.Networks[i], now)...)
		case message.Agreed:
			n.compared, n.agreed, n.differs = now, now, false
		}
		if next != nil {
			answer.Networks = append(answer.Networks, *next)
		}
	}
	out = append(out, s.repairs(peer, events)...)
	if len(equal.Networks) > 0 {
		out = append(out, s.sendFitting(peer, message.Compound{Digest: equal}.Encode()))
	}
	if len(answer.Networks) > 0 || answer.SendAttachments {
		out = append(out, s.sendFitting(peer, message.Compound{Digest: answer}.Encode()))
	}
	return out
}

// repairs packs events for a node, by packets if they are few.
func (s *state) repairs(peer *node, events [][]byte) []sending {
	size := 0
	for i, e := range events {
		if size += len(e) + message.CompoundOverhead; size > maxRepairBytes && i > 0 {
			events = events[:i]
			break
		}
	}
	// The digest, empty but for the sender, tells that these are no news to all.
	mark := &message.Digest{Node: s.self}
	if len(events) > 0 && size > roundPackets*s.config.packet() {
		return []sending{{to: peer.member, data: message.Compound{Messages: events, Digest: mark}.Encode(), reliable: true}}
	}
	return pack(peer.member, events, mark, s.config.packet())
}

func (s *state) answerOffer(n *network, offered *message.NetworkDigest, now time.Time) *message.NetworkDigest {
	n.compared = now
	if n.differs = offered.Sum != s.tableSum(n); !n.differs {
		n.agreed = now
		return nil
	}
	next := &message.NetworkDigest{Network: n.id}
	for owner, h := range n.holdings {
		if s.compared(n, owner) && h.sum != 0 {
			next.Owners = append(next.Owners, message.OwnerDigest{Node: owner, Sum: h.sum})
		}
	}
	return next
}

func (s *state) answerOwners(n *network, theirs *message.NetworkDigest) *message.NetworkDigest {
	differs := map[string]bool{}
	for _, o := range theirs.Owners {
		h := n.holdings[o.Node]
		differs[o.Node] = h == nil || h.sum != o.Sum
	}
	next := &message.NetworkDigest{Network: n.id}
	for owner, h := range n.holdings {
		if _, listed := differs[owner]; !listed && s.compared(n, owner) && h.sum != 0 {
			differs[owner] = true
		}
	}
	room := maxSummaries
	for owner, differ := range differs {
		if differ && room > 0 {
			o := message.OwnerDigest{Node: owner, Entries: summaries(n.holdings[owner], room)}
			room -= len(o.Entries) + 1
			next.Owners = append(next.Owners, o)
		}
	}
	if len(next.Owners) == 0 {
		return nil
	}
	return next
}

// summaries returns those of a node's entries, tombstones included, in random order.
func summaries(h *holding, room int) []message.Summary {
	if h == nil {
		return nil
	}
	list := make([]message.Summary, 0, min(room, len(h.entries)))
	for _, e := range h.entries {
		if len(list) == room {
			break
		}
		list = append(list, message.Summary{Key: e.keySum, Time: e.time, Sum: e.sum})
	}
	return list
}

// answerEntries compares summaries with the entries here: the other node gets what it
// lacks, and is asked for what this one lacks.
func (s *state) answerEntries(n *network, theirs *message.NetworkDigest, now time.Time) (*message.NetworkDigest, [][]byte) {
	var events [][]byte
	next := &message.NetworkDigest{Network: n.id}
	for _, o := range theirs.Owners {
		mine := byKeySum(n.holdings[o.Node])
		var want []uint64
		for _, their := range o.Entries {
			e := mine[their.Key]
			delete(mine, their.Key)
			// Who does not know an entry need not know that it is deleted.
			if e == nil && their.Sum != 0 || e != nil && (their.Time > e.time || their.Time == e.time && their.Sum != e.sum) {
				want = append(want, their.Key)
			}
			if e != nil && (e.time > their.Time || e.time == their.Time && their.Sum != e.sum) {
				events = append(events, e.event(n.id, message.Create, now).Encode())
			}
		}
		if len(o.Entries) < maxSummaries/2 { // otherwise there may be more of theirs
			for _, e := range mine {
				if !e.deleted {
					events = append(events, e.event(n.id, message.Create, now).Encode())
				}
			}
		}
		if len(want) > 0 {
			next.Owners = append(next.Owners, message.OwnerDigest{Node: o.Node, Want: want})
		}
	}
	if len(next.Owners) == 0 {
		return nil, events
	}
	return next, events
}

func byKeySum(h *holding) map[uint64]*entry {
	found := map[uint64]*entry{}
	if h != nil {
		for _, e := range h.entries {
			found[e.keySum] = e
		}
	}
	return found
}

func (s *state) answerWant(n *network, theirs *message.NetworkDigest, now time.Time) (events [][]byte) {
	for _, o := range theirs.Owners {
		mine := byKeySum(n.holdings[o.Node])
		for _, key := range o.Want {
			if e := mine[key]; e != nil {
				events = append(events, e.event(n.id, message.Create, now).Encode())
			}
		}
	}
	return events
}

// handleDigest answers a step of a conversation.
func (d *NetworkDB) handleDigest(step *message.Digest, now time.Time) {
	if step.Step < message.Offer || step.Step > message.Agreed {
		return
	}
	d.counters.steps[step.Step].Add(1)
	d.mu.Lock()
	var out []sending
	if step.Step != message.Offer || d.answers.take(now) {
		out = d.state.digest(step, now)
	}
	address := ""
	if peer := d.state.nodes[step.Node]; peer != nil && step.Step == message.Offer &&
		step.Members != d.state.memberSum() && now.Sub(d.exchanged) > exchangePause {
		d.exchanged = now
		address = peer.member.Address()
	}
	d.mu.Unlock()
	d.send(out)
	if address != "" {
		// One of us lacks a node that chance left out of memberlist's gossip.
		d.submit(func(context.Context) {
			if _, err := d.members.Join([]string{address}); err != nil {
				d.log.Debug("exchange members", "node", step.Node, "error", err)
			}
		})
	}
}

// compare begins conversations with random nodes, and at once with those that came back,
// until the context ends.
func (d *NetworkDB) compare(ctx context.Context) {
	// The first one comes at a random time, so that nodes started together spread.
	timer := time.NewTimer(rand.N(d.config.DigestInterval))
	defer timer.Stop()
	for {
		var names []string
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			names = []string{""}
			timer.Reset(d.config.DigestInterval)
		case <-d.returned.wake:
			names = d.returned.take()
		}
		for _, name := range names {
			d.mu.Lock()
			out := d.state.offer(name)
			d.mu.Unlock()
			d.send(out)
		}
	}
}

// allowance lets so many things happen in a second.
type allowance struct {
	perSecond int
	second    time.Time
	used      int
}

func (a *allowance) take(now time.Time) bool {
	if now.Sub(a.second) >= time.Second {
		a.second, a.used = now, 0
	}
	a.used++
	return a.used <= a.perSecond
}

// callList is of nodes to compare with soon. It keeps a few; the others are met by chance.
type callList struct {
	wake chan struct{} // of capacity one

	mu    sync.Mutex
	names []string
}

func (c *callList) add(name string) {
	const few = 16
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.names) < few && !slices.Contains(c.names, name) {
		c.names = append(c.names, name)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *callList) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.names
	c.names = nil
	return names
}
