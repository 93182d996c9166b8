package networkdb

import (
	"cmp"
	"slices"
	"time"

	"github.com/docker/libnetwork/networkdb/message"
)

// Status is a picture of a database, for people and for metrics.
type Status struct {
	Node string `json:"node"`
	// NetworkClock and TableClock are the two Lamport clocks.
	NetworkClock uint64 `json:"networkClock"`
	TableClock   uint64 `json:"tableClock"`
	// Bytes is what all entries take, and MaxBytes what they may.
	Bytes    int             `json:"bytes"`
	MaxBytes int             `json:"maxBytes"`
	Nodes    []NodeStatus    `json:"nodes"`
	Networks []NetworkStatus `json:"networks"`
	// ClusterQueue is how many events about nodes and networks are to be told, and Work
	// how many things wait for a worker.
	ClusterQueue int `json:"clusterQueue"`
	Work         int `json:"work"`
	// Watchers is how many watches there are, and Backlog for how many entries their
	// readers have news to read.
	Watchers int `json:"watchers"`
	Backlog  int `json:"backlog"`
	// Refused counts messages and events that were malformed or beyond a bound, Unsent
	// what the transport did not take, and Dropped what workers had no time for.
	Refused uint64 `json:"refused"`
	Unsent  uint64 `json:"unsent"`
	Dropped uint64 `json:"dropped"`
	// Errors counts what went wrong with packets and streams: nodes that do not answer,
	// and messages that another key encrypted. LastError is the last one, in words.
	Errors    uint64        `json:"errors"`
	LastError string        `json:"lastError,omitempty"`
	Sent      TrafficStatus `json:"sent"`
	// Steps counts what other nodes sent of conversations about differences: offers of
	// sums, sums of owners, summaries of entries, wishes, and that there is none.
	Steps [5]uint64 `json:"steps"`
}

// TrafficStatus counts what was sent. Streams are those that this node began.
type TrafficStatus struct {
	Packets     uint64 `json:"packets"`
	PacketBytes uint64 `json:"packetBytes"`
	Streams     uint64 `json:"streams"`
	StreamBytes uint64 `json:"streamBytes"`
}

// NodeStatus is what is known of a node.
type NodeStatus struct {
	Name string `json:"name"`
	// Address has the port.
	Address string `json:"address"`
	// Standing is "active", "failed" or "left", since Since.
	Standing string    `json:"standing"`
	Since    time.Time `json:"since"`
	// Compares tells that the node compares sums.
	Compares bool `json:"compares"`
}

// NetworkStatus is what is known of a network.
type NetworkStatus struct {
	ID string `json:"id"`
	// Peers are the active nodes that are attached. The rest is zero for a network that
	// this node has not joined.
	Peers  []string `json:"peers"`
	Joined bool     `json:"joined"`
	// Synced tells that all entries have been exchanged with some node since joining.
	Synced bool `json:"synced"`
	// Entries are those shown, by table.
	Entries map[string]int `json:"entries,omitempty"`
	// Hidden is how many versions of entries are not shown: their owners have failed, or
	// a newer one of another owner is. Tombstones is how many deletions are remembered.
	Hidden     int `json:"hidden"`
	Tombstones int `json:"tombstones"`
	// Queue is how many events are to be told.
	Queue int `json:"queue"`
	// Compared is when sums were last compared with those of another node; the zero time
	// is never. Lag is zero if they were equal, and otherwise how long ago they last were,
	// or the network was joined.
	Compared time.Time     `json:"compared"`
	Lag      time.Duration `json:"lag"`
}

// Status returns a picture of the database at this moment.
func (d *NetworkDB) Status() Status {
	now := time.Now()
	d.mu.Lock()
	s := d.state.status(now)
	d.mu.Unlock()
	s.ClusterQueue, s.Work = d.broadcasts.NumQueued(), len(d.work)
	s.Errors = d.counters.errors.Load()
	if last := d.counters.lastError.Load(); last != nil {
		s.LastError = *last
	}
	s.Unsent, s.Dropped = d.counters.unsent.Load(), d.counters.dropped.Load()
	for i := range s.Steps {
		s.Steps[i] = d.counters.steps[message.Step(i)+message.Offer].Load() //nolint:gosec // from 0 to 4
	}
	s.Sent = TrafficStatus{
		Packets: d.transport.packets.Load(), PacketBytes: d.transport.packetBytes.Load(),
		Streams: d.transport.streams.Load(), StreamBytes: d.transport.streamBytes.Load(),
	}
	return s
}

func (s *state) status(now time.Time) Status {
	out := Status{
		Node: s.self, NetworkClock: s.networkClock.now, TableClock: s.tableClock.now,
		Bytes: s.bytes, MaxBytes: s.config.MaxBytes, Refused: s.refused, Watchers: len(s.watchers),
	}
	for w := range s.watchers {
		out.Backlog += w.backlog()
	}
	for _, n := range s.nodes {
		out.Nodes = append(out.Nodes, NodeStatus{
			Name: n.name, Address: n.member.Address(), Standing: n.standing().String(), Since: n.since, Compares: n.digests,
		})
	}
	for _, n := range s.networks {
		out.Networks = append(out.Networks, s.networkStatus(n, now))
	}
	slices.SortFunc(out.Nodes, func(a, b NodeStatus) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(out.Networks, func(a, b NetworkStatus) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (s *state) networkStatus(n *network, now time.Time) NetworkStatus {
	out := NetworkStatus{ID: n.id, Joined: n.joined, Synced: n.synced, Compared: n.compared}
	for name := range n.members {
		if n.attached(name) && s.nodes[name].standing() == active {
			out.Peers = append(out.Peers, name)
		}
	}
	slices.Sort(out.Peers)
	if !n.joined {
		return out
	}
	out.Queue = n.queue.len()
	if n.differs {
		out.Lag = now.Sub(n.agreed)
	}
	out.Entries = map[string]int{}
	for id, place := range n.slots {
		for _, e := range place.versions {
			switch {
			case e.deleted:
				out.Tombstones++
			case e != place.shown:
				out.Hidden++
			}
		}
		if place.shown != nil {
			out.Entries[id.table]++
		}
	}
	return out
}
