package cni

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// fileLock keeps the processes of one data dir apart. The store has a lock of its own, which
// is tried every 50 ms; here the kernel lets the next in at once, in the order they came.
type fileLock struct{ file *os.File }

// lockFile waits for the lock, and gives up with the code for "try again later".
func lockFile(ctx context.Context, path string, timeout time.Duration) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fail(types.ErrIOFailure, "lock: %s", err)
	}
	err = flock(file, syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return &fileLock{file}, nil
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fail(types.ErrIOFailure, "lock %q: %s", path, err), file.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	granted := make(chan error, 1)
	go func() { granted <- flock(file, syscall.LOCK_EX) }()
	select {
	case err := <-granted:
		if err != nil {
			return nil, errors.Join(fail(types.ErrIOFailure, "lock %q: %s", path, err), file.Close())
		}
		return &fileLock{file}, nil
	case <-ctx.Done():
		// The process ends with this error, and the waiting with it.
		return nil, fail(types.ErrTryAgainLater, "lock %q: another operation has had it for %s; the key \"lockTimeout\" says how long to wait", path, timeout)
	}
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// release lets the next in.
func (l *fileLock) release() error {
	if err := l.file.Close(); err != nil {
		return fail(types.ErrIOFailure, "release lock: %s", fmt.Sprint(err))
	}
	return nil
}
