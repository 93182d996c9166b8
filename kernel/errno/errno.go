// Package errno classifies the errors of system calls.
package errno

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/docker/libnetwork/cnm"
)

// Kind returns the kind of error that a caller can act on; Internal for what is not a
// system call's.
func Kind(err error) cnm.Kind {
	for _, c := range []struct {
		errno syscall.Errno
		kind  cnm.Kind
	}{
		{syscall.EEXIST, cnm.Exists},
		{syscall.EBUSY, cnm.Conflict},
		{syscall.EINVAL, cnm.Invalid},
		{syscall.ERANGE, cnm.Invalid},
		{syscall.ENAMETOOLONG, cnm.Invalid},
		{syscall.ELOOP, cnm.Invalid},
		{syscall.ENETUNREACH, cnm.Invalid},
		{syscall.ENODEV, cnm.NotFound},
		{syscall.ENOTDIR, cnm.NotFound},
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
		{syscall.ENOBUFS, cnm.Exhausted},
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

// Wrap gives err its kind, and says what is missing where permission is. A nil err
// stays nil.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	kind := Kind(err)
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		err = fmt.Errorf("%w (this needs root, or the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN)", err)
	case errors.Is(err, syscall.EROFS):
		err = fmt.Errorf("%w (mount it writable)", err)
	}
	return cnm.E(op, kind, err)
}
