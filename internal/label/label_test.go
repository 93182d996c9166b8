package label_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/label"
)

var known = [][]string{{"com.example.bridge.name", "BridgeName"}, {"com.example.mtu", "Mtu"}, {"EnableICC"}}

func TestValues(t *testing.T) {
	d := label.NewDecoder(map[string]string{"bridgename": " br0 ", "com.example.mtu": "1400", "ENABLEICC": "true"}, known...)
	if d.String("com.example.bridge.name") != "br0" || d.Int("com.example.mtu", 68, 1500, 0) != 1400 || !d.Bool("EnableICC", false) {
		t.Errorf("wrong values, %v", d.Err())
	}
	if err := d.Err(); err != nil {
		t.Error(err)
	}
	if d = label.NewDecoder(nil, known...); d.Has("EnableICC") || !d.Bool("EnableICC", true) || d.Int("com.example.mtu", 1, 2, 7) != 7 ||
		d.Addr("EnableICC").IsValid() || d.Prefix("EnableICC").IsValid() || d.Err() != nil {
		t.Errorf("what was not given is not the default, %v", d.Err())
	}
	d = label.NewDecoder(map[string]string{"Mtu": "192.0.2.1/24", "EnableICC": "::ffff:192.0.2.1"}, known...)
	if d.Prefix("com.example.mtu") != netip.MustParsePrefix("192.0.2.1/24") || d.Addr("EnableICC") != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("wrong addresses, %v", d.Err())
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		options map[string]string
		read    func(*label.Decoder)
		says    string
	}{
		{map[string]string{"com.example.bridge.nmae": "x"}, nil, `"com.example.bridge.nmae": unknown; did you mean "com.example.bridge.name"?`},
		{map[string]string{"enableic": "x"}, nil, `did you mean "EnableICC"?`},
		{map[string]string{"Mtu": "1", "com.example.mtu": "2"}, nil, `"com.example.mtu": given as "2", and under another name as "1"`},
		{map[string]string{"Mtu": "x"}, func(d *label.Decoder) { d.Int("com.example.mtu", 1, 9, 0) }, `value "x": want a number from 1 to 9`},
		{map[string]string{"Mtu": "10"}, func(d *label.Decoder) { d.Int("com.example.mtu", 1, 9, 0) }, "from 1 to 9"},
		{map[string]string{"EnableICC": "maybe"}, func(d *label.Decoder) { d.Bool("EnableICC", false) }, "true or false"},
		{map[string]string{"EnableICC": "10.0.0"}, func(d *label.Decoder) { d.Addr("EnableICC") }, "an IP address"},
		{map[string]string{"EnableICC": "10.0.0.1"}, func(d *label.Decoder) { d.Prefix("EnableICC") }, "with a length"},
	} {
		d := label.NewDecoder(test.options, known...)
		if test.read != nil {
			test.read(d)
		}
		if err := d.Err(); !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: error %v, want the words %q", test.options, err, test.says)
		}
	}
}

func TestNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		options := rapid.MapOf(rapid.OneOf(rapid.SampledFrom([]string{"Mtu", "com.example.mtu", "EnableICC"}), rapid.String()), rapid.String()).Draw(t, "options")
		d := label.NewDecoder(options, known...)
		d.Int("com.example.mtu", 1, 2, 0)
		d.Bool("EnableICC", true)
		d.Addr("EnableICC")
		for key := range options {
			if !strings.EqualFold(key, "mtu") && key != "com.example.mtu" && !strings.EqualFold(key, "enableicc") &&
				!strings.EqualFold(key, "bridgename") && key != "com.example.bridge.name" && d.Err() == nil {
				t.Fatalf("%q was taken", key)
			}
		}
	})
}

func TestEdits(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"debug", "debug", 0},
		{"debgu", "debug", 2}, {"adress", "address", 1}, {"kitten", "sitting", 3},
	} {
		if got := label.Edits(test.a, test.b); got != test.want {
			t.Errorf("Edits(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
		if got := label.Edits(test.b, test.a); got != test.want {
			t.Errorf("Edits(%q, %q) = %d, want %d", test.b, test.a, got, test.want)
		}
	}
}
