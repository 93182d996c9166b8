package builtin

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/cnm"
)

// fill takes automatic addresses.
func fill(b *testing.B, m *IPAM, r cnm.AddressRequest, count int) []netip.Addr {
	b.Helper()
	taken := make([]netip.Addr, count)
	for i := range taken {
		a, err := m.RequestAddress(context.Background(), r)
		if err != nil {
			b.Fatal(err)
		}
		taken[i] = a.Prefix.Addr()
	}
	return taken
}

// BenchmarkRequestAddress fills pools, one operation an address.
func BenchmarkRequestAddress(b *testing.B) {
	const size = 60000
	for _, pool := range []string{"10.0.0.0/16", "fd00::/64"} {
		for _, serial := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/serial=%v", prefix(pool).Addr(), serial), func(b *testing.B) {
				b.ReportAllocs()
				for done := 0; done < b.N; done += size {
					b.StopTimer()
					m, id := onePool(b, pool, "")
					b.StartTimer()
					fill(b, m, cnm.AddressRequest{PoolID: id, Serial: serial}, min(size, b.N-done))
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "addresses/s")
			})
		}
	}
}

// BenchmarkReleaseRandom60000 is one operation for 60,000 releases in random order.
func BenchmarkReleaseRandom60000(b *testing.B) {
	const size = 60000
	for _, pool := range []string{"10.0.0.0/16", "fd00::/64"} {
		b.Run(prefix(pool).Addr().String(), func(b *testing.B) {
			b.ReportAllocs()
			random := rand.New(rand.NewPCG(1, 2))
			for range b.N {
				b.StopTimer()
				m, id := onePool(b, pool, "")
				taken := fill(b, m, cnm.AddressRequest{PoolID: id}, size)
				random.Shuffle(size, func(i, j int) { taken[i], taken[j] = taken[j], taken[i] })
				b.StartTimer()
				for _, a := range taken {
					if err := m.ReleaseAddress(context.Background(), id, a); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "addresses/s")
		})
	}
}

// BenchmarkReplayRandom60000 is what a restart does: chosen addresses in random order.
func BenchmarkReplayRandom60000(b *testing.B) {
	const size = 60000
	for range b.N {
		b.StopTimer()
		m, id := onePool(b, "10.0.0.0/16", "")
		base := numberOf(addr("10.0.0.1"))
		order := rand.New(rand.NewPCG(1, 2)).Perm(size)
		b.StartTimer()
		for _, i := range order {
			r := cnm.AddressRequest{PoolID: id, Address: base.plus(number{low: uint64(i)}).address(true)}
			if _, err := m.RequestAddress(context.Background(), r); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "addresses/s")
}

// BenchmarkLowestOfFull takes turns at both ends of a full row of a million addresses.
func BenchmarkLowestOfFull(b *testing.B) {
	m, id := onePool(b, "10.0.0.0/8", "")
	r := cnm.AddressRequest{PoolID: id}
	taken := fill(b, m, r, 1<<20)
	for b.Loop() {
		if err := m.ReleaseAddress(context.Background(), id, taken[0]); err != nil {
			b.Fatal(err)
		}
		high := fill(b, m, r, 2)[1]
		if err := m.ReleaseAddress(context.Background(), id, high); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequestPool requests and releases one more automatic pool, beside others
// that the host has routes to as well.
func BenchmarkRequestPool(b *testing.B) {
	for _, others := range []int{0, 1000, 10000} {
		b.Run(fmt.Sprint(others), func(b *testing.B) {
			m := newIPAM(b, Config{})
			r := cnm.PoolRequest{AddressSpace: LocalSpace}
			var routes []netip.Prefix
			for range others {
				routes = append(routes, requestPool(b, m, r).Prefix)
			}
			r.Avoid = routes
			for b.Loop() {
				if err := m.ReleasePool(context.Background(), requestPool(b, m, r).ID); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
