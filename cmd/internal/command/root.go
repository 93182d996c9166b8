package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
)

// Groups of commands in the help.
const (
	things = "things"
	watch  = "watch"
	care   = "care"
)

// root returns the tree of commands.
func (a *app) root() *cobra.Command {
	root := a.trunk()
	root.AddGroup(&cobra.Group{ID: things, Title: "What there is:"},
		&cobra.Group{ID: watch, Title: "Running and watching:"}, &cobra.Group{ID: care, Title: "The daemon and its care:"})
	add(root, things, a.networkCommand(), a.endpointCommand(), a.sandboxCommand(), a.serviceCommand(), a.containerCommand())
	add(root, watch, a.runCommand(), a.execCommand(), a.psCommand(), a.topCommand(), a.eventsCommand(), a.dnsCommand(), a.whyCommand())
	add(root, care, a.daemonCommand(), a.pluginCommand(), a.configCommand(), a.repairCommand(), a.doctorCommand(), a.dumpCommand(),
		a.infoCommand(), a.versionCommand())
	root.AddCommand(a.pageCommand())
	return group(root)
}

// daemonRoot returns the tree of those that need the daemon in the program.
func (a *app) daemonRoot() *cobra.Command {
	root := a.trunk()
	root.Short, root.Example = "The daemon of dnet", ""
	root.Long = `dnetd is the daemon behind "dnet daemon", whose flags it takes, what reads its
configuration, behind "dnet config", and the plugin behind "dnet plugin serve".`
	group(root, a.daemonCommand(), a.pluginCommand(), a.configCommand())
	// What they say is right where commands ask the daemon.
	hide := func(f *pflag.Flag) { f.Hidden = true }
	root.Flags().VisitAll(hide)
	root.PersistentFlags().VisitAll(hide)
	root.CompletionOptions.DisableDefaultCmd = true
	root.InitDefaultHelpCmd() // or help would be taken for a word behind the daemon
	return root
}

// trunk returns dnet without commands: its name, its global flags, and its ways.
func (a *app) trunk() *cobra.Command {
	root := &cobra.Command{
		Use:   "dnet",
		Short: "Networks for containers",
		Long: `dnet gives containers networks: it makes networks, endpoints and sandboxes, publishes
ports, and finds out why a packet does not arrive.

Commands ask a daemon, which "dnet daemon" starts. Networks, endpoints, services and
sandboxes are named by name, by id, or by the beginning of an id; a sandbox also by the
id of its container.`,
		Example: `  dnet network create web
  dnet run --network web --publish 8080:80 --name www -- python3 -m http.server 80
  dnet ps
  dnet why outside www:80`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		TraverseChildren: true,
	}
	root.CompletionOptions.DisableDescriptions = false
	root.SetOut(a.out)
	root.SetErr(a.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return cnm.E("", cnm.Invalid, err) })
	flags := root.PersistentFlags()
	flags.StringVarP(&a.host, "host", "H", "", "`address` of the daemon: unix:///path or tcp://host:port (default $DNET_HOST, else "+client.DefaultAddress+")")
	flags.StringVar(&a.tlsCA, "tlscacert", "", "`file` with the authority that signed the daemon's certificate")
	flags.StringVar(&a.tlsCert, "tlscert", "", "`file` with the client's certificate")
	flags.StringVar(&a.tlsKey, "tlskey", "", "`file` with the client's key")
	flags.BoolVarP(&a.debug, "debug", "D", false, "show what is asked of the daemon")
	// These are before the command only: a command's own -l and -c mean something else.
	root.Flags().BoolVarP(&a.asDaemon, "daemon", "d", false, "run the daemon, as in: dnet daemon")
	root.Flags().StringVarP(&a.logLevel, "log-level", "l", "info", "`level` of the daemon's log; debug is --debug for other commands")
	root.Flags().StringVarP(&a.configFile, "cfg-file", "c", "", "`file` with the configuration of the daemon")
	return root
}

func add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
	}
	root.AddCommand(commands...)
}

// group makes a command that only has others below it: alone it shows its help.
func group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		err := fmt.Errorf("%q is not a command of %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			err = fmt.Errorf("%w; did you mean %q?", err, strings.Join(near, `" or "`))
		}
		return cnm.E("", cnm.Invalid, err)
	}
	// A shell completes commands here, not files.
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// exactly wants as many arguments as there are names, and says which are missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error { return count(args, len(names), names) }
}

// atLeast wants the names, of which the last may be repeated.
func atLeast(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error { return count(args, -1, names) }
}

// atMost takes up to as many arguments as there are names.
func atMost(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error { return count(args, len(names), nil) }
}

func count(args []string, most int, names []string) error {
	switch {
	case len(args) < len(names):
		return cnm.E("", cnm.Invalid, errors.New("what is missing: "+strings.Join(names[len(args):], ", ")))
	case most >= 0 && len(args) > most:
		return cnm.E("", cnm.Invalid, fmt.Errorf("what is %q for? there are too many words", args[most]))
	}
	for i, arg := range args {
		if strings.TrimSpace(arg) == "" {
			return cnm.E("", cnm.Invalid, fmt.Errorf("word %d is empty", i+1))
		}
	}
	return nil
}
