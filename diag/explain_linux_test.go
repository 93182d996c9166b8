package diag_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/types"
)

const (
	portWeb       = 80
	portHidden    = 81
	portPublished = 8080
	portLoopback  = 8081
	portOutside   = 9090
)

const trusted = "trusted link"

// scene is a kind of network.
type scene struct {
	title   string
	options map[string]string
	network []libnetwork.NetworkOption
	proxy   bool
	private bool // nothing can be published
}

func scenes() []scene {
	const bridge = "com.docker.network.bridge."
	modes := func(mode string) map[string]string {
		return map[string]string{bridge + "gateway_mode_ipv4": mode, bridge + "gateway_mode_ipv6": mode}
	}
	internal := []libnetwork.NetworkOption{libnetwork.NetworkOptionInternalNetwork()}
	return []scene{
		{title: "nat"},
		{title: "nat with proxy", proxy: true},
		{title: "nat-unprotected", options: modes("nat-unprotected")},
		{title: "routed", options: modes("routed")},
		{title: "icc off", options: map[string]string{bridge + "enable_icc": "false"}},
		{title: "icc off with proxy", options: map[string]string{bridge + "enable_icc": "false"}, proxy: true},
		{title: trusted, options: map[string]string{bridge + "trusted_host_interfaces": kerneltest.LanLink}},
		{title: "no masquerading", options: map[string]string{bridge + "enable_ip_masquerade": "false"}},
		{title: "internal", network: internal, private: true},
		{title: "isolated", options: modes("isolated"), network: internal, private: true},
	}
}

// question is one to be asked and tried: from is as Explain has it, path where it is sent
// from.
type question struct {
	from, path string
	to         netip.AddrPort
}

// stage is a machine with a scene on it, and all questions.
type stage struct {
	*machine
	lan       *kerneltest.Lan
	questions []question
}

func (s scene) set(t *testing.T) *stage {
	t.Helper()
	lan := kerneltest.NewLan(t)
	var options []config.Option
	if s.proxy {
		options = append(options, config.OptionDriverConfig("bridge", map[string]interface{}{"EnableUserlandProxy": true}))
	}
	st := &stage{machine: newMachine(t, lan.Host, options...), lan: lan}
	ipv6 := libnetwork.NetworkOptionEnableIPv6(true)
	n := st.network(t, "scene", append(s.network, ipv6, libnetwork.NetworkOptionDriverOpts(s.options))...)
	elsewhere := st.network(t, "elsewhere", ipv6)
	var ports []types.PortBinding
	for _, protocol := range []types.Protocol{types.TCP, types.UDP} {
		if s.private {
			break
		}
		ports = append(ports, binding(protocol, "", portWeb, portPublished),
			binding(protocol, "127.0.0.1", portWeb, portLoopback), binding(protocol, "::1", portWeb, portLoopback))
	}
	paths := map[string]string{"host": lan.Host, kerneltest.NeighborIPv4: lan.Neighbor, kerneltest.NeighborIPv6: lan.Neighbor, kerneltest.RemoteIPv4: lan.Remote, kerneltest.RemoteIPv6: lan.Remote}
	if s.title != trusted {
		paths["outside"] = lan.Neighbor // by a link that no network trusts
	}
	var server, other libnetwork.Endpoint
	for name, at := range map[string]libnetwork.Network{"server": n, "peer": n, "other": elsewhere} {
		given := ports
		if name != "server" {
			given = nil
		}
		sb, ep := st.attach(t, at, name, given...)
		for _, port := range []uint16{portWeb, portHidden} {
			kerneltest.Serve(t, sb.Key(), name, port)
		}
		paths[name] = sb.Key()
		switch name {
		case "server":
			server = ep
		case "other":
			other = ep
		}
		for _, prefix := range prefixes(ep) {
			lan.Expose(t, prefix)
		}
	}
	for _, path := range []string{lan.Host, lan.Neighbor, lan.Remote} {
		for _, address := range []string{kerneltest.HostIPv4, kerneltest.HostIPv6, kerneltest.NeighborIPv4, kerneltest.NeighborIPv6, kerneltest.RemoteIPv4, kerneltest.RemoteIPv6} {
			at := netip.AddrPortFrom(netip.MustParseAddr(address), portOutside).String()
			if stop, err := kerneltest.StartServer(path, "outside", at); err == nil { // else it is not its address
				t.Cleanup(stop)
			}
		}
	}
	for v6 := range 2 {
		st.ask(paths, v6 == 1, prefixes(server)[v6].Addr(), prefixes(other)[v6].Addr())
	}
	return st
}

// ask makes the questions of one IP version.
func (st *stage) ask(paths map[string]string, v6 bool, server, other netip.Addr) {
	at := func(v4, v6Text string) netip.Addr {
		if v6 {
			return netip.MustParseAddr(v6Text)
		}
		return netip.MustParseAddr(v4)
	}
	host, loopback := at(kerneltest.HostIPv4, kerneltest.HostIPv6), at("127.0.0.1", "::1")
	neighbor, remote := at(kerneltest.NeighborIPv4, kerneltest.NeighborIPv6), at(kerneltest.RemoteIPv4, kerneltest.RemoteIPv6)
	gateway := server
	for p := netip.PrefixFrom(server, map[bool]int{false: 16, true: 64}[v6]).Masked(); gateway == server; {
		gateway = p.Addr().Next()
	}
	for from, path := range paths {
		if a, err := netip.ParseAddr(from); err == nil && a.Is6() != v6 {
			continue
		}
		for _, to := range []struct {
			address netip.Addr
			port    uint16
		}{
			{loopback, portPublished}, {loopback, portLoopback}, {host, portPublished}, {host, portLoopback}, {host, portOutside}, {host, 7},
			{server, portWeb}, {server, portHidden}, {other, portWeb}, {neighbor, portOutside}, {remote, portOutside},
			{gateway, portPublished}, {gateway, portOutside}, {server.Next().Next().Next().Next(), portWeb},
		} {
			// What the neighbour and the remote machine do among themselves is not ours, and
			// a loopback is each one's own.
			_, err := netip.ParseAddr(from)
			outside := from == "outside" || err == nil
			if to.address.IsLoopback() && from != "host" || outside && (to.address == neighbor || to.address == remote) {
				continue
			}
			st.questions = append(st.questions, question{from, path, netip.AddrPortFrom(to.address, to.port)})
		}
	}
}

// result is what happened, or what Explain says will happen: the source that was seen.
type result struct {
	arrives bool
	source  string
}

func (st *stage) try(q question, protocol string, patience time.Duration) result {
	answer, err := kerneltest.Ask(q.path, protocol, q.to.String(), patience)
	if err != nil {
		return result{}
	}
	_, source, _ := strings.Cut(answer, " ")
	return result{true, source}
}

// TestExplainedAsItIs sends packets from everywhere to everywhere and compares what
// happened with what Explain says, with the address that the receiver saw.
func TestExplainedAsItIs(t *testing.T) {
	kerneltest.RequireRoot(t)
	total, arrived := 0, 0
	for _, s := range scenes() {
		st := s.set(t)
		var group sync.WaitGroup
		var mu sync.Mutex
		for _, q := range st.questions {
			for _, protocol := range []string{"tcp", "udp"} {
				said, err := diag.Explain(t.Context(), st.options(), q.from, q.to.Addr().String(), int(q.to.Port()), protocol)
				check(t, err)
				group.Go(func() {
					want := result{said.Allowed, said.Source}
					got := st.try(q, protocol, 400*time.Millisecond)
					fits := func() bool {
						return got == want || got.arrives && want.arrives && want.source == "" && q.from == "outside"
					}
					if !fits() {
						got = st.try(q, protocol, 4*time.Second)
					}
					mu.Lock()
					defer mu.Unlock()
					total++
					if said.Allowed {
						arrived++
					}
					if !fits() {
						t.Errorf("%s: %s from %s to %s: got %+v, explained as %+v:\n%s", s.title, protocol, q.from, q.to, got, want, lines(said))
					}
				})
			}
		}
		group.Wait()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d ways tried, %d arrive", total, arrived)
	if total < 1000 || arrived < 100 {
		t.Errorf("only %d ways were tried, and %d arrived", total, arrived)
	}
}

func lines(e api.Explanation) string {
	var out strings.Builder
	for _, s := range e.Steps {
		fmt.Fprintf(&out, "\t%s: %s [%s] %s\n", s.Where, s.What, s.Rule, s.Verdict)
	}
	return out.String()
}
