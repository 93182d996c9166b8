//go:build unix

package plugin

import (
	"errors"
	"syscall"
)

// notFolder is for a path that leads through a file.
func notFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
