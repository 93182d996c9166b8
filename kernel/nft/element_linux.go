package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/docker/libnetwork/netstate"
)

// element is what an intent is in the kernel.
type element struct {
	set  string
	item nftables.SetElement
	// end, in an interval of single addresses, is the first address behind; in others a
	// key has its end with it.
	end []byte
}

// policyChains are where packets to a bridge are judged.
func policyChain(policy netstate.Policy) string { return "inbound-" + string(policy) }

// elementOf renders an intent. It must have been validated.
func elementOf(i netstate.Intent) (element, error) {
	suffix := ipv4
	if i.Is6() {
		suffix = ipv6
	}
	e := element{}
	switch i.Kind {
	case netstate.Inbound:
		e.set, e.item.Key = setInbound+suffix, linkName(i.Link)
		e.item.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: policyChain(i.Policy)}
	case netstate.Confine:
		e.set, e.item.Key = setConfine+suffix, linkName(i.Link)
	case netstate.Allow:
		e.set, e.item.Key = setAllow, join(linkName(i.From), linkName(i.Link))
	case netstate.Separate:
		e.set, e.item.Key = setSeparate, join(linkName(i.Link), linkName(i.Link))
	case netstate.Loopback:
		e.set, e.item.Key = setLoopback, linkName(i.Link)
	case netstate.Hairpin:
		e.set = setHairpin + suffix
		e.item.Key = join(i.Prefix.Masked().Addr().AsSlice(), linkName(i.Link))
		e.item.KeyEnd = join(last(i.Prefix).AsSlice(), linkName(i.Link))
	case netstate.Masquerade:
		e.set, e.item.Key = setMasquerade+suffix, i.Prefix.Masked().Addr().AsSlice()
		if i.Source.IsValid() {
			e.set, e.item.Val = setSource+suffix, i.Source.AsSlice()
		}
		if behind := last(i.Prefix).Next(); behind.IsValid() {
			e.end = behind.AsSlice()
		}
	case netstate.Publish:
		e.publish(i, suffix)
	case netstate.Open:
		e.set, e.item.Key = setOpen+suffix, join(number(i.Protocol), i.Target.AsSlice(), port(i.Port))
		if i.PortEnd != i.Port {
			e.set, e.item.KeyEnd = setOpenRange+suffix, join(number(i.Protocol), i.Target.AsSlice(), port(i.PortEnd))
		}
	default:
		return element{}, fmt.Errorf("there is no kind %q", i.Kind)
	}
	return e, nil
}

func (e *element) publish(i netstate.Intent, suffix string) {
	if i.PortEnd != i.Port {
		first, end := i.Host, i.Host
		if i.Wildcard() {
			end = last(netip.PrefixFrom(first, 0))
		}
		e.set, e.item.Val = setRange+suffix, i.Target.AsSlice()
		e.item.Key = join(number(i.Protocol), first.AsSlice(), port(i.Port))
		e.item.KeyEnd = join(number(i.Protocol), end.AsSlice(), port(i.PortEnd))
		return
	}
	e.item.Val = join(i.Target.AsSlice(), port(i.TargetPort))
	e.set, e.item.Key = setPort+suffix, join(number(i.Protocol), i.Host.AsSlice(), port(i.Port))
	if i.Wildcard() {
		e.set, e.item.Key = setAnyPort+suffix, join(number(i.Protocol), port(i.Port))
	}
}

// items returns the element as the library wants it.
func (e element) items(comment string) []nftables.SetElement {
	item := e.item
	item.Comment = comment
	if e.end == nil {
		return []nftables.SetElement{item}
	}
	return []nftables.SetElement{item, {Key: e.end, IntervalEnd: true}}
}

// join puts fields behind each other as the kernel loads them into registers: each is
// filled up to 4 bytes.
func join(fields ...[]byte) []byte {
	var out []byte
	for _, f := range fields {
		out = append(out, f...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out
}

func linkName(name string) []byte {
	return append([]byte(name), make([]byte, interfaceBytes-len(name))...)
}

func number(p netstate.Protocol) []byte { return []byte{byte(p)} }

func port(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }

// last returns the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	address, _ := netip.AddrFromSlice(bytes)
	return address
}
