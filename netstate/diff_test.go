package netstate_test

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/netstate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func mac(b byte) netstate.MAC      { return netstate.MAC{2, 0, 0, 0, 0, b} }

// network is a bridge with a gateway address.
func network(name, gateway string) netstate.Part {
	return netstate.Part{
		Owner: "network/" + name,
		Links: []netstate.Link{{Name: "br-" + name, Kind: netstate.Bridge, MAC: mac(1)}},
		Addrs: []netstate.Addr{{Link: "br-" + name, Prefix: prefix(gateway)}},
		Sysctls: []netstate.Sysctl{
			{Key: "net/ipv6/conf/br-" + name + "/disable_ipv6", Value: "1", Optional: true},
		},
	}
}

// endpoint is a veth pair from a bridge into a namespace.
func endpoint(id, bridge, namespace, link, address string) []netstate.Part {
	return []netstate.Part{
		{
			Owner: "endpoint/" + id,
			Links: []netstate.Link{{
				Name: "veth" + id, Kind: netstate.Veth, Master: bridge,
				Peer: netstate.Peer{Namespace: namespace, Name: link},
			}},
			Sysctls: []netstate.Sysctl{{Key: "net/ipv6/conf/veth" + id + "/disable_ipv6", Value: "1"}},
		},
		{
			Owner: "endpoint/" + id, Namespace: namespace,
			Links: []netstate.Link{{Name: link, Kind: netstate.Veth, MAC: mac(2)}},
			Addrs: []netstate.Addr{{Link: link, Prefix: prefix(address)}},
		},
	}
}

// vlan is a parent that networks share.
func vlan(id int) []netstate.Part {
	return one(netstate.Part{Owner: "parent/eth7.10", Links: []netstate.Link{{
		Name: "eth7.10", Kind: netstate.VLAN, Parent: "eth7", VLANID: id, Adopt: true,
		Carries: netstate.Load{Kind: netstate.Macvlan, MTU: 1400},
	}}})
}

// onParent is an endpoint on it, with limits in both directions.
func onParent(id, namespace string) []netstate.Part {
	return one(netstate.Part{
		Owner: "endpoint/" + id, Namespace: namespace,
		Links: []netstate.Link{
			{Name: "eth0", Kind: netstate.Macvlan, Parent: "eth7.10", Mode: netstate.ModeBridge, MAC: mac(4)},
			{Name: "ifb0", Kind: netstate.IFB},
		},
		Addrs: []netstate.Addr{{Link: "eth0", Prefix: prefix("192.0.2.2/24")}},
		Limits: []netstate.Limit{
			{Link: "eth0", Rate: 8_000_000, Burst: 20_000}, {Link: "eth0", Through: "ifb0", Rate: 8_000_000, Burst: 20_000},
		},
	})
}

func sandbox(namespace, gateway, link string) netstate.Part {
	p := netstate.Part{
		Owner: "sandbox/s", Namespace: namespace,
		Links: []netstate.Link{{Name: "lo", Kind: netstate.Existing}},
	}
	if gateway != "" {
		p.Routes = []netstate.Route{{Destination: prefix("0.0.0.0/0"), Gateway: addr(gateway), Link: link}}
	}
	return p
}

// filtered is a part that is of the packet filter only.
func filtered(owner, text string) []netstate.Part {
	intent, err := netstate.ParseIntent(text)
	if err != nil {
		panic(err)
	}
	return one(netstate.Part{Owner: owner, Intents: []netstate.Intent{intent}})
}

func parts(lists ...[]netstate.Part) []netstate.Part {
	var all []netstate.Part
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func one(p netstate.Part) []netstate.Part { return []netstate.Part{p} }

func edit(list []netstate.Part, change func([]netstate.Part)) []netstate.Part {
	change(list)
	return list
}

func TestDiffGolden(t *testing.T) {
	const ns = "/run/c1"
	red := one(network("red", "172.18.0.1/16"))
	blue := one(network("blue", "172.19.0.1/16"))
	ep1 := func() []netstate.Part { return endpoint("1", "br-red", ns, "eth0", "172.18.0.2/16") }
	ep2 := func() []netstate.Part { return endpoint("2", "br-blue", ns, "eth1", "172.19.0.2/16") }
	sb0, sb1, sb2 := one(sandbox(ns, "", "")), one(sandbox(ns, "172.18.0.1", "eth0")), one(sandbox(ns, "172.19.0.1", "eth1"))

	cases := []struct {
		name     string
		from, to []netstate.Part
	}{
		{"nothing", parts(red, ep1(), sb1), parts(red, ep1(), sb1)},
		{"attach", parts(red, sb0), parts(red, ep1(), sb1)},
		{"all-at-once", nil, parts(ep1(), sb1, red)},
		{"detach", parts(red, ep1(), sb1), parts(red, sb0)},
		{"all-away", parts(red, ep1(), sb1), nil},
		{"second-network-takes-default-route", parts(red, blue, ep1(), sb1), parts(red, blue, ep1(), ep2(), sb2)},
		{"leave-gives-default-route-back", parts(red, blue, ep1(), ep2(), sb2), parts(red, blue, ep1(), sb1)},
		{"bridge-made-anew", edit(parts(one(network("red", "172.18.0.1/16")), ep1(), sb1), func(p []netstate.Part) {
			p[0].Links[0].Kind = "dummy"
		}), parts(red, ep1(), sb1)},
		{"handed-over", nil, edit(endpoint("1", "br-red", "", "wait1", "172.18.0.2/16"), func(p []netstate.Part) {
			p[1] = netstate.Part{Owner: p[1].Owner, Links: p[1].Links}
			p[1].Links[0].Handover = true
		})},
		{"peer-moved", parts(red, ep1()), parts(red, endpoint("1", "br-red", ns, "eth7", "172.18.0.2/16"))},
		{"end-in-container-lost", edit(parts(red, ep1(), sb1), func(p []netstate.Part) {
			p[1].Links[0].Peer = netstate.Peer{}
			p[2].Links, p[2].Addrs = nil, nil
		}), parts(red, ep1(), sb1)},
		{"published-port-moves", parts(red, ep1(), filtered("endpoint/1", "publish tcp 0.0.0.0:80 to 172.18.0.2:80")),
			parts(red, ep1(), filtered("endpoint/1", "publish tcp 0.0.0.0:80 to 172.18.0.3:80"))},
		{"filter-flushed", parts(red, ep1()),
			parts(red, filtered("network/red", "inbound ipv4 br-red published"), ep1(), filtered("endpoint/1", "publish tcp 0.0.0.0:80 to 172.18.0.2:80"))},
		{"filter-of-what-is-gone", parts(red, ep1(), filtered("endpoint/1", "publish tcp 0.0.0.0:80 to 172.18.0.2:80")), red},
		{"attributes", parts(red, ep1(), sb1), edit(parts(red, ep1(), sb1), func(p []netstate.Part) {
			p[1].Links[0].MTU = 1400
			p[2].Links[0].MAC = mac(9)
		})},
		{"secondary-address-survives", edit(parts(red, ep1(), sb1), func(p []netstate.Part) {
			p[2].Addrs = append(p[2].Addrs, netstate.Addr{Link: "eth0", Prefix: prefix("172.18.0.9/16")})
		}), edit(parts(red, ep1(), sb1), func(p []netstate.Part) {
			p[2].Addrs[0].Prefix = prefix("172.18.0.9/16")
		})},
		{"link-was-down", edit(parts(red, ep1(), sb1), func(p []netstate.Part) {
			p[2].Links[0].Down = true
		}), parts(red, ep1(), sb1)},
		{"foreign-things-stay", append(parts(red), netstate.Part{
			Links:  []netstate.Link{{Name: "eth9", Kind: netstate.Veth}},
			Addrs:  []netstate.Addr{{Link: "br-red", Prefix: prefix("192.0.2.1/24")}},
			Routes: []netstate.Route{{Destination: prefix("198.51.100.0/24"), Link: "eth9"}},
		}), red},
		{"foreign-bridge-adopted", one(netstate.Part{Links: []netstate.Link{{Name: "br-red", Kind: netstate.Bridge, MTU: 9000, Down: true}}}),
			edit(one(network("red", "172.18.0.1/16")), func(p []netstate.Part) { p[0].Links[0].Adopt = true })},
		{"adopted-bridge-left", edit(one(network("red", "172.18.0.1/16")), func(p []netstate.Part) { p[0].Links[0].Adopt = true }), nil},
		{"sysctl-taken-back-before-the-filter", edit(parts(one(network("red", "172.18.0.1/16")), filtered("network/red", "loopback br-red")), func(p []netstate.Part) {
			p[0].Links[0].Adopt = true
			p[0].Sysctls = append(p[0].Sysctls, netstate.Sysctl{Key: "net/ipv4/conf/br-red/route_localnet", Value: "1", After: "0"})
		}), nil},
		{"foreign-bridge-in-the-way", one(netstate.Part{Links: []netstate.Link{{Name: "br-red", Kind: netstate.Bridge}}}), red},
		{"on-parents", nil, parts(onParent("1", ns), vlan(10))},
		{"on-parents-away", parts(onParent("1", ns), vlan(10)), nil},
		{"vlan-changes", parts(vlan(10), onParent("1", ns)), parts(vlan(11), onParent("1", ns))},
		{"mode-changes", parts(vlan(10), onParent("1", ns)), edit(parts(vlan(10), onParent("1", ns)), func(p []netstate.Part) {
			p[1].Links[0].Mode = netstate.ModePrivate
		})},
		{"parent-has-another-mtu", edit(parts(vlan(10), onParent("1", ns)), func(p []netstate.Part) {
			p[0].Links[0].MTU, p[1].Links[0].MTU = 9000, 9000
		}), parts(vlan(10), onParent("1", ns))},
		{"limits-change", parts(vlan(10), onParent("1", ns)), edit(parts(vlan(10), onParent("1", ns)), func(p []netstate.Part) {
			p[1].Limits = []netstate.Limit{{Link: "eth0", Rate: 16_000_000, Burst: 20_000}}
		})},
		{"limit-lost-with-its-ifb", edit(parts(vlan(10), onParent("1", ns)), func(p []netstate.Part) {
			p[1].Links, p[1].Limits = p[1].Links[:1], p[1].Limits[:1]
		}), parts(vlan(10), onParent("1", ns))},
		{"foreign-vlan-adopted", one(netstate.Part{Links: []netstate.Link{{Name: "eth7.10", Kind: "physical", MTU: 9000}}}), vlan(10)},
		{"neighbors-and-direct-routes", nil, one(netstate.Part{
			Owner: "endpoint/1", Namespace: ns,
			Links: []netstate.Link{{Name: "eth0", Kind: netstate.Existing}},
			Routes: []netstate.Route{
				{Destination: prefix("10.0.0.0/8"), Gateway: addr("192.0.2.1"), Link: "eth0", Metric: 5},
				{Destination: prefix("192.0.2.0/24"), Link: "eth0"},
			},
			Neighbors: []netstate.Neighbor{{Link: "eth0", IP: addr("192.0.2.1"), MAC: mac(3)}},
		})},
		{"neighbors-and-direct-routes-away", one(netstate.Part{
			Owner: "endpoint/1", Namespace: ns,
			Links: []netstate.Link{{Name: "eth0", Kind: netstate.Existing}},
			Addrs: []netstate.Addr{{Link: "eth0", Prefix: prefix("2001:db8::2/64")}},
			Routes: []netstate.Route{
				{Destination: prefix("192.0.2.0/24"), Link: "eth0"},
				{Destination: prefix("10.0.0.0/8"), Gateway: addr("192.0.2.1"), Link: "eth0", Metric: 5},
			},
			Neighbors: []netstate.Neighbor{{Link: "eth0", IP: addr("192.0.2.1"), MAC: mac(3)}},
		}), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			golden(t, c.name, netstate.Diff(c.from, c.to).String())
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("changes differ (-want +got):\n%s", diff)
	}
}
