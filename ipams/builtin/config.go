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
	// Base is what the pools are cut from, lowest first.
	Base netip.Prefix
	// Size is the prefix length of each pool, in bits; at least that of Base.
	Size int
}

// Config says where automatic pools come from. The zero Config is the defaults, which
// have no IPv6.
type Config struct {
	// LocalPools and GlobalPools, of both families, are used in order. Empty means the
	// defaults.
	LocalPools, GlobalPools []PoolBase
	// NeverUse lists prefixes that no automatic pool may overlap.
	NeverUse []netip.Prefix
	// ULA is the installation's prefix for IPv6, usually from ULAFor; pools of /64 are
	// cut from it when the lists above have no other left. Zero means that there are
	// no such pools.
	ULA netip.Prefix
}

// ulaPoolSize is the length of the subnets of a unique local prefix (RFC 4193 section
// 3.1: 16 bits of subnet id behind 48 of prefix).
const ulaPoolSize = 64

// DefaultLocalPools returns the pools of local networks, of the private IPv4 space of
// RFC 1918. First come those of the first releases: 15 of 65,536 addresses from
// 172.17.0.0/16 to 172.31.0.0/16, and 16 of 4,096 in 192.168.0.0/16.
//
// Then come 32,768 of 256 addresses in 10.128.0.0/9, since no other private space is
// large enough for thousands of networks. Global networks have all of 10.0.0.0/8 but
// are given it from the low end, so that the two meet only behind the 32,768th global
// network. They start high also because sites number their own machines from 10.0 on.
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

// DefaultGlobalPools returns the pools of global networks: 65,536 of 256 addresses in
// 10.0.0.0/8, as the first releases had.
func DefaultGlobalPools() []PoolBase {
	return []PoolBase{{netip.MustParsePrefix("10.0.0.0/8"), 24}}
}

// ULAFor derives a unique local /48 from an installation's identity. The same identity
// always gives the same prefix. As RFC 4193 section 3.2 asks, 40 bits of a hash follow
// fd00::/8, so that those of two installations hardly ever meet.
func ULAFor(installationID string) netip.Prefix {
	sum := sha256.Sum256([]byte("ULA " + installationID))
	address := [16]byte{0xfd}
	copy(address[1:6], sum[:])
	return netip.PrefixFrom(netip.AddrFrom16(address), 48)
}

// supplies returns all that the caller configured.
func (c Config) supplies() []PoolBase { return slices.Concat(c.LocalPools, c.GlobalPools) }

func (b PoolBase) check() error {
	if b.Base == (netip.Prefix{}) || b.Base.Addr().IsUnspecified() {
		return cnm.E("", cnm.Invalid, fmt.Errorf("default address pool %q: names no addresses; choose a prefix as 10.128.0.0/9", b.Base))
	}
	if err := checkPrefix("default address pool", b.Base); err != nil {
		return err
	}
	if b.Size < b.Base.Bits() || b.Size > b.Base.Addr().BitLen() {
		return cnm.E("", cnm.Invalid, fmt.Errorf("default address pool %q: cannot be cut into pools of size %d; choose a size from %d to %d",
			b.Base, b.Size, b.Base.Bits(), b.Base.Addr().BitLen()))
	}
	return nil
}

func checkULA(ula netip.Prefix) error {
	const what = "unique local prefix"
	if err := checkPrefix(what, ula); err != nil || !ula.IsValid() {
		return err
	}
	if ula.Addr().Is4() || ula.Addr().IsUnspecified() || ula.Bits() > ulaPoolSize {
		return cnm.E("", cnm.Invalid, fmt.Errorf("%s %q: has no IPv6 subnets of /%d; choose one as fd12:3456:789a::/48", what, ula, ulaPoolSize))
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
		out = append(out, PoolBase{c.ULA, ulaPoolSize})
	}
	return out
}
