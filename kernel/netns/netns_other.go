//go:build !linux

package netns

import (
	"errors"

	"github.com/docker/libnetwork/cnm"
)

var errUnsupported = cnm.E("network namespaces", cnm.Unsupported, errors.New("only Linux has them"))

// ProcessPath stands for the namespace of this process; there is none.
func ProcessPath() string { return "" }

// Namespace is an open network namespace.
type Namespace struct{}

// Open returns Unsupported.
func Open(string) (*Namespace, error) { return nil, errUnsupported }

// OpenPID returns Unsupported.
func OpenPID(int) (*Namespace, error) { return nil, errUnsupported }

// FD returns -1.
func (*Namespace) FD() int { return -1 }

// Close does nothing.
func (*Namespace) Close() error { return nil }

// Do returns Unsupported.
func (*Namespace) Do(func() error) error { return errUnsupported }

// Scratch returns Unsupported.
func Scratch(func() error) error { return errUnsupported }

// Create returns Unsupported.
func Create(string, func() error) error { return errUnsupported }

// Bind returns Unsupported.
func Bind(_, _ string) error { return errUnsupported }

// Delete returns Unsupported.
func Delete(string) error { return errUnsupported }

// Alive returns Unsupported.
func Alive(string) (bool, error) { return false, errUnsupported }

// AliveIn returns Unsupported.
func AliveIn(_, _ string) (bool, error) { return false, errUnsupported }

// Identity returns Unsupported.
func Identity(string) (string, error) { return "", errUnsupported }

// Same returns Unsupported.
func Same(string, string) (bool, error) { return false, errUnsupported }
