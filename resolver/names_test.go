package resolver_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/resolver"
)

// addrs reads addresses that stand in one text.
func addrs(text string) []netip.Addr {
	var out []netip.Addr
	for _, word := range strings.Fields(text) {
		out = append(out, netip.MustParseAddr(word))
	}
	return out
}

func prefixes(text string) []netip.Prefix {
	var out []netip.Prefix
	for _, word := range strings.Fields(text) {
		out = append(out, netip.MustParsePrefix(word))
	}
	return out
}

// sorted makes up for the turns that addresses take.
func sorted(list []netip.Addr) string {
	list = slices.Clone(list)
	slices.SortFunc(list, netip.Addr.Compare)
	return strings.Trim(fmt.Sprint(list), "[]")
}

func TestLookup(t *testing.T) {
	long := strings.Repeat("a", 63)
	longest := strings.Join([]string{long, long, long, strings.Repeat("b", 61)}, ".") // 255 on the wire
	net1 := resolver.NewNames([]resolver.Record{
		{Name: "Web", Addrs: addrs("10.1.0.2 fd01::2")},
		{Name: "web.", Addrs: addrs("10.1.0.3 10.1.0.2 ::ffff:10.1.0.4 fe80::1%eth0")},
		{Name: "web.one", Addrs: addrs("10.1.0.2")},
		{Name: "only4", Addrs: addrs("10.1.0.5")},
		{Name: "nothing"},
		{Name: "invalid", Addrs: []netip.Addr{{}}},
		{Name: "my net.b\\.c", Addrs: addrs("10.1.0.6")},
		{Name: longest, Addrs: addrs("10.1.0.7")},
		{Name: longest + "b", Addrs: addrs("10.1.0.8")},
		{Name: long + "a", Addrs: addrs("10.1.0.8")},
		{Name: "", Addrs: addrs("10.1.0.8")},
		{Name: ".", Addrs: addrs("10.1.0.8")},
		{Name: "a..b", Addrs: addrs("10.1.0.8")},
	}, nil, nil)
	net2 := resolver.NewNames([]resolver.Record{
		{Name: "web", Addrs: addrs("10.2.0.2")},
		{Name: "only4", Addrs: addrs("10.2.0.5 fd02::5")},
		{Name: "db", Addrs: addrs("10.2.0.6")},
	}, nil, nil)
	private := resolver.NewNames([]resolver.Record{{Name: "alias", Addrs: addrs("10.2.0.6")}, {Name: "db", Addrs: addrs("10.9.9.9")}}, nil, nil)
	view := resolver.NewView(private, nil, net1, net2)
	for _, test := range []struct {
		name, want string
		known      bool
	}{
		{"web", "10.1.0.2 10.1.0.3 10.1.0.4 fd01::2 fe80::1", true},
		{"WEB.", "10.1.0.2 10.1.0.3 10.1.0.4 fd01::2 fe80::1", true},
		{"web.one", "10.1.0.2", true},
		{"web.two", "", false},
		{"only4", "10.1.0.5 fd02::5", true}, // each family from the first that has it
		{"nothing", "", true},
		{"invalid", "", true},
		{"my net.b\\.c", "10.1.0.6", true},
		{longest, "10.1.0.7", true},
		{longest + "b", "", false},
		{long + "a", "", false},
		{"", "", false},
		{".", "", false},
		{"a..b", "", false},
		{"we", "", false},
		{"alias", "10.2.0.6", true},
		{"db", "10.9.9.9", true}, // its own before the network's
	} {
		got, known := view.Lookup(test.name)
		if sorted(got) != test.want || known != test.known {
			t.Errorf("%q is [%s], known %t, want [%s], %t", test.name, sorted(got), known, test.want, test.known)
		}
	}
	if got, known := (*resolver.View)(nil).Lookup("web"); got != nil || known {
		t.Errorf("no view has %v", got)
	}
}

func TestLookupAddr(t *testing.T) {
	net1 := resolver.NewNames([]resolver.Record{
		{Name: "other", Addrs: addrs("10.1.0.2")},
		{Name: "Web.one", Addrs: addrs("10.1.0.2 fd01::2"), Reverse: true},
		{Name: "web", Addrs: addrs("10.1.0.2 10.1.0.3"), Reverse: true},
	}, nil, prefixes("10.1.0.1/24 fd01::/64 ::ffff:10.3.0.0/112"))
	net2 := resolver.NewNames([]resolver.Record{{Name: "two", Addrs: addrs("10.1.0.3 10.1.0.4"), Reverse: true}}, nil, []netip.Prefix{{}})
	view := resolver.NewView(nil, net1, net2)
	for _, test := range []struct {
		addr, want string
		inside     bool
	}{
		{"10.1.0.2", "Web.one", true}, // the first record that says so
		{"::ffff:10.1.0.2", "Web.one", true},
		{"fd01::2", "Web.one", true},
		{"10.1.0.3", "web", true}, // the first network that does
		{"10.1.0.4", "two", true},
		{"10.1.0.5", "", true},
		{"fd01::5", "", true},
		{"10.3.0.1", "", true},
		{"10.2.0.5", "", false},
		{"fd02::5", "", false},
	} {
		got, inside := view.LookupAddr(netip.MustParseAddr(test.addr))
		if got != test.want || inside != test.inside {
			t.Errorf("%s is %q, inside %t, want %q, %t", test.addr, got, inside, test.want, test.inside)
		}
	}
}

func TestLookupService(t *testing.T) {
	n := resolver.NewNames(nil, []resolver.Service{
		{Name: "web", Port: "http", Proto: "tcp", Number: 80, Targets: []string{"web.1", "web.2."}},
		{Name: "web", Port: "http", Proto: "tcp", Number: 8080, Targets: []string{"web.3", ""}},
		{Name: "", Port: "http", Proto: "tcp", Number: 1, Targets: []string{"web.1"}},
	}, nil)
	want := []resolver.Target{{Name: "web.1", Port: 80}, {Name: "web.2", Port: 80}, {Name: "web.3", Port: 8080}}
	view := resolver.NewView(nil, n)
	if diff := cmp.Diff(want, view.LookupService("_HTTP._tcp.web.")); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if got := view.LookupService("_http._udp.web"); got != nil {
		t.Errorf("by UDP: %v", got)
	}
}

// TestTurns asks for both families in turn, as clients do: each address must be the first
// one as often as any other.
func TestTurns(t *testing.T) {
	n := resolver.NewNames([]resolver.Record{{Name: "web", Addrs: addrs("10.0.0.1 10.0.0.2 fd00::1 fd00::2 fd00::3")}}, nil, nil)
	view := resolver.NewView(n)
	first := map[netip.Addr]int{}
	for range 60 {
		got, _ := view.Lookup("web")
		first[got[0]]++
		first[got[2]]++
		if sorted(got) != "10.0.0.1 10.0.0.2 fd00::1 fd00::2 fd00::3" {
			t.Fatalf("got %v", got)
		}
	}
	for addr, want := range map[string]int{"10.0.0.1": 30, "10.0.0.2": 30, "fd00::1": 20, "fd00::2": 20, "fd00::3": 20} {
		if got := first[netip.MustParseAddr(addr)]; got != want {
			t.Errorf("%s was the first one %d times, want %d", addr, got, want)
		}
	}
}

func TestMissesDoNotAllocate(t *testing.T) {
	view := resolver.NewView(many("a", 100), many("b", 100), many("c", 100))
	if got := testing.AllocsPerRun(100, func() { view.Lookup("nobody.example.com") }); got != 0 {
		t.Errorf("a miss allocates %v times", got)
	}
	// A view costs the same whatever is in its networks.
	big, small := many("b", 3000), many("b", 3)
	cost := func(n *resolver.Names) float64 {
		return testing.AllocsPerRun(10, func() { resolver.NewView(nil, n, n, n) })
	}
	if cost(big) != cost(small) || cost(big) > 4 {
		t.Errorf("a view of big networks allocates %v times, of small ones %v", cost(big), cost(small))
	}
}

// many returns names of a network with n containers.
func many(network string, n int) *resolver.Names {
	return resolver.NewNames(manyRecords(network, n), nil, prefixes("10.0.0.0/16"))
}

func manyRecords(network string, n int) []resolver.Record {
	var records []resolver.Record
	for i := range n {
		list := []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}
		name := fmt.Sprintf("container%d", i)
		records = append(records, resolver.Record{Name: name + "." + network, Addrs: list, Reverse: true}, resolver.Record{Name: name, Addrs: list})
	}
	return records
}

// reference answers in the most simple way: by looking at everything in turn.
type reference struct {
	records  []resolver.Record
	prefixes []netip.Prefix
}

func (r reference) lookup(name string, six bool) (out []netip.Addr, known bool) {
	for _, record := range r.records {
		if !strings.EqualFold(strings.TrimSuffix(record.Name, "."), strings.TrimSuffix(name, ".")) {
			continue
		}
		known = true
		for _, addr := range record.Addrs {
			if addr.Is6() == six && !slices.Contains(out, addr) {
				out = append(out, addr)
			}
		}
	}
	return out, known
}

func (r reference) lookupAddr(addr netip.Addr) (string, bool) {
	for _, record := range r.records {
		if record.Reverse && slices.Contains(record.Addrs, addr) {
			return strings.TrimSuffix(record.Name, "."), true
		}
	}
	return "", slices.ContainsFunc(r.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func TestNamesAsReference(t *testing.T) {
	name := rapid.StringMatching(`[abAB]{1,2}(\.[ab])?\.?`)
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		last := rapid.Byte().Draw(t, "last") % 8
		if rapid.Bool().Draw(t, "six") {
			return netip.AddrFrom16([16]byte{0: 0xfd, 15: last})
		}
		return netip.AddrFrom4([4]byte{10, 0, last >> 2, last})
	})
	layer := rapid.Custom(func(t *rapid.T) reference {
		return reference{
			records: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) resolver.Record {
				return resolver.Record{Name: name.Draw(t, "name"), Addrs: rapid.SliceOfN(addr, 0, 3).Draw(t, "addrs"), Reverse: rapid.Bool().Draw(t, "reverse")}
			}), 0, 8).Draw(t, "records"),
			prefixes: rapid.SliceOfN(rapid.SampledFrom(prefixes("10.0.0.0/24 10.0.1.0/30 fd00::/125 fd00::4/126")), 0, 2).Draw(t, "prefixes"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		layers := rapid.SliceOfN(layer, 1, 3).Draw(t, "layers")
		var networks []*resolver.Names
		for _, l := range layers {
			networks = append(networks, resolver.NewNames(l.records, nil, l.prefixes))
		}
		view := resolver.NewView(networks[0], networks[1:]...)
		for range 5 {
			asked := name.Draw(t, "asked")
			var want []netip.Addr
			wantKnown := false
			for _, six := range []bool{false, true} {
				for _, l := range layers {
					found, known := l.lookup(asked, six)
					wantKnown = wantKnown || known
					if len(found) > 0 {
						want = append(want, found...)
						break
					}
				}
			}
			if got, known := view.Lookup(asked); sorted(got) != sorted(want) || known != wantKnown {
				t.Fatalf("%q is %v, known %t, want %v, %t", asked, got, known, want, wantKnown)
			}
			of := addr.Draw(t, "of")
			wantName, wantInside := "", false
			for _, l := range layers {
				name, inside := l.lookupAddr(of)
				wantInside = wantInside || inside
				if wantName == "" {
					wantName = name
				}
			}
			if got, inside := view.LookupAddr(of); got != wantName || inside != wantInside {
				t.Fatalf("%s is %q, inside %t, want %q, %t", of, got, inside, wantName, wantInside)
			}
		}
	})
}
