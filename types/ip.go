package types

import (
	"bytes"
	"net"
	"slices"
)

// Address families, as callers of 2017 number them.
const (
	// IP means either family.
	IP = iota
	// IPv4 means IPv4 alone.
	IPv4
	// IPv6 means IPv6 alone.
	IPv6
)

// GetIPCopy returns a copy; that of nil is nil.
func GetIPCopy(from net.IP) net.IP { return slices.Clone(from) }

// GetMacCopy returns a copy; that of nil is nil.
func GetMacCopy(from net.HardwareAddr) net.HardwareAddr { return slices.Clone(from) }

// GetIPNetCopy returns a copy; that of nil is nil.
func GetIPNetCopy(from *net.IPNet) *net.IPNet {
	if from == nil {
		return nil
	}
	return &net.IPNet{IP: GetIPCopy(from.IP), Mask: slices.Clone(from.Mask)}
}

// GetIPNetCanonical returns the network that nw is in: a copy without the bits
// beyond the mask. That of nil is nil; that of an address and a mask which do not
// fit has a nil IP.
func GetIPNetCanonical(nw *net.IPNet) *net.IPNet {
	if nw == nil {
		return nil
	}
	return &net.IPNet{IP: nw.IP.Mask(nw.Mask), Mask: slices.Clone(nw.Mask)}
}

// CompareIPNet reports whether both have the same address and the same mask,
// whether IPv4 is in the 4-byte or in the 16-byte form. Nil equals only nil.
func CompareIPNet(a, b *net.IPNet) bool {
	if a == nil || b == nil {
		return a == b
	}
	a, b = GetMinimalIPNet(a), GetMinimalIPNet(b)
	return a.IP.Equal(b.IP) && bytes.Equal(a.Mask, b.Mask)
}

// GetMinimalIP returns an IPv4 address in its 4-byte form and anything else as it
// is. The result shares memory with ip.
func GetMinimalIP(ip net.IP) net.IP {
	if four := ip.To4(); four != nil {
		return four
	}
	return ip
}

// GetMinimalIPNet returns an IPv4 network with address and mask in 4 bytes, and
// anything else as it is. The result shares memory with nw.
func GetMinimalIPNet(nw *net.IPNet) *net.IPNet {
	if nw == nil {
		return nil
	}
	if ip, mask, ok := minimal(nw.IP, nw.Mask); ok {
		return &net.IPNet{IP: ip, Mask: mask}
	}
	return nw
}

// IsIPNetValid reports whether nw has an address, and a mask of the same family
// whose ones are all at the front.
func IsIPNetValid(nw *net.IPNet) bool {
	if nw == nil {
		return false
	}
	ip, mask, ok := minimal(nw.IP, nw.Mask)
	if !ok {
		return false
	}
	_, bits := mask.Size()
	return bits == 8*len(ip)
}

// GetHostPartIP returns the bits of ip beyond the mask, in as few bytes as the
// family has. An address and a mask that do not fit are a BadRequestError.
func GetHostPartIP(ip net.IP, mask net.IPMask) (net.IP, error) {
	return combine("host part", ip, mask, func(address, mask byte) byte { return address &^ mask })
}

// GetBroadcastIP returns ip with all bits beyond the mask set, in as few bytes as
// the family has. An address and a mask that do not fit are a BadRequestError.
func GetBroadcastIP(ip net.IP, mask net.IPMask) (net.IP, error) {
	return combine("broadcast address", ip, mask, func(address, mask byte) byte { return address | ^mask })
}

// ParseCIDR parses the form "192.0.2.1/24" and, unlike net.ParseCIDR, keeps the
// bits beyond the mask. IPv4 comes in 4 bytes, also if written in IPv6 form. Errors
// are BadRequestErrors.
func ParseCIDR(cidr string) (n *net.IPNet, e error) {
	ip, network, err := net.ParseCIDR(cidr)
	if err != nil {
		return nil, BadRequestErrorf("%q: not in CIDR form, as 192.0.2.1/24: %w", cidr, err)
	}
	network.IP = ip
	if !IsIPNetValid(network) {
		return nil, BadRequestErrorf("%q: is IPv4 in IPv6 form with a length below 96; write it as IPv4", cidr)
	}
	return GetMinimalIPNet(network), nil
}

func combine(what string, ip net.IP, mask net.IPMask, f func(address, mask byte) byte) (net.IP, error) {
	ip4, mask4, ok := minimal(ip, mask)
	if !ok {
		return nil, BadRequestErrorf("%s: address %q and mask %q are not of the same family", what, ip, mask)
	}
	out := make(net.IP, len(ip4))
	for i := range out {
		out[i] = f(ip4[i], mask4[i])
	}
	return out, nil
}

// minimal brings address and mask to the same length, 4 bytes for IPv4. Neither
// family has IPv4 in IPv6 form with a mask that ends before the IPv4 part.
func minimal(ip net.IP, mask net.IPMask) (net.IP, net.IPMask, bool) {
	if four := ip.To4(); four != nil {
		switch {
		case len(mask) == net.IPv4len:
			return four, mask, true
		case len(mask) == net.IPv6len && isOnes(mask[:12]):
			return four, mask[12:], true
		default:
			return nil, nil, false
		}
	}
	return ip, mask, len(ip) == net.IPv6len && len(mask) == net.IPv6len
}

func isOnes(mask net.IPMask) bool {
	return !slices.ContainsFunc(mask, func(b byte) bool { return b != 0xff })
}
