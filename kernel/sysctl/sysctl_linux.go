package sysctl

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// root is where the settings are, of the namespace of the thread that looks.
const root = "/proc/sys/"

// Dir is /proc/sys/net of one namespace. It opens each area below, such as net/ipv4,
// when it is first needed: looking one up takes the kernel time that grows with the
// number of namespaces. An open area stands for its namespace on whatever thread it
// is used, which net itself does not (fs/proc/proc_sysctl.c). It is safe for
// concurrent use.
type Dir struct {
	enter func(func() error) error

	mu    sync.Mutex // guards areas
	areas map[string]*os.File
}

// New returns the settings of the namespace in which enter runs what it is given.
func New(enter func(func() error) error) *Dir {
	return &Dir{enter: enter, areas: make(map[string]*os.File)}
}

// Close closes the descriptors. The Dir is as new, then.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, area := range d.areas {
		errs = append(errs, area.Close())
	}
	clear(d.areas)
	return errors.Join(errs...)
}

// Check returns an error of kind Invalid for a key that does not lie below net.
func Check(key string) error {
	_, _, err := locate(key)
	return err
}

// locate cuts a key such as net/ipv4/ip_forward into area and name. One directly
// below net has no area.
func locate(key string) (area, name string, err error) {
	parts := strings.Split(key, "/")
	odd := func(part string) bool {
		return part == "" || part == "." || part == ".." || strings.ContainsRune(part, 0)
	}
	if len(parts) < 2 || parts[0] != "net" || slices.ContainsFunc(parts, odd) {
		return "", "", cnm.E("", cnm.Invalid, fmt.Errorf("sysctl %q: want a slash-separated key below net, such as net/ipv4/ip_forward", key))
	}
	if len(parts) == 2 {
		return "", key, nil
	}
	return "net/" + parts[1], strings.Join(parts[2:], "/"), nil
}

func (d *Dir) open(key string, flags int) (file *os.File, err error) {
	area, name, err := locate(key)
	if err != nil {
		return nil, err
	}
	if area == "" {
		err = d.enter(func() (err error) {
			file, err = os.OpenFile(root+name, flags, 0)
			return err
		})
	} else {
		file, err = d.openBelow(area, name, flags)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, cnm.E("", cnm.NotFound, fmt.Errorf("sysctl %q: the kernel does not have it", key))
	case err != nil:
		return nil, errno.Wrap(fmt.Sprintf("sysctl %q", key), err)
	}
	return file, nil
}

func (d *Dir) openBelow(area, name string, flags int) (*os.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	folder := d.areas[area]
	if folder == nil {
		err := d.enter(func() (err error) {
			folder, err = os.OpenFile(root+area, unix.O_PATH|unix.O_DIRECTORY, 0)
			return err
		})
		if err != nil {
			return nil, err
		}
		d.areas[area] = folder
	}
	fd, err := unix.Openat(int(folder.Fd()), name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
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
// /proc/sys is mounted read-only, but is right already; blanks between numbers do
// not count. A key that the kernel does not have is NotFound.
func (d *Dir) Write(key, value string) error {
	err := d.write(key, value)
	if err == nil || errors.Is(err, cnm.NotFound) {
		return err
	}
	if current, readErr := d.Read(key); readErr == nil && slices.Equal(strings.Fields(current), strings.Fields(value)) {
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
