package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	drivers "github.com/docker/libnetwork/drivers/remote"
	ipams "github.com/docker/libnetwork/ipams/remote"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
)

const networkID = "0123456789abcdef"

// world is a network that the plugin has made, with addresses that it has granted.
type world struct {
	*testing.T
	plugin  *process
	driver  *drivers.Driver
	ipam    *ipams.IPAM
	network *cnm.Network
}

func newWorld(t *testing.T) *world {
	p := startPlugin(t)
	r := p.registry()
	w := &world{T: t, plugin: p, driver: drivers.New(r, "mesh"), ipam: ipams.New(r, "meshipam")}
	w.network = &cnm.Network{ID: networkID, Name: "web", Driver: "mesh", EnableIPv4: true, EnableIPv6: true}
	_, err := r.Wait(t.Context(), "meshipam", ipams.Type) // it has just been started
	if err != nil {
		t.Fatal(err)
	}
	w.network.Subnets4 = []cnm.Subnet{w.subnet(cnm.PoolRequest{Avoid: []netip.Prefix{prefix("10.200.0.0/23")}})}
	w.network.Subnets6 = []cnm.Subnet{w.subnet(cnm.PoolRequest{IPv6: true})}
	if scope, err := w.driver.Scope(t.Context()); err != nil || scope != cnm.Local {
		t.Fatalf("scope %q, %v", scope, err)
	}
	if plan, err := w.driver.PlanAddresses(t.Context(), w.network); err != nil || plan != (cnm.AddressPlan{}) {
		t.Errorf("plan %+v, %v", plan, err)
	}
	if parts, err := w.driver.CreateNetwork(t.Context(), w.network); err != nil || len(parts) != 0 {
		t.Fatalf("parts %v, %v", parts, err)
	}
	return w
}

func (w *world) subnet(request cnm.PoolRequest) cnm.Subnet {
	w.Helper()
	local, _, err := w.ipam.AddressSpaces(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	request.AddressSpace, w.network.IPAM.AddressSpace = local, local
	pool, err := w.ipam.RequestPool(w.Context(), request)
	if err != nil {
		w.Fatal(err)
	}
	gateway, err := w.ipam.RequestAddress(w.Context(), cnm.AddressRequest{PoolID: pool.ID, Gateway: true})
	if err != nil {
		w.Fatal(err)
	}
	return cnm.Subnet{Pool: pool, Gateway: gateway.Prefix}
}

// endpoint makes one with addresses that the plugin grants.
func (w *world) endpoint(digit string) *cnm.Endpoint {
	w.Helper()
	ep := &cnm.Endpoint{ID: strings.Repeat(digit, 16), Name: digit, NetworkID: networkID, Interface: "eth0", Order: 1}
	for pool, address := range map[string]*netip.Prefix{w.network.Subnets4[0].Pool.ID: &ep.IPv4, w.network.Subnets6[0].Pool.ID: &ep.IPv6} {
		granted, err := w.ipam.RequestAddress(w.Context(), cnm.AddressRequest{PoolID: pool, MAC: ep.MAC})
		if err != nil {
			w.Fatal(err)
		}
		*address = granted.Prefix
	}
	if err := w.driver.CreateEndpoint(w.Context(), w.network, ep); err != nil {
		w.Fatal(err)
	}
	return ep
}

// join puts an endpoint into a new namespace.
func (w *world) join(ep *cnm.Endpoint) netstate.Part {
	w.Helper()
	sandbox := &cnm.Sandbox{ID: "sandbox" + ep.Name, ContainerID: ep.Name, Key: kerneltest.NewNamespace(w), Ready: true}
	parts, err := w.driver.Join(w.Context(), w.network, ep, sandbox)
	if err != nil || len(parts) != 1 {
		w.Fatalf("parts %v, %v", parts, err)
	}
	adopt(w.T, parts[0])
	return parts[0]
}

func (w *world) leave(ep *cnm.Endpoint, part netstate.Part) {
	w.Helper()
	giveBack(w.T, part)
	if err := w.driver.Leave(w.Context(), w.network, ep); err != nil {
		w.Error(err)
	}
}

// remove deletes an endpoint, and gives its addresses back.
func (w *world) remove(ep *cnm.Endpoint) {
	w.Helper()
	err := errors.Join(
		w.driver.DeleteEndpoint(w.Context(), w.network, ep),
		w.ipam.ReleaseAddress(w.Context(), w.network.Subnets4[0].Pool.ID, ep.IPv4.Addr()),
		w.ipam.ReleaseAddress(w.Context(), w.network.Subnets6[0].Pool.ID, ep.IPv6.Addr()),
	)
	if err != nil {
		w.Error(err)
	}
}

func (w *world) removeNetwork() {
	w.Helper()
	errs := []error{w.driver.DeleteNetwork(w.Context(), w.network)}
	for _, s := range append(w.network.Subnets4, w.network.Subnets6...) {
		errs = append(errs, w.ipam.ReleaseAddress(w.Context(), s.Pool.ID, s.Gateway.Addr()), w.ipam.ReleasePool(w.Context(), s.Pool.ID))
	}
	if err := errors.Join(errs...); err != nil {
		w.Error(err)
	}
}

// Two containers on a network of a plugin's reach each other and the host by both versions
// of IP, while the plugin is killed and started again; and nothing stays.
func TestNetworkOfPlugin(t *testing.T) {
	kerneltest.RequireRoot(t)
	before := hostLinks(t)
	w := newWorld(t)
	// The plugin offered two pools that the host is said to use, and took them back.
	if got, want := w.network.Subnets4[0].Pool.Prefix, prefix("10.200.2.0/24"); got != want || strings.Contains(w.plugin.granted(), "10.200.1.0") {
		t.Errorf("subnet %s, want %s; granted: %s", got, want, w.plugin.granted())
	}
	one, two := w.endpoint("1"), w.endpoint("2")
	if one.MAC.IsZero() || one.MAC == two.MAC {
		t.Errorf("MAC addresses %s and %s", one.MAC, two.MAC)
	}
	for round := range 2 {
		first := w.join(one)
		w.plugin.restart()
		second := w.join(two)
		if one.Gateway4 != w.network.Subnets4[0].Gateway.Addr() || one.Gateway6 != w.network.Subnets6[0].Gateway.Addr() || !one.SeeksGateway || len(one.Routes) != 1 {
			t.Errorf("endpoint %+v", one)
		}
		for _, target := range []netip.Addr{two.IPv4.Addr(), two.IPv6.Addr(), one.Gateway4, one.Gateway6} {
			if err := kerneltest.PingWithin(first.Namespace, target, 5*time.Second); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		}
		if links := hostLinks(t); contains(links, "mc") {
			t.Errorf("on the host while both are in use: %q", links)
		}
		w.leave(one, first)
		w.plugin.restart()
		w.leave(two, second)
		if links := hostLinks(t); !contains(links, "mc1") || !contains(links, "mc2") {
			t.Errorf("on the host after both have left: %q", links)
		}
	}

	sandbox := &cnm.Sandbox{PortBindings: []cnm.PortBinding{{Protocol: 6, Port: 80, HostPort: 8080}}}
	if err := w.driver.ProgramExternalConnectivity(t.Context(), w.network, one, sandbox); err != nil {
		t.Error(err)
	}
	info, err := w.driver.EndpointOperInfo(t.Context(), w.network, one)
	if err != nil || info["mesh.published"] != "8080:80/6" || info["mesh.link"] != "mh1111111111" {
		t.Errorf("the plugin tells %v, %v", info, err)
	}
	if err := w.driver.RevokeExternalConnectivity(t.Context(), w.network, one); err != nil {
		t.Error(err)
	}
	w.remove(one)
	w.plugin.restart()
	w.remove(two)
	w.removeNetwork()
	if after := hostLinks(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("links before: %q, after: %q", before, after)
	}
	if granted := w.plugin.granted(); granted != "{}" {
		t.Errorf("still granted: %s", granted)
	}
}

// What the plugin refuses is an error in its own words, and it can go on.
func TestPluginRefuses(t *testing.T) {
	kerneltest.RequireRoot(t)
	before := hostLinks(t)
	w := newWorld(t)
	bad := *w.network
	bad.ID, bad.Options = "fedcba9876543210", map[string]string{"mesh.refuse": "why"}
	if _, err := w.driver.CreateNetwork(t.Context(), &bad); err == nil || !strings.HasSuffix(err.Error(), `plugin "mesh": NetworkDriver.CreateNetwork: the plugin says "mesh.refuse is why"`) || plugin.MayHaveHappened(err) {
		t.Errorf("error %v", err)
	}
	if _, err := w.driver.CreateNetwork(t.Context(), w.network); err == nil || !strings.Contains(err.Error(), "file exists") {
		t.Errorf("the same network again: error %v", err)
	}
	ep := w.endpoint("1")
	if err := w.driver.CreateEndpoint(t.Context(), w.network, ep); err == nil || !strings.Contains(err.Error(), "the plugin says") {
		t.Errorf("the same endpoint again: error %v", err)
	}
	if _, err := w.driver.AllocateNetwork(t.Context(), w.network); err == nil || !strings.Contains(err.Error(), "networks are local") {
		t.Errorf("error %v", err)
	}
	pool := w.network.Subnets4[0].Pool
	if _, err := w.ipam.RequestPool(t.Context(), cnm.PoolRequest{AddressSpace: "mesh", Pool: pool.Prefix}); err == nil || !strings.Contains(err.Error(), "is granted already") {
		t.Errorf("the same pool again: error %v", err)
	}
	if _, err := w.ipam.RequestAddress(t.Context(), cnm.AddressRequest{PoolID: pool.ID, Address: ep.IPv4.Addr()}); err == nil || !strings.Contains(err.Error(), "is granted already") {
		t.Errorf("the same address again: error %v", err)
	}
	if err := w.ipam.ReleasePool(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "is not granted") {
		t.Errorf("error %v", err)
	}
	if needs, err := w.ipam.Needs(t.Context()); err != nil || needs != (ipams.Needs{}) {
		t.Errorf("needs %+v, %v", needs, err)
	}
	if err := w.driver.DiscoverNew(t.Context(), drivers.Node{Address: "198.51.100.7", Self: true}); err != nil {
		t.Error(err)
	}
	if err := w.driver.DiscoverDelete(t.Context(), drivers.Node{Address: "198.51.100.7"}); err != nil {
		t.Error(err)
	}
	r := w.plugin.registry()
	if _, err := r.Get(t.Context(), "meshipam", drivers.Type); !errors.Is(err, cnm.Unsupported) {
		t.Errorf("an address manager as a driver: error %v", err)
	}
	if names, err := r.Names(t.Context()); err != nil || fmt.Sprint(names) != "[mesh meshipam]" {
		t.Errorf("names %q, %v", names, err)
	}
	w.remove(ep)
	w.removeNetwork()
	if after := hostLinks(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("links before: %q, after: %q", before, after)
	}
}
