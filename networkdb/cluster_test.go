package networkdb_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb"
)

// Short names of kinds of error.
const (
	forbidden = cnm.Forbidden
	notFound  = cnm.NotFound
	invalid   = cnm.Invalid
)

// machines is a cluster on a lan, in virtual time.
type machines struct {
	t    testing.TB
	lan  *lan
	dbs  map[int]*networkdb.NetworkDB
	edit func(*networkdb.Config)
	log  *slog.Logger
	// tolerant lets machines start that reach nobody yet.
	tolerant bool
}

func newMachines(t testing.TB, count int, edit func(*networkdb.Config)) *machines {
	m := &machines{t: t, lan: newLan(2 * time.Millisecond), dbs: map[int]*networkdb.NetworkDB{}, edit: edit}
	for i := range count {
		m.start(i, fmt.Sprintf("node-%d", i))
	}
	return m
}

// start starts a machine, and has it join the others.
func (m *machines) start(number int, name string) *networkdb.NetworkDB {
	m.t.Helper()
	db := m.startAlone(number, name)
	var seeds []string
	for seed := range 3 {
		if _, ok := m.dbs[seed]; ok && seed != number || m.tolerant {
			seeds = append(seeds, fmt.Sprintf("10.0.0.%d", seed+1))
		}
	}
	if err := db.Join(m.t.Context(), seeds); err != nil && !m.tolerant {
		m.t.Fatal(err)
	}
	return db
}

// startAlone starts a machine that joins nobody.
func (m *machines) startAlone(number int, name string) *networkdb.NetworkDB {
	m.t.Helper()
	config := networkdb.Config{NodeID: name, Transport: m.lan.plug(number), Logger: m.log}
	if m.edit != nil {
		m.edit(&config)
	}
	db, err := networkdb.New(config)
	if err != nil {
		m.t.Fatal(err)
	}
	m.dbs[number] = db
	return db
}

// withKeys gives keys to the machines that start from now on.
func (m *machines) withKeys(keys ...[]byte) {
	m.edit = func(c *networkdb.Config) { c.Keys = keys }
}

// kill ends a machine without a word.
func (m *machines) kill(number int) {
	m.dbs[number].Kill()
	delete(m.dbs, number)
}

// close ends all machines. What memberlist began ends within its timeouts, and virtual time
// stands still once the test is over.
func (m *machines) close() {
	for number, db := range m.dbs {
		if len(m.dbs) > 16 { // so many goodbyes would take longer than the test
			m.kill(number)
		} else {
			db.Close()
			delete(m.dbs, number)
		}
	}
	time.Sleep(time.Minute)
}

func (m *machines) joinAll(network string) {
	m.t.Helper()
	for i := range len(m.dbs) {
		if err := m.dbs[i].JoinNetwork(m.t.Context(), network); err != nil {
			m.t.Fatal(err)
		}
	}
}

// within waits until the condition holds, and returns how long that took.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !holds() {
		if time.Since(begin) > limit {
			t.Fatalf("%s: not after %s", what, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begin)
}

// contents returns a table as a node shows it: a line for each entry.
func contents(db *networkdb.NetworkDB, table string) string {
	var lines []string
	db.WalkTable(table, func(e networkdb.Entry) bool {
		lines = append(lines, fmt.Sprintf("%s %s=%s of %s", e.NetworkID, e.Key, e.Value, e.Owner))
		return false
	})
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// agree tells whether all machines show the same table.
func (m *machines) agree(table string) bool {
	first := ""
	for i, number := range slices.Sorted(maps.Keys(m.dbs)) {
		text := contents(m.dbs[number], table)
		if i == 0 {
			first = text
		} else if text != first {
			return false
		}
	}
	return true
}

// know tells whether all machines have so many entries.
func (m *machines) know(table string, count int) bool {
	for _, db := range m.dbs {
		if db.Count(table) != count {
			return false
		}
	}
	return true
}

// complete waits until every machine sees all as members of the cluster and the network.
func (m *machines) complete(limit time.Duration, network string) time.Duration {
	m.t.Helper()
	return within(m.t, limit, "all nodes are members", func() bool {
		for _, db := range m.dbs {
			if len(db.ClusterPeers()) != len(m.dbs) || network != "" && len(db.Peers(network)) != len(m.dbs) {
				return false
			}
		}
		return true
	})
}

func inBubble(t *testing.T, count int, edit func(*networkdb.Config), fn func(*testing.T, *machines)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMachines(t, count, edit)
		defer m.close()
		fn(t, m)
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
