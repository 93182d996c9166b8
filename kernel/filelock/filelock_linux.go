package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// Lock is a lock that is held. Release gives it up; the end of the process does too.
type Lock struct{ file *os.File }

// Acquire waits for the lock of the file at path, which is made with mode 0600 if it is
// missing. When ctx ends before, the error is of kind Timeout.
//
// The kernel has no way to give up waiting for such a lock. A goroutine goes on to wait
// then, and lets the lock go as soon as it has it; it ends with the process at the latest.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	op := fmt.Sprintf("lock %q", path)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errno.Wrap("lock", err)
	}
	err = flock(file, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return &Lock{file}, nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errno.Wrap(op, errors.Join(err, file.Close()))
	}
	granted := make(chan error) // not buffered: the lock is handed over or let go
	go func() {
		err := flock(file, unix.LOCK_EX)
		select {
		case granted <- err:
		case <-ctx.Done():
			_ = file.Close() // nothing was written
		}
	}()
	select {
	case err := <-granted:
		if err != nil {
			return nil, errno.Wrap(op, errors.Join(err, file.Close()))
		}
		return &Lock{file}, nil
	case <-ctx.Done():
		return nil, cnm.E(op, cnm.Timeout, fmt.Errorf("somebody else has it: %w", ctx.Err()))
	}
}

func flock(file *os.File, how int) error {
	for {
		err := unix.Flock(int(file.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Release lets the next in.
func (l *Lock) Release() error { return errno.Wrap("release lock", l.file.Close()) }
