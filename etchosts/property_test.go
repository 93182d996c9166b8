package etchosts_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/docker/libnetwork/etchosts"
)

// anyEntries are few different ones, so that they meet again.
var anyEntries = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) etchosts.Entry {
	address := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "address") % 4})
	return etchosts.Entry{IP: address, Names: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 2).Draw(t, "names")}
}), 0, 6)

var userLine = rapid.StringMatching(`(#|user|10\.0\.0\.[0-9] [a-d]|)[ -~]{0,5}`)

// TestUserLinesSurvive lets a user put lines anywhere while the entries change, and
// checks that they stay, in their order.
func TestUserLinesSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var content []byte
		count := 0
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			lines := slices.Collect(strings.Lines(string(content)))
			at := rapid.IntRange(0, len(lines)).Draw(t, "at")
			line := "user " + strings.Repeat("x", count) + userLine.Draw(t, "line") + "\n"
			count++
			content = []byte(strings.Join(slices.Insert(lines, at, line), ""))
			before := users(content)
			var err error
			if content, err = etchosts.Update(content, anyEntries.Draw(t, "entries")); err != nil {
				t.Fatal(err)
			}
			if after := users(content); !slices.Equal(before, after) {
				t.Fatalf("the user's lines %q became %q", before, after)
			}
		}
	})
}

// users finds the lines that the test wrote by what they begin with.
func users(content []byte) []string {
	var out []string
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "user ") {
			out = append(out, line)
		}
	}
	return out
}

// TestUpdateForgets checks that, unless the user edits the block, only the last
// entries count.
func TestUpdateForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		origin := []byte(strings.Join(rapid.SliceOf(userLine).Draw(t, "origin"), "\n") + "\n")
		first, last := anyEntries.Draw(t, "first"), anyEntries.Draw(t, "last")
		direct, err := etchosts.Update(origin, last)
		if err != nil {
			t.Fatal(err)
		}
		detour, err := etchosts.Update(origin, first)
		if err != nil {
			t.Fatal(err)
		}
		if detour, err = etchosts.Update(detour, last); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(direct, detour) {
			t.Fatalf("direct %q, by a detour %q", direct, detour)
		}
	})
}

// FuzzUpdate has any file, also one with marks in odd places.
func FuzzUpdate(f *testing.F) {
	entries := []etchosts.Entry{entry("10.0.0.1", "a"), entry("fd00::1", "a", "b")}
	written, err := etchosts.Build(nil, entries, true)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"", "\n", "127.0.0.1 localhost", string(written), string(written) + string(written),
		strings.ReplaceAll(string(written), "\n", "\r\n"),
		"# libnetwork: end 01234567\n" + string(written),
		"# libnetwork: end\n10.0.0.1\ta\n# libnetwork: begin", "10.0.0.1\ta\n# mine\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		bare := updateBytes(t, content, nil)
		with := updateBytes(t, content, entries)
		if again := updateBytes(t, with, entries); !bytes.Equal(again, with) {
			t.Errorf("the same entries again changed %q to %q", with, again)
		}
		if got := updateBytes(t, with, nil); !bytes.Equal(bytes.TrimSuffix(got, []byte("\n")), bytes.TrimSuffix(bare, []byte("\n"))) {
			t.Errorf("the user's part %q became %q", bare, got)
		}
		if got := updateBytes(t, bare, nil); !bytes.Equal(got, bare) {
			t.Errorf("a file without a block %q became %q", bare, got)
		}
	})
}

func updateBytes(t *testing.T, content []byte, entries []etchosts.Entry) []byte {
	t.Helper()
	got, err := etchosts.Update(content, entries)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
