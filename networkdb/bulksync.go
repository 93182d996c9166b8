package networkdb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb/message"
)

// bulkBytes bounds one bulk sync message. Memberlist takes 20 MiB; what is more goes in
// further messages.
const bulkBytes = 4 << 20

var errNested = errors.New("messages within messages within messages")

// bulkMessages returns all entries of the networks as bulk sync messages. Only the last
// one asks for an answer, or is one.
func (s *state) bulkMessages(networks []string, unsolicited bool, now time.Time) [][]byte {
	var out, events [][]byte
	size := 0
	flush := func(ask bool) {
		b := message.BulkSync{
			Time: s.tableClock.now, Unsolicited: ask, Node: s.self, Networks: networks,
			Payload: message.Compound{Messages: events}.Encode(),
		}
		out = append(out, b.Encode())
		events, size = nil, 0
	}
	for _, id := range networks {
		n := s.joined(id)
		if n == nil {
			continue
		}
		for _, h := range n.holdings {
			for _, e := range h.entries {
				data := e.event(id, message.Create, now).Encode()
				if size += len(data) + message.CompoundOverhead; size > bulkBytes {
					flush(false)
					size = len(data)
				}
				events = append(events, data)
			}
		}
	}
	flush(unsolicited)
	return out
}

// handleBulkSync takes in all entries of another node. If it asks for ours, a worker
// answers.
func (d *NetworkDB) handleBulkSync(b message.BulkSync) error {
	now := time.Now()
	kind, data, err := message.Decode(b.Payload)
	if err != nil {
		return err
	}
	d.mu.Lock()
	if !d.state.tableClock.witness(b.Time) {
		d.state.refused++
		d.mu.Unlock()
		return nil
	}
	shared := d.state.shared(b.Networks)
	d.mu.Unlock()
	if kind == message.TypeCompound {
		if err := d.handleCompound(data, bySync, now); err != nil {
			return err
		}
	}
	if !b.Unsolicited {
		d.answered(b.Node)
		return nil
	}
	d.submit(func(context.Context) {
		d.mu.Lock()
		peer := d.state.nodes[b.Node]
		if peer.standing() != active {
			d.mu.Unlock()
			return
		}
		to, out := peer.member, d.state.bulkMessages(shared, false, now)
		d.mu.Unlock()
		for _, data := range out {
			if !d.sendReliable(to, data) {
				return
			}
		}
	})
	return nil
}

// shared returns those of the networks that this node has joined.
func (s *state) shared(networks []string) []string {
	return slices.DeleteFunc(slices.Clone(networks), func(id string) bool { return s.joined(id) == nil })
}

// answered wakes who waits for a node's answer.
func (d *NetworkDB) answered(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, answer := range d.awaited[name] {
		close(answer)
	}
	delete(d.awaited, name)
}

// firstSyncTimeout is how long one node's answer is awaited after joining a network. A
// node that has not heard of this one yet does not answer; another one may.
const firstSyncTimeout = 2 * time.Second

// syncWith exchanges all entries of the networks that this node shares with another one,
// and waits for its answer.
func (d *NetworkDB) syncWith(ctx context.Context, name string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, min(timeout, d.config.BulkSyncTimeout))
	defer cancel()
	answer := make(chan struct{})
	d.mu.Lock()
	peer := d.state.nodes[name]
	if peer.standing() != active {
		d.mu.Unlock()
		return fmt.Errorf("node %q: %w", name, cnm.Unavailable)
	}
	var networks []string
	for _, n := range d.state.networks {
		if n.joined && n.attached(name) {
			networks = append(networks, n.id)
		}
	}
	slices.Sort(networks)
	to, out := peer.member, d.state.bulkMessages(networks, true, time.Now())
	d.awaited[name] = append(d.awaited[name], answer)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.awaited[name] = slices.DeleteFunc(d.awaited[name], func(c chan struct{}) bool { return c == answer })
		if len(d.awaited[name]) == 0 {
			delete(d.awaited, name)
		}
	}()
	for _, data := range out {
		if !d.sendReliable(to, data) {
			return fmt.Errorf("node %q: %w", name, cnm.Unavailable)
		}
	}
	select {
	case <-answer:
	case <-ctx.Done():
		return fmt.Errorf("node %q: no answer: %w", name, ctx.Err())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range networks {
		if n := d.state.joined(id); n != nil {
			n.synced = true
		}
	}
	return nil
}

// syncNetwork exchanges entries with one of the nodes that have the network, trying a few.
// That there is none is no error.
func (d *NetworkDB) syncNetwork(ctx context.Context, id string) error {
	const tries = 3
	d.mu.Lock()
	var names []string
	if n := d.state.joined(id); n != nil {
		for _, peer := range d.state.peers(n) {
			names = append(names, peer.name)
		}
	}
	d.mu.Unlock()
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var err error
	for _, name := range names[:min(tries, len(names))] {
		if err = d.syncWith(ctx, name, firstSyncTimeout); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// bulkSync synchronises networks that have not been yet as soon as there is somebody, and
// all of them from time to time with random nodes that do not compare sums, until the
// context ends.
func (d *NetworkDB) bulkSync(ctx context.Context) {
	ticker := time.NewTicker(d.config.DigestInterval)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			all := now.Sub(last) >= d.config.BulkSyncInterval
			if all {
				last = now
			}
			timeout := firstSyncTimeout
			if all {
				timeout = d.config.BulkSyncTimeout
			}
			for _, name := range d.toSync(all) {
				if err := d.syncWith(ctx, name, timeout); err != nil && ctx.Err() == nil {
					d.log.Debug("bulk sync", "error", err)
				}
			}
		}
	}
}

// toSync returns nodes so that each network that is due is shared with one of them.
func (d *NetworkDB) toSync(all bool) (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.state.networks {
		if !n.joined || n.synced && !all || slices.ContainsFunc(names, n.attached) {
			continue
		}
		peers := d.state.peers(n)
		if n.synced {
			peers = slices.DeleteFunc(peers, func(peer *node) bool { return peer.digests })
		}
		if len(peers) > 0 {
			names = append(names, peers[rand.IntN(len(peers))].name)
		}
	}
	return names
}
