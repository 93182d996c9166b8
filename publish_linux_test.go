package libnetwork_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/types"
)

// lan is a scratch machine with others around it.
type lan struct {
	scratch
	*kerneltest.Lan
}

func newLan(t testing.TB) *lan {
	t.Helper()
	kerneltest.RequireRoot(t)
	around := kerneltest.NewLan(t)
	return &lan{scratch{around.Host, t.TempDir(), runFolder(t)}, around}
}

func tcp(port, hostPort uint16) types.PortBinding {
	return types.PortBinding{Proto: types.TCP, Port: port, HostPort: hostPort}
}

func udp(port, hostPort uint16) types.PortBinding {
	return types.PortBinding{Proto: types.UDP, Port: port, HostPort: hostPort}
}

// published attaches a container that answers on port 80.
func published(t testing.TB, c libnetwork.NetworkController, n libnetwork.Network, name string, ports ...types.PortBinding) (libnetwork.Sandbox, libnetwork.Endpoint) {
	t.Helper()
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name, libnetwork.OptionPortMapping(ports)))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint(name))
	if err := ep.Join(sb); err != nil {
		t.Fatal(err)
	}
	kerneltest.Serve(t, sb.Key(), name, 80)
	return sb, ep
}

func portMap(t testing.TB, ep libnetwork.Endpoint) []types.PortBinding {
	t.Helper()
	bindings, _ := must[map[string]interface{}](t)(ep.DriverInfo())[netlabel.PortMap].([]types.PortBinding)
	return bindings
}

const soon = 2 * time.Second

// wantAnswer asks until the limit and compares what was said.
func wantAnswer(t testing.TB, from, network, address, want string) {
	t.Helper()
	got, err := kerneltest.Ask(from, network, address, soon)
	if err != nil || got != want {
		t.Errorf("%s to %s: answer %q, %v; want %q", network, address, got, err, want)
	}
}

func wantSilence(t testing.TB, from, network, address string) {
	t.Helper()
	if got, err := kerneltest.Ask(from, network, address, 300*time.Millisecond); err == nil {
		t.Errorf("%s to %s: answer %q, want none", network, address, got)
	}
}

func TestPublishedPort(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionEnableIPv6(true)))
	sb, ep := published(t, c, n, "web", tcp(80, 8080), udp(80, 8080))
	if got := len(portMap(t, ep)); got != 4 {
		t.Errorf("%d ports in DriverInfo, want 4: %v", got, portMap(t, ep))
	}
	for _, network := range []string{"tcp", "udp"} {
		wantAnswer(t, l.Neighbor, network, kerneltest.HostIPv4+":8080", "web "+kerneltest.NeighborIPv4)
		wantAnswer(t, l.Remote, network, kerneltest.HostIPv4+":8080", "web "+kerneltest.RemoteIPv4)
		wantAnswer(t, l.Neighbor, network, "["+kerneltest.HostIPv6+"]:8080", "web "+kerneltest.NeighborIPv6)
		wantAnswer(t, l.Host, network, "127.0.0.1:8080", "web "+gateway(ep))
		wantSilence(t, l.Neighbor, network, kerneltest.HostIPv4+":80")
	}

	if err := ep.Leave(sb); err != nil {
		t.Fatal(err)
	}
	wantSilence(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080")
	if got := portMap(t, ep); got != nil {
		t.Errorf("ports after leaving: %v", got)
	}
	if err := ep.Join(sb); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "web "+kerneltest.NeighborIPv4)

	c.Stop()
	wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "web "+kerneltest.NeighborIPv4)
	c = l.open(t)
	wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "web "+kerneltest.NeighborIPv4)
	if err := must[libnetwork.Sandbox](t)(c.SandboxByID(sb.ID())).Delete(); err != nil {
		t.Fatal(err)
	}
	wantSilence(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080")
	empty(t, c)
}

func gateway(ep libnetwork.Endpoint) string { return ep.Info().Gateway().String() }

// A userland proxy serves what the kernel cannot: the loopback, and IPv6 before IPv4.
func TestUserlandProxy(t *testing.T) {
	l := newLan(t)
	c := l.open(t, config.OptionDriverConfig("bridge", map[string]interface{}{"EnableUserlandProxy": true}))
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	sb, ep := published(t, c, n, "web", tcp(80, 8080), udp(80, 8080))
	for _, network := range []string{"tcp", "udp"} {
		wantAnswer(t, l.Neighbor, network, kerneltest.HostIPv4+":8080", "web "+kerneltest.NeighborIPv4)
		wantAnswer(t, l.Neighbor, network, "["+kerneltest.HostIPv6+"]:8080", "web "+gateway(ep))
		wantAnswer(t, l.Host, network, "127.0.0.1:8080", "web "+gateway(ep))
		wantAnswer(t, l.Host, network, "[::1]:8080", "web "+gateway(ep))
	}
	c.Stop()
	c = l.open(t, config.OptionDriverConfig("bridge", map[string]interface{}{"EnableUserlandProxy": true}))
	wantAnswer(t, l.Host, "tcp", "[::1]:8080", "web "+gateway(ep))
	if err := must[libnetwork.Sandbox](t)(c.SandboxByID(sb.ID())).Delete(); err != nil {
		t.Fatal(err)
	}
	wantSilence(t, l.Host, "tcp", "[::1]:8080")
	empty(t, c)
}

// What a sandbox publishes goes through the endpoint with the default route, with the
// same ports of the host.
func TestPublishedPortMoves(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	one := must[libnetwork.Network](t)(c.NewNetwork("bridge", "one", ""))
	two := must[libnetwork.Network](t)(c.NewNetwork("bridge", "two", ""))
	sb, first := published(t, c, one, "web", tcp(80, 0))
	port := portMap(t, first)[0].HostPort
	where := fmt.Sprintf("%s:%d", kerneltest.HostIPv4, port)
	wantAnswer(t, l.Neighbor, "tcp", where, "web "+kerneltest.NeighborIPv4)

	second := must[libnetwork.Endpoint](t)(two.CreateEndpoint("web"))
	if err := second.Join(sb, libnetwork.JoinOptionPriority(second, 9)); err != nil {
		t.Fatal(err)
	}
	if got := portMap(t, second); len(got) != 2 || got[0].HostPort != port || !got[0].IP.Equal(net.IP(address(second).AsSlice())) {
		t.Errorf("ports after the move %v, want host port %d", got, port)
	}
	if got := portMap(t, first); got != nil {
		t.Errorf("the first endpoint still publishes %v", got)
	}
	wantAnswer(t, l.Neighbor, "tcp", where, "web "+kerneltest.NeighborIPv4)
	if err := second.Leave(sb); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, l.Neighbor, "tcp", where, "web "+kerneltest.NeighborIPv4)
	if err := sb.Refresh(); err != nil {
		t.Fatal(err)
	}
	wantSilence(t, l.Neighbor, "tcp", where)
	if err := sb.Refresh(libnetwork.OptionPortMapping([]types.PortBinding{tcp(80, port)})); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, l.Neighbor, "tcp", where, "web "+kerneltest.NeighborIPv4)
	empty(t, c)
}

// A port is refused with the name of who has it, and then nothing has changed.
func TestPortInUse(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	published(t, c, n, "first", tcp(80, 8080))
	stop := must[func()](t)(kerneltest.StartServer(l.Host, "other", "127.0.0.1:8081"))
	defer stop()
	for port, holder := range map[uint16]string{8080: `container "first"`, 8081: "process"} {
		name := fmt.Sprint("second", port)
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name, libnetwork.OptionPortMapping([]types.PortBinding{tcp(81, 8082), tcp(80, port)})))
		ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint(name))
		before := l.picture(t, sb.Key())
		if err := ep.Join(sb); !errors.Is(err, cnm.Exists) || !strings.Contains(err.Error(), holder) {
			t.Errorf("error %v, want the words %q", err, holder)
		}
		if after := l.picture(t, sb.Key()); after != before || ep.Info().Sandbox() != nil {
			t.Errorf("the refusal changed\n%s\nto\n%s", before, after)
		}
	}
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("third", libnetwork.OptionPortMapping([]types.PortBinding{tcp(80, 8082)})))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("third"))
	if err := ep.Join(sb); err != nil {
		t.Errorf("a port that a refused join had taken for a moment: %v", err)
	}
	empty(t, c)
}

// A range is one thing, in the record and in the packet filter.
func TestPublishedRange(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	var ports []types.PortBinding
	for port := uint16(20000); port < 30000; port++ {
		ports = append(ports, tcp(port, port))
	}
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("web", libnetwork.OptionPortMapping(ports)))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("web"))
	start := time.Now()
	if err := ep.Join(sb); err != nil {
		t.Fatal(err)
	}
	t.Logf("joined with 10,000 ports in %v", time.Since(start))
	if got := portMap(t, ep); len(got) != 10000 || got[9999].HostPort != 29999 || got[9999].Port != 29999 {
		t.Errorf("%d ports", len(got))
	}
	for _, port := range []uint16{20000, 25000, 29999} {
		kerneltest.Serve(t, sb.Key(), "web", port)
		wantAnswer(t, l.Neighbor, "tcp", netip.AddrPortFrom(netip.MustParseAddr(kerneltest.HostIPv4), port).String(), "web "+kerneltest.NeighborIPv4)
	}
	wantSilence(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":30000")
	empty(t, c)
}
