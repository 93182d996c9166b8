//go:build !linux

package cni

import (
	"context"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// fileLock is for Linux, as are the networks behind it.
type fileLock struct{}

func lockFile(context.Context, string, time.Duration) (*fileLock, error) {
	return nil, fail(types.ErrPluginNotAvailable, "this system has no container networks; the plugin is for Linux")
}

func (*fileLock) release() error { return nil }
