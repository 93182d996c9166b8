// Command dnetd is the daemon that dnet asks. It takes the arguments of `dnet daemon` and
// `dnet config check`, which become this program; without the name of a command it is the
// daemon.
package main

import (
	"context"
	"io"
	"os"

	"github.com/docker/libnetwork/cmd/dnetd/internal/daemon"
	"github.com/docker/libnetwork/cmd/dnetd/internal/plugin"
	"github.com/docker/libnetwork/cmd/internal/command"
	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cmd/internal/version"
)

func main() {
	os.Exit(command.RunDaemon(context.Background(), command.Options{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Version: version.Version(), Daemon: background{}, Plugin: enginePlugin{},
	}))
}

// background is the daemon behind the command line.
type background struct{}

func (background) Run(ctx context.Context, flags settings.Flags) error {
	return daemon.Run(ctx, daemon.Options{Flags: flags, Version: version.Version()})
}

// enginePlugin is the plugin of a container engine behind the command line.
type enginePlugin struct{}

func (enginePlugin) Serve(ctx context.Context, flags settings.Plugin) error {
	return plugin.Run(ctx, plugin.Options{Plugin: flags, Version: version.Version()})
}

func (background) Check(path string, out io.Writer) error {
	return daemon.Check(daemon.Options{}, path, out)
}
