package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// benchParts is a container with IPv4 only: what most have.
func benchParts(i int, namespace string) []netstate.Part {
	owner := fmt.Sprintf("endpoint/%d", i)
	return []netstate.Part{
		{
			Owner: owner,
			Links: []netstate.Link{{
				Name: fmt.Sprintf("veth%d", i), Kind: netstate.Veth, Master: "br-n", NoIPv6: true,
				Peer: netstate.Peer{Namespace: namespace, Name: "eth0"},
			}},
		},
		{
			Owner: owner, Namespace: namespace,
			Links: []netstate.Link{
				{Name: "lo", Kind: netstate.Existing},
				{Name: "eth0", Kind: netstate.Veth, NoIPv6: true, MAC: netstate.MAC{2, 0, 0, 1, byte(i >> 8), byte(i)}},
			},
			Addrs: []netstate.Addr{
				{Link: "eth0", Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i%200 + 10)}), 24)},
			},
			Routes: []netstate.Route{
				{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"), Link: "eth0"},
			},
		},
	}
}

// BenchmarkAttachFloor is what BenchmarkApplyAttach does, told to the kernel in as
// few datagrams as there can be, without a look at what is there.
func BenchmarkAttachFloor(b *testing.B) {
	host := kerneltest.NewNamespace(b)
	conn := dial(b, host)
	var bridge rtnl.Link
	check(b, conn.Execute(b.Context(), rtnl.NewBridge("br-n", rtnl.Attributes{}),
		rtnl.SetLink("br-n", rtnl.Attributes{Up: true}), rtnl.GetLink("br-n", &bridge)))
	folder := b.TempDir()
	for i := 0; b.Loop(); i++ {
		path := filepath.Join(folder, fmt.Sprint(i))
		var namespace *netns.Namespace
		var inside *rtnl.Conn
		check(b, netns.Create(path, func() (err error) {
			if namespace, err = netns.Open(path); err == nil {
				inside, err = rtnl.Dial()
			}
			return err
		}))
		name := fmt.Sprintf("veth%d", i)
		var host rtnl.Link
		check(b, conn.Execute(b.Context(), rtnl.NewVeth(name, rtnl.Attributes{Master: &bridge.Index}, "eth0", namespace.FD()),
			rtnl.SetLink(name, rtnl.Attributes{Up: true}), rtnl.GetLink(name, &host)))
		check(b, inside.Execute(b.Context(),
			rtnl.SetLink("lo", rtnl.Attributes{Up: true}),
			rtnl.SetLink("eth0", rtnl.Attributes{Up: true, MAC: netstate.MAC{2, 0, 0, 1, byte(i >> 8), byte(i)}.HardwareAddr()}),
			rtnl.AddAddr(host.Peer, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i%200 + 10)}), 24)),
			rtnl.AddRoute(rtnl.Route{
				Link: host.Peer, Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"),
			})))
		b.StopTimer()
		check(b, inside.Close())
		check(b, namespace.Close())
		check(b, netns.Delete(path))
		b.StartTimer()
	}
}

// BenchmarkApplyAttach makes a namespace and puts a container's parts in place. As in
// the floor, the kernel removes the pair with its namespace.
func BenchmarkApplyAttach(b *testing.B) {
	host := kerneltest.NewHost(b)
	apply(b, host, nil, networkPart())
	folder := b.TempDir()
	var sends uint64
	for i := 0; b.Loop(); i++ {
		path := filepath.Join(folder, fmt.Sprint(i))
		parts := benchParts(i, path)
		check(b, host.Namespaces().Create(b.Context(), path))
		before := kernel.Sends(host)
		apply(b, host, nil, parts)
		sends += kernel.Sends(host) - before
		b.StopTimer()
		check(b, host.Namespaces().Delete(context.Background(), path))
		b.StartTimer()
	}
	b.ReportMetric(float64(sends)/float64(b.N), "sends/op")
}

// BenchmarkDetach takes a container's parts away and deletes its namespace; the next
// begins when the kernel is done with the one before.
func BenchmarkDetach(b *testing.B) {
	host := kerneltest.NewHost(b)
	apply(b, host, nil, networkPart())
	folder := b.TempDir()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		path := filepath.Join(folder, fmt.Sprint(i))
		parts := benchParts(i, path)
		check(b, host.Namespaces().Create(b.Context(), path))
		apply(b, host, nil, parts)
		b.StartTimer()
		apply(b, host, parts, nil)
		check(b, host.Namespaces().Delete(context.Background(), path))
	}
}

// BenchmarkParallel has eight goroutines attach and detach containers.
func BenchmarkParallel(b *testing.B) {
	host := kerneltest.NewHost(b)
	apply(b, host, nil, networkPart())
	folder := b.TempDir()
	var next atomic.Int64
	b.SetParallelism((8 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(next.Add(1))
			path := filepath.Join(folder, fmt.Sprint(i))
			parts := benchParts(i, path)
			if err := errors.Join(
				host.Namespaces().Create(context.Background(), path),
				host.Apply(context.Background(), netstate.Diff(nil, parts)),
				host.Apply(context.Background(), netstate.Diff(parts, nil)),
				host.Namespaces().Delete(context.Background(), path),
			); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkObserve looks at a host with a hundred containers.
func BenchmarkObserve(b *testing.B) {
	host := kerneltest.NewHost(b)
	var parts []netstate.Part
	namespaces := []string{""}
	for i := range 100 {
		namespaces = append(namespaces, newNamespace(b, host))
		parts = append(parts, benchParts(i, namespaces[i+1])...)
	}
	apply(b, host, nil, slices.Concat(networkPart(), parts))
	for b.Loop() {
		if _, err := host.Observe(b.Context(), namespaces...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNamespace makes a namespace, with all that is kept open of it.
func BenchmarkNamespace(b *testing.B) {
	host := kerneltest.NewHost(b)
	folder := b.TempDir()
	for i := 0; b.Loop(); i++ {
		path := filepath.Join(folder, fmt.Sprint(i))
		check(b, host.Namespaces().Create(b.Context(), path))
		b.StopTimer()
		check(b, host.Namespaces().Delete(context.Background(), path))
		b.StartTimer()
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

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
