// Package null is the address manager for networks whose addresses are nobody's
// business here: it grants a pool without bounds, and no address.
package null

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
)

// Space is the one address space, of local and of global networks.
const Space = "null"

// IPAM implements cnm.IPAM. It holds nothing; the zero IPAM is ready.
type IPAM struct{}

// New returns the address manager.
func New() *IPAM { return &IPAM{} }

// AddressSpaces implements cnm.IPAM.
func (*IPAM) AddressSpaces(context.Context) (local, global string, err error) {
	return Space, Space, nil
}

// RequestPool implements cnm.IPAM: it grants all addresses of a family, as often as it
// is asked. Invalid is for an unknown address space, and for a chosen pool or sub-pool;
// but a pool that it granted before can be requested again.
func (*IPAM) RequestPool(_ context.Context, r cnm.PoolRequest) (cnm.Pool, error) {
	const op = "request pool"
	everything := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if r.Pool.Addr().Is6() || !r.Pool.IsValid() && r.IPv6 {
		everything = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	switch {
	case r.AddressSpace != Space:
		return cnm.Pool{}, cnm.E(op, cnm.Invalid, fmt.Errorf("address space %q: is unknown; there is %q", r.AddressSpace, Space))
	case r.Pool != (netip.Prefix{}) && r.Pool != everything:
		return cnm.Pool{}, cannotChoose(op, "subnet", r.Pool)
	case r.SubPool != netip.Prefix{}:
		return cnm.Pool{}, cannotChoose(op, "address range", r.SubPool)
	}
	return cnm.Pool{ID: Space + "/" + everything.String(), Prefix: everything}, nil
}

// ReleasePool implements cnm.IPAM. There is nothing to release, so every id will do.
func (*IPAM) ReleasePool(context.Context, string) error { return nil }

// RequestAddress implements cnm.IPAM: it grants the zero Address. Invalid is for an
// address that was chosen.
func (*IPAM) RequestAddress(_ context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	if r.Address.IsValid() {
		return cnm.Address{}, cannotChoose("request address", "address", r.Address)
	}
	return cnm.Address{}, nil
}

// ReleaseAddress implements cnm.IPAM. There is nothing to release.
func (*IPAM) ReleaseAddress(context.Context, string, netip.Addr) error { return nil }

func cannotChoose(op, what string, given fmt.Stringer) error {
	return cnm.E(op, cnm.Invalid, fmt.Errorf(
		"%s %q: address manager %q gives none; leave it away, or use another address manager", what, given, Space))
}
