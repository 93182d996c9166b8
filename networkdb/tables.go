package networkdb

import (
	"bytes"
	"time"

	"github.com/docker/libnetwork/networkdb/message"
)

// source is where a table event came from.
type source int

const (
	byGossip source = iota // told to a few, to be told to more
	bySync                 // sent with all others: whoever lacks it synchronises too
	byRepair               // found in a comparison: others may lack it too
)

// tableEvent handles an event that another node sent.
func (s *state) tableEvent(e message.TableEvent, from source, now time.Time) {
	if !s.tableAcceptable(e) {
		s.refused++
		return
	}
	n := s.joined(e.Network)
	if n == nil {
		return
	}
	id := entryID{e.Table, e.Key}
	if e.Node == s.self {
		s.correctEntry(n, id, e, now)
		return
	}
	if s.without(n, e.Node) {
		return
	}
	var old *entry
	if h := n.holdings[e.Node]; h != nil {
		old = h.entries[id]
	}
	if old != nil && e.Time <= old.time && (e.Time < old.time || old.is(e)) {
		n.queue.heard(queueID{id, e.Node}, e.Time)
		return
	}
	version := s.versionOf(id, e, old, from, now)
	if version == nil || !version.newerThan(old) {
		return
	}
	growth := version.size()
	if old != nil {
		growth -= old.size()
	}
	if growth > 0 && s.bytes+growth > s.config.MaxBytes {
		s.refused++
		return
	}
	s.put(n, version)
	switch from {
	case byGossip:
		s.enqueue(n, version, e.Action, 0, now)
	case byRepair:
		s.enqueue(n, version, e.Action, max(0, s.tellings(n)-repairTellings), now)
	case bySync:
	}
}

// without tells that a node left the network, or the cluster, and took its entries with it.
func (s *state) without(n *network, name string) bool {
	if known := s.nodes[name]; known != nil && known.standing() == left {
		return true
	}
	a := n.members[name]
	return a != nil && a.leaving
}

// repairTellings is to how many nodes a difference that was found is told.
const repairTellings = 3

func (s *state) tableAcceptable(e message.TableEvent) bool {
	switch e.Action {
	case message.Create, message.Update, message.Delete:
	default:
		return false
	}
	return e.Node != "" && len(e.Node) <= MaxNameLength && checkEntry("", e.Network, e.Table, e.Key, e.Value) == nil &&
		s.tableClock.witness(e.Time)
}

// versionOf makes of an event what is to be stored; nil is nothing.
func (s *state) versionOf(id entryID, e message.TableEvent, old *entry, from source, now time.Time) *entry {
	if e.Action != message.Delete {
		return newEntry(id, e.Node, e.Time, bytes.Clone(e.Value))
	}
	if old == nil && from != byGossip && e.Residual <= 0 {
		// Somebody who cannot say how old the deletion is. If it were remembered anew
		// whenever it is heard of, nobody would ever forget it.
		return nil
	}
	remember := s.config.TombstoneTime
	if e.Residual > 0 {
		remember = min(remember, time.Duration(e.Residual)*time.Second)
	}
	return newTombstone(id, e.Node, e.Time, now.Add(remember))
}

// correctEntry contradicts what others say in this node's name, if it is not so: it may
// be left over from an earlier life under the same name.
func (s *state) correctEntry(n *network, id entryID, e message.TableEvent, now time.Time) {
	var mine *entry
	if h := n.holdings[s.self]; h != nil {
		mine = h.entries[id]
	}
	deleted := e.Action == message.Delete
	if mine == nil || mine.deleted {
		if deleted || mine != nil && mine.time > e.Time {
			if mine != nil {
				n.queue.heard(queueID{id, s.self}, e.Time)
			}
			return
		}
		s.setOwn(n, id, nil, message.Delete, now)
		return
	}
	switch {
	case e.Time < mine.time:
	case e.Time == mine.time && !deleted && bytes.Equal(e.Value, mine.value):
		n.queue.heard(queueID{id, s.self}, mine.time)
	default:
		s.setOwn(n, id, mine.value, message.Update, now)
	}
}

// setOwn makes a new version of an own entry, and has it told.
func (s *state) setOwn(n *network, id entryID, value []byte, action message.Action, now time.Time) {
	at := s.tableClock.tick()
	e := newEntry(id, s.self, at, value)
	if action == message.Delete {
		e = newTombstone(id, s.self, at, now.Add(s.config.TombstoneTime))
	}
	s.put(n, e)
	s.enqueue(n, e, action, 0, now)
}

// shown returns the version of an entry that is shown, or nil.
func (s *state) shown(network, table, key string) *entry {
	n := s.joined(network)
	if n == nil {
		return nil
	}
	if place := n.slots[entryID{table, key}]; place != nil {
		return place.shown
	}
	return nil
}

// own returns this node's own live version, or nil.
func (s *state) own(n *network, id entryID) *entry {
	h := n.holdings[s.self]
	if h == nil || h.entries[id] == nil || h.entries[id].deleted {
		return nil
	}
	return h.entries[id]
}

// reap forgets what has expired.
func (s *state) reap(now time.Time) {
	for _, n := range s.nodes {
		if n.standing() != active && now.Sub(n.since) > s.config.NodeTime {
			s.forget(n)
		}
	}
	s.strangers = 0
	for _, n := range s.networks {
		for name, a := range n.members {
			switch {
			case !a.expires.IsZero() && now.After(a.expires):
				s.detach(n, name)
			case s.nodes[name] == nil:
				s.strangers++
			}
		}
		for owner, h := range n.holdings {
			s.reapHolding(n, owner, h, now)
		}
		s.tidy(n)
	}
}

func (s *state) reapHolding(n *network, owner string, h *holding, now time.Time) {
	switch {
	case n.attached(owner) && s.nodes[owner] != nil:
		h.orphaned = time.Time{}
	case h.orphaned.IsZero():
		h.orphaned = now
	case now.Sub(h.orphaned) > s.config.TombstoneTime:
		s.dropOwner(n, owner)
		return
	}
	for _, e := range h.entries {
		if e.deleted && now.After(e.expires) {
			s.drop(n, e)
		}
	}
}

// forget removes a node, and all that it had.
func (s *state) forget(n *node) {
	delete(s.nodes, n.name)
	for _, net := range s.networks {
		s.detach(net, n.name)
		s.dropOwner(net, n.name)
	}
}
