package resolver

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// answer is what an upstream said, or that none did. It never changes once it is made, as
// clients and the cache share it.
type answer struct {
	wire  []byte   // the message, without what is in opt
	opt   []byte   // the upstream's OPT record as it came, nil if there was none
	ttls  []uint16 // where times to live are in wire
	end   int      // of the question in wire
	rcode int      // with the bits that the OPT record has
	// verbatim is true of an answer that is passed on with its OPT record and all.
	verbatim bool
	// failed is true if no upstream answered, and this says so.
	failed bool
	// life is how long it can be kept since it came; 0 is not at all.
	life time.Duration
	came time.Time
}

// size is about the memory that the answer takes.
func (a *answer) size() int { return len(a.wire) + len(a.opt) + 2*len(a.ttls) + 256 }

// sameQuestion reports whether a message has the question that was asked; the case of
// letters may differ (RFC 4343). A server that cannot read a question, or will not, may
// leave it out.
func sameQuestion(msg, question []byte) bool {
	switch counts(msg)[0] {
	case 0:
		switch int(flags(msg) & rcodeMask) {
		case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeRefused, dns.RcodeServerFailure:
			return len(msg) == headerSize
		}
		return false
	case 1:
	default:
		return false
	}
	if len(msg) < headerSize+len(question) {
		return false
	}
	got := msg[headerSize : headerSize+len(question)]
	name := len(question) - 4
	return bytes.Equal(got[name:], question[name:]) && equalFold(got[:name], question[:name])
}

// equalFold compares names as they are on the wire.
func equalFold(a, b []byte) bool {
	for i, c := range a {
		if c == b[i] {
			continue
		}
		// Letters differ in one bit, and nothing else that differs in it counts as equal.
		if letter := c | 0x20; c^b[i] != 0x20 || letter < 'a' || letter > 'z' {
			return false
		}
	}
	return true
}

// parseAnswer makes an answer of an upstream's message to a question, which it has as
// sameQuestion says. It copies what it keeps.
func parseAnswer(msg, question []byte, verbatim bool) (*answer, error) {
	a := &answer{rcode: int(flags(msg) & rcodeMask), verbatim: verbatim, came: time.Now()}
	if counts(msg)[0] == 0 {
		// The client needs its question back. There are no records, whatever is counted.
		a.wire = append(slices.Clip(bytes.Clone(msg[:4])), 0, 1, 0, 0, 0, 0, 0, 0)
		a.wire = append(a.wire, question...)
		a.end = len(a.wire)
		return a, nil
	}
	a.end = headerSize + len(question)
	facts := facts{kind: binary.BigEndian.Uint16(question[len(question)-4:])}
	number := counts(msg)
	off, opt := a.end, rr{}
	kept := number[3] // of the additional section
	for section := 1; section < len(number); section++ {
		for i := range number[section] {
			record, err := recordAt(msg, off)
			if err != nil {
				return nil, err
			}
			off = record.end
			switch {
			case record.kind == dns.TypeOPT:
				if section != 3 || opt.end > 0 || record.fixed != record.start+1 {
					return nil, errMessage
				}
				opt, kept = record, i
			case record.kind == dns.TypeTSIG || opt.end > 0 && !verbatim:
				// A signature's time to live is none. What follows the OPT record will
				// go: it may, being additional, and names in it may point to places
				// that are about to move.
			default:
				a.ttls = append(a.ttls, uint16(record.fixed+4))
				facts.add(msg, section, record)
			}
		}
	}
	if opt.end > 0 {
		a.rcode |= int(msg[opt.fixed+4]) << 4
	}
	if opt.end > 0 && !verbatim {
		a.opt = bytes.Clone(msg[opt.start:opt.end])
		off = opt.start
	}
	a.wire = bytes.Clone(msg[:off])
	if a.opt != nil {
		setCount(a.wire, 3, kept)
	}
	a.life = facts.life(a.rcode, a.truncated())
	return a, nil
}

func (a *answer) truncated() bool { return flags(a.wire)&bitTC != 0 }

// facts are what decides how long an answer may be kept.
type facts struct {
	kind     uint16 // that was asked for
	any      bool   // there is a record
	ttl      uint32 // the least
	positive bool   // there is an answer of the kind asked for
	soa      bool
	minimum  uint32 // of the SOA record
}

func (f *facts) add(msg []byte, section int, r rr) {
	ttl := binary.BigEndian.Uint32(msg[r.fixed+4:])
	if ttl > 1<<31-1 {
		ttl = 0 // RFC 2181, section 8
	}
	if !f.any || ttl < f.ttl {
		f.any, f.ttl = true, ttl
	}
	if section == 1 && (r.kind == f.kind || f.kind == dns.TypeANY) {
		f.positive = true
	}
	// Two names and five numbers, of which the last is the minimum.
	if section == 2 && r.kind == dns.TypeSOA && r.end-r.data >= 2+20 {
		f.soa = true
		f.minimum = binary.BigEndian.Uint32(msg[r.end-4:])
	}
}

// failureLife is how long it is remembered that a question found no answer, the least
// that RFC 9520, section 3.2, allows; RFC 2308, section 7.1, has 5 minutes as the most.
const failureLife = time.Second

// life returns how long an answer may be kept by what it says. That there is no such name
// or record is kept as long as the SOA record says, and not at all without one (RFC 2308,
// section 5).
func (f *facts) life(rcode int, truncated bool) time.Duration {
	switch {
	case truncated:
		return 0
	case rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError:
		return failureLife
	case rcode == dns.RcodeSuccess && f.positive:
		return time.Duration(f.ttl) * time.Second
	case f.soa:
		return time.Duration(min(f.ttl, f.minimum)) * time.Second
	}
	return 0
}

// failure is the answer to a question that no upstream answered.
func failure(q *query, why *reason) *answer {
	a := &answer{rcode: dns.RcodeServerFailure, failed: true, life: failureLife, came: time.Now()}
	a.wire = q.appendReply(nil, bitRA, a.rcode)
	a.end = len(a.wire)
	whole := appendOPT(bytes.Clone(a.wire), ownSize, false, 0, why)
	a.opt = whole[a.end:]
	return a
}

// appendTo makes the answer that a client gets, in at most limit bytes. It takes the place
// of out.
func (a *answer) appendTo(out []byte, q *query, limit int, now time.Time) []byte {
	out = append(out, a.wire...)
	binary.BigEndian.PutUint16(out, q.id)
	copy(out[headerSize:a.end], q.question)
	if a.rcode > rcodeMask && !q.edns {
		// Without an OPT record the rest of the code would mean something else.
		setFlags(out, flags(out)&^rcodeMask|dns.RcodeServerFailure)
	}
	if age := now.Sub(a.came) / time.Second; age > 0 {
		for _, at := range a.ttls {
			ttl := binary.BigEndian.Uint32(out[at:])
			binary.BigEndian.PutUint32(out[at:], ttl-min(ttl, uint32(age)))
		}
	}
	opt := a.opt
	if !q.edns || a.verbatim {
		opt = nil
	}
	room := 0
	if q.edns {
		room = max(optSize, len(opt))
	}
	if a.verbatim {
		room = 0
	}
	cut := len(out)+room > limit
	if cut {
		// Options are the first to go, and an OPT record comes back if one has gone.
		opt, room = nil, 0
		if q.edns {
			room = optSize
		}
		out = truncate(out, a.end, limit-room)
	}
	switch {
	case !q.edns || a.verbatim && !cut:
	case opt == nil:
		out = appendOPT(out, ownSize, q.do, byte(a.rcode>>4), nil)
	default:
		at := len(out)
		out = append(out, opt...)
		binary.BigEndian.PutUint16(out[at+3:], ownSize)
		setCount(out, 3, counts(out)[3]+1)
	}
	return out
}

// truncate cuts a message after the last record that fits, for clients that make do with
// a part. If it is one of an answer that is missing, the TC bit says so; what is
// additional may lack (RFC 2181, section 9).
func truncate(msg []byte, question, limit int) []byte {
	number := counts(msg)
	off := question
	var kept [4]int
	kept[0] = 1
	full := true
	for section := 1; section < len(number) && full; section++ {
		for range number[section] {
			record, err := recordAt(msg, off)
			if err != nil || record.end > limit || record.kind == dns.TypeOPT {
				full = false
				break
			}
			off = record.end
			kept[section]++
		}
	}
	if kept[1] < number[1] || kept[2] < number[2] {
		setFlags(msg, flags(msg)|bitTC)
	}
	for section, n := range kept {
		setCount(msg, section, n)
	}
	return msg[:off]
}
