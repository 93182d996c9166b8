// Package null is the address manager for networks whose addresses are nobody's
// business here: it grants a pool without bounds, and no address.
package null

import (
	"context"
	"errors"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
)

// Space is the one address space.
const Space = "null"

// IPAM implements cnm.IPAM.
type IPAM struct{}

// New returns the address manager.
func New() *IPAM { return &IPAM{} }

// AddressSpaces implements cnm.IPAM.
func (*IPAM) AddressSpaces(context.Context) (local, global string, err error) {
	return Space, Space, nil
}

// RequestPool implements cnm.IPAM. A pool cannot be chosen.
func (*IPAM) RequestPool(_ context.Context, r cnm.PoolRequest) (cnm.Pool, error) {
	everything := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if r.IPv6 {
		everything = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if r.AddressSpace != Space || r.Pool.IsValid() && r.Pool != everything || r.SubPool.IsValid() {
		return cnm.Pool{}, cnm.E("request pool", cnm.Invalid,
			errors.New(`address manager "null": gives no subnets; leave the subnet and the address space away, or use another address manager`))
	}
	return cnm.Pool{ID: Space + "/" + everything.String(), Prefix: everything}, nil
}

// ReleasePool implements cnm.IPAM.
func (*IPAM) ReleasePool(context.Context, string) error { return nil }

// RequestAddress implements cnm.IPAM: it grants the zero Address, and refuses to grant
// one that was chosen.
func (*IPAM) RequestAddress(_ context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	if r.Address.IsValid() {
		return cnm.Address{}, cnm.E("request address", cnm.Invalid,
			errors.New(`address manager "null": gives no addresses; leave the address away, or use another address manager`))
	}
	return cnm.Address{}, nil
}

// ReleaseAddress implements cnm.IPAM.
func (*IPAM) ReleaseAddress(context.Context, string, netip.Addr) error { return nil }
