//go:build unix

package plugin

import (
	"errors"
	"net"
	"syscall"
)

// hungUp reports whether the other side has closed a connection that is open here. It
// takes nothing from it and does not wait, whoever else is reading.
func hungUp(conn net.Conn) bool {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = control.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waits := errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
		gone = err == nil && n == 0 || err != nil && !waits
	})
	return err == nil && gone
}
