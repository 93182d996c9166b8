package builtin

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
)

// number is an unsigned integer of 128 bits: an IP address (an IPv4 address is in the
// lowest 32), or the distance of two.
type number struct{ high, low uint64 }

func numberOf(address netip.Addr) number {
	if address.Is4() {
		b := address.As4()
		return number{low: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := address.As16()
	return number{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (n number) address(ipv4 bool) netip.Addr {
	if ipv4 {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(n.low))
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], n.high)
	binary.BigEndian.PutUint64(b[8:], n.low)
	return netip.AddrFrom16(b)
}

func (n number) less(m number) bool { return n.high < m.high || n.high == m.high && n.low < m.low }

// plus and minus wrap round.
func (n number) plus(m number) number {
	low, carry := bits.Add64(n.low, m.low, 0)
	return number{n.high + m.high + carry, low}
}

func (n number) minus(m number) number {
	low, borrow := bits.Sub64(n.low, m.low, 0)
	return number{n.high - m.high - borrow, low}
}

func (n number) next() number { return n.plus(number{low: 1}) }

// uint64 returns the number, or the largest uint64 if it is larger.
func (n number) uint64() uint64 {
	if n.high != 0 {
		return math.MaxUint64
	}
	return n.low
}

// The shifts are for distances from 1 to 63.

func (n number) shiftRight(by uint) number {
	return number{n.high >> by, n.low>>by | n.high<<(64-by)}
}

func (n number) shiftLeft(by uint) number {
	return number{n.high<<by | n.low>>(64-by), n.low << by}
}

// ones returns the number whose lowest count bits are set, from 0 to 128.
func ones(count int) number {
	if count > 64 {
		return number{1<<(count-64) - 1, math.MaxUint64}
	}
	return number{low: 1<<count - 1}
}

// hostBits returns how many bits of the prefix's addresses are not its own.
func hostBits(prefix netip.Prefix) int { return prefix.Addr().BitLen() - prefix.Bits() }

// last returns the highest address of a masked prefix.
func last(prefix netip.Prefix) number {
	return numberOf(prefix.Addr()).plus(ones(hostBits(prefix)))
}
