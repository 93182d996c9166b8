package libnetwork_test

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/options"
)

func TestIPv6Only(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "six", "",
		libnetwork.NetworkOptionEnableIPv4(false), libnetwork.NetworkOptionEnableIPv6(true)))
	a := must[libnetwork.Sandbox](t)(attach(n, c, "a"))
	must[libnetwork.Sandbox](t)(attach(n, c, "b"))
	b := n.Endpoints()[1].Info().Iface()
	if b.Address() != nil || !b.AddressIPv6().IP.IsPrivate() {
		t.Errorf("addresses %v and %v, want a unique local one only", b.Address(), b.AddressIPv6())
	}
	target, _ := netip.AddrFromSlice(b.AddressIPv6().IP)
	ping(t, a, target)
	empty(t, c)
	s.wantEmpty(t)
}

// A bridge that somebody else made is used, and stays as it was.
func TestBridgeOfSomebodyElse(t *testing.T) {
	s := newScratch(t)
	theirs := must[kernel.Host](t)(kernel.Open(kernel.Options{HostNamespace: s.host, Instance: "theirs"}))
	defer theirs.Close() //nolint:errcheck // the test is over
	bridge := []netstate.Part{{
		Owner: "network/theirs",
		Links: []netstate.Link{{Name: "br0", Kind: netstate.Bridge, MAC: netstate.MAC{2, 1, 1, 1, 1, 1}}},
		Addrs: []netstate.Addr{{Link: "br0", Prefix: netip.MustParsePrefix("10.9.0.7/24")}},
	}}
	ok(t, theirs.Apply(t.Context(), netstate.Diff(nil, bridge)))
	before := s.picture(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", subnet("10.9.0.0/24", "10.9.0.1"),
		libnetwork.NetworkOptionGeneric(map[string]interface{}{
			netlabel.GenericData: options.Generic{"BridgeName": "br0", "Mtu": 1500},
		})))
	if _, err := c.NewNetwork("bridge", "other", "", libnetwork.NetworkOptionDriverOpts(map[string]string{
		"com.docker.network.bridge.name": "br0",
	})); err == nil {
		t.Error("two networks share a bridge")
	}
	a := must[libnetwork.Sandbox](t)(attach(n, c, "a"))
	ping(t, a, netip.MustParseAddr("10.9.0.1"))
	ping(t, a, netip.MustParseAddr("10.9.0.7"))
	c.Stop()
	c = s.open(t)
	ping(t, c.Sandboxes()[0], netip.MustParseAddr("10.9.0.1"))
	empty(t, c)
	if after := s.picture(t); after != before {
		t.Errorf("their machine was\n%s\nand is\n%s", before, after)
	}
}

func TestAddressesAsAskedFor(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{{
		PreferredPool: "10.9.0.0/24", SubPool: "10.9.0.128/25", Gateway: "10.9.0.1",
		AuxAddresses: map[string]string{"printer": "10.9.0.129"},
	}}, nil, nil)))
	first := must[libnetwork.Endpoint](t)(n.CreateEndpoint("first"))
	if got := address(first); got != netip.MustParseAddr("10.9.0.128") {
		t.Errorf("first address %s", got)
	}
	if got := address(must[libnetwork.Endpoint](t)(n.CreateEndpoint("second"))); got != netip.MustParseAddr("10.9.0.130") {
		t.Errorf("second address %s: the first, or the printer's", got)
	}
	mac := net.HardwareAddr{2, 0x42, 1, 2, 3, 4}
	chosen := must[libnetwork.Endpoint](t)(n.CreateEndpoint("chosen",
		libnetwork.CreateOptionIpam(net.IPv4(10, 9, 0, 9), nil, []net.IP{net.IPv4(169, 254, 7, 7)}, nil),
		libnetwork.EndpointOptionGeneric(map[string]interface{}{
			netlabel.MacAddress:      mac,
			netlabel.Ifname:          "net0",
			netlabel.EndpointSysctls: "net.ipv4.conf.IFNAME.log_martians=1",
		})))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("c"))
	ok(t, chosen.Join(sb))
	picture := s.picture(t, sb.Key())
	for _, want := range []string{"link net0 veth mac 02:42:01:02:03:04", "addr 10.9.0.9/24 dev net0", "addr 169.254.7.7/16 dev net0"} {
		if !strings.Contains(picture, want) {
			t.Errorf("lacks %q:\n%s", want, picture)
		}
	}
	_, _, v4, _ := n.Info().IpamConfig()
	if len(v4) != 1 || v4[0].SubPool != "10.9.0.128/25" || v4[0].AuxAddresses["printer"] != "10.9.0.129" {
		t.Errorf("configuration %+v", v4)
	}
	empty(t, c)
	s.wantEmpty(t)
}

func TestHostAndNullNetworks(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	hostNetwork := must[libnetwork.Network](t)(c.NewNetwork("host", "host", ""))
	nullNetwork := must[libnetwork.Network](t)(c.NewNetwork("null", "none", ""))
	before := s.picture(t)
	hostSandbox := must[libnetwork.Sandbox](t)(c.NewSandbox("h", libnetwork.OptionUseDefaultSandbox()))
	lonely := must[libnetwork.Sandbox](t)(c.NewSandbox("n"))
	onHost := must[libnetwork.Endpoint](t)(hostNetwork.CreateEndpoint("h"))
	if err := onHost.Join(lonely); err == nil {
		t.Error("a container with a namespace of its own joined the host's network")
	}
	ok(t, onHost.Join(hostSandbox))
	ok(t, must[libnetwork.Endpoint](t)(nullNetwork.CreateEndpoint("n")).Join(lonely))
	if hostSandbox.Key() != s.host || onHost.Info().Iface() != nil {
		t.Errorf("key %q, interface %v", hostSandbox.Key(), onHost.Info().Iface())
	}
	ping(t, lonely, netip.MustParseAddr("127.0.0.1"))
	if err := hostNetwork.Delete(); err == nil {
		t.Error("the host's network was deleted")
	}
	if after := s.picture(t); after != before {
		t.Errorf("the host was\n%s\nand is\n%s", before, after)
	}
	empty(t, c)
	if _, err := os.Stat(s.host); err != nil {
		t.Errorf("the host's namespace: %v", err)
	}
}

// Two controllers on one host leave each other's things alone.
func TestTwoControllersOnOneHost(t *testing.T) {
	s := newScratch(t)
	other := scratch{host: s.host, data: t.TempDir(), run: s.run}
	first, second := s.open(t), other.open(t)
	a := must[libnetwork.Network](t)(first.NewNetwork("bridge", "web", ""))
	b := must[libnetwork.Network](t)(second.NewNetwork("bridge", "web", ""))
	poolOf := func(n libnetwork.Network) string {
		v4, _ := n.Info().IpamInfo()
		return v4[0].Pool.String()
	}
	if poolOf(a) == poolOf(b) {
		t.Errorf("both networks have the subnet %s", poolOf(a))
	}
	sb := must[libnetwork.Sandbox](t)(attach(a, first, "c"))
	must[libnetwork.Sandbox](t)(attach(b, second, "c"))
	before := s.picture(t, sb.Key())
	second.Stop()
	second = other.open(t)
	ok(t, second.Repair(t.Context()))
	ok(t, first.Repair(t.Context()))
	if after := s.picture(t, sb.Key()); after != before {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
	empty(t, second)
	ping(t, sb, netip.MustParseAddr(strings.TrimSuffix(poolOf(a), "0.0/16")+"0.1"))
	empty(t, first)
	s.wantEmpty(t)
}
