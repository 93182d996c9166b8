package message

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// digestField is the number of Compound's field for a Digest. Others have one field, and
// may number their next ones from 2.
const digestField = 2017

func appendUint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendBool(b []byte, field protowire.Number, v bool) []byte {
	return appendUint(b, field, protowire.EncodeBool(v))
}

func appendString(b []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return appendElement(b, field, v)
}

// appendElement writes v even if it is empty, as elements of a list must be.
func appendElement(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendFixed(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), v)
}

// gossip wraps data, the encoding of a message of type t.
func gossip(t Type, data []byte) []byte {
	b := make([]byte, 0, len(data)+2+protowire.SizeTag(2)+protowire.SizeBytes(len(data)))
	b = appendUint(b, 1, uint64(t))
	return appendBytes(b, 2, data)
}

// Encode returns the event as a Gossip message.
func (e NodeEvent) Encode() []byte {
	var b []byte
	b = appendUint(b, 1, uint64(e.Presence))
	b = appendUint(b, 2, e.Time)
	b = appendString(b, 3, e.Node)
	return gossip(TypeNodeEvent, b)
}

// Encode returns the event as a Gossip message.
func (e NetworkEvent) Encode() []byte {
	var b []byte
	b = appendUint(b, 1, uint64(e.Presence))
	b = appendUint(b, 2, e.Time)
	b = appendString(b, 3, e.Node)
	b = appendString(b, 4, e.Network)
	return gossip(TypeNetworkEvent, b)
}

// Encode returns the state as a Gossip message.
func (p PushPull) Encode() []byte {
	var b, entry []byte
	b = appendUint(b, 1, p.Time)
	for _, n := range p.Networks {
		entry = appendString(entry[:0], 1, n.Network)
		entry = appendUint(entry, 2, n.Time)
		entry = appendString(entry, 3, n.Node)
		entry = appendBool(entry, 4, n.Leaving)
		b = appendElement(b, 2, entry)
	}
	b = appendString(b, 3, p.Node)
	return gossip(TypePushPull, b)
}

// Encode returns the event as a Gossip message.
func (e TableEvent) Encode() []byte {
	b := make([]byte, 0, 64+len(e.Node)+len(e.Network)+len(e.Table)+len(e.Key)+len(e.Value))
	b = appendUint(b, 1, uint64(e.Action))
	b = appendUint(b, 2, e.Time)
	b = appendString(b, 3, e.Node)
	b = appendString(b, 4, e.Network)
	b = appendString(b, 5, e.Table)
	b = appendString(b, 6, e.Key)
	b = appendBytes(b, 7, e.Value)
	b = appendUint(b, 8, uint64(max(e.Residual, 0)))
	return gossip(TypeTableEvent, b)
}

// Encode returns the synchronisation as a Gossip message.
func (s BulkSync) Encode() []byte {
	b := make([]byte, 0, 256+len(s.Payload))
	b = appendUint(b, 1, s.Time)
	b = appendBool(b, 2, s.Unsolicited)
	b = appendString(b, 3, s.Node)
	for _, n := range s.Networks {
		b = appendElement(b, 4, []byte(n))
	}
	b = appendBytes(b, 5, s.Payload)
	return gossip(TypeBulkSync, b)
}

// CompoundOverhead is the most that one message of the given length adds to a Compound,
// and CompoundHeader the most that a Compound of up to 64 KiB has besides.
const (
	CompoundOverhead = 8
	CompoundHeader   = 8
)

// Encode returns all of it as one Gossip message.
func (c Compound) Encode() []byte {
	size := 0
	for _, m := range c.Messages {
		size += len(m) + CompoundOverhead
	}
	b := make([]byte, 0, size)
	for _, m := range c.Messages {
		inner := protowire.SizeTag(1) + protowire.SizeBytes(len(m))
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(inner))
		b = appendElement(b, 1, m)
	}
	if c.Digest != nil {
		b = appendElement(b, digestField, c.Digest.append(nil))
	}
	return gossip(TypeCompound, b)
}

func (d *Digest) append(b []byte) []byte {
	b = appendUint(b, 1, uint64(d.Step))
	b = appendString(b, 2, d.Node)
	b = appendFixed(b, 3, d.Attachments)
	b = appendBool(b, 4, d.SendAttachments)
	for i := range d.Networks {
		b = appendElement(b, 5, d.Networks[i].append(nil))
	}
	b = appendFixed(b, 6, d.Members)
	b = appendBool(b, 7, d.Confirm)
	return b
}

func (n *NetworkDigest) append(b []byte) []byte {
	b = appendString(b, 1, n.Network)
	b = appendFixed(b, 2, n.Sum)
	for i := range n.Owners {
		b = appendElement(b, 3, n.Owners[i].append(nil))
	}
	return b
}

func (o *OwnerDigest) append(b []byte) []byte {
	b = appendString(b, 1, o.Node)
	b = appendFixed(b, 2, o.Sum)
	if len(o.Entries) > 0 {
		b = protowire.AppendTag(b, 3, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(o.Entries)*summarySize))
		for _, e := range o.Entries {
			b = binary.LittleEndian.AppendUint64(b, e.Key)
			b = binary.LittleEndian.AppendUint64(b, e.Time)
			b = binary.LittleEndian.AppendUint64(b, e.Sum)
		}
	}
	if len(o.Want) > 0 {
		b = protowire.AppendTag(b, 4, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(o.Want)*8))
		for _, key := range o.Want {
			b = binary.LittleEndian.AppendUint64(b, key)
		}
	}
	return b
}

// summarySize is that of a packed Summary, in bytes: three numbers of 64 bits.
const summarySize = 24
