package sharedipam_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/ipams/builtin"
	"github.com/docker/libnetwork/ipams/shared"
)

// One host alone gets from a store what it would get from the address manager that decides.
func TestSameAsReplica(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		want, err := replica()
		if err != nil {
			t.Fatal(err)
		}
		got, err := shared.New(memory.New(), replica, shared.Options{Node: "one"})
		if err != nil {
			t.Fatal(err)
		}
		same := func(what string, wantValue, gotValue any, wantErr, gotErr error) {
			if diff := cmp.Diff(fmt.Sprint(wantValue), fmt.Sprint(gotValue)); diff != "" || (wantErr == nil) != (gotErr == nil) ||
				wantErr != nil && (cnm.KindOf(wantErr) != cnm.KindOf(gotErr) || wantErr.Error() != gotErr.Error()) {
				t.Fatalf("%s: error %v, want %v; (-want +got):\n%s", what, gotErr, wantErr, diff)
			}
		}
		pools := []string{"GlobalDefault/10.9.0.0/24"} // unknown at first
		var taken []netip.Addr
		pool := func() string { return rapid.SampledFrom(pools).Draw(t, "pool") }
		address := func(choices ...netip.Addr) netip.Addr {
			return rapid.SampledFrom(append(choices, taken...)).Draw(t, "address")
		}
		t.Repeat(map[string]func(*rapid.T){
			"request pool": func(t *rapid.T) {
				prefix := rapid.SampledFrom([]string{"", "10.0.0.0/29", "10.0.0.4/30", "10.1.0.0/16", "0.0.0.0/28", "fd00::/126", "10.0.0.1/29"}).Draw(t, "prefix")
				r := cnm.PoolRequest{AddressSpace: builtin.GlobalSpace, Holder: fmt.Sprintf("network %d", len(pools))}
				if prefix != "" {
					r.Pool = netip.MustParsePrefix(prefix)
				}
				a, errA := want.RequestPool(ctx, r)
				b, errB := got.RequestPool(ctx, r)
				same("request pool", a, b, errA, errB)
				if errA == nil {
					pools = append(pools, a.ID)
				}
			},
			"release pool": func(*rapid.T) {
				id := pool()
				same("release pool", nil, nil, want.ReleasePool(ctx, id), got.ReleasePool(ctx, id))
			},
			"request address": func(t *rapid.T) {
				r := cnm.AddressRequest{PoolID: pool(), Serial: rapid.Bool().Draw(t, "serial")}
				if rapid.Bool().Draw(t, "chosen") {
					r.Address = address(netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("fd00::2"))
				}
				a, errA := want.RequestAddress(ctx, r)
				b, errB := got.RequestAddress(ctx, r)
				same("request address", a, b, errA, errB)
				if errA == nil {
					taken = append(taken, a.Prefix.Addr())
				}
			},
			"release address": func(*rapid.T) {
				id, a := pool(), address(netip.MustParseAddr("10.0.0.3"))
				errA := want.ReleaseAddress(ctx, id, a)
				same("release address", nil, nil, errA, got.ReleaseAddress(ctx, id, a))
			},
		})
	})
}
