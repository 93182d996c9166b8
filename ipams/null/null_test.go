package null

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/cnm"
)

var _ cnm.IPAM = (*IPAM)(nil)

func TestAddressSpaces(t *testing.T) {
	local, global, err := New().AddressSpaces(context.Background())
	if local != "null" || global != "null" || err != nil {
		t.Errorf("spaces are %q, %q, %v", local, global, err)
	}
}

func TestRequestPool(t *testing.T) {
	everything4, everything6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	for _, test := range []struct {
		name    string
		request cnm.PoolRequest
		id      string
		prefix  netip.Prefix
	}{
		{"IPv4", cnm.PoolRequest{AddressSpace: Space}, "null/0.0.0.0/0", everything4},
		{"IPv6", cnm.PoolRequest{AddressSpace: Space, IPv6: true}, "null/::/0", everything6},
		{"IPv4 again", cnm.PoolRequest{AddressSpace: Space, Pool: everything4}, "null/0.0.0.0/0", everything4},
		{"IPv6 again", cnm.PoolRequest{AddressSpace: Space, Pool: everything6}, "null/::/0", everything6},
		{"the family is the pool's", cnm.PoolRequest{AddressSpace: Space, Pool: everything4, IPv6: true}, "null/0.0.0.0/0", everything4},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := New().RequestPool(context.Background(), test.request)
			if err != nil || got.ID != test.id || got.Prefix != test.prefix || got.Meta != nil {
				t.Errorf("pool is %+v, %v", got, err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	ctx, m := context.Background(), New()
	pool := func(r cnm.PoolRequest) error {
		got, err := m.RequestPool(ctx, r)
		if got.ID != "" {
			t.Errorf("granted %+v", got)
		}
		return err
	}
	ten := netip.MustParsePrefix("10.0.0.0/8")
	const tail = `: address manager "null" gives none; leave it away, or use another address manager`
	_, addressErr := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: "null/0.0.0.0/0", Address: ten.Addr()})
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"space", pool(cnm.PoolRequest{AddressSpace: "moon"}), `request pool: address space "moon": is unknown; there is "null"`},
		{"no space", pool(cnm.PoolRequest{}), `request pool: address space "": is unknown; there is "null"`},
		{"pool", pool(cnm.PoolRequest{AddressSpace: Space, Pool: ten}), `request pool: subnet "10.0.0.0/8"` + tail},
		{"length", pool(cnm.PoolRequest{AddressSpace: Space, Pool: netip.MustParsePrefix("::/64")}), `request pool: subnet "::/64"` + tail},
		{"sub-pool", pool(cnm.PoolRequest{AddressSpace: Space, SubPool: ten}), `request pool: address range "10.0.0.0/8"` + tail},
		{"address", addressErr, `request address: address "10.0.0.0"` + tail},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !errors.Is(test.err, cnm.Invalid) || test.err.Error() != test.want {
				t.Errorf("error is\n\t%v\nwant\n\t%s", test.err, test.want)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	ctx, m := context.Background(), New()
	for _, r := range []cnm.AddressRequest{{PoolID: "null/0.0.0.0/0"}, {PoolID: "null/::/0", Gateway: true}} {
		if a, err := m.RequestAddress(ctx, r); a.Prefix.IsValid() || a.Meta != nil || err != nil {
			t.Errorf("address is %+v, %v", a, err)
		}
	}
	if err := m.ReleaseAddress(ctx, "null/0.0.0.0/0", netip.Addr{}); err != nil {
		t.Error(err)
	}
	if err := m.ReleasePool(ctx, "null/0.0.0.0/0"); err != nil {
		t.Error(err)
	}
}
