package builtin

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// check refuses what could not be granted in any state of things.
func check(r cnm.PoolRequest) error {
	for _, given := range []struct {
		what   string
		prefix netip.Prefix
	}{{"subnet", r.Pool}, {"address range", r.SubPool}} {
		if err := checkPrefix(given.what, given.prefix); err != nil {
			return err
		}
	}
	if !r.SubPool.IsValid() {
		return nil
	}
	if automatic(r.Pool) {
		return cnm.E("", cnm.Invalid, fmt.Errorf("address range %q: needs a subnet to be in; give the subnet too", r.SubPool))
	}
	if !r.Pool.Contains(r.SubPool.Addr()) || r.SubPool.Bits() < r.Pool.Bits() {
		return cnm.E("", cnm.Invalid, fmt.Errorf("address range %q: is not within subnet %q; choose a part of it", r.SubPool, r.Pool))
	}
	if first, final := automaticRange(r.Pool, r.SubPool); final.less(first) {
		return cnm.E("", cnm.Invalid, fmt.Errorf(
			"address range %q: has no address that hosts of subnet %q can be given; choose a larger range", r.SubPool, r.Pool))
	}
	return nil
}

// checkPrefix checks what the caller chose; the zero prefix is no choice.
func checkPrefix(what string, prefix netip.Prefix) error {
	switch {
	case prefix == netip.Prefix{}:
		return nil
	case !prefix.IsValid() || prefix.Bits() == 0:
		return cnm.E("", cnm.Invalid, fmt.Errorf("%s %q: its length is not from 1 to %d; choose another, or none", what, prefix, prefix.Addr().BitLen()))
	case prefix.Addr().Is4In6():
		return cnm.E("", cnm.Invalid, fmt.Errorf("%s %q: is IPv4 written as IPv6; write it as IPv4", what, prefix))
	case prefix != prefix.Masked():
		return cnm.E("", cnm.Invalid, fmt.Errorf("%s %q: has bits set beyond its length; did you mean %q?", what, prefix, prefix.Masked()))
	}
	return nil
}

// automatic reports whether the choice is left to us.
func automatic(pool netip.Prefix) bool { return !pool.IsValid() || pool.Addr().IsUnspecified() }

// choosePool is called with the lock held.
func (m *IPAM) choosePool(s *space, r cnm.PoolRequest) (netip.Prefix, error) {
	if automatic(r.Pool) {
		return m.automaticPool(s, r)
	}
	if other, ok := s.granted.overlapping(r.Pool); ok {
		return netip.Prefix{}, cnm.E("", cnm.Exists, fmt.Errorf("subnet %q: overlaps %s; choose another", r.Pool, s.pools[other].name()))
	}
	return r.Pool, nil
}

func (m *IPAM) automaticPool(s *space, r cnm.PoolRequest) (netip.Prefix, error) {
	ipv6 := r.IPv6
	if r.Pool.IsValid() {
		ipv6 = r.Pool.Addr().Is6()
	}
	avoid := prefixesOf(append(m.neverUse[:len(m.neverUse):len(m.neverUse)], r.Avoid...)...)
	// Networks of both spaces are on the same host, so neither may take from the other.
	obstacles := []prefixes{m.local.granted, m.global.granted, avoid}
	supplies, largeEnough := 0, 0
	for _, base := range s.bases {
		if base.Base.Addr().Is6() != ipv6 {
			continue
		}
		supplies++
		size := base.Size
		if r.Pool.IsValid() {
			size = r.Pool.Bits()
		}
		if size < base.Base.Bits() {
			continue
		}
		largeEnough++
		if prefix, ok := cut(base.Base, size, obstacles); ok {
			return prefix, nil
		}
	}
	switch {
	case supplies == 0:
		return netip.Prefix{}, noSupply(ipv6, r.AddressSpace)
	case largeEnough == 0:
		return netip.Prefix{}, cnm.E("", cnm.Invalid, fmt.Errorf(
			"subnet %q: no %s pool of address space %q is that large; choose a longer prefix or a subnet, or change the setting %q",
			r.Pool, family(ipv6), r.AddressSpace, setting))
	}
	return netip.Prefix{}, exhausted(s, r.AddressSpace, ipv6, len(avoid))
}

// cut returns the first prefix of the size within the base that overlaps no obstacle.
func cut(base netip.Prefix, size int, obstacles []prefixes) (netip.Prefix, bool) {
	ahead := make([]prefixes, len(obstacles)) // those not yet left behind
	for i, list := range obstacles {
		ahead[i] = list.from(base)
	}
	ipv4, final := base.Addr().Is4(), last(base)
	for n := numberOf(base.Addr()); ; {
		candidate := netip.PrefixFrom(n.address(ipv4), size)
		end := last(candidate)
		obstacle, blocked := firstOverlapping(ahead, candidate)
		if !blocked {
			return candidate, true
		}
		// Go on behind what is in the way, or behind the candidate if that is larger.
		if e := last(obstacle); end.less(e) {
			end = e
		}
		if !end.less(final) {
			return netip.Prefix{}, false
		}
		n = end.next()
	}
}

// firstOverlapping returns an element of one of the lists that overlaps the candidate,
// and drops from the lists what ends before it: one pass over the lists serves all the
// candidates, which come in ascending order.
func firstOverlapping(lists []prefixes, candidate netip.Prefix) (netip.Prefix, bool) {
	for i, list := range lists {
		for len(list) > 0 {
			if list[0].Overlaps(candidate) {
				return list[0], true
			}
			if candidate.Addr().Less(list[0].Addr()) {
				break
			}
			list = list[1:]
			lists[i] = list
		}
	}
	return netip.Prefix{}, false
}

// setting is what operators call Config.LocalPools and GlobalPools.
const setting = "default address pools"

func family(ipv6 bool) string {
	if ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

func noSupply(ipv6 bool, space string) error {
	why := "the setting has none"
	if ipv6 {
		why = "the setting has none, and the installation has no unique local prefix"
	}
	return cnm.E("", cnm.Invalid, fmt.Errorf("address space %q: has no automatic %s pools (%s); give a subnet, or change the setting %q",
		space, family(ipv6), why, setting))
}

// exhausted names who holds the pools, and what to change. avoided is how many prefixes
// had to be left out.
func exhausted(s *space, space string, ipv6 bool, avoided int) error {
	const named = 3
	var holders []string
	count := 0
	for _, prefix := range s.granted {
		if prefix.Addr().Is6() != ipv6 {
			continue
		}
		if count++; count <= named {
			holders = append(holders, heldBy(fmt.Sprintf("%q", prefix), s.pools[prefix].holder))
		}
	}
	why := fmt.Sprintf("%d exist", count)
	if count > 0 {
		why += ": " + strings.Join(holders, ", ")
	}
	if count > named {
		why += " and others"
	}
	if avoided > 0 {
		why += fmt.Sprintf("; %d prefixes that the host uses or that must not be used are left out", avoided)
	}
	return cnm.E("", cnm.Exhausted, fmt.Errorf("address space %q: no %s pool is left (%s); delete networks, give a subnet, or change the setting %q",
		space, family(ipv6), why, setting))
}
