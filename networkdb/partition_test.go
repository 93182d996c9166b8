package networkdb_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/docker/libnetwork/networkdb"
)

// TestHalvesComeTogether cuts a cluster in two, changes entries on both sides, and heals it.
// The longer cut outlasts the memory of deletions: what one half has deleted and forgotten,
// the other half still has.
func TestHalvesComeTogether(t *testing.T) {
	const count, limit = 10, 5 * time.Second
	for _, cut := range []time.Duration{10 * time.Second, 2 * time.Minute, 5 * time.Minute} {
		t.Run(cut.String(), func(t *testing.T) {
			remember := func(c *networkdb.Config) { c.TombstoneTime = 2 * time.Minute }
			inBubble(t, count, remember, func(t *testing.T, m *machines) {
				m.joinAll("net")
				for i := range count {
					for k := range 10 {
						must(t, m.dbs[i].CreateEntry("t", "net", fmt.Sprintf("%d/%d", i, k), []byte("before")))
					}
				}
				within(t, limit, "all is everywhere", func() bool { return m.know("t", 10*count) })
				m.lan.partition(map[int]int{0: 1, 2: 1, 4: 1, 6: 1, 8: 1})
				time.Sleep(cut / 2)
				for i := range count {
					must(t, m.dbs[i].DeleteEntry("t", "net", fmt.Sprintf("%d/0", i)))
					must(t, m.dbs[i].UpdateEntry("t", "net", fmt.Sprintf("%d/1", i), []byte("during")))
					must(t, m.dbs[i].CreateEntry("t", "net", fmt.Sprintf("%d/new", i), []byte("during")))
				}
				time.Sleep(cut / 2)
				t.Logf("node-0 shows %d entries at the end of the cut", m.dbs[0].Count("t"))
				m.lan.partition(nil)
				took := within(t, limit, "all is everywhere again", func() bool { return m.know("t", 10*count) && m.agree("t") })
				t.Logf("together after %s", took)
				time.Sleep(10 * time.Second) // and it stays so
				if !m.know("t", 10*count) || !m.agree("t") {
					t.Error("it did not stay so")
				}
				for i := range count {
					if _, err := m.dbs[(i+1)%count].GetEntry("t", "net", fmt.Sprintf("%d/0", i)); err == nil {
						t.Errorf("what node %d deleted is there again", i)
					}
				}
			})
		})
	}
}
