// Package errno classifies the errors of system calls.
package errno

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/docker/libnetwork/cnm"
)

// Kind returns the kind of error that a caller can act on.
func Kind(err error) cnm.Kind {
	for _, c := range []struct {
		errno syscall.Errno
		kind  cnm.Kind
	}{
		{syscall.EEXIST, cnm.Exists},
		{syscall.EBUSY, cnm.Conflict},
		{syscall.EINVAL, cnm.Invalid},
		{syscall.ERANGE, cnm.Invalid},
		{syscall.ENETUNREACH, cnm.Invalid},
		{syscall.ENODEV, cnm.NotFound},
		{syscall.ESRCH, cnm.NotFound},
		{syscall.EADDRNOTAVAIL, cnm.NotFound},
		{syscall.EPERM, cnm.Forbidden},
		{syscall.EACCES, cnm.Forbidden},
		{syscall.EROFS, cnm.Forbidden},
		{syscall.EOPNOTSUPP, cnm.Unsupported},
		{syscall.EAFNOSUPPORT, cnm.Unsupported},
		{syscall.ENOSPC, cnm.Exhausted},
		{syscall.EMFILE, cnm.Exhausted},
		{syscall.ENFILE, cnm.Exhausted},
		{syscall.ENOMEM, cnm.Exhausted},
	} {
		if errors.Is(err, c.errno) {
			return c.kind
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return cnm.NotFound
	}
	return cnm.Internal
}

// Wrap gives err its kind, and says what is missing where permission is.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	kind := Kind(err)
	if errors.Is(err, syscall.EPERM) {
		err = fmt.Errorf("%w (this needs root, or the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN)", err)
	}
	return cnm.E(op, kind, err)
}
