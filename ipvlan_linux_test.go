package libnetwork_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/netstate"
)

func TestIPvlanL2(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIPvlan)
	for _, flag := range []string{"bridge", "private", "vepa"} {
		t.Run(flag, func(t *testing.T) {
			w := newWire(t)
			before := w.picture(t)
			c := w.open(t)
			n := must[libnetwork.Network](t)(c.NewNetwork("ipvlan", "lan", "", onWire("parent=phys0", "ipvlan_flag="+flag)...))
			a, epA := place(t, c, n, "a")
			_, epB := place(t, c, n, "b")
			wantReach(t, w, a, epA, epB, flag == "bridge")
			if mac := epA.Info().Iface().MacAddress(); mac != nil {
				t.Errorf("MAC address %s: it is the parent's", mac)
			}
			if routes := w.picture(t, a.Key()); strings.Contains(routes, "route 0.0.0.0/0") || strings.Contains(routes, "route ::/0") {
				t.Errorf("a default route:\n%s", routes)
			}
			empty(t, c)
			w.wantAsBefore(t, before)
		})
	}
}

// routedWire gives the host and the far machine addresses in a subnet of their own, and
// the latter a way to the containers' subnets.
func routedWire(t *testing.T) *wire {
	t.Helper()
	w := newWire(t)
	for _, line := range []string{"addr add 10.9.0.1/24 dev phys0", "-6 addr add fd09::1/64 dev phys0 nodad"} {
		run(t, w.host, "ip", strings.Fields(line)...)
	}
	for _, line := range []string{
		"addr flush dev eth0", "addr add 10.9.0.2/24 dev eth0", "-6 addr add fd09::2/64 dev eth0 nodad",
		"route add 192.0.2.0/24 via 10.9.0.1", "route add 198.51.100.0/24 via 10.9.0.1", "-6 route add 2001:db8::/64 via fd09::1",
	} {
		run(t, w.far, "ip", strings.Fields(line)...)
	}
	return w
}

func TestIPvlanL3(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIPvlan)
	for _, mode := range []string{"l3", "l3s"} {
		t.Run(mode, func(t *testing.T) {
			w := routedWire(t)
			before := w.picture(t)
			c := w.open(t)
			options := append(onWire("parent=phys0", "ipvlan_mode="+mode), libnetwork.NetworkOptionIpam("", "",
				[]*libnetwork.IpamConf{{PreferredPool: wireSubnet4}, {PreferredPool: "198.51.100.0/24"}},
				[]*libnetwork.IpamConf{{PreferredPool: wireSubnet6}}, nil))
			n := must[libnetwork.Network](t)(c.NewNetwork("ipvlan", "lan", "", options...))
			a, epA := place(t, c, n, "a")
			b, epB := place(t, c, n, "b", libnetwork.CreateOptionIpam(net.ParseIP("198.51.100.7"), nil, nil, nil))
			for _, other := range bothAddresses(epB) {
				ping(t, a, other)
			}
			for _, far := range []string{"10.9.0.2", "fd09::2"} {
				ping(t, a, netip.MustParseAddr(far))
				ping(t, b, netip.MustParseAddr(far))
			}
			for _, own := range bothAddresses(epA) {
				if err := kerneltest.Ping(w.far, own); err != nil {
					t.Errorf("from the far machine: %v", err)
				}
			}
			if got := epA.Info().Gateway(); got != nil {
				t.Errorf("gateway %s, where everything is on the link", got)
			}
			picture := w.picture(t, a.Key())
			for _, route := range []string{"route 0.0.0.0/0 dev eth0", "route ::/0 dev eth0", "route 198.51.100.0/24 dev eth0"} {
				if !strings.Contains(picture, route) {
					t.Errorf("want %s in\n%s", route, picture)
				}
			}
			ok(t, kerneltest.DeleteLink(a.Key(), "eth0"))
			c.Stop()
			c = w.open(t)
			if after := w.picture(t, a.Key()); after != picture {
				t.Errorf("before:\n%s\nafter the restart:\n%s", picture, after)
			}
			ping(t, a, netip.MustParseAddr("10.9.0.2"))
			empty(t, c)
			w.wantAsBefore(t, before)
		})
	}
}

func TestIPvlanRefuses(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIPvlan, kerneltest.FeatureMacvlan)
	w := newWire(t)
	before := w.picture(t)
	c := w.open(t)
	withGateway := func(options ...string) []libnetwork.NetworkOption {
		return append(onWire(options...), libnetwork.NetworkOptionIpam("", "",
			[]*libnetwork.IpamConf{{PreferredPool: "198.51.100.0/24", Gateway: "198.51.100.1"}}, nil, nil))
	}
	refused := func(driver, says string, kind cnm.Kind, options ...libnetwork.NetworkOption) {
		t.Helper()
		_, err := c.NewNetwork(driver, "n", "", options...)
		if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), says) || !strings.HasPrefix(err.Error(), `create network "n": `) {
			t.Errorf("error %v, want kind %q and %q", err, kind, says)
		}
	}
	refused("ipvlan", "no gateway is asked", cnm.Invalid, withGateway("parent=phys0", "ipvlan_mode=l3")...)
	refused("ipvlan", "one of", cnm.Invalid, onWire("parent=phys0", "ipvlan_mode=l4")...)
	refused("ipvlan", "one of", cnm.Invalid, onWire("parent=phys0", "ipvlan_flag=passthru")...)
	lan := must[libnetwork.Network](t)(c.NewNetwork("ipvlan", "lan", "", onWire("parent=phys0")...))
	refused("macvlan", `network "lan" uses it for ipvlan`, cnm.Forbidden, withGateway("parent=phys0")...)
	refused("ipvlan", `network "lan" uses it in mode l2`, cnm.Forbidden, libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0", "ipvlan_mode": "l3"}))
	_, err := lan.CreateEndpoint("e", libnetwork.EndpointOptionGeneric(map[string]any{netlabel.MacAddress: net.HardwareAddr{2, 0, 0, 0, 0, 7}}))
	if !errors.Is(err, cnm.Invalid) || !strings.Contains(fmt.Sprint(err), "that of its parent") {
		t.Errorf("a MAC address: error %v", err)
	}
	// Somebody else's macvlan link cannot be known before one of ours comes.
	ok(t, lan.Delete())
	run(t, w.host, "ip", "link", "add", "theirs", "link", "phys0", "type", "macvlan")
	lan = must[libnetwork.Network](t)(c.NewNetwork("ipvlan", "lan", "", onWire("parent=phys0")...))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("a"))
	err = must[libnetwork.Endpoint](t)(lan.CreateEndpoint("a")).Join(sb)
	if !errors.Is(err, cnm.Forbidden) || !strings.Contains(fmt.Sprint(err), `parent "phys0": is in use`) {
		t.Errorf("beside a macvlan link: error %v", err)
	}
	run(t, w.host, "ip", "link", "delete", "theirs")
	empty(t, c)
	w.wantAsBefore(t, before)
}

// Without a parent, containers reach each other and nothing else.
func TestWithoutParent(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureDummy, kerneltest.FeatureMacvlan, kerneltest.FeatureIPvlan)
	for _, driver := range []string{"macvlan", "ipvlan"} {
		t.Run(driver, func(t *testing.T) {
			w := newWire(t)
			before := w.picture(t)
			c := w.open(t)
			n := must[libnetwork.Network](t)(c.NewNetwork(driver, "alone", "", onWire("com.docker.network.driver.mtu=9000")...))
			if !n.Info().Internal() {
				t.Error("the network is not internal")
			}
			a, _ := place(t, c, n, "a")
			_, epB := place(t, c, n, "b")
			for _, other := range bothAddresses(epB) {
				ping(t, a, other)
			}
			unreachable(t, a, netip.MustParseAddr(farIPv4))
			picture := w.picture(t, a.Key())
			if !strings.Contains(picture, "link eth0 "+driver+" parent dm-"+n.ID()[:12]) || !strings.Contains(picture, "mtu 9000") {
				t.Errorf("the container has\n%s", picture)
			}
			ok(t, kerneltest.DeleteLink(w.host, "dm-"+n.ID()[:12]))
			ok(t, c.Repair(t.Context()))
			for _, other := range bothAddresses(epB) {
				ping(t, a, other)
			}
			empty(t, c)
			w.wantAsBefore(t, before)
		})
	}
}

// A VLAN is made for the first network on it, and goes with the last.
func TestVLANIsShared(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureVLAN, kerneltest.FeatureMacvlan)
	w := newWire(t)
	for _, line := range []string{"link add tagged link eth0 type vlan id 10", "addr flush dev eth0", "addr add 192.0.2.254/24 dev tagged", "link set tagged up"} {
		run(t, w.far, "ip", strings.Fields(line)...)
	}
	run(t, w.host, "ip", "link", "set", "phys0", "down")
	before := strings.Replace(w.picture(t), " down\n", "\n", 1)
	c := w.open(t)
	network := func(name, pool string) libnetwork.Network {
		return must[libnetwork.Network](t)(c.NewNetwork("macvlan", name, "", libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0.10"}),
			libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{{PreferredPool: pool}}, nil, nil)))
	}
	one, two := network("one", "192.0.2.0/25"), network("two", "192.0.2.128/25")
	a, _ := place(t, c, one, "a")
	b, epB := place(t, c, two, "b")
	run(t, w.far, "ip", "addr", "add", "192.0.2.126/25", "dev", "tagged")
	ping(t, a, netip.MustParseAddr("192.0.2.126"))
	ping(t, b, netip.MustParseAddr(farIPv4))
	ok(t, a.Delete())
	ok(t, one.Delete())
	ping(t, b, netip.MustParseAddr(farIPv4)) // still there for the other
	picture := w.picture(t, b.Key())
	ok(t, kerneltest.DeleteLink(w.host, "phys0.10"))
	c.Stop()
	c = w.open(t)
	if after := w.picture(t, b.Key()); after != picture {
		t.Errorf("before:\n%s\nafter the restart:\n%s", picture, after)
	}
	ping(t, b, netip.MustParseAddr(farIPv4))
	if err := kerneltest.Ping(w.far, address(epB)); err != nil {
		t.Error(err)
	}
	empty(t, c)
	w.wantAsBefore(t, before)
}

// A VLAN that somebody else made is used, and stays.
func TestVLANIsAdopted(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureVLAN, kerneltest.FeatureMacvlan)
	w := newWire(t)
	run(t, w.host, "ip", "link", "add", "phys0.10", "link", "phys0", "type", "vlan", "id", "20")
	run(t, w.host, "ip", "link", "set", "phys0.10", "up")
	before := w.picture(t)
	c := w.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "n", "", onWire("parent=phys0.10")...))
	_, err := c.NewNetwork("macvlan", "m", "", libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0.20"}))
	if !errors.Is(err, cnm.Exists) || !strings.Contains(fmt.Sprint(err), "under another name") {
		t.Errorf("a second link for the VLAN: error %v", err)
	}
	place(t, c, n, "a")
	ok(t, c.Repair(t.Context()))
	empty(t, c)
	w.wantAsBefore(t, before)
}

// Networks come to a parent and leave it from many goroutines: it is there as long as one
// of them is.
func TestVLANUnderContention(t *testing.T) {
	host := kerneltest.NewFake()
	host.Plant("", netstate.Link{Name: "phys0", Kind: "physical", MTU: 1500})
	before := kerneltest.Snapshot(t, host, "")
	c := openOn(t, host)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 20 {
				n, err := c.NewNetwork("macvlan", fmt.Sprint("n", i, "-", j), "", libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0.10"}))
				if err != nil {
					t.Error(err)
					return
				}
				if there := kerneltest.Snapshot(t, host, ""); !strings.Contains(there, "link phys0.10 vlan") {
					t.Errorf("the network has no parent:\n%s", there)
				}
				if err := n.Delete(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if after := kerneltest.Snapshot(t, host, ""); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
