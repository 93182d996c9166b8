//go:build unix

package fileowner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/libnetwork/internal/fileowner"
)

// TestOf: a new file is ours.
func TestOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if uid, gid, ok := fileowner.Of(info); !ok || uid != os.Geteuid() || gid < 0 {
		t.Errorf("got user %d and group %d, %v", uid, gid, ok)
	}
}
