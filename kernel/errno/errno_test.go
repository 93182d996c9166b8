package errno_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind cnm.Kind
		hint string
	}{
		{syscall.EPERM, cnm.Forbidden, "CAP_NET_ADMIN"},
		{syscall.EACCES, cnm.Forbidden, "CAP_NET_ADMIN"},
		{syscall.EROFS, cnm.Forbidden, "writable"},
		{syscall.EEXIST, cnm.Exists, ""},
		{syscall.ENODEV, cnm.NotFound, ""},
		{syscall.ENOENT, cnm.NotFound, ""},
		{fs.ErrNotExist, cnm.NotFound, ""},
		{syscall.EINVAL, cnm.Invalid, ""},
		{syscall.ENAMETOOLONG, cnm.Invalid, ""},
		{syscall.ELOOP, cnm.Invalid, ""},
		{syscall.EOPNOTSUPP, cnm.Unsupported, ""},
		{syscall.ENOSPC, cnm.Exhausted, ""},
		{syscall.EMFILE, cnm.Exhausted, ""},
		{syscall.EIO, cnm.Internal, ""},
		{errors.New("odd"), cnm.Internal, ""},
	} {
		got := errno.Wrap("dig", fmt.Errorf("hole: %w", c.err))
		if !errors.Is(got, c.kind) || !errors.Is(got, c.err) || !strings.HasPrefix(got.Error(), "dig: hole: ") || !strings.Contains(got.Error(), c.hint) {
			t.Errorf("%v: got %q of kind %s, want kind %s and %q", c.err, got, cnm.KindOf(got), c.kind, c.hint)
		}
	}
	if err := errno.Wrap("dig", nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
}
