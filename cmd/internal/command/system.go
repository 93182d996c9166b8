package command

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
)

// daemonName is the command that `dnet -d` means.
const daemonName = "daemon"

func (a *app) daemonCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: daemonName, Short: "Run the daemon, in the foreground",
		Long:    "Run the daemon, in the foreground, until it gets SIGTERM or SIGINT. Containers stay connected.",
		Example: "  dnet daemon\n  dnet -d -D -H unix:///run/libnetwork/dnet.sock",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	var flags settings.Flags
	flags.BindFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.Daemon.Run(cmd.Context(), flags) }
	return cmd
}

func (a *app) configCommand() *cobra.Command {
	check := &cobra.Command{
		Use: "check [FILE]", Short: "Check a configuration file, and print what is in force with it",
		Example: "  dnet config check /etc/default/libnetwork.toml",
		Args:    atMost("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.configFile
			if len(args) > 0 {
				path = args[0]
			}
			err := a.Daemon.Check(path, a.out)
			if errors.Is(err, cnm.Unavailable) {
				return err // there was nobody to check it
			}
			return advise(err, "correct the file, and check it again")
		},
	}
	return group(&cobra.Command{Use: "config", Short: "The daemon's configuration file"}, check)
}

func (a *app) infoCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "info", Short: "Tell of the daemon",
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	addFormat(cmd, &format, "table")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		info, err := c.Info(ctx)
		if err != nil {
			return err
		}
		if form.text != "table" {
			return form.print(info)
		}
		health, err := c.Health(ctx)
		if err != nil && !errors.Is(err, cnm.Unsupported) && !errors.Is(err, cnm.NotFound) {
			return err
		}
		a.showInfo(c, info, health, err == nil)
		return nil
	})
	return cmd
}

func (a *app) showInfo(c *client.Client, i api.Info, health api.Health, known bool) {
	line := func(name, value string) {
		if value != "" {
			a.printf("%-18s%s\n", name+":", value)
		}
	}
	line("Daemon", c.Address())
	line("Version", i.Version)
	line("Started", i.Started.Local().Format(time.RFC3339))
	if i.PID != 0 {
		a.printf("%-18s%d\n", "Process:", i.PID)
	}
	switch {
	case !known:
	case health.Healthy:
		line("Health", a.colour(green, "well"))
	default:
		line("Health", a.colour(red, strings.Join(health.Problems, "; ")))
	}
	line("Controller", i.ControllerID)
	a.printf("%-18s%d\n%-18s%d\n%-18s%d\n", "Networks:", i.Networks, "Endpoints:", i.Endpoints, "Sandboxes:", i.Sandboxes)
	line("Drivers", strings.Join(i.Drivers, " "))
	line("Address drivers", strings.Join(i.IPAMDrivers, " "))
	line("Default network", i.DefaultNetwork)
	line("Default driver", i.DefaultDriver)
	line("Packet filter", i.Firewall)
	line("Data", i.DataDir)
	line("Run-time files", i.ExecRoot)
	line("Labels", strings.Join(i.Labels, " "))
	line("Kernel", i.Kernel)
	line("Go", i.Go)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Tell the version of this program, and of the daemon",
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.printf("Client: %s\n", a.Version)
			return a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
				version, err := c.Version(ctx)
				if err != nil {
					return err
				}
				a.printf("Daemon: %s\n", version)
				return nil
			})(cmd, args)
		},
	}
}
