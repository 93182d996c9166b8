package bridge_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/bridge"
	"github.com/docker/libnetwork/internal/golden"
	"github.com/docker/libnetwork/netstate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const prefix = "com.docker.network."

func network(options ...string) *cnm.Network {
	n := &cnm.Network{
		ID: "0123456789abcdef", Name: "web", Driver: "bridge", EnableIPv4: true, Options: make(map[string]string),
		Subnets4: []cnm.Subnet{{
			Pool:    cnm.Pool{ID: "p4", Prefix: netip.MustParsePrefix("172.18.0.0/16")},
			Gateway: netip.MustParsePrefix("172.18.0.1/16"),
		}},
	}
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		n.Options[key] = value
	}
	return n
}

func withIPv6(n *cnm.Network) *cnm.Network {
	n.EnableIPv6 = true
	n.Subnets6 = []cnm.Subnet{{
		Pool:    cnm.Pool{ID: "p6", Prefix: netip.MustParsePrefix("fd00:1::/64")},
		Gateway: netip.MustParsePrefix("fd00:1::1/64"),
	}}
	return n
}

func endpoint(n *cnm.Network) *cnm.Endpoint {
	ep := &cnm.Endpoint{
		ID: "fedcba9876543210", NetworkID: n.ID, Interface: "eth0",
		MAC: netstate.MAC{2, 0, 0, 0, 0, 9}, IPv4: netip.MustParsePrefix("172.18.0.2/16"),
	}
	if n.EnableIPv6 {
		ep.IPv6 = netip.MustParsePrefix("fd00:1::2/64")
	}
	return ep
}

// web are one port under another number, and a range.
var web = []cnm.PortBinding{
	{Protocol: 6, Port: 80, HostPort: 8080},
	{Protocol: 17, Port: 3000, PortEnd: 3999, HostPort: 3000, HostIP: netip.MustParseAddr("127.0.0.1")},
}

func internal(n *cnm.Network) *cnm.Network { n.Internal = true; return n }

func TestGolden(t *testing.T) {
	driver := bridge.New(bridge.Config{})
	sandbox := &cnm.Sandbox{ID: "s", Key: "/run/ns"}
	for name, test := range map[string]struct {
		network *cnm.Network
		options map[string]string
		ports   []cnm.PortBinding
	}{
		"plain":    {network: network()},
		"ipv6":     {network: withIPv6(network(prefix + "driver.mtu=9000"))},
		"adopted":  {network: network(prefix+"bridge.name=br0", "Mtu=1400")},
		"internal": {network: internal(network(prefix + "bridge.gateway_mode_ipv4=isolated"))},
		"inhibit":  {network: network(prefix + "bridge.inhibit_ipv4=true")},
		"gateways": {network: network("AddressIPv4=172.18.0.9/16", "DefaultGatewayIPv4=172.18.0.254")},
		"filtered": {network: withIPv6(network(prefix+"bridge.enable_icc=false", prefix+"bridge.enable_ip_masquerade=false",
			prefix+"bridge.trusted_host_interfaces=wg0", prefix+"bridge.gateway_mode_ipv6=routed")), ports: web},
		"published": {network: withIPv6(network(prefix + "host_ipv4=192.0.2.1")), ports: web},
		"sysctls": {network: network(), options: map[string]string{
			prefix + "endpoint.ifname":  "net0",
			prefix + "endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1, net.ipv4.neigh.IFNAME.gc_stale_time=30",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ep := endpoint(test.network)
			ep.Options = test.options
			for _, asked := range test.ports {
				granted, err := driver.PortBindings(test.network, ep, asked)
				if err != nil {
					t.Fatal(err)
				}
				ep.Published = append(ep.Published, granted...)
			}
			var all []netstate.Part
			for _, step := range []func() ([]netstate.Part, error){
				func() ([]netstate.Part, error) { return driver.CreateNetwork(t.Context(), test.network) },
				func() ([]netstate.Part, error) { return nil, driver.CreateEndpoint(t.Context(), test.network, ep) },
				func() ([]netstate.Part, error) { return driver.Join(t.Context(), test.network, ep, sandbox) },
			} {
				parts, err := step()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, parts...)
			}
			intents, err := driver.Publications(test.network, ep)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.MarshalIndent(map[string]any{"parts": all, "intents": intents, "gateway4": ep.Gateway4, "gateway6": ep.Gateway6, "interface": ep.Interface}, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, *update, name, string(text)+"\n")
		})
	}
}

func TestNetworkOptions(t *testing.T) {
	for _, test := range []struct {
		option string
		kind   cnm.Kind // empty: it is taken
	}{
		{prefix + "bridge.name=br-lan", ""},
		{prefix + "bridge.name=a-name-far-too-long", cnm.Invalid},
		{prefix + "bridge.name=a/b", cnm.Invalid},
		{prefix + "bridge.name=..", cnm.Invalid},
		{"BridgeName=br0", ""},
		{"bridgename=br0", ""},
		{prefix + "bridge.enable_ip_masquerade=false", ""},
		{prefix + "bridge.enable_ip_masquerade=true", ""},
		{"EnableIPMasquerade=perhaps", cnm.Invalid},
		{prefix + "bridge.enable_icc=true", ""},
		{prefix + "bridge.enable_icc=false", ""},
		{prefix + "bridge.host_binding_ipv4=127.0.0.1", ""},
		{prefix + "bridge.host_binding_ipv4=localhost", cnm.Invalid},
		{prefix + "bridge.default_bridge=true", ""},
		{prefix + "bridge.inhibit_ipv4=yes", cnm.Invalid},
		{prefix + "bridge.gateway_mode_ipv4=routed", ""},
		{prefix + "bridge.gateway_mode_ipv4=nat", ""},
		{prefix + "bridge.gateway_mode_ipv6=nat-unprotected", ""},
		{prefix + "bridge.gateway_mode_ipv4=isolated", cnm.Invalid}, // is not internal
		{prefix + "bridge.gateway_mode_ipv4=other", cnm.Invalid},
		{prefix + "bridge.trusted_host_interfaces=", ""},
		{prefix + "bridge.trusted_host_interfaces=eth1:wlan0", ""},
		{prefix + "bridge.trusted_host_interfaces=eth1:eth1", cnm.Invalid},
		{prefix + "bridge.trusted_host_interfaces=eth1 eth2", cnm.Invalid},
		{prefix + "driver.mtu=68", ""},
		{prefix + "driver.mtu=67", cnm.Invalid},
		{prefix + "driver.mtu=0", cnm.Invalid},
		{prefix + "driver.mtu=65536", cnm.Invalid},
		{prefix + "container_iface_prefix=net", ""},
		{prefix + "container_iface_prefix=", cnm.Invalid},
		{prefix + "container_iface_prefix=thirteen-char", cnm.Invalid},
		{prefix + "advertise_addr_nmsgs=3", ""},
		{prefix + "advertise_addr_nmsgs=4", cnm.Invalid},
		{prefix + "advertise_addr_ms=99", cnm.Invalid},
		{prefix + "host_ipv4=192.0.2.1", ""},
		{prefix + "host_ipv4=2001:db8::1", cnm.Invalid},
		{prefix + "host_ipv6=2001:db8::1", ""},
		{prefix + "host_ipv6=192.0.2.1", cnm.Invalid},
		{prefix + "driver.private.no_proxy_6to4=true", ""},
		{"AddressIPv4=10.0.0.1/8", cnm.Invalid},
		{"DefaultGatewayIPv4=10.0.0.1", cnm.Invalid},
		{prefix + "bridge.nmae=x", cnm.Invalid},
	} {
		_, err := bridge.New(bridge.Config{}).CreateNetwork(t.Context(), network(test.option))
		if test.kind == "" && err != nil || test.kind != "" && !errors.Is(err, test.kind) {
			t.Errorf("%s: error %v, want kind %q", test.option, err, test.kind)
		}
	}
	if _, err := bridge.New(bridge.Config{}).CreateNetwork(t.Context(), withIPv6(network(prefix+"driver.mtu=1279"))); !errors.Is(err, cnm.Invalid) {
		t.Errorf("error %v for an MTU that IPv6 cannot live with", err)
	}
}

func TestDriverOptions(t *testing.T) {
	for option, kind := range map[string]cnm.Kind{
		"EnableIPForwarding=true": "", "EnableIPTables=false": "", "EnableIP6Tables=no": cnm.Invalid,
		"EnableUserlandProxy=true": "", "EnableIPForwarding=false": "", "UserlandProxyPath=/bin/x": "", "DefaultBindingIP=127.0.0.1": "",
		"DefaultBindingIP=x": cnm.Invalid, "EnableIPtable=true": cnm.Invalid,
	} {
		key, value, _ := strings.Cut(option, "=")
		_, err := bridge.ParseConfig(map[string]string{key: value})
		if kind == "" && err != nil || kind != "" && !errors.Is(err, kind) {
			t.Errorf("%s: error %v, want kind %q", option, err, kind)
		}
	}
}

func TestEndpoints(t *testing.T) {
	driver := bridge.New(bridge.Config{})
	for _, test := range []struct {
		name string
		edit func(*cnm.Endpoint)
		kind cnm.Kind
	}{
		{"random MAC", func(ep *cnm.Endpoint) { ep.MAC = netstate.MAC{} }, ""},
		{"multicast MAC", func(ep *cnm.Endpoint) { ep.MAC[0] = 3 }, cnm.Invalid},
		{"published port", func(ep *cnm.Endpoint) { ep.PortBindings = []cnm.PortBinding{{Protocol: 6, Port: 80}} }, ""},
		{"published port of another's address", func(ep *cnm.Endpoint) {
			ep.PortBindings = []cnm.PortBinding{{Protocol: 6, Port: 80, IP: netip.MustParseAddr("172.18.0.3")}}
		}, cnm.Invalid},
		{"bad name", func(ep *cnm.Endpoint) { ep.Options = map[string]string{prefix + "endpoint.ifname": "a b"} }, cnm.Invalid},
		{"sysctl of all", func(ep *cnm.Endpoint) {
			ep.Options = map[string]string{prefix + "endpoint.sysctls": "net.ipv4.conf.all.forwarding=1"}
		}, cnm.Invalid},
		{"sysctl elsewhere", func(ep *cnm.Endpoint) {
			ep.Options = map[string]string{prefix + "endpoint.sysctls": "kernel.conf.x.IFNAME.y=1"}
		}, cnm.Invalid},
	} {
		ep := endpoint(network())
		test.edit(ep)
		err := driver.CreateEndpoint(t.Context(), network(), ep)
		if test.kind == "" && err != nil || test.kind != "" && !errors.Is(err, test.kind) {
			t.Errorf("%s: error %v, want kind %q", test.name, err, test.kind)
		}
		if err == nil && (ep.MAC[0] != 2 || ep.MAC == netstate.MAC{2}) {
			t.Errorf("%s: MAC %s", test.name, ep.MAC)
		}
	}
	if _, err := driver.Join(t.Context(), network(), endpoint(network()), &cnm.Sandbox{Host: true}); !errors.Is(err, cnm.Forbidden) {
		t.Errorf("joining the host: error %v", err)
	}
}

// A bridge's address must not depend on who else is there, nor differ between two
// looks.
func TestBridgeAddressIsStable(t *testing.T) {
	driver := bridge.New(bridge.Config{})
	macs := make(map[netstate.MAC]bool)
	for _, id := range []string{"a", "b", "a"} {
		n := network()
		n.ID = id
		parts, err := driver.CreateNetwork(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		macs[parts[0].Links[0].MAC] = true
	}
	if len(macs) != 2 || slices.ContainsFunc([]netstate.MAC{{}}, func(m netstate.MAC) bool { return macs[m] }) {
		t.Errorf("addresses %v", macs)
	}
}
