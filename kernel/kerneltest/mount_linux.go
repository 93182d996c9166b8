package kerneltest

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// SmallFolder returns a folder with room for size bytes, that a test can fill.
func SmallFolder(t testing.TB, size int) string {
	t.Helper()
	return mountFolder(t, 0, fmt.Sprintf("size=%d", size))
}

// ReadOnlyFolder returns a folder that not even root can write to.
func ReadOnlyFolder(t testing.TB) string {
	t.Helper()
	return mountFolder(t, unix.MS_RDONLY, "")
}

// mountFolder works in the mount namespace that Main has made.
func mountFolder(t testing.TB, flags uintptr, options string) string {
	t.Helper()
	RequireRoot(t)
	folder := t.TempDir()
	if err := unix.Mount("kerneltest", folder, "tmpfs", flags, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}
