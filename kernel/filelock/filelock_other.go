//go:build !linux

package filelock

import (
	"context"
	"errors"

	"github.com/docker/libnetwork/cnm"
)

var errUnsupported = cnm.E("lock", cnm.Unsupported, errors.New("file locks are for Linux, as are the networks behind them"))

// Lock is a lock that is held; there is none.
type Lock struct{}

// Acquire returns Unsupported.
func Acquire(context.Context, string) (*Lock, error) { return nil, errUnsupported }

// Release returns Unsupported.
func (*Lock) Release() error { return errUnsupported }
