package networkdb

import (
	"time"

	"github.com/docker/libnetwork/networkdb/message"
)

// receive handles a message from another node. It does not block: memberlist waits for it.
func (d *NetworkDB) receive(data []byte) {
	if err := d.handle(data, byGossip, true); err != nil {
		d.mu.Lock()
		d.state.refused++
		d.mu.Unlock()
		d.log.Debug("message refused", "error", err)
	}
}

// handle dispatches one message. What contains others must not be in another one, so that
// nobody makes the stack grow.
func (d *NetworkDB) handle(data []byte, from source, outer bool) error {
	kind, data, err := message.Decode(data)
	if err != nil {
		return err
	}
	now := time.Now()
	switch kind {
	case message.TypeNodeEvent:
		e, err := message.DecodeNodeEvent(data)
		if err != nil {
			return err
		}
		d.passOn(e.Encode(), "node "+e.Node, func(s *state) bool { return s.nodeEvent(e, now) })
	case message.TypeNetworkEvent:
		e, err := message.DecodeNetworkEvent(data)
		if err != nil {
			return err
		}
		d.passOn(e.Encode(), "network "+e.Node+" "+e.Network, func(s *state) bool { return s.networkEvent(e, false, now) })
	case message.TypeTableEvent:
		return d.handleTables([][]byte{data}, from, now)
	case message.TypePushPull:
		p, err := message.DecodePushPull(data)
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.state.mergeAttachments(p, now)
		d.mu.Unlock()
	case message.TypeBulkSync:
		if !outer {
			return errNested
		}
		b, err := message.DecodeBulkSync(data)
		if err != nil {
			return err
		}
		return d.handleBulkSync(b)
	case message.TypeCompound:
		if !outer {
			return errNested
		}
		return d.handleCompound(data, from, now)
	case message.TypeInvalid:
	}
	return nil
}

// passOn has the state handle an event about nodes or networks, and tells it to others if
// it is news.
func (d *NetworkDB) passOn(data []byte, name string, handle func(*state) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if handle(d.state) {
		d.state.announce(name, data)
	}
}

// handleCompound takes runs of table events together, under one lock.
func (d *NetworkDB) handleCompound(data []byte, from source, now time.Time) error {
	c, err := message.DecodeCompound(data)
	if err != nil {
		return err
	}
	if c.Digest != nil {
		d.handleDigest(c.Digest, now)
		from = byRepair
	}
	var tables [][]byte
	var failed error
	for _, m := range c.Messages {
		kind, inner, err := message.Decode(m)
		switch {
		case err != nil:
		case kind == message.TypeTableEvent:
			tables = append(tables, inner)
			continue
		default:
			err = d.handle(m, from, false)
		}
		if err != nil {
			failed = err
		}
	}
	if err := d.handleTables(tables, from, now); err != nil {
		failed = err
	}
	return failed
}

// handleTables takes in table events, given by their data. A malformed one does not keep
// the others out.
func (d *NetworkDB) handleTables(events [][]byte, from source, now time.Time) (failed error) {
	decoded := make([]message.TableEvent, 0, len(events))
	for _, data := range events {
		e, err := message.DecodeTableEvent(data)
		if err != nil {
			failed = err
			continue
		}
		decoded = append(decoded, e)
	}
	if len(decoded) == 0 {
		return failed
	}
	d.mu.Lock()
	for _, e := range decoded {
		d.state.tableEvent(e, from, now)
	}
	d.mu.Unlock()
	d.wake()
	return failed
}
