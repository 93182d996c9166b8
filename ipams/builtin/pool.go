package builtin

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// pool is one that was granted. Its addresses are counted from its lowest, as 0.
type pool struct {
	id      string
	space   *space
	prefix  netip.Prefix
	subPool netip.Prefix // zero if there is none
	holder  string       // may be empty

	base number // the address that is counted as 0
	// first and last bound what is handed out unasked.
	first, last number

	mu    sync.Mutex // guards what follows
	taken set
	used  uint64 // how many are in taken
	// usedInRange is how many of them are from first to last.
	usedInRange uint64
	// hint is a lower bound for the lowest free number of the range.
	hint number
	// next is where serial allocation goes on.
	next number
	// started says that an address was handed out unasked.
	started bool
}

func newPool(s *space, prefix netip.Prefix, r cnm.PoolRequest) *pool {
	p := &pool{
		id: r.AddressSpace + "/" + prefix.String(), space: s, prefix: prefix, subPool: r.SubPool,
		holder: r.Holder, base: numberOf(prefix.Addr()),
	}
	if r.SubPool.IsValid() {
		p.id += "/" + r.SubPool.String()
	}
	first, last := automaticRange(prefix, r.SubPool)
	p.first, p.last = first.minus(p.base), last.minus(p.base)
	p.hint, p.next = p.first, p.first
	return p
}

// automaticRange bounds what a pool hands out unasked; subPool may be zero. In IPv4 the
// lowest and the highest address are the subnet's and the broadcast's, save in subnets
// of two addresses (RFC 3021) or one. In IPv6 the lowest is the routers' anycast
// address (RFC 4291 section 2.6.1), save in subnets of two (RFC 6164) or one. The range
// is empty, first behind final, if the sub-pool has no other addresses than these.
func automaticRange(prefix, subPool netip.Prefix) (first, final number) {
	first, final = numberOf(prefix.Addr()), last(prefix)
	if hostBits(prefix) > 1 {
		first = first.next()
		if prefix.Addr().Is4() {
			final = final.minus(number{low: 1})
		}
	}
	if subPool.IsValid() {
		if n := numberOf(subPool.Addr()); first.less(n) {
			first = n
		}
		if n := last(subPool); n.less(final) {
			final = n
		}
	}
	return first, final
}

func (p *pool) request(r cnm.AddressRequest) (netip.Prefix, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.choose(r)
	if err != nil {
		return netip.Prefix{}, err
	}
	p.taken.add(n)
	p.used++
	if p.inRange(n) {
		p.usedInRange++
	}
	return netip.PrefixFrom(p.base.plus(n).address(p.prefix.Addr().Is4()), p.prefix.Bits()), nil
}

func (p *pool) choose(r cnm.AddressRequest) (number, error) {
	if r.Address.IsValid() {
		return p.chosen(r.Address.Unmap())
	}
	var n number
	if r.Serial && !r.Gateway {
		if n = p.taken.free(p.next); p.last.less(n) {
			n = p.taken.free(p.first)
		}
	} else {
		n = p.taken.free(p.hint)
		p.hint = n
	}
	if p.last.less(n) {
		return number{}, cnm.E("", cnm.Exhausted, fmt.Errorf(
			"%s: no free address: %d of %d are in use; delete endpoints, or use a larger subnet or address range",
			p.subject(), p.usedInRange, p.size().uint64()))
	}
	p.next, p.started = n.next(), true
	return n, nil
}

// chosen checks an address that the caller chose.
func (p *pool) chosen(address netip.Addr) (number, error) {
	if !p.prefix.Contains(address) {
		return number{}, notIn(address, p)
	}
	n := numberOf(address).minus(p.base)
	if p.prefix.Addr().Is4() && hostBits(p.prefix) > 1 {
		switch n {
		case number{}:
			return number{}, cnm.E("", cnm.Invalid, fmt.Errorf(
				"address %q: is the network address of subnet %q, which no host can have; choose another", address, p.prefix))
		case ones(hostBits(p.prefix)):
			return number{}, cnm.E("", cnm.Invalid, fmt.Errorf(
				"address %q: is the broadcast address of subnet %q, which no host can have; choose another", address, p.prefix))
		}
	}
	if p.taken.has(n) {
		return number{}, cnm.E("", cnm.Exists, fmt.Errorf(
			"address %q: is in use in %s; choose another or none", address, p.name()))
	}
	// What is chosen before the first automatic address are the records of an earlier
	// process, in any order, or the gateway. Serial allocation goes on behind them all,
	// for what is free between them may have been released just now.
	if !p.started && p.inRange(n) && !n.less(p.next) {
		p.next = n.next()
	}
	return n, nil
}

func (p *pool) release(address netip.Addr) error {
	address = address.Unmap()
	if !p.prefix.Contains(address) {
		return notIn(address, p)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := numberOf(address).minus(p.base)
	if !p.taken.remove(n) {
		return nil
	}
	p.used--
	if p.inRange(n) {
		p.usedInRange--
		if n.less(p.hint) {
			p.hint = n
		}
	}
	return nil
}

func (p *pool) inRange(n number) bool { return !n.less(p.first) && !p.last.less(n) }

// size returns how many addresses can be handed out unasked.
func (p *pool) size() number { return p.last.minus(p.first).next() }

// name says what the pool is, and whose.
func (p *pool) name() string { return heldBy(fmt.Sprintf("subnet %q", p.prefix), p.holder) }

// subject says it of what is handed out unasked.
func (p *pool) subject() string {
	if p.subPool.IsValid() {
		return fmt.Sprintf("address range %q of %s", p.subPool, p.name())
	}
	return p.name()
}

func heldBy(what, holder string) string {
	if holder == "" {
		return what
	}
	return what + " of " + holder
}

func notIn(address netip.Addr, p *pool) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf("address %q: is not in %s; choose one of its addresses", address, p.name()))
}
