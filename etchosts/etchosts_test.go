package etchosts_test

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/etchosts"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files instead of comparing with them")

func entry(address string, names ...string) etchosts.Entry {
	return etchosts.Entry{IP: netip.MustParseAddr(address), Names: names}
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func update(t *testing.T, content string, entries ...etchosts.Entry) string {
	t.Helper()
	return string(updateBytes(t, []byte(content), entries))
}

// withoutMarks leaves out the lines that only this package understands.
func withoutMarks(content string) string {
	var out strings.Builder
	for line := range strings.Lines(content) {
		if !strings.HasPrefix(line, "# libnetwork: ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

var (
	web     = entry("172.17.0.2", "web.example", "web")
	web6    = entry("fd00::2", "web.example", "web")
	webNew  = entry("172.17.0.9", "web.example", "web")
	db      = entry("172.17.0.3", "db")
	gateway = entry("172.17.0.1", "host.internal")
)

func TestBuild(t *testing.T) {
	var many []etchosts.Entry
	for i := range 20 {
		many = append(many, entry(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String(), "host"))
	}
	origin, err := os.ReadFile("testdata/origin")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		origin  []byte
		entries []etchosts.Entry
		ipv6    bool
	}{
		{name: "default"},
		{name: "default-ipv6", ipv6: true},
		{name: "default-entries", entries: []etchosts.Entry{web, web6, db}, ipv6: true},
		{name: "many-entries", entries: many},
		{name: "origin", origin: origin, entries: []etchosts.Entry{web, web, gateway}},
		{name: "origin-empty", origin: []byte{}, entries: []etchosts.Entry{db}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := etchosts.Build(test.origin, test.entries, test.ipv6)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, test.name, got)
		})
	}
}

// TestUpdateAfterEdits has a user edit the file of web and db, by replacing text, and
// compares what the next update makes of it, without the marks.
func TestUpdateAfterEdits(t *testing.T) {
	const (
		localhost = "127.0.0.1\tlocalhost\n"
		webLine   = "172.17.0.2\tweb.example web\n"
		newLine   = "172.17.0.9\tweb.example web\n"
		dbLine    = "172.17.0.3\tdb\n"
		begin     = "# libnetwork: begin"
		end       = "# libnetwork: end"
	)
	both := []etchosts.Entry{web, db}
	tests := []struct {
		name     string
		old, new string // the user's edit
		then     []etchosts.Entry
		want     string
	}{
		{"nothing", "", "", both, localhost + webLine + dbLine},
		{"address changes", "", "", []etchosts.Entry{webNew, db}, localhost + newLine + dbLine},
		{"all go", "", "", nil, localhost},
		{"line before", localhost, "# mine\n" + localhost, []etchosts.Entry{db}, "# mine\n" + localhost + dbLine},
		{"line in the block", dbLine, "10.0.0.1\tx\n" + dbLine, both, localhost + "10.0.0.1\tx\n" + webLine + dbLine},
		{"line in the block stays when ours go", dbLine, "10.0.0.1\tx\n" + dbLine, nil, localhost + "10.0.0.1\tx\n"},
		{"address edited", webLine, "10.0.0.1\tweb.example web\n", both, localhost + "10.0.0.1\tweb.example web\n" + dbLine},
		{"edited, then ours changes", webLine, "10.0.0.1\tweb\n", []etchosts.Entry{webNew}, localhost + "10.0.0.1\tweb\n" + newLine},
		{"alias added", webLine, "172.17.0.2\tweb.example web www\n", both, localhost + "172.17.0.2\tweb.example web www\n" + dbLine},
		{"line removed", webLine, "", both, localhost + dbLine},
		{"line commented out", webLine, "#" + webLine, both, localhost + "#" + webLine + dbLine},
		{"line moved out", localhost, localhost + webLine, both, localhost + webLine + dbLine},
		{"line copied, then ours goes", localhost, localhost + webLine, nil, localhost + webLine},
		// Without a mark all lines are the user's, and say what we would have said.
		{"begin mark removed", begin, "# was ", both, localhost + "# was : these lines follow the container's networks; what you change stays\n" + webLine + dbLine},
		{"end mark removed", end + " 80f65991 dddb7dfc\n", "", both, localhost + webLine + dbLine},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := update(t, localhost, both...)
			edited := strings.Replace(before, test.old, test.new, 1)
			if edited == before && test.old != test.new {
				t.Fatalf("there is no %q in:\n%s", test.old, before)
			}
			got := update(t, edited, test.then...)
			if diff := cmp.Diff(test.want, withoutMarks(got)); diff != "" {
				t.Errorf("after the edit (-want +got):\n%s", diff)
			}
			if again := update(t, got, test.then...); again != got {
				t.Errorf("the same entries again changed %q to %q", got, again)
			}
		})
	}
}

func TestDroppedLineComesBackWhenAskedForAnew(t *testing.T) {
	content := strings.Replace(update(t, "", web, db), "172.17.0.3\tdb\n", "", 1)
	for range 2 {
		if content = update(t, content, web, db); strings.Contains(content, "\tdb\n") {
			t.Fatalf("the removed line is back:\n%s", content)
		}
	}
	content = update(t, content, web)
	if content = update(t, content, web, db); !strings.Contains(content, "172.17.0.3\tdb\n") {
		t.Errorf("the line that was asked for anew is not there:\n%s", content)
	}
}

func TestUpdateKeepsBytes(t *testing.T) {
	for _, content := range []string{"", "\n", "\n\n", "a", "a\n", "a\n\n", "\r\n10.0.0.1 a\r\n", "\x00\xff # \t", "10.0.0.1 a\n\n b"} {
		if got := update(t, content); got != content {
			t.Errorf("without entries %q became %q", content, got)
		}
		with := update(t, content, db)
		if !strings.HasPrefix(with, content) {
			t.Errorf("with an entry %q became %q", content, with)
		}
		if got := strings.TrimSuffix(update(t, with), "\n"); got != strings.TrimSuffix(content, "\n") {
			t.Errorf("after the entry went %q became %q", content, got)
		}
		behind := update(t, "", db) + content
		if got := update(t, behind, web, db); !strings.HasSuffix(got, content) {
			t.Errorf("behind the block %q became %q", behind, got)
		}
	}
	// An editor may take the last line end off, which then was ours.
	if got := update(t, strings.TrimSuffix(update(t, "a\n", db), "\n")); got != "a\n" {
		t.Errorf("the user's line became %q", got)
	}
}

func TestUserSaysItAlready(t *testing.T) {
	const content = "172.17.0.2 other web   web.example # mine\n"
	if got := update(t, content, web); got != content {
		t.Errorf("the line was said again: %q", got)
	}
	for _, content := range []string{"172.17.0.2 web\n", "172.17.0.2 web # web.example\n", "172.17.0.9 web web.example\n", "#172.17.0.2 web web.example\n"} {
		if got := update(t, content, web); !strings.Contains(got, "\n172.17.0.2\tweb.example web\n") {
			t.Errorf("the line is missing: %q", got)
		}
	}
}

func TestOriginFromAnotherContainer(t *testing.T) {
	origin := update(t, "127.0.0.1\tlocalhost\n", web)
	got, err := etchosts.Build([]byte(origin), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := withoutMarks(origin); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if again := update(t, string(got)); again != string(got) {
		t.Errorf("a line of the origin was taken for ours: %q", again)
	}
}

func TestInvalidEntries(t *testing.T) {
	tests := []struct {
		name  string
		entry etchosts.Entry
	}{
		{"no address", etchosts.Entry{Names: []string{"a"}}},
		{"zone", entry("fe80::1%eth0", "a")},
		{"no names", entry("10.0.0.1")},
		{"empty name", entry("10.0.0.1", "")},
		{"blank", entry("10.0.0.1", "a b")},
		{"tab", entry("10.0.0.1", "a\tb")},
		{"new line", entry("10.0.0.1", "a\n6.6.6.6 bank")},
		{"carriage return", entry("10.0.0.1", "a\r")},
		{"comment", entry("10.0.0.1", "a#b")},
		{"nul", entry("10.0.0.1", "a\x00")},
		{"second name", entry("10.0.0.1", "a", "b c")},
		{"no-break space", entry("10.0.0.1", "a\u00a0b")},
		{"not UTF-8", entry("10.0.0.1", "a\xff")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := etchosts.Update([]byte("x\n"), []etchosts.Entry{web, test.entry})
			if !errors.Is(err, cnm.Invalid) || got != nil {
				t.Errorf("got %q, error %v, want kind %q", got, err, cnm.Invalid)
			}
			if _, err := etchosts.Build(nil, []etchosts.Entry{test.entry}, true); !errors.Is(err, cnm.Invalid) {
				t.Errorf("build: error %v, want kind %q", err, cnm.Invalid)
			}
		})
	}
	_, err := etchosts.Update(nil, []etchosts.Entry{entry("10.0.0.1", "a b")})
	const want = `make hosts file line: check host name: name "a b": holds ' ', but must be free of blanks, control characters and '#'`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "container", "hosts")
	for _, entries := range [][]etchosts.Entry{{web, db}, {db}} {
		content := update(t, "", entries...)
		if err := etchosts.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("file holds %q, error %v", got, err)
		}
	}
	if err := etchosts.WriteFile(filepath.Dir(path), nil); !errors.Is(err, cnm.Invalid) {
		t.Errorf("write to a folder: error %v, want kind %q", err, cnm.Invalid)
	}
}
