package resolver

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// ownSize is the size of a datagram that we say we take, and the most that answers of our
// own have: no fragments, on any way (DNS Flag Day 2020).
const ownSize = 1232

// Pointer to the name of the question (RFC 1035, section 4.1.4).
const toQuestion = 0xC000 | headerSize

// builder makes an answer of our own.
type builder struct {
	out   []byte
	limit int // in bytes, with place for an OPT record already taken off
	ttl   uint32
	// tc is set when an answer did not fit.
	tc bool
}

// localAnswer answers from a view, or reports that the question is not for it. The answer
// takes the place of out, and has at most limit bytes.
func localAnswer(out []byte, q *query, v *View, ttl uint32, ra uint16, limit int) ([]byte, bool) {
	if q.edns {
		limit -= optSize
	}
	b := builder{limit: limit, ttl: ttl}
	rcode, known := dns.RcodeSuccess, false
	var list *addresses
	var services []target
	var name []byte
	switch q.kind {
	case dns.TypeA, dns.TypeAAAA:
		list, known = v.addresses(q.name, q.kind == dns.TypeAAAA)
	case dns.TypeSRV:
		services = v.services(q.name)
		known = len(services) > 0 || v.knows(q.name)
	default:
		known = v.knows(q.name)
	}
	if !known {
		name, rcode, known = derived(q, v)
		if !known {
			return out, false
		}
	}
	b.out = q.appendReply(out, bitAA|ra, rcode)
	switch {
	case list != nil:
		b.addresses(q.kind, toQuestion, list, 1)
	case services != nil:
		b.services(v, services)
	case rcode == dns.RcodeSuccess && q.kind == dns.TypeANY:
		// The answer of RFC 8482, section 4.2: a processor's name, and no system's.
		b.record(toQuestion, dns.TypeHINFO, 1, []byte("\x07RFC8482\x00"))
	case name != nil && q.kind == dns.TypePTR:
		b.record(toQuestion, dns.TypePTR, 1, name)
	}
	if b.tc {
		setFlags(b.out, flags(b.out)|bitTC)
	}
	if q.edns {
		b.out = appendOPT(b.out, ownSize, q.do, 0, nil)
	}
	return b.out, true
}

// derived tells of names that follow from others: reverse names of addresses, and names
// with underscores below a name that is there.
func derived(q *query, v *View) (name []byte, rcode int, known bool) {
	if addr, ok := reverseAddr(q.name); ok {
		name, inside := v.name(addr)
		if name == nil {
			return nil, dns.RcodeNameError, inside
		}
		return name, dns.RcodeSuccess, true
	}
	rest := q.name
	for rest[0] > 0 && rest[1] == '_' {
		rest = rest[1+int(rest[0]):]
	}
	if len(rest) < len(q.name) && v.knows(rest) {
		return nil, dns.RcodeNameError, true
	}
	return nil, 0, false
}

// record appends one to a section, and reports whether it fits.
func (b *builder) record(owner uint16, kind uint16, section int, data []byte) bool {
	if len(b.out)+2+recordSize+len(data) > b.limit {
		// The additional section is help only: it may lack (RFC 2181, section 9).
		b.tc = b.tc || section == 1
		return false
	}
	b.out = binary.BigEndian.AppendUint16(b.out, owner)
	b.out = binary.BigEndian.AppendUint16(b.out, kind)
	b.out = binary.BigEndian.AppendUint16(b.out, dns.ClassINET)
	b.out = binary.BigEndian.AppendUint32(b.out, b.ttl)
	b.out = binary.BigEndian.AppendUint16(b.out, uint16(len(data)))
	b.out = append(b.out, data...)
	setCount(b.out, section, counts(b.out)[section]+1)
	return true
}

// addresses appends those of one family. As many as fit: there are clients that never ask
// again by TCP.
func (b *builder) addresses(kind uint16, owner uint16, list *addresses, section int) {
	size := len(list.packed) / list.count
	first := list.turn()
	for i := range list.count {
		at := (first + i) % list.count * size
		if !b.record(owner, kind, section, list.packed[at:at+size]) {
			return
		}
	}
}

// services appends SRV records, and the addresses of their targets.
func (b *builder) services(v *View, services []target) {
	var data [6 + maxName]byte
	var owners []int
	for _, t := range services {
		if !b.record(toQuestion, dns.TypeSRV, 1, t.appendTo(data[:0])) {
			return
		}
		owners = append(owners, len(b.out)-len(t.name))
	}
	told := make(map[string]bool, len(services))
	for i, t := range services {
		if told[t.key] || owners[i] > 0x3FFF {
			continue // a pointer has 14 bits
		}
		told[t.key] = true
		owner := uint16(0xC000 | owners[i])
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if list, _ := v.addresses([]byte(t.key), kind == dns.TypeAAAA); list != nil {
				b.addresses(kind, owner, list, 3)
			}
		}
	}
}

// refusal appends an answer without records.
func refusal(out []byte, q *query, bits uint16, rcode int, why *reason) []byte {
	out = q.appendReply(out, bits, rcode)
	if q.edns {
		out = appendOPT(out, ownSize, q.do, byte(rcode>>4), why)
	}
	return out
}
