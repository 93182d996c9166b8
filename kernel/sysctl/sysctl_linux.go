package sysctl

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// areas are the folders of /proc/sys/net that settings can be in. Each is opened by
// itself: below one of them the kernel keeps to the namespace that it was opened in,
// but below net it goes by that of the calling thread (fs/proc/proc_sysctl.c).
var areas = [...]string{"net/ipv4/", "net/ipv6/"}

// Dir is /proc/sys/net of one namespace. Its descriptors keep standing for it on
// whatever thread they are used.
type Dir struct{ folders [len(areas)]*os.File }

// Open opens the folders of the calling thread's namespace. One that the kernel
// does not have is as if it were empty.
func Open() (*Dir, error) {
	d := &Dir{}
	for i, area := range areas {
		fd, err := unix.Open("/proc/sys/"+area, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, errors.Join(errno.Wrap("open /proc/sys/"+area, err), d.Close())
		}
		d.folders[i] = os.NewFile(uintptr(fd), area)
	}
	return d, nil
}

// Close closes the descriptors.
func (d *Dir) Close() error {
	var errs []error
	for _, folder := range d.folders {
		if folder != nil {
			errs = append(errs, folder.Close())
		}
	}
	return errors.Join(errs...)
}

// locate cuts a key into area and name.
func locate(key string) (area int, name string, err error) {
	for i, area := range areas {
		name, ok := strings.CutPrefix(key, area)
		if ok && name != "" && !strings.Contains("/"+name+"/", "/../") {
			return i, name, nil
		}
	}
	return 0, "", cnm.E("", cnm.Invalid, fmt.Errorf("sysctl %q: want a slash-separated key below net/ipv4 or net/ipv6", key))
}

func (d *Dir) open(key string, flags int) (*os.File, error) {
	area, name, err := locate(key)
	if err != nil {
		return nil, err
	}
	folder := d.folders[area]
	if folder == nil {
		return nil, cnm.E("", cnm.NotFound, fmt.Errorf("sysctl %q: the kernel does not have it", key))
	}
	conn, err := folder.SyscallConn()
	if err != nil {
		return nil, errno.Wrap(fmt.Sprintf("sysctl %q", key), err)
	}
	var fd int
	var openErr error
	// Control keeps the folder open meanwhile, whoever closes it.
	err = conn.Control(func(folder uintptr) {
		fd, openErr = unix.Openat(int(folder), name, flags|unix.O_CLOEXEC, 0)
	})
	if err = errors.Join(err, openErr); err != nil {
		return nil, errno.Wrap(fmt.Sprintf("sysctl %q", key), err)
	}
	return os.NewFile(uintptr(fd), key), nil
}

// Read returns the value, without the newline. A key that the kernel does not have
// is NotFound.
func (d *Dir) Read(key string) (string, error) {
	file, err := d.open(key, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	value, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errno.Wrap(fmt.Sprintf("sysctl %q", key), err)
	}
	return strings.TrimSuffix(string(value), "\n"), nil
}

// Write sets the value. It is no error if the value cannot be written, as where
// /proc/sys is mounted read-only, but is right already.
func (d *Dir) Write(key, value string) error {
	err := d.write(key, value)
	if err == nil || errors.Is(err, cnm.NotFound) {
		return err
	}
	if current, readErr := d.Read(key); readErr == nil && current == value {
		return nil
	}
	return err
}

func (d *Dir) write(key, value string) error {
	file, err := d.open(key, unix.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errno.Wrap(fmt.Sprintf("sysctl %q: write %q", key, value), errors.Join(err, file.Close()))
}
