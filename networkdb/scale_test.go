package networkdb_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/docker/libnetwork/networkdb"
)

var manyNodes = flag.Int("nodes", 0, "also try a cluster of so many nodes, in virtual time")

// spread measures how one entry, and ten of each node, reach everybody. In virtual time
// processors are infinitely fast: the limits are about what the algorithm needs.
func (m *machines) spread(t *testing.T, count int, oneLimit, burstLimit time.Duration) {
	must(t, m.dbs[1].CreateEntry("t", "net", "one", []byte("value")))
	took := within(t, oneLimit, "one entry is everywhere", func() bool { return m.know("t", 1) })
	t.Logf("one entry: %s", took)

	before := m.sent()
	for i, db := range m.dbs {
		for k := range 10 {
			must(t, db.CreateEntry("burst", "net", fmt.Sprintf("%d-%d", i, k), make([]byte, 100)))
		}
	}
	took = within(t, burstLimit, "a burst is everywhere", func() bool { return m.know("burst", 10*count) })
	now := m.sent()
	t.Logf("burst: %s, until then %d packets and %d KB a node", took,
		(now.Packets-before.Packets)/uint64(count), (now.PacketBytes+now.StreamBytes-before.PacketBytes-before.StreamBytes)/uint64(count)/1000) //nolint:gosec // a small number
	if !m.agree("burst") || !m.agree("t") {
		t.Error("the nodes do not agree")
	}
}

// rest measures what nodes send when nothing happens.
func (m *machines) rest(t *testing.T, count int) {
	time.Sleep(5 * time.Second)
	const rest = 10
	for _, db := range m.dbs {
		if s := db.Status(); s.Networks[0].Queue != 0 || s.Networks[0].Lag != 0 || s.ClusterQueue != 0 || s.Work != 0 {
			t.Errorf("%s has something to do: %+v", db.NodeID(), s)
		}
	}
	before := m.sent()
	time.Sleep(rest * time.Second)
	now := m.sent()
	t.Logf("in all %d KB a node; at rest: %d packets and %d bytes a second and node",
		(now.PacketBytes+now.StreamBytes)/uint64(count)/1000, (now.Packets-before.Packets)/uint64(count)/rest, //nolint:gosec // a small number
		(now.PacketBytes+now.StreamBytes-before.PacketBytes-before.StreamBytes)/uint64(count)/rest) //nolint:gosec // a small number
}

// sent is what all nodes sent.
func (m *machines) sent() (sum networkdb.TrafficStatus) {
	for _, db := range m.dbs {
		s := db.Status().Sent
		sum.Packets += s.Packets
		sum.PacketBytes += s.PacketBytes
		sum.Streams += s.Streams
		sum.StreamBytes += s.StreamBytes
	}
	return sum
}

func TestEntriesReachEverybody(t *testing.T) {
	counts := []int{2, 3, 16, 64}
	if *manyNodes > 0 {
		counts = append(counts, *manyNodes)
	}
	for _, count := range counts {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			inBubble(t, count, nil, func(t *testing.T, m *machines) {
				m.joinAll("net")
				t.Logf("members: %s", m.complete(20*time.Second, "net"))
				time.Sleep(5 * time.Second)
				m.spread(t, count, 600*time.Millisecond, 3*time.Second)
				m.rest(t, count)
			})
		})
	}
}
