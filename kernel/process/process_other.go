//go:build !linux

package process

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/docker/libnetwork/cnm"
)

var errUnsupported = cnm.E("processes", cnm.Unsupported, errors.New("only Linux tells of them"))

// Process is a process that was found.
type Process struct {
	// PID is its number.
	PID int
	// Start is when it started.
	Start uint64
}

// Open returns Unsupported.
func Open(int) (*Process, error) { return nil, errUnsupported }

// Peer returns Unsupported.
func Peer(*net.UnixConn) (*Process, error) { return nil, errUnsupported }

// PeerUser returns Unsupported.
func PeerUser(*net.UnixConn) (int, error) { return 0, errUnsupported }

// Wait returns Unsupported.
func (*Process) Wait(context.Context) error { return errUnsupported }

// Close does nothing.
func (*Process) Close() error { return nil }

// LockHolder returns Unsupported.
func LockHolder(string) (pid int, name string, err error) { return 0, "", errUnsupported }

// Monotonic returns Unsupported.
func Monotonic() (time.Duration, error) { return 0, errUnsupported }

// BootID returns Unsupported.
func BootID() (string, error) { return "", errUnsupported }
