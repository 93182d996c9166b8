package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// A plugin that routes to each container, with addresses that it manages itself: the pool
// is that of all addresses, no gateway is asked for, and the router is on the link by a
// static route.
func TestRoutingPlugin(t *testing.T) {
	p, c := evil(t)
	p.Answer("Plugin.Activate", `{"Implements":["NetworkDriver","IpamDriver"]}`)
	p.Answer("IpamDriver.GetDefaultAddressSpaces", `{"LocalDefaultAddressSpace":"routed"}`)
	p.Answer("IpamDriver.RequestPool", `{"PoolID":"routed","Pool":"0.0.0.0/0","Data":{"com.docker.network.gateway":"0.0.0.0/0"}}`)
	p.Answer("IpamDriver.RequestAddress", `{"Address":"192.0.2.77/32"}`)
	p.Answer("IpamDriver.ReleaseAddress", `{}`)
	p.Answer("IpamDriver.ReleasePool", `{}`)
	p.Answer("NetworkDriver.Join", `{"InterfaceName":{"SrcName":"made0","DstPrefix":"cali"},"Gateway":"169.254.1.1","StaticRoutes":[{"Destination":"169.254.1.1/32","RouteType":1,"NextHop":""}]}`)
	makeLinks(t, pair("made0"))
	far, err := netlink.LinkByName("made0-far")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{addAddress(far, "169.254.1.1/32"), netlink.LinkSetUp(far)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	to, err := netlink.ParseIPNet("192.0.2.77/32")
	if err == nil {
		err = netlink.RouteAdd(&netlink.Route{LinkIndex: far.Attrs().Index, Dst: to, Scope: netlink.SCOPE_LINK})
	}
	if err != nil {
		t.Fatal(err)
	}

	n, err := c.NewNetwork("evil", "routed", "", libnetwork.NetworkOptionIpam("evil", "", nil, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	box := run(t, c, n, "box")
	if err := kerneltest.PingWithin(box.sandbox.Key(), netip.MustParseAddr("169.254.1.1"), 5*time.Second); err != nil {
		t.Error(err)
	}
	for _, call := range p.Calls() {
		switch call.Method {
		case "NetworkDriver.CreateNetwork":
			if !strings.Contains(call.Body, `"Pool":"0.0.0.0/0","Gateway":"0.0.0.0/0"`) {
				t.Errorf("the driver is told %s", call.Body)
			}
		case "IpamDriver.RequestAddress":
			if strings.Contains(call.Body, "gateway") {
				t.Errorf("a gateway is asked for: %s", call.Body)
			}
		}
	}
	for _, err := range []error{box.sandbox.Delete(), n.Delete()} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, call := range p.Calls() {
		if call.Method == "IpamDriver.ReleaseAddress" && !strings.Contains(call.Body, "192.0.2.77") {
			t.Errorf("what was never granted is released: %s", call.Body)
		}
	}
}

// A plugin that chooses the addresses itself, as one with DHCP does.
func TestChoosingPlugin(t *testing.T) {
	p, c := evil(t)
	p.Answer("NetworkDriver.CreateEndpoint", `{"Interface":{"Address":"192.0.2.77/24","MacAddress":"02:00:00:00:00:07"}}`)
	p.Answer("NetworkDriver.Join", `{"InterfaceName":{"SrcName":"made0","DstPrefix":"dhcp"},"Gateway":"192.0.2.1","StaticRoutes":[{"Destination":"203.0.113.0/24","RouteType":0,"NextHop":"192.0.2.1"}]}`)
	makeLinks(t, pair("made0"))
	far, err := netlink.LinkByName("made0-far")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{addAddress(far, "192.0.2.1/24"), netlink.LinkSetUp(far)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	n, err := c.NewNetwork("evil", "lan", "", libnetwork.NetworkOptionIpam("null", "", nil, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	box := run(t, c, n, "box")
	if got := box.endpoint.Info().Iface(); got.Address().String() != "192.0.2.77/24" || got.MacAddress().String() != "02:00:00:00:00:07" {
		t.Errorf("address %s, MAC address %s", got.Address(), got.MacAddress())
	}
	if err := kerneltest.PingWithin(box.sandbox.Key(), netip.MustParseAddr("192.0.2.1"), 5*time.Second); err != nil {
		t.Error(err)
	}
	for _, call := range p.Calls() {
		if call.Method == "NetworkDriver.CreateNetwork" && !strings.Contains(call.Body, `[{"AddressSpace":"null","Pool":"0.0.0.0/0"}]`) {
			t.Errorf("the driver is told %s", call.Body)
		}
	}
	for _, err := range []error{box.sandbox.Delete(), n.Delete()} {
		if err != nil {
			t.Error(err)
		}
	}
	if links := hostLinks(t); !contains(links, "made0") {
		t.Errorf("the plugin's link is not back: %q", links)
	}
}
