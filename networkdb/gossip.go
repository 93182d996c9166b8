package networkdb

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb/message"
)

const (
	// fanOut is to how many nodes a round tells what there is, as memberlist does.
	fanOut = 3
	// retransmitFactor, times the logarithm of the number of nodes, is how many nodes an
	// event is told to; it is memberlist's for its own broadcasts.
	retransmitFactor = 4
	// pulse is how long the first event waits for others to share its packets; pause is
	// the time between rounds while there are more.
	pulse = 10 * time.Millisecond
	pause = 50 * time.Millisecond
	// roundPackets bounds the packets of one round to one node about one network, so that
	// sockets' buffers take them, and roundTotal, more or less, all packets of a round.
	roundPackets = 8
	roundTotal   = 96
	// packetOverhead is what memberlist adds to a packet: its type, a checksum, and what
	// encryption needs in the older of its two forms.
	packetOverhead = 64
)

// sending is a message for a node.
type sending struct {
	to   memberlist.Node
	data []byte
	// reliable sends by a stream; packets are for what fits, and may be lost.
	reliable bool
}

// packet returns how many bytes of a Gossip message fit into a packet.
func (c Config) packet() int { return c.PacketBufferSize - packetOverhead }

// tellings is to how many nodes an event of a network is told.
func (s *state) tellings(n *network) int {
	return tellings(len(n.members))
}

func tellings(nodes int) int {
	return max(fanOut, retransmitFactor*int(math.Ceil(math.Log10(float64(nodes+1)))))
}

// round takes from the queues what one round tells, and whether there is more.
func (s *state) round() (out []sending, more bool) {
	for _, n := range s.networks {
		if !n.joined || n.queue.len() == 0 {
			continue
		}
		if len(out) >= roundTotal { // others come first next time: the order is random
			return out, true
		}
		peers := s.peers(n)
		if len(peers) == 0 {
			n.queue.clear() // a node that comes compares, or gets all
			continue
		}
		s.nextFirst(peers)
		limit := s.tellings(n)
		for i, peer := range peers[:min(fanOut, len(peers))] {
			to := someNode
			switch {
			case len(peers) == 1:
				to = soleNode
			case i == 0:
				to = nextNode
			}
			items := n.queue.take(to, roundPackets*(s.config.packet()-message.CompoundHeader), message.CompoundOverhead, limit)
			messages := make([][]byte, len(items))
			for i, item := range items {
				messages[i] = item.data
			}
			out = append(out, pack(peer.member, messages, nil, s.config.packet())...)
		}
		more = more || n.queue.len() > 0
	}
	return out, more
}

// nextFirst shuffles nodes, but puts the one first that comes after this one in the ring of
// all. Chance alone leaves somebody out now and then. If every node that has heard tells
// the next one, too, a node is left out only with all before it.
func (s *state) nextFirst(peers []*node) {
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	self := ringPlace(s.self)
	best := 0
	for i, peer := range peers {
		// Unsigned, the distance goes around the ring by itself.
		if peer.place-self < peers[best].place-self {
			best = i
		}
	}
	peers[0], peers[best] = peers[best], peers[0]
}

// ringPlace is a node's place in the ring.
func ringPlace(name string) uint64 { return sumOf(0, name) }

// pack puts messages into packets of up to size bytes, each with the digest if there is
// one. What is larger goes by itself, by a stream.
func pack(to memberlist.Node, messages [][]byte, digest *message.Digest, size int) (out []sending) {
	header := message.CompoundHeader
	if digest != nil {
		header += message.CompoundHeader + len(digest.Node)
	}
	var fits [][]byte
	used := header
	flush := func() {
		switch {
		case len(fits) == 0:
			return
		case len(fits) == 1 && digest == nil:
			out = append(out, sending{to: to, data: fits[0]})
		default:
			out = append(out, sending{to: to, data: message.Compound{Messages: fits, Digest: digest}.Encode()})
		}
		fits, used = nil, header
	}
	for _, m := range messages {
		need := len(m) + message.CompoundOverhead
		if header+need > size {
			out = append(out, sending{to: to, data: message.Compound{Messages: [][]byte{m}, Digest: digest}.Encode(), reliable: true})
			continue
		}
		if used+need > size {
			flush()
		}
		fits = append(fits, m)
		used += need
	}
	flush()
	return out
}

// gossip runs rounds while there is something to tell, until the context ends.
func (d *NetworkDB) gossip(ctx context.Context) {
	timer := time.NewTimer(pulse)
	defer timer.Stop()
	armed := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.news:
			if !armed {
				timer.Reset(pulse)
				armed = true
			}
		case <-timer.C:
			armed = false
			d.mu.Lock()
			out, more := d.state.round()
			d.mu.Unlock()
			d.send(out)
			if more {
				timer.Reset(pause)
				armed = true
			}
		}
	}
}

// wake has the gossip loop look at the queues.
func (d *NetworkDB) wake() {
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// send sends messages. What needs a stream is left to a worker.
func (d *NetworkDB) send(out []sending) {
	for _, s := range out {
		if s.reliable {
			d.submit(func(context.Context) { d.sendReliable(s.to, s.data) })
			continue
		}
		if err := d.out.SendBestEffort(&s.to, s.data); err != nil {
			d.counters.unsent.Add(1)
			d.log.Debug("packet not sent", "node", s.to.Name, "error", err)
		}
	}
}

// sendReliable sends by a stream; it blocks for as long as the transport lets it.
func (d *NetworkDB) sendReliable(to memberlist.Node, data []byte) bool {
	if err := d.out.SendReliable(&to, data); err != nil {
		d.counters.unsent.Add(1)
		d.log.Debug("stream not sent", "node", to.Name, "error", err)
		return false
	}
	return true
}

// sendFitting sends data as a packet if it fits, or else by a stream.
func (s *state) sendFitting(to *node, data []byte) sending {
	return sending{to: to.member, data: data, reliable: len(data) > s.config.packet()}
}
