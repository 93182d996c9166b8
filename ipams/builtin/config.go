package builtin

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
)

// PoolBase is a supply of pools of one size.
type PoolBase struct {
	Base netip.Prefix
	// Size is the length of each pool, in bits.
	Size int
}

// Config says where automatic pools come from.
type Config struct {
	// LocalPools and GlobalPools, of both families, are used in order. Empty means the
	// defaults.
	LocalPools, GlobalPools []PoolBase
	// NeverUse lists prefixes that no automatic pool may overlap.
	NeverUse []netip.Prefix
	// ULA is the prefix of IPv6 pools, cut in /64; it comes behind those of the lists
	// above. Zero means that there are no others.
	ULA netip.Prefix
}

// DefaultLocalPools returns, of the private IPv4 space of RFC 1918, the pools of the
// first releases: 15 of 65,536 addresses and 16 of 4,096; and then 32,768 of 256
// from the upper half of 10.0.0.0/8.
func DefaultLocalPools() []PoolBase {
	var pools []PoolBase
	for second := byte(17); second <= 31; second++ {
		pools = append(pools, PoolBase{netip.PrefixFrom(netip.AddrFrom4([4]byte{172, second, 0, 0}), 16), 16})
	}
	return append(pools,
		PoolBase{netip.MustParsePrefix("192.168.0.0/16"), 20},
		PoolBase{netip.MustParsePrefix("10.128.0.0/9"), 24},
	)
}

// DefaultGlobalPools returns 65,536 pools of 256 addresses, as the first releases
// had. Local networks take theirs from its other end.
func DefaultGlobalPools() []PoolBase {
	return []PoolBase{{netip.MustParsePrefix("10.0.0.0/8"), 24}}
}

// ULAFor derives a unique local /48 (RFC 4193 section 3.2) from an installation's
// identity. The same one always gives the same prefix; two give different ones.
func ULAFor(installation string) netip.Prefix {
	sum := sha256.Sum256([]byte("ULA " + installation))
	address := [16]byte{0xfd}
	copy(address[1:6], sum[:])
	return netip.PrefixFrom(netip.AddrFrom16(address), 48)
}

func (b PoolBase) check() error {
	switch {
	case !b.Base.IsValid() || b.Base != b.Base.Masked():
		return cnm.E("", cnm.Invalid, fmt.Errorf("default address pool %q: is not a prefix without further bits", b.Base))
	case b.Size < b.Base.Bits() || b.Size > b.Base.Addr().BitLen():
		return cnm.E("", cnm.Invalid, fmt.Errorf("default address pool %q: size %d is not between its length and %d",
			b.Base, b.Size, b.Base.Addr().BitLen()))
	}
	return nil
}

// bases returns the supplies of one space.
func (c Config) bases(configured, defaults []PoolBase) []PoolBase {
	out := slices.Clone(configured)
	if len(out) == 0 {
		out = defaults
	}
	if c.ULA.IsValid() {
		out = append(out, PoolBase{c.ULA, 64})
	}
	return out
}
