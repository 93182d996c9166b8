//go:build unix

package command

import (
	"os"
	"syscall"
)

// programSignals returns the signals that are passed on to a program, and those that this
// program must only survive, since the terminal sends them to both.
func programSignals(atTerminal bool) (passOn, here []os.Signal) {
	passOn = []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}
	keys := []os.Signal{syscall.SIGINT, syscall.SIGQUIT}
	if atTerminal {
		return passOn, keys
	}
	return append(passOn, keys...), nil
}

// signalNumber returns the number by which a shell knows a signal.
func signalNumber(s os.Signal) int {
	number, ok := s.(syscall.Signal)
	if !ok {
		return 0
	}
	return int(number)
}
