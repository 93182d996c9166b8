package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/test/guest/job"
)

// mount is one to make, and its folder too. The flags are none.
type mount struct{ kind, source, folder, options string }

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.folder, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, m.folder, m.kind, 0, m.options); err != nil {
			return fmt.Errorf("mount %s at %s: %w", m.kind, m.folder, err)
		}
	}
	return nil
}

// firstMounts are what it takes to load modules and to find the port.
func firstMounts() []mount {
	return []mount{
		{kind: "proc", source: "proc", folder: "/proc"},
		{kind: "sysfs", source: "sysfs", folder: "/sys"},
		{kind: "devtmpfs", source: "devtmpfs", folder: "/dev"},
	}
}

// openPort finds a virtio port by its name, and waits a while for it.
func openPort(name string) (*os.File, error) {
	const tries, pause = 500, 10 * time.Millisecond
	for range tries {
		files, err := filepath.Glob("/sys/class/virtio-ports/*/name")
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == name {
				return os.OpenFile("/dev/"+filepath.Base(filepath.Dir(file)), os.O_WRONLY, 0)
			}
		}
		time.Sleep(pause)
	}
	return nil, fmt.Errorf("there is no virtio port with the name %q", name)
}

// prepare makes this process see the host's root, as a copy to write to, and what else
// a machine has.
func prepare(j job.Job) error {
	// The lower folder and the upper one, and the two as one.
	const lower, upper, both = "/lower", "/upper", "/both"
	if err := mountAll([]mount{
		{kind: "9p", source: job.Root, folder: lower, options: "trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288"},
		{kind: "tmpfs", source: "tmpfs", folder: upper},
	}); err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(upper+"/kept", 0o755), os.Mkdir(upper+"/work", 0o755)); err != nil {
		return err
	}
	if err := mountAll([]mount{
		{kind: "overlay", source: "overlay", folder: both, options: "lowerdir=" + lower + ",upperdir=" + upper + "/kept,workdir=" + upper + "/work"},
	}); err != nil {
		return err
	}
	// The kernel starts modprobe where its first process has its root.
	if err := unix.Chroot(both); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := mountAll(append(firstMounts(), []mount{
		{kind: "devpts", source: "devpts", folder: "/dev/pts"},
		{kind: "tmpfs", source: "tmpfs", folder: "/dev/shm"},
		{kind: "tmpfs", source: "tmpfs", folder: "/run"},
		{kind: "cgroup2", source: "cgroup2", folder: "/sys/fs/cgroup"},
		{kind: "bpf", source: "bpf", folder: "/sys/fs/bpf"},
		{kind: "tmpfs", source: "tmpfs", folder: "/lib/modules"},
	}...)); err != nil {
		return err
	}
	return furnish(j)
}

// furnish does what a distribution's start does, as far as tests look at it.
func furnish(j job.Job) error {
	for link, target := range map[string]string{
		"/lib/modules/" + filepath.Base(j.ModuleTree): j.ModuleTree,
		"/dev/fd":     "/proc/self/fd",
		"/dev/stdin":  "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	now := unix.NsecToTimeval(j.Now.UnixNano())
	if err := unix.Settimeofday(&now); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	if err := unix.Sethostname([]byte("guest")); err != nil {
		return fmt.Errorf("set the name of the host: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bring the loopback up: %w", err)
	}
	if len(j.Modules) == 0 {
		return nil
	}
	output, err := exec.Command("/sbin/modprobe", append([]string{"-a"}, j.Modules...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("load modules: %w: %s", err, output)
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
