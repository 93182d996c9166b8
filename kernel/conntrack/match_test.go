package conntrack

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/netstate"
)

// TestMatchersAgreeWithReference matches as Removed, Added and Released do, each family by
// itself.
func TestMatchersAgreeWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		publications, flows, addresses := DrawPublications(t), DrawFlows(t, 20), DrawAddresses(t)
		all, err := byFamily(publications, Publication.normal)
		if err != nil {
			t.Fatal(err)
		}
		released, err := byFamily(addresses, normalAddress)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range flows {
			e, family := f.entry(), 0
			if f.Sent.Addr().Is6() {
				family = 1
			}
			if got, want := removedMatcher(all[family])(&e), f.Removed(publications); got != want {
				t.Errorf("removed matches %s: %v, want %v", f, got, want)
			}
			if got, want := addedMatcher(all[family], IsLocal)(&e), f.Added(publications, IsLocal); f.Protocol == netstate.UDP && got != want {
				t.Errorf("added matches %s: %v, want %v", f, got, want)
			}
			if got, want := releasedMatcher(released[family])(&e), f.Released(addresses); got != want {
				t.Errorf("released matches %s: %v, want %v", f, got, want)
			}
		}
	})
}

// TestIndexAgreesWithScan has ranges that overlap, and contain each other.
func TestIndexAgreesWithScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		publications := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Publication {
			first := rapid.Uint16Range(1, 20).Draw(t, "first")
			// The target's port tells them apart.
			return Publication{HostPort: first, HostPortEnd: rapid.Uint16Range(first, 20).Draw(t, "last"), TargetPort: rapid.Uint16().Draw(t, "name")}
		}), 1, 10).Draw(t, "publications")
		port := drawPort(t)
		want, got := make(map[uint16]int), make(map[uint16]int)
		for _, p := range publications {
			if p.HostPort <= port && port <= p.HostPortEnd {
				want[p.TargetPort]++
			}
		}
		newIndex(publications, func(Publication) netip.Addr { return netip.Addr{} }).visit(key{}, port, func(p *Publication) bool {
			got[p.TargetPort]++
			return true
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("visited (-want +got):\n%s", diff)
		}
	})
}

func TestNobodyLocal(t *testing.T) {
	wildcard := Publication{Protocol: 17, HostPort: 53, HostPortEnd: 53, Target: netip.MustParseAddr("172.18.0.2"), TargetPort: 53}
	e := ParseFlow("udp 198.51.100.9:1000 to 192.0.2.1:53").entry()
	if addedMatcher([]Publication{wildcard}, nil)(&e) {
		t.Error("an address is local without a function that says so")
	}
}

// BenchmarkMatch looks for one entry among many publications.
func BenchmarkMatch(b *testing.B) {
	var publications []Publication
	for i := range uint16(5000) {
		publications = append(publications, Publication{
			Protocol: 17, HostPort: i + 1, HostPortEnd: i + 1, Target: netip.MustParseAddr("172.18.0.2"), TargetPort: 53,
		})
	}
	match := removedMatcher(publications)
	e := ParseFlow("udp 198.51.100.9:1000 to 192.0.2.1:4000 at 172.18.0.2:53").entry()
	for b.Loop() {
		if !match(&e) {
			b.Fatal("not found")
		}
	}
}
