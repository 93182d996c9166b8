package resolvconf_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork/resolvconf"
)

// FuzzParse checks that what is read comes back from what is written, and that a
// changed byte is found out.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.conf", "testdata/*.golden"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("no seeds like %q, error %v", pattern, err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content, uint(len(content)/2))
		}
	}
	f.Add([]byte("search a # libnetwork: hash 0\noptions #\n"), uint(0))
	f.Add([]byte("search\v a\nnameserver ::1%\x7f\n\x00 \n"), uint(5))
	f.Fuzz(func(t *testing.T, content []byte, at uint) {
		file := resolvconf.Parse(content)
		text := file.Render("fuzz")
		again := resolvconf.Parse(text)
		if diff := compare(file, again); diff != "" {
			t.Errorf("read from what was written (-want +got):\n%s", diff)
		}
		if want, got := withoutNotes(text), withoutNotes(again.Render("fuzz")); want != got {
			t.Errorf("written again %q, want %q", got, want)
		}
		if resolvconf.Modified(text) {
			t.Errorf("counts as modified: %q", text)
		}
		changed := bytes.Clone(text)
		changed[at%uint(len(changed))] ^= 1
		if !resolvconf.Modified(changed) {
			t.Errorf("does not count as modified: %q", changed)
		}
		file.DropLoopback()
		file.DropIPv6()
		for _, server := range file.Servers {
			if server.IsLoopback() || server.Is6() {
				t.Errorf("server %s was not dropped", server)
			}
		}
		externals := file.Internal(listener, 0)
		if len(file.Servers) != 1 || len(externals) > bytes.Count(content, []byte("nameserver")) {
			t.Errorf("servers %v, externals %v", file.Servers, externals)
		}
	})
}

func withoutNotes(text []byte) string {
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "# libnetwork: ") {
			out.WriteString(line)
		}
	}
	return out.String()
}
