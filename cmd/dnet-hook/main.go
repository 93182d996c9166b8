// Command dnet-hook gives containers networks, as a hook of an OCI runtime. As
// libnetwork-setkey it is the hook of 2017's library.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/docker/libnetwork/cmd/internal/version"
	"github.com/docker/libnetwork/hook"
)

func main() {
	os.Exit(run())
}

func run() int {
	// A runtime that gives up, or a machine that goes down: what was done is taken back.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return hook.Run(ctx, hook.Options{
		Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: version.Version(),
	})
}
