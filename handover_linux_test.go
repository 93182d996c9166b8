package libnetwork_test

import (
	"context"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/types"
)

// waits returns what the interface is called while it waits.
func waits(t testing.TB, c libnetwork.NetworkController, ep libnetwork.Endpoint) string {
	t.Helper()
	for _, rec := range c.(libnetwork.Inspector).Records().Endpoints {
		if rec.ID == ep.ID() {
			return rec.Interface
		}
	}
	t.Fatalf("endpoint %q has no record", ep.Name())
	return ""
}

// take does what another engine does: it puts the interface into its container.
func (s scratch) take(t testing.TB, link string, ep libnetwork.Endpoint) (container string) {
	t.Helper()
	container = kerneltest.NewNamespace(t)
	if shown := run(t, s.host, "ip", "-o", "address", "show", "dev", link); shown != "" {
		t.Errorf("an interface that waits has addresses:\n%s", shown)
	}
	if shown := run(t, s.host, "ip", "-o", "link", "show", "dev", link); !strings.Contains(shown, "state DOWN") {
		t.Errorf("an interface that waits is up:\n%s", shown)
	}
	run(t, s.host, "ip", "link", "set", link, "netns", container, "name", "eth0")
	run(t, container, "ip", "address", "add", ep.Info().Iface().Address().String(), "dev", "eth0")
	run(t, container, "ip", "link", "set", "eth0", "up")
	return container
}

func wantNoDifference(t testing.TB, c libnetwork.NetworkController) {
	t.Helper()
	differences, err := c.(libnetwork.Inspector).Mend(context.Background(), libnetwork.MendOptions{})
	if err != nil || len(differences) > 0 {
		t.Errorf("repair found %v, %v; want nothing", differences, err)
	}
}

func TestHandover(t *testing.T) {
	l := newLan(t)
	before := l.picture(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("theirs", libnetwork.OptionHandover()))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("theirs"))
	ok(t, ep.Join(sb))
	wantNoDifference(t, c)

	container := l.take(t, waits(t, c, ep), ep)
	run(t, container, "ip", "route", "add", "default", "via", gateway(ep))
	kerneltest.Serve(t, container, "theirs", 80)
	ok(t, sb.Refresh(libnetwork.OptionHandover(), libnetwork.OptionPortMapping([]types.PortBinding{tcp(80, 8080)})))
	wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "theirs "+kerneltest.NeighborIPv4)
	wantNoDifference(t, c)
	ours := must[libnetwork.Sandbox](t)(c.NewSandbox("ours"))
	ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint("ours")).Join(ours))
	ping(t, ours, address(ep))

	c.Stop()
	c = l.open(t)
	wantNoDifference(t, c)
	wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "theirs "+kerneltest.NeighborIPv4)
	sb = must[libnetwork.Sandbox](t)(c.SandboxByID(sb.ID()))
	ok(t, sb.Refresh(libnetwork.OptionHandover()))
	wantSilence(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080")

	// What waits and is not taken goes as well as what was.
	idle := must[libnetwork.Sandbox](t)(c.NewSandbox("idle", libnetwork.OptionHandover()))
	n = must[libnetwork.Network](t)(c.NetworkByName("web"))
	ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint("idle")).Join(idle))
	for _, sb := range c.Sandboxes() {
		ok(t, sb.Delete())
	}
	if left := run(t, container, "ip", "-o", "link"); strings.Contains(left, "eth0") {
		t.Errorf("left in the container:\n%s", left)
	}
	ok(t, n.Delete())
	if after := l.picture(t); after != before {
		t.Errorf("on the host before:\n%s\nand after:\n%s", before, after)
	}
}

func TestHandoverMacvlan(t *testing.T) {
	w := newWire(t)
	before := w.picture(t)
	c := w.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "outside", "", onWire("parent=phys0")...))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("theirs", libnetwork.OptionHandover()))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("theirs"))
	ok(t, ep.Join(sb))
	link := waits(t, c, ep)
	container := w.take(t, link, ep)
	run(t, container, "busybox", "ping", "-c", "1", "-W", "2", farIPv4)
	wantNoDifference(t, c)
	// Whoever took it brings it back before it goes.
	run(t, container, "ip", "link", "set", "eth0", "netns", w.host, "name", link)
	ok(t, sb.Delete())
	ok(t, n.Delete())
	w.wantAsBefore(t, before)
}

func TestHandoverRefuses(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	for _, more := range []libnetwork.SandboxOption{libnetwork.OptionUseDefaultSandbox(), libnetwork.OptionUseExternalKey()} {
		if _, err := c.NewSandbox("theirs", libnetwork.OptionHandover(), more); err == nil || !strings.Contains(err.Error(), "handed over") {
			t.Errorf("a sandbox that is handed over and something else: %v", err)
		}
	}
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("theirs", libnetwork.OptionHandover()))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("theirs", libnetwork.EndpointOptionGeneric(map[string]interface{}{"com.docker.network.endpoint.ifname": "wan0"})))
	if err := ep.Join(sb); err == nil || !strings.Contains(err.Error(), "wan0") {
		t.Errorf("an interface with a name of its own: %v", err)
	}
}

func TestTransientControllers(t *testing.T) {
	l := newLan(t)
	c := l.open(t, config.OptionTransient())
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one", libnetwork.OptionPortMapping([]types.PortBinding{tcp(80, 8080)})))
	ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint("one")).Join(sb))
	c.Stop()
	kerneltest.Serve(t, sb.Key(), "one", 80)
	wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "one "+kerneltest.NeighborIPv4)

	c = l.open(t, config.OptionTransient())
	n = must[libnetwork.Network](t)(c.NetworkByName("web"))
	other := must[libnetwork.Sandbox](t)(c.NewSandbox("two"))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("two"))
	ok(t, ep.Join(other))
	ping(t, sb, address(ep))
	wantNoDifference(t, c)
	for _, sb := range c.Sandboxes() {
		ok(t, sb.Delete())
	}
	n = must[libnetwork.Network](t)(c.NetworkByName("web"))
	ok(t, n.Delete())
	c.Stop()

	proxied := config.OptionDriverConfig("bridge", map[string]interface{}{"EnableUserlandProxy": true})
	_, err := libnetwork.New(config.OptionTransient(), proxied, config.OptionHostNamespace(l.Host), config.OptionDataDir(l.data), config.OptionExecRoot(l.run))
	if err == nil || !strings.Contains(err.Error(), "userland proxy") {
		t.Errorf("a transient controller with a userland proxy: %v", err)
	}
}
