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
	messageGet      = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
	messageDelete   = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
	messageGetStats = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5
)

// Attributes (enums ctattr_type, ctattr_tuple, ctattr_ip, ctattr_l4proto,
// ctattr_stats_global and ctattr_filter in the same header).
const (
	attributeOriginal   = 1
	attributeReply      = 2
	attributeStatus     = 3
	attributeID         = 12
	attributeZone       = 18
	attributeFilter     = 25
	attributeStatusMask = 26

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

// statusTranslated is set in an entry whose destination was changed (IPS_DST_NAT in
// include/uapi/linux/netfilter/nf_conntrack_common.h).
const statusTranslated = 1 << 5

// headerSize is the length of what stands before the attributes: struct nlmsghdr and
// struct nfgenmsg (include/uapi/linux/netfilter/nfnetlink.h).
const headerSize = unix.SizeofNlMsghdr + familySize

const familySize = 4

// newMessage returns a request without attributes.
func newMessage(kind uint16, ipv6 bool) []byte {
	m := make([]byte, headerSize, 256)
	binary.NativeEndian.PutUint16(m[4:], kind)
	m[unix.SizeofNlMsghdr] = unix.AF_INET
	if ipv6 {
		m[unix.SizeofNlMsghdr] = unix.AF_INET6
	}
	m[unix.SizeofNlMsghdr+1] = unix.NFNETLINK_V0
	return m
}

// seal completes a request.
func seal(m []byte, sequence uint32, flags uint16) {
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|flags)
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

// deletion returns the request that deletes the entry. Without a tuple it would delete all
// there are.
func deletion(e *entry, ipv6 bool) []byte {
	m := appendNested(newMessage(messageDelete, ipv6), attributeOriginal, e.name.original)
	if e.name.zone != nil {
		m = appendAttribute(m, attributeZone, e.name.zone)
	}
	return appendAttribute(m, attributeID, e.name.id)
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
	var e entry
	err := attributes(body[familySize:], func(kind uint16, value []byte) (err error) {
		switch kind {
		case attributeOriginal:
			e.name.original = value
			e.original, err = parseTuple(value)
		case attributeReply:
			e.reply, err = parseTuple(value)
		case attributeStatus:
			var status uint32
			status, err = parseUint32(value)
			e.translated = status&statusTranslated != 0
		case attributeZone:
			e.name.zone = value
		case attributeID:
			e.name.id = value
			_, err = parseUint32(value)
		}
		return err
	})
	if err == nil && (!e.original.source.IsValid() || !e.original.destination.IsValid() || e.name.id == nil) {
		err = errors.New("conntrack entry: no original addresses or no id")
	}
	return e, err
}

func parseUint32(value []byte) (uint32, error) {
	if len(value) != 4 {
		return 0, fmt.Errorf("conntrack message: number of %d bytes, want 4", len(value))
	}
	return binary.BigEndian.Uint32(value), nil
}

// parseStats reads how many entries there are from the part of a message behind struct
// nlmsghdr.
func parseStats(body []byte) (int, error) {
	if len(body) < familySize {
		return 0, errCutOff
	}
	count := -1
	err := attributes(body[familySize:], func(kind uint16, value []byte) error {
		if kind != globalEntries {
			return nil
		}
		n, err := parseUint32(value)
		count = int(n)
		return err
	})
	if err == nil && count < 0 {
		err = errors.New("conntrack statistics: no number of entries")
	}
	return count, err
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
		t.source = netip.AddrPortFrom(address, t.source.Port())
	case ip4Destination, ip6Destination:
		t.destination = netip.AddrPortFrom(address, t.destination.Port())
	default:
		return nil
	}
	if !ok || address.Is4() != (kind == ip4Source || kind == ip4Destination) {
		return fmt.Errorf("conntrack entry: address attribute %d of %d bytes", kind, len(value))
	}
	return nil
}

func (t *tuple) readProtocol(kind uint16, value []byte) error {
	switch {
	case kind == protocolNumber && len(value) == 1:
		t.protocol = value[0]
	case kind == protocolSourcePort && len(value) == 2:
		t.source = netip.AddrPortFrom(t.source.Addr(), binary.BigEndian.Uint16(value))
	case kind == protocolDestinationPort && len(value) == 2:
		t.destination = netip.AddrPortFrom(t.destination.Addr(), binary.BigEndian.Uint16(value))
	case kind <= protocolDestinationPort:
		return fmt.Errorf("conntrack entry: protocol attribute %d of %d bytes", kind, len(value))
	}
	return nil
}
