package bridge_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/bridge"
)

// bindings says what came out, in few words.
func bindings(all []cnm.PortBinding) string {
	var words []string
	for _, b := range all {
		word := fmt.Sprintf("%s to %s", b.HostIP, b.IP)
		if !b.HostIP.IsValid() {
			word = fmt.Sprintf("open %s", b.IP)
		}
		if b.Proxy {
			word += " by proxy"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestPortBindings(t *testing.T) {
	only6 := func(n *cnm.Network) *cnm.Network { n = withIPv6(n); n.Subnets4 = nil; return n }
	proxy := bridge.Config{UserlandProxy: true}
	for _, test := range []struct {
		name    string
		config  bridge.Config
		network *cnm.Network
		host    string
		want    string
	}{
		{"IPv4", bridge.Config{}, network(), "", "0.0.0.0 to 172.18.0.2, :: to 172.18.0.2 by proxy"},
		{"both", bridge.Config{}, withIPv6(network()), "", "0.0.0.0 to 172.18.0.2, :: to fd00:1::2 by proxy"},
		{"IPv6", bridge.Config{}, only6(network()), "", ":: to fd00:1::2 by proxy"},
		{"IPv6 address", bridge.Config{}, withIPv6(network()), "2001:db8::1", "2001:db8::1 to fd00:1::2"},
		{"IPv6 address to IPv4", bridge.Config{}, network(), "2001:db8::1", "2001:db8::1 to 172.18.0.2 by proxy"},
		{"IPv6 loopback", bridge.Config{}, withIPv6(network()), "::1", "::1 to fd00:1::2 by proxy"},
		{"IPv4 host", bridge.Config{}, withIPv6(network()), "0.0.0.0", "0.0.0.0 to 172.18.0.2"},
		{"IPv6 host", bridge.Config{}, withIPv6(network()), "::", ":: to fd00:1::2 by proxy"},
		{"one address", bridge.Config{}, withIPv6(network()), "127.0.0.1", "127.0.0.1 to 172.18.0.2"},
		{"proxy", proxy, network(), "", "0.0.0.0 to 172.18.0.2 by proxy, :: to 172.18.0.2 by proxy"},
		{"not from IPv6", proxy, network(prefix + "driver.private.no_proxy_6to4=true"), "", "0.0.0.0 to 172.18.0.2 by proxy"},
		{"proxy, both", proxy, withIPv6(network()), "", "0.0.0.0 to 172.18.0.2 by proxy, :: to fd00:1::2 by proxy"},
		{"driver's default", bridge.Config{BindingIP: netip.MustParseAddr("192.0.2.1")}, withIPv6(network()), "", "192.0.2.1 to 172.18.0.2"},
		{"network's default", bridge.Config{BindingIP: netip.MustParseAddr("192.0.2.1")}, network(prefix + "bridge.host_binding_ipv4=127.0.0.1"), "", "127.0.0.1 to 172.18.0.2"},
		{"default overridden", bridge.Config{BindingIP: netip.MustParseAddr("192.0.2.1")}, network(), "0.0.0.0", "0.0.0.0 to 172.18.0.2"},
		{"routed", proxy, network(prefix + "bridge.gateway_mode_ipv4=routed"), "", "open 172.18.0.2"},
		{"half routed", bridge.Config{}, withIPv6(network(prefix + "bridge.gateway_mode_ipv6=routed")), "", "0.0.0.0 to 172.18.0.2, open fd00:1::2"},
		{"no filter", bridge.Config{UserlandProxy: true, NoFilter4: true}, network(), "0.0.0.0", "0.0.0.0 to 172.18.0.2 by proxy"},
	} {
		ep := endpoint(test.network)
		if len(test.network.Subnets4) == 0 {
			ep.IPv4 = netip.Prefix{}
		}
		asked := cnm.PortBinding{Protocol: 6, Port: 80, HostPort: 8080}
		if test.host != "" {
			asked.HostIP = netip.MustParseAddr(test.host)
		}
		got, err := bridge.New(test.config).PortBindings(test.network, ep, asked)
		if err != nil || bindings(got) != test.want {
			t.Errorf("%s: got %q, %v; want %q", test.name, bindings(got), err, test.want)
		}
	}
}

func TestPortBindingsRefused(t *testing.T) {
	for _, test := range []struct {
		config  bridge.Config
		network *cnm.Network
		asked   cnm.PortBinding
		kind    cnm.Kind
		says    string
	}{
		{bridge.Config{}, internal(network()), cnm.PortBinding{}, cnm.Invalid, "is internal"},
		{bridge.Config{}, network(prefix + "driver.private.no_proxy_6to4=true"), cnm.PortBinding{HostIP: netip.IPv6Unspecified()}, cnm.Invalid, "no_proxy_6to4"},
		{bridge.Config{}, network(), cnm.PortBinding{HostIP: netip.IPv6Unspecified(), PortEnd: 80 + 256}, cnm.Invalid, "more than 256 ports"},
		{bridge.Config{}, network(), cnm.PortBinding{IP: netip.MustParseAddr("10.0.0.9")}, cnm.Invalid, "10.0.0.9 is not one of the endpoint's"},
		{bridge.Config{NoFilter4: true}, network(), cnm.PortBinding{}, cnm.Unsupported, "packet filter is switched off"},
	} {
		test.asked.Protocol, test.asked.Port = 6, 80
		_, err := bridge.New(test.config).PortBindings(test.network, endpoint(test.network), test.asked)
		if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(err.Error(), "published port tcp/80: ") {
			t.Errorf("%+v: error %v, want the words %q", test.asked, err, test.says)
		}
	}
}
