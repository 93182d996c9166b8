// Command init is the first process of the rig's guest. It loads modules, lays a file
// system in memory over the root of the host, which it can only read, runs the programs
// of its job there, and powers off. It tells what happens on a virtio port.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/test/guest/job"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: this is the first process of a guest, and would power off the machine")
		os.Exit(1)
	}
	if err := work(); err != nil {
		// The console, which the rig shows when there are no events.
		fmt.Fprintln(os.Stderr, "init:", err)
	}
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	fmt.Fprintln(os.Stderr, "init: power off:", err) // and the kernel panics, as its first process ends
}

func work() error {
	if err := mountAll(firstMounts()); err != nil {
		return err
	}
	text, err := os.ReadFile(job.File)
	if err != nil {
		return err
	}
	var j job.Job
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("read %s: %w", job.File, err)
	}
	for _, file := range j.Insert {
		if err := insert(file); err != nil {
			return err
		}
	}
	port, err := openPort(job.Port)
	if err != nil {
		return err
	}
	t := &teller{port: json.NewEncoder(port)}
	if err := prepare(j); err != nil {
		return t.tell(job.Event{Kind: job.Broken, Output: []byte(err.Error())})
	}
	if err := t.tell(job.Event{Kind: job.Up}); err != nil {
		return err
	}
	for i, p := range j.Programs {
		if err := run(t, i, p); err != nil {
			return err
		}
	}
	return t.tell(job.Event{Kind: job.Done})
}

// insert loads a module from a file; one that is there already is fine.
func insert(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()                                                                    //nolint:errcheck // read only
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST { //nolint:errorlint // an errno
		return fmt.Errorf("load %s: %w", file, err)
	}
	return nil
}

// uptime returns 0 if it cannot be told.
func uptime() float64 {
	text, _ := os.ReadFile("/proc/uptime")
	first, _, _ := strings.Cut(string(text), " ")
	seconds, _ := strconv.ParseFloat(first, 64)
	return seconds
}
