package networkdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb"
)

func TestConfigIsChecked(t *testing.T) {
	for want, c := range map[string]networkdb.Config{
		"node id: must not be empty":             {},
		"node id: has 256 bytes, of 255 at most": {NodeID: strings.Repeat("x", 256)},
		`bind address "host": no IP address`:     {NodeID: "n", BindAddr: "host"},
		"bind port 70000: must be from":          {NodeID: "n", BindPort: 70000, AdvertisePort: 1},
		"packet buffer size 100: must be from":   {NodeID: "n", PacketBufferSize: 100},
		"key 1: must have 16, 24 or 32 bytes":    {NodeID: "n", Keys: [][]byte{key(1), {1}}},
		"probe interval -1s":                     {NodeID: "n", ProbeInterval: -time.Second},
		"max bytes -1":                           {NodeID: "n", MaxBytes: -1},
	} {
		db, err := networkdb.New(c)
		if db != nil {
			db.Close()
		}
		if !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), "start network database: "+want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	c := networkdb.Config{NodeID: "a", BindAddr: "127.77.9.1", BindPort: 17946}
	db, err := networkdb.New(c)
	must(t, err)
	defer db.Close()
	if _, err := networkdb.New(c); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("a second one at the same address: %v", err)
	}
}

func TestErrors(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, m *machines) {
		a, b := m.dbs[0], m.dbs[1]
		check := func(err error, kind cnm.Kind, text string) {
			t.Helper()
			if !errors.Is(err, kind) || err.Error() != text {
				t.Errorf("got %q of kind %q, want %q of kind %q", err, cnm.KindOf(err), text, kind)
			}
		}
		const k = `entry "k" of table "t" in network "net": `
		check(a.CreateEntry("t", "net", "k", nil), cnm.Forbidden, "create "+k+"this node has not joined the network: join it first")
		check(a.LeaveNetwork("net"), cnm.NotFound, `leave network "net": this node has not joined the network: join it first`)
		_, err := a.GetEntry("t", "net", "k")
		check(err, cnm.NotFound, "get "+k+"this node has not joined the network: join it first")
		m.joinAll("net")
		must(t, a.JoinNetwork(t.Context(), "net")) // again
		_, err = a.GetEntry("t", "net", "k")
		check(err, cnm.NotFound, "get "+k+"not found")
		check(a.UpdateEntry("t", "net", "k", nil), cnm.NotFound, "update "+k+"not found")
		check(a.DeleteEntry("t", "net", "k"), cnm.NotFound, "delete "+k+"not found")
		must(t, a.CreateEntry("t", "net", "k", []byte("v")))
		check(a.CreateEntry("t", "net", "k", nil), cnm.Exists, "create "+k+"already exists")
		within(t, time.Second, "it is there", func() bool { return b.Count("t") == 1 })
		check(b.CreateEntry("t", "net", "k", nil), cnm.Exists, "create "+k+`node "node-0" has it`)
		check(b.UpdateEntry("t", "net", "k", nil), cnm.Forbidden, "update "+k+`it belongs to node "node-0"`)
		check(b.DeleteEntry("t", "net", "k"), cnm.Forbidden, "delete "+k+`it belongs to node "node-0"`)
		check(a.JoinNetwork(t.Context(), ""), cnm.Invalid, `join network "": network: must not be empty`)
		check(a.Join(t.Context(), []string{"192.0.2.1:x"}), cnm.Invalid, `join cluster: member "192.0.2.1:x": port "x": must be from 1 to 65535`)
		if err := a.CreateEntry("", "net", "", make([]byte, networkdb.MaxValueLength+1)); !errors.Is(err, cnm.Invalid) {
			t.Errorf("names that are empty: %v", err)
		}
		check(a.SetKey(key(1)), cnm.Forbidden, "set key: the database was started without keys: start it with some")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		check(a.Join(ctx, []string{"192.0.2.99"}), cnm.Timeout, "join cluster: context deadline exceeded")
		must(t, a.Join(t.Context(), nil))
		time.Sleep(5 * time.Second)
		a.Close()
		a.Close()
		check(a.CreateEntry("t", "net", "l", nil), cnm.Forbidden, `create entry "l" of table "t" in network "net": the database is closed`)
		check(a.JoinNetwork(t.Context(), "other"), cnm.Forbidden, `join network "other": the database is closed`)
		check(a.Join(t.Context(), []string{"10.0.0.2"}), cnm.Forbidden, "join cluster: the database is closed")
		events, stop := a.Watch("", "", "")
		if e, ok := <-events; ok {
			t.Errorf("a closed database has %v", e)
		}
		stop()
		within(t, 2*time.Second, "its entries are gone", func() bool { return b.Count("t") == 0 && len(b.ClusterPeers()) == 1 })
	})
}

func TestLargeValues(t *testing.T) {
	inBubble(t, 4, nil, func(t *testing.T, m *machines) {
		m.joinAll("net")
		for i, size := range []int{0, 1250, 1300, 1400, networkdb.MaxValueLength} {
			value := bytes.Repeat([]byte{byte(i)}, size)
			must(t, m.dbs[0].CreateEntry("t", "net", fmt.Sprint(size), value))
			within(t, 3*time.Second, fmt.Sprint(size, " bytes are everywhere"), func() bool { return m.know("t", i+1) })
			for _, db := range m.dbs {
				if got, err := db.GetEntry("t", "net", fmt.Sprint(size)); err != nil || !bytes.Equal(got, value) {
					t.Errorf("a value of %d bytes has %d, %v", size, len(got), err)
				}
			}
		}
		late := m.start(9, "late") // gets more than fits into one message
		for i := range 20 {
			must(t, m.dbs[0].CreateEntry("many", "net", fmt.Sprint(i), make([]byte, networkdb.MaxValueLength)))
		}
		must(t, late.JoinNetwork(t.Context(), "net"))
		within(t, 5*time.Second, "five megabytes are there", func() bool { return late.Count("many") == 20 && late.Count("t") == 5 })
	})
}

func TestMaxBytes(t *testing.T) {
	inBubble(t, 2, func(c *networkdb.Config) {
		if c.NodeID == "node-1" {
			c.MaxBytes = 10000
		}
	}, func(t *testing.T, m *machines) {
		m.joinAll("net")
		var err error
		made := 0
		for err == nil && made < 100 {
			if err = m.dbs[1].CreateEntry("t", "net", fmt.Sprint(made), make([]byte, 300)); err == nil {
				made++
			}
		}
		if !errors.Is(err, cnm.Exhausted) || made < 10 {
			t.Errorf("after %d entries: %v", made, err)
		}
		within(t, time.Second, "those are known", func() bool { return m.dbs[0].Count("t") == made })
		must(t, m.dbs[0].CreateEntry("t", "net", "more", make([]byte, 1000)))
		time.Sleep(5 * time.Second)
		if got := m.dbs[1].Count("t"); got != made {
			t.Errorf("it has %d entries, want %d", got, made)
		}
		if s := m.dbs[1].Status(); s.Refused == 0 || s.Bytes > s.MaxBytes || len(s.Networks) != 1 || s.Networks[0].Lag == 0 {
			t.Errorf("status: %+v", s)
		}
	})
}

// TestSlowReader: a reader that stands still costs a place for each entry, and learns
// the last state.
func TestSlowReader(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, m *machines) {
		m.joinAll("net")
		events, stop := m.dbs[1].Watch("t", "net", "")
		for i := range 1000 {
			k := fmt.Sprint(i % 10)
			if i < 10 {
				must(t, m.dbs[0].CreateEntry("t", "net", k, nil))
			} else {
				must(t, m.dbs[0].UpdateEntry("t", "net", k, fmt.Append(nil, i)))
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		if got := m.dbs[1].Status().Backlog; got > 10 {
			t.Errorf("the backlog is %d", got)
		}
		last := map[string]string{}
		count := 0
		for len(last) < 10 || m.dbs[1].Status().Backlog > 0 {
			switch e := (<-events).(type) {
			case networkdb.CreateEvent:
				last[e.Key] = string(e.Value)
			case networkdb.UpdateEvent:
				last[e.Key] = string(e.Value)
			default:
				t.Fatalf("%#v", e)
			}
			count++
		}
		select {
		case e := <-events: // the one that the watcher holds in its hand
			if u, ok := e.(networkdb.UpdateEvent); ok {
				last[u.Key] = string(u.Value)
			}
		case <-time.After(time.Second):
		}
		for k, v := range last {
			if want := "99" + k; v != want {
				t.Errorf("%q is %q in the end, want %q", k, v, want)
			}
		}
		if count > 12 {
			t.Errorf("%d events for ten entries", count)
		}
		stop()
		if _, ok := <-events; ok {
			t.Error("the channel is not closed")
		}
	})
}

// TestFailureHidesAndReturnRestores is what watchers see of a node that is cut off.
func TestFailureHidesAndReturnRestores(t *testing.T) {
	inBubble(t, 5, nil, func(t *testing.T, m *machines) {
		m.joinAll("net")
		m.complete(10*time.Second, "net")
		must(t, m.dbs[4].CreateEntry("t", "net", "k", []byte("v")))
		within(t, time.Second, "it is everywhere", func() bool { return m.know("t", 1) })
		events, stop := m.dbs[0].Watch("t", "", "")
		defer stop()
		next := func(want string) {
			t.Helper()
			select {
			case e := <-events:
				if got := fmt.Sprintf("%T", e); got != "networkdb."+want {
					t.Errorf("got %s, want %s", got, want)
				}
			case <-time.After(time.Minute):
				t.Fatalf("no %s", want)
			}
		}
		next("CreateEvent")
		m.lan.partition(map[int]int{4: 1})
		begin := time.Now()
		next("DeleteEvent")
		t.Logf("hidden after %s", time.Since(begin))
		time.Sleep(10 * time.Minute)
		m.lan.partition(nil)
		begin = time.Now()
		next("CreateEvent")
		t.Logf("restored after %s", time.Since(begin))
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %s until it was back", took)
		}
		must(t, m.dbs[4].LeaveNetwork("net"))
		next("DeleteEvent")
		within(t, time.Second, "it is gone everywhere", func() bool { return m.know("t", 0) })
	})
}

func TestClusterFormsWhicheverStartsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachines(t, 0, nil)
		defer m.close()
		m.tolerant = true
		for i := range 3 { // each is alone when it starts
			db := m.startAlone(i, fmt.Sprintf("node-%d", i))
			m.lan.partition(map[int]int{i: 1})
			if err := db.Join(t.Context(), []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}); i == 0 && err != nil {
				t.Error(err) // it reaches itself
			}
		}
		m.lan.partition(nil)
		t.Logf("one cluster after %s", m.complete(10*time.Second, ""))
	})
}

func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 3 {
		db, err := networkdb.New(networkdb.Config{NodeID: "n", BindAddr: "127.77.8.1", BindPort: 17946})
		must(t, err)
		must(t, db.JoinNetwork(t.Context(), "net"))
		_, stop := db.Watch("", "", "")
		if i == 1 { // Close ends those that are not stopped
			stop()
		}
		db.Close()
	}
	within(t, 5*time.Second, "goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

func TestLogTellsWhatMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text lockedBuffer
		m := newMachines(t, 0, nil)
		m.log = slog.New(slog.NewTextHandler(&text, nil))
		m.startAlone(0, "a")
		m.start(1, "b")
		defer m.close()
		m.lan.partition(map[int]int{1: 1})
		time.Sleep(time.Minute)
		m.lan.partition(nil)
		m.complete(10*time.Second, "")
		if !strings.Contains(text.String(), `msg="cluster joined again"`) {
			t.Errorf("the log is %s", text.String())
		}
	})
}
