package kerneltest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside, in the environment, tells a test binary that it runs in its own
// namespaces.
const inside = "LIBNETWORK_KERNELTEST_INSIDE"

// Main runs a package's tests in network and mount namespaces of their own, so that
// nothing they do reaches the machine: it starts the test binary again, in there.
// Without root the tests run where they are, and RequireRoot skips what needs more.
// It is called from TestMain and does not return.
func Main(m *testing.M) {
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	if os.Getenv(inside) == "" {
		os.Exit(again())
	}
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "kerneltest:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Enter is Main for programs that are not tests: it returns in the process that has
// namespaces of its own, and not at all in the one that was started.
func Enter() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root, to make network namespaces")
	}
	if os.Getenv(inside) == "" {
		os.Exit(again())
	}
	return furnish()
}

// again starts this program in new namespaces and returns its exit status.
func again() int {
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Args[0] = os.Args[0]
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), inside+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		// What is mounted in there must not outlive this process.
		Pdeathsig: syscall.SIGKILL,
	}
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "kerneltest: start in new namespaces:", err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		for s := range signals {
			_ = command.Process.Signal(s)
		}
	}()
	err := command.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "kerneltest:", err)
		return 1
	}
}

// furnish makes the new mount namespace private, with a /run of its own and a machine
// that has no name servers, and brings the loopback up.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, folder := range []string{"/run", "/var/lib"} {
		if err := unix.Mount("kerneltest", folder, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount over %s: %w", folder, err)
		}
	}
	const resolvConf, empty = "/etc/resolv.conf", "/run/resolv.conf"
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		return err
	}
	if err := unix.Mount(empty, resolvConf, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("mount over %s: %w", resolvConf, err)
	}
	return loopbackUp()
}

// loopbackUp works in the namespace of the calling thread.
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
