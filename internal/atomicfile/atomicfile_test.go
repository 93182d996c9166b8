package atomicfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/atomicfile"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := atomicfile.Write(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// entries returns the names in a folder, to see that nothing is left behind.
func entries(t *testing.T, folder string) string {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func TestNewFileInMissingFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	writeFile(t, filepath.Join(folder, "hosts"), "new\n")
	if got := readFile(t, filepath.Join(folder, "hosts")); got != "new\n" {
		t.Errorf("content %q", got)
	}
	if got := entries(t, folder); got != "hosts" {
		t.Errorf("folder holds %q", got)
	}
}

func TestExistingFileKeepsItsInode(t *testing.T) {
	const old = "the first content\n"
	for _, content := range []string{"short\n", "as long as before\n", "longer than the content before\n", ""} {
		t.Run(content, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "hosts")
			writeFile(t, path, old)
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			mounted, err := os.Open(path) // stands for the container's mount
			if err != nil {
				t.Fatal(err)
			}
			defer mounted.Close() //nolint:errcheck // read only

			writeFile(t, path, content)
			after, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if !os.SameFile(before, after) {
				t.Error("the file has another inode")
			}
			var seen bytes.Buffer
			if _, err := seen.ReadFrom(mounted); err != nil || seen.String() != content {
				t.Errorf("the mount shows %q, error %v", seen.String(), err)
			}
			if got := entries(t, folder); got != "hosts" {
				t.Errorf("folder holds %q", got)
			}
		})
	}
}

func TestSymbolicLinkIsFollowed(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target"), filepath.Join(folder, "link")
	writeFile(t, target, "old\n")
	if err := os.Symlink(target, link); err != nil {
		t.Skip("this system makes no links:", err)
	}
	writeFile(t, link, "new\n")
	if got := readFile(t, target); got != "new\n" {
		t.Errorf("target holds %q", got)
	}
}

func TestRefusals(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "file"), "x\n")
	for _, path := range []string{folder, filepath.Join(folder, "file", "hosts")} {
		err := atomicfile.Write(path, []byte("y\n"), 0o644)
		if !errors.Is(err, cnm.Invalid) {
			t.Errorf("write %q: error %v, want kind %q", path, err, cnm.Invalid)
		}
	}
	if got := readFile(t, filepath.Join(folder, "file")); got != "x\n" {
		t.Errorf("file holds %q", got)
	}
	if got := entries(t, folder); got != "file" {
		t.Errorf("folder holds %q", got)
	}
}

// whileReading runs fn while readers look at the file again and again.
func whileReading(t *testing.T, path string, look func(content []byte, err error) bool, fn func()) {
	t.Helper()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for look(os.ReadFile(path)) {
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	defer readers.Wait()
	defer close(done)
	fn()
}

func TestRenameShowsWholeFilesOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	content := strings.Repeat("10.0.0.1\tname\n", 10_000)
	look := func(got []byte, err error) bool {
		if errors.Is(err, fs.ErrNotExist) {
			return true
		}
		if err != nil || string(got) != content {
			t.Errorf("a reader met %d bytes of %d, error %v", len(got), len(content), err)
			return false
		}
		return true
	}
	whileReading(t, path, look, func() {
		for range 200 {
			writeFile(t, path, content)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestInPlaceIsNeverEmpty has readers that come while one content takes the place of
// another. They may meet a mixture, but no less than the shorter of them.
func TestInPlaceIsNeverEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	short, long := strings.Repeat("10.0.0.1\ta\n", 50), strings.Repeat("10.0.0.1\ta\n", 200)
	writeFile(t, path, short)
	look := func(got []byte, err error) bool {
		if err != nil || len(got) < len(short) {
			t.Errorf("a reader met %d bytes, error %v", len(got), err)
			return false
		}
		return true
	}
	whileReading(t, path, look, func() {
		for range 500 {
			writeFile(t, path, long)
			writeFile(t, path, short)
		}
	})
	if got := readFile(t, path); got != short {
		t.Errorf("at last %d bytes, want %d", len(got), len(short))
	}
}
