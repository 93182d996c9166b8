package resolver

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/miekg/dns"
)

// Sizes on the wire (RFC 1035, sections 2.3.4, 3.2.1 and 4.1.1; RFC 6891, section 6.1.2),
// in bytes.
const (
	headerSize = 12
	maxLabel   = 63
	maxName    = 255
	recordSize = 10 // of type, class, time to live and length of data
	optSize    = 1 + recordSize
	maxMessage = 1<<16 - 1
)

// Bits of the second word of a header (RFC 1035, section 4.1.1; RFC 4035, section 3.2).
const (
	bitQR      = 1 << 15
	opcodeMask = 15 << 11
	bitAA      = 1 << 10
	bitTC      = 1 << 9
	bitRD      = 1 << 8
	bitRA      = 1 << 7
	bitAD      = 1 << 5
	bitCD      = 1 << 4
	rcodeMask  = 15
)

// bitDO is among the flags of an OPT record (RFC 3225).
const bitDO = 1 << 15

// errMessage is why a message is not taken apart further.
var errMessage = errors.New("message is malformed")

// appendName appends a name as it is on the wire, in the case that it is given in. It
// reports false for what no message can hold, and for the root.
func appendName(out []byte, text string) ([]byte, bool) {
	text = strings.TrimSuffix(text, ".")
	// Each label has a byte for its length, and the root is one more.
	if text == "" || len(text)+2 > maxName {
		return out, false
	}
	for more := true; more; {
		var label string
		label, text, more = strings.Cut(text, ".")
		if label == "" || len(label) > maxLabel {
			return out, false
		}
		out = append(out, byte(len(label)))
		out = append(out, label...)
	}
	return append(out, 0), true
}

// nameText is the opposite of appendName, without a final dot.
func nameText(wire []byte) string {
	var out strings.Builder
	for len(wire) > 1 {
		size := 1 + int(wire[0])
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		out.Write(wire[1:size])
		wire = wire[size:]
	}
	return out.String()
}

// lower makes a name lower-case where it is. The lengths of labels are below letters.
func lower(name []byte) []byte {
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	return name
}

// skipName returns where the name ends that begins at off.
func skipName(msg []byte, off int) (int, error) {
	for off < len(msg) {
		switch size := int(msg[off]); {
		case size == 0:
			return off + 1, nil
		case size <= maxLabel:
			off += 1 + size
		case size >= 0xC0 && off+2 <= len(msg):
			return off + 2, nil // a pointer, the last of a name (section 4.1.4)
		default:
			return 0, errMessage
		}
	}
	return 0, errMessage
}

// rr is where the parts of a resource record are.
type rr struct {
	start, fixed, data, end int // fixed is where the type is
	kind                    uint16
}

// recordAt takes the record apart that begins at off.
func recordAt(msg []byte, off int) (rr, error) {
	fixed, err := skipName(msg, off)
	if err != nil || fixed+recordSize > len(msg) {
		return rr{}, errMessage
	}
	data := fixed + recordSize
	r := rr{
		start: off, fixed: fixed, data: data,
		end:  data + int(binary.BigEndian.Uint16(msg[fixed+8:])),
		kind: binary.BigEndian.Uint16(msg[fixed:]),
	}
	if r.end > len(msg) {
		return rr{}, errMessage
	}
	return r, nil
}

// counts are the numbers of questions and of records in the three sections.
func counts(msg []byte) (out [4]int) {
	for i := range out {
		out[i] = int(binary.BigEndian.Uint16(msg[4+2*i:]))
	}
	return out
}

func setCount(msg []byte, section, n int) {
	binary.BigEndian.PutUint16(msg[4+2*section:], uint16(n))
}

func flags(msg []byte) uint16 { return binary.BigEndian.Uint16(msg[2:]) }

func setFlags(msg []byte, f uint16) { binary.BigEndian.PutUint16(msg[2:], f) }

// query is a question that a client asks. It holds copies, and is used again.
type query struct {
	id       uint16
	flags    uint16
	kind     uint16 // of the records asked for
	class    uint16
	question []byte // as it came: name, type and class
	name     []byte // in lower case
	// size is what the client can take by UDP, 0 if it did not say.
	size uint16
	edns bool // it has an OPT record
	do   bool
	// version is that of EDNS.
	version byte
	// raw is the whole message if it holds more than a question and a plain OPT record.
	raw []byte

	questionBuffer [maxName + 4]byte
	nameBuffer     [maxName]byte
}

// parse fills the query from a message whose header is there. What it has when it fails
// serves to answer that: the question is empty if it could not be read.
func (q *query) parse(msg []byte) error {
	q.id, q.flags = binary.BigEndian.Uint16(msg), flags(msg)
	q.kind, q.class, q.size, q.version = 0, 0, 0, 0
	q.edns, q.do = false, false
	q.question, q.name, q.raw = nil, nil, nil
	number := counts(msg)
	if number[0] != 1 {
		return errMessage
	}
	end := headerSize
	for end < len(msg) && msg[end] != 0 {
		if msg[end] > maxLabel {
			return errMessage // a pointer: nothing stands before that it could point to
		}
		end += 1 + int(msg[end])
	}
	end++
	if end-headerSize > maxName || end+4 > len(msg) {
		return errMessage
	}
	q.question = append(q.questionBuffer[:0], msg[headerSize:end+4]...)
	q.name = lower(append(q.nameBuffer[:0], msg[headerSize:end]...))
	q.kind, q.class = binary.BigEndian.Uint16(msg[end:]), binary.BigEndian.Uint16(msg[end+2:])
	return q.parseRecords(msg, end+4, number)
}

// parseRecords looks at what follows the question.
func (q *query) parseRecords(msg []byte, off int, number [4]int) error {
	special := false
	for section := 1; section < len(number); section++ {
		for range number[section] {
			record, err := recordAt(msg, off)
			if err != nil {
				return err
			}
			if record.kind != dns.TypeOPT {
				special = true
			} else {
				// There is one at most, of the root, in the last section (RFC 6891, 6.1.1).
				if section != 3 || q.edns || record.fixed != record.start+1 {
					return errMessage
				}
				more, err := q.parseOPT(msg, record)
				if err != nil {
					return err
				}
				special = special || more
			}
			off = record.end
		}
	}
	if off != len(msg) {
		return errMessage
	}
	if special {
		q.raw = msg
	}
	return nil
}

// parseOPT reports whether an option is there that is for the server in the end.
func (q *query) parseOPT(msg []byte, record rr) (special bool, err error) {
	q.edns = true
	q.size = binary.BigEndian.Uint16(msg[record.fixed+2:])
	q.version = msg[record.fixed+5]
	q.do = binary.BigEndian.Uint16(msg[record.fixed+6:])&bitDO != 0
	for data := msg[record.data:record.end]; len(data) > 0; {
		if len(data) < 4 {
			return false, errMessage
		}
		code, size := binary.BigEndian.Uint16(data), 4+int(binary.BigEndian.Uint16(data[2:]))
		if size > len(data) {
			return false, errMessage
		}
		switch code {
		case dns.EDNS0COOKIE, dns.EDNS0TCPKEEPALIVE, dns.EDNS0PADDING:
			// Those are between neighbours (RFC 7873, RFC 7828, RFC 7830), and may be
			// passed over.
		default:
			special = true
		}
		data = data[size:]
	}
	return special, nil
}

// copyFrom makes the query a copy that shares nothing.
func (q *query) copyFrom(from *query) {
	*q = *from
	q.question = append(q.questionBuffer[:0], from.question...)
	q.name = append(q.nameBuffer[:0], from.name...)
	if from.raw != nil {
		q.raw = append([]byte(nil), from.raw...)
	}
}

// limit returns how many bytes a datagram to the client may have: 512 without EDNS, and
// if it says less (RFC 6891, section 6.2.3).
func (q *query) limit() int { return max(int(q.size), dns.MinMsgSize) }

// appendReply begins a reply: header and question, without records.
func (q *query) appendReply(out []byte, bits uint16, rcode int) []byte {
	out = binary.BigEndian.AppendUint16(out, q.id)
	bits |= bitQR | q.flags&(opcodeMask|bitRD|bitCD) | uint16(rcode)&rcodeMask
	out = binary.BigEndian.AppendUint16(out, bits)
	questions := byte(0)
	if len(q.question) > 0 {
		questions = 1
	}
	out = append(out, 0, questions, 0, 0, 0, 0, 0, 0)
	return append(out, q.question...)
}

// appendOPT appends an OPT record of ours, for the message that begins at out's start,
// with an option if there is one to tell (RFC 8914).
func appendOPT(out []byte, size uint16, do bool, extended byte, why *reason) []byte {
	out = append(out, 0, 0, byte(dns.TypeOPT))
	out = binary.BigEndian.AppendUint16(out, size)
	var bits uint16
	if do {
		bits = bitDO
	}
	out = append(out, extended, 0)
	out = binary.BigEndian.AppendUint16(out, bits)
	if why == nil {
		out = append(out, 0, 0)
	} else {
		length := 2 + len(why.text)
		out = binary.BigEndian.AppendUint16(out, uint16(4+length))
		out = binary.BigEndian.AppendUint16(out, dns.EDNS0EDE)
		out = binary.BigEndian.AppendUint16(out, uint16(length))
		out = binary.BigEndian.AppendUint16(out, why.code)
		out = append(out, why.text...)
	}
	setCount(out, 3, counts(out)[3]+1)
	return out
}

// reason is an Extended DNS Error (RFC 8914): what a failure is due to, for people.
type reason struct {
	code uint16
	text string // short: it is part of a datagram of 512 bytes
}
