//go:build !unix

package handover

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
)

// replace comes close to what it is elsewhere: it runs the program, leaves the keyboard's
// interrupts to it, and ends as it does.
func replace(path string, args []string) error {
	signal.Ignore(os.Interrupt)
	defer signal.Reset(os.Interrupt)
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) {
		os.Exit(cmd.ProcessState.ExitCode())
	}
	return fmt.Errorf("program %q: %w", path, err)
}
