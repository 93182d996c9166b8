package builtin

import (
	"context"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
)

func TestAddressSpaces(t *testing.T) {
	local, global, err := newIPAM(t, Config{}).AddressSpaces(context.Background())
	if local != "LocalDefault" || global != "GlobalDefault" || err != nil {
		t.Errorf("spaces are %q, %q, %v", local, global, err)
	}
}

func TestDefaultPools(t *testing.T) {
	m := newIPAM(t, Config{ULA: prefix("fd12:3456:789a::/48")})
	at := map[int]string{
		0: "172.17.0.0/16", 1: "172.18.0.0/16", 14: "172.31.0.0/16",
		15: "192.168.0.0/20", 16: "192.168.16.0/20", 30: "192.168.240.0/20",
		31: "10.128.0.0/24", 32: "10.128.1.0/24", 1999: "10.135.176.0/24",
	}
	for i := range 2000 {
		p := requestPool(t, m, cnm.PoolRequest{})
		if want, ok := at[i]; ok && p.Prefix != prefix(want) {
			t.Errorf("pool %d is %v, want %s", i, p.Prefix, want)
		}
	}
	for _, want := range []string{"10.0.0.0/24", "10.0.1.0/24"} {
		p := requestPool(t, m, cnm.PoolRequest{AddressSpace: GlobalSpace})
		if diff := cmp.Diff(cnm.Pool{ID: "GlobalDefault/" + want, Prefix: prefix(want)}, p, comparePrefix); diff != "" {
			t.Error(diff)
		}
	}
	for _, test := range []struct{ space, want string }{
		{LocalSpace, "fd12:3456:789a::/64"},
		{GlobalSpace, "fd12:3456:789a:1::/64"}, // not the one of the local network
		{LocalSpace, "fd12:3456:789a:2::/64"},
	} {
		p := requestPool(t, m, cnm.PoolRequest{AddressSpace: test.space, IPv6: true})
		if p.Prefix != prefix(test.want) {
			t.Errorf("IPv6 pool of %s is %v, want %s", test.space, p.Prefix, test.want)
		}
	}
}

var comparePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// step is a request and the answer.
type step struct {
	pool, subPool string
	ipv6          bool
	avoid         []string
	release       string // instead: release this pool
	want          string // the id without its space
}

func TestRequestPool(t *testing.T) {
	small := Config{
		LocalPools: []PoolBase{{prefix("10.1.0.0/22"), 24}, {prefix("fd00::/62"), 64}, {prefix("10.2.0.0/16"), 25}},
		NeverUse:   []netip.Prefix{prefix("10.1.1.128/25"), prefix("10.2.0.0/17")},
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"ids", []step{
			{pool: "172.17.0.0/16", want: "172.17.0.0/16"},
			{pool: "172.18.0.0/16", subPool: "172.18.1.0/24", want: "172.18.0.0/16/172.18.1.0/24"},
			{pool: "2001:db8::/64", subPool: "2001:db8::/64", want: "2001:db8::/64/2001:db8::/64"},
		}},
		{"lengths", []step{
			{pool: "128.0.0.0/1", want: "128.0.0.0/1"}, {pool: "10.0.0.1/32", want: "10.0.0.1/32"},
			{pool: "8000::/1", want: "8000::/1"}, {pool: "2001:db8::1/128", want: "2001:db8::1/128"},
		}},
		{"bases in order, never use is left out", []step{
			{want: "10.1.0.0/24"}, {want: "10.1.2.0/24"}, {want: "10.1.3.0/24"}, {want: "10.2.128.0/25"},
			{ipv6: true, want: "fd00::/64"}, {ipv6: true, want: "fd00:0:0:1::/64"},
		}},
		{"a released pool is the first again", []step{
			{want: "10.1.0.0/24"}, {want: "10.1.2.0/24"}, {release: "10.1.0.0/24"}, {want: "10.1.0.0/24"},
		}},
		{"chosen pools are left out", []step{
			{pool: "10.1.0.64/26", want: "10.1.0.64/26"}, {pool: "10.1.2.0/23", want: "10.1.2.0/23"}, {want: "10.2.128.0/25"},
		}},
		{"avoid is left out, also with further bits", []step{
			{avoid: []string{"10.1.0.0/16", "10.1.2.3/32", "fd00::/8"}, want: "10.2.128.0/25"},
			{avoid: []string{"10.1.0.7/24", "10.1.2.3/32"}, want: "10.1.3.0/24"},
			{want: "10.1.0.0/24"},
		}},
		{"avoid within avoid", []step{
			{avoid: []string{"10.0.0.0/15", "10.0.5.0/24"}, want: "10.2.128.0/25"},
		}},
		{"chosen pools may overlap avoid and never use", []step{
			{pool: "10.1.1.0/24", avoid: []string{"10.0.0.0/8"}, want: "10.1.1.0/24"},
		}},
		{"of a length", []step{
			{pool: "0.0.0.0/25", want: "10.1.0.0/25"}, {want: "10.1.2.0/24"}, {pool: "0.0.0.0/25", want: "10.1.0.128/25"},
			{pool: "0.0.0.0/32", want: "10.1.1.0/32"}, {pool: "0.0.0.0/18", want: "10.2.128.0/18"},
			{pool: "::/63", want: "fd00::/63"}, {pool: "::/80", want: "fd00:0:0:2::/80"}, {pool: "::/128", want: "fd00:0:0:2:1::/128"},
		}},
		{"the family is of the pool, if given", []step{
			{pool: "0.0.0.0/24", ipv6: true, want: "10.1.0.0/24"}, {pool: "::/64", want: "fd00::/64"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newIPAM(t, small)
			for i, s := range test.steps {
				id := LocalSpace + "/" + s.want
				if s.release != "" {
					if err := m.ReleasePool(context.Background(), LocalSpace+"/"+s.release); err != nil {
						t.Fatal(err)
					}
					continue
				}
				r := cnm.PoolRequest{Pool: prefix(s.pool), SubPool: prefix(s.subPool), IPv6: s.ipv6}
				for _, avoid := range s.avoid {
					r.Avoid = append(r.Avoid, prefix(avoid))
				}
				if p := requestPool(t, m, r); p.ID != id {
					t.Errorf("step %d: pool is %q, want %q", i, p.ID, id)
				}
			}
		})
	}
}

func TestRequestPoolRefuses(t *testing.T) {
	request := func(pool, subPool string) cnm.PoolRequest {
		return cnm.PoolRequest{AddressSpace: LocalSpace, Pool: prefix(pool), SubPool: prefix(subPool)}
	}
	for _, test := range []struct {
		name    string
		request cnm.PoolRequest
		kind    cnm.Kind
		want    string
	}{
		{"space", cnm.PoolRequest{AddressSpace: "moon"}, cnm.Invalid, `address space "moon": is unknown; there are "LocalDefault" and "GlobalDefault"`},
		{"no space", cnm.PoolRequest{}, cnm.Invalid, `address space "": is unknown; there are "LocalDefault" and "GlobalDefault"`},
		{"host bits", request("10.0.0.5/24", ""), cnm.Invalid, `subnet "10.0.0.5/24": has bits set beyond its length; did you mean "10.0.0.0/24"?`},
		{"host bits of IPv6", request("fd00::5/64", ""), cnm.Invalid, `subnet "fd00::5/64": has bits set beyond its length; did you mean "fd00::/64"?`},
		{"no length", request("0.0.0.0/0", ""), cnm.Invalid, `subnet "0.0.0.0/0": its length is not from 1 to 32; choose another, or none`},
		{"no length of IPv6", request("::/0", ""), cnm.Invalid, `subnet "::/0": its length is not from 1 to 128; choose another, or none`},
		{"not a length", cnm.PoolRequest{AddressSpace: LocalSpace, Pool: netip.PrefixFrom(addr("10.0.0.0"), 33)}, cnm.Invalid,
			`subnet "invalid Prefix": its length is not from 1 to 32; choose another, or none`},
		{"mapped", request("::ffff:10.0.0.0/120", ""), cnm.Invalid, `subnet "::ffff:10.0.0.0/120": is IPv4 written as IPv6; write it as IPv4`},
		{"range with host bits", request("10.0.0.0/8", "10.1.0.1/16"), cnm.Invalid,
			`address range "10.1.0.1/16": has bits set beyond its length; did you mean "10.1.0.0/16"?`},
		{"range alone", request("", "10.1.0.0/16"), cnm.Invalid, `address range "10.1.0.0/16": needs a subnet to be in; give the subnet too`},
		{"range of an automatic pool", request("0.0.0.0/24", "10.1.0.0/26"), cnm.Invalid,
			`address range "10.1.0.0/26": needs a subnet to be in; give the subnet too`},
		{"range outside", request("10.1.0.0/16", "10.2.0.0/24"), cnm.Invalid,
			`address range "10.2.0.0/24": is not within subnet "10.1.0.0/16"; choose a part of it`},
		{"range too large", request("10.1.0.0/16", "10.0.0.0/8"), cnm.Invalid,
			`address range "10.0.0.0/8": is not within subnet "10.1.0.0/16"; choose a part of it`},
		{"range of the other family", request("10.1.0.0/16", "fd00::/64"), cnm.Invalid,
			`address range "fd00::/64": is not within subnet "10.1.0.0/16"; choose a part of it`},
		{"range of the network address", request("10.1.0.0/16", "10.1.0.0/32"), cnm.Invalid,
			`address range "10.1.0.0/32": has no address that hosts of subnet "10.1.0.0/16" can be given; choose a larger range`},
		{"range of the broadcast address", request("10.1.0.0/16", "10.1.255.255/32"), cnm.Invalid,
			`address range "10.1.255.255/32": has no address that hosts of subnet "10.1.0.0/16" can be given; choose a larger range`},
		{"overlap, same", request("172.20.0.0/16", ""), cnm.Exists, `subnet "172.20.0.0/16": overlaps subnet "172.20.0.0/16" of network "web"; choose another`},
		{"overlap, within", request("172.20.4.0/24", ""), cnm.Exists, `subnet "172.20.4.0/24": overlaps subnet "172.20.0.0/16" of network "web"; choose another`},
		{"overlap, around", request("172.16.0.0/12", "172.16.0.0/24"), cnm.Exists,
			`subnet "172.16.0.0/12": overlaps subnet "172.20.0.0/16" of network "web"; choose another`},
		{"overlap without a holder", request("fd00::/8", ""), cnm.Exists, `subnet "fd00::/8": overlaps subnet "fd00:1::/64"; choose another`},
		{"no IPv6", cnm.PoolRequest{AddressSpace: LocalSpace, IPv6: true}, cnm.Invalid,
			`address space "LocalDefault": has no automatic IPv6 pools (the setting has none, and the installation has no unique local prefix); ` +
				`give a subnet, or change the setting "default address pools"`},
		{"too large", request("0.0.0.0/8", ""), cnm.Invalid,
			`subnet "0.0.0.0/8": no IPv4 pool of address space "LocalDefault" is that large; ` +
				`choose a longer prefix or a subnet, or change the setting "default address pools"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newIPAM(t, Config{})
			requestPool(t, m, cnm.PoolRequest{Pool: prefix("172.20.0.0/16"), Holder: `network "web"`})
			requestPool(t, m, cnm.PoolRequest{Pool: prefix("fd00:1::/64")})
			_, err := m.RequestPool(context.Background(), test.request)
			wantError(t, err, test.kind, "request pool: "+test.want)
			if len(m.pools) != 2 || len(m.local.granted) != 2 || len(m.local.pools) != 2 {
				t.Error("a refused request changed something")
			}
		})
	}
}

func TestNoIPv4Supply(t *testing.T) {
	m := newIPAM(t, Config{LocalPools: []PoolBase{{prefix("fd00::/48"), 64}}})
	_, err := m.RequestPool(context.Background(), cnm.PoolRequest{AddressSpace: LocalSpace})
	wantError(t, err, cnm.Invalid, `request pool: address space "LocalDefault": has no automatic IPv4 pools (the setting has none); `+
		`give a subnet, or change the setting "default address pools"`)
}

func TestPoolsExhausted(t *testing.T) {
	const tail = `); delete networks, give a subnet, or change the setting "default address pools"`
	m := newIPAM(t, Config{LocalPools: []PoolBase{{prefix("10.0.0.0/22"), 24}}})
	request := cnm.PoolRequest{AddressSpace: LocalSpace, Avoid: []netip.Prefix{prefix("10.0.0.0/8"), prefix("192.0.2.0/24")}}
	_, err := m.RequestPool(context.Background(), request)
	wantError(t, err, cnm.Exhausted, `request pool: address space "LocalDefault": no IPv4 pool is left `+
		`(0 exist; 2 prefixes that the host uses or that must not be used are left out`+tail)
	requestPool(t, m, cnm.PoolRequest{Pool: prefix("fd00::/64"), Holder: `network "six"`})
	for _, holder := range []string{`network "a"`, "", `network "c"`, `network "d"`} {
		requestPool(t, m, cnm.PoolRequest{Holder: holder})
	}
	_, err = m.RequestPool(context.Background(), cnm.PoolRequest{AddressSpace: LocalSpace})
	wantError(t, err, cnm.Exhausted, `request pool: address space "LocalDefault": no IPv4 pool is left `+
		`(4 exist: "10.0.0.0/24" of network "a", "10.0.1.0/24", "10.0.2.0/24" of network "c" and others`+tail)
}

// At the end of the addresses the search must end too.
func TestCutAtTheEnd(t *testing.T) {
	for _, test := range []struct{ base, avoid string }{
		{"255.255.255.0/24", "255.255.255.0/24"}, {"255.255.255.0/24", "0.0.0.0/0"},
		{"ffff::/16", "ffff::/16"}, {"8000::/1", "::/0"},
	} {
		m := newIPAM(t, Config{LocalPools: []PoolBase{{prefix(test.base), prefix(test.base).Bits()}}})
		request := cnm.PoolRequest{AddressSpace: LocalSpace, IPv6: prefix(test.base).Addr().Is6(), Avoid: []netip.Prefix{prefix(test.avoid)}}
		if p, err := m.RequestPool(context.Background(), request); cnm.KindOf(err) != cnm.Exhausted {
			t.Errorf("%s without %s: pool %v, error %v", test.base, test.avoid, p, err)
		}
		request.Avoid = nil
		if p := requestPool(t, m, request); p.Prefix != prefix(test.base) {
			t.Errorf("pool is %v, want %s", p.Prefix, test.base)
		}
	}
}

// The spaces do not know each other's chosen pools, but automatic ones keep clear.
func TestSpaces(t *testing.T) {
	m := newIPAM(t, Config{})
	requestPool(t, m, cnm.PoolRequest{Pool: prefix("10.0.0.0/24")})
	requestPool(t, m, cnm.PoolRequest{AddressSpace: GlobalSpace, Pool: prefix("172.17.0.0/16")})
	requestPool(t, m, cnm.PoolRequest{AddressSpace: GlobalSpace, Pool: prefix("10.0.0.0/24")})
	if p := requestPool(t, m, cnm.PoolRequest{AddressSpace: GlobalSpace}); p.Prefix != prefix("10.0.1.0/24") {
		t.Errorf("global pool is %v", p.Prefix)
	}
	if p := requestPool(t, m, cnm.PoolRequest{}); p.Prefix != prefix("172.18.0.0/16") {
		t.Errorf("local pool is %v", p.Prefix)
	}
}

func TestReleasePool(t *testing.T) {
	m, id := onePool(t, "10.0.0.0/24", "10.0.0.128/25")
	taken := requestAddress(t, m, cnm.AddressRequest{PoolID: id})
	if err := m.ReleasePool(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	const why = `: pool "LocalDefault/10.0.0.0/24/10.0.0.128/25": does not exist; it was released, or never requested`
	wantError(t, m.ReleasePool(context.Background(), id), cnm.NotFound, "release pool"+why)
	_, err := m.RequestAddress(context.Background(), cnm.AddressRequest{PoolID: id})
	wantError(t, err, cnm.NotFound, "request address"+why)
	wantError(t, m.ReleaseAddress(context.Background(), id, taken), cnm.NotFound, "release address"+why)
	_, err = m.Status(id)
	wantError(t, err, cnm.NotFound, "pool status"+why)
	// A new pool knows nothing of the addresses of the old.
	again := requestPool(t, m, cnm.PoolRequest{Pool: prefix("10.0.0.0/24"), SubPool: prefix("10.0.0.128/25")})
	if got := requestAddress(t, m, cnm.AddressRequest{PoolID: again.ID}); got != taken {
		t.Errorf("address is %v, want %v", got, taken)
	}
}
