// Command dnet gives containers networks: it is the daemon, and what asks the daemon.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/docker/libnetwork/cmd/dnet/internal/command"
)

func main() {
	os.Exit(command.Run(context.Background(), command.Options{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Version: version(),
	}))
}

// version returns that of the module, which go takes from the tag when it builds.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}
