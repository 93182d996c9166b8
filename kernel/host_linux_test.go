package kernel_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func networkPart() []netstate.Part {
	return []netstate.Part{{
		Owner: "network/n",
		Links: []netstate.Link{{Name: "br-n", Kind: netstate.Bridge, MAC: netstate.MAC{2, 0, 0, 0, 0, 1}}},
		Addrs: []netstate.Addr{
			{Link: "br-n", Prefix: netip.MustParsePrefix("192.0.2.1/24")},
			{Link: "br-n", Prefix: netip.MustParsePrefix("2001:db8::1/64")},
		},
	}}
}

func endpointParts(i int, namespace string) []netstate.Part {
	owner := fmt.Sprintf("endpoint/%d", i)
	return []netstate.Part{
		{
			Owner: owner,
			Links: []netstate.Link{{
				Name: fmt.Sprintf("veth%d", i), Kind: netstate.Veth, Master: "br-n",
				Peer: netstate.Peer{Namespace: namespace, Name: "eth0"},
			}},
			Sysctls: []netstate.Sysctl{{Key: fmt.Sprintf("net/ipv6/conf/veth%d/disable_ipv6", i), Value: "1"}},
		},
		{
			Owner: owner, Namespace: namespace,
			Links: []netstate.Link{
				{Name: "eth0", Kind: netstate.Veth, MAC: netstate.MAC{2, 0, 0, 1, byte(i >> 8), byte(i)}},
				{Name: "lo", Kind: netstate.Existing},
			},
			Addrs: []netstate.Addr{
				{Link: "eth0", Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i%200 + 10)}), 24)},
				{Link: "eth0", Prefix: netip.MustParsePrefix(fmt.Sprintf("2001:db8::%x/64", i+10))},
			},
			Routes: []netstate.Route{
				{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"), Link: "eth0"},
				{Destination: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("2001:db8::1"), Link: "eth0"},
			},
		},
	}
}

func apply(t testing.TB, host kernel.Host, from, to []netstate.Part) {
	t.Helper()
	if err := host.Apply(t.Context(), netstate.Diff(from, to)); err != nil {
		t.Fatal(err)
	}
}

func newNamespace(t testing.TB, host kernel.Host) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c")
	if err := host.Namespaces().Create(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Namespaces().Delete(context.Background(), path); err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestAttachCarriesPackets(t *testing.T) {
	host := kerneltest.NewHost(t)
	a, b := newNamespace(t, host), newNamespace(t, host)
	network := networkPart()
	apply(t, host, nil, network)
	apply(t, host, nil, endpointParts(1, a))
	apply(t, host, nil, endpointParts(2, b))
	for _, target := range []string{"192.0.2.1", "192.0.2.12", "2001:db8::1", "2001:db8::c"} {
		if err := kerneltest.Ping(a, netip.MustParseAddr(target)); err != nil {
			t.Errorf("from the first container: %v", err)
		}
	}
	wished := append(append(network, endpointParts(1, a)...), endpointParts(2, b)...)
	observed, err := host.Observe(t.Context(), "", a, b)
	if err != nil {
		t.Fatal(err)
	}
	var rest netstate.Changes
	for _, c := range netstate.Diff(observed, wished) {
		if c.Verb != netstate.Write { // sysctls are not observed
			rest = append(rest, c)
		}
	}
	if len(rest) > 0 {
		t.Errorf("what was observed is not what was wished; observed\n%s\ntherefore\n%s", kerneltest.Picture(observed), rest)
	}
	start := time.Now()
	apply(t, host, endpointParts(1, a), nil)
	t.Logf("deletion out of sight after %v", time.Since(start))
	t.Log("\n" + kerneltest.Snapshot(t, host, "", a, b))
}
