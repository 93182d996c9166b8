package conntrack

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// Bodies of messages as Linux 6.18 sent them, the attributes that nobody reads included.
const (
	// ipv4 udp 1.2.3.4:1 to 5.6.7.8:2, led to 10.0.0.2:80, in zone 6.
	sampleIPv4 = "020000003400018014000180080001000102030408000200050607081c000280050001001100000006000200000100000600030000020000" +
		"3400028014000180080001000a00000208000200010203041c00028005000100110000000600020000500000060003000001000006001200" +
		"0006000008000300000001a8080008000000000008000c002badfcbb08000b000000000108000700000000631c0018800800010000000000" +
		"08000200000000000800030000000000"
	// ipv6 udp [fd00::1]:1 to [fd00::2]:2, led to [fd00::9]:80, in zone 5 for its original
	// direction.
	sampleIPv6 = "0a000000540001802c00018014000300fd00000000000000000000000000000114000400fd0000000000000000000000000000021c000280" +
		"05000100110000000600020000010000060003000002000006000300000500004c0002802c00018014000300fd0000000000000000000000" +
		"0000000914000400fd0000000000000000000000000000011c00028005000100110000000600020000500000060003000001000008000300" +
		"000001a8080008000000000008000c00c44cff7b08000b000000000108000700000000631c00188008000100000000000800020000000000" +
		"0800030000000000"
)

func sample(t testing.TB, text string) []byte {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the samples are from a little-endian machine")
	}
	body, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestParseEntry(t *testing.T) {
	for _, test := range []struct {
		body, flow string
		zone       []byte
	}{
		{sampleIPv4, "udp 1.2.3.4:1 to 5.6.7.8:2 at 10.0.0.2:80", []byte{0, 6}},
		{sampleIPv6, "udp [fd00::1]:1 to [fd00::2]:2 at [fd00::9]:80", nil},
	} {
		got, err := parseEntry(sample(t, test.body))
		if err != nil {
			t.Fatal(err)
		}
		want := ParseFlow(test.flow).entry()
		if got.original != want.original || got.reply != want.reply || got.translated != want.translated {
			t.Errorf("%s: got %+v, want %+v", test.flow, got, want)
		}
		if !bytes.Equal(got.name.zone, test.zone) || len(got.name.id) != 4 {
			t.Errorf("%s: zone %x, id %x", test.flow, got.name.zone, got.name.id)
		}
	}
}

// TestWhatCannotBeNamed must not be deleted: the kernel would take it for others, or all.
func TestWhatCannotBeNamed(t *testing.T) {
	flow := ParseFlow("udp 1.2.3.4:1 to 5.6.7.8:2").entry()
	header := []byte{unix.AF_INET, 0, 0, 0}
	original := appendNested(nil, attributeOriginal, flow.original.encode())
	id := appendAttribute(nil, attributeID, []byte{1, 2, 3, 4})
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	if _, err := parseEntry(join(header, original, id)); err != nil {
		t.Fatal(err)
	}
	for says, body := range map[string][]byte{
		"cut off":                         {},
		"no original addresses or no id":  join(header, original),
		"no original addresses or no id ": join(header, id),
		"number of 3 bytes":               join(header, original, appendAttribute(nil, attributeID, []byte{1, 2, 3})),
		"attributes: cut off":             join(header, original, id[:6]),
		"address attribute 1 of 16 bytes": join(header, id, appendNested(nil, attributeOriginal, appendNested(nil, tupleIP, appendAttribute(nil, ip4Source, make([]byte, 16))))),
		"address attribute 4 of 3 bytes":  join(header, id, appendNested(nil, attributeOriginal, appendNested(nil, tupleIP, appendAttribute(nil, ip6Destination, make([]byte, 3))))),
		"protocol attribute 2 of 1 bytes": join(header, id, appendNested(nil, attributeOriginal, appendNested(nil, tupleProtocol, appendAttribute(nil, protocolSourcePort, []byte{1})))),
	} {
		if _, err := parseEntry(body); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(says)) {
			t.Errorf("error %v, want it to say %q", err, says)
		}
	}
}

// TestFilteredDeletionsAreRefusedByOldKernels holds what keeps them from being taken for
// something else: before 6.11 the kernel looks at the tuple alone, and deletes all if
// there is none.
func TestFilteredDeletionsAreRefusedByOldKernels(t *testing.T) {
	check := func(t *rapid.T, filters []filter) {
		for _, f := range filters {
			tuples, filtered := 0, false
			err := attributes(f.message(messageDelete)[headerSize:], func(kind uint16, value []byte) error {
				filtered = filtered || kind == attributeFilter
				if kind != attributeOriginal && kind != attributeReply {
					return nil
				}
				got, err := parseTuple(value)
				if got.source.Addr().IsValid() && got.destination.Addr().IsValid() {
					t.Errorf("%+v is whole", got)
				}
				tuples++
				return err
			})
			if err != nil || tuples == 0 || !filtered {
				t.Errorf("%+v: %d tuples, filter %v, error %v", f, tuples, filtered, err)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		all, err := byFamily(DrawPublications(t), Publication.normal)
		if err != nil {
			t.Fatal(err)
		}
		for _, publications := range all {
			check(t, exact(publications, 100))
		}
		check(t, ends([]netip.Addr{netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("172.18.0.3")}, 100))
	})
}

func TestCommonFilter(t *testing.T) {
	parse := func(text string) (p Publication) {
		f := ParseFlow("udp 198.51.100.9:1 to " + text)
		return Publication{Protocol: 17, HostAddr: f.Sent.Addr(), HostPort: f.Sent.Port(), HostPortEnd: f.Sent.Port(), Target: f.Led.Addr(), TargetPort: f.Led.Port()}
	}
	one, other := parse("192.0.2.1:53 at 172.18.0.2:53"), parse("192.0.2.2:53 at 172.18.0.2:54")
	tcp := other
	tcp.Protocol = 6
	wide := one
	wide.HostPortEnd++
	end := func(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }
	anyHost := netip.AddrPortFrom(netip.Addr{}, 53)
	for name, test := range map[string]struct {
		publications []Publication
		want         filter
	}{
		"one":       {[]Publication{one}, filter{original: tuple{destination: end("192.0.2.1:53"), protocol: 17}, reply: tuple{source: end("172.18.0.2:53"), protocol: 17}, translated: true}},
		"two":       {[]Publication{one, other}, filter{original: tuple{destination: anyHost, protocol: 17}, reply: tuple{source: end("172.18.0.2:0"), protocol: 17}, translated: true}},
		"protocols": {[]Publication{one, tcp}, filter{reply: tuple{source: end("172.18.0.2:0")}, translated: true}},
		"range":     {[]Publication{wide}, filter{original: tuple{destination: end("192.0.2.1:0"), protocol: 17}, reply: tuple{source: end("172.18.0.2:0"), protocol: 17}, translated: true}},
	} {
		if got := common(test.publications, translation); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestMessages(t *testing.T) {
	one := newMessage(messageGet, false)
	seal(one, 7, 0)
	odd := append(append([]byte(nil), one...), 1, 2) // the last one need not be padded
	binary.NativeEndian.PutUint32(odd, uint32(len(odd)))
	var got []uint32
	if err := messages(append(append([]byte(nil), one...), odd...), func(m message) { got = append(got, m.sequence) }); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]uint32{7, 7}, got); diff != "" {
		t.Error(diff)
	}
	for _, size := range []uint32{0, 15, 21, 1 << 31, 1<<32 - 1} {
		bad := append([]byte(nil), one...)
		binary.NativeEndian.PutUint32(bad, size)
		if err := messages(bad, func(message) { t.Errorf("size %d: called", size) }); err == nil {
			t.Errorf("size %d: no error", size)
		}
	}
	for _, body := range [][]byte{nil, {1, 2, 3}} {
		if err := (message{body: body}).refusal(); err == nil {
			t.Errorf("%x is taken for an acknowledgement", body)
		}
	}
	if err := (message{body: []byte{0xfe, 0xff, 0xff, 0xff}}).refusal(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v, want ENOENT", err)
	}
}

// FuzzMessages has the kernel send anything.
func FuzzMessages(f *testing.F) {
	for _, text := range []string{sampleIPv4, sampleIPv6} {
		body := sample(f, text)
		m := append(newMessage(messageDelete, false)[:unix.SizeofNlMsghdr], body...)
		seal(m, 1, 0)
		f.Add(m)
		f.Add(append(bytes.Clone(m), m...))
		f.Add(m[:len(m)-3])
	}
	stats := appendAttribute(newMessage(messageGetStats, false), globalEntries, []byte{0, 0, 0, 9})
	seal(stats, 1, 0)
	f.Add(stats)
	f.Fuzz(func(t *testing.T, data []byte) {
		left := len(data)
		err := messages(data, func(m message) {
			left -= unix.SizeofNlMsghdr + len(m.body)
			if refusal := m.refusal(); refusal == nil && len(m.body) < 4 {
				t.Error("an acknowledgement out of nothing")
			}
			if count, err := parseStats(m.body); err == nil && count < 0 {
				t.Errorf("%d entries", count)
			}
			e, err := parseEntry(m.body)
			if err != nil {
				return
			}
			again, err := parseEntry(deletion(&e, false)[unix.SizeofNlMsghdr:])
			if err != nil || again.original != e.original || !bytes.Equal(again.name.id, e.name.id) || !bytes.Equal(again.name.zone, e.name.zone) {
				t.Errorf("%+v is deleted as %+v, %v", e, again, err)
			}
		})
		if left < 0 {
			t.Errorf("%d bytes more than there were, error %v", -left, err)
		}
	})
}
