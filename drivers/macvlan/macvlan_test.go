package macvlan_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/macvlan"
	"github.com/docker/libnetwork/internal/golden"
	"github.com/docker/libnetwork/netstate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const prefix = "com.docker.network."

// network is one of both families with a gateway that the user named for IPv4 only.
func network(options ...string) *cnm.Network {
	n := &cnm.Network{
		ID: "0123456789abcdef", Name: "lan", Driver: "macvlan", EnableIPv4: true, EnableIPv6: true, Options: make(map[string]string),
		IPAM: cnm.IPAMConfig{IPv4: []cnm.PoolConfig{{Pool: netip.MustParsePrefix("192.0.2.0/24"), SubPool: netip.MustParsePrefix("192.0.2.64/26")}}},
		Subnets4: []cnm.Subnet{
			{Pool: cnm.Pool{ID: "p4", Prefix: netip.MustParsePrefix("192.0.2.0/24")}, Gateway: netip.MustParsePrefix("192.0.2.1/24"), Host: netip.MustParsePrefix("192.0.2.64/24")},
			{Pool: cnm.Pool{ID: "p5", Prefix: netip.MustParsePrefix("198.51.100.0/24")}},
		},
		Subnets6: []cnm.Subnet{{Pool: cnm.Pool{ID: "p6", Prefix: netip.MustParsePrefix("2001:db8::/64")}, Host: netip.MustParsePrefix("2001:db8::1/64")}},
	}
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		n.Options[key] = value
	}
	return n
}

func endpoint(options ...string) *cnm.Endpoint {
	ep := &cnm.Endpoint{
		ID: "fedcba9876543210", Interface: "eth0", MAC: netstate.MAC{2, 0, 0, 0, 0, 9}, Options: make(map[string]string),
		IPv4: netip.MustParsePrefix("192.0.2.65/24"), IPv6: netip.MustParsePrefix("2001:db8::2/64"),
	}
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		ep.Options[key] = value
	}
	return ep
}

func internal(n *cnm.Network) *cnm.Network { n.Internal = true; return n }

func secondSubnet(ep *cnm.Endpoint) *cnm.Endpoint {
	ep.IPv4, ep.IPv6 = netip.MustParsePrefix("198.51.100.2/24"), netip.Prefix{}
	return ep
}

func TestGolden(t *testing.T) {
	for name, test := range map[string]struct {
		network  *cnm.Network
		endpoint *cnm.Endpoint
	}{
		"plain":         {network("parent=eth0"), endpoint()},
		"vlan":          {network("parent=eth0.10", "macvlan_mode=private", prefix+"driver.mtu=1400"), endpoint()},
		"no-parent":     {network("Mtu=9000"), endpoint()},
		"passthru":      {network("parent=eth0", "macvlan_mode=passthru"), endpoint()},
		"internal":      {internal(network("parent=eth0", "macvlan_mode=vepa")), endpoint()},
		"no-gateway":    {network("parent=eth0"), secondSubnet(endpoint())},
		"host-shim":     {network("parent=eth0", prefix+"macvlan.host_shim=true"), endpoint()},
		"limits":        {network("parent=eth0"), endpoint(prefix+"endpoint.bandwidth.ingress=10M", prefix+"endpoint.bandwidth.egress=20M")},
		"sysctls":       {network("parent=eth0"), endpoint(prefix+"endpoint.ifname=net0", prefix+"endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1")},
		"no-vlan-there": {network("parent=wan.4095"), endpoint()},
	} {
		t.Run(name, func(t *testing.T) {
			driver := macvlan.New()
			parts, err := driver.CreateNetwork(t.Context(), test.network)
			if err == nil {
				err = driver.CreateEndpoint(t.Context(), test.network, test.endpoint)
			}
			if err != nil {
				t.Fatal(err)
			}
			joined, err := driver.Join(t.Context(), test.network, test.endpoint, &cnm.Sandbox{ID: "s", Key: "/run/ns"})
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.MarshalIndent(map[string]any{
				"parts": append(parts, joined...), "gateway4": test.endpoint.Gateway4, "gateway6": test.endpoint.Gateway6, "internal": test.network.Internal,
			}, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, *update, name, string(text)+"\n")
		})
	}
}

func TestNetworkOptions(t *testing.T) {
	for option, kind := range map[string]cnm.Kind{ // empty: it is taken
		"parent=eth0": "", "Parent=eth0": "", "parent=": "", "parent=a b": cnm.Invalid, "parent=a-name-far-too-long": cnm.Invalid,
		"parent=lo": cnm.Invalid, "parent=lo.10": cnm.Invalid, "parent=eth0.1": "", "parent=eth0.4094": "", "parent=eth0.0": "",
		"macvlan_mode=bridge": "", "macvlan_mode=": "", "macvlan_mode=source": cnm.Invalid, "macvlan_mode=Bridge": cnm.Invalid,
		prefix + "driver.mtu=1280": "", prefix + "driver.mtu=1279": cnm.Invalid, prefix + "driver.mtu=65536": cnm.Invalid,
		prefix + "container_iface_prefix=net": "", prefix + "container_iface_prefix=thirteen-char": cnm.Invalid,
		prefix + "advertise_addr_nmsgs=4": cnm.Invalid, prefix + "advertise_addr_ms=99": cnm.Invalid,
		prefix + "macvlan.host_shim=perhaps": cnm.Invalid, prefix + "macvlan.host_shim=false": "",
		"ipvlan_mode=l2": cnm.Invalid, "parnet=eth0": cnm.Invalid, prefix + "bridge.name=br0": cnm.Invalid,
	} {
		_, err := macvlan.New().CreateNetwork(t.Context(), network(option))
		if kind == "" && err != nil || kind != "" && !errors.Is(err, kind) {
			t.Errorf("%s: error %v, want kind %q", option, err, kind)
		}
	}
	n := network("macvlan_mode=vepa", prefix+"macvlan.host_shim=true")
	if _, err := macvlan.New().CreateNetwork(t.Context(), n); !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), "use mode bridge") {
		t.Errorf("a shim in mode vepa: error %v", err)
	}
}

func TestPlanAddresses(t *testing.T) {
	for option, want := range map[string]cnm.AddressPlan{
		"parent=eth0": {NoGateway4: true, NoGateway6: true}, prefix + "macvlan.host_shim=true": {NoGateway4: true, NoGateway6: true, Host: true},
	} {
		if got, err := macvlan.New().PlanAddresses(t.Context(), network(option)); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", option, got, err, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	driver := macvlan.New()
	none := endpoint()
	none.MAC = netstate.MAC{}
	if err := driver.CreateEndpoint(t.Context(), network("parent=eth0"), none); err != nil || none.MAC[0] != 2 {
		t.Errorf("MAC address %s, %v; want a random one", none.MAC, err)
	}
	none.MAC = netstate.MAC{}
	if err := driver.CreateEndpoint(t.Context(), network("parent=eth0", "macvlan_mode=passthru"), none); err != nil || !none.MAC.IsZero() {
		t.Errorf("MAC address %s, %v; want the parent's", none.MAC, err)
	}
	multicast := endpoint()
	multicast.MAC[0] = 3
	published := endpoint()
	published.PortBindings = []cnm.PortBinding{{Protocol: 6, Port: 80}}
	for name, ep := range map[string]*cnm.Endpoint{
		"multicast": multicast, "published": published, "bad name": endpoint(prefix + "endpoint.ifname=a b"),
		"bad limit": endpoint(prefix + "endpoint.bandwidth.egress=fast"),
	} {
		if err := driver.CreateEndpoint(t.Context(), network("parent=eth0"), ep); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := driver.Join(t.Context(), network(), endpoint(), &cnm.Sandbox{Host: true}); !errors.Is(err, cnm.Forbidden) {
		t.Errorf("joining the host: error %v", err)
	}
	if _, err := driver.PortBindings(network(), endpoint(), published.PortBindings[0]); !errors.Is(err, cnm.Invalid) || !strings.HasPrefix(err.Error(), "published port tcp/80: ") {
		t.Errorf("a port of the sandbox: error %v", err)
	}
}
