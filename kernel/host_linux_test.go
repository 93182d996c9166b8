package kernel_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

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

// differs returns the changes that would lead from what the namespaces hold to the
// wish; sysctls are not observed.
func differs(t testing.TB, host kernel.Host, wished []netstate.Part, namespaces ...string) netstate.Changes {
	t.Helper()
	observed, err := host.Observe(t.Context(), append(namespaces, "")...)
	check(t, err)
	var rest netstate.Changes
	for _, c := range netstate.Diff(observed, wished) {
		if c.Verb != netstate.Write {
			rest = append(rest, c)
		}
	}
	return rest
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
	wished := slices.Concat(network, endpointParts(1, a), endpointParts(2, b))
	if rest := differs(t, host, wished, a, b); len(rest) > 0 {
		t.Errorf("what is observed is not what was wished:\n%s", rest)
	}
	statistics, err := host.Container().Statistics(t.Context(), a, []string{"eth0", "missing"})
	check(t, err)
	if len(statistics) != 1 || statistics["eth0"].RxPackets == 0 || statistics["eth0"].TxBytes == 0 {
		t.Errorf("statistics: %+v", statistics)
	}
	apply(t, host, endpointParts(1, a), nil)
	if rest := differs(t, host, slices.Concat(network, endpointParts(2, b)), a, b); len(rest) > 0 {
		t.Errorf("after one was detached:\n%s", rest)
	}
}

// TestSends holds the number of exchanges with the kernel.
func TestSends(t *testing.T) {
	host := kerneltest.NewHost(t)
	namespace := newNamespace(t, host)
	count := func(from, to []netstate.Part) uint64 {
		before := kernel.Sends(host)
		apply(t, host, from, to)
		return kernel.Sends(host) - before
	}
	if got := count(nil, networkPart()); got > 2 {
		t.Errorf("a network takes %d sends, want 2", got)
	}
	// The pair is made; marked, put into the bridge and raised; completed inside.
	if got := count(nil, endpointParts(1, namespace)); got > 3 {
		t.Errorf("an attachment takes %d sends, want 3", got)
	}
	// A look whether the link is ours, and looks whether it is gone. The request to
	// delete it goes through a socket of its own.
	if got := count(endpointParts(1, namespace), nil); got > 5 {
		t.Errorf("a detachment takes %d sends, want 5 at most", got)
	}
}

func TestManyContainersAtOnce(t *testing.T) {
	const containers = 80
	host := kerneltest.NewHost(t)
	var parts []netstate.Part
	var namespaces []string
	for i := range containers {
		namespace := newNamespace(t, host)
		namespaces = append(namespaces, namespace)
		parts = append(parts, endpointParts(i, namespace)...)
	}
	apply(t, host, networkPart(), nil)
	apply(t, host, nil, slices.Concat(networkPart(), parts))
	if rest := differs(t, host, slices.Concat(networkPart(), parts), namespaces...); len(rest) > 0 {
		t.Errorf("what is observed is not what was wished:\n%s", rest)
	}
	apply(t, host, slices.Concat(networkPart(), parts), networkPart())
	if rest := differs(t, host, networkPart(), namespaces...); len(rest) > 0 {
		t.Errorf("after all were detached:\n%s", rest)
	}
}

// TestNameIsFreeAtOnce makes links of the same name and namespaces at the same path
// while the kernel still frees the ones before.
func TestNameIsFreeAtOnce(t *testing.T) {
	host := kerneltest.NewHost(t)
	apply(t, host, nil, networkPart())
	path := filepath.Join(t.TempDir(), "c")
	for range 10 {
		check(t, host.Namespaces().Create(t.Context(), path))
		parts := endpointParts(1, path)
		apply(t, host, nil, parts)
		apply(t, host, parts, nil)
		check(t, host.Namespaces().Delete(t.Context(), path))
	}
}

// TestWalk goes from one wish to another at random and compares with what is there.
func TestWalk(t *testing.T) {
	host := kerneltest.NewHost(t)
	namespaces := []string{newNamespace(t, host), newNamespace(t, host), newNamespace(t, host)}
	var now []netstate.Part
	for step := range 60 {
		next := randomParts(namespaces)
		changes := netstate.Diff(now, next)
		check(t, host.Apply(t.Context(), changes))
		if rest := differs(t, host, next, namespaces...); len(rest) > 0 {
			t.Fatalf("step %d: after\n%sthere is left to do\n%s", step, changes, rest)
		}
		now = next
	}
}

// randomParts returns a network with some of its containers, variously furnished.
func randomParts(namespaces []string) []netstate.Part {
	network := networkPart()
	network[0].Links[0].MTU = rand.IntN(2) * 1400
	network[0].Addrs = network[0].Addrs[:rand.IntN(3)]
	parts := network
	for i, namespace := range namespaces {
		if rand.IntN(3) == 0 {
			continue
		}
		endpoint := endpointParts(i, namespace)
		if rand.IntN(2) == 0 {
			endpoint[0].Links[0].Master = ""
		}
		inside := &endpoint[1]
		inside.Links[0].NoIPv6 = rand.IntN(2) == 0
		inside.Links[0].MTU = rand.IntN(2) * 1400
		if rand.IntN(2) == 0 {
			inside.Routes = inside.Routes[:rand.IntN(2)]
		}
		if rand.IntN(2) == 0 {
			inside.Neighbors = []netstate.Neighbor{{Link: "eth0", IP: netip.MustParseAddr("192.0.2.99"), MAC: netstate.MAC{2, 9, 9, 9, 9, byte(rand.IntN(2))}}}
		}
		parts = append(parts, endpoint...)
	}
	return parts
}

func TestMain(m *testing.M) { kerneltest.Main(m) }
