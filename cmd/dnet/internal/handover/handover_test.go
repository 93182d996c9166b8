package handover

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
)

// put makes a file that can be started, or cannot.
func put(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
		t.Fatal(err)
	}
}

// TestFind: beside dnet, then in $PATH, then in the folder; what cannot be started is
// passed over.
func TestFind(t *testing.T) {
	for _, test := range []struct {
		name string
		// there and idle are folders with a program, and with one that cannot be started.
		there, idle string
		path        string
		want, says  string
	}{
		{"all", "bin path folder", "", "path", "bin", ""},
		{"not beside", "path folder", "", "path", "path", ""},
		{"only packaged", "folder", "", "path", "folder", ""},
		{"not to be started", "path", "bin", "path", "path", ""},
		{"none", "", "", "path", "", `program "dnetd": is not in ROOT/bin, nor in $PATH, nor in ROOT/folder; install it beside dnet`},
		{"none to be started", "", "bin folder", "", "", "is not in ROOT/bin (permission denied), nor in $PATH, nor in ROOT/folder (permission denied); install"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for _, folder := range strings.Fields(test.there) {
				put(t, filepath.Join(root, folder, Name), 0o755)
			}
			for _, folder := range strings.Fields(test.idle) {
				put(t, filepath.Join(root, folder, Name), 0o644)
			}
			t.Setenv("PATH", filepath.Join(root, test.path))
			got, err := find(filepath.Join(root, "bin", "dnet"), filepath.Join(root, "folder"))
			if test.says != "" {
				if says := strings.ReplaceAll(test.says, "ROOT", root); err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("got %q, %v, want %q", got, err, says)
				}
				return
			}
			if want := filepath.Join(root, test.want, Name); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

// TestFindLeavesOut what would start dnet again and again, and what the folder that
// somebody happens to be in has.
func TestFindLeavesOut(t *testing.T) {
	root := t.TempDir()
	dnet := filepath.Join(root, "bin", "dnet")
	put(t, dnet, 0o755)
	if err := os.Symlink("dnet", filepath.Join(root, "bin", Name)); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "here", Name), 0o755)
	t.Chdir(filepath.Join(root, "here"))
	t.Setenv("PATH", ".")
	got, err := find(dnet, filepath.Join(root, "folder"))
	if err == nil || !strings.Contains(err.Error(), "bin (that one is dnet itself), nor in $PATH (cannot run executable found relative to current directory), nor") {
		t.Errorf("got %q, %v", got, err)
	}
	t.Setenv("PATH", "")
	if got, err := find("", filepath.Join(root, "folder")); err == nil || !strings.Contains(err.Error(), `is not in $PATH, nor in`) {
		t.Errorf("without a place of its own: got %q, %v", got, err)
	}
}

// TestNotStarted: a program that the system refuses is an error, and the process goes on.
func TestNotStarted(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, Name)
	if err := os.WriteFile(path, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
	for operation, err := range map[string]error{
		"start the daemon: ":        Daemon{}.Run(t.Context(), settings.Flags{}),
		"check the configuration: ": Daemon{}.Check("", nil),
	} {
		if !errors.Is(err, cnm.Unavailable) || !strings.HasPrefix(err.Error(), operation+"program \""+path) {
			t.Errorf("%s got %v", operation, err)
		}
	}
}
