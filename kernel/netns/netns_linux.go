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
	"github.com/docker/libnetwork/kernel/process"
)

// threadNamespace is the namespace of the thread that opens it.
const threadNamespace = "/proc/thread-self/ns/net"

// ProcessPath stands for the namespace of this process, for other processes too: it
// is the one of its first thread, which never leaves it (see onThread).
func ProcessPath() string { return processPath(os.Getpid()) }

func processPath(pid int) string { return fmt.Sprintf("/proc/%d/ns/net", pid) }

// Namespace is an open network namespace. It is safe for concurrent use.
type Namespace struct{ file *os.File }

// Open opens the namespace that the file at path stands for; an empty path means
// the namespace of this process. A missing file is NotFound, one that is no network
// namespace Invalid.
func Open(path string) (*Namespace, error) {
	if path == "" {
		path = "/proc/self/ns/net"
	}
	// Opening a device or a pipe could have effects, or wait: look first.
	ok, err := onNSFS(path)
	if err != nil {
		return nil, errno.Wrap("open namespace", &os.PathError{Op: "statfs", Path: path, Err: err})
	}
	if !ok {
		return nil, notNamespace(path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errno.Wrap("open namespace", err)
	}
	// There are other namespaces than of networks.
	kind, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return nil, errors.Join(notNamespace(path), file.Close())
	}
	return &Namespace{file}, nil
}

// OpenPID opens the namespace of a process, as numbered in this one's PID namespace.
// A process that has gone is NotFound.
func OpenPID(pid int) (*Namespace, error) { return Open(processPath(pid)) }

func notNamespace(path string) error {
	return cnm.E("open namespace", cnm.Invalid, fmt.Errorf("%q is not a network namespace", path))
}

// onNSFS reports whether path leads to the kernel's file system of namespaces.
func onNSFS(path string) (bool, error) {
	var stat unix.Statfs_t
	for {
		err := unix.Statfs(path, &stat)
		if err == nil {
			return stat.Type == unix.NSFS_MAGIC, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return false, err
		}
	}
}

// FD returns the descriptor, which stays the Namespace's.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Close closes the descriptor.
func (n *Namespace) Close() error { return n.file.Close() }

// Do runs fn on a thread that is in the namespace. To enter one that this process is
// not in takes CAP_SYS_ADMIN.
func (n *Namespace) Do(fn func() error) error {
	return onThread(n.enter, fn)
}

// enter takes the calling thread into the namespace; moved is false if it is there
// already, which takes no permission.
func (n *Namespace) enter() (moved bool, err error) {
	conn, err := n.file.SyscallConn()
	if err != nil {
		return false, err
	}
	var enterErr error
	// Control keeps the descriptor open meanwhile, whoever closes it.
	err = conn.Control(func(fd uintptr) {
		var here, there unix.Stat_t
		if unix.Stat(threadNamespace, &here) == nil && unix.Fstat(int(fd), &there) == nil &&
			here.Dev == there.Dev && here.Ino == there.Ino {
			return
		}
		enterErr = unix.Setns(int(fd), unix.CLONE_NEWNET)
		moved = enterErr == nil
	})
	return moved, errors.Join(err, enterErr)
}

// onThread enters a namespace on a thread of its own, runs fn, and goes back. If it
// cannot go back, the goroutine ends with its thread locked, so that the runtime
// throws the thread away.
func onThread(enter func() (moved bool, err error), fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		// The first thread's namespace is what others see as that of the process, in
		// /proc/PID. While this goroutine holds it, another cannot be given it.
		if unix.Gettid() == unix.Getpid() {
			result <- onThread(enter, fn)
			runtime.UnlockOSThread()
			return
		}
		back, err := visit(enter, fn)
		if back {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// visit enters a namespace with the calling thread and runs fn; back is false if the
// thread is still there.
func visit(enter func() (moved bool, err error), fn func() error) (back bool, err error) {
	home, err := os.Open(threadNamespace)
	if err != nil {
		return true, errno.Wrap("open the thread's namespace", err)
	}
	defer home.Close() //nolint:errcheck // read only
	moved, err := enter()
	if err != nil {
		return true, errno.Wrap("enter namespace", err)
	}
	err = fn()
	return !moved || unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil, err
}

// Create makes a namespace and pins it at path. Before the thread leaves it, inside
// runs there; its error undoes the creation. A path in use is Exists.
func Create(path string, inside func() error) error {
	return pin(path, func() error {
		return onThread(unshare, func() error {
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

// Scratch runs fn on a thread in a new namespace, which goes with all that is in it when
// the thread leaves.
func Scratch(fn func() error) error { return onThread(unshare, fn) }

func unshare() (moved bool, err error) {
	err = unix.Unshare(unix.CLONE_NEWNET)
	return err == nil, err
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

// Delete unpins what is at path. A missing path is no error; a file that was not made
// for pinning is Invalid, and stays.
func Delete(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	// EINVAL: a plain file, as after a crash between making the file and mounting.
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return errno.Wrap(fmt.Sprintf("unpin namespace at %q", path), err)
	}
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > 0) {
		return cnm.E("remove file of namespace", cnm.Invalid, fmt.Errorf("%q is not an empty file, so no namespace was pinned there; remove it by hand", path))
	}
	if err := errors.Join(err, os.Remove(path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errno.Wrap("remove file of namespace", err)
	}
	return nil
}

// Alive reports whether path is a network namespace. A missing path is not.
func Alive(path string) (bool, error) {
	namespace, err := Open(path)
	switch {
	case err == nil:
		return true, namespace.Close()
	case errors.Is(err, cnm.NotFound), errors.Is(err, cnm.Invalid):
		return false, nil
	default:
		return false, err
	}
}

// AliveIn is Alive for a path as whoever has the root folder sees it, such as
// /proc/PID/root: symbolic links, absolute ones too, lead where they lead for him.
// Unsupported is for kernels before 5.6, which have no openat2(2).
func AliveIn(root, path string) (bool, error) {
	const op = "look for namespace"
	folder, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, errno.Wrap(op, &os.PathError{Op: "open", Path: root, Err: err})
	}
	defer unix.Close(folder) //nolint:errcheck // nothing is written
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	fd, err := unix.Openat2(folder, path, &how)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return false, nil
	case errors.Is(err, unix.ENOSYS):
		return false, cnm.E(op, cnm.Unsupported, fmt.Errorf("%q in %q: takes openat2, of Linux 5.6", path, root))
	case err != nil:
		return false, errno.Wrap(op, &os.PathError{Op: "openat2", Path: path, Err: err})
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is written
	return Alive(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// Identity tells the namespace that path stands for from others that come to be there: the
// path of a process's, /proc/PID/ns/net, is another's when the number is given again, and
// each boot gives numbers again. It is text without a meaning, to be compared.
//
// The kernel numbers namespaces by the lowest number that is free, so one that took the
// place of another of the same boot, at the same path and with the same number, passes.
func Identity(path string) (string, error) {
	namespace, err := Open(path)
	if err != nil {
		return "", err
	}
	defer namespace.Close() //nolint:errcheck // read only
	var stat unix.Stat_t
	if err := unix.Fstat(namespace.FD(), &stat); err != nil {
		return "", errno.Wrap("identify namespace", &os.PathError{Op: "fstat", Path: path, Err: err})
	}
	boot, err := process.BootID()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/%d:%d", boot, stat.Dev, stat.Ino), nil
}

// Same reports whether path stands for the namespace with an identity. A missing path does
// not; for an empty identity any namespace does.
func Same(path, identity string) (bool, error) {
	is, err := Identity(path)
	switch {
	case err == nil:
		return identity == "" || is == identity, nil
	case errors.Is(err, cnm.NotFound), errors.Is(err, cnm.Invalid):
		return false, nil
	default:
		return false, err
	}
}
