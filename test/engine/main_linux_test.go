package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

// numbered, in the environment, tells the test binary that it has process numbers of its
// own.
const numbered = "LIBNETWORK_ENGINE_NUMBERED"

// TestMain gives the tests a PID namespace too: whatever an engine has started, its
// containers among it, ends with it.
func TestMain(m *testing.M) {
	if os.Geteuid() == 0 && os.Getenv(numbered) == "" {
		os.Exit(again())
	}
	// Where Debian has programs for root.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	kerneltest.Main(m)
}

func again() int {
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Args[0] = os.Args[0]
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(), numbered+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	if err := command.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "start with process numbers of its own:", err)
		return 1
	}
	go func() {
		for s := range signals {
			_ = command.Process.Signal(s)
		}
	}()
	err := command.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return command.ProcessState.ExitCode()
}
