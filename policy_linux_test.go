package libnetwork_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// A container that gives itself an IPv6 address, which it may do in its own namespace,
// gets nothing out of a network that has IPv4 only, although the host forwards IPv6 for
// another network.
func TestNoWayOutByTheOtherFamily(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	must[libnetwork.Network](t)(c.NewNetwork("bridge", "dual", "", libnetwork.NetworkOptionEnableIPv6(true)))
	var packets net.PacketConn
	ok(t, kerneltest.Do(l.Neighbor, func() (err error) {
		packets, err = net.ListenPacket("udp6", "["+kerneltest.NeighborIPv6+"]:9")
		return err
	}))
	defer packets.Close() //nolint:errcheck // nothing to lose
	for name, options := range map[string][]libnetwork.NetworkOption{
		"open": nil, "internal": {libnetwork.NetworkOptionInternalNetwork()},
	} {
		n := must[libnetwork.Network](t)(c.NewNetwork("bridge", name, "", options...))
		sb := must[libnetwork.Sandbox](t)(attach(n, c, name))
		bridge := "br-" + n.ID()[:12]
		mac := strings.Fields(run(t, l.Host, "ip", "-brief", "link", "show", bridge))[2]
		for _, command := range []string{
			"link set eth0 addrgenmode eui64", "addr add fd99::2/64 dev eth0 nodad",
			"neigh add fd99::1 lladdr " + mac + " dev eth0", "route add default via fd99::1 dev eth0",
		} {
			run(t, sb.Key(), "ip", append([]string{"-6"}, strings.Fields(command)...)...)
		}
		a := newAsker(t, sb.Key(), "["+kerneltest.NeighborIPv6+"]:9")
		a.ask(300*time.Millisecond, func(string) bool { return false })
		_ = packets.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, from, err := packets.ReadFrom(make([]byte, 10)); err == nil {
			t.Errorf("%s network: a packet got out, from %s", name, from)
		}
	}
	empty(t, c)
}

// A host on which nothing is forwarded that nobody accepts, as where a Docker Engine runs,
// forwards for containers all the same with iptables, whose rules of ours come first.
func TestForwardPolicyOfTheHost(t *testing.T) {
	for _, backend := range []string{config.FirewallIPTablesNFT, config.FirewallIPTablesLegacy} {
		l := newLan(t)
		for _, program := range []string{backend, strings.Replace(backend, "ip", "ip6", 1)} {
			run(t, l.Host, program, "--policy", "FORWARD", "DROP")
		}
		c := l.open(t, config.OptionFirewallBackend(backend))
		n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionEnableIPv6(true)))
		sb, _ := published(t, c, n, "web", tcp(80, 8080))
		kerneltest.Serve(t, l.Remote, "remote", portOutside)
		wantAnswer(t, l.Remote, "tcp", kerneltest.HostIPv4+":8080", "web "+kerneltest.RemoteIPv4)
		wantAnswer(t, l.Remote, "tcp", "["+kerneltest.HostIPv6+"]:8080", "web "+kerneltest.RemoteIPv6)
		wantAnswer(t, sb.Key(), "tcp", kerneltest.RemoteIPv4+":9090", "remote "+kerneltest.HostIPv4)
		wantAnswer(t, sb.Key(), "tcp", "["+kerneltest.RemoteIPv6+"]:9090", "remote "+kerneltest.HostIPv6)
		empty(t, c)
	}
}

// A controller that starts with another back end leaves nothing of the former one.
func TestBackEndSwitched(t *testing.T) {
	l := newLan(t)
	for i, backend := range []string{
		config.FirewallNFTables, config.FirewallIPTablesNFT, config.FirewallIPTablesLegacy, config.FirewallNFTables,
	} {
		c := l.open(t, config.OptionFirewallBackend(backend))
		if i == 0 {
			n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionEnableIPv6(true)))
			published(t, c, n, "web", tcp(80, 8080))
		}
		wantAnswer(t, l.Remote, "tcp", kerneltest.HostIPv4+":8080", "web "+kerneltest.RemoteIPv4)
		for other, list := range map[string][]string{
			config.FirewallNFTables: {"nft", "list", "tables"}, config.FirewallIPTablesNFT: {"iptables-nft-save"},
			config.FirewallIPTablesLegacy: {"iptables-legacy-save"},
		} {
			if ours := strings.Contains(run(t, l.Host, list[0], list[1:]...), c.ID()[:12]); ours != (other == backend) {
				t.Errorf("with %s: %s has something of ours: %t", backend, other, ours)
			}
		}
		if i == 3 {
			empty(t, c)
		}
		c.Stop()
	}
}

// A bridge that somebody else made stays when its network goes. What lets packets with a
// loopback address over it must not outlive the rule that keeps containers from the
// host's loopback.
func TestAdoptedBridgeIsLeftAsItWas(t *testing.T) {
	l := newLan(t)
	const routeLocal = "net/ipv4/conf/theirs/route_localnet"
	run(t, l.Host, "ip", "link", "add", "theirs", "type", "bridge")
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", subnet("10.5.0.0/24", "10.5.0.1"),
		libnetwork.NetworkOptionDriverOpts(map[string]string{bridgeOption + "name": "theirs"})))
	if got := setting(t, l.Host, routeLocal); got != "1" {
		t.Errorf("route_localnet is %q with the network, want 1", got)
	}
	ok(t, n.Delete())
	if got := setting(t, l.Host, routeLocal); got != "0" {
		t.Errorf("route_localnet is %q without the network, want 0", got)
	}
}

// The host has no address in an isolated network, none that the kernel gives a link
// either.
func TestIsolatedBridgeHasNoAddress(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "alone", "", libnetwork.NetworkOptionEnableIPv6(true),
		libnetwork.NetworkOptionInternalNetwork(), libnetwork.NetworkOptionDriverOpts(modes("isolated"))))
	must[libnetwork.Sandbox](t)(attach(n, c, "one"))
	if got := run(t, l.Host, "ip", "-oneline", "addr", "show", "dev", "br-"+n.ID()[:12]); got != "" {
		t.Errorf("addresses of the bridge:\n%s", got)
	}
	empty(t, c)
}
