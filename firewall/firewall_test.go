package firewall_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/firewall"
	"github.com/docker/libnetwork/netstate"
)

func family(mode firewall.Mode, subnets ...string) firewall.Family {
	f := firewall.Family{Mode: mode, Masquerade: true}
	for _, s := range subnets {
		f.Subnets = append(f.Subnets, netip.MustParsePrefix(s))
	}
	return f
}

func text(intents []netstate.Intent) []string {
	var out []string
	for _, i := range intents {
		out = append(out, i.String())
	}
	return out
}

func TestIntents(t *testing.T) {
	const v4, v6 = "172.18.0.0/16", "fd00::/64"
	const closed4, closed6 = "inbound ipv4 br nothing; confine ipv4 br; ", "inbound ipv6 br nothing; confine ipv6 br; "
	off := firewall.Family{Off: true, Subnets: []netip.Prefix{netip.MustParsePrefix(v4)}}
	for _, test := range []struct {
		name    string
		network firewall.Network
		want    string
	}{
		{"off", firewall.Network{IPv4: off, IPv6: off, InterContainer: true, Loopback: true}, ""},
		{"no subnets", firewall.Network{InterContainer: true, Loopback: true}, closed4 + closed6 + "allow br to br"},
		{"one family off", firewall.Network{IPv4: off, IPv6: family("", v6), Loopback: true}, "inbound ipv6 br published; hairpin fd00::/64 on br; masquerade fd00::/64; separate br"},
		{
			"default", firewall.Network{IPv4: family("", v4), InterContainer: true, Loopback: true},
			"inbound ipv4 br published; hairpin 172.18.0.0/16 on br; masquerade 172.18.0.0/16; " + closed6 + "allow br to br; loopback br",
		},
		{
			"dual stack", firewall.Network{IPv4: family(firewall.NAT, v4), IPv6: family(firewall.Routed, v6)},
			"inbound ipv4 br published; hairpin 172.18.0.0/16 on br; masquerade 172.18.0.0/16; inbound ipv6 br opened; separate br",
		},
		{
			"internal", firewall.Network{IPv4: family("", v4), Internal: true, InterContainer: true, Loopback: true, Trusted: []string{"eth0"}},
			closed4 + closed6 + "allow br to br",
		},
		{
			"unprotected, trusted", firewall.Network{IPv6: family(firewall.Unprotected, v6), Trusted: []string{"eth0", "eth1"}},
			closed4 + "inbound ipv6 br everything; hairpin fd00::/64 on br; masquerade fd00::/64; separate br; allow eth0 to br; allow eth1 to br",
		},
		{
			"fixed source", firewall.Network{IPv4: firewall.Family{
				Subnets: []netip.Prefix{netip.MustParsePrefix("172.18.0.1/16")}, Masquerade: true, Source: netip.MustParseAddr("192.0.2.1"),
			}},
			"inbound ipv4 br published; hairpin 172.18.0.0/16 on br; masquerade 172.18.0.0/16 as 192.0.2.1; " + closed6 + "separate br",
		},
		{"routed by loopback", firewall.Network{IPv4: family(firewall.Routed, v4), Loopback: true}, "inbound ipv4 br opened; " + closed6 + "separate br"},
	} {
		test.network.Bridge = "br"
		if diff := cmp.Diff(test.want, strings.Join(text(test.network.Intents()), "; ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestPublish(t *testing.T) {
	network := firewall.Network{Bridge: "br", IPv4: family("", "172.18.0.0/16"), IPv6: family(firewall.Routed, "fd00::/64")}
	publication := func(host string, hostPort uint16, target string, port uint16, count int) firewall.Publication {
		return firewall.Publication{
			Protocol: netstate.TCP, Host: netip.MustParseAddr(host), HostPort: hostPort,
			Target: netip.MustParseAddr(target), Port: port, Count: count,
		}
	}
	for _, test := range []struct {
		name string
		give firewall.Publication
		want []string
	}{
		{"one", publication("0.0.0.0", 8080, "172.18.0.2", 80, 1), []string{"publish tcp 0.0.0.0:8080 to 172.18.0.2:80"}},
		{
			"range", publication("0.0.0.0", 20000, "172.18.0.2", 20000, 10000),
			[]string{"publish tcp 0.0.0.0:20000-29999 to 172.18.0.2:20000"},
		},
		{"shifted", publication("192.0.2.1", 8080, "172.18.0.2", 80, 2), []string{
			"publish tcp 192.0.2.1:8080 to 172.18.0.2:80", "publish tcp 192.0.2.1:8081 to 172.18.0.2:81",
		}},
		{"routed", publication("::", 8080, "fd00::2", 80, 3), []string{"open tcp [fd00::2]:80-82"}},
		{"to the last port", publication("0.0.0.0", 65534, "172.18.0.2", 65534, 2), []string{
			"publish tcp 0.0.0.0:65534-65535 to 172.18.0.2:65534",
		}},
	} {
		if diff := cmp.Diff(test.want, text(network.Publish(test.give))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
