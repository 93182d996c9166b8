package builtin

import (
	"context"
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
)

// Which addresses a pool hands out unasked, from the first to the last.
func TestAutomaticAddresses(t *testing.T) {
	for _, test := range []struct {
		pool, subPool string
		want          []string
	}{
		{"10.0.0.0/30", "", []string{"10.0.0.1/30", "10.0.0.2/30"}},
		{"10.0.0.4/31", "", []string{"10.0.0.4/31", "10.0.0.5/31"}},
		{"10.0.0.5/32", "", []string{"10.0.0.5/32"}},
		{"255.255.255.254/31", "", []string{"255.255.255.254/31", "255.255.255.255/31"}},
		{"fd00::/126", "", []string{"fd00::1/126", "fd00::2/126", "fd00::3/126"}},
		{"fd00::4/127", "", []string{"fd00::4/127", "fd00::5/127"}},
		{"fd00::5/128", "", []string{"fd00::5/128"}},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", "",
			[]string{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127"}},
		{"10.0.0.0/16", "10.0.1.0/30", []string{"10.0.1.0/16", "10.0.1.1/16", "10.0.1.2/16", "10.0.1.3/16"}},
		{"10.0.0.0/16", "10.0.0.0/31", []string{"10.0.0.1/16"}},
		{"10.0.0.0/16", "10.0.255.254/31", []string{"10.0.255.254/16"}},
		{"10.0.0.0/30", "10.0.0.0/30", []string{"10.0.0.1/30", "10.0.0.2/30"}},
		{"fd00::/64", "fd00::8000:0:0:0/127", []string{"fd00::8000:0:0:0/64", "fd00::8000:0:0:1/64"}},
		{"fd00::/64", "fd00::/127", []string{"fd00::1/64"}},
	} {
		t.Run(test.pool+" "+test.subPool, func(t *testing.T) {
			for name, request := range map[string]cnm.AddressRequest{"first free": {}, "serial": {Serial: true}, "gateway": {Gateway: true}} {
				m, id := onePool(t, test.pool, test.subPool)
				request.PoolID = id
				var got []string
				for range len(test.want) {
					a, err := m.RequestAddress(context.Background(), request)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, a.Prefix.String())
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				for range 2 {
					if a, err := m.RequestAddress(context.Background(), request); cnm.KindOf(err) != cnm.Exhausted {
						t.Errorf("%s: then %v, %v", name, a, err)
					}
				}
			}
		})
	}
}

// visit is a request of an address, or a release, with the answer.
type visit struct {
	address string
	how     cnm.AddressRequest
	release string
	want    string
}

var (
	any4    = cnm.AddressRequest{}
	serial  = cnm.AddressRequest{Serial: true}
	gateway = cnm.AddressRequest{Gateway: true}
)

func TestRequestAddress(t *testing.T) {
	for _, test := range []struct {
		name, pool, subPool string
		visits              []visit
	}{
		{"first free", "10.0.0.0/24", "", []visit{
			{how: gateway, want: "10.0.0.1"}, {want: "10.0.0.2"}, {want: "10.0.0.3"},
			{release: "10.0.0.2"}, {release: "10.0.0.1"}, {want: "10.0.0.1"}, {want: "10.0.0.2"}, {want: "10.0.0.4"},
		}},
		{"serial", "10.0.0.0/29", "", []visit{
			{how: gateway, want: "10.0.0.1"}, {how: serial, want: "10.0.0.2"}, {how: serial, want: "10.0.0.3"},
			{release: "10.0.0.2"}, {how: serial, want: "10.0.0.4"}, {release: "10.0.0.4"},
			{how: serial, want: "10.0.0.5"}, {how: serial, want: "10.0.0.6"},
			{how: serial, want: "10.0.0.2"}, {how: serial, want: "10.0.0.4"},
		}},
		{"serial goes on behind first free", "10.0.0.0/24", "", []visit{
			{how: serial, want: "10.0.0.1"}, {release: "10.0.0.1"}, {how: any4, want: "10.0.0.1"}, {how: serial, want: "10.0.0.2"},
		}},
		{"serial gateway", "10.0.0.0/24", "", []visit{
			{how: serial, want: "10.0.0.1"}, {release: "10.0.0.1"},
			{how: cnm.AddressRequest{Serial: true, Gateway: true}, want: "10.0.0.1"},
		}},
		{"serial goes on behind the records, in any order", "10.0.0.0/28", "", []visit{
			{address: "10.0.0.9", want: "10.0.0.9"}, {address: "10.0.0.1", want: "10.0.0.1"},
			{how: serial, want: "10.0.0.10"}, {address: "10.0.0.13", want: "10.0.0.13"}, {how: serial, want: "10.0.0.11"},
		}},
		{"serial in a sub-pool", "10.0.0.0/24", "10.0.0.16/30", []visit{
			{address: "10.0.0.40", want: "10.0.0.40"}, {how: serial, want: "10.0.0.16"}, {how: serial, want: "10.0.0.17"},
			{release: "10.0.0.16"}, {how: serial, want: "10.0.0.18"}, {how: serial, want: "10.0.0.19"}, {how: serial, want: "10.0.0.16"},
		}},
		{"chosen", "10.0.0.0/24", "10.0.0.128/25", []visit{
			{address: "10.0.0.1", how: gateway, want: "10.0.0.1"}, {address: "10.0.0.129", want: "10.0.0.129"}, {address: "10.0.0.254", want: "10.0.0.254"},
			{want: "10.0.0.128"}, {want: "10.0.0.130"}, {release: "10.0.0.1"}, {want: "10.0.0.131"},
		}},
		{"a gateway is of the sub-pool too", "10.0.0.0/16", "10.0.7.0/24", []visit{
			{how: gateway, want: "10.0.7.0"}, {want: "10.0.7.1"},
		}},
		{"chosen in small subnets", "10.0.0.0/31", "", []visit{{address: "10.0.0.0", want: "10.0.0.0"}, {address: "10.0.0.1", want: "10.0.0.1"}}},
		{"chosen in IPv6", "fd00::/64", "", []visit{
			{address: "fd00::", want: "fd00::"}, {address: "fd00::ffff:ffff:ffff:ffff", want: "fd00::ffff:ffff:ffff:ffff"},
			{how: gateway, want: "fd00::1"}, {want: "fd00::2"},
		}},
		{"mapped", "10.0.0.0/24", "", []visit{
			{address: "::ffff:10.0.0.1", want: "10.0.0.1"}, {want: "10.0.0.2"}, {release: "::ffff:10.0.0.1"}, {want: "10.0.0.1"},
		}},
		{"release of what is free", "10.0.0.0/24", "", []visit{
			{release: "10.0.0.7"}, {release: "10.0.0.0"}, {release: "10.0.0.255"}, {want: "10.0.0.1"},
			{release: "10.0.0.1"}, {release: "10.0.0.1"}, {want: "10.0.0.1"}, {want: "10.0.0.2"},
		}},
		{"across blocks", "10.0.0.0/16", "10.0.1.254/31", []visit{{want: "10.0.1.254"}, {want: "10.0.1.255"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, id := onePool(t, test.pool, test.subPool)
			for i, v := range test.visits {
				if v.release != "" {
					releaseAddress(t, m, id, v.release)
					continue
				}
				r := v.how
				r.PoolID, r.Address = id, addr(v.address)
				if got := requestAddress(t, m, r); got != addr(v.want) {
					t.Fatalf("visit %d: address is %v, want %s", i, got, v.want)
				}
			}
		})
	}
}

func TestRequestAddressRefuses(t *testing.T) {
	const op = "request address: "
	for _, test := range []struct {
		pool, subPool, address string
		kind                   cnm.Kind
		want                   string
	}{
		{"10.0.0.0/24", "", "10.0.1.1", cnm.Invalid, `address "10.0.1.1": is not in subnet "10.0.0.0/24" of network "web"; choose one of its addresses`},
		{"10.0.0.0/24", "", "fd00::1", cnm.Invalid, `address "fd00::1": is not in subnet "10.0.0.0/24" of network "web"; choose one of its addresses`},
		{"fd00::/64", "", "fd00::1%eth0", cnm.Invalid, `address "fd00::1%eth0": is not in subnet "fd00::/64" of network "web"; choose one of its addresses`},
		{"10.0.0.0/24", "", "10.0.0.0", cnm.Invalid, `address "10.0.0.0": is the network address of subnet "10.0.0.0/24", which no host can have; choose another`},
		{"10.0.0.0/24", "", "10.0.0.255", cnm.Invalid,
			`address "10.0.0.255": is the broadcast address of subnet "10.0.0.0/24", which no host can have; choose another`},
		{"128.0.0.0/1", "", "255.255.255.255", cnm.Invalid,
			`address "255.255.255.255": is the broadcast address of subnet "128.0.0.0/1", which no host can have; choose another`},
		{"10.0.0.0/24", "", "10.0.0.1", cnm.Exists, `address "10.0.0.1": is in use in subnet "10.0.0.0/24" of network "web"; choose another or none`},
		{"fd00::/64", "", "fd00::1", cnm.Exists, `address "fd00::1": is in use in subnet "fd00::/64" of network "web"; choose another or none`},
		{"10.0.0.0/32", "", "", cnm.Exhausted, `subnet "10.0.0.0/32" of network "web": no free address: 1 of 1 are in use; ` +
			`delete endpoints, or use a larger subnet or address range`},
		{"10.0.0.0/8", "10.9.0.0/32", "", cnm.Exhausted, `address range "10.9.0.0/32" of subnet "10.0.0.0/8" of network "web": ` +
			`no free address: 1 of 1 are in use; delete endpoints, or use a larger subnet or address range`},
	} {
		m, id := onePool(t, test.pool, test.subPool)
		requestAddress(t, m, cnm.AddressRequest{PoolID: id})
		before := status(t, m, id)
		_, err := m.RequestAddress(context.Background(), cnm.AddressRequest{PoolID: id, Address: addr(test.address)})
		wantError(t, err, test.kind, op+test.want)
		if diff := cmp.Diff(before, status(t, m, id)); diff != "" {
			t.Errorf("a refused request changed something: %s", diff)
		}
	}
}

func TestReleaseAddressRefuses(t *testing.T) {
	m, id := onePool(t, "10.0.0.0/24", "")
	const tail = `: is not in subnet "10.0.0.0/24" of network "web"; choose one of its addresses`
	for _, address := range []netip.Addr{addr("10.0.1.1"), addr("fd00::1"), {}} {
		err := m.ReleaseAddress(context.Background(), id, address)
		wantError(t, err, cnm.Invalid, `release address: address "`+address.String()+`"`+tail)
	}
}

func status(t fataler, m *IPAM, id string) Status {
	t.Helper()
	s, err := m.Status(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStatus(t *testing.T) {
	web := []string{`network "web"`}
	for _, test := range []struct {
		pool, subPool string
		take          []string
		want          Status
	}{
		{"10.0.0.0/24", "", nil, Status{0, 254, web}},
		{"10.0.0.0/24", "", []string{"10.0.0.1", "10.0.0.9"}, Status{2, 252, web}},
		{"10.0.0.0/24", "10.0.0.128/25", []string{"10.0.0.1", "10.0.0.129"}, Status{2, 126, web}},
		{"10.0.0.0/31", "", []string{"10.0.0.0"}, Status{1, 1, web}},
		{"128.0.0.0/1", "", nil, Status{0, 1<<31 - 2, web}},
		{"fd00::/64", "", []string{"fd00::7"}, Status{1, math.MaxUint64 - 1, web}},
		{"fd00::/64", "", []string{"fd00::"}, Status{1, math.MaxUint64, web}},
		{"fd00::/63", "", []string{"fd00::7"}, Status{1, math.MaxUint64, web}},
		{"8000::/1", "", nil, Status{0, math.MaxUint64, web}},
		{"fd00::/48", "fd00::/120", []string{"fd00::5", "fd00:0:0:1::"}, Status{2, 254, web}},
	} {
		m, id := onePool(t, test.pool, test.subPool)
		for _, address := range test.take {
			requestAddress(t, m, cnm.AddressRequest{PoolID: id, Address: addr(address)})
		}
		if diff := cmp.Diff(test.want, status(t, m, id)); diff != "" {
			t.Errorf("%s %s with %v: %s", test.pool, test.subPool, test.take, diff)
		}
	}
	m := newIPAM(t, Config{})
	if s := status(t, m, requestPool(t, m, cnm.PoolRequest{}).ID); s.Holders != nil {
		t.Errorf("holders are %q", s.Holders)
	}
}

// A pool costs by what is taken, not by what there is.
func TestHugePool(t *testing.T) {
	m, id := onePool(t, "8000::/1", "")
	far := []string{"8000::1", "9000::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	for _, address := range far {
		requestAddress(t, m, cnm.AddressRequest{PoolID: id, Address: addr(address)})
	}
	taken := &m.pools[id].taken
	if len(taken.blocks) != len(far) || taken.full != nil {
		t.Errorf("%d blocks for %d addresses", len(taken.blocks), len(far))
	}
	// Behind the highest address of all, serial allocation begins again.
	for i, want := range []string{"8000::2", "8000::3", "8000::4"} {
		if got := requestAddress(t, m, cnm.AddressRequest{PoolID: id, Serial: i == 0}); got != addr(want) {
			t.Errorf("address is %v, want %s", got, want)
		}
	}
	for _, address := range append(far, "8000::2", "8000::3", "8000::4") {
		releaseAddress(t, m, id, address)
	}
	if len(taken.blocks) != 0 {
		t.Errorf("%d blocks are left", len(taken.blocks))
	}
}
