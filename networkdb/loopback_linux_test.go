package networkdb_test

import (
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/networkdb"
)

var loopbackNodes = flag.Int("loopback", 8, "how many nodes to start on loopback, in real time")

// processorTime is what this process has used so far, in user and kernel mode.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLoopback is the same in real time, with sockets. With the default number of nodes
// it shows that they work; with more it measures: go test -run Loopback -v -args -loopback 64.
func TestLoopback(t *testing.T) {
	m := &machines{t: t, dbs: map[int]*networkdb.NetworkDB{}}
	defer func() {
		for _, db := range m.dbs {
			db.Kill()
		}
	}()
	count := *loopbackNodes
	for i := range count {
		db, err := networkdb.New(networkdb.Config{
			NodeID: fmt.Sprintf("node-%d", i), BindAddr: fmt.Sprintf("127.77.%d.%d", i/250, i%250+1), BindPort: 17946,
		})
		if err != nil {
			t.Fatal(err)
		}
		m.dbs[i] = db
		if i > 0 {
			must(t, db.Join(t.Context(), []string{"127.77.0.1"}))
		}
	}
	m.joinAll("net")
	t.Logf("members: %s", m.complete(30*time.Second, "net"))
	time.Sleep(time.Second)
	oneLimit, burstLimit := 600*time.Millisecond, 3*time.Second
	if raceDetector { // which makes a node some ten times slower
		oneLimit, burstLimit = 4*oneLimit, 4*burstLimit
	}
	begin := processorTime(t)
	m.spread(t, count, oneLimit, burstLimit)
	t.Logf("%s of processor time a node", (processorTime(t)-begin)/time.Duration(count))
}
