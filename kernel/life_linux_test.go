package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/netstate"
)

// eventually polls for a condition, for five seconds at most.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within five seconds: %s", what)
		}
	}
}

func entries(t testing.TB, folder string) int {
	t.Helper()
	all, err := os.ReadDir(folder)
	check(t, err)
	return len(all)
}

func TestOpenRefuses(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, instance := range []string{"", "a b", "a/b", strings.Repeat("x", 65)} {
		if _, err := kernel.Open(kernel.Options{Instance: instance}); !errors.Is(err, cnm.Invalid) {
			t.Errorf("instance %q: got %v, want kind %s", instance, err, cnm.Invalid)
		}
	}
	for path, want := range map[string]cnm.Kind{filepath.Join(t.TempDir(), "missing"): cnm.NotFound, "/dev/null": cnm.Invalid} {
		if _, err := kernel.Open(kernel.Options{Instance: "test", HostNamespace: path}); !errors.Is(err, want) {
			t.Errorf("host namespace %q: got %v, want kind %s", path, err, want)
		}
	}
}

func TestHostOfTheProcess(t *testing.T) {
	kerneltest.RequireRoot(t)
	host := openHost(t, "", "test")
	if ok, err := host.Namespaces().Alive(t.Context(), host.Namespaces().HostPath()); err != nil || !ok {
		t.Errorf("%q stands for no namespace: %v", host.Namespaces().HostPath(), err)
	}
	parts, err := host.Observe(t.Context(), "")
	check(t, err)
	want := netstate.Link{Name: "lo", Kind: netstate.Existing, MTU: 65536}
	if len(parts) != 1 || parts[0].Owner != "" || len(parts[0].Links) != 1 || parts[0].Links[0] != want {
		t.Errorf("observed %+v, want the loopback only", parts)
	}
}

// TestLeavesNothingBehind attaches and detaches from many goroutines, and looks
// whether descriptors, threads and goroutines are left when the host is closed.
func TestLeavesNothingBehind(t *testing.T) {
	kerneltest.RequireRoot(t)
	const workers, rounds = 10, 6
	path, folder := kerneltest.NewNamespace(t), t.TempDir()
	round := func() {
		host, err := kernel.Open(kernel.Options{HostNamespace: path, Instance: "test"})
		check(t, err)
		apply(t, host, nil, networkPart())
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				for range rounds {
					if err := comeAndGo(host, w, filepath.Join(folder, fmt.Sprint(w))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		apply(t, host, networkPart(), nil)
		check(t, host.Close())
	}
	round() // the threads that the runtime keeps are there after this
	goroutines := runtime.NumGoroutine()
	files, threads := entries(t, "/proc/self/fd"), entries(t, "/proc/self/task")
	round()
	if got := entries(t, "/proc/self/fd"); got > files {
		t.Errorf("%d descriptors before, %d after", files, got)
	}
	if got := entries(t, "/proc/self/task"); got > threads+workers {
		t.Errorf("%d threads before, %d after", threads, got)
	}
	eventually(t, "as few goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// comeAndGo attaches a container and detaches it, with a look in between.
func comeAndGo(host kernel.Host, i int, path string) error {
	ctx := context.Background()
	if err := host.Namespaces().Create(ctx, path); err != nil {
		return err
	}
	parts := endpointParts(i, path)
	if err := host.Apply(ctx, netstate.Diff(nil, parts)); err != nil {
		return err
	}
	observed, err := host.Observe(ctx, "", path)
	if err != nil {
		return err
	}
	if !strings.Contains(kerneltest.Picture(observed), "dev eth0\n") {
		return fmt.Errorf("container %d is not to be seen in\n%s", i, kerneltest.Picture(observed))
	}
	if err := host.Apply(ctx, netstate.Diff(parts, nil)); err != nil {
		return err
	}
	return host.Namespaces().Delete(ctx, path)
}

func TestNamespaceThatIsInUseElsewhere(t *testing.T) {
	host := kerneltest.NewHost(t)
	path := filepath.Join(t.TempDir(), "c")
	// Namespaces come and go at one path while others work with whatever is there.
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				_, err := host.Observe(context.Background(), path)
				if err != nil && !errors.Is(err, cnm.NotFound) && !errors.Is(err, cnm.Invalid) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 50 {
		check(t, host.Namespaces().Create(t.Context(), path))
		check(t, host.Namespaces().Delete(t.Context(), path))
	}
	cancel()
	all.Wait()
}

func TestClose(t *testing.T) {
	path := kerneltest.NewNamespace(t)
	host, err := kernel.Open(kernel.Options{HostNamespace: path, Instance: "test"})
	check(t, err)
	namespace := kerneltest.NewNamespace(t)
	apply(t, host, nil, slices.Concat(networkPart(), endpointParts(1, namespace)))
	apply(t, host, slices.Concat(networkPart(), endpointParts(1, namespace)), nil)
	for range 2 {
		check(t, host.Close()) // waits for the deletions
	}
	for name, err := range map[string]error{
		"apply":  host.Apply(t.Context(), netstate.Diff(nil, networkPart())),
		"watch":  host.Watch(t.Context(), func() {}),
		"create": host.Namespaces().Create(t.Context(), filepath.Join(t.TempDir(), "c")),
	} {
		if !errors.Is(err, cnm.Unavailable) {
			t.Errorf("%s after Close: got %v, want kind %s", name, err, cnm.Unavailable)
		}
	}
}

func TestContextThatIsDone(t *testing.T) {
	host := kerneltest.NewHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "c")
	_, observeErr := host.Observe(ctx, "")
	for name, err := range map[string]error{
		"apply":   host.Apply(ctx, netstate.Diff(nil, networkPart())),
		"create":  host.Namespaces().Create(ctx, path),
		"observe": observeErr,
	} {
		if !errors.Is(err, cnm.Timeout) {
			t.Errorf("%s: got %v, want kind %s", name, err, cnm.Timeout)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the namespace was made: %v", err)
	}
}

func TestWatch(t *testing.T) {
	host := kerneltest.NewHost(t)
	files := entries(t, "/proc/self/fd")
	ctx, cancel := context.WithCancel(t.Context())
	notes := make(chan struct{}, 1000)
	check(t, host.Watch(ctx, func() { notes <- struct{}{} }))
	changed := func(what string) {
		t.Helper()
		select {
		case <-notes:
		case <-time.After(5 * time.Second):
			t.Fatalf("nothing was heard of %s", what)
		}
	}
	apply(t, host, nil, networkPart())
	changed("a new bridge")
	do(t, host, change(netstate.Add, netstate.Route{Link: "br-n", Destination: netip.MustParsePrefix("198.51.100.0/24")}))
	changed("a route")
	// What was on its way before comes within the time that changes are gathered in;
	// a burst makes a few calls, not one for each of its some hundred messages.
	var burst []netstate.Change
	for i := range 100 {
		burst = append(burst, change(netstate.Add, netstate.Addr{Link: "br-n", Prefix: netip.MustParsePrefix(fmt.Sprintf("198.18.%d.1/24", i))}))
	}
	do(t, host, burst...)
	changed("addresses")
	if n := len(notes); n > 20 {
		t.Errorf("%d calls for a burst", n)
	}
	cancel()
	eventually(t, "the watcher's descriptor is closed", func() bool { return entries(t, "/proc/self/fd") <= files })
}

func TestWatchEndsWithHost(t *testing.T) {
	path := kerneltest.NewNamespace(t)
	goroutines := runtime.NumGoroutine()
	host, err := kernel.Open(kernel.Options{HostNamespace: path, Instance: "test"})
	check(t, err)
	check(t, host.Watch(context.Background(), func() {}))
	check(t, host.Close())
	eventually(t, "as few goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// TestAnnounce gives containers other MAC addresses, of which the host learns by
// announcements only.
func TestAnnounce(t *testing.T) {
	host := kerneltest.NewHost(t)
	namespace := newNamespace(t, host)
	parts := endpointParts(1, namespace)
	apply(t, host, nil, slices.Concat(networkPart(), parts))
	outside := host.Namespaces().HostPath()
	var addresses []netip.Addr
	for _, a := range parts[1].Addrs {
		addresses = append(addresses, a.Prefix.Addr())
		check(t, kerneltest.Ping(outside, a.Prefix.Addr())) // the host knows it from now on
	}
	moved := parts[1].Links[0]
	moved.MAC = netstate.MAC{2, 0, 0, 7, 7, 7}
	update := change(netstate.Update, moved)
	update.Namespace = namespace
	do(t, host, update)
	knows := func(ip netip.Addr) (mac netstate.MAC) {
		check(t, kerneltest.Do(outside, func() (err error) {
			mac, err = learned("br-n", ip)
			return err
		}))
		return mac
	}
	for _, ip := range addresses {
		if knows(ip) == moved.MAC {
			t.Fatalf("%s is known by its new address already", ip)
		}
	}
	check(t, host.Container().Announce(t.Context(), namespace, "eth0", addresses))
	for _, ip := range addresses {
		eventually(t, fmt.Sprintf("%s is known by its new address", ip), func() bool { return knows(ip) == moved.MAC })
	}
	if err := host.Container().Announce(t.Context(), namespace, "missing", addresses); !errors.Is(err, cnm.NotFound) {
		t.Errorf("got %v, want kind %s", err, cnm.NotFound)
	}
}

func TestHasIPv6(t *testing.T) {
	host := kerneltest.NewHost(t)
	namespace := newNamespace(t, host)
	has := func() bool {
		got, err := host.Container().HasIPv6(t.Context(), namespace)
		check(t, err)
		return got
	}
	raise := change(netstate.Raise, netstate.Link{Name: "lo", Kind: netstate.Existing})
	disable := change(netstate.Write, netstate.Sysctl{Key: "net/ipv6/conf/all/disable_ipv6", Value: "1"})
	raise.Namespace, disable.Namespace = namespace, namespace
	do(t, host, raise)
	if !has() {
		t.Error("a namespace with IPv6 has none")
	}
	do(t, host, disable)
	if has() {
		t.Error("a namespace without IPv6 has it")
	}
}

func TestNamespacesList(t *testing.T) {
	host := kerneltest.NewHost(t)
	folder := filepath.Join(t.TempDir(), "ns")
	list := func() string {
		got, err := host.Namespaces().List(t.Context(), folder, "c-")
		check(t, err)
		return strings.Join(got, " ")
	}
	if got := list(); got != "" {
		t.Errorf("a folder that is missing has %s", got)
	}
	a, b := filepath.Join(folder, "c-a"), filepath.Join(folder, "c-b")
	check(t, host.Namespaces().Create(t.Context(), b))
	check(t, host.Namespaces().Bind(t.Context(), a, b))
	check(t, os.WriteFile(filepath.Join(folder, "c-broken"), nil, 0o600))
	check(t, os.WriteFile(filepath.Join(folder, "other"), nil, 0o600))
	if got, want := list(), a+" "+b+" "+filepath.Join(folder, "c-broken"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// Another path of the same namespace keeps it alive.
	check(t, host.Namespaces().Delete(t.Context(), b))
	if ok, err := netns.Alive(a); err != nil || !ok {
		t.Errorf("the namespace went with the first of its paths: %v", err)
	}
	check(t, host.Namespaces().Delete(t.Context(), a))
}
