package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "man8")
	if err := write(folder, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{
		"dnet.8": `"dnet v1.2.3"`, "dnet-network-create.8": "aux-address", "dnet-daemon.8": "shutdown-clean",
		"dnet-config-check.8": "FILE", "dnet-completion-bash.8": "bash",
	} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !strings.Contains(string(text), says) {
			t.Errorf("%s: %v, want %q in\n%s", name, err, says, text)
		}
	}
	if err := write(filepath.Join(folder, "dnet.8"), ""); err == nil {
		t.Error("a file was taken for a folder")
	}
}
