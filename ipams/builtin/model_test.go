package builtin

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
)

// model is a pool as slow and as plain as can be: it looks at each address in turn.
type model struct {
	prefix netip.Prefix
	all    []netip.Addr // of the prefix
	auto   []netip.Addr // what may be handed out unasked
	taken  map[netip.Addr]bool
	// cursor is the index in auto where serial allocation goes on.
	cursor  int
	started bool
}

func newModel(pool, subPool netip.Prefix) *model {
	d := &model{prefix: pool, taken: make(map[netip.Addr]bool)}
	for a := pool.Addr(); pool.Contains(a); a = a.Next() {
		d.all = append(d.all, a)
	}
	for i, a := range d.all {
		lowest, highest := i == 0, i == len(d.all)-1
		if len(d.all) > 2 && (lowest || highest && a.Is4()) || subPool.IsValid() && !subPool.Contains(a) {
			continue
		}
		d.auto = append(d.auto, a)
	}
	return d
}

// request returns the address to be expected, or the kind of the error.
func (d *model) request(r cnm.AddressRequest) (netip.Addr, error) {
	if r.Address.IsValid() {
		return d.chosen(r.Address)
	}
	at := 0
	if r.Serial && !r.Gateway {
		at = d.cursor
	}
	for i := range d.auto {
		i = (at + i) % len(d.auto)
		if !d.taken[d.auto[i]] {
			d.cursor, d.started = i+1, true
			d.taken[d.auto[i]] = true
			return d.auto[i], nil
		}
	}
	return netip.Addr{}, cnm.Exhausted
}

func (d *model) chosen(a netip.Addr) (netip.Addr, error) {
	edge := a == d.all[0] || a == d.all[len(d.all)-1]
	switch {
	case !d.prefix.Contains(a), a.Is4() && len(d.all) > 2 && edge:
		return netip.Addr{}, cnm.Invalid
	case d.taken[a]:
		return netip.Addr{}, cnm.Exists
	}
	if i := slices.Index(d.auto, a); !d.started && i >= d.cursor {
		d.cursor = i + 1
	}
	d.taken[a] = true
	return a, nil
}

func (d *model) status() Status {
	s := Status{Used: uint64(len(d.taken))}
	for _, a := range d.auto {
		if !d.taken[a] {
			s.Available++
		}
	}
	return s
}

// drawPool draws a small pool and, half of the time, a sub-pool that can be used.
func drawPool(t *rapid.T) (pool, subPool netip.Prefix) {
	base := rapid.SampledFrom([]netip.Addr{
		addr("10.1.2.3"), addr("255.255.255.255"), addr("fd00::1:2345"), addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	}).Draw(t, "base")
	host := rapid.IntRange(0, 11).Draw(t, "host bits")
	pool = netip.PrefixFrom(base, base.BitLen()-host).Masked()
	if rapid.Bool().Draw(t, "with sub-pool") {
		model := newModel(pool, netip.Prefix{})
		inside := rapid.SampledFrom(model.auto).Draw(t, "in the sub-pool")
		bits := rapid.IntRange(pool.Bits(), pool.Addr().BitLen()).Draw(t, "length of the sub-pool")
		subPool = netip.PrefixFrom(inside, bits).Masked()
	}
	return pool, subPool
}

func TestPoolIsLikeTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool, subPool := drawPool(t)
		m := newIPAM(t, Config{})
		id := requestPool(t, m, cnm.PoolRequest{Pool: pool, SubPool: subPool}).ID
		d := newModel(pool, subPool)
		request := func(t *rapid.T, r cnm.AddressRequest) {
			r.PoolID = id
			want, wantErr := d.request(r)
			got, err := m.RequestAddress(context.Background(), r)
			if wantErr != nil {
				if !errors.Is(err, wantErr) {
					t.Fatalf("%+v: got %v, %v, want %v", r, got.Prefix, err, wantErr)
				}
				return
			}
			if err != nil || got.Prefix != netip.PrefixFrom(want, pool.Bits()) {
				t.Fatalf("%+v: got %v, %v, want %v", r, got.Prefix, err, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"first free": func(t *rapid.T) { request(t, cnm.AddressRequest{}) },
			"serial":     func(t *rapid.T) { request(t, cnm.AddressRequest{Serial: true}) },
			"gateway":    func(t *rapid.T) { request(t, cnm.AddressRequest{Gateway: true}) },
			"many": func(t *rapid.T) {
				r := cnm.AddressRequest{Serial: rapid.Bool().Draw(t, "serial")}
				for range rapid.IntRange(1, 600).Draw(t, "count") {
					request(t, r)
				}
			},
			"chosen": func(t *rapid.T) { request(t, cnm.AddressRequest{Address: drawAddr(t, d)}) },
			"release": func(t *rapid.T) {
				a := drawAddr(t, d)
				err := m.ReleaseAddress(context.Background(), id, a)
				if pool.Contains(a) != (err == nil) {
					t.Fatalf("release %v: %v", a, err)
				}
				delete(d.taken, a)
			},
			"release many": func(t *rapid.T) {
				for _, a := range rapid.SliceOfN(rapid.SampledFrom(d.all), 1, 100).Draw(t, "released") {
					releaseAddress(t, m, id, a.String())
					delete(d.taken, a)
				}
			},
			"": func(t *rapid.T) {
				got, want := status(t, m, id), d.status()
				if got.Used != want.Used || got.Available != want.Available {
					t.Fatalf("status is %+v, want %+v", got, want)
				}
			},
		})
	})
}

// drawAddr draws an address of the pool or next to it.
func drawAddr(t *rapid.T, d *model) netip.Addr {
	candidates := d.all
	for _, a := range []netip.Addr{d.all[0].Prev(), d.all[len(d.all)-1].Next()} {
		if a.IsValid() {
			candidates = append(candidates[:len(candidates):len(candidates)], a)
		}
	}
	return rapid.SampledFrom(candidates).Draw(t, "address")
}

// After a restart the records are replayed in any order, and give the same state.
func TestReplay(t *testing.T) {
	type record struct {
		pool      cnm.Pool
		subPool   netip.Prefix
		addresses []netip.Addr
	}
	rapid.Check(t, func(t *rapid.T) {
		before := newIPAM(t, Config{ULA: prefix("fd00:1:2::/48")})
		var records []record
		for range rapid.IntRange(1, 6).Draw(t, "pools") {
			r := cnm.PoolRequest{IPv6: rapid.Bool().Draw(t, "IPv6")}
			if len(records) == 0 && rapid.Bool().Draw(t, "with sub-pool") {
				r.Pool, r.SubPool = prefix("172.17.0.0/16"), prefix("172.17.3.0/24")
			}
			rec := record{pool: requestPool(t, before, r), subPool: r.SubPool}
			for range rapid.IntRange(0, 20).Draw(t, "addresses") {
				rec.addresses = append(rec.addresses, requestAddress(t, before, cnm.AddressRequest{PoolID: rec.pool.ID}))
			}
			for _, a := range rec.addresses[:len(rec.addresses)/3] {
				releaseAddress(t, before, rec.pool.ID, a.String())
			}
			rec.addresses = rapid.Permutation(rec.addresses[len(rec.addresses)/3:]).Draw(t, "addresses in order")
			records = append(records, rec)
		}
		after := newIPAM(t, Config{ULA: prefix("fd00:1:2::/48")})
		for _, rec := range rapid.Permutation(records).Draw(t, "pools in order") {
			if p := requestPool(t, after, cnm.PoolRequest{Pool: rec.pool.Prefix, SubPool: rec.subPool}); p.ID != rec.pool.ID {
				t.Fatalf("pool %q is now %q", rec.pool.ID, p.ID)
			}
			for _, a := range rec.addresses {
				requestAddress(t, after, cnm.AddressRequest{PoolID: rec.pool.ID, Address: a})
			}
		}
		for _, rec := range records {
			if a, b := status(t, before, rec.pool.ID), status(t, after, rec.pool.ID); a.Used != b.Used || a.Available != b.Available {
				t.Fatalf("pool %q: status was %+v, is %+v", rec.pool.ID, a, b)
			}
			r := cnm.AddressRequest{PoolID: rec.pool.ID}
			if a, b := requestAddress(t, before, r), requestAddress(t, after, r); a != b {
				t.Fatalf("pool %q: the next address was %v, is %v", rec.pool.ID, a, b)
			}
		}
		for _, ipv6 := range []bool{false, true} {
			if a, b := requestPool(t, before, cnm.PoolRequest{IPv6: ipv6}), requestPool(t, after, cnm.PoolRequest{IPv6: ipv6}); a.ID != b.ID {
				t.Fatalf("the next pool was %q, is %q", a.ID, b.ID)
			}
		}
	})
}

// drawPrefix draws a prefix within the base.
func drawPrefix(t *rapid.T, base netip.Prefix, longest int, label string) netip.Prefix {
	offset := rapid.Uint64Range(0, ones(hostBits(base)).uint64()).Draw(t, label)
	a := numberOf(base.Addr()).plus(number{low: offset}).address(base.Addr().Is4())
	return netip.PrefixFrom(a, rapid.IntRange(base.Bits(), longest).Draw(t, "length")).Masked()
}

// Pools are chosen as by a search through all candidates.
func TestPoolsAreLikeTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bases := []PoolBase{{prefix("10.0.0.0/27"), 30}, {prefix("10.0.1.0/28"), 29}}
		if rapid.Bool().Draw(t, "IPv6") {
			bases = []PoolBase{{prefix("fd00::/123"), 126}, {prefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124"), 125}}
		}
		longest, unspecified := bases[0].Base.Addr().BitLen(), netip.IPv4Unspecified()
		if longest == 128 {
			unspecified = netip.IPv6Unspecified()
		}
		draw := func(t *rapid.T) netip.Prefix {
			return drawPrefix(t, rapid.SampledFrom(bases).Draw(t, "base").Base, longest, "offset")
		}
		var neverUse []netip.Prefix
		if rapid.Bool().Draw(t, "never use") {
			neverUse = append(neverUse, draw(t))
		}
		m := newIPAM(t, Config{LocalPools: bases, NeverUse: neverUse})
		granted := map[netip.Prefix]string{}
		overlaps := func(p netip.Prefix, others []netip.Prefix) bool { return slices.ContainsFunc(others, p.Overlaps) }
		held := func() (out []netip.Prefix) {
			for p := range granted {
				out = append(out, p)
			}
			return out
		}
		automatic := func(t *rapid.T, length int) {
			r := cnm.PoolRequest{AddressSpace: LocalSpace, Pool: netip.PrefixFrom(unspecified, max(length, 0)), IPv6: longest == 128}
			for range rapid.IntRange(0, 3).Draw(t, "avoided") {
				r.Avoid = append(r.Avoid, draw(t))
			}
			if length < 0 {
				r.Pool = netip.Prefix{}
			}
			want := search(bases, length, func(p netip.Prefix) bool {
				return !overlaps(p, held()) && !overlaps(p, r.Avoid) && !overlaps(p, neverUse)
			})
			got, err := m.RequestPool(context.Background(), r)
			if got.Prefix != want || want.IsValid() != (err == nil) || err != nil && cnm.KindOf(err) != cnm.Exhausted {
				t.Fatalf("%+v: got %v, %v, want %v", r, got, err, want)
			}
			if err == nil {
				granted[got.Prefix] = got.ID
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"automatic": func(t *rapid.T) { automatic(t, -1) },
			"of a length": func(t *rapid.T) {
				automatic(t, rapid.IntRange(longest-5, longest).Draw(t, "length"))
			},
			"chosen": func(t *rapid.T) {
				p := draw(t)
				got, err := m.RequestPool(context.Background(), cnm.PoolRequest{AddressSpace: LocalSpace, Pool: p, Avoid: []netip.Prefix{p}})
				if overlaps(p, held()) {
					if !errors.Is(err, cnm.Exists) {
						t.Fatalf("%v: got %v, %v", p, got, err)
					}
					return
				}
				if err != nil || got.Prefix != p {
					t.Fatalf("%v: got %v, %v", p, got, err)
				}
				granted[p] = got.ID
			},
			"release": func(t *rapid.T) {
				if len(granted) == 0 {
					t.Skip("there is none")
				}
				p := rapid.SampledFrom(slices.SortedFunc(slices.Values(held()), netip.Prefix.Compare)).Draw(t, "released")
				if err := m.ReleasePool(context.Background(), granted[p]); err != nil {
					t.Fatal(err)
				}
				delete(granted, p)
			},
		})
	})
}

// search looks at each prefix of the length in each base; below 0 means the base's own.
func search(bases []PoolBase, length int, free func(netip.Prefix) bool) netip.Prefix {
	for _, base := range bases {
		size := length
		if size < 0 {
			size = base.Size
		}
		if size < base.Base.Bits() {
			continue
		}
		for a := base.Base.Addr(); base.Base.Contains(a); a = a.Next() {
			if p := netip.PrefixFrom(a, size); p == p.Masked() && free(p) {
				return p
			}
		}
	}
	return netip.Prefix{}
}

// A set that is dense in places has full blocks of full blocks.
func TestSetIsLikeAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := number{low: rapid.SampledFrom([]uint64{0, 1<<64 - blockSize*blockSize/2}).Draw(t, "base")}
		at := func(offset int) number { return base.plus(number{low: uint64(offset)}) }
		const span = blockSize * (blockSize + 8)
		var s set
		model := make([]bool, span)
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			from := rapid.IntRange(0, span-1).Draw(t, "from")
			to := rapid.IntRange(from, span-1).Draw(t, "to")
			add := rapid.IntRange(0, 2).Draw(t, "remove below 1") > 0
			for i := from; i <= to; i++ {
				switch {
				case add && !model[i]:
					s.add(at(i))
				case !add && s.remove(at(i)) != model[i]:
					t.Fatalf("remove of %d is not %v", i, model[i])
				}
				model[i] = add
			}
			for range 8 {
				i := rapid.IntRange(0, span-1).Draw(t, "looked at")
				if s.has(at(i)) != model[i] {
					t.Fatalf("has %d is not %v", i, model[i])
				}
				want := i
				for want < span && model[want] {
					want++
				}
				if got := s.free(at(i)); got != at(want) {
					t.Fatalf("free from %d is %v, want %v", i, got, at(want))
				}
			}
		}
	})
}
