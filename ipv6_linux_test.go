package libnetwork_test

import (
	"os"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// setting reads a file below /proc/sys in a namespace.
func setting(t testing.TB, namespace, key string) string {
	t.Helper()
	var text []byte
	ok(t, kerneltest.Do(namespace, func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/root/proc/sys/" + key)
		return err
	}))
	return strings.TrimSpace(string(text))
}

// A network with IPv6 only publishes ports and is translated on the way out, on a host
// that switches IPv6 off for new links and believes router advertisements.
func TestPublishedByIPv6Only(t *testing.T) {
	for _, b := range backends() {
		l := newLan(t)
		b.prepare(t, l)
		run(t, l.Host, "sysctl", "-q", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.default.accept_ra=2")
		c := l.open(t, config.OptionFirewallBackend(b.name))
		n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "six", "",
			libnetwork.NetworkOptionEnableIPv4(false), libnetwork.NetworkOptionEnableIPv6(true)))
		sb, ep := published(t, c, n, "web", tcp(80, 8080), udp(80, 8080))
		if got := ep.Info().Iface().Address(); got != nil {
			t.Errorf("IPv4 address %s, want none", got)
		}
		kerneltest.Serve(t, l.Remote, "remote", portOutside)
		for _, network := range []string{"tcp", "udp"} {
			wantAnswer(t, l.Neighbor, network, "["+kerneltest.HostIPv6+"]:8080", "web "+kerneltest.NeighborIPv6)
			wantAnswer(t, l.Remote, network, "["+kerneltest.HostIPv6+"]:8080", "web "+kerneltest.RemoteIPv6)
			wantAnswer(t, sb.Key(), network, "["+kerneltest.RemoteIPv6+"]:9090", "remote "+kerneltest.HostIPv6)
			wantSilence(t, l.Neighbor, network, kerneltest.HostIPv4+":8080")
		}
		for key, want := range map[string]string{"disable_ipv6": "0", "accept_ra": "0"} {
			if got := setting(t, sb.Key(), "net/ipv6/conf/eth0/"+key); got != want {
				t.Errorf("%s is %q in the container, want %q", key, got, want)
			}
		}
		empty(t, c)
	}
}

// A neighbour that knows no other address of the host than the one of the link reaches a
// published port by the userland proxy: the kernel forwards nothing for such sources.
func TestLinkLocalClient(t *testing.T) {
	for _, b := range backends() {
		l := newLan(t)
		b.prepare(t, l)
		c := l.open(t, config.OptionFirewallBackend(b.name))
		n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionEnableIPv6(true)))
		_, ep := published(t, c, n, "web", tcp(80, 8080), udp(80, 8080))
		for namespace, link := range map[string]string{l.Host: kerneltest.LanLink, l.Neighbor: "eth0"} {
			run(t, namespace, "ip", "link", "set", link, "addrgenmode", "eui64")
			run(t, namespace, "ip", "addr", "add", map[string]string{l.Host: "fe80::1/64", l.Neighbor: "fe80::2/64"}[namespace], "dev", link, "nodad")
		}
		bridge := prefixOf(ep.Info().Iface().AddressIPv6()).Masked().Addr().Next()
		for _, network := range []string{"tcp", "udp"} {
			wantAnswer(t, l.Neighbor, network, "[fe80::1%eth0]:8080", "web "+bridge.String())
		}
		empty(t, c)
	}
}
