package libnetwork_test

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/types"
)

var updateDocs = flag.Bool("update", false, "write the tables of docs/reachability.md anew")

// scene is a network with its policy. Each is played with all back ends of the packet
// filter, which must agree.
type scene struct {
	title   string
	options map[string]string // of the network
	network []libnetwork.NetworkOption
	proxy   bool
	private bool // nothing can be published
}

const bridgeOption = "com.docker.network.bridge."

func modes(mode string) map[string]string {
	return map[string]string{bridgeOption + "gateway_mode_ipv4": mode, bridgeOption + "gateway_mode_ipv6": mode}
}

func scenes() []scene {
	internal := []libnetwork.NetworkOption{libnetwork.NetworkOptionInternalNetwork()}
	return []scene{
		{title: "Gateway mode `nat`, the default"},
		{title: "Gateway mode `nat`, with the userland proxy", proxy: true},
		{title: "Gateway mode `nat-unprotected`", options: modes("nat-unprotected")},
		{title: "Gateway mode `nat-unprotected`, with the userland proxy", options: modes("nat-unprotected"), proxy: true},
		{title: "Gateway mode `routed`", options: modes("routed")},
		{title: "Inter-container communication off", options: map[string]string{bridgeOption + "enable_icc": "false"}},
		{title: "Inter-container communication off, with the userland proxy", options: map[string]string{bridgeOption + "enable_icc": "false"}, proxy: true},
		{title: "Internal network", network: internal, private: true},
		{title: "Internal network, gateway mode `isolated`", options: modes("isolated"), network: internal, private: true},
	}
}

// Ports of the scenes. The server publishes its port 80 everywhere and on the loopback.
const (
	portWeb       = 80
	portHidden    = 81
	portPublished = 8080
	portLoopback  = 8081
	portOutside   = 9090
)

// probe is a way to try: from where, to what, and at which address and port.
type probe struct {
	from, to string
	path     string // of the namespace
	address  netip.Addr
	port     uint16
}

// stage is a machine with a scene on it.
type stage struct {
	*lan
	server, peer, other libnetwork.Sandbox
	names               map[netip.Addr]string // who sees which address
	probes              []probe
}

// set attaches two containers to the scene's network, and one to another.
func (s scene) set(t *testing.T, b backend) (*stage, libnetwork.NetworkController) {
	t.Helper()
	l := newLan(t)
	b.prepare(t, l)
	options := []config.Option{config.OptionFirewallBackend(b.name)}
	if s.proxy {
		options = append(options, config.OptionDriverConfig("bridge", map[string]interface{}{"EnableUserlandProxy": true}))
	}
	c := l.open(t, options...)
	ipv6 := libnetwork.NetworkOptionEnableIPv6(true)
	generic := libnetwork.NetworkOptionDriverOpts(s.options)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "scene", "", append(s.network, ipv6, generic)...))
	elsewhere := must[libnetwork.Network](t)(c.NewNetwork("bridge", "elsewhere", "", ipv6))
	attach := func(n libnetwork.Network, name string, ports ...types.PortBinding) (libnetwork.Sandbox, libnetwork.Endpoint) {
		sb, ep := published(t, c, n, name, ports...)
		kerneltest.Serve(t, sb.Key(), name, portHidden)
		return sb, ep
	}
	var ports []types.PortBinding
	if !s.private {
		for _, b := range []types.PortBinding{tcp(portWeb, portPublished), udp(portWeb, portPublished)} {
			ports = append(ports, b)
			for _, loopback := range []string{"127.0.0.1", "::1"} {
				b.HostIP, b.HostPort = netip.MustParseAddr(loopback).AsSlice(), portLoopback
				ports = append(ports, b)
			}
		}
	}
	st := &stage{lan: l}
	var ep, peer, other libnetwork.Endpoint
	st.server, ep = attach(n, "server", ports...)
	st.peer, peer = attach(n, "peer")
	st.other, other = attach(elsewhere, "other")
	st.name(ep, peer, other)
	for path, addresses := range map[string][]string{
		l.Host:     {kerneltest.HostIPv4, kerneltest.HostIPv6},
		l.Neighbor: {kerneltest.NeighborIPv4, kerneltest.NeighborIPv6},
		l.Remote:   {kerneltest.RemoteIPv4, kerneltest.RemoteIPv6},
	} {
		for _, address := range addresses {
			at := netip.AddrPortFrom(netip.MustParseAddr(address), portOutside).String()
			t.Cleanup(must[func()](t)(kerneltest.StartServer(path, "outside", at)))
		}
	}
	for _, e := range []libnetwork.Endpoint{ep, other} {
		for _, prefix := range addressesOf(e) {
			l.Expose(t, prefix)
		}
	}
	for _, v6 := range []bool{false, true} {
		st.addProbes(ep, v6)
	}
	return st, c
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

func addressesOf(ep libnetwork.Endpoint) []netip.Prefix {
	return []netip.Prefix{prefixOf(ep.Info().Iface().Address()), prefixOf(ep.Info().Iface().AddressIPv6())}
}

func (st *stage) name(server, peer, other libnetwork.Endpoint) {
	st.names = map[netip.Addr]string{
		netip.MustParseAddr("127.0.0.1"): "loopback", netip.IPv6Loopback(): "loopback",
		netip.MustParseAddr(kerneltest.HostIPv4): "host", netip.MustParseAddr(kerneltest.HostIPv6): "host",
		netip.MustParseAddr(kerneltest.NeighborIPv4): "neighbour", netip.MustParseAddr(kerneltest.NeighborIPv6): "neighbour",
		netip.MustParseAddr(kerneltest.RemoteIPv4): "remote", netip.MustParseAddr(kerneltest.RemoteIPv6): "remote",
	}
	for name, ep := range map[string]libnetwork.Endpoint{"server": server, "peer": peer, "other": other} {
		for _, prefix := range addressesOf(ep) {
			st.names[prefix.Addr()] = name
			// The bridge has the first address of the subnet.
			st.names[prefix.Masked().Addr().Next()] = "bridge"
		}
	}
}

// addProbes lists the ways to try with one IP version.
func (st *stage) addProbes(server libnetwork.Endpoint, v6 bool) {
	pick := func(v4, v6Text string) netip.Addr {
		if v6 {
			return netip.MustParseAddr(v6Text)
		}
		return netip.MustParseAddr(v4)
	}
	container := addressesOf(server)[0].Addr()
	if v6 {
		container = addressesOf(server)[1].Addr()
	}
	host, loopback := pick(kerneltest.HostIPv4, kerneltest.HostIPv6), pick("127.0.0.1", "::1")
	neighbor, remote := pick(kerneltest.NeighborIPv4, kerneltest.NeighborIPv6), pick(kerneltest.RemoteIPv4, kerneltest.RemoteIPv6)
	add := func(from, path, to string, address netip.Addr, port uint16) {
		st.probes = append(st.probes, probe{from, to, path, address, port})
	}
	add("host", st.Host, "port published on all addresses, at the loopback", loopback, portPublished)
	add("host", st.Host, "port published on the loopback", loopback, portLoopback)
	for _, client := range []struct{ name, path string }{
		{"host", st.Host}, {"neighbour", st.Neighbor}, {"remote", st.Remote},
		{"peer", st.peer.Key()}, {"other", st.other.Key()}, {"server", st.server.Key()},
	} {
		add(client.name, client.path, "port published on all addresses, at the host's address", host, portPublished)
		if client.name == "server" {
			continue
		}
		if client.name != "host" {
			add(client.name, client.path, "port published on the loopback, at the host's address", host, portLoopback)
		}
		add(client.name, client.path, "container's address, a published port", container, portWeb)
		add(client.name, client.path, "container's address, another port", container, portHidden)
	}
	add("server", st.server.Key(), "a service of the host", host, portOutside)
	add("server", st.server.Key(), "a service of the neighbour", neighbor, portOutside)
	add("server", st.server.Key(), "a service of the remote machine", remote, portOutside)
}

// play tries all probes at once and returns what the table says of each: who the server
// believes that it talks to, or nothing. A packet may get lost where many are sent at
// once, so that what is not as wanted is tried again, with more patience.
func (st *stage) play(want []string) []string {
	results := make([]string, len(st.probes))
	try := func(patience time.Duration) {
		var group sync.WaitGroup
		for i, p := range st.probes {
			if results[i] == "" || i >= len(want) || results[i] != want[i] {
				group.Go(func() { results[i] = st.try(p, patience) })
			}
		}
		group.Wait()
	}
	try(500 * time.Millisecond)
	if !slices.Equal(results, want) {
		try(4 * time.Second) // the first packet of TCP is repeated after 1 s and 3 s
	}
	return results
}

func (st *stage) try(p probe, patience time.Duration) string {
	var seen [2]string
	for k, network := range []string{"tcp", "udp"} {
		answer, err := kerneltest.Ask(p.path, network, netip.AddrPortFrom(p.address, p.port).String(), patience)
		_, address, _ := strings.Cut(answer, " ")
		if seen[k] = nobody; err == nil {
			seen[k] = st.called(address)
		}
	}
	if seen[0] != seen[1] {
		return fmt.Sprintf("%s (TCP), %s (UDP)", seen[0], seen[1])
	}
	return seen[0]
}

// nobody is what a table says where nothing comes through.
const nobody = "–"

func (st *stage) called(address string) string {
	a, err := netip.ParseAddr(address)
	if name := st.names[a]; err == nil && name != "" {
		return name
	}
	return address
}

// table renders what was found: a line for each way, a column for each IP version.
func (st *stage) table(results []string) string {
	var out strings.Builder
	out.WriteString("| from | to | IPv4 | IPv6 |\n|---|---|---|---|\n")
	half := len(results) / 2
	for i, p := range st.probes[:half] {
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", p.from, p.to, results[i], results[half+i])
	}
	return out.String()
}

const (
	reachability = "docs/reachability.md"
	tablesBegin  = "<!-- What follows is written by TestReachability with -update. -->\n"
)

// documented returns the cells of a scene's table, in the order of the probes, of the page.
func documented(page, title string) []string {
	_, section, _ := strings.Cut(page, "\n## "+title+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var v4, v6 []string
	for line := range strings.Lines(section) {
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) == 6 && !strings.HasPrefix(line, "| from") && !strings.HasPrefix(line, "|-") {
			v4, v6 = append(v4, strings.TrimSpace(cells[3])), append(v6, strings.TrimSpace(cells[4]))
		}
	}
	return append(v4, v6...)
}

// TestReachability tries every way to a container and out of it with packets, and wants
// what docs/reachability.md says, from each back end of the packet filter.
func TestReachability(t *testing.T) {
	kerneltest.RequireRoot(t)
	page, err := os.ReadFile(reachability)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(page), tablesBegin)
	var fresh strings.Builder
	for _, s := range scenes() {
		want := documented(string(page), s.title)
		if *updateDocs {
			want = nil
		}
		for _, b := range backends() {
			st, c := s.set(t, b)
			got := st.play(want)
			empty(t, c)
			if want == nil {
				want = got
				fmt.Fprintf(&fresh, "\n## %s\n\n%s", s.title, st.table(got))
			}
			if len(want) != len(got) {
				t.Fatalf("%s: %d cells, want %d", s.title, len(got), len(want))
			}
			for i, p := range st.probes {
				if got[i] != want[i] {
					t.Errorf("%s: %+v: from %s to %s (%s): %s, want %s", s.title, b, p.from, p.to, p.address, got[i], want[i])
				}
			}
		}
	}
	if *updateDocs {
		if err := os.WriteFile(reachability, []byte(head+tablesBegin+fresh.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if t.Failed() {
		t.Logf("if the tables of %s shall change: go test -run TestReachability -update .", reachability)
	}
}

// backend is a way in which packets can be filtered.
type backend struct {
	name string
	// bridged: the rules for IP see what bridges pass on too (br_netfilter).
	bridged bool
}

func backends() []backend {
	return []backend{
		{config.FirewallNFTables, false}, {config.FirewallNFTables, true},
		{config.FirewallIPTablesNFT, false}, {config.FirewallIPTablesLegacy, true},
	}
}

// prepare makes the host one where the back end works so.
func (b backend) prepare(t *testing.T, l *lan) {
	t.Helper()
	value := "0"
	if b.bridged {
		value = "1"
	}
	for _, key := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"} {
		err := kerneltest.Do(l.Host, func() error { return os.WriteFile("/proc/sys/net/bridge/"+key, []byte(value), 0o644) })
		// Without the module it is off.
		if err != nil && (b.bridged || !errors.Is(err, os.ErrNotExist)) {
			t.Fatalf("%v: is the module br_netfilter loaded?", err)
		}
	}
}
