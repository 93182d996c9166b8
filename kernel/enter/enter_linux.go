package enter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/netns"
)

// Run runs a program and waits for its end. Its exit code is what a shell would say: 128
// and the number of the signal if that ended it. An error means that it did not start.
// When this process dies, the program is killed.
func Run(c Command) (code int, err error) {
	type result struct {
		code int
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The thread does not come back from where it goes. Since the goroutine ends
		// without unlocking it, the runtime throws it away; not before the program has
		// ended, which is killed when its parent thread ends.
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// What this process's first thread is in, others take for the process's own.
			// While this goroutine holds it, another cannot be given it.
			code, err := Run(c)
			runtime.UnlockOSThread()
			done <- result{code, err}
			return
		}
		code, err := runHere(c)
		done <- result{code, err}
	}()
	out := <-done
	return out.code, out.err
}

// runHere changes the calling thread for good.
func runHere(c Command) (int, error) {
	if err := c.prepare(); err != nil {
		return 0, err
	}
	command := &exec.Cmd{
		Path: c.Path, Args: c.Args, Env: c.Env,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	// A nil *os.File is not a nil io.Reader.
	if c.Stdin != nil {
		command.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		command.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		command.Stderr = c.Stderr
	}
	if err := command.Start(); err != nil {
		return 0, errno.Wrap(fmt.Sprintf("start %q", c.Path), err)
	}
	return c.wait(command)
}

// wait passes signals on until the program ends.
func (c *Command) wait(command *exec.Cmd) (int, error) {
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case s := <-c.Signals:
			// A program that ends at this moment needs it no more.
			_ = command.Process.Signal(s)
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 0, errno.Wrap(fmt.Sprintf("wait for %q", c.Path), err)
			}
			status, ok := command.ProcessState.Sys().(syscall.WaitStatus)
			if ok && status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return command.ProcessState.ExitCode(), nil
		}
	}
}

// prepare takes the calling thread to where the program is to run.
func (c *Command) prepare() error {
	if c.Namespace != "" {
		namespace, err := netns.Open(c.Namespace)
		if err != nil {
			return err
		}
		defer namespace.Close() //nolint:errcheck // read only
		if err := unix.Setns(namespace.FD(), unix.CLONE_NEWNET); err != nil {
			return errno.Wrap("enter namespace", err)
		}
	}
	if len(c.Files) > 0 {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return errno.Wrap("make a mount namespace", err)
		}
		// What is mounted on the host later is still seen; what is bound here is not seen there.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
			return errno.Wrap("keep mounts from the host", err)
		}
	}
	for target, source := range c.Files {
		if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
			err = &os.LinkError{Op: "bind", Old: source, New: target, Err: err}
			return errno.Wrap("mount the container's files", err)
		}
	}
	if c.Hostname == "" {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
		return errno.Wrap("make a namespace for the host's name", err)
	}
	return errno.Wrap("set the host's name", unix.Sethostname([]byte(c.Hostname)))
}
