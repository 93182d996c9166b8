package hangup

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Seen reports whether the other side has closed a connection that is open here, or reset
// it. It takes nothing from it, whoever else is reading, so it stays false while there is
// something left to read. It is false as well for what is no socket, or is closed here.
func Seen(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	seen := false
	err = raw.Control(func(fd uintptr) { seen = peek(int(fd)) })
	return err == nil && seen
}

// peek looks at the next byte: none at all is the end (recv(2)).
func peek(fd int) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil {
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	}
	return n == 0
}
