package builtin

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// pool is one that was granted.
type pool struct {
	prefix  netip.Prefix
	subPool netip.Prefix // zero if there is none
	holder  string
	// usableFirst and usableLast bound what can be an address at all; first and last
	// what is handed out unasked.
	usableFirst, usableLast number
	first, last             number

	mu     sync.Mutex // guards what follows
	taken  *set
	recent number // the last one handed out; for serial allocation
}

func newPool(prefix, subPool netip.Prefix, holder string) *pool {
	p := &pool{prefix: prefix, subPool: subPool, holder: holder}
	p.usableFirst, p.usableLast = usable(prefix)
	p.first, p.last = p.usableFirst, p.usableLast
	if subPool.IsValid() {
		if n := numberOf(subPool.Addr()); p.first.less(n) {
			p.first = n
		}
		if n := last(subPool); n.less(p.last) {
			p.last = n
		}
	}
	p.taken = newSet(p.first)
	p.recent = p.first.minus(1)
	return p
}

// usable bounds the addresses that hosts can have. In IPv4 the lowest and the highest
// are the subnet's and the broadcast's, save in subnets of one or two addresses (RFC
// 3021). In IPv6 the lowest is the routers' anycast address (RFC 4291 section 2.6.1),
// save in subnets of two addresses (RFC 6164) or one.
func usable(prefix netip.Prefix) (first, final number) {
	first, final = numberOf(prefix.Addr()), last(prefix)
	if prefix.Addr().BitLen()-prefix.Bits() <= 1 {
		return first, final
	}
	if prefix.Addr().Is4() {
		final = final.minus(1)
	}
	return first.plus(1), final
}

func (p *pool) request(r cnm.AddressRequest) (netip.Prefix, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.choose(r)
	if err != nil {
		return netip.Prefix{}, err
	}
	p.taken.add(n)
	return netip.PrefixFrom(n.address(p.prefix.Addr().Is4()), p.prefix.Bits()), nil
}

func (p *pool) choose(r cnm.AddressRequest) (number, error) {
	switch {
	case r.Address.IsValid():
		return p.chosen(r.Address)
	case r.Gateway:
		// The gateway need not be among the addresses that are handed out unasked.
		if n, ok := p.taken.free(p.usableFirst, p.usableLast); ok {
			return n, nil
		}
	case r.Serial:
		n, ok := p.taken.free(p.recent.plus(1), p.last)
		if !ok {
			n, ok = p.taken.free(p.first, p.last)
		}
		if ok {
			p.recent = n
			return n, nil
		}
	default:
		if n, ok := p.taken.free(p.taken.hint, p.last); ok {
			p.taken.hint = n.plus(1)
			p.recent = n
			return n, nil
		}
		p.taken.hint = p.last.plus(1)
	}
	return number{}, cnm.E("", cnm.Exhausted, fmt.Errorf(
		"subnet %q of %s: no free address: %d are in use; delete some endpoints, or use a larger subnet or address range",
		p.prefix, p.holder, p.taken.used))
}

func (p *pool) chosen(address netip.Addr) (number, error) {
	if !p.prefix.Contains(address) {
		return number{}, cnm.E("", cnm.Invalid, fmt.Errorf("address %q: is not in the subnet %q", address, p.prefix))
	}
	n := numberOf(address)
	if n.less(p.usableFirst) || p.usableLast.less(n) {
		return number{}, cnm.E("", cnm.Invalid, fmt.Errorf(
			"address %q: is the lowest or the highest of the subnet %q, which hosts cannot have", address, p.prefix))
	}
	if p.taken.has(n) {
		return number{}, cnm.E("", cnm.Exists, fmt.Errorf("address %q: is in use; choose another or none", address))
	}
	return n, nil
}

func (p *pool) release(address netip.Addr) error {
	if !p.prefix.Contains(address) {
		return cnm.E("", cnm.Invalid, errors.New("is not in the subnet "+p.prefix.String()))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := numberOf(address)
	hint := p.taken.hint
	// Outside the range that is handed out unasked, a free address is no hint.
	if p.taken.remove(n) && (n.less(p.first) || p.last.less(n)) {
		p.taken.hint = hint
	}
	return nil
}
