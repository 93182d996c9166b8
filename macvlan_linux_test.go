package libnetwork_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/types"
)

// wire is a machine whose link phys0 leads to another one, far away, in which it is eth0.
type wire struct {
	scratch
	far string
}

// Addresses of the far machine, in the subnets that the tests' networks have.
const (
	wireSubnet4, wireSubnet6 = "192.0.2.0/24", "2001:db8::/64"
	farIPv4, farIPv6         = "192.0.2.254", "2001:db8::fe"
)

func newWire(t testing.TB) *wire {
	t.Helper()
	w := &wire{newScratch(t), kerneltest.NewNamespace(t)}
	w.apply(t,
		netstate.Part{Owner: "lan/wire", Links: []netstate.Link{
			{Name: "phys0", Kind: netstate.Veth, Peer: netstate.Peer{Namespace: w.far, Name: "eth0"}},
		}},
		netstate.Part{
			Owner: "lan/wire", Namespace: w.far, Links: []netstate.Link{{Name: "eth0", Kind: netstate.Veth}},
			Addrs: []netstate.Addr{
				{Link: "eth0", Prefix: netip.MustParsePrefix(farIPv4 + "/24")},
				{Link: "eth0", Prefix: netip.MustParsePrefix(farIPv6 + "/64")},
			},
		})
	return w
}

// apply does on the machine what somebody else would.
func (w *wire) apply(t testing.TB, parts ...netstate.Part) {
	t.Helper()
	host := must[kernel.Host](t)(kernel.Open(kernel.Options{HostNamespace: w.host, Instance: "lan"}))
	defer host.Close() //nolint:errcheck // nothing is open any more
	ok(t, host.Apply(context.Background(), netstate.Diff(nil, parts)))
}

// before is what is on the machine without networks of ours; wantAsBefore fails if there
// is more.
func (w *wire) wantAsBefore(t testing.TB, before string) {
	t.Helper()
	if after := w.picture(t); after != before {
		t.Errorf("on the host before:\n%s\nand after:\n%s", before, after)
	}
}

// onWire are options of a network of both families in the far machine's subnets.
func onWire(options ...string) []libnetwork.NetworkOption {
	labels := make(map[string]string)
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		labels[key] = value
	}
	return []libnetwork.NetworkOption{
		libnetwork.NetworkOptionDriverOpts(labels), libnetwork.NetworkOptionEnableIPv6(true),
		libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{{PreferredPool: wireSubnet4, SubPool: "192.0.2.64/26"}},
			[]*libnetwork.IpamConf{{PreferredPool: wireSubnet6, SubPool: "2001:db8::1:0/112"}}, nil),
	}
}

// place makes a container and attaches it to a network.
func place(t testing.TB, c libnetwork.NetworkController, n libnetwork.Network, name string, options ...libnetwork.EndpointOption) (libnetwork.Sandbox, libnetwork.Endpoint) {
	t.Helper()
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint(name, options...))
	ok(t, ep.Join(sb))
	return sb, ep
}

func bothAddresses(ep libnetwork.Endpoint) []netip.Addr {
	out := []netip.Addr{address(ep)}
	if six := ep.Info().Iface().AddressIPv6(); six != nil {
		a, _ := netip.AddrFromSlice(six.IP)
		out = append(out, a)
	}
	return out
}

// unreachable fails if something answers.
func unreachable(t testing.TB, from libnetwork.Sandbox, to netip.Addr) {
	t.Helper()
	if kerneltest.PingWithin(from.Key(), to, 600*time.Millisecond) == nil {
		t.Errorf("%s: reaches %s", from.ContainerID(), to)
	}
}

// wantReach fails unless the container and the far machine reach each other, by IPv4 and
// IPv6, and the container the other one only if they are together: what is there behind the
// wire is no switch that sends back.
func wantReach(t *testing.T, w *wire, a libnetwork.Sandbox, epA, epB libnetwork.Endpoint, together bool) {
	t.Helper()
	for _, far := range []string{farIPv4, farIPv6} {
		ping(t, a, netip.MustParseAddr(far))
	}
	for _, own := range bothAddresses(epA) {
		if err := kerneltest.Ping(w.far, own); err != nil {
			t.Errorf("from the far machine: %v", err)
		}
	}
	for _, other := range bothAddresses(epB) {
		if together {
			ping(t, a, other)
		} else {
			unreachable(t, a, other)
		}
	}
}

func TestMacvlanModes(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan)
	for _, mode := range []string{"bridge", "private", "vepa"} {
		t.Run(mode, func(t *testing.T) {
			w := newWire(t)
			before := w.picture(t)
			c := w.open(t)
			n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "lan", "", onWire("parent=phys0", "macvlan_mode="+mode)...))
			a, epA := place(t, c, n, "a")
			_, epB := place(t, c, n, "b")
			wantReach(t, w, a, epA, epB, mode == "bridge")
			if gateway := epA.Info().Gateway(); gateway != nil {
				t.Errorf("gateway %s, though none was asked for", gateway)
			}
			if routes := w.picture(t, a.Key()); strings.Contains(routes, "route 0.0.0.0/0") || strings.Contains(routes, "route ::/0") {
				t.Errorf("a default route:\n%s", routes)
			}
			empty(t, c)
			w.wantAsBefore(t, before)
		})
	}
}

func TestMacvlanPassthru(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan)
	w := newWire(t)
	before := w.picture(t)
	c := w.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "lan", "", onWire("parent=phys0", "macvlan_mode=passthru")...))
	a, epA := place(t, c, n, "a")
	for _, far := range []string{farIPv4, farIPv6} {
		ping(t, a, netip.MustParseAddr(far))
	}
	b := must[libnetwork.Sandbox](t)(c.NewSandbox("b"))
	second := must[libnetwork.Endpoint](t)(n.CreateEndpoint("b"))
	if err := second.Join(b); !errors.Is(err, cnm.Forbidden) || !strings.Contains(err.Error(), "passthru") {
		t.Errorf("a second one: error %v", err)
	}
	for _, mode := range []string{"bridge", "passthru"} {
		_, err := c.NewNetwork("macvlan", "other", "", libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0", "macvlan_mode": mode}))
		if !errors.Is(err, cnm.Forbidden) || !strings.Contains(err.Error(), `network "lan" has it for itself`) {
			t.Errorf("%s beside it: error %v", mode, err)
		}
	}
	ok(t, epA.Leave(a))
	ok(t, second.Join(b)) // the place is free
	ping(t, b, netip.MustParseAddr(farIPv4))
	empty(t, c)
	w.wantAsBefore(t, before)
}

// Several networks on one parent, a gateway that was asked for, an internal network, and
// what a restart makes of them.
func TestMacvlanNetworksOnOneParent(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan)
	w := newWire(t)
	before := w.picture(t)
	c := w.open(t)
	network := func(name, pool, gateway string, options ...libnetwork.NetworkOption) libnetwork.Network {
		return must[libnetwork.Network](t)(c.NewNetwork("macvlan", name, "", append(options,
			libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0"}),
			libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{{PreferredPool: pool, Gateway: gateway}}, nil, nil))...))
	}
	lan := network("lan", wireSubnet4, farIPv4)
	inside := network("inside", "198.51.100.0/24", "198.51.100.1", libnetwork.NetworkOptionInternalNetwork())
	plain := network("plain", "203.0.113.0/24", "")
	a, epA := place(t, c, lan, "a")
	_, epB := place(t, c, inside, "b")
	ok(t, must[libnetwork.Endpoint](t)(plain.CreateEndpoint("a2")).Join(a))
	if got := epA.Info().Gateway(); !got.Equal(net.ParseIP(farIPv4)) || epB.Info().Gateway() != nil {
		t.Errorf("gateways %s and %s", got, epB.Info().Gateway())
	}
	if used := must[[]*libnetwork.IpamInfo](t)(ipamOf(plain)); used[0].Gateway != nil {
		t.Errorf("a gateway was taken: %s", used[0].Gateway)
	}
	check := func() {
		t.Helper()
		ping(t, a, netip.MustParseAddr(farIPv4))
		if got := w.picture(t, a.Key()); strings.Count(got, "route 0.0.0.0/0 via "+farIPv4) != 1 {
			t.Errorf("want one default route:\n%s", got)
		}
	}
	check()
	picture := w.picture(t, a.Key())
	c.Stop()
	c = w.open(t)
	if after := w.picture(t, a.Key()); after != picture {
		t.Errorf("before the restart:\n%s\nafter:\n%s", picture, after)
	}
	check()
	// Somebody deletes the container's links, and takes the parent down.
	ok(t, kerneltest.DeleteLink(a.Key(), "eth0"))
	ok(t, kerneltest.DeleteLink(a.Key(), "eth1"))
	run(t, w.host, "ip", "link", "set", "phys0", "down")
	ok(t, c.Repair(t.Context()))
	check()
	if after := w.picture(t, a.Key()); after != picture {
		t.Errorf("before:\n%s\nafter the repair:\n%s", picture, after)
	}
	empty(t, c)
	w.wantAsBefore(t, before)
}

func ipamOf(n libnetwork.Network) ([]*libnetwork.IpamInfo, error) {
	v4, _ := n.Info().IpamInfo()
	if len(v4) == 0 {
		return nil, errors.New("no subnets")
	}
	return v4, nil
}

func TestMacvlanHostShim(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan)
	w := newWire(t)
	before := w.picture(t)
	c := w.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "lan", "", onWire("parent=phys0", "com.docker.network.macvlan.host_shim=true")...))
	a, epA := place(t, c, n, "a")
	picture := w.picture(t)
	check := func() {
		t.Helper()
		for _, own := range bothAddresses(epA) {
			if err := kerneltest.Ping(w.host, own); err != nil {
				t.Errorf("from the host: %v", err)
			}
		}
		ping(t, a, netip.MustParseAddr("192.0.2.64"))
		ping(t, a, netip.MustParseAddr(farIPv4))
	}
	check()
	ok(t, kerneltest.DeleteLink(w.host, "ms-"+n.ID()[:12]))
	ok(t, c.Repair(t.Context()))
	if after := w.picture(t); after != picture {
		t.Errorf("before:\n%s\nafter the repair:\n%s", picture, after)
	}
	check()
	c.Stop()
	c = w.open(t) // the host's address is taken again, and given to nobody else
	n = must[libnetwork.Network](t)(c.NetworkByName("lan"))
	_, epB := place(t, c, n, "b")
	if got := address(epB); got == netip.MustParseAddr("192.0.2.64") || got == address(epA) {
		t.Errorf("address %s is taken", got)
	}
	empty(t, c)
	w.wantAsBefore(t, before)
}

func TestMacvlanRefuses(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan)
	w := newWire(t)
	c := w.open(t)
	bridge := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	w.apply(t, netstate.Part{Owner: "lan/port", Links: []netstate.Link{
		{Name: "port0", Kind: netstate.Veth, Peer: netstate.Peer{Name: "port1"}},
	}})
	run(t, w.host, "ip", "link", "set", "port0", "master", "br-"+bridge.ID()[:12])
	before := w.picture(t)
	for _, test := range []struct {
		options, says string
		kind          cnm.Kind
	}{
		{"parent=lo", "loopback", cnm.Invalid},
		{"parent=none0", `parent "none0": there is no such link`, cnm.NotFound},
		{"parent=port0", `make that the parent`, cnm.Forbidden},
		{"parent=phys0 com.docker.network.driver.mtu=1501", "its MTU is 1500", cnm.Invalid},
		{"parent=phys0 macvlan_mode=source", "one of", cnm.Invalid},
		{"parent=phys0 macvlan_mode=private com.docker.network.macvlan.host_shim=true", "use mode bridge", cnm.Invalid},
		{"parent=phys0 ipvlan_mode=l2", "unknown", cnm.Invalid},
	} {
		_, err := c.NewNetwork("macvlan", "n", "", onWire(strings.Fields(test.options)...)...)
		if !errors.Is(err, test.kind) || !strings.Contains(fmt.Sprint(err), test.says) || !strings.HasPrefix(err.Error(), `create network "n": `) {
			t.Errorf("%s: error %v, want kind %q and %q", test.options, err, test.kind, test.says)
		}
	}
	w.wantAsBefore(t, before)
	n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "n", "", onWire("parent=phys0")...))
	_, err := n.CreateEndpoint("e", libnetwork.CreateOptionPortMapping([]types.PortBinding{tcp(80, 8080)}))
	if !errors.Is(err, cnm.Invalid) || !strings.Contains(fmt.Sprint(err), "reach them there at their own addresses") {
		t.Errorf("a published port: error %v", err)
	}
	sb, ep := place(t, c, n, "a", libnetwork.EndpointOptionGeneric(map[string]any{netlabel.MacAddress: net.HardwareAddr{2, 0, 0, 0, 0, 7}}))
	taken := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "m", "", libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0"})))
	same := must[libnetwork.Endpoint](t)(taken.CreateEndpoint("b", libnetwork.EndpointOptionGeneric(map[string]any{netlabel.MacAddress: net.HardwareAddr{2, 0, 0, 0, 0, 7}})))
	if err := same.Join(must[libnetwork.Sandbox](t)(c.NewSandbox("b"))); !errors.Is(err, cnm.Exists) || !strings.Contains(err.Error(), "02:00:00:00:00:07") {
		t.Errorf("a MAC address twice: error %v", err)
	}
	ok(t, ep.Leave(sb))
	empty(t, c)
}

// openOn opens a controller on a machine, with a store in memory.
func openOn(t testing.TB, host kernel.Host) libnetwork.NetworkController {
	t.Helper()
	c := must[libnetwork.NetworkController](t)(libnetwork.OpenWith(host, memory.New(), config.OptionExecRoot(t.TempDir())))
	t.Cleanup(c.Stop)
	return c
}

// What a kernel lacks is named, and nothing is left of the attempt.
func TestMissingFeatureIsNamed(t *testing.T) {
	host := kerneltest.NewFake()
	host.Plant("", netstate.Link{Name: "phys0", Kind: "physical", MTU: 1500})
	host.Lack(kernel.FeatureIPvlan, kernel.FeatureDummy, kernel.FeatureVLAN, kernel.FeatureTBF)
	c := openOn(t, host)
	before := kerneltest.Snapshot(t, host, "") + libnetwork.Reserved(c)
	for _, test := range []struct{ driver, parent, want string }{
		{"ipvlan", "phys0", `create network "x": ipvlan: this kernel has no ipvlan (CONFIG_IPVLAN, module ipvlan)`},
		{"macvlan", "", `dummy: this kernel has no dummy (CONFIG_DUMMY, module dummy)`},
		{"macvlan", "phys0.10", `vlan: this kernel has no vlan (CONFIG_VLAN_8021Q, module 8021q)`},
	} {
		_, err := c.NewNetwork(test.driver, "x", "", libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": test.parent}))
		if !errors.Is(err, cnm.Unsupported) || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
		if after := kerneltest.Snapshot(t, host, "") + libnetwork.Reserved(c); after != before {
			t.Errorf("left of %s on %q:\n%s", test.driver, test.parent, after)
		}
	}
	n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "x", "", libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0"})))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("c"))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("e", libnetwork.EndpointOptionGeneric(map[string]any{netlabel.EndpointEgress: "1M"})))
	if err := ep.Join(sb); !errors.Is(err, cnm.Unsupported) || !strings.Contains(err.Error(), "CONFIG_NET_SCH_TBF") {
		t.Errorf("a limit: error %v", err)
	}
}
