package atomicfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/atomicfile"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Fatal(err)
	}
}

// unmountAtEnd is apart from mount since a second mount call may only change flags.
func unmountAtEnd(t *testing.T, target string) {
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestModes(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "hosts")
	mode := func(want os.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("mode %v, want %v", info.Mode().Perm(), want)
		}
	}
	writeFile(t, path, "new\n")
	mode(0o644)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "again\n")
	mode(0o640)
}

func TestPipeIsRefusedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("x\n"), 0o644); !errors.Is(err, cnm.Invalid) {
		t.Errorf("error %v, want kind %q", err, cnm.Invalid)
	}
}

// TestBindMountFollows is what writing in place is for.
func TestBindMountFollows(t *testing.T) {
	kerneltest.RequireRoot(t)
	folder := t.TempDir()
	path, inside := filepath.Join(folder, "hosts"), filepath.Join(folder, "inside")
	writeFile(t, path, "first, and longer\n")
	writeFile(t, inside, "")
	mount(t, path, inside, "", syscall.MS_BIND, "")
	unmountAtEnd(t, inside)
	writeFile(t, path, "second\n")
	if got := readFile(t, inside); got != "second\n" {
		t.Errorf("the container reads %q", got)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "old"), "kept\n")
	if os.Geteuid() == 0 { // mode bits do not hold root back
		kerneltest.RequireRoot(t)
		mount(t, folder, folder, "", syscall.MS_BIND, "")
		unmountAtEnd(t, folder)
		mount(t, "", folder, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	} else {
		for path, mode := range map[string]os.FileMode{filepath.Join(folder, "old"): 0o400, folder: 0o500} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { _ = os.Chmod(folder, 0o700) }) // for the removal of the folder
	}
	for _, path := range []string{"old", "new", "missing/new"} {
		err := atomicfile.Write(filepath.Join(folder, path), []byte("x\n"), 0o644)
		if !errors.Is(err, cnm.Forbidden) {
			t.Errorf("write %q: error %v, want kind %q", path, err, cnm.Forbidden)
		}
	}
	if got := readFile(t, filepath.Join(folder, "old")); got != "kept\n" {
		t.Errorf("old file holds %q", got)
	}
	if got := entries(t, folder); got != "old" {
		t.Errorf("folder holds %q", got)
	}
}

// TestFullDisk shows that a new file which does not fit leaves nothing behind.
func TestFullDisk(t *testing.T) {
	kerneltest.RequireRoot(t)
	folder := t.TempDir()
	mount(t, "tmpfs", folder, "tmpfs", 0, "size=4k")
	unmountAtEnd(t, folder)
	err := atomicfile.Write(filepath.Join(folder, "hosts"), make([]byte, 64<<10), 0o644)
	if !errors.Is(err, cnm.Exhausted) {
		t.Errorf("error %v, want kind %q", err, cnm.Exhausted)
	}
	if got := entries(t, folder); got != "" {
		t.Errorf("folder holds %q", got)
	}
}
