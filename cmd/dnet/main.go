// Command dnet gives containers networks: it asks a daemon, which is the program dnetd.
//
// It starts in a few milliseconds, since it is called often, and by scripts: what takes
// longer to load than that, the daemon, is not linked in. `dnet daemon`, `dnet -d` and
// `dnet config check` become dnetd.
package main

import (
	"context"
	"os"

	"github.com/docker/libnetwork/cmd/dnet/internal/handover"
	"github.com/docker/libnetwork/cmd/internal/command"
	"github.com/docker/libnetwork/cmd/internal/version"
)

func main() {
	os.Exit(command.Run(context.Background(), command.Options{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Version: version.Version(),
		Daemon: handover.Daemon{Args: os.Args[1:]}, Plugin: handover.Daemon{Args: os.Args[1:]},
	}))
}
