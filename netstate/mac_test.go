package netstate_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/netstate"
)

func TestMACText(t *testing.T) {
	for _, text := range []string{"", "02:42:ac:11:00:02"} {
		var m netstate.MAC
		if err := m.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if m.String() != text || m.IsZero() != (text == "") {
			t.Errorf("%q became %q, zero %v", text, m, m.IsZero())
		}
	}
	for _, bad := range []string{"02:42", "no", "02:42:ac:11:00:02:03:04"} {
		if m, err := netstate.ParseMAC(bad); err == nil {
			t.Errorf("ParseMAC(%q) = %v, want an error", bad, m)
		}
	}
}

// A part must come back from JSON as it went: restart lives on it.
func TestPartJSON(t *testing.T) {
	want := parts(one(network("red", "172.18.0.1/16")), endpoint("1", "br-red", "/run/c1", "eth0", "fd00::2/64"),
		one(sandbox("/run/c1", "172.18.0.1", "eth0")))
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got []netstate.Part
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netstate.Link) bool { return a == b }),
		cmp.Comparer(func(a, b netstate.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netstate.Route) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if changes := netstate.Diff(want, got); len(changes) != 0 {
		t.Errorf("changes after a round trip:\n%s", changes)
	}
}
