// Command dnet-cni is a CNI plugin: see package cni. Container runtimes start it.
package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/docker/libnetwork/cni"
)

// garbageLimit is from how much memory on, in bytes, there is garbage collection.
const garbageLimit = 256 << 20

func main() {
	// The process lives for some milliseconds, in which it waits for the kernel: workers of
	// the garbage collector, and a second processor, would take longer to start than they
	// save.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(garbageLimit)
	runtime.GOMAXPROCS(1)
	os.Exit(cni.Run(context.Background(), cni.Process{Environment: os.Getenv, Input: os.Stdin, Output: os.Stdout}))
}
