// Command dnet gives containers networks: it is the daemon, and what asks the daemon.
package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/cmd/dnet/internal/command"
	"github.com/docker/libnetwork/cmd/dnet/internal/daemon"
	"github.com/docker/libnetwork/cmd/dnet/internal/plugin"
	"github.com/docker/libnetwork/cmd/dnet/internal/settings"
)

func main() {
	os.Exit(command.Run(context.Background(), command.Options{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Version: version(),
		Daemon: &background{daemon.Options{Version: version()}},
		Plugin: enginePlugin{},
	}))
}

// background is the daemon behind the command line.
type background struct{ options daemon.Options }

func (b *background) BindFlags(flags *pflag.FlagSet) { b.options.BindFlags(flags) }

func (b *background) Run(ctx context.Context) error { return daemon.Run(ctx, b.options) }

func (b *background) Check(path string, out io.Writer) error {
	return daemon.Check(b.options, path, out)
}

// enginePlugin is the plugin behind the command line.
type enginePlugin struct{}

func (enginePlugin) Serve(ctx context.Context, flags settings.Plugin) error {
	return plugin.Run(ctx, plugin.Options{Plugin: flags, Version: version()})
}

// stamp is the version that `make dnet` gives to the linker.
var stamp string //nolint:gochecknoglobals // the linker writes to nothing else

// version returns the stamp, or else that of the module, which go takes from the tag when
// it builds.
func version() string {
	if stamp != "" {
		return stamp
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}
