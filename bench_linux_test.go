package libnetwork_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/rtnl"
)

// openController returns a controller on a scratch host.
func openController(t testing.TB, options ...config.Option) libnetwork.NetworkController {
	t.Helper()
	options = append([]config.Option{
		config.OptionHostNamespace(kerneltest.NewNamespace(t)),
		config.OptionDataDir(t.TempDir()),
		config.OptionExecRoot(runFolder(t)),
	}, options...)
	c, err := libnetwork.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		empty(t, c)
		c.Stop()
	})
	return c
}

// runFolder is on a file system in memory, as the place of run-time files is.
func runFolder(t testing.TB) string {
	t.Helper()
	folder := must[string](t)(os.MkdirTemp("/run", "test"))
	t.Cleanup(func() { ok(t, os.RemoveAll(folder)) })
	return folder
}

// empty deletes all that the controller has.
func empty(t testing.TB, c libnetwork.NetworkController) {
	t.Helper()
	for _, sb := range c.Sandboxes() {
		if err := sb.Delete(); err != nil {
			t.Error(err)
		}
	}
	for _, n := range c.Networks() {
		for _, ep := range n.Endpoints() {
			if err := ep.Delete(true); err != nil {
				t.Error(err)
			}
		}
		if n.Type() != "host" && n.Type() != "null" {
			if err := n.Delete(); err != nil {
				t.Error(err)
			}
		}
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// attach is what a runtime does for a container.
func attach(n libnetwork.Network, c libnetwork.NetworkController, name string) (libnetwork.Sandbox, error) {
	sb, err := c.NewSandbox(name)
	if err != nil {
		return nil, err
	}
	ep, err := n.CreateEndpoint(name)
	if err != nil {
		return nil, err
	}
	return sb, ep.Join(sb)
}

// BenchmarkAttach makes three commits for each container. With the store in memory it
// is what remains beside waiting for the disk.
func BenchmarkAttach(b *testing.B) {
	for store, options := range map[string][]config.Option{"bolt": nil, "memory": {config.OptionInMemoryStore()}} {
		for _, present := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("store=%s/present=%d", store, present), func(b *testing.B) {
				benchAttach(b, openController(b, append(options, config.OptionAnnounce(0, 0))...), present)
			})
		}
	}
}

func benchAttach(b *testing.B, c libnetwork.NetworkController, present int) {
	networks := benchNetworks(b, c, present)
	for i := range present {
		must[libnetwork.Sandbox](b)(attach(networks[i%len(networks)], c, fmt.Sprintf("present%d", i)))
	}
	var made []libnetwork.Sandbox
	for i := 0; b.Loop(); i++ {
		sb, err := attach(networks[i%len(networks)], c, fmt.Sprintf("c%d", i))
		if err != nil {
			b.Fatal(err)
		}
		if made = append(made, sb); len(made) == benchBatch {
			b.StopTimer()
			for _, sb := range made {
				ok(b, sb.Delete())
			}
			made = nil
			settle(b)
			b.StartTimer()
		}
	}
}

// benchBatch is how many containers come before they are deleted again. The kernel
// takes namespaces apart in the background, longer than it takes to make them; what is
// measured must not be that.
const benchBatch = 25

// settle waits until the kernel has taken apart all namespaces that were deleted: it
// deletes one more, with a pair in it, and waits for the pair's other end to go.
func settle(b *testing.B) {
	b.Helper()
	host, container := kerneltest.NewNamespace(b), filepath.Join(runFolder(b), "last")
	ok(b, netns.Create(container, func() error { return nil }))
	namespace := must[*netns.Namespace](b)(netns.Open(container))
	ok(b, kerneltest.Do(host, func() error {
		conn := must[*rtnl.Conn](b)(rtnl.Dial())
		defer conn.Close() //nolint:errcheck // nothing to lose
		ok(b, conn.Execute(b.Context(), rtnl.NewVeth("last", rtnl.Attributes{}, "eth0", namespace.FD())))
		ok(b, namespace.Close())
		ok(b, netns.Delete(container))
		var link rtnl.Link
		for conn.Execute(b.Context(), rtnl.GetLink("last", &link)) == nil {
			time.Sleep(time.Millisecond)
		}
		return nil
	}))
}

// benchNetworks returns as many networks as it takes: a bridge has 1,023 ports at
// most, and should not be near that.
func benchNetworks(b *testing.B, c libnetwork.NetworkController, endpoints int) []libnetwork.Network {
	var out []libnetwork.Network
	for i := range endpoints/500 + 1 {
		out = append(out, must[libnetwork.Network](b)(c.NewNetwork("bridge", fmt.Sprintf("n%d", i), "")))
	}
	return out
}

func BenchmarkDetach(b *testing.B) {
	c := openController(b, config.OptionAnnounce(0, 0))
	n := must[libnetwork.Network](b)(c.NewNetwork("bridge", "n", ""))
	i := 0
	for b.Loop() {
		b.StopTimer()
		i++
		sb, err := attach(n, c, fmt.Sprintf("c%d", i))
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		ok(b, sb.Delete())
	}
}

// BenchmarkFloor is the same work for the kernel in as few datagrams as it can be
// told in, without records: a namespace, a pair into it, addresses and routes.
func BenchmarkFloor(b *testing.B) {
	for _, present := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("present=%d", present), func(b *testing.B) { benchFloor(b, present) })
	}
}

func benchFloor(b *testing.B, present int) {
	host := kerneltest.NewNamespace(b)
	var conn *rtnl.Conn
	ok(b, kerneltest.Do(host, func() (err error) {
		conn, err = rtnl.Dial()
		return err
	}))
	defer conn.Close() //nolint:errcheck // the benchmark is over
	var bridges []int
	for i := range present/500 + 1 {
		name := fmt.Sprint("br", i)
		ok(b, conn.Execute(b.Context(), rtnl.NewBridge(name, rtnl.Attributes{}), rtnl.SetLink(name, rtnl.Attributes{Up: true})))
		var bridge rtnl.Link
		ok(b, conn.Execute(b.Context(), rtnl.GetLink(name, &bridge)))
		ok(b, conn.Execute(b.Context(), rtnl.AddAddr(bridge.Index, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(30 + i), 0, 1}), 16))))
		bridges = append(bridges, bridge.Index)
	}
	folder := runFolder(b)
	attach := func(i int) (path string) {
		path = filepath.Join(folder, fmt.Sprint(i))
		floorAttach(b, conn, bridges[i%len(bridges)], 30+i%len(bridges), path, i)
		return path
	}
	for i := range present {
		path := attach(i)
		defer func() { ok(b, netns.Delete(path)) }()
	}
	var made []string
	for i := present; b.Loop(); i++ {
		if made = append(made, attach(i)); len(made) == benchBatch {
			b.StopTimer()
			for _, path := range made {
				ok(b, netns.Delete(path))
			}
			made = nil
			settle(b)
			b.StartTimer()
		}
	}
	for _, path := range made {
		ok(b, netns.Delete(path))
	}
}

func floorAttach(b *testing.B, conn *rtnl.Conn, bridge, subnet int, path string, i int) {
	ctx := b.Context()
	var inside *rtnl.Conn
	ok(b, netns.Create(path, func() (err error) {
		inside, err = rtnl.Dial()
		return err
	}))
	defer inside.Close() //nolint:errcheck // nothing to lose
	namespace := must[*netns.Namespace](b)(netns.Open(path))
	defer namespace.Close() //nolint:errcheck // read only
	name := fmt.Sprintf("v%d", i)
	mac := net.HardwareAddr{2, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
	var link rtnl.Link
	yes := true
	ok(b, conn.Execute(ctx,
		rtnl.NewVeth(name, rtnl.Attributes{Master: &bridge}, "eth0", namespace.FD()),
		rtnl.SetLink(name, rtnl.Attributes{NoIPv6: &yes}),
		rtnl.SetLink(name, rtnl.Attributes{Up: true})))
	ok(b, inside.Execute(ctx,
		rtnl.SetLink("eth0", rtnl.Attributes{MAC: mac, NoIPv6: &yes}),
		rtnl.SetLink("eth0", rtnl.Attributes{Up: true}),
		rtnl.SetLink("lo", rtnl.Attributes{Up: true}),
		rtnl.GetLink("eth0", &link)))
	ok(b, inside.Execute(ctx,
		rtnl.AddAddr(link.Index, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(subnet), byte(i >> 8), byte(i%250 + 2)}), 16)),
		rtnl.AddRoute(rtnl.Route{
			Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.AddrFrom4([4]byte{172, byte(subnet), 0, 1}), Link: link.Index,
		})))
}

// BenchmarkRestart is a controller that finds a hundred containers in good order.
func BenchmarkRestart(b *testing.B) {
	s := newScratch(b)
	c := s.open(b)
	n := must[libnetwork.Network](b)(c.NewNetwork("bridge", "n", ""))
	for i := range 100 {
		must[libnetwork.Sandbox](b)(attach(n, c, fmt.Sprint("c", i)))
	}
	for b.Loop() {
		b.StopTimer()
		c.Stop()
		b.StartTimer()
		c = s.open(b)
	}
	empty(b, c)
}

func BenchmarkNewNetwork(b *testing.B) {
	c := openController(b)
	i := 0
	for b.Loop() {
		i++
		n := must[libnetwork.Network](b)(c.NewNetwork("bridge", fmt.Sprint("n", i), ""))
		b.StopTimer()
		ok(b, n.Delete())
		b.StartTimer()
	}
}
