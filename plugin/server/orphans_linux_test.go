package server

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// TestPrune: what the engine does not have any more is told, and removed.
func TestPrune(t *testing.T) {
	s := newSite(t)
	for i := range 2 {
		s.call(protocol.CreateNetwork, bridgeRequest(i, nil), &protocol.Empty{})
	}
	s.call(protocol.CreateEndpoint, endpointRequest(0, 1, "10.0.0.7/24"), &protocol.CreateEndpointReply{})
	s.call(protocol.CreateEndpoint, endpointRequest(0, 2, "10.0.0.8/24"), &protocol.CreateEndpointReply{})
	s.call(protocol.Join, joinRequest(0, 2, "/run/c"), &protocol.JoinReply{})
	_, err := s.controller.NewSandbox("docker-x", sandboxOptions(map[string]any{LabelPlugin: "dnet"})...)
	ok(t, err)
	for _, pool := range []string{"10.8.0.0/24", "10.9.0.0/24"} {
		s.call(protocol.RequestPool, protocol.RequestPoolRequest{AddressSpace: "LocalDefault", Pool: pool}, &protocol.RequestPoolReply{})
	}
	for range 3 {
		s.call(protocol.RequestAddress, protocol.RequestAddressRequest{PoolID: "LocalDefault/10.8.0.0/24"}, &protocol.RequestAddressReply{})
	}
	// An engine does not list a gateway that it was given without asking for one.
	s.call(protocol.RequestAddress, protocol.RequestAddressRequest{
		PoolID: "LocalDefault/10.8.0.0/24", Address: "10.8.0.200", Options: map[string]string{protocol.RequestAddressType: protocol.GatewayAddress},
	}, &protocol.RequestAddressReply{})
	kept := []manage.KeptNetwork{
		{ID: networkID(0), Subnets: []string{"10.0.0.0/24"}, Endpoints: []string{endpointID(1)}},
		{ID: "else", Subnets: []string{"10.8.0.0/24"}, Addresses: []string{"10.8.0.1", "10.8.0.3/24"}},
	}
	var reply manage.PruneReply
	s.call(manage.Prune, manage.PruneRequest{Networks: kept}, &reply)
	if len(reply.Removed) > 0 {
		t.Errorf("removed what may just be in use: %q", reply.Removed)
	}
	time.Sleep(1100 * time.Millisecond) // the least age is a second
	want := []string{
		"address 10.8.0.2 of pool LocalDefault/10.8.0.0/24",
		"endpoint " + endpointID(2) + " of network " + networkID(0),
		"network " + networkID(1) + ", with 0 endpoints",
		"pool LocalDefault/10.9.0.0/24, with 0 addresses",
		"sandbox docker-x",
	}
	for _, dryRun := range []bool{true, false} {
		s.call(manage.Prune, manage.PruneRequest{Networks: kept, Age: 1, DryRun: dryRun}, &reply)
		if !slices.Equal(reply.Removed, want) || len(reply.Problems) > 0 {
			t.Errorf("removed %q, want %q; problems %q", reply.Removed, want, reply.Problems)
		}
	}
	var listing manage.Listing
	s.call(manage.List, nil, &listing)
	if len(listing.Networks) != 1 || len(listing.Networks[0].Endpoints) != 1 || len(listing.Pools) != 1 || len(listing.Pools[0].Addresses) != 3 || len(s.controller.Sandboxes()) != 0 {
		t.Errorf("left is %+v", listing)
	}
	s.call(manage.Prune, manage.PruneRequest{Networks: kept[1:], Age: 1}, &reply)
	s.call(protocol.ReleasePool, protocol.ReleasePoolRequest{PoolID: "LocalDefault/10.8.0.0/24"}, &protocol.Empty{})
	s.wantNothing()
}

// TestSweep: a new engine gets what a dead one had, if the container is gone too.
func TestSweep(t *testing.T) {
	s := newSite(t)
	s.call(protocol.CreateNetwork, bridgeRequest(1, nil), &protocol.Empty{})
	s.call(protocol.RequestPool, protocol.RequestPoolRequest{AddressSpace: "LocalDefault", Pool: "10.1.0.0/24"}, &protocol.RequestPoolReply{})
	dead, alive := filepath.Join(t.TempDir(), "dead"), kerneltest.NewNamespace(t)
	ok(t, netns.Create(dead, func() error { return nil }))
	for i, key := range []string{dead, alive, "/run/never", ""} {
		address := []string{"10.1.0.11", "10.1.0.12", "10.1.0.13", "10.1.0.14"}[i]
		s.call(protocol.RequestAddress, protocol.RequestAddressRequest{PoolID: "LocalDefault/10.1.0.0/24", Address: address}, &protocol.RequestAddressReply{})
		s.call(protocol.CreateEndpoint, endpointRequest(1, i, address+"/24"), &protocol.CreateEndpointReply{})
		if key == "" {
			continue // it has never joined
		}
		var joined protocol.JoinReply
		s.call(protocol.Join, joinRequest(1, i, key), &joined)
		if key == dead || key == alive {
			s.take(key, joined, address+"/24")
		}
	}
	left := func(e engine) string {
		s.server.sweepFor(context.Background(), e)
		var listing manage.Listing
		s.call(manage.List, nil, &listing)
		var out []string
		for _, ep := range listing.Networks[0].Endpoints {
			out = append(out, strings.TrimSuffix(ep.Address, "/24"))
		}
		slices.Sort(out)
		var leases []string
		for _, a := range listing.Pools[0].Addresses {
			leases = append(leases, a.Address)
		}
		if !slices.Equal(out, leases) {
			t.Errorf("endpoints have %q, and the book %q", out, leases)
		}
		return strings.Join(out, " ")
	}
	all := "10.1.0.11 10.1.0.12 10.1.0.13 10.1.0.14"
	if got := left(engine{root: "/proc/self/root", started: time.Now().Add(-time.Hour)}); got != all {
		t.Errorf("an engine that had them made is left %s", got)
	}
	later := engine{root: "/proc/self/root", started: time.Now().Add(time.Hour)}
	// The dead container's end of the link is still there, as its namespace is.
	if got := left(later); got != "10.1.0.11 10.1.0.12" {
		t.Errorf("a new engine is left %s", got)
	}
	s.restart()
	ok(t, netns.Delete(dead))
	for end := time.Now().Add(5 * time.Second); left(later) != "10.1.0.12"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a new engine is left %s", left(later))
		}
	}
	if !(engine{root: "/proc/0/root"}).alive(dead) || !later.alive("") || later.alive(dead) || !later.alive(alive) {
		t.Error("who is alive is wrong")
	}
	s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, &protocol.Empty{})
	s.call(protocol.ReleasePool, protocol.ReleasePoolRequest{PoolID: "LocalDefault/10.1.0.0/24"}, &protocol.Empty{})
	s.wantNothing()
}

// TestEngineRoot: a managed plugin has another /var/run than the engine, whose one leads
// elsewhere by an absolute link.
func TestEngineRoot(t *testing.T) {
	kerneltest.RequireRoot(t)
	root := t.TempDir()
	ok(t, os.MkdirAll(filepath.Join(root, "engine-run"), 0o755))
	ok(t, os.Mkdir(filepath.Join(root, "var"), 0o755))
	ok(t, os.Symlink("/engine-run", filepath.Join(root, "var", "run")))
	pinned := filepath.Join(root, "engine-run", "c")
	ok(t, netns.Create(pinned, func() error { return nil }))
	e := engine{root: root}
	if !e.alive("/var/run/c") {
		t.Error("a container that lives is taken for dead")
	}
	ok(t, netns.Delete(pinned))
	if e.alive("/var/run/c") {
		t.Error("a container that is dead is taken for alive")
	}
}

// TestSocket: where engines look, and nobody else can.
func TestSocket(t *testing.T) {
	kerneltest.RequireRoot(t)
	folder := filepath.Join(t.TempDir(), "a", "plugins")
	path := filepath.Join(folder, "dnet.sock")
	ctx := context.Background()
	serve := func() (stop func() error) {
		l, err := Listen(path)
		ok(t, err)
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		s := newEmpty(t)
		go func() { done <- Serve(ctx, l, s, time.Second, s.Log) }()
		return func() error { cancel(); return <-done }
	}
	stop := serve()
	for where, mode := range map[string]os.FileMode{folder: os.ModeDir | folderMode, path: os.ModeSocket | socketMode} {
		if info, err := os.Lstat(where); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want %v", where, info.Mode(), err, mode)
		}
	}
	var got protocol.Activation
	ok(t, manage.Ask(ctx, path, protocol.Activate, protocol.Empty{}, &got))
	if len(got.Implements) != 2 {
		t.Errorf("implements %q", got.Implements)
	}
	if err := manage.Ask(ctx, path, protocol.Join, protocol.JoinRequest{NetworkID: "n"}, &got); err == nil || !strings.Contains(err.Error(), `network "n": not found`) {
		t.Errorf("asked for nothing: %v", err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "a plugin of that name is running") {
		t.Errorf("a second plugin: %v", err)
	}
	ok(t, stop())
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	if err := manage.Ask(ctx, path, protocol.Activate, protocol.Empty{}, &got); err == nil || !strings.Contains(err.Error(), "is the plugin running?") {
		t.Errorf("asked nobody: %v", err)
	}

	// One that was killed leaves its file.
	l, err := Listen(path)
	ok(t, err)
	ok(t, l.(*listener).UnixListener.Close())
	stop = serve()
	// Whoever takes the place meanwhile keeps it.
	ok(t, os.Remove(path))
	ok(t, os.WriteFile(path, nil, 0o600))
	ok(t, stop())
	if _, err := os.Stat(path); err != nil {
		t.Errorf("another's file was removed: %v", err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("in place of a file: %v", err)
	}
	ok(t, os.Chown(folder, 1000, 0))
	if _, err := Listen(filepath.Join(folder, "other.sock")); err == nil || !strings.Contains(err.Error(), "belongs to user 1000") {
		t.Errorf("in a folder of another user: %v", err)
	}
	ok(t, os.Chown(folder, 0, 0))
	ok(t, os.Chmod(folder, 0o777))
	if _, err := Listen(filepath.Join(folder, "other.sock")); err == nil || !strings.Contains(err.Error(), "others than its owner may change it") {
		t.Errorf("in a folder for everybody: %v", err)
	}
}

// TestWho: the process at the other end of a connection, and when it began.
func TestWho(t *testing.T) {
	kerneltest.RequireRoot(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	ok(t, err)
	var who engine
	var whoErr error
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, whoErr = engineOf(r.Context())
		_, _ = w.Write([]byte("{}"))
	})
	go func() { done <- Serve(ctx, l, handler, time.Second, newEmpty(t).Log) }()
	ok(t, manage.Ask(ctx, path, "x", protocol.Empty{}, &protocol.Empty{}))
	cancel()
	ok(t, <-done)
	ok(t, whoErr)
	if age := time.Since(who.started); age < 0 || age > time.Hour {
		t.Errorf("this process began %s ago", age)
	}
	if _, err := os.Stat(filepath.Join(who.root, path)); !os.IsNotExist(err) && err != nil {
		t.Errorf("its root: %v", err)
	}
	if _, err := engineOf(context.Background()); err == nil {
		t.Error("a request by no connection has a process")
	}
}
