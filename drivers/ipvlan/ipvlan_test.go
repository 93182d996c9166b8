package ipvlan_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/ipvlan"
	"github.com/docker/libnetwork/internal/golden"
	"github.com/docker/libnetwork/netstate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const prefix = "com.docker.network."

// network is one of both families with a gateway that the user named for IPv4 only.
func network(options ...string) *cnm.Network {
	n := &cnm.Network{
		ID: "0123456789abcdef", Name: "lan", Driver: "ipvlan", EnableIPv4: true, EnableIPv6: true, Options: make(map[string]string),
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
		ID: "fedcba9876543210", Interface: "eth0", Options: make(map[string]string),
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
		"plain":       {network("parent=eth0"), endpoint()},
		"private":     {network("parent=eth0.10", "ipvlan_flag=private", prefix+"driver.mtu=1400"), endpoint()},
		"l3":          {network("parent=eth0.10", "ipvlan_mode=l3"), endpoint()},
		"l3s-vepa":    {network("parent=eth0", "ipvlan_mode=l3s", "ipvlan_flag=vepa"), secondSubnet(endpoint())},
		"l3-internal": {internal(network("parent=eth0", "ipvlan_mode=l3")), endpoint()},
		"no-parent":   {network("ipvlan_mode=l3"), endpoint()},
		"limits":      {network("parent=eth0"), endpoint(prefix+"endpoint.bandwidth.ingress=10M", prefix+"endpoint.bandwidth.egress=20M")},
	} {
		t.Run(name, func(t *testing.T) {
			driver := ipvlan.New()
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
		"parent=eth0": "", "parent=lo": cnm.Invalid, "ipvlan_mode=l2": "", "ipvlan_mode=l3": "", "ipvlan_mode=l3s": "", "ipvlan_mode=l4": cnm.Invalid,
		"ipvlan_flag=bridge": "", "ipvlan_flag=private": "", "ipvlan_flag=vepa": "", "ipvlan_flag=passthru": cnm.Invalid,
		"macvlan_mode=bridge": cnm.Invalid, prefix + "macvlan.host_shim=true": cnm.Invalid, prefix + "driver.mtu=1279": cnm.Invalid,
	} {
		_, err := ipvlan.New().CreateNetwork(t.Context(), network(option))
		if kind == "" && err != nil || kind != "" && !errors.Is(err, kind) {
			t.Errorf("%s: error %v, want kind %q", option, err, kind)
		}
	}
}

// A gateway is only what the user names, and in a routed mode not even that.
func TestPlanAddresses(t *testing.T) {
	for mode, kind := range map[string]cnm.Kind{"l2": "", "l3": cnm.Invalid, "l3s": cnm.Invalid} {
		n := network("ipvlan_mode=" + mode)
		if got, err := ipvlan.New().PlanAddresses(t.Context(), n); err != nil || got != (cnm.AddressPlan{NoGateway4: true, NoGateway6: true}) {
			t.Errorf("%s: got %+v, %v", mode, got, err)
		}
		n.IPAM.IPv4[0].Gateway = netip.MustParseAddr("192.0.2.1")
		if _, err := ipvlan.New().PlanAddresses(t.Context(), n); kind == "" && err != nil || kind != "" && !errors.Is(err, kind) {
			t.Errorf("%s with a gateway: error %v, want kind %q", mode, err, kind)
		}
	}
}

func TestEndpoints(t *testing.T) {
	driver := ipvlan.New()
	withMAC := endpoint()
	withMAC.MAC = netstate.MAC{2, 0, 0, 0, 0, 9}
	published := endpoint()
	published.PortBindings = []cnm.PortBinding{{Protocol: 6, Port: 80}}
	for name, ep := range map[string]*cnm.Endpoint{"MAC": withMAC, "published": published} {
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
