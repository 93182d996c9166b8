package daemon

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExampleIsValid reads the example of packaging with each of its settings switched on:
// all keys must be known, and what it says is the default must be one.
func TestExampleIsValid(t *testing.T) {
	text, err := os.ReadFile("../../../../packaging/libnetwork.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "libnetwork.toml")
	on := regexp.MustCompile(`(?m)^# (\w+ = )`).ReplaceAllString(string(text), "$1")
	for _, content := range []string{string(text), on} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := Check(Options{}, path, &out); err != nil {
			t.Errorf("%v\n%s", err, content)
		}
		// What is in force is itself a valid file, that says the same.
		if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		var again strings.Builder
		if err := Check(Options{}, path, &again); err != nil || again.String() != out.String() {
			t.Errorf("%v: read again, this says\n%s\nand not\n%s", err, &again, &out)
		}
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libnetwork.toml")
	for text, says := range map[string]string{
		"[dnet]\nhostz = []\n":                           "hostz",
		"[dnet]\nhosts = [\"ftp://x\"]\n":                "want unix, tcp or fd",
		"[dnet]\nhosts = [\"unix://relative\"]\n":        "want an absolute path",
		"[dnet]\nhosts = [\"tcp://0.0.0.0:1\"]\n":        "give tlscacert",
		"[dnet]\nhosts = [\"tcp://:1\", \"tcp://:1\"]\n": "give tlscacert",
		"[dnet]\nloglevel = \"loud\"\n":                  "loud",
		"[dnet]\ntlscert = \"/x\"\n":                     "all three",
		"[daemon]\ndebug = 7\n":                          "debug",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(Options{}, path, new(strings.Builder)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
	if err := Check(Options{}, filepath.Join(t.TempDir(), "missing"), new(strings.Builder)); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a file that is missing: %v", err)
	}
}
