package builtin

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// number is an IP address as an unsigned integer of 128 bits; an IPv4 address is in
// the lowest 32.
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
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(n.low))))
	}
	b := binary.BigEndian.AppendUint64(nil, n.high)
	return netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(b, n.low)))
}

func (n number) less(m number) bool { return n.high < m.high || n.high == m.high && n.low < m.low }

func (n number) plus(m uint64) number {
	low, carry := bits.Add64(n.low, m, 0)
	return number{n.high + carry, low}
}

func (n number) minus(m uint64) number {
	low, borrow := bits.Sub64(n.low, m, 0)
	return number{n.high - borrow, low}
}

// distance returns n - m, or the largest uint64 if it is larger.
func (n number) distance(m number) uint64 {
	low, borrow := bits.Sub64(n.low, m.low, 0)
	high, _ := bits.Sub64(n.high, m.high, borrow)
	if high != 0 {
		return 1<<64 - 1
	}
	return low
}

func (n number) shiftRight(by uint) number {
	return number{n.high >> by, n.low>>by | n.high<<(64-by)}
}

func (n number) shiftLeft(by uint) number {
	return number{n.high<<by | n.low>>(64-by), n.low << by}
}

// last returns the highest address of a prefix.
func last(prefix netip.Prefix) number {
	n := numberOf(prefix.Addr())
	host := uint(prefix.Addr().BitLen() - prefix.Bits())
	switch {
	case host >= 128:
		return number{1<<64 - 1, 1<<64 - 1}
	case host >= 64:
		return number{n.high | (1<<(host-64) - 1), 1<<64 - 1}
	default:
		return number{n.high, n.low | (1<<host - 1)}
	}
}
