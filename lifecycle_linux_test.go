package libnetwork_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/options"
	"github.com/docker/libnetwork/types"
)

// scratch is a machine of its own with places for a controller's data.
type scratch struct {
	host, data, run string
}

func newScratch(t testing.TB) scratch {
	t.Helper()
	kerneltest.RequireRoot(t)
	return scratch{kerneltest.NewNamespace(t), t.TempDir(), runFolder(t)}
}

func (s scratch) open(t testing.TB, more ...config.Option) libnetwork.NetworkController {
	t.Helper()
	c, err := libnetwork.New(append([]config.Option{
		config.OptionHostNamespace(s.host), config.OptionDataDir(s.data), config.OptionExecRoot(s.run),
		config.OptionAnnounce(0, 0),
	}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// picture is all that the host and the namespaces hold.
func (s scratch) picture(t testing.TB, namespaces ...string) string {
	t.Helper()
	host := must[kernel.Host](t)(kernel.Open(kernel.Options{HostNamespace: s.host, Instance: "picture"}))
	defer host.Close() //nolint:errcheck // read only
	return kerneltest.Snapshot(t, host, append([]string{""}, namespaces...)...)
}

// wantEmpty fails if the machine holds more than the loopback.
func (s scratch) wantEmpty(t testing.TB) {
	t.Helper()
	if got := s.picture(t); strings.Count(got, "\n") != 1 {
		t.Errorf("left on the host:\n%s", got)
	}
	if got := run(t, s.host, "nft", "list", "ruleset"); strings.Contains(got, "libnetwork") {
		t.Errorf("left in the packet filter:\n%s", got)
	}
	for _, folder := range []string{"netns", "sandboxes"} {
		_ = filepath.WalkDir(filepath.Join(s.run, folder), func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				t.Errorf("left behind: %s", path)
			}
			return nil
		})
	}
}

func address(ep libnetwork.Endpoint) netip.Addr {
	a, _ := netip.AddrFromSlice(ep.Info().Iface().Address().IP)
	return a.Unmap()
}

func ping(t testing.TB, from libnetwork.Sandbox, to netip.Addr) {
	t.Helper()
	if err := kerneltest.Ping(from.Key(), to); err != nil {
		t.Errorf("%s: %v", from.ContainerID(), err)
	}
}

func TestPacketsBetweenContainers(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	blue := must[libnetwork.Network](t)(c.NewNetwork("bridge", "blue", "", libnetwork.NetworkOptionEnableIPv6(true)))
	red := must[libnetwork.Network](t)(c.NewNetwork("bridge", "red", "", libnetwork.NetworkOptionInternalNetwork()))
	a := must[libnetwork.Sandbox](t)(c.NewSandbox("a", libnetwork.OptionHostname("alpha")))
	b := must[libnetwork.Sandbox](t)(c.NewSandbox("b"))
	var eps []libnetwork.Endpoint
	for i, join := range []struct {
		n  libnetwork.Network
		sb libnetwork.Sandbox
	}{{blue, a}, {blue, b}, {red, a}} {
		ep := must[libnetwork.Endpoint](t)(join.n.CreateEndpoint(fmt.Sprint("ep", i)))
		ok(t, ep.Join(join.sb))
		eps = append(eps, ep)
	}
	v6, _ := netip.AddrFromSlice(eps[1].Info().Iface().AddressIPv6().IP)
	gateway, _ := netip.AddrFromSlice(eps[0].Info().Gateway())
	for _, target := range []netip.Addr{address(eps[1]), v6, gateway.Unmap()} {
		ping(t, a, target)
	}
	if eps[2].Info().Gateway() != nil {
		t.Error("an internal network gave a gateway")
	}
	hosts := must[[]byte](t)(os.ReadFile(filepath.Join(s.run, "sandboxes", c.ID()[:12], a.ID(), "hosts")))
	for _, want := range []string{"127.0.0.1\tlocalhost", address(eps[0]).String() + "\talpha", address(eps[2]).String() + "\talpha"} {
		if !strings.Contains(string(hosts), want) {
			t.Errorf("hosts file lacks %q:\n%s", want, hosts)
		}
	}
	ok(t, eps[1].Leave(b))
	if err := kerneltest.Ping(a.Key(), address(eps[1])); err == nil {
		t.Error("an endpoint that left still answers")
	}
	statistics := must[map[string]*types.InterfaceStatistics](t)(a.Statistics())
	if statistics["eth0"] == nil || statistics["eth0"].TxPackets == 0 || statistics["eth1"] == nil {
		t.Errorf("statistics %v", statistics)
	}
	ok(t, a.Delete())
	ok(t, b.Delete())
	ok(t, eps[1].Delete(false))
	ok(t, blue.Delete())
	ok(t, red.Delete())
	s.wantEmpty(t)
}

func TestDefaultRouteByPriority(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("a"))
	var eps []libnetwork.Endpoint
	for _, name := range []string{"n1", "n2", "n3"} {
		n := must[libnetwork.Network](t)(c.NewNetwork("bridge", name, ""))
		eps = append(eps, must[libnetwork.Endpoint](t)(n.CreateEndpoint("ep")))
	}
	wantDefault := func(ep libnetwork.Endpoint) {
		t.Helper()
		route := fmt.Sprintf("route 0.0.0.0/0 via %s dev", ep.Info().Gateway())
		if got := s.picture(t, sb.Key()); strings.Count(got, "route 0.0.0.0/0") != 1 || !strings.Contains(got, route) {
			t.Errorf("want %q in\n%s", route, got)
		}
		if first := sb.Endpoints()[0]; first.ID() != ep.ID() {
			t.Errorf("first endpoint is on %q, want %q", first.Network(), ep.Network())
		}
	}
	ok(t, eps[1].Join(sb))
	wantDefault(eps[1])
	ok(t, eps[0].Join(sb)) // equal priority: by the name of the network
	wantDefault(eps[0])
	ok(t, eps[2].Join(sb, libnetwork.JoinOptionPriority(eps[2], 5)))
	wantDefault(eps[2])
	ok(t, eps[2].Leave(sb))
	wantDefault(eps[0])
	ok(t, eps[0].Leave(sb))
	wantDefault(eps[1])
	ok(t, sb.Delete())
	for _, n := range c.Networks() {
		for _, ep := range n.Endpoints() {
			ok(t, ep.Delete(false))
		}
		ok(t, n.Delete())
	}
	s.wantEmpty(t)
}

func TestRestartRepairsAndForgets(t *testing.T) {
	s := newScratch(t)
	first := s.open(t)
	n := must[libnetwork.Network](t)(first.NewNetwork("bridge", "web", ""))
	alive := must[libnetwork.Sandbox](t)(attach(n, first, "alive"))
	broken := must[libnetwork.Sandbox](t)(attach(n, first, "broken"))
	dead := must[libnetwork.Sandbox](t)(attach(n, first, "dead"))
	want := s.picture(t, alive.Key(), broken.Key())
	want = strings.ReplaceAll(want, " down", "")
	first.Stop()

	// Behind its back a container dies, a link goes, and an address.
	host := must[kernel.Host](t)(kernel.Open(kernel.Options{HostNamespace: s.host, Instance: "vandal"}))
	ok(t, host.Namespaces().Delete(t.Context(), dead.Key()))
	ok(t, host.Close())
	ok(t, kerneltest.DeleteLink(broken.Key(), "eth0"))

	second := s.open(t)
	if second.ID() != first.ID() {
		t.Errorf("id %s became %s", first.ID(), second.ID())
	}
	if got := len(second.Sandboxes()); got != 2 {
		t.Fatalf("%d sandboxes, want 2", got)
	}
	again := must[libnetwork.Network](t)(second.NetworkByName("web"))
	if got := len(again.Endpoints()); got != 2 {
		t.Errorf("%d endpoints, want 2", got)
	}
	a, b := again.Endpoints()[0].Info().Sandbox(), again.Endpoints()[1].Info().Sandbox()
	ping(t, a, address(again.Endpoints()[1]))
	ping(t, b, address(again.Endpoints()[0]))
	picture := s.picture(t, alive.Key(), broken.Key())
	if lines := strings.Count(picture, "\n"); lines != strings.Count(want, "\n")-1 { // the dead one's host end
		t.Errorf("after the restart\n%s\nbefore\n%s", picture, want)
	}
	// An address in use is not given out again, and the dead one's is free.
	ep := must[libnetwork.Endpoint](t)(again.CreateEndpoint("new"))
	for _, other := range again.Endpoints() {
		if other.ID() != ep.ID() && address(other) == address(ep) {
			t.Errorf("address %s is given out twice", address(ep))
		}
	}
	empty(t, second)
	s.wantEmpty(t)
}

func TestRepairOnDemand(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	a := must[libnetwork.Sandbox](t)(attach(n, c, "a"))
	must[libnetwork.Sandbox](t)(attach(n, c, "b"))
	ok(t, kerneltest.DeleteLink(s.host, "br-"+n.ID()[:12]))
	ok(t, kerneltest.DeleteLink(a.Key(), "eth0"))
	ok(t, c.Repair(t.Context()))
	ping(t, a, address(n.Endpoints()[1]))
	before := s.picture(t, a.Key())
	ok(t, c.Repair(t.Context()))
	if after := s.picture(t, a.Key()); after != before {
		t.Errorf("a second repair changed\n%s\nto\n%s", before, after)
	}
	empty(t, c)
	s.wantEmpty(t)
}

func TestExternalNamespace(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	other := must[libnetwork.Sandbox](t)(attach(n, c, "other"))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("mine", libnetwork.OptionUseExternalKey()))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("mine"))
	ok(t, ep.Join(sb))
	namespace := kerneltest.NewNamespace(t)
	if err := sb.SetKey("/nowhere"); !errors.Is(err, cnm.NotFound) {
		t.Errorf("error %v, want not found", err)
	}
	ok(t, sb.SetKey(namespace))
	if err := kerneltest.Ping(namespace, address(n.Endpoints()[1])); err != nil {
		t.Error(err)
	}
	ping(t, other, address(ep))
	empty(t, c)
	s.wantEmpty(t)
}

func TestEightGoroutines(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	nets := []libnetwork.Network{
		must[libnetwork.Network](t)(c.NewNetwork("bridge", "n0", "")),
		must[libnetwork.Network](t)(c.NewNetwork("bridge", "n1", "")),
	}
	descriptors := countFiles(t)
	const workers, each = 8, 125
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				sb, err := attach(nets[(w+i)%2], c, fmt.Sprintf("c%d-%d", w, i))
				if err == nil {
					err = sb.Delete()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	ok(t, nets[0].Delete())
	ok(t, nets[1].Delete())
	s.wantEmpty(t)
	// The sockets of the workers that delete links stay open for the next.
	if now := countFiles(t); now > descriptors+32 {
		t.Errorf("%d descriptors were open, %d are", descriptors, now)
	}
}

func countFiles(t testing.TB) int {
	t.Helper()
	return len(must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd")))
}

func TestRefusals(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", subnet("10.7.0.0/24", "10.7.0.1")))
	must[libnetwork.Network](t)(c.NewNetwork("host", "host", ""))
	small := must[libnetwork.Network](t)(c.NewNetwork("bridge", "small", "", subnet("10.8.0.0/30", "")))
	must[libnetwork.Endpoint](t)(small.CreateEndpoint("only"))
	sb := must[libnetwork.Sandbox](t)(attach(n, c, "a"))
	ep := must[libnetwork.Endpoint](t)(n.EndpointByName("a"))
	network := func(driver, name string, options ...libnetwork.NetworkOption) func() error {
		return func() error { _, err := c.NewNetwork(driver, name, "", options...); return err }
	}
	endpoint := func(n libnetwork.Network, name string, options ...libnetwork.EndpointOption) func() error {
		return func() error { _, err := n.CreateEndpoint(name, options...); return err }
	}
	mtu := func(value string) libnetwork.NetworkOption {
		return libnetwork.NetworkOptionDriverOpts(map[string]string{netlabel.DriverMTU: value})
	}
	before := s.picture(t, sb.Key())
	for _, test := range []struct {
		name string
		do   func() error
		kind cnm.Kind
		says string
	}{
		{"blank name", network("bridge", " "), cnm.Invalid, "blank"},
		{"unknown driver", network("brigde", "x"), cnm.NotFound, "brigde"},
		{"name in use", network("bridge", "web"), cnm.Exists, "in use"},
		{"second host network", network("host", "host2"), cnm.Forbidden, "one network"},
		{"overlapping subnet", network("bridge", "x", subnet("10.7.0.128/25", "")), cnm.Exists, `network "web"`},
		{"subnet with host bits", network("bridge", "x", subnet("10.9.0.1/24", "")), cnm.Invalid, `"10.9.0.0/24"`},
		{"gateway outside", network("bridge", "x", subnet("10.9.0.0/24", "10.10.0.1")), cnm.Invalid, "10.10.0.1"},
		{"MTU 0", network("bridge", "x", mtu("0")), cnm.Invalid, "68 to 65535"},
		{"misspelt option", network("bridge", "x", libnetwork.NetworkOptionDriverOpts(map[string]string{"com.docker.network.bridge.nmae": "y"})), cnm.Invalid, "com.docker.network.bridge.name"},
		{"trusted interface", network("bridge", "x", libnetwork.NetworkOptionDriverOpts(map[string]string{"com.docker.network.bridge.trusted_host_interfaces": "a b"})), cnm.Invalid, "separated by"},
		{"IPv6 subnet without IPv6", network("bridge", "x", libnetwork.NetworkOptionIpam("", "", nil, []*libnetwork.IpamConf{{PreferredPool: "fd00:1::/64"}}, nil)), cnm.Invalid, "not enabled"},
		{"network with endpoints", n.Delete, cnm.Forbidden, `"a"`},
		{"endpoint name in use", endpoint(n, "a"), cnm.Exists, "of that name"},
		{"address outside", endpoint(n, "x", libnetwork.CreateOptionIpam([]byte{10, 9, 0, 1}, nil, nil, nil)), cnm.Invalid, "10.9.0.1"},
		{"address in use", endpoint(n, "x", libnetwork.CreateOptionIpam([]byte{10, 7, 0, 1}, nil, nil, nil)), cnm.Exists, "10.7.0.1"},
		{"exhausted pool", endpoint(small, "x"), cnm.Exhausted, `network "small"`},
		{"published port 0", endpoint(n, "x", libnetwork.CreateOptionPortMapping([]types.PortBinding{{Proto: types.TCP}})), cnm.Invalid, "port is 0"},
		{"published at an address of another family", endpoint(n, "x", libnetwork.CreateOptionPortMapping([]types.PortBinding{{Proto: types.SCTP, Port: 80, HostIP: net.IPv6loopback}})), cnm.Invalid, "no IPv6 address"},
		{"endpoint in a sandbox", func() error { return ep.Delete(false) }, cnm.Forbidden, `"a"`},
		{"second join", func() error { return ep.Join(sb) }, cnm.Forbidden, "already"},
		{"join nothing", func() error { return ep.Join(nil) }, cnm.Invalid, "sandbox"},
		{"second sandbox", func() error { _, err := c.NewSandbox("a"); return err }, cnm.Exists, "already"},
		{"bad name server of a network", func() error {
			_, err := c.NewNetwork("bridge", "x", "", libnetwork.NetworkOptionDNS("dns"))
			return err
		}, cnm.Invalid, `"dns"`},
		{"bad name server", func() error { _, err := c.NewSandbox("x", libnetwork.OptionDNS("dns")); return err }, cnm.Invalid, `"dns"`},
		{"bad host name", func() error { _, err := c.NewSandbox("x", libnetwork.OptionHostname("a b")); return err }, cnm.Invalid, `"a b"`},
		{"bad extra host", func() error { _, err := c.NewSandbox("x", libnetwork.OptionExtraHost("h", "1.2.3")); return err }, cnm.Invalid, `"1.2.3"`},
		{"bad search domain", func() error { _, err := c.NewSandbox("x", libnetwork.OptionDNSSearch("a\nb")); return err }, cnm.Invalid, "line breaks"},
		{"userland proxy", func() error {
			_, err := libnetwork.New(config.OptionDataDir(t.TempDir()), config.OptionHostNamespace(s.host),
				config.OptionDriverConfig("bridge", map[string]interface{}{netlabel.GenericData: options.Generic{"EnableUserlandProxy": "perhaps"}}))
			return err
		}, cnm.Invalid, "true or false"},
		{"global store", func() error {
			_, err := libnetwork.New(config.OptionDataDir(t.TempDir()), config.OptionHostNamespace(s.host),
				config.OptionKVProvider("papyrus"), config.OptionKVProviderURL("127.0.0.1:1"))
			return err
		}, cnm.Unsupported, "papyrus"},
		{"global network without a store", func() error {
			_, err := c.NewNetwork("macvlan", "everywhere", "", libnetwork.NetworkOptionScope("global"))
			return err
		}, cnm.Unsupported, "a store that the hosts share"},
		{"global network of a host's driver", func() error {
			_, err := c.NewNetwork("bridge", "everywhere", "", libnetwork.NetworkOptionScope("global"))
			return err
		}, cnm.Invalid, "one host's"},
		{"scope that is none", func() error {
			_, err := c.NewNetwork("macvlan", "everywhere", "", libnetwork.NetworkOptionScope("galactic"))
			return err
		}, cnm.Invalid, "galactic"},
		{"discovery", func() error {
			_, err := libnetwork.New(config.OptionDataDir(t.TempDir()), config.OptionHostNamespace(s.host),
				func(c *config.Config) { c.Cluster.Discovery = "papyrus://127.0.0.1:1/x" })
			return err
		}, cnm.Invalid, "papyrus"},
		{"key of another process", func() error { return libnetwork.SetExternalKey("c", "a", "/proc/1/ns/net") }, cnm.Unavailable, "no controller listens"},
		{"data dir in use", func() error {
			_, err := libnetwork.New(config.OptionDataDir(s.data), config.OptionHostNamespace(s.host))
			return err
		}, cnm.Unavailable, "another process"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.do()
			if !errors.Is(err, test.kind) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("error %v, want kind %q and the words %q", err, test.kind, test.says)
			}
			if after := s.picture(t, sb.Key()); after != before {
				t.Errorf("the refusal changed\n%s\nto\n%s", before, after)
			}
		})
	}
	empty(t, c)
}

func subnet(pool, gateway string) libnetwork.NetworkOption {
	return libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{{PreferredPool: pool, Gateway: gateway}}, nil, nil)
}
