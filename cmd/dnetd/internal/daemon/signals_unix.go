//go:build unix

package daemon

import (
	"os"
	"syscall"
)

func handledSignals() []os.Signal {
	return []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1}
}

func signalReload() os.Signal { return syscall.SIGHUP }

func signalDump() os.Signal { return syscall.SIGUSR1 }
