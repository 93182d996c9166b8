package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/types"
)

// open starts a controller on a folder, whose host is the namespace of the tests.
func open(t *testing.T, p *process, data string) libnetwork.NetworkController {
	t.Helper()
	run := data + "/run"
	o := p.options()
	c, err := libnetwork.New(config.OptionDataDir(data), config.OptionExecRoot(run), config.OptionAnnounce(0, 0), config.OptionPlugins(config.PluginsCfg{
		SocketFolders: o.SocketFolders, SpecFolders: o.SpecFolders, CallTimeout: o.CallTimeout, RetryFor: o.RetryFor,
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// container is a sandbox with its one endpoint.
type container struct {
	sandbox  libnetwork.Sandbox
	endpoint libnetwork.Endpoint
}

func run(t *testing.T, c libnetwork.NetworkController, n libnetwork.Network, name string, options ...libnetwork.SandboxOption) container {
	t.Helper()
	ep, err := n.CreateEndpoint(name)
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := c.NewSandbox(name, options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := ep.Join(sandbox); err != nil {
		t.Fatal(err)
	}
	return container{sandbox, ep}
}

func (c container) address(t *testing.T) netip.Addr {
	t.Helper()
	address, ok := netip.AddrFromSlice(c.endpoint.Info().Iface().Address().IP.To4())
	if !ok {
		t.Fatal("the container has no address")
	}
	return address
}

func (c container) ping(t *testing.T, target netip.Addr) {
	t.Helper()
	if err := kerneltest.PingWithin(c.sandbox.Key(), target, 5*time.Second); err != nil {
		t.Error(err)
	}
}

// A plugin's network, with addresses of a plugin's, under a controller: the plugin and the
// controller are killed and started again, and nothing stays.
func TestController(t *testing.T) {
	kerneltest.RequireRoot(t)
	before, data := hostLinks(t), t.TempDir()
	p := startPlugin(t)
	c := open(t, p, data)
	if _, err := p.registry().Wait(t.Context(), "mesh", "NetworkDriver"); err != nil { // it has just been started
		t.Fatal(err)
	}
	own := libnetwork.NetworkOptionIpam("meshipam", "", nil, nil, nil)
	n, err := c.NewNetwork("mesh", "web", "", own)
	if err != nil {
		t.Fatal(err)
	}
	ports := libnetwork.OptionPortMapping([]types.PortBinding{{Proto: types.TCP, Port: 80, HostPort: 8080}})
	one := run(t, c, n, "one", ports)
	p.restart()
	two := run(t, c, n, "two")
	one.ping(t, two.address(t))
	two.ping(t, one.address(t))
	if info, err := one.endpoint.DriverInfo(); err != nil || info["mesh.link"] != hostEnd(one.endpoint.ID()) {
		t.Errorf("the driver tells %v, %v", info, err)
	}

	if err := one.endpoint.Leave(one.sandbox); err != nil {
		t.Fatal(err)
	}
	if !contains(hostLinks(t), otherEnd(one.endpoint.ID())) {
		t.Errorf("the link of the endpoint that has left is not back: %q", hostLinks(t))
	}
	if err := one.endpoint.Join(one.sandbox); err != nil {
		t.Fatal(err)
	}
	one.ping(t, two.address(t))

	c.Stop()
	p.restart()
	c = open(t, p, data)
	if n, err = c.NetworkByName("web"); err != nil {
		t.Fatal(err)
	}
	again := container{}
	if again.endpoint, err = n.EndpointByName("one"); err != nil {
		t.Fatal(err)
	}
	if again.sandbox, err = c.SandboxByID(one.sandbox.ID()); err != nil {
		t.Fatal(err)
	}
	again.ping(t, two.address(t))
	three := run(t, c, n, "three")
	three.ping(t, two.address(t))

	for _, id := range []string{one.sandbox.ID(), two.sandbox.ID(), three.sandbox.ID()} {
		sandbox, err := c.SandboxByID(id)
		if err == nil {
			err = sandbox.Delete()
		}
		if err != nil {
			t.Error(err)
		}
	}
	for _, ep := range n.Endpoints() {
		if err := ep.Delete(false); err != nil {
			t.Error(err)
		}
	}
	if err := n.Delete(); err != nil {
		t.Error(err)
	}
	wantNothing(t, p, before)
}

func wantNothing(t *testing.T, p *process, before []string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for fmt.Sprint(hostLinks(t)) != fmt.Sprint(before) && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if after := hostLinks(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("links before: %q, after: %q", before, after)
	}
	if granted := p.granted(); granted != "{}" {
		t.Errorf("still granted: %s", granted)
	}
}

// What a plugin refuses, or is not there for, leaves nothing.
func TestControllerRefused(t *testing.T) {
	kerneltest.RequireRoot(t)
	before := hostLinks(t)
	p := startPlugin(t)
	c := open(t, p, t.TempDir())
	if _, err := p.registry().Wait(t.Context(), "meshipam", "IpamDriver"); err != nil {
		t.Fatal(err)
	}
	own := libnetwork.NetworkOptionIpam("meshipam", "", nil, nil, nil)
	_, err := c.NewNetwork("mesh", "bad", "", own, libnetwork.NetworkOptionDriverOpts(map[string]string{"mesh.refuse": "why"}))
	if err == nil || !strings.Contains(err.Error(), `the plugin says "mesh.refuse is why"`) {
		t.Errorf("error %v", err)
	}
	start := time.Now()
	if _, err := c.NewNetwork("nobody", "bad", ""); !errors.Is(err, cnm.NotFound) || time.Since(start) > time.Second {
		t.Errorf("after %s: error %v", time.Since(start), err)
	}
	if _, err := c.NewNetwork("meshipam", "bad", ""); !errors.Is(err, cnm.Unsupported) {
		t.Errorf("error %v", err)
	}
	start = time.Now()
	if _, err := c.NewNetwork("mesh", "bad", "", libnetwork.NetworkOptionIpam("nobody", "", nil, nil, nil)); !errors.Is(err, cnm.NotFound) || time.Since(start) > time.Second {
		t.Errorf("after %s: error %v", time.Since(start), err)
	}
	if n := len(c.Networks()); n != 0 {
		t.Errorf("there are %d networks", n)
	}
	wantNothing(t, p, before)
}
