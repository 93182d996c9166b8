package libnetwork_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/datastore/storetest"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

// bench is a controller whose machine and store fail when told to.
type bench struct {
	t     *testing.T
	c     libnetwork.NetworkController
	host  *kerneltest.FailingHost
	store *storetest.FailingStore
	run   string

	web, db, empty libnetwork.Network
	// lan is on a parent, if there is one; lanJoined of it in sandbox, and lanFree in none.
	lan                libnetwork.Network
	lanJoined, lanFree libnetwork.Endpoint
	joined             libnetwork.Endpoint // on web, in sandbox
	free               libnetwork.Endpoint // on db, in no sandbox
	sandbox            libnetwork.Sandbox
	// external has no namespace yet, and late is in it.
	external  libnetwork.Sandbox
	late      libnetwork.Endpoint
	namespace string
}

func newBench(t *testing.T, host kernel.Host, namespace string) *bench {
	t.Helper()
	b := &bench{
		t: t, host: kerneltest.Failing(host), store: storetest.Failing(memory.New()),
		run: t.TempDir(), namespace: namespace,
	}
	b.c = must[libnetwork.NetworkController](t)(libnetwork.OpenWith(b.host, b.store,
		config.OptionExecRoot(b.run), config.OptionAnnounce(0, 0)))
	t.Cleanup(b.c.Stop)
	b.web = must[libnetwork.Network](t)(b.c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionEnableIPv6(true)))
	b.db = must[libnetwork.Network](t)(b.c.NewNetwork("bridge", "db", ""))
	b.empty = must[libnetwork.Network](t)(b.c.NewNetwork("bridge", "empty", ""))
	b.sandbox = must[libnetwork.Sandbox](t)(b.c.NewSandbox("c1", libnetwork.OptionHostname("one")))
	b.joined = must[libnetwork.Endpoint](t)(b.web.CreateEndpoint("joined"))
	ok(t, b.joined.Join(b.sandbox))
	b.free = must[libnetwork.Endpoint](t)(b.db.CreateEndpoint("free"))
	b.external = must[libnetwork.Sandbox](t)(b.c.NewSandbox("c2", libnetwork.OptionUseExternalKey()))
	b.late = must[libnetwork.Endpoint](t)(b.web.CreateEndpoint("late"))
	ok(t, b.late.Join(b.external))
	t.Cleanup(func() { empty(t, b.c) })
	return b
}

// Addresses of links that ask for none: the kernel chooses another for a link that
// is made again.
var chosenMAC = regexp.MustCompile(`(link (?:veth|ifb|dm-)\S+ .*) mac \S+`)

// state is all there is: in the kernel, in the store, in memory and in files.
func (b *bench) state() string {
	b.t.Helper()
	picture := kerneltest.Snapshot(b.t, b.host, "", b.sandbox.Key(), b.external.Key(), b.namespace)
	text := chosenMAC.ReplaceAllString(picture, "$1") + libnetwork.Reserved(b.c)
	err := b.store.View(context.Background(), func(tx cnm.Tx) error {
		entries, err := tx.List("")
		for _, e := range entries {
			text += fmt.Sprintf("%s = %s\n", e.Key, e.Value)
		}
		return err
	})
	ok(b.t, err)
	ok(b.t, filepath.WalkDir(b.run, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		// A namespace has nothing to read.
		content, _ := os.ReadFile(path)
		text += fmt.Sprintf("%s: %q\n", path, content)
		return nil
	}))
	return text
}

// operation is one thing to do on a bench.
type operation struct {
	name string
	do   func(*bench) error
}

var operations = []operation{
	{"create network", func(b *bench) error {
		_, err := b.c.NewNetwork("bridge", "new", "", libnetwork.NetworkOptionEnableIPv6(true))
		return err
	}},
	{"create endpoint", func(b *bench) error { _, err := b.web.CreateEndpoint("new"); return err }},
	{"create sandbox", func(b *bench) error { _, err := b.c.NewSandbox("new"); return err }},
	{"create sandbox of a namespace", func(b *bench) error {
		_, err := b.c.NewSandbox("new", libnetwork.OptionNamespace(b.namespace))
		return err
	}},
	{"join", func(b *bench) error { return b.free.Join(b.sandbox, libnetwork.JoinOptionPriority(b.free, 9)) }},
	{"set key", func(b *bench) error { return b.external.SetKey(b.namespace) }},
	{"leave", func(b *bench) error { return b.joined.Leave(b.sandbox) }},
	{"delete endpoint by force", func(b *bench) error { return b.joined.Delete(true) }},
	{"delete endpoint", func(b *bench) error { return b.free.Delete(false) }},
	{"delete network", func(b *bench) error { return b.empty.Delete() }},
	{"rename", func(b *bench) error { return b.sandbox.Rename("other") }},
	{"refresh", func(b *bench) error { return b.sandbox.Refresh(libnetwork.OptionHostname("two")) }},
	{"delete sandbox", func(b *bench) error { return b.sandbox.Delete() }},
}

// testFailures makes every step of every operation fail, one after the other, in the
// kernel and then in the store. After each failure the state is what it was before;
// in the end the operation works.
func testFailures(t *testing.T, operations []operation, open func(t *testing.T) (host kernel.Host, namespace string), prepare ...func(*bench)) {
	failures := 0
	for _, operation := range operations {
		for where, failAt := range map[string]func(*bench, int){
			"kernel": func(b *bench, n int) { b.host.FailAt(n) },
			"store":  func(b *bench, n int) { b.store.FailAt(n) },
		} {
			t.Run(operation.name+"/"+where, func(t *testing.T) {
				host, namespace := open(t)
				b := newBench(t, host, namespace)
				for _, more := range prepare {
					more(b)
				}
				before := b.state()
				for n := 1; ; n++ {
					failAt(b, n)
					err := operation.do(b)
					failAt(b, 0)
					after := b.state()
					if err == nil {
						if after == before {
							t.Error("the operation did nothing")
						}
						return
					}
					failures++
					if !strings.Contains(err.Error(), "told to fail") || strings.Contains(err.Error(), "undo:") {
						t.Errorf("step %d: error %v", n, err)
					}
					if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")); diff != "" {
						t.Fatalf("step %d: %v\nstate (-before +after):\n%s", n, err, diff)
					}
				}
			})
		}
	}
	t.Logf("%d failures", failures)
}

func TestFailuresOnLinux(t *testing.T) { testFailures(t, operations, linuxMachine) }

func TestFailuresOnFake(t *testing.T) { testFailures(t, operations, fakeMachine) }

func linuxMachine(t *testing.T) (kernel.Host, string) {
	return kerneltest.NewHost(t), kerneltest.NewNamespace(t)
}

func fakeMachine(t *testing.T) (kernel.Host, string) {
	fake := kerneltest.NewFake()
	const mine = "/run/mine"
	ok(t, fake.Namespaces().Create(t.Context(), mine))
	// That a loopback was brought up is not taken back.
	ok(t, fake.Apply(t.Context(), netstate.Changes{{
		Verb: netstate.Raise, Namespace: mine, Object: netstate.Link{Name: "lo", Kind: netstate.Existing},
	}}))
	return fake, mine
}
