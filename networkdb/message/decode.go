package message

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/docker/libnetwork/cnm"
)

// value is one field as it was received: number for varints and fixed64, data for the rest.
type value struct {
	number uint64
	data   []byte
}

var errWire = errors.New("wrong wire type")

// fields calls fn for each field of b that has a wire type we use; it skips others.
func fields(b []byte, fn func(field protowire.Number, v value) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v value
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.data, n = protowire.ConsumeBytes(b)
			if v.data == nil {
				v.data = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
			continue
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := fn(field, v); err != nil {
			return fmt.Errorf("field %d: %w", field, err)
		}
	}
	return nil
}

// isData tells that the field was length-delimited.
func (v value) isData() bool { return v.data != nil }

func (v value) text(into *string) error {
	if !v.isData() {
		return errWire
	}
	*into = string(v.data)
	return nil
}

func (v value) bytes(into *[]byte) error {
	if !v.isData() {
		return errWire
	}
	*into = v.data
	return nil
}

func (v value) uint(into *uint64) error {
	if v.isData() {
		return errWire
	}
	*into = v.number
	return nil
}

func (v value) bool(into *bool) error {
	if v.isData() {
		return errWire
	}
	*into = protowire.DecodeBool(v.number)
	return nil
}

// enum decodes a 32-bit enumeration or integer.
func enum[T ~int32](v value, into *T) error {
	if v.isData() {
		return errWire
	}
	*into = T(int32(v.number)) //nolint:gosec // protobuf truncates so
	return nil
}

// maxElements bounds lists of messages: an empty element takes two bytes on the wire and
// some fifty in memory.
const maxElements = 1 << 18

func bounded(length int, err error) error {
	if err == nil && length > maxElements {
		return fmt.Errorf("more than %d elements", maxElements)
	}
	return err
}

func decoded(what string, err error) error {
	if err == nil {
		return nil
	}
	return cnm.E("decode "+what, cnm.Invalid, err)
}

// Decode opens a Gossip message: what type it is of, and its data, for the Decode
// function of that type. A type that is not among ours is no error.
func Decode(b []byte) (t Type, data []byte, err error) {
	err = fields(b, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return enum(v, &t)
		case 2:
			return v.bytes(&data)
		}
		return nil
	})
	return t, data, decoded("gossip message", err)
}

// DecodeNodeEvent decodes the data of a message of TypeNodeEvent.
func DecodeNodeEvent(data []byte) (e NodeEvent, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return enum(v, &e.Presence)
		case 2:
			return v.uint(&e.Time)
		case 3:
			return v.text(&e.Node)
		}
		return nil
	})
	return e, decoded("node event", err)
}

// DecodeNetworkEvent decodes the data of a message of TypeNetworkEvent.
func DecodeNetworkEvent(data []byte) (e NetworkEvent, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return enum(v, &e.Presence)
		case 2:
			return v.uint(&e.Time)
		case 3:
			return v.text(&e.Node)
		case 4:
			return v.text(&e.Network)
		}
		return nil
	})
	return e, decoded("network event", err)
}

// DecodePushPull decodes the data of a message of TypePushPull.
func DecodePushPull(data []byte) (p PushPull, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return v.uint(&p.Time)
		case 2:
			if !v.isData() {
				return errWire
			}
			entry, err := decodeNetworkEntry(v.data)
			p.Networks = append(p.Networks, entry)
			return bounded(len(p.Networks), err)
		case 3:
			return v.text(&p.Node)
		}
		return nil
	})
	return p, decoded("push-pull", err)
}

func decodeNetworkEntry(data []byte) (e NetworkEntry, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return v.text(&e.Network)
		case 2:
			return v.uint(&e.Time)
		case 3:
			return v.text(&e.Node)
		case 4:
			return v.bool(&e.Leaving)
		}
		return nil
	})
	return e, err
}

// DecodeTableEvent decodes the data of a message of TypeTableEvent.
func DecodeTableEvent(data []byte) (e TableEvent, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return enum(v, &e.Action)
		case 2:
			return v.uint(&e.Time)
		case 3:
			return v.text(&e.Node)
		case 4:
			return v.text(&e.Network)
		case 5:
			return v.text(&e.Table)
		case 6:
			return v.text(&e.Key)
		case 7:
			return v.bytes(&e.Value)
		case 8:
			return enum(v, &e.Residual)
		}
		return nil
	})
	return e, decoded("table event", err)
}

// DecodeBulkSync decodes the data of a message of TypeBulkSync.
func DecodeBulkSync(data []byte) (s BulkSync, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return v.uint(&s.Time)
		case 2:
			return v.bool(&s.Unsolicited)
		case 3:
			return v.text(&s.Node)
		case 4:
			var network string
			err := v.text(&network)
			s.Networks = append(s.Networks, network)
			return bounded(len(s.Networks), err)
		case 5:
			return v.bytes(&s.Payload)
		}
		return nil
	})
	return s, decoded("bulk sync", err)
}

// DecodeCompound decodes the data of a message of TypeCompound.
func DecodeCompound(data []byte) (c Compound, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			if !v.isData() {
				return errWire
			}
			var payload []byte
			err := fields(v.data, func(field protowire.Number, v value) error {
				if field == 1 {
					return v.bytes(&payload)
				}
				return nil
			})
			c.Messages = append(c.Messages, payload)
			return bounded(len(c.Messages), err)
		case digestField:
			if !v.isData() {
				return errWire
			}
			d, err := decodeDigest(v.data)
			c.Digest = &d
			return err
		}
		return nil
	})
	return c, decoded("compound", err)
}

func decodeDigest(data []byte) (d Digest, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return v.uint((*uint64)(&d.Step))
		case 2:
			return v.text(&d.Node)
		case 3:
			return v.uint(&d.Attachments)
		case 4:
			return v.bool(&d.SendAttachments)
		case 5:
			if !v.isData() {
				return errWire
			}
			n, err := decodeNetworkDigest(v.data)
			d.Networks = append(d.Networks, n)
			return bounded(len(d.Networks), err)
		case 6:
			return v.uint(&d.Members)
		case 7:
			return v.bool(&d.Confirm)
		}
		return nil
	})
	return d, err
}

func decodeNetworkDigest(data []byte) (n NetworkDigest, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return v.text(&n.Network)
		case 2:
			return v.uint(&n.Sum)
		case 3:
			if !v.isData() {
				return errWire
			}
			o, err := decodeOwnerDigest(v.data)
			n.Owners = append(n.Owners, o)
			return bounded(len(n.Owners), err)
		}
		return nil
	})
	return n, err
}

func decodeOwnerDigest(data []byte) (o OwnerDigest, err error) {
	err = fields(data, func(field protowire.Number, v value) error {
		switch field {
		case 1:
			return v.text(&o.Node)
		case 2:
			return v.uint(&o.Sum)
		case 3:
			return unpack(v, summarySize, func(b []byte) {
				o.Entries = append(o.Entries, Summary{
					Key:  binary.LittleEndian.Uint64(b),
					Time: binary.LittleEndian.Uint64(b[8:]),
					Sum:  binary.LittleEndian.Uint64(b[16:]),
				})
			})
		case 4:
			return unpack(v, 8, func(b []byte) { o.Want = append(o.Want, binary.LittleEndian.Uint64(b)) })
		}
		return nil
	})
	return o, err
}

// unpack calls fn for each piece of size bytes.
func unpack(v value, size int, fn func([]byte)) error {
	if !v.isData() || len(v.data)%size != 0 {
		return fmt.Errorf("no list of elements of %d bytes", size)
	}
	for b := v.data; len(b) > 0; b = b[size:] {
		fn(b[:size])
	}
	return nil
}
