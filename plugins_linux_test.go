package libnetwork_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/plugin/plugintest"
	"github.com/docker/libnetwork/types"
)

// maker is a plugin whose networks are bridges on the host, each endpoint a pair.
type maker struct {
	*plugintest.Plugin
	t    *testing.T
	host string
	// joinAnswer is a format for the name of the link.
	joinAnswer string
}

func newMaker(t *testing.T, s scratch) *maker {
	t.Helper()
	m := &maker{Plugin: plugintest.Start(t, "maker", "NetworkDriver", "IpamDriver"), t: t, host: s.host,
		joinAnswer: `{"InterfaceName":{"SrcName":%q,"DstPrefix":"eth"}}`}
	m.Answer("NetworkDriver.GetCapabilities", `{"Scope":"local"}`)
	m.does("CreateNetwork", func(id, _ string) string {
		run(t, s.host, "ip", "link", "add", "mk-"+id[:4], "up", "type", "bridge")
		return `{}`
	})
	m.does("DeleteNetwork", func(id, _ string) string {
		run(t, s.host, "sh", "-c", "ip link del mk-"+id[:4]+" || true")
		return `{}`
	})
	m.does("CreateEndpoint", func(network, id string) string {
		run(t, s.host, "ip", "link", "add", "in-"+id[:4], "type", "veth", "peer", "out-"+id[:4])
		run(t, s.host, "ip", "link", "set", "out-"+id[:4], "up", "master", "mk-"+network[:4])
		return `{"Interface":{"MacAddress":"02:00:00:00:` + id[:2] + ":" + id[2:4] + `"}}`
	})
	m.does("DeleteEndpoint", func(_, id string) string {
		if out := run(t, s.host, "sh", "-c", "ip -o link show out-"+id[:4]+" 2>/dev/null; ip -o link show in-"+id[:4]+" 2>/dev/null || true"); strings.Count(out, "\n") == 1 {
			t.Errorf("a link is not back when the plugin is told of the end: %s", out)
		}
		run(t, s.host, "sh", "-c", "ip link del out-"+id[:4]+" || true")
		return `{}`
	})
	m.does("Join", func(_, id string) string { return fmt.Sprintf(m.joinAnswer, "in-"+id[:4]) })
	m.does("Leave", func(string, string) string { return `{}` })
	m.does("EndpointOperInfo", func(string, string) string { return `{"Value":{"com.example.speed":"10G"}}` })
	return m
}

// does has a method do something with the ids of its request.
func (m *maker) does(method string, do func(network, endpoint string) string) {
	m.Handle("NetworkDriver."+method, func(w http.ResponseWriter, call plugintest.Call) {
		var request struct{ NetworkID, EndpointID string }
		if err := json.Unmarshal([]byte(call.Body), &request); err != nil {
			m.t.Error(err)
		}
		_, _ = w.Write([]byte(do(request.NetworkID, request.EndpointID)))
	})
}

// called returns the methods that were called, without what only asks.
func (m *maker) called() []string {
	return slices.DeleteFunc(m.Methods(), func(method string) bool {
		return strings.Contains(method, "Get") || strings.HasSuffix(method, "OperInfo")
	})
}

func (m *maker) want(methods ...string) {
	m.t.Helper()
	for i, method := range methods {
		methods[i] = "NetworkDriver." + method
	}
	if diff := cmp.Diff(methods, m.called()); diff != "" {
		m.t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// eventually waits for what happens in the background.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Errorf("%s: not in time", what)
}

func (m *maker) option() config.Option {
	return config.OptionPlugins(config.PluginsCfg{
		SocketFolders: []string{m.Folder}, SpecFolders: []string{m.Folder}, CallTimeout: 2 * time.Second, RetryFor: 300 * time.Millisecond,
	})
}

func TestPluginNetwork(t *testing.T) {
	l := newLan(t)
	before := l.picture(t)
	m := newMaker(t, l.scratch)
	c := l.open(t, m.option())
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
	m.want("CreateNetwork")
	one, two := must[libnetwork.Sandbox](t)(c.NewSandbox("one")), must[libnetwork.Sandbox](t)(c.NewSandbox("two"))
	epOne, epTwo := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one")), must[libnetwork.Endpoint](t)(n.CreateEndpoint("two"))
	ok(t, epOne.Join(one))
	ok(t, epTwo.Join(two))
	m.want("CreateEndpoint", "CreateEndpoint", "Join", "Join")
	ping(t, one, address(epTwo))
	ping(t, two, address(epOne))
	if info := must[map[string]interface{}](t)(epOne.DriverInfo()); info["com.example.speed"] != "10G" || info[netlabel.MacAddress] == nil {
		t.Errorf("driver info %v", info)
	}

	// The way out is the default gateway network's, and published ports go by it.
	if got := run(t, one.Key(), "ip", "route"); !strings.Contains(got, "default via") || !strings.Contains(got, "dev eth1") {
		t.Errorf("routes:\n%s", got)
	}
	ping(t, one, netip.MustParseAddr(kerneltest.NeighborIPv4))
	kerneltest.Serve(t, one.Key(), "one", 80)
	ok(t, one.Refresh(libnetwork.OptionPortMapping([]types.PortBinding{tcp(80, 8080)})))
	wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "one "+kerneltest.NeighborIPv4)

	// All stays when the plugin and we are away, and goes when it is told to.
	m.Stop()
	c.Stop()
	c = l.open(t, m.option())
	wantNoDifference(t, c)
	ping(t, must[libnetwork.Sandbox](t)(c.SandboxByID(one.ID())), address(epTwo))
	m.Start()
	for _, sb := range c.Sandboxes() {
		ok(t, sb.Delete())
	}
	ok(t, must[libnetwork.Network](t)(c.NetworkByName("web")).Delete())
	ok(t, must[libnetwork.Network](t)(c.NetworkByName("docker_gwbridge")).Delete())
	m.want("Leave", "DeleteEndpoint", "Leave", "DeleteEndpoint", "DeleteNetwork")
	if after := l.picture(t); after != before {
		t.Errorf("on the host before:\n%s\nand after:\n%s", before, after)
	}
	if left := libnetwork.Told(c); len(left) > 0 {
		t.Errorf("notes left: %q", left)
	}
}

func TestDefaultGatewayComesAndGoes(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	c := s.open(t, m.option())
	plugged := must[libnetwork.Network](t)(c.NewNetwork("maker", "plugged", ""))
	bridged := must[libnetwork.Network](t)(c.NewNetwork("bridge", "bridged", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("c"))
	ep := must[libnetwork.Endpoint](t)(plugged.CreateEndpoint("c"))
	ok(t, ep.Join(sb))
	names := func() (out []string) {
		for _, ep := range sb.Endpoints() {
			out = append(out, ep.Network())
		}
		slices.Sort(out)
		return out
	}
	for _, step := range []struct {
		what string
		do   func() error
		want []string
	}{
		{"after the first", func() error { return nil }, []string{"docker_gwbridge", "plugged"}},
		{"with another gateway", func() error { return must[libnetwork.Endpoint](t)(bridged.CreateEndpoint("c")).Join(sb) }, []string{"bridged", "plugged"}},
		{"without it", func() error { return must[libnetwork.Endpoint](t)(bridged.EndpointByName("c")).Delete(true) }, []string{"docker_gwbridge", "plugged"}},
		{"alone", func() error { return ep.Leave(sb) }, nil},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if diff := cmp.Diff(step.want, names()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
	m.joinAnswer = `{"InterfaceName":{"SrcName":%q,"DstPrefix":"eth"},"DisableGatewayService":true}`
	ok(t, ep.Join(sb))
	if diff := cmp.Diff([]string{"plugged"}, names()); diff != "" {
		t.Errorf("without the service (-want +got):\n%s", diff)
	}
	ok(t, sb.Delete())
}

// What a plugin may have done when something went wrong is taken back, at once or as soon
// as it can be told.
func TestPluginFailures(t *testing.T) {
	for name, test := range map[string]struct {
		method  string
		fail    func(*maker, string)
		attempt func(libnetwork.NetworkController, libnetwork.Network, libnetwork.Endpoint, libnetwork.Sandbox) error
		kind    cnm.Kind
		calls   []string
		// later has the plugin work again, and is told the rest.
		later []string
	}{
		"network refused":       {"CreateNetwork", says(`{"Err":"no room"}`), newNetwork, cnm.Internal, []string{"CreateNetwork"}, nil},
		"network in time":       {"CreateNetwork", (*maker).hangs, newNetwork, cnm.Timeout, []string{"CreateNetwork", "DeleteNetwork"}, nil},
		"endpoint refused":      {"CreateEndpoint", says(`{"Err":"no room"}`), newEndpoint, cnm.Internal, []string{"CreateEndpoint"}, nil},
		"endpoint garbage":      {"CreateEndpoint", says(`{"Interface":{"Address":"10.9.9.9/24"}}`), newEndpoint, cnm.Internal, []string{"CreateEndpoint", "DeleteEndpoint"}, nil},
		"join refused":          {"Join", says(`{"Err":"not now"}`), join, cnm.Internal, []string{"Join"}, nil},
		"join names lo":         {"Join", says(`{"InterfaceName":{"SrcName":"lo","DstPrefix":"eth"}}`), join, cnm.Internal, []string{"Join", "Leave"}, nil},
		"join names none":       {"Join", says(`{"InterfaceName":{"SrcName":"none0","DstPrefix":"eth"}}`), join, cnm.NotFound, []string{"Join", "Leave"}, nil},
		"join names the host's": {"Join", says(`{"InterfaceName":{"SrcName":"wan0","DstPrefix":"eth"}}`), join, cnm.Forbidden, []string{"Join", "Leave"}, nil},
		"join breaks":           {"Join", func(m *maker, method string) { m.Break(method) }, join, cnm.Unavailable, []string{"Join", "Leave"}, nil},
		"join dies": {"Join", func(m *maker, method string) {
			m.Handle(method, func(http.ResponseWriter, plugintest.Call) { go m.Stop(); <-time.After(50 * time.Millisecond) })
		}, join, cnm.Unavailable, []string{"Join"}, []string{"Leave"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScratch(t)
			m := newMaker(t, s)
			run(t, s.host, "ip", "link", "add", "wan0", "type", "veth", "peer", "wan1")
			run(t, s.host, "ip", "address", "add", "203.0.113.1/24", "dev", "wan0")
			c := s.open(t, m.option())
			n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
			ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one"))
			sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one"))
			before, notes := s.picture(t, sb.Key()), libnetwork.Told(c)
			m.called()
			test.fail(m, "NetworkDriver."+test.method)
			err := test.attempt(c, n, ep, sb)
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), "maker") && !strings.Contains(err.Error(), "link") {
				t.Errorf("error %v; want kind %q and who it was", err, test.kind)
			}
			m.want(test.calls...)
			if test.later != nil {
				m.Start()
				var told []string
				eventually(t, "told later", func() bool { told = append(told, m.called()...); return len(told) >= len(test.later) })
				if want := "NetworkDriver." + test.later[0]; told[0] != want {
					t.Errorf("told later: %q, want %q", told, want)
				}
			}
			if after := s.picture(t, sb.Key()); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			if diff := cmp.Diff(notes, libnetwork.Told(c)); diff != "" {
				t.Errorf("notes (-before +after):\n%s", diff)
			}
			ok(t, sb.Delete())
		})
	}
}

func says(answer string) func(*maker, string) {
	return func(m *maker, method string) { m.Answer(method, answer) }
}

func (m *maker) hangs(method string) { m.Hang(method) }

func newNetwork(c libnetwork.NetworkController, _ libnetwork.Network, _ libnetwork.Endpoint, _ libnetwork.Sandbox) error {
	_, err := c.NewNetwork("maker", "other", "")
	return err
}

func newEndpoint(_ libnetwork.NetworkController, n libnetwork.Network, _ libnetwork.Endpoint, _ libnetwork.Sandbox) error {
	_, err := n.CreateEndpoint("other")
	return err
}

func join(_ libnetwork.NetworkController, _ libnetwork.Network, ep libnetwork.Endpoint, sb libnetwork.Sandbox) error {
	return ep.Join(sb)
}

// A container can be removed while its plugin is away, and the plugin is told by whoever
// is there when it comes back.
func TestPluginIsToldLater(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	m.joinAnswer = `{"InterfaceName":{"SrcName":%q,"DstPrefix":"eth"},"DisableGatewayService":true}`
	c := s.open(t, m.option())
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one"))
	ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint("one")).Join(sb))
	m.Stop()
	ok(t, sb.Delete())
	if err := n.Delete(); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("deleting a network of a plugin that is away: %v", err)
	}
	m.called()
	c.Stop()
	c = s.open(t, m.option())
	m.Start()
	eventually(t, "told of the endpoint's end", func() bool { return len(libnetwork.Told(c)) == 1 })
	m.want("Leave", "DeleteEndpoint")
	ok(t, must[libnetwork.Network](t)(c.NetworkByName("web")).Delete())
	m.want("DeleteNetwork")
	s.wantEmpty(t)
}

// A process that is killed when the plugin has been told, and nothing is recorded yet,
// leaves a note; the next one takes back what it is of.
func TestPluginForgetsWhatWasNeverRecorded(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	c := s.open(t, m.option())
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one"))
	ok(t, libnetwork.DropRecords(c, ep.ID(), n.ID())) // what a kill before the commit comes to
	c.Stop()
	m.called()
	c = s.open(t, m.option())
	eventually(t, "told", func() bool { return len(libnetwork.Told(c)) == 0 })
	m.want("DeleteEndpoint", "DeleteNetwork")
	s.wantEmpty(t)
}

// External connectivity belongs to the endpoint that gives the default route, and is
// programmed after it has joined, and revoked before it leaves.
func TestExternalConnectivity(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	m.joinAnswer = `{"InterfaceName":{"SrcName":%q,"DstPrefix":"eth"},"Gateway":"10.77.0.1"}`
	m.does("ProgramExternalConnectivity", func(string, string) string { return `{}` })
	m.does("RevokeExternalConnectivity", func(string, string) string { return `{}` })
	c := s.open(t, m.option())
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", "", subnet("10.77.0.0/24", "10.77.0.1")))
	bridged := must[libnetwork.Network](t)(c.NewNetwork("bridge", "a bridge", "")) // its name is before "web"
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one", libnetwork.OptionPortMapping([]types.PortBinding{tcp(80, 8080)})))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one"))
	m.called()
	ok(t, ep.Join(sb))
	calls := m.Calls()
	if len(calls) != 2 || !strings.Contains(calls[1].Body, `"com.docker.network.portmap":[{"Proto":6,"IP":"","Port":80,"HostIP":"","HostPort":8080,"HostPortEnd":8080}]`) {
		t.Errorf("calls %v", calls)
	}
	other := must[libnetwork.Endpoint](t)(bridged.CreateEndpoint("one"))
	ok(t, other.Join(sb))
	m.want("RevokeExternalConnectivity")
	ok(t, other.Leave(sb))
	m.want("ProgramExternalConnectivity")
	ok(t, sb.Delete())
	m.want("RevokeExternalConnectivity", "Leave", "DeleteEndpoint")
}

// Addresses of a plugin's address manager: asked for, replayed only if it wants that, and
// given back when it can be told.
func TestPluginAddresses(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	needs := `{"RequiresMACAddress":true,"RequiresRequestReplay":true}`
	m.Answer("IpamDriver.GetCapabilities", needs)
	m.Answer("IpamDriver.GetDefaultAddressSpaces", `{"LocalDefaultAddressSpace":"L","GlobalDefaultAddressSpace":"G"}`)
	m.Answer("IpamDriver.RequestPool", `{"PoolID":"p1","Pool":"10.99.0.0/24"}`)
	m.Handle("IpamDriver.RequestAddress", func(w http.ResponseWriter, call plugintest.Call) {
		answer := `{"Address":"10.99.0.7/24"}`
		if strings.Contains(call.Body, "com.docker.network.gateway") {
			answer = `{"Address":"10.99.0.1/24"}`
		}
		_, _ = w.Write([]byte(answer))
	})
	m.Answer("IpamDriver.ReleaseAddress", `{}`)
	m.Answer("IpamDriver.ReleasePool", `{}`)
	c := s.open(t, m.option())
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionIpam("maker", "", nil, nil, nil)))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one"))
	if got := address(ep).String(); got != "10.99.0.7" {
		t.Errorf("address %s", got)
	}
	asked := slices.DeleteFunc(m.Calls(), func(call plugintest.Call) bool { return call.Method != "IpamDriver.RequestAddress" })
	if last := asked[len(asked)-1].Body; !strings.Contains(last, ep.Info().Iface().MacAddress().String()) {
		t.Errorf("asked without the MAC address: %s", last)
	}
	c.Stop()
	m.Stop()
	c = s.open(t, m.option()) // the plugin is down, and is told when it is up
	m.Start()
	replayed := func() (out []string) {
		return slices.DeleteFunc(m.Methods(), func(method string) bool { return !strings.HasPrefix(method, "IpamDriver.Request") })
	}
	var got []string
	eventually(t, "replayed", func() bool { got = append(got, replayed()...); return len(got) == 3 })
	n = must[libnetwork.Network](t)(c.NetworkByName("web"))
	m.Stop()
	ok(t, must[libnetwork.Endpoint](t)(n.EndpointByName("one")).Delete(false))
	ok(t, n.Delete())
	m.Methods()
	m.Start()
	eventually(t, "released", func() bool { return len(libnetwork.Told(c)) == 0 })
	want := []string{"IpamDriver.ReleaseAddress", "IpamDriver.ReleaseAddress", "IpamDriver.ReleasePool"}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(m.called()))); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
	s.wantEmpty(t)
	if _, err := c.NewNetworkContext(context.Background(), "bridge", "x", "", libnetwork.NetworkOptionIpam("nobody", "", nil, nil, nil)); !errors.Is(err, cnm.NotFound) {
		t.Errorf("an address manager that is not there: %v", err)
	}
}

// nodeLists is a watcher of the 2017 API.
type nodeLists chan config.Entries

func (n nodeLists) Watch(<-chan struct{}) (<-chan config.Entries, <-chan error) { return n, nil }

// Plugins hear of the nodes of the cluster: those that there are, and what changes.
func TestPluginHearsOfNodes(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	for _, method := range []string{"DiscoverNew", "DiscoverDelete"} {
		m.does(method, func(string, string) string { return `{}` })
	}
	lists := make(nodeLists, 4)
	c := s.open(t, m.option(), config.OptionDiscoveryWatcher(lists), config.OptionDiscoveryAddress("192.0.2.1:7946"))
	var heard []string
	hears := func(want ...string) {
		t.Helper()
		eventually(t, fmt.Sprint("the plugin hears ", want), func() bool {
			for _, call := range m.Calls() {
				var request struct {
					DiscoveryType int
					DiscoveryData struct {
						Address string
						Self    bool
					}
				}
				if strings.Contains(call.Method, "Discover") {
					if err := json.Unmarshal([]byte(call.Body), &request); err != nil || request.DiscoveryType != 1 {
						t.Errorf("%s: %v", call.Body, err)
					}
					heard = append(heard, fmt.Sprint(call.Method[len("NetworkDriver.Discover"):], " ", request.DiscoveryData.Address, " ", request.DiscoveryData.Self))
				}
			}
			return len(heard) >= len(want)
		})
		slices.Sort(heard)
		if diff := cmp.Diff(want, heard); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
		heard = nil
	}
	lists <- config.Entries{{Host: "192.0.2.1", Port: "7946"}, {Host: "192.0.2.2", Port: "7946"}}
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
	hears("New 192.0.2.1 true", "New 192.0.2.2 false")
	lists <- config.Entries{{Host: "192.0.2.1", Port: "7946"}, {Host: "192.0.2.3", Port: "7946"}}
	hears("Delete 192.0.2.2 false", "New 192.0.2.3 false")
	ok(t, n.Delete())
	for url, want := range map[string]cnm.Kind{"nodes://192.0.2.[1-2]": "", "etcd://127.0.0.1:1/nodes": "", "gopher://x": cnm.Invalid, "nodes://": cnm.Invalid} {
		other, err := libnetwork.New(config.OptionHostNamespace(s.host), config.OptionDataDir(t.TempDir()), config.OptionExecRoot(runFolder(t)),
			func(cfg *config.Config) { cfg.Cluster.Discovery = url })
		if err == nil {
			other.Stop()
		}
		if want == "" && err != nil || want != "" && !errors.Is(err, want) {
			t.Errorf("discovery by %q: %v", url, err)
		}
	}
}
