package message

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
)

type sample struct {
	name string
	wire string // in hexadecimal; blanks are for the reader
	want any
}

// recorded are messages as they are on the wire, written out by hand: a tag is the field's
// number times eight, plus the wire type (0 varint, 1 fixed64, 2 bytes), then come the
// varint, or the length and the bytes.
func recorded() []sample {
	return []sample{
		{
			name: "node event, join",
			// gossip: type 6; data of 8 bytes: type 1, time 300, name "n1"
			wire: "08 06 12 09  08 01  10 ac02  1a 02 6e31",
			want: NodeEvent{Presence: Join, Time: 300, Node: "n1"},
		},
		{
			name: "network event, leave",
			wire: "08 01 12 0e  08 02  10 05  1a 02 6e31  22 04 6e657431",
			want: NetworkEvent{Presence: Leave, Time: 5, Node: "n1", Network: "net1"},
		},
		{
			name: "push-pull with one network that is being left",
			wire: "08 03 12 16  08 09  12 0e 0a 04 6e657431 10 05 1a 02 6e31 20 01  1a 02 6e32",
			want: PushPull{Time: 9, Networks: []NetworkEntry{{Network: "net1", Time: 5, Node: "n1", Leaving: true}}, Node: "n2"},
		},
		{
			name: "push-pull of 2017, without its sender",
			wire: "08 03 12 10  08 09  12 0c 0a 04 6e657431 10 05 1a 02 6e31",
			want: PushPull{Time: 9, Networks: []NetworkEntry{{Network: "net1", Time: 5, Node: "n1"}}},
		},
		{
			name: "table event, create",
			wire: "08 02 12 1a  08 01  10 07  1a 02 6e31  22 04 6e657431  2a 01 74  32 02 6b31  3a 03 010203",
			want: TableEvent{Action: Create, Time: 7, Node: "n1", Network: "net1", Table: "t", Key: "k1", Value: []byte{1, 2, 3}},
		},
		{
			name: "table event, delete, to be remembered for 1800 seconds",
			wire: "08 02 12 18  08 03  10 08  1a 02 6e31  22 04 6e657431  2a 01 74  32 02 6b31  40 880e",
			want: TableEvent{Action: Delete, Time: 8, Node: "n1", Network: "net1", Table: "t", Key: "k1", Residual: 1800},
		},
		{
			name: "bulk sync, unsolicited",
			wire: "08 04 12 12  08 07  10 01  1a 02 6e31  22 04 6e657431  2a 02 0805",
			want: BulkSync{Time: 7, Unsolicited: true, Node: "n1", Networks: []string{"net1"}, Payload: []byte{8, 5}},
		},
		{
			name: "compound of two messages",
			wire: "08 05 12 0e  0a 05 0a 03 080612  0a 05 0a 03 080212",
			want: Compound{Messages: [][]byte{{8, 6, 0x12}, {8, 2, 0x12}}},
		},
		{
			name: "digest, in field 2017 of a compound",
			// 2017*8+2 = 16138, as a varint 8a 7e
			wire: "08 05 12 23  8a7e 20  08 01  12 02 6e31  19 0100000000000000  2a 0f 0a 04 6e657431 11 0200000000000000",
			want: Compound{Digest: &Digest{Step: Offer, Node: "n1", Attachments: 1, Networks: []NetworkDigest{{Network: "net1", Sum: 2}}}},
		},
	}
}

// decodeAny decodes a Gossip message, whatever it carries.
func decodeAny(b []byte) (any, error) {
	t, data, err := Decode(b)
	if err != nil {
		return nil, err
	}
	switch t {
	case TypeNodeEvent:
		return DecodeNodeEvent(data)
	case TypeNetworkEvent:
		return DecodeNetworkEvent(data)
	case TypePushPull:
		return DecodePushPull(data)
	case TypeTableEvent:
		return DecodeTableEvent(data)
	case TypeBulkSync:
		return DecodeBulkSync(data)
	case TypeCompound:
		return DecodeCompound(data)
	case TypeInvalid:
	}
	return t, nil
}

func encodeAny(t *testing.T, v any) []byte {
	t.Helper()
	encoder, ok := v.(interface{ Encode() []byte })
	if !ok {
		t.Fatalf("%T has no encoding", v)
	}
	return encoder.Encode()
}

func bytesOf(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordedMessages(t *testing.T) {
	for _, s := range recorded() {
		t.Run(s.name, func(t *testing.T) {
			wire := bytesOf(t, s.wire)
			got, err := decodeAny(wire)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(s.want, got); d != "" {
				t.Errorf("decoded (-want +got):\n%s", d)
			}
			if d := cmp.Diff(hex.EncodeToString(wire), hex.EncodeToString(encodeAny(t, s.want))); d != "" {
				t.Errorf("encoded (-want +got):\n%s", d)
			}
		})
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	// Of each wire type: field 99 as varint, fixed64, bytes, group, fixed32.
	const unknown = "9806 2a  9906 0102030405060708  9a06 02 0102  9b06 08 01 9c06  9d06 01020304"
	for _, s := range recorded() {
		kind, data, err := Decode(bytesOf(t, s.wire))
		if err != nil {
			t.Fatal(err)
		}
		wire := gossip(kind, append(bytesOf(t, unknown), append(data, bytesOf(t, unknown)...)...))
		got, err := decodeAny(append(wire, bytesOf(t, unknown)...))
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if d := cmp.Diff(s.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", s.name, d)
		}
	}
}

func TestDigestRoundTrip(t *testing.T) {
	want := Compound{Digest: &Digest{Step: Entries, Node: "n1", Members: 1 << 63, SendAttachments: true, Confirm: true, Networks: []NetworkDigest{{
		Network: "net1", Owners: []OwnerDigest{
			{Node: "a", Sum: 1 << 63, Entries: []Summary{{Key: 1, Time: 2, Sum: 3}, {Key: 1 << 60, Time: 1 << 61, Sum: 1 << 62}}},
			{Node: "b", Want: []uint64{1, 2, 1 << 63}},
		},
	}}}}
	got, err := decodeAny(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(any(want), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestMalformed(t *testing.T) {
	cases := map[string]string{
		"cut in a tag":                    "88",
		"cut in a length":                 "08 02 12 ff",
		"longer than it is":               "08 02 12 7f 08",
		"a string that is a number":       "08 06 12 02 18 01",
		"a number that is a string":       "08 06 12 02 12 00",
		"an entry that is a number":       "08 03 12 02 10 01",
		"summaries that don't add up":     "08 05 12 0a 8a7e 07 2a 05 1a 03 1a 01 00",
		"field number zero":               "00 01",
		"a group that does not end":       "9b06 08 01",
		"a compound's element, a number":  "08 05 12 02 08 01",
		"a compound's payload, a number":  "08 05 12 04 0a 02 08 01",
		"networks of a sync as a number":  "08 04 12 02 20 01",
		"a varint of more than ten bytes": "08 ff ff ff ff ff ff ff ff ff ff 01",
	}
	for name, wire := range cases {
		if got, err := decodeAny(bytesOf(t, wire)); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: got %v, error %v, want one that is invalid", name, got, err)
		}
	}
	if _, err := DecodeCompound(make([]byte, 0)); err != nil {
		t.Errorf("an empty compound: %v", err)
	}
	many := make([]byte, 0, 2*(maxElements+1))
	for range maxElements + 1 {
		many = append(many, 0x0a, 0)
	}
	if _, err := DecodeCompound(many); !errors.Is(err, cnm.Invalid) {
		t.Errorf("too many elements: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range recorded() {
		f.Add(bytesOf(f, s.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeAny(b)
		if err != nil {
			if !errors.Is(err, cnm.Invalid) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		encoder, ok := got.(interface{ Encode() []byte })
		if !ok {
			return
		}
		// What was understood survives a round trip.
		again, err := decodeAny(encoder.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(hex.EncodeToString(encodeAny(t, got)), hex.EncodeToString(encodeAny(t, again))); d != "" {
			t.Errorf("(-first +second):\n%s", d)
		}
	})
}
