package config

import (
	"net/netip"

	"github.com/docker/libnetwork/types"
)

// PoolPrefix is an AddressPool whose base has been read.
type PoolPrefix struct {
	// Base is what subnets of Size bits are cut from.
	Base netip.Prefix
	Size int
}

// Pools returns DefaultAddressPools and NeverUse as prefixes. What Validate refuses is a
// types.BadRequestError.
func (d *DaemonCfg) Pools() (pools []PoolPrefix, never []netip.Prefix, err error) {
	for _, pool := range d.DefaultAddressPools {
		base, err := netip.ParsePrefix(pool.Base)
		if err != nil {
			return nil, nil, types.BadRequestErrorf("default address pool %q: %w", pool.Base, err)
		}
		pools = append(pools, PoolPrefix{base, pool.Size})
	}
	for _, text := range d.NeverUse {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, nil, types.BadRequestErrorf("never use %q: %w", text, err)
		}
		never = append(never, prefix)
	}
	return pools, never, nil
}
