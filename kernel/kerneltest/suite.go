package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

// Run runs the contract of kernel.Host. Open returns a machine with nothing on its
// host but the loopback.
func Run(t *testing.T, open func(t *testing.T) kernel.Host) {
	tests := map[string]func(*testing.T, *world){
		"attach and detach":                  testAttach,
		"every change can be made twice":     testTwice,
		"what is not ours stays":             testForeign,
		"errors have kinds":                  testKinds,
		"namespaces":                         testNamespaces,
		"a deleted name is free at once":     testNameFree,
		"a namespace takes its pairs along":  testNamespaceGone,
		"a route is replaced":                testRouteReplaced,
		"addresses of one subnet":            testSecondary,
		"a bridge is adopted":                testAdopt,
		"eight goroutines":                   testConcurrent,
		"random walks equal a fresh start":   testWalk,
		"a watcher is told":                  testWatch,
		"statistics and IPv6":                testContainer,
		"neighbors and routes without a hop": testNeighbors,
		"macvlan":                            testMacvlan,
		"macvlan modes":                      testMacvlanModes,
		"macvlan takes a parent for itself":  testPassthru,
		"ipvlan":                             testIPvlan,
		"one parent, one kind":               testOneKind,
		"VLANs":                              testVLAN,
		"a VLAN is adopted":                  testAdoptVLAN,
		"dummy":                              testDummy,
		"parents that cannot carry it":       testBadParents,
		"limits":                             testLimits,
		"somebody's link is adopted":         testAdoptedLink,
		"random walks on parents":            testParentWalk,
		"features":                           testFeatures,
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			tests[name](t, &world{T: t, host: open(t), folder: t.TempDir()})
		})
	}
}

// world is a host with short ways to say things.
type world struct {
	*testing.T
	host   kernel.Host
	folder string
}

// namespace makes one and removes it when the test ends.
func (w *world) namespace(name string) string {
	w.Helper()
	path := filepath.Join(w.folder, name)
	if err := w.host.Namespaces().Create(w.Context(), path); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := w.host.Namespaces().Delete(context.Background(), path); err != nil {
			w.Error(err)
		}
	})
	return path
}

func (w *world) apply(changes netstate.Changes) {
	w.Helper()
	if err := w.host.Apply(w.Context(), changes); err != nil {
		w.Fatal(err)
	}
}

func (w *world) lead(from, to []netstate.Part) {
	w.Helper()
	w.apply(netstate.Diff(from, to))
}

func (w *world) observe(namespaces ...string) []netstate.Part {
	w.Helper()
	parts, err := w.host.Observe(w.Context(), append([]string{""}, namespaces...)...)
	if err != nil {
		w.Fatal(err)
	}
	return parts
}

// wantWished fails unless what is there is what is wished, but for sysctls, which
// cannot be observed.
func (w *world) wantWished(wished []netstate.Part, namespaces ...string) {
	w.Helper()
	observed := w.observe(namespaces...)
	rest := slices.DeleteFunc(netstate.Diff(observed, wished), func(c netstate.Change) bool { return c.Verb == netstate.Write })
	if len(rest) > 0 {
		w.Fatalf("still to do:\n%s\nobserved:\n%s", rest, Picture(observed))
	}
}

func bridgePart(name string, addresses ...string) netstate.Part {
	p := netstate.Part{
		Owner: "network/" + name,
		Links: []netstate.Link{{Name: name, Kind: netstate.Bridge, MAC: netstate.MAC{2, 0, 0, 0, 1, name[len(name)-1]}}},
	}
	for _, a := range addresses {
		p.Addrs = append(p.Addrs, netstate.Addr{Link: name, Prefix: netip.MustParsePrefix(a)})
	}
	return p
}

func pairParts(id, bridge, namespace, link, gateway string, addresses ...string) []netstate.Part {
	inside := netstate.Part{
		Owner: "endpoint/" + id, Namespace: namespace,
		Links: []netstate.Link{
			{Name: link, Kind: netstate.Veth, MAC: netstate.MAC{2, 0, 0, 0, 2, id[len(id)-1]}},
			{Name: "lo", Kind: netstate.Existing},
		},
	}
	for _, a := range addresses {
		inside.Addrs = append(inside.Addrs, netstate.Addr{Link: link, Prefix: netip.MustParsePrefix(a)})
	}
	if gateway != "" {
		inside.Routes = []netstate.Route{{
			Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(gateway), Link: link,
		}}
	}
	return []netstate.Part{{
		Owner: "endpoint/" + id,
		Links: []netstate.Link{{
			Name: "v" + id, Kind: netstate.Veth, Master: bridge, NoIPv6: true,
			Peer: netstate.Peer{Namespace: namespace, Name: link},
		}},
	}, inside}
}

func testAttach(_ *testing.T, w *world) {
	a, b := w.namespace("a"), w.namespace("b")
	wished := []netstate.Part{bridgePart("br1", "192.0.2.1/24", "2001:db8::1/64")}
	w.lead(nil, wished)
	for i, ns := range []string{a, b} {
		next := append(slices.Clone(wished), pairParts(fmt.Sprint(i), "br1", ns, "eth0", "192.0.2.1",
			fmt.Sprintf("192.0.2.%d/24", i+2), fmt.Sprintf("2001:db8::%d/64", i+2))...)
		w.lead(wished, next)
		wished = next
	}
	w.wantWished(wished, a, b)
	w.lead(wished, nil)
	for _, p := range w.observe(a, b) {
		if p.Owner != "" || len(p.Links) > 1 || len(p.Addrs)+len(p.Routes) > 0 {
			w.Errorf("left: %s", Picture([]netstate.Part{p}))
		}
	}
}

func testTwice(_ *testing.T, w *world) {
	a := w.namespace("a")
	wished := append([]netstate.Part{bridgePart("br1", "192.0.2.1/24")}, pairParts("1", "br1", a, "eth0", "192.0.2.1", "192.0.2.2/24")...)
	for _, changes := range []netstate.Changes{netstate.Diff(nil, wished), netstate.Diff(wished, nil)} {
		for _, c := range changes {
			w.apply(netstate.Changes{c})
			w.apply(netstate.Changes{c})
		}
		w.apply(changes)
	}
	w.lead(nil, wished)
	w.wantWished(wished, a)
	w.lead(wished, nil)
}

func testForeign(_ *testing.T, w *world) {
	mine := []netstate.Part{bridgePart("br1", "192.0.2.1/24")}
	w.lead(nil, mine)
	// Another owner's link is not deleted, and its name not taken.
	other := mine[0]
	other.Owner = "network/other"
	w.apply(netstate.Diff([]netstate.Part{other}, nil))
	w.wantWished(mine)
	w.wantKind(netstate.Diff(nil, []netstate.Part{other}), cnm.Exists)
	w.lead(mine, nil)
}

func (w *world) wantKind(changes netstate.Changes, kind cnm.Kind) {
	w.Helper()
	err := w.host.Apply(w.Context(), changes)
	if !errors.Is(err, kind) {
		w.Errorf("error %v, want kind %q", err, kind)
	} else if !strings.Contains(err.Error(), string(changes[0].Verb)) {
		w.Errorf("error %q does not name the change", err)
	}
}

func one(verb netstate.Verb, namespace string, object netstate.Object) netstate.Changes {
	return netstate.Changes{{Verb: verb, Owner: "endpoint/x", Namespace: namespace, Object: object}}
}

func testKinds(_ *testing.T, w *world) {
	bridge := netstate.Link{Name: "br1", Kind: netstate.Bridge}
	addr := netstate.Addr{Link: "nolink", Prefix: netip.MustParsePrefix("192.0.2.2/24")}
	w.wantKind(one(netstate.Update, "", bridge), cnm.NotFound)
	w.wantKind(one(netstate.Raise, "", bridge), cnm.NotFound)
	w.wantKind(one(netstate.Add, "", addr), cnm.NotFound)
	w.wantKind(one(netstate.Raise, w.folder+"/none", bridge), cnm.NotFound)
	w.wantKind(one(netstate.Create, "", netstate.Link{Name: "br1", Kind: netstate.Bridge, MTU: 70000}), cnm.Invalid)
	w.wantKind(one(netstate.Create, "", netstate.Link{Name: "a-name-far-too-long", Kind: netstate.Bridge}), cnm.Invalid)
	w.wantKind(one(netstate.Create, "", netstate.Link{Name: "x", Kind: "marvel"}), cnm.Unsupported)
	w.wantKind(one(netstate.Create, "", netstate.Link{Name: "x", Kind: netstate.Veth}), cnm.Invalid)
	w.wantKind(one(netstate.Create, "", netstate.Link{
		Name: "x", Kind: netstate.Veth, Peer: netstate.Peer{Namespace: w.folder + "/none", Name: "eth0"},
	}), cnm.NotFound)
	w.wantKind(one(netstate.Write, "", netstate.Sysctl{Key: "net/ipv4/conf/nolink/forwarding", Value: "1"}), cnm.NotFound)
	w.wantKind(one(netstate.Write, "", netstate.Sysctl{Key: "kernel/hostname", Value: "x"}), cnm.Invalid)
	w.apply(one(netstate.Write, "", netstate.Sysctl{Key: "net/ipv4/conf/nolink/forwarding", Value: "1", Optional: true}))
	w.apply(one(netstate.Delete, "", bridge))
	w.apply(one(netstate.Remove, "", addr))
	w.apply(one(netstate.Delete, w.folder+"/none", bridge))
}

func testNamespaces(_ *testing.T, w *world) {
	n := w.host.Namespaces()
	a := w.namespace("one-a")
	b := filepath.Join(w.folder, "one-b")
	for _, c := range []struct {
		err  error
		kind cnm.Kind
	}{
		{n.Create(w.Context(), a), cnm.Exists},
		{n.Bind(w.Context(), a, a), cnm.Exists},
		{n.Bind(w.Context(), b, filepath.Join(w.folder, "none")), cnm.NotFound},
		{n.Bind(w.Context(), b, n.HostPath()), cnm.Invalid},
	} {
		if !errors.Is(c.err, c.kind) {
			w.Errorf("error %v, want kind %q", c.err, c.kind)
		}
	}
	if err := n.Bind(w.Context(), b, a); err != nil {
		w.Fatal(err)
	}
	first, firstErr := n.Identity(w.Context(), a)
	second, secondErr := n.Identity(w.Context(), b)
	host, hostErr := n.Identity(w.Context(), n.HostPath())
	if err := errors.Join(firstErr, secondErr, hostErr); err != nil || first != second || first == host {
		w.Errorf("identities of one namespace %q and %q, of the host's %q: %v", first, second, host, err)
	}
	if _, err := n.Identity(w.Context(), w.folder+"/none"); !errors.Is(err, cnm.NotFound) {
		w.Errorf("identity of what is missing: %v", err)
	}
	paths, err := n.List(w.Context(), w.folder, "one-")
	if err != nil || !slices.Equal(paths, []string{a, b}) {
		w.Errorf("list %q, %v", paths, err)
	}
	for range 2 {
		if err := n.Delete(w.Context(), b); err != nil {
			w.Error(err)
		}
	}
	for path, want := range map[string]bool{a: true, b: false} {
		if alive, err := n.Alive(w.Context(), path); err != nil || alive != want {
			w.Errorf("%s: alive %v, %v", path, alive, err)
		}
	}
	if paths, err := n.List(w.Context(), w.folder+"/none", ""); err != nil || len(paths) > 0 {
		w.Errorf("list of a missing folder: %q, %v", paths, err)
	}
}

func testNameFree(_ *testing.T, w *world) {
	a := w.namespace("a")
	w.lead(nil, []netstate.Part{bridgePart("br1")})
	pair := pairParts("1", "br1", a, "eth0", "")
	for range 5 {
		w.lead(nil, pair)
		w.lead(pair, nil)
		if got := Picture(w.observe(a)); strings.Contains(got, "v1") || strings.Contains(got, "eth0") {
			w.Fatalf("still in sight:\n%s", got)
		}
	}
	w.lead([]netstate.Part{bridgePart("br1")}, nil)
}

func testNamespaceGone(_ *testing.T, w *world) {
	a := w.namespace("a")
	wished := append([]netstate.Part{bridgePart("br1")}, pairParts("1", "br1", a, "eth0", "")...)
	w.lead(nil, wished)
	if err := w.host.Namespaces().Delete(w.Context(), a); err != nil {
		w.Fatal(err)
	}
	// What is to go has gone with it, or goes now.
	w.lead(wished, nil)
	if got := Picture(w.observe(a)); strings.Contains(got, "v1") {
		w.Errorf("still there:\n%s", got)
	}
}

func testRouteReplaced(_ *testing.T, w *world) {
	a := w.namespace("a")
	wished := []netstate.Part{bridgePart("br1"), bridgePart("br2")}
	wished = append(wished, pairParts("1", "br1", a, "eth0", "192.0.2.1", "192.0.2.2/24")...)
	w.lead(nil, wished)
	second := append(slices.Clone(wished), pairParts("2", "br2", a, "eth1", "198.51.100.1", "198.51.100.2/24")...)
	second[3].Routes = nil
	w.lead(wished, second)
	w.wantWished(second, a)
	w.lead(second, wished)
	w.wantWished(wished, a)
	w.lead(wished, nil)
}

func testSecondary(_ *testing.T, w *world) {
	first := []netstate.Part{bridgePart("br1", "192.0.2.1/24", "192.0.2.9/24", "198.51.100.1/24")}
	w.lead(nil, first)
	w.wantWished(first)
	second := []netstate.Part{bridgePart("br1", "192.0.2.9/24", "198.51.100.1/24")}
	w.lead(first, second)
	w.wantWished(second)
	w.lead(second, nil)
}

func testAdopt(_ *testing.T, w *world) {
	theirs := []netstate.Part{bridgePart("br1", "192.0.2.1/24")}
	w.lead(nil, theirs) // ours at first, but of another owner of this very instance
	mine := []netstate.Part{bridgePart("br1", "192.0.2.1/24")}
	mine[0].Owner, mine[0].Links[0].Adopt = "network/mine", true
	w.wantKind(netstate.Diff(nil, mine), cnm.Exists)
	w.lead(theirs, nil)
	w.lead(nil, mine)
	w.wantWished(mine)
	w.lead(mine, nil)
}

func testConcurrent(_ *testing.T, w *world) {
	w.lead(nil, []netstate.Part{bridgePart("br1")})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 10 {
				path := filepath.Join(w.folder, fmt.Sprint(i, "-", j))
				pair := pairParts(fmt.Sprint(i), "br1", path, "eth0", "192.0.2.1", fmt.Sprintf("192.0.2.%d/24", i+2))
				err := errors.Join(
					w.host.Namespaces().Create(w.Context(), path),
					w.host.Apply(w.Context(), netstate.Diff(nil, pair)),
					w.host.Apply(w.Context(), netstate.Diff(pair, nil)),
					w.host.Namespaces().Delete(w.Context(), path))
				if err != nil {
					w.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	w.lead([]netstate.Part{bridgePart("br1")}, nil)
}

// testWalk goes from one random wish to the next and compares each with the wish.
func testWalk(_ *testing.T, w *world) {
	a, b := w.namespace("a"), w.namespace("b")
	random := rand.New(rand.NewPCG(7, 7))
	var current []netstate.Part
	for range 60 {
		next := randomWish(random, a, b)
		changes := netstate.Diff(current, next)
		if err := w.host.Apply(w.Context(), changes); err != nil {
			w.Fatalf("%v, in\n%s", err, changes)
		}
		current = next
		w.wantWished(current, a, b)
	}
	w.lead(current, nil)
}

func randomWish(random *rand.Rand, namespaces ...string) []netstate.Part {
	coin := func() bool { return random.IntN(2) == 0 }
	var parts []netstate.Part
	bridges := []string{""}
	for _, name := range []string{"br1", "br2"} {
		if coin() {
			p := bridgePart(name)
			for i, address := range []string{"192.0.2.1/24", "192.0.2.9/24", "2001:db8::1/64"} {
				if coin() && name == "br1" || coin() && i == 2 && name == "br2" {
					p.Addrs = append(p.Addrs, netstate.Addr{Link: name, Prefix: netip.MustParsePrefix(address)})
				}
			}
			bridges, parts = append(bridges, name), append(parts, p)
		}
	}
	for i, link := range []string{"eth0", "eth1", "eth0"} {
		if coin() {
			continue
		}
		subnet := fmt.Sprintf("10.%d.0.", i)
		gateway := ""
		if coin() {
			gateway = subnet + "1"
		}
		addresses := []string{subnet + "2/24"}
		if coin() {
			addresses = append(addresses, subnet+"3/24", fmt.Sprintf("fd00:%d::2/64", i))
		}
		pair := pairParts(fmt.Sprint(i), bridges[random.IntN(len(bridges))], namespaces[i/2], link, gateway, addresses...)
		if coin() {
			pair[0].Links[0].MTU, pair[1].Links[0].MTU = 1500+random.IntN(9), 1500
			pair[1].Links[0].MAC[4] = byte(random.IntN(3))
		}
		if i == 1 {
			pair[1].Routes = nil // two default routes of one metric are one
		}
		parts = append(parts, pair...)
	}
	return parts
}

func testWatch(_ *testing.T, w *world) {
	told := make(chan struct{}, 100)
	if err := w.host.Watch(w.Context(), func() { told <- struct{}{} }); err != nil {
		w.Fatal(err)
	}
	bridge := []netstate.Part{bridgePart("br1", "192.0.2.1/24")}
	w.lead(nil, bridge)
	<-told
	w.lead(bridge, nil)
	<-told
}

func testContainer(_ *testing.T, w *world) {
	a := w.namespace("a")
	c := w.host.Container()
	w.lead(nil, []netstate.Part{bridgePart("br1")})
	pair := pairParts("1", "br1", a, "eth0", "", "192.0.2.2/24", "2001:db8::2/64")
	w.lead(nil, pair)
	statistics, err := c.Statistics(w.Context(), a, []string{"eth0", "none"})
	if _, ok := statistics["eth0"]; err != nil || len(statistics) != 1 || !ok {
		w.Errorf("statistics %v, %v", statistics, err)
	}
	if has, err := c.HasIPv6(w.Context(), a); err != nil || !has {
		w.Errorf("IPv6 %v, %v", has, err)
	}
	addresses := []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")}
	if err := c.Announce(w.Context(), a, "eth0", addresses); err != nil {
		w.Error(err)
	}
	if err := c.Announce(w.Context(), a, "none", addresses); !errors.Is(err, cnm.NotFound) {
		w.Errorf("error %v, want not found", err)
	}
	w.lead(pair, nil)
	w.lead([]netstate.Part{bridgePart("br1")}, nil)
}

func testNeighbors(_ *testing.T, w *world) {
	first := []netstate.Part{bridgePart("br1", "192.0.2.1/24")}
	first[0].Routes = []netstate.Route{
		{Destination: netip.MustParsePrefix("203.0.113.0/24"), Gateway: netip.MustParseAddr("198.51.100.7"), Link: "br1", Metric: 9},
		{Destination: netip.MustParsePrefix("198.51.100.0/24"), Link: "br1"},
	}
	first[0].Neighbors = []netstate.Neighbor{
		{Link: "br1", IP: netip.MustParseAddr("192.0.2.7"), MAC: netstate.MAC{2, 0, 0, 0, 0, 7}},
		{Link: "br1", IP: netip.MustParseAddr("2001:db8::7"), MAC: netstate.MAC{2, 0, 0, 0, 0, 7}},
	}
	w.lead(nil, first)
	w.wantWished(first)
	prefixes, err := w.host.Container().Prefixes(w.Context(), "")
	for _, want := range []string{"192.0.2.0/24", "203.0.113.0/24", "198.51.100.0/24"} {
		if err != nil || !slices.Contains(prefixes, netip.MustParsePrefix(want)) {
			w.Errorf("prefixes %s, %v; want %s too", prefixes, err, want)
		}
	}
	second := []netstate.Part{bridgePart("br1", "192.0.2.1/24")}
	second[0].Neighbors = []netstate.Neighbor{{Link: "br1", IP: netip.MustParseAddr("192.0.2.7"), MAC: netstate.MAC{2, 0, 0, 0, 0, 8}}}
	w.lead(first, second)
	w.wantWished(second)
	w.lead(second, nil)
}
