package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// Process is a process that was found, held by a descriptor: its number being used again
// for another one does no harm. Close it after use.
type Process struct {
	// PID is its number in this process's PID namespace.
	PID int
	// Start is when it started, in clock ticks since boot. The number and the start
	// together name a process for as long as the machine runs.
	Start uint64

	file *os.File
}

// Open finds a process by its number. One that has ended is NotFound.
func Open(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, gone(pid, err)
	}
	return hold(pid, fd)
}

// Peer finds the process that made the other end of the connection. One that has ended, or
// that this process's PID namespace does not show, is NotFound.
func Peer(conn *net.UnixConn) (*Process, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, cnm.E("peer of a connection", cnm.Unavailable, err)
	}
	pid, fd := 0, -1
	var peerErr error
	err = raw.Control(func(socket uintptr) { pid, fd, peerErr = peer(int(socket)) })
	if err = errors.Join(err, peerErr); err != nil {
		return nil, gone(pid, err)
	}
	return hold(pid, fd)
}

// PeerUser returns the number of the user that the process which made the other end of the
// connection had when it connected (SO_PEERCRED of unix(7)).
func PeerUser(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, cnm.E("user of a connection", cnm.Unavailable, err)
	}
	var credentials *unix.Ucred
	var peerErr error
	err = raw.Control(func(socket uintptr) {
		credentials, peerErr = unix.GetsockoptUcred(int(socket), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, peerErr); err != nil {
		return 0, errno.Wrap("user of a connection", err)
	}
	return int(credentials.Uid), nil
}

// peer asks the socket for a descriptor of its peer. Kernels before 6.5 give its number
// only, which may be used again between the two calls.
func peer(socket int) (pid, fd int, err error) {
	credentials, err := unix.GetsockoptUcred(socket, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, -1, err
	}
	pid = int(credentials.Pid)
	if pid == 0 {
		return 0, -1, unix.ESRCH
	}
	fd, err = unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if errors.Is(err, unix.ENOPROTOOPT) {
		fd, err = unix.PidfdOpen(pid, 0)
	}
	return pid, fd, err
}

// hold takes over the descriptor. The start time is that of the process the descriptor
// stands for, if this one still lives when it has been read.
func hold(pid, fd int) (*Process, error) {
	unix.CloseOnExec(fd)
	// The runtime's poller waits for what does not block; a wait takes no thread then.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(errno.Wrap("hold process", err), unix.Close(fd))
	}
	p := &Process{PID: pid, file: os.NewFile(uintptr(fd), fmt.Sprintf("process %d", pid))}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		p.Start, err = parseStart(string(stat))
	}
	if err == nil && ended(fd) {
		err = unix.ESRCH
	}
	if err != nil {
		return nil, errors.Join(gone(pid, err), p.Close())
	}
	return p, nil
}

// gone words an error about a process.
func gone(pid int, err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EINVAL) {
		return cnm.E("find process", cnm.NotFound, fmt.Errorf("process %d: has ended, or is not to be seen from here", pid))
	}
	return errno.Wrap(fmt.Sprintf("find process %d", pid), err)
}

// ended reports whether the process of the descriptor is a zombie or gone.
func ended(fd int) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// Wait returns nil when the process has ended, in whichever way, or the error of ctx.
func (p *Process) Wait(ctx context.Context) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return cnm.E("wait for process", cnm.Unavailable, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = raw.Read(func(fd uintptr) bool { return ended(int(fd)) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return cnm.E(fmt.Sprintf("wait for process %d", p.PID), cnm.Internal, err)
	}
	return nil
}

// Close gives the descriptor back. The process is not touched.
func (p *Process) Close() error { return p.file.Close() }

// LockHolder returns the number and the name of the process that holds a lock on the file
// at path; 0 means that nobody does, or somebody who is not to be seen from here.
func LockHolder(path string) (pid int, name string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, "", errno.Wrap("find who holds a file", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, "", cnm.E("find who holds a file", cnm.Internal, fmt.Errorf("%q: no inode", path))
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0, "", errno.Wrap("find who holds a file", err)
	}
	pid = lockHolder(string(locks), unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	if pid == 0 {
		return 0, "", nil
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // it may have ended meanwhile
	return pid, strings.TrimSpace(string(text)), nil
}

// Monotonic returns the reading of the clock that never goes back, CLOCK_MONOTONIC, which
// systemd asks for.
func Monotonic() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, errno.Wrap("read clock", err)
	}
	return time.Duration(t.Nano()), nil
}

// BootID returns the identity that each boot of the machine makes anew (random(4)): numbers of
// processes, and of other things of the kernel's, begin again with it.
func BootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", errno.Wrap("identity of the boot", err)
	}
	return strings.TrimSpace(string(text)), nil
}
