package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// threadNamespace is the namespace of the thread that opens it.
const threadNamespace = "/proc/thread-self/ns/net"

// ProcessPath stands for the namespace of this process.
func ProcessPath() string { return fmt.Sprintf("/proc/%d/ns/net", os.Getpid()) }

// Namespace is an open network namespace.
type Namespace struct{ file *os.File }

// Open opens the namespace that the file at path stands for; an empty path means
// the namespace of this process. A file that is no network namespace is Invalid.
func Open(path string) (*Namespace, error) {
	if path == "" {
		path = ProcessPath()
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errno.Wrap("open namespace", err)
	}
	if !isNamespace(file) {
		err := cnm.E("open namespace", cnm.Invalid, fmt.Errorf("%q is not a network namespace", path))
		return nil, errors.Join(err, file.Close())
	}
	return &Namespace{file}, nil
}

// isNamespace asks for the type of namespace; only files of nsfs know the request.
func isNamespace(file *os.File) bool {
	kind, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE)
	return err == nil && kind == unix.CLONE_NEWNET
}

// FD returns the descriptor, which stays the Namespace's.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Close closes the descriptor.
func (n *Namespace) Close() error { return n.file.Close() }

// Do runs fn on a thread that is in the namespace.
func (n *Namespace) Do(fn func() error) error {
	return onThread(func() error { return unix.Setns(n.FD(), unix.CLONE_NEWNET) }, fn)
}

// onThread enters a namespace on a thread of its own, runs fn, and goes back. If it
// cannot go back, the goroutine ends with its thread locked, so that the runtime
// throws the thread away.
func onThread(enter, fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(threadNamespace)
		if err != nil {
			runtime.UnlockOSThread()
			result <- errno.Wrap("open the thread's namespace", err)
			return
		}
		defer home.Close() //nolint:errcheck // read only
		if err := enter(); err != nil {
			runtime.UnlockOSThread()
			result <- errno.Wrap("enter namespace", err)
			return
		}
		err = fn()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// Create makes a namespace and pins it at path. Before the thread leaves it, inside
// runs there; its error undoes the creation. A path in use is Exists.
func Create(path string, inside func() error) error {
	return pin(path, func() error {
		return onThread(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
			if err := mount(threadNamespace, path); err != nil {
				return err
			}
			err := inside()
			if err != nil {
				err = errors.Join(err, unix.Unmount(path, unix.MNT_DETACH))
			}
			return err
		})
	})
}

// Bind pins the namespace that source stands for at path. A path in use is Exists,
// a source that is no network namespace Invalid.
func Bind(path, source string) error {
	namespace, err := Open(source)
	if err != nil {
		return err
	}
	defer namespace.Close() //nolint:errcheck // read only
	// By descriptor: what source stands for cannot change under our hands.
	return pin(path, func() error { return mount(fmt.Sprintf("/proc/self/fd/%d", namespace.FD()), path) })
}

// pin makes the file that a namespace is mounted over.
func pin(path string, mount func() error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return errno.Wrap("make folder for namespaces", err)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return errno.Wrap("make file for namespace", err)
	}
	if err := file.Close(); err != nil {
		return errno.Wrap("make file for namespace", err)
	}
	if err := mount(); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func mount(source, path string) error {
	if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
		return errno.Wrap(fmt.Sprintf("pin namespace at %q", path), err)
	}
	return nil
}

// Delete unpins what is at path. A missing path is no error.
func Delete(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	// EINVAL: a plain file, as after a crash between making the file and mounting.
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return errno.Wrap(fmt.Sprintf("unpin namespace at %q", path), err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errno.Wrap("remove file of namespace", err)
	}
	return nil
}

// Alive reports whether path is a network namespace.
func Alive(path string) (bool, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, errno.Wrap("open namespace", err)
	}
	defer file.Close() //nolint:errcheck // read only
	return isNamespace(file), nil
}
