//go:build !linux

package kernel

import (
	"context"
	"errors"

	"github.com/docker/libnetwork/cnm"
)

// Open returns Unsupported: only Linux has network namespaces.
func Open(Options) (Host, error) {
	return nil, cnm.E("open host", cnm.Unsupported, errors.New("this system has no network namespaces; run on Linux"))
}

// Release returns nothing.
func Release() string { return "" }

// Features returns Unsupported too.
func Features(context.Context) ([]FeatureStatus, error) {
	return nil, cnm.E("look for features of the kernel", cnm.Unsupported, errors.New("this system is not Linux"))
}
