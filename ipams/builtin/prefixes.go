package builtin

import (
	"cmp"
	"net/netip"
	"slices"
)

// prefixes is a list of prefixes that do not overlap, sorted by address.
type prefixes []netip.Prefix

// prefixesOf makes one of prefixes of any kind: what lies within another is left out,
// and so is what is no prefix.
func prefixesOf(given ...netip.Prefix) prefixes {
	list := make(prefixes, 0, len(given))
	for _, prefix := range given {
		if prefix.IsValid() {
			list = append(list, prefix.Masked())
		}
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits())
	})
	kept := list[:0]
	for _, prefix := range list {
		if len(kept) == 0 || !kept[len(kept)-1].Overlaps(prefix) {
			kept = append(kept, prefix)
		}
	}
	return kept
}

// find returns where the prefix that starts at the address is, or belongs.
func (p prefixes) find(address netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(p, address, func(e netip.Prefix, a netip.Addr) int { return e.Addr().Compare(a) })
}

// overlapping returns an element that overlaps the prefix: the first that starts
// within it, or the last that starts before it.
func (p prefixes) overlapping(prefix netip.Prefix) (netip.Prefix, bool) {
	at, _ := p.find(prefix.Addr())
	for _, i := range []int{at, at - 1} {
		if i >= 0 && i < len(p) && p[i].Overlaps(prefix) {
			return p[i], true
		}
	}
	return netip.Prefix{}, false
}

// from returns the list without what lies before the base.
func (p prefixes) from(base netip.Prefix) prefixes {
	at, _ := p.find(base.Addr())
	if at > 0 && p[at-1].Overlaps(base) {
		at--
	}
	return p[at:]
}

// add puts a prefix that overlaps none into the list.
func (p *prefixes) add(prefix netip.Prefix) {
	at, _ := p.find(prefix.Addr())
	*p = slices.Insert(*p, at, prefix)
}

// remove takes an element out.
func (p *prefixes) remove(prefix netip.Prefix) {
	if at, ok := p.find(prefix.Addr()); ok && (*p)[at] == prefix {
		*p = slices.Delete(*p, at, at+1)
	}
}
