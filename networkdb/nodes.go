package networkdb

import (
	"bytes"
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb/message"
)

// Bounds of what others can make a node remember.
const (
	maxNodes       = 1 << 16
	maxNetworks    = 1 << 16
	maxAttachments = 1 << 20
	// maxStrangers is how many attachments of nodes that memberlist does not know are
	// remembered, until they are known.
	maxStrangers = 1 << 13
	// strangerTime is how long.
	strangerTime = 5 * time.Minute
)

// digestMeta, as a node's metadata, tells others that it compares sums. Other
// implementations have none and look at none.
const digestMeta = "libnetwork/digest/1"

// nodeAlive takes note that memberlist reaches a node.
func (s *state) nodeAlive(member *memberlist.Node, now time.Time) {
	n := s.nodes[member.Name]
	if n == nil {
		if len(s.nodes) >= maxNodes || len(member.Name) > MaxNameLength {
			s.refused++
			return
		}
		n = &node{name: member.Name, place: ringPlace(member.Name)}
		s.nodes[n.name] = n
	}
	if n.name != s.self {
		s.purgeFormerLives(member, now)
	}
	n.member = *member
	n.member.Addr = bytes.Clone(member.Addr)
	n.member.Meta = bytes.Clone(member.Meta)
	n.digests = string(member.Meta) == digestMeta
	s.stand(n, true, false, now)
}

// purgeFormerLives ends nodes that had the address of a new one: a node that started
// again under another name cannot come back as what it was.
func (s *state) purgeFormerLives(member *memberlist.Node, now time.Time) {
	for _, other := range s.nodes {
		if other.name == member.Name || other.name == s.self || other.gone {
			continue
		}
		if other.member.Port == member.Port && other.member.Addr.Equal(member.Addr) {
			s.stand(other, other.alive, true, now)
		}
	}
}

// nodeUpdated takes note of new metadata.
func (s *state) nodeUpdated(member *memberlist.Node) {
	if n := s.nodes[member.Name]; n != nil {
		n.digests = string(member.Meta) == digestMeta
	}
}

// nodeDead takes note that memberlist does not reach a node any more.
func (s *state) nodeDead(name string, now time.Time) {
	if n := s.nodes[name]; n != nil && name != s.self {
		s.stand(n, false, n.gone, now)
	}
}

// stand sets where a node stands, with what follows for its entries.
func (s *state) stand(n *node, alive, gone bool, now time.Time) {
	before := n.standing()
	n.alive, n.gone = alive, gone
	after := n.standing()
	if before == after {
		return
	}
	n.since = now
	for _, net := range s.networks {
		if after == left {
			s.detach(net, n.name)
			s.dropOwner(net, n.name)
			s.tidy(net)
			continue
		}
		if a := net.members[n.name]; a != nil && !a.leaving {
			a.expires = time.Time{} // no stranger any more
		}
		s.refreshOwner(net, n.name)
	}
}

// nodeEvent handles what a node said of itself, and tells whether it is news.
func (s *state) nodeEvent(e message.NodeEvent, now time.Time) bool {
	if e.Node == "" || (e.Presence != message.Join && e.Presence != message.Leave) || !s.networkClock.witness(e.Time) {
		s.refused++
		return false
	}
	n := s.nodes[e.Node]
	if n == nil || e.Time <= n.time {
		return false
	}
	if e.Node == s.self {
		if e.Presence == message.Leave { // of an earlier life
			s.announceNode(message.Join)
		}
		return false
	}
	n.time = e.Time
	s.stand(n, n.alive, e.Presence == message.Leave, now)
	return true
}

// announceNode tells that this node joined or leaves the cluster.
func (s *state) announceNode(p message.Presence) {
	e := message.NodeEvent{Presence: p, Time: s.networkClock.tick(), Node: s.self}
	if n := s.nodes[s.self]; n != nil {
		n.time = e.Time
	}
	s.announce("node "+s.self, e.Encode())
}

// networkEvent handles that a node was attached or detached. It tells whether that is
// news. What is hearsay comes from a list, and not from an event just made.
func (s *state) networkEvent(e message.NetworkEvent, hearsay bool, now time.Time) bool {
	if !s.acceptable(e) {
		s.refused++
		return false
	}
	if e.Node == s.self {
		s.correctAttachment(e)
		return false
	}
	leaving := e.Presence == message.Leave
	known := s.nodes[e.Node]
	if known != nil && known.standing() == left {
		return false
	}
	var old *attachment
	if n := s.networks[e.Network]; n != nil {
		old = n.members[e.Node]
	}
	switch {
	case old == nil && leaving && hearsay:
		// Others may have forgotten it already; if everybody learned it anew from
		// somebody else, nobody would ever forget.
		return false
	case old == nil && !s.room(known == nil):
		s.refused++
		return false
	case old != nil && (e.Time < old.time || e.Time == old.time && (old.leaving || !leaving)):
		return false
	}
	n := s.network(e.Network)
	a := newAttachment(e.Node, e.Network, e.Time, leaving)
	switch {
	case leaving:
		a.expires = now.Add(s.config.TombstoneTime + extraNetworkTime)
		s.dropOwner(n, e.Node)
	case known == nil:
		a.expires = now.Add(strangerTime)
	}
	s.setMember(n, e.Node, a)
	s.refreshOwner(n, e.Node)
	return true
}

func (s *state) acceptable(e message.NetworkEvent) bool {
	return e.Network != "" && len(e.Network) <= MaxNameLength && e.Node != "" && len(e.Node) <= MaxNameLength &&
		(e.Presence == message.Join || e.Presence == message.Leave) && s.networkClock.witness(e.Time)
}

// room tells whether one more attachment may be remembered.
func (s *state) room(stranger bool) bool {
	if stranger && s.strangers >= maxStrangers {
		return false
	}
	return len(s.networks) < maxNetworks && s.attached < maxAttachments
}

// setMember and detach change who is a member of a network.
func (s *state) setMember(n *network, name string, a *attachment) {
	if n.members[name] == nil {
		s.attached++
		if s.nodes[name] == nil {
			s.strangers++ // counted anew when what has expired is looked for
		}
	}
	n.members[name] = a
}

func (s *state) detach(n *network, name string) {
	if n.members[name] != nil {
		s.attached--
	}
	delete(n.members, name)
}

func newAttachment(name, network string, at uint64, leaving bool) *attachment {
	a := &attachment{time: at, leaving: leaving}
	if !leaving {
		a.sum = sumOf(at, name, network)
	}
	return a
}

// correctAttachment contradicts what others say about this node, if it is not so.
func (s *state) correctAttachment(e message.NetworkEvent) {
	n := s.networks[e.Network]
	var mine *attachment
	if n != nil {
		mine = n.members[s.self]
	}
	if mine != nil && (e.Time < mine.time || e.Time == mine.time && mine.leaving == (e.Presence == message.Leave)) {
		return
	}
	isMember := mine != nil && !mine.leaving
	if !isMember && e.Presence == message.Leave {
		return
	}
	presence := message.Leave
	if isMember {
		presence = message.Join
	}
	s.attach(s.network(e.Network), presence)
}

// attach attaches this node to a network or detaches it, and tells others.
func (s *state) attach(n *network, p message.Presence) {
	a := newAttachment(s.self, n.id, s.networkClock.tick(), p == message.Leave)
	if a.leaving {
		a.expires = time.Now().Add(s.config.TombstoneTime + extraNetworkTime)
	}
	s.setMember(n, s.self, a)
	e := message.NetworkEvent{Presence: p, Time: a.time, Node: s.self, Network: n.id}
	s.announce(fmt.Sprintf("network %s %s", s.self, n.id), e.Encode())
}

// attachments returns all that is known of nodes that are known.
func (s *state) attachments() message.PushPull {
	p := message.PushPull{Time: s.networkClock.now, Node: s.self}
	for _, n := range s.networks {
		for name, a := range n.members {
			if s.nodes[name] != nil {
				p.Networks = append(p.Networks, message.NetworkEntry{Network: n.id, Time: a.time, Node: name, Leaving: a.leaving})
			}
		}
	}
	return p
}

// mergeAttachments takes in what another node knows.
func (s *state) mergeAttachments(p message.PushPull, now time.Time) {
	if !s.networkClock.witness(p.Time) {
		s.refused++
		return
	}
	for _, entry := range p.Networks {
		e := message.NetworkEvent{Presence: message.Join, Time: entry.Time, Node: entry.Node, Network: entry.Network}
		if entry.Leaving {
			e.Presence = message.Leave
		}
		s.networkEvent(e, true, now)
	}
}

// attachmentSum is the sum over what active nodes are attached to.
func (s *state) attachmentSum() (sum uint64) {
	for _, n := range s.networks {
		for name, a := range n.members {
			if s.nodes[name].standing() == active {
				sum += a.sum
			}
		}
	}
	return sum
}

// memberSum is the sum over the active nodes.
func (s *state) memberSum() (sum uint64) {
	for _, n := range s.nodes {
		if n.standing() == active {
			sum += n.place
		}
	}
	return sum
}
