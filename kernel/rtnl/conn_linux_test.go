package rtnl_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dial(t testing.TB, namespace string) *rtnl.Conn {
	t.Helper()
	var conn *rtnl.Conn
	check(t, kerneltest.Do(namespace, func() (err error) {
		conn, err = rtnl.Dial()
		return err
	}))
	t.Cleanup(func() { check(t, conn.Close()) })
	return conn
}

func name(i int) string { return fmt.Sprintf("v%d", i) }

// pairs returns requests that make pairs v0 and p0, v1 and p1, and so on. Bridges
// would take the kernel 17 ms each to delete.
func pairs(t testing.TB, path string, n int) []rtnl.Request {
	t.Helper()
	namespace, err := netns.Open(path)
	check(t, err)
	t.Cleanup(func() { check(t, namespace.Close()) })
	var out []rtnl.Request
	for i := range n {
		out = append(out, rtnl.NewVeth(name(i), rtnl.Attributes{}, fmt.Sprintf("p%d", i), namespace.FD()))
	}
	return out
}

func TestFirstRefusalIsReported(t *testing.T) {
	c := dial(t, kerneltest.NewNamespace(t))
	err := c.Execute(t.Context(),
		rtnl.NewBridge("b0", rtnl.Attributes{}), rtnl.NewBridge("b0", rtnl.Attributes{}),
		rtnl.SetLink("missing", rtnl.Attributes{Up: true}))
	var refused *rtnl.RequestError
	if !errors.As(err, &refused) || refused.Index != 1 || !errors.Is(err, unix.EEXIST) {
		t.Errorf("got %v, want EEXIST for request 1", err)
	}
	var link rtnl.Link
	check(t, c.Execute(t.Context(), rtnl.GetLink("b0", &link)))
	err = c.Execute(t.Context(), rtnl.AddRoute(rtnl.Route{
		Link: link.Index, Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"),
	}))
	if err == nil || !strings.Contains(err.Error(), "(") {
		t.Errorf("got %q, want the kernel's explanation in it", err)
	}
}

// TestManyRequests sends more than a socket has room to answer at once.
func TestManyRequests(t *testing.T) {
	const links = 300
	namespace := kerneltest.NewNamespace(t)
	c, create := dial(t, namespace), pairs(t, namespace, links)
	var read []rtnl.Request
	found := make([]rtnl.Link, links)
	for i := range links {
		read = append(read, rtnl.GetLink(name(i), &found[i]))
	}
	before := c.Sends()
	check(t, c.Execute(t.Context(), create...))
	if got, want := c.Sends()-before, uint64((links+rtnl.MaxRequests-1)/rtnl.MaxRequests); got != want {
		t.Errorf("%d requests took %d sends, want %d", links, got, want)
	}
	check(t, c.Execute(t.Context(), read...))
	for i, link := range found {
		if link.Name != name(i) || link.Group != rtnl.Group || link.Kind != "veth" {
			t.Fatalf("link %d: got %+v", i, link)
		}
	}
	// A refusal far behind keeps its place.
	var refused *rtnl.RequestError
	err := c.Execute(t.Context(), append(read, rtnl.DeleteLink(1<<20))...)
	if !errors.As(err, &refused) || refused.Index != links {
		t.Errorf("got %v, want a refusal of request %d", err, links)
	}
	all, err := c.Links(t.Context())
	check(t, err)
	if len(all) != 2*links+1 {
		t.Errorf("the table has %d links, want %d", len(all), 2*links+1)
	}
}

func TestPairIntoNamespace(t *testing.T) {
	outside, inside := kerneltest.NewNamespace(t), kerneltest.NewNamespace(t)
	c, d := dial(t, outside), dial(t, inside)
	namespace, err := netns.Open(inside)
	check(t, err)
	defer namespace.Close() //nolint:errcheck // read only
	var master, host, peer rtnl.Link
	check(t, c.Execute(t.Context(), rtnl.NewBridge("b0", rtnl.Attributes{}), rtnl.GetLink("b0", &master)))
	check(t, c.Execute(t.Context(),
		rtnl.NewVeth("v0", rtnl.Attributes{Master: &master.Index, MTU: 1400}, "eth0", namespace.FD()), rtnl.GetLink("v0", &host)))
	check(t, d.Execute(t.Context(), rtnl.GetLink("eth0", &peer)))
	if host.Peer != peer.Index || host.Master != master.Index || host.MTU != 1400 {
		t.Errorf("the host's end is %+v, the other %+v", host, peer)
	}
	ids, err := c.NamespaceIDs(t.Context(), namespace.FD())
	check(t, err)
	if !host.HasPeerNamespace || host.PeerNamespaceID != ids[0] {
		t.Errorf("the peer's namespace is %v, want %v", host.PeerNamespaceID, ids[0])
	}
}

func TestTables(t *testing.T) {
	c := dial(t, kerneltest.NewNamespace(t))
	var link rtnl.Link
	check(t, c.Execute(t.Context(), rtnl.NewBridge("b0", rtnl.Attributes{}), rtnl.SetLink("b0", rtnl.Attributes{Up: true}), rtnl.GetLink("b0", &link)))
	v4, v6 := netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")
	route := rtnl.Route{Link: link.Index, Destination: netip.MustParsePrefix("198.51.100.0/24"), Gateway: netip.MustParseAddr("192.0.2.9"), Metric: 5}
	ip, mac := netip.MustParseAddr("192.0.2.9"), netstate.MAC{2, 0, 0, 0, 0, 9}
	add := []rtnl.Request{rtnl.AddAddr(link.Index, v4), rtnl.AddAddr(link.Index, v6), rtnl.AddRoute(route), rtnl.AddNeighbor(link.Index, ip, mac)}
	check(t, c.Execute(t.Context(), add...))
	check(t, c.Execute(t.Context(), add...)) // once more changes nothing
	route.Protocol = rtnl.Protocol
	for range 2 {
		addrs, err := c.Addrs(t.Context())
		check(t, err)
		routes, err := c.Routes(t.Context())
		check(t, err)
		neighbors, err := c.Neighbors(t.Context())
		check(t, err)
		if !contains(addrs, rtnl.Addr{Link: link.Index, Prefix: v4, Protocol: rtnl.Protocol}) ||
			!contains(addrs, rtnl.Addr{Link: link.Index, Prefix: v6, Protocol: rtnl.Protocol}) ||
			!contains(routes, route) ||
			!contains(neighbors, rtnl.Neighbor{Link: link.Index, IP: ip, MAC: mac, Protocol: rtnl.Protocol}) {
			t.Errorf("got addresses %v, routes %v, neighbours %v", addrs, routes, neighbors)
		}
	}
	remove := []rtnl.Request{rtnl.RemoveNeighbor(link.Index, ip), rtnl.RemoveRoute(route), rtnl.RemoveAddr(link.Index, v6), rtnl.RemoveAddr(link.Index, v4)}
	check(t, c.Execute(t.Context(), remove...))
	errs, err := c.ExecuteAll(t.Context(), remove...)
	check(t, err)
	for i, err := range errs {
		if err == nil {
			t.Errorf("removal %d succeeded twice", i)
		}
	}
}

func contains[T comparable](rows []T, row T) bool {
	for _, r := range rows {
		if r == row {
			return true
		}
	}
	return false
}

// TestDumpsWhileTablesChange has one connection shared by readers while another
// changes what they read: each dump is whole, and no answer goes astray.
func TestDumpsWhileTablesChange(t *testing.T) {
	namespace := kerneltest.NewNamespace(t)
	c, other := dial(t, namespace), dial(t, namespace)
	check(t, c.Execute(t.Context(), pairs(t, namespace, 20)...))
	ctx := t.Context()
	var all sync.WaitGroup
	all.Go(func() {
		for i := range 400 {
			if err := other.Execute(context.Background(), rtnl.SetLink("lo", rtnl.Attributes{MTU: 1500 + i%2})); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for r := range 8 {
		all.Go(func() {
			for range 10 {
				links, err := c.Links(ctx)
				if errors.Is(err, cnm.Conflict) {
					continue // the table changed each time: said so, and not half a table
				}
				if err != nil || len(links) != 41 {
					t.Errorf("%d links, %v", len(links), err)
				}
				var link rtnl.Link
				if err := c.Execute(ctx, rtnl.GetLink(name(r), &link)); err != nil || link.Name != name(r) {
					t.Errorf("link %s: got %q, %v", name(r), link.Name, err)
				}
			}
		})
	}
	all.Wait()
}

func TestContextAndClose(t *testing.T) {
	kerneltest.RequireRoot(t)
	c, err := rtnl.Dial()
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var link rtnl.Link
	if err := c.Execute(ctx, rtnl.GetLink("lo", &link)); !errors.Is(err, cnm.Timeout) {
		t.Errorf("got %v, want kind %s", err, cnm.Timeout)
	}
	if _, err := c.Links(ctx); !errors.Is(err, cnm.Timeout) {
		t.Errorf("got %v, want kind %s", err, cnm.Timeout)
	}
	for range 2 {
		check(t, c.Close())
	}
	if err := c.Execute(t.Context(), rtnl.GetLink("lo", &link)); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("got %v, want kind %s", err, cnm.Unavailable)
	}
}
