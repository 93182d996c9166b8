package discovery

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/consul"
	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/datastore/zookeeper"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/test/storeserver"
)

// member, in the environment, makes this binary a node: its value is the store's address
// and the node's name.
const member = "LIBNETWORK_TEST_MEMBER"

// quick is short enough for a test, and long enough for a busy machine.
var quick = Options{Heartbeat: 200 * time.Millisecond, TTL: 1200 * time.Millisecond} // is not changed

func TestMain(m *testing.M) {
	if what := os.Getenv(member); what != "" {
		if err := beMember(strings.Fields(what)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	kerneltest.Main(m)
}

// beMember is a node until it is told to end.
func beMember(what []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	store, err := etcd.Open(what[0], etcd.Options{})
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // the process ends
	r, err := New(store, quick)
	if err != nil {
		return err
	}
	if err := r.Register(ctx, Node{Host: what[1]}); err != nil {
		return err
	}
	<-ctx.Done()
	return r.Close(context.Background())
}

func startMember(t *testing.T, address, name string) *exec.Cmd {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", member, address, name))
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // for a test that failed
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	})
	return command
}

// until goes on until the watch tells these nodes.
func (w *watcher) until(names ...string) time.Duration {
	w.t.Helper()
	start := time.Now()
	for {
		change, _, ok := w.next() // an error is no end
		got := strings.Trim(fmt.Sprint(change.Nodes), "[]")
		if got == strings.Join(names, " ") {
			return time.Since(start)
		}
		if !ok {
			w.t.Fatalf("the watch ended with nodes %s", got)
		}
	}
}

func watchFor(t *testing.T, r *Registry, limit time.Duration) *watcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return watchIn(ctx, t, r)
}

func TestProcesses(t *testing.T) {
	server := storeserver.Etcd(t, nil)
	store, err := etcd.Open(server.Address, etcd.Options{Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // the server is the test's
	r, err := New(store, quick)
	if err != nil {
		t.Fatal(err)
	}
	w := watchFor(t, r, time.Minute)
	defer w.stop()
	a, b, c := startMember(t, server.Address, "a"), startMember(t, server.Address, "b"), startMember(t, server.Address, "c")
	w.until("a", "b", "c")

	if err := b.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if took := w.until("a", "c"); took > quick.TTL {
		t.Errorf("a node that leaves was told after %s", took)
	}
	if err := b.Wait(); err != nil {
		t.Error(err)
	}

	// Without a server nobody leaves, for longer than a node lives without signs.
	server.Kill()
	for start := time.Now(); time.Since(start) < 2*quick.TTL; {
		if change, err, _ := w.next(); err == nil || len(change.Nodes) != 2 {
			t.Fatalf("without a server the watch tells %v, %v", change, err)
		}
	}
	server.Start()

	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it was killed
	took := w.until("a")
	t.Logf("a node that was killed was told after %s, with a time to live of %s", took.Round(time.Millisecond), quick.TTL)
	if took < quick.TTL/2 {
		t.Errorf("a node was told to have left after %s", took)
	}
	if err := a.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.until()
	if err := a.Wait(); err != nil {
		t.Error(err)
	}
}

func testStore(t *testing.T, store cnm.Store) {
	t.Helper()
	defer store.Close() //nolint:errcheck // the server is the test's
	r, err := New(store, quick)
	if err != nil {
		t.Fatal(err)
	}
	w := watchFor(t, r, time.Minute)
	defer w.stop()
	w.want(Change{})
	register(t, r, one)
	w.want(Change{Nodes: []Node{one}, Joined: []Node{one}})
	closeRegistry(t, r)
	w.want(Change{Left: []Node{one}})
}

func TestZooKeeper(t *testing.T) {
	store, err := zookeeper.Open(storeserver.ZooKeeper(t).Address, zookeeper.Options{})
	if err != nil {
		t.Fatal(err)
	}
	testStore(t, store)
}

func TestConsul(t *testing.T) {
	store, err := consul.Open(storeserver.Consul(t).Address, consul.Options{})
	if err != nil {
		t.Fatal(err)
	}
	testStore(t, store)
}
