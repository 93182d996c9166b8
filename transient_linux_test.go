package libnetwork_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/datastore/storetest"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/types"
)

// TestGivenNamespace: a namespace of somebody else's is used where it is, and stays.
func TestGivenNamespace(t *testing.T) {
	s := newScratch(t)
	container := kerneltest.NewNamespace(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("theirs", libnetwork.OptionNamespace(container)))
	if sb.Key() != container {
		t.Errorf("the key is %q, want %q", sb.Key(), container)
	}
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("theirs"))
	ok(t, ep.Join(sb))
	ok(t, kerneltest.Ping(container, addr(t, n)))
	if files, err := os.ReadDir(s.run + "/sandboxes"); err == nil && len(files) > 0 {
		t.Errorf("the container's files are somebody else's, and there are %v", files)
	}
	wantNoDifference(t, c)
	c.Stop()

	c = s.open(t)
	ok(t, kerneltest.Ping(container, addr(t, must[libnetwork.Network](t)(c.NetworkByName("web")))))
	ok(t, c.SandboxDestroy("theirs"))
	if links := run(t, container, "ip", "-o", "link"); strings.Contains(links, "eth0") {
		t.Errorf("left in the namespace:\n%s", links)
	}
	if alive, err := netns.Alive(container); err != nil || !alive {
		t.Errorf("the namespace has gone: %v", err)
	}

	// Once it has gone by itself, so has the sandbox.
	short := kerneltest.NewNamespace(t)
	must[libnetwork.Sandbox](t)(c.NewSandbox("short", libnetwork.OptionNamespace(short)))
	ok(t, netns.Delete(short))
	ok(t, c.Repair(context.Background()))
	if len(c.Sandboxes()) != 0 {
		t.Error("the sandbox outlives its namespace")
	}
	for _, options := range [][]libnetwork.SandboxOption{
		{libnetwork.OptionNamespace("relative")}, {libnetwork.OptionNamespace("/nowhere")}, {libnetwork.OptionNamespace("/dev/null")},
		{libnetwork.OptionNamespace(s.host)},
		{libnetwork.OptionNamespace(container), libnetwork.OptionUseExternalKey()},
		{libnetwork.OptionNamespace(container), libnetwork.OptionUseDefaultSandbox()},
		{libnetwork.OptionNamespace(container), libnetwork.OptionHandover()},
	} {
		if _, err := c.NewSandbox("bad", options...); !errors.Is(err, cnm.Invalid) {
			t.Errorf("got %v, want a request that is invalid", err)
		}
	}
	ok(t, must[libnetwork.Network](t)(c.NetworkByName("web")).Delete())
	s.wantEmpty(t)
}

// addr is the gateway's.
func addr(t testing.TB, n libnetwork.Network) (out netip.Addr) {
	t.Helper()
	granted, _ := n.Info().IpamInfo()
	out, _ = netip.AddrFromSlice(granted[0].Gateway.IP.To4())
	return out
}

// lasting is a store that outlives its controller.
type lasting struct{ cnm.Store }

func (lasting) Close() error { return nil }

// TestRecordWithJoin: an attachment is one commit if its maker wants that, and what did not
// come to a join is not found again.
func TestRecordWithJoin(t *testing.T) {
	kerneltest.RequireRoot(t)
	store := storetest.Counting(lasting{memory.New()})
	folder := config.OptionExecRoot(runFolder(t))
	c := must[libnetwork.NetworkController](t)(libnetwork.OpenWith(kerneltest.NewHost(t), store, folder))
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	later, with := libnetwork.CreateOptionRecordWithJoin(), libnetwork.OptionRecordWithJoin()
	namespace := func() libnetwork.SandboxOption {
		return libnetwork.OptionNamespace(kerneltest.NewNamespace(t))
	}
	before := store.Updates()
	wantCommits := func(what string, want int) {
		t.Helper()
		if got := store.Updates() - before; got != want {
			t.Errorf("%s: %d commits so far, want %d", what, got, want)
		}
	}
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one", namespace(), with))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one", later))
	wantCommits("before there is anything in the kernel", 0)
	ok(t, ep.Join(sb))
	wantCommits("attached", 1)
	ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint("again", later)).Join(sb))
	wantCommits("attached again", 2)
	ok(t, sb.Refresh(libnetwork.OptionHostname("one")))
	wantCommits("refreshed", 3)

	// Deleted before it joins, it does not come back with what joins next.
	gone := must[libnetwork.Sandbox](t)(c.NewSandbox("gone", namespace(), with))
	ok(t, gone.Delete())
	// A sandbox of its own has a namespace, which must not be there without a record.
	before = store.Updates()
	must[libnetwork.Sandbox](t)(c.NewSandbox("own", with))
	wantCommits("a namespace was made", 1)

	must[libnetwork.Sandbox](t)(c.NewSandbox("alone", namespace(), with))
	must[libnetwork.Endpoint](t)(n.CreateEndpoint("alone", later))
	if err := c.(libnetwork.Transient).CloseStore(); !errors.Is(err, cnm.Forbidden) {
		t.Errorf("the store of a controller that goes on was closed: %v", err)
	}
	c.Stop()
	c = must[libnetwork.NetworkController](t)(libnetwork.OpenWith(kerneltest.NewHost(t), store, folder))
	defer c.Stop()
	var containers []string
	for _, sb := range c.Sandboxes() {
		containers = append(containers, sb.ContainerID())
	}
	slices.Sort(containers)
	if want := []string{"one", "own"}; !slices.Equal(containers, want) {
		t.Errorf("sandboxes of the next process are those of containers %q, want %q", containers, want)
	}
	n = must[libnetwork.Network](t)(c.NetworkByName("web"))
	for _, name := range []string{"one", "again"} {
		if ep := must[libnetwork.Endpoint](t)(n.EndpointByName(name)); ep.Info().Sandbox() == nil {
			t.Errorf("endpoint %q of the next process is in no sandbox", name)
		}
	}
	if _, err := n.EndpointByName("alone"); err == nil {
		t.Error("an endpoint that joined nothing was recorded")
	}
	for _, sb := range c.Sandboxes() {
		ok(t, sb.Delete())
	}
}

// TestRecordWithJoinThatFails: what could not join is there still, and can be deleted.
func TestRecordWithJoinThatFails(t *testing.T) {
	kerneltest.RequireRoot(t)
	host := kerneltest.NewHost(t)
	store := storetest.Failing(memory.New())
	c := must[libnetwork.NetworkController](t)(libnetwork.OpenWith(host, store, config.OptionExecRoot(runFolder(t))))
	defer c.Stop()
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	container := kerneltest.NewNamespace(t)
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one", libnetwork.OptionNamespace(container), libnetwork.OptionRecordWithJoin()))
	first := must[libnetwork.Endpoint](t)(n.CreateEndpoint("first", libnetwork.CreateOptionRecordWithJoin()))
	store.FailAt(1)
	if err := first.Join(sb); err == nil || !strings.Contains(err.Error(), "was told to fail") {
		t.Errorf("join without a commit: got %v", err)
	}
	ok(t, first.Join(sb))
	ok(t, sb.Delete())
	ok(t, n.Delete())
	ok(t, store.View(context.Background(), func(tx cnm.Tx) error {
		entries, err := tx.List("")
		for _, entry := range entries {
			if entry.Key != "controller" {
				t.Errorf("the store has %q still", entry.Key)
			}
		}
		return err
	}))
}

// TestTransient: ports and rules of before count, though nothing is held or read for them.
func TestTransient(t *testing.T) {
	s := newScratch(t)
	publish := func(port uint16) libnetwork.EndpointOption {
		return libnetwork.CreateOptionPortMapping([]types.PortBinding{{Proto: types.TCP, Port: 80, HostPort: port}})
	}
	attach := func(c libnetwork.NetworkController, name string, port uint16) error {
		n := must[libnetwork.Network](t)(c.NetworkByName("web"))
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name, libnetwork.OptionNamespace(kerneltest.NewNamespace(t))))
		ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint(name, publish(port)))
		err := ep.Join(sb)
		if err != nil {
			ok(t, ep.Delete(true))
			ok(t, sb.Delete())
		}
		return err
	}
	c := s.open(t, config.OptionTransient())
	must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	ok(t, attach(c, "one", 8080))
	c.Stop()

	c = s.open(t, config.OptionTransient())
	// Nobody holds the port, so that the test can have it ...
	ok(t, kerneltest.Do(s.host, func() error {
		listener, err := net.Listen("tcp", "127.0.0.1:8080")
		if err != nil {
			return err
		}
		return listener.Close()
	}))
	// ... but no other container gets it.
	if err := attach(c, "two", 8080); !errors.Is(err, cnm.Exists) || !strings.Contains(err.Error(), `endpoint "one"`) {
		t.Errorf("the port was published twice: %v", err)
	}
	run(t, s.host, "nft", "flush", "ruleset")
	if err := attach(c, "three", 8081); !errors.Is(err, cnm.NotFound) || !strings.Contains(err.Error(), "repair it") {
		t.Errorf("rules were added to a table that is gone: %v", err)
	}
	ok(t, c.Repair(context.Background()))
	ok(t, attach(c, "three", 8081))
	if rules := run(t, s.host, "nft", "list", "ruleset"); strings.Count(rules, ": publish ") != 2 {
		t.Errorf("published ports are\n%s", rules)
	}
	c.Stop()
	c = s.open(t, config.OptionTransient())
	run(t, s.host, "nft", "flush", "ruleset")
	for _, name := range []string{"one", "three"} {
		ok(t, c.SandboxDestroy(name)) // what is gone already is no trouble
	}
	ok(t, must[libnetwork.Network](t)(c.NetworkByName("web")).Delete())
	c.Stop()
	s.wantEmpty(t)
}

// TestMendOneSandbox: one sandbox is compared and mended, with its network.
func TestMendOneSandbox(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionDriverOpts(map[string]string{"com.docker.network.bridge.name": "br-web"})))
	var sandboxes []libnetwork.Sandbox
	for _, name := range []string{"one", "two"} {
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name))
		ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint(name)).Join(sb))
		run(t, sb.Key(), "ip", "address", "flush", "dev", "eth0")
		sandboxes = append(sandboxes, sb)
	}
	mend := func(options libnetwork.MendOptions) string {
		t.Helper()
		found, err := c.(libnetwork.Inspector).Mend(context.Background(), options)
		ok(t, err)
		var subjects []string
		for _, difference := range found {
			subjects = append(subjects, difference.Subject)
		}
		return strings.Join(subjects, ", ")
	}
	run(t, s.host, "ip", "address", "flush", "dev", "br-web")
	one := libnetwork.MendOptions{Sandbox: sandboxes[0].ID(), DryRun: true}
	const want = `network "web", sandbox of container "one"`
	if got := mend(one); got != want {
		t.Errorf("differs: %s, want %s", got, want)
	}
	one.DryRun = false
	if got := mend(one); got != want {
		t.Errorf("mended: %s, want %s", got, want)
	}
	if got := mend(one); got != "" {
		t.Errorf("after it was mended differs: %s", got)
	}
	if got := mend(libnetwork.MendOptions{}); got != `sandbox of container "two"` {
		t.Errorf("of all differs: %s", got)
	}
	for _, sb := range sandboxes {
		ok(t, sb.Delete())
	}
	ok(t, n.Delete())
	s.wantEmpty(t)
	if _, err := c.(libnetwork.Inspector).Mend(context.Background(), libnetwork.MendOptions{Sandbox: "none"}); !errors.Is(err, cnm.NotFound) {
		t.Errorf("of none: %v", err)
	}
}

// TestTransientFailures: whichever step of an attachment fails, in the kernel or in the store,
// nothing of it is left once the caller has taken back what it made.
func TestTransientFailures(t *testing.T) {
	kerneltest.RequireRoot(t)
	failures := 0
	for where, failAt := range map[string]func(*kerneltest.FailingHost, *storetest.FailingStore, int){
		"kernel": func(h *kerneltest.FailingHost, _ *storetest.FailingStore, n int) { h.FailAt(n) },
		"store":  func(_ *kerneltest.FailingHost, s *storetest.FailingStore, n int) { s.FailAt(n) },
	} {
		host, store := kerneltest.Failing(kerneltest.NewHost(t)), storetest.Failing(memory.New())
		container := kerneltest.NewNamespace(t)
		c := must[libnetwork.NetworkController](t)(libnetwork.OpenWith(host, store, config.OptionTransient(), config.OptionExecRoot(runFolder(t))))
		n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
		state := func() string {
			text := kerneltest.Snapshot(t, host, "", container) + libnetwork.Reserved(c)
			ok(t, store.View(context.Background(), func(tx cnm.Tx) error {
				entries, err := tx.List("")
				for _, e := range entries {
					text += e.Key + " = " + string(e.Value) + "\n"
				}
				return err
			}))
			return text
		}
		before := state()
		for step := 1; ; step++ {
			failAt(host, store, step)
			err := attachGiven(c, n, container)
			failAt(host, store, 0)
			if err == nil {
				break
			}
			failures++
			if after := state(); after != before {
				t.Fatalf("%s: step %d failed (%v), and there is left\n%s\nwant\n%s", where, step, err, after, before)
			}
		}
		ok(t, c.SandboxDestroy("one"))
		ok(t, n.Delete())
		c.Stop()
	}
	if failures < 4 {
		t.Errorf("only %d steps failed", failures)
	}
}

// attachGiven does what a plugin does, and takes it back if it fails.
func attachGiven(c libnetwork.NetworkController, n libnetwork.Network, container string) error {
	sb, err := c.NewSandbox("one", libnetwork.OptionNamespace(container))
	if err != nil {
		return err
	}
	ep, err := n.CreateEndpoint("one", libnetwork.CreateOptionPortMapping([]types.PortBinding{{Proto: types.TCP, Port: 80, HostPort: 8080}}))
	if err != nil {
		return errors.Join(err, sb.Delete())
	}
	if err := ep.Join(sb); err != nil {
		return errors.Join(err, ep.Delete(true), sb.Delete())
	}
	return nil
}

// TestNamespaceOfAnother: nothing joins, and nothing is mended, in a namespace that has come to
// be where the sandbox's was; what is left of the sandbox can be deleted.
func TestNamespaceOfAnother(t *testing.T) {
	s := newScratch(t)
	c := s.open(t, config.OptionTransient())
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	first, other, path := kerneltest.NewNamespace(t), kerneltest.NewNamespace(t), t.TempDir()+"/ns"
	ok(t, os.Symlink(first, path))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one", libnetwork.OptionNamespace(path)))
	ok(t, os.Remove(path))
	ok(t, os.Symlink(other, path))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one"))
	if err := ep.Join(sb); !errors.Is(err, cnm.NotFound) || !strings.Contains(err.Error(), "another container's") {
		t.Errorf("joined: %v", err)
	}
	if _, err := c.(libnetwork.Inspector).Mend(context.Background(), libnetwork.MendOptions{Sandbox: sb.ID()}); !errors.Is(err, cnm.NotFound) {
		t.Errorf("mended: %v", err)
	}
	if links := run(t, other, "ip", "-o", "link"); strings.Contains(links, "eth0") {
		t.Errorf("another's namespace has\n%s", links)
	}
	ok(t, ep.Delete(false))
	ok(t, sb.Delete())
	ok(t, n.Delete())
	c.Stop()
	s.wantEmpty(t)
}
