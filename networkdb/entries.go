package networkdb

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb/message"
)

// CreateEntry makes an entry, which belongs to this node. It is Exists if there is one
// with that key, whoever owns it, and Forbidden if this node has not joined the network.
func (d *NetworkDB) CreateEntry(table, network, key string, value []byte) error {
	return d.change("create", message.Create, table, network, key, value)
}

// UpdateEntry gives an entry of this node another value. It is NotFound if there is none,
// and Forbidden if it belongs to another node.
func (d *NetworkDB) UpdateEntry(table, network, key string, value []byte) error {
	return d.change("update", message.Update, table, network, key, value)
}

// DeleteEntry deletes an entry of this node. It is NotFound if there is none, and Forbidden
// if it belongs to another node.
func (d *NetworkDB) DeleteEntry(table, network, key string) error {
	return d.change("delete", message.Delete, table, network, key, nil)
}

func (d *NetworkDB) change(verb string, action message.Action, table, network, key string, value []byte) error {
	op := fmt.Sprintf("%s entry %q of table %q in network %q", verb, key, table, network)
	if err := checkEntry(op, network, table, key, value); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.state.joined(network)
	switch {
	case d.closed:
		return cnm.E(op, cnm.Forbidden, errClosed)
	case n == nil:
		return cnm.E(op, cnm.Forbidden, errNotJoined)
	}
	id := entryID{table, key}
	shown, mine := d.state.shown(network, table, key), d.state.own(n, id)
	switch {
	case action == message.Create && mine != nil:
		return cnm.E(op, cnm.Exists, nil)
	case action == message.Create && shown != nil:
		return cnm.E(op, cnm.Exists, fmt.Errorf("node %q has it", shown.owner))
	case action != message.Create && mine == nil && shown != nil:
		return cnm.E(op, cnm.Forbidden, fmt.Errorf("it belongs to node %q", shown.owner))
	case action != message.Create && mine == nil:
		return cnm.E(op, cnm.NotFound, nil)
	}
	growth := sizeOf(id, value)
	if mine != nil {
		growth -= mine.size()
	}
	if action != message.Delete && growth > 0 && d.state.bytes+growth > d.config.MaxBytes {
		return cnm.E(op, cnm.Exhausted, fmt.Errorf("all entries take %d bytes, of %d at most", d.state.bytes, d.config.MaxBytes))
	}
	d.state.setOwn(n, id, bytes.Clone(value), action, time.Now())
	d.wake()
	return nil
}

// Entry is an entry as WalkTable sees it.
type Entry struct {
	NetworkID, Table, Key string
	Value                 []byte
	// Owner is the node that it belongs to.
	Owner string
}

// GetEntry returns the value of an entry, whoever owns it.
func (d *NetworkDB) GetEntry(table, network, key string) ([]byte, error) {
	e, err := d.FindEntry(table, network, key)
	return e.Value, err
}

// FindEntry returns an entry. It is NotFound if there is none, or none is shown.
func (d *NetworkDB) FindEntry(table, network, key string) (Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.state.shown(network, table, key)
	if e == nil {
		op := fmt.Sprintf("get entry %q of table %q in network %q", key, table, network)
		if d.state.joined(network) == nil {
			return Entry{}, cnm.E(op, cnm.NotFound, errNotJoined)
		}
		return Entry{}, cnm.E(op, cnm.NotFound, nil)
	}
	return e.public(network), nil
}

func (e *entry) public(network string) Entry {
	return Entry{NetworkID: network, Table: e.table, Key: e.key, Value: bytes.Clone(e.value), Owner: e.owner}
}

// WalkTable calls fn for each entry of a table, in all networks that this node joined,
// until fn returns true. It goes over what there was at the beginning, in no order, so
// that fn may call the database.
func (d *NetworkDB) WalkTable(table string, fn func(Entry) (stop bool)) {
	for _, e := range d.table(table) {
		if fn(e) {
			return
		}
	}
}

func (d *NetworkDB) table(table string) (found []Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.state.networks {
		for id, place := range n.slots {
			if id.table == table && place.shown != nil {
				found = append(found, place.shown.public(n.id))
			}
		}
	}
	return found
}

// Watch tells what becomes of entries, first a [CreateEvent] for each that there is. An
// empty table, network or key means all of them. Own entries are told too; the events
// say whose they are.
//
// Whoever reads slowly gets, for each entry, the last state only: two changes that follow
// each other are one, and none if they cancel out. The function ends the watch; the
// channel is closed then, and when the database is. It must be called in the end.
func (d *NetworkDB) Watch(table, network, key string) (events <-chan Event, cancel func()) {
	w := newWatcher(table, network, key)
	ctx, stop := context.WithCancel(d.ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		stop()
		close(w.events)
		return w.events, func() {}
	}
	for _, n := range d.state.networks {
		for id, place := range n.slots {
			if s := (subject{n.id, id}); place.shown != nil && w.matches(s) {
				w.offer(s, nil, place.shown)
			}
		}
	}
	d.state.watchers[w] = true
	d.running.Go(func() { w.run(ctx) })
	return w.events, func() {
		d.mu.Lock()
		delete(d.state.watchers, w)
		d.mu.Unlock()
		stop()
	}
}
