package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Messages of the conntrack subsystem (enum cntl_msg_types in
// include/uapi/linux/netfilter/nfnetlink_conntrack.h).
const (
	messageNew      = unix.NFNL_SUBSYS_CTNETLINK<<8 | 0
	messageGet      = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
	messageDelete   = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
	messageGetStats = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5
)

// Attributes (enums ctattr_type, ctattr_tuple, ctattr_ip, ctattr_l4proto,
// ctattr_stats_global and ctattr_filter in the same header).
const (
	attributeOriginal = 1
	attributeReply    = 2
	attributeID       = 12
	attributeZone     = 18
	attributeFilter   = 25

	tupleIP       = 1
	tupleProtocol = 2

	ip4Source      = 1
	ip4Destination = 2
	ip6Source      = 3
	ip6Destination = 4

	protocolNumber          = 1
	protocolSourcePort      = 2
	protocolDestinationPort = 3

	globalEntries = 1

	filterOriginal = 1
	filterReply    = 2
)

// Flags of a filter say which parts of its tuples count
// (net/netfilter/nf_internals.h).
const (
	flagSource          = 1 << 0
	flagDestination     = 1 << 1
	flagProtocol        = 1 << 3
	flagDestinationPort = 1 << 5
)

// headerSize is the length of what stands before the attributes: struct nlmsghdr and
// struct nfgenmsg (include/uapi/linux/netfilter/nfnetlink.h).
const headerSize = unix.SizeofNlMsghdr + familySize

const familySize = 4

// newMessage returns a request without attributes.
func newMessage(message, flags uint16, ipv6 bool) []byte {
	m := make([]byte, headerSize, 128)
	binary.NativeEndian.PutUint16(m[4:], message)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
	m[unix.SizeofNlMsghdr] = unix.AF_INET
	if ipv6 {
		m[unix.SizeofNlMsghdr] = unix.AF_INET6
	}
	m[unix.SizeofNlMsghdr+1] = unix.NFNETLINK_V0
	return m
}

// seal completes a request, and adds flags.
func seal(m []byte, sequence uint32, flags uint16) {
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint16(m[6:], binary.NativeEndian.Uint16(m[6:])|flags)
	binary.NativeEndian.PutUint32(m[8:], sequence)
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// appendAttribute adds an attribute with its padding.
func appendAttribute(m []byte, kind uint16, value []byte) []byte {
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.SizeofNlAttr+len(value)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = append(m, value...)
	return append(m, make([]byte, align(len(value))-len(value))...)
}

// appendNested adds an attribute that consists of attributes.
func appendNested(m []byte, kind uint16, value []byte) []byte {
	return appendAttribute(m, kind|unix.NLA_F_NESTED, value)
}

// tuple is one direction of a connection; what is not set is left out.
type tuple struct {
	source, destination         netip.Addr
	protocol                    uint8
	sourcePort, destinationPort uint16
}

func (t tuple) encode() []byte {
	var ip, protocol, out []byte
	for _, a := range []struct {
		address      netip.Addr
		kind4, kind6 uint16
	}{{t.source, ip4Source, ip6Source}, {t.destination, ip4Destination, ip6Destination}} {
		switch {
		case a.address.Is4():
			ip = appendAttribute(ip, a.kind4, a.address.AsSlice())
		case a.address.Is6():
			ip = appendAttribute(ip, a.kind6, a.address.AsSlice())
		}
	}
	if ip != nil {
		out = appendNested(out, tupleIP, ip)
	}
	if t.protocol == 0 {
		return out
	}
	protocol = appendAttribute(protocol, protocolNumber, []byte{t.protocol})
	if t.sourcePort != 0 {
		protocol = appendAttribute(protocol, protocolSourcePort, binary.BigEndian.AppendUint16(nil, t.sourcePort))
	}
	if t.destinationPort != 0 {
		protocol = appendAttribute(protocol, protocolDestinationPort, binary.BigEndian.AppendUint16(nil, t.destinationPort))
	}
	return appendNested(out, tupleProtocol, protocol)
}

// deleteMessage returns the request that deletes the entry. Without a tuple it would
// delete all there are.
func deleteMessage(e *entry) []byte {
	m := appendNested(newMessage(messageDelete, 0, e.ipv6), attributeOriginal, e.original)
	if e.zone != nil {
		m = appendAttribute(m, attributeZone, e.zone)
	}
	return appendAttribute(m, attributeID, e.id)
}

// errCutOff is what is wrong with attributes that claim more than there is.
var errCutOff = errors.New("netlink attributes: cut off")

// attributes calls each with the attributes that data consists of, without their flags.
// The last one need not be padded.
func attributes(data []byte, each func(kind uint16, value []byte) error) error {
	for len(data) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(data))
		if size < unix.SizeofNlAttr || size > len(data) {
			return errCutOff
		}
		kind := binary.NativeEndian.Uint16(data[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		if err := each(kind, data[unix.SizeofNlAttr:size]); err != nil {
			return err
		}
		data = data[min(align(size), len(data)):]
	}
	return nil
}

// parseEntry reads the part of a message behind struct nlmsghdr. An entry that cannot be
// named, for want of an original tuple or an id, is an error: deleting it would delete
// others.
func parseEntry(body []byte) (entry, error) {
	if len(body) < familySize {
		return entry{}, errCutOff
	}
	e := entry{ipv6: body[0] == unix.AF_INET6}
	var reply tuple
	err := attributes(body[familySize:], func(kind uint16, value []byte) (err error) {
		switch kind {
		case attributeOriginal:
			var t tuple
			t, err = parseTuple(value)
			e.original, e.protocol = value, t.protocol
			e.destination = netip.AddrPortFrom(t.destination, t.destinationPort)
		case attributeReply:
			reply, err = parseTuple(value)
			e.replySource = netip.AddrPortFrom(reply.source, reply.sourcePort)
		case attributeZone:
			e.zone = value
		case attributeID:
			e.id = value
		}
		return err
	})
	switch {
	case err != nil:
		return entry{}, err
	case !e.destination.Addr().IsValid() || len(e.id) != 4:
		return entry{}, fmt.Errorf("conntrack entry: no original destination or no id")
	}
	return e, nil
}

func parseTuple(data []byte) (t tuple, err error) {
	err = attributes(data, func(kind uint16, value []byte) error {
		switch kind {
		case tupleIP:
			return attributes(value, t.readAddress)
		case tupleProtocol:
			return attributes(value, t.readProtocol)
		}
		return nil
	})
	return t, err
}

func (t *tuple) readAddress(kind uint16, value []byte) error {
	address, ok := netip.AddrFromSlice(value)
	switch kind {
	case ip4Source, ip6Source:
		t.source = address
	case ip4Destination, ip6Destination:
		t.destination = address
	default:
		return nil
	}
	if !ok || address.Is4() != (kind == ip4Source || kind == ip4Destination) {
		return fmt.Errorf("conntrack entry: address of %d bytes", len(value))
	}
	return nil
}

func (t *tuple) readProtocol(kind uint16, value []byte) error {
	size := 2
	switch kind {
	case protocolNumber:
		size = 1
	case protocolSourcePort, protocolDestinationPort:
	default:
		return nil
	}
	if len(value) != size {
		return fmt.Errorf("conntrack entry: protocol attribute %d of %d bytes", kind, len(value))
	}
	switch kind {
	case protocolNumber:
		t.protocol = value[0]
	case protocolSourcePort:
		t.sourcePort = binary.BigEndian.Uint16(value)
	case protocolDestinationPort:
		t.destinationPort = binary.BigEndian.Uint16(value)
	}
	return nil
}
