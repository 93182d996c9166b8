package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/test/guest/job"
)

// teller writes events.
type teller struct {
	mu   sync.Mutex // held while one is written
	port *json.Encoder
}

func (t *teller) tell(e job.Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Seconds = uptime()
	return t.port.Encode(e)
}

// run runs one program to its end and tells about it. An error is one of the guest, not
// of the program.
func run(t *teller, index int, p job.Program) error {
	if err := t.tell(job.Event{Kind: job.Begun, Program: index}); err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	told := make(chan error, 1)
	go func() { told <- tellOutput(t, index, read) }()
	status := start(p, write)
	// Whatever else it has started ends with it, and the output too.
	killOthers()
	if err := errors.Join(<-told, read.Close()); err != nil {
		return err
	}
	return t.tell(job.Event{Kind: job.Ended, Program: index, Status: status})
}

// tellOutput tells what a program writes until nobody can write any more.
func tellOutput(t *teller, index int, from *os.File) error {
	buffer := make([]byte, 32<<10)
	for {
		n, readErr := from.Read(buffer)
		if n > 0 {
			if err := t.tell(job.Event{Kind: job.Output, Program: index, Output: buffer[:n]}); err != nil {
				return err
			}
		}
		if readErr != nil {
			return nil //nolint:nilerr // the end
		}
	}
}

// start runs a program and returns its status. It closes its output.
func start(p job.Program, output *os.File) int {
	defer output.Close() //nolint:errcheck // a pipe
	input, err := os.Open(os.DevNull)
	if err != nil {
		_, _ = fmt.Fprintf(output, "guest: %v\n", err)
		return 127
	}
	defer input.Close() //nolint:errcheck // read only
	folder := p.Folder
	if folder == "" {
		folder = "/"
	}
	process, err := os.StartProcess(p.Path, append([]string{p.Path}, p.Args...), &os.ProcAttr{
		Dir:   folder,
		Env:   []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb", "PWD=" + folder},
		Files: []*os.File{input, output, output},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		_, _ = fmt.Fprintf(output, "guest: start %s: %v\n", p.Path, err)
		return 127
	}
	return wait(process.Pid)
}

// wait waits for a process, and for all others that end meanwhile: orphans are children
// of the first process.
func wait(pid int) int {
	for {
		var status unix.WaitStatus
		ended, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 127
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal())
		case ended == pid:
			return status.ExitStatus()
		}
	}
}

// killOthers ends all processes but this one, and waits for them: they are its children, or
// become so.
func killOthers() {
	// Threads of the kernel get the signal too, and do not care, so there is always somebody.
	_ = unix.Kill(-1, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
