package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/docker/libnetwork/cnm"
)

// socketMode lets root, and the group if there is one, use a Unix socket.
const socketMode = 0o660

// unixListener removes its file when it is closed, unless it has become another's.
type unixListener struct {
	*net.UnixListener
	path string
	file os.FileInfo
	once sync.Once
}

// Close implements net.Listener.
func (l *unixListener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// probe looks what is at the path of a socket to be. A living daemon there is an error,
// and what is no socket; a dead one's file is to be replaced.
func probe(path string) error {
	op := "listen at unix://" + path
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return cnm.E(op, cnm.Forbidden, err)
	case info.Mode().Type() != fs.ModeSocket:
		return cnm.E(op, cnm.Exists, errors.New("there is a file that is no socket; remove it, or name another path"))
	}
	conn, err := net.Dial("unix", path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case err != nil:
		return cnm.E(op, cnm.Unavailable, fmt.Errorf("the socket that is there cannot be tried: %w", err))
	}
	_ = conn.Close()
	return cnm.E(op, cnm.Exists, errors.New("a daemon is already running there; stop it, or name another path"))
}

// listenUnix makes the socket in a folder that only root can enter, gives it its group and
// mode, and moves it to its place: nobody ever finds it there with another mode.
func listenUnix(path string, group int) (_ net.Listener, err error) {
	op := "listen at unix://" + path
	if err := probe(path); err != nil {
		return nil, err
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return nil, cnm.E(op, cnm.Forbidden, err)
	}
	hidden, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, cnm.E(op, cnm.Forbidden, err)
	}
	defer func() { _ = os.RemoveAll(hidden) }()
	made := filepath.Join(hidden, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, cnm.E(op, cnm.Unavailable, err)
	}
	listener.SetUnlinkOnClose(false)
	info, err := settle(made, path, group)
	if err != nil {
		return nil, errors.Join(cnm.E(op, cnm.Forbidden, err), listener.Close())
	}
	return &unixListener{UnixListener: listener, path: path, file: info}, nil
}

func settle(made, path string, group int) (os.FileInfo, error) {
	if err := os.Chown(made, os.Geteuid(), group); err != nil {
		return nil, err
	}
	if err := os.Chmod(made, socketMode); err != nil {
		return nil, err
	}
	if err := os.Rename(made, path); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

// makeFolder makes a folder that all may enter and only root may change. One that is there
// stays as it is.
func makeFolder(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755) // whatever the umask is
}

// groupID finds a group by name or number; an empty name is this process's own group.
func groupID(name string) (int, error) {
	if name == "" {
		return os.Getegid(), nil
	}
	if id, err := strconv.Atoi(name); err == nil && id >= 0 {
		return id, nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, cnm.E(fmt.Sprintf("socket group %q", name), cnm.Invalid, errors.New("there is no such group; make it with groupadd, or name another"))
	}
	return strconv.Atoi(group.Gid)
}

func listenTCP(ctx context.Context, a address) (net.Listener, error) {
	var listener net.ListenConfig
	l, err := listener.Listen(ctx, "tcp", a.where)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, cnm.E("listen at "+a.String(), cnm.Exists, errors.New("another program has the port; stop it, or name another port"))
	}
	if err != nil {
		return nil, cnm.E("listen at "+a.String(), cnm.Unavailable, err)
	}
	return l, nil
}
