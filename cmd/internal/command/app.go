package command

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
)

// Options are the program around the command line.
type Options struct {
	// Args are without the program's name.
	Args                  []string
	Stdin, Stdout, Stderr *os.File
	Getenv                func(string) string
	Version               string
	// Daemon must be there if commands are run.
	Daemon Daemon
	Plugin Plugin
}

// Daemon is what runs behind `dnet daemon` and `dnet config`. It may do so by becoming
// another program: then a method returns only if that cannot be.
type Daemon interface {
	// Run runs the daemon until ctx is done or it is told to end.
	Run(ctx context.Context, flags settings.Flags) error
	// Check reads a configuration file, strictly, and writes what is in force with it. An
	// empty path is the file that the daemon would read.
	Check(path string, out io.Writer) error
}

// app is one run of the program.
type app struct {
	Options
	// out is the standard output, and remembers the first error of writing.
	out *output
	// host and the rest are global flags.
	host                       string
	tlsCA, tlsCert, tlsKey     string
	debug, asDaemon            bool
	logLevel, configFile       string
	outTerminal, errorTerminal bool
}

// output remembers the first error.
type output struct {
	to  io.Writer
	err error
}

// Write writes.
func (o *output) Write(text []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.to.Write(text)
	if err != nil {
		o.err = cnm.E("write output", cnm.Internal, err)
	}
	return n, err
}

func (a *app) printf(format string, args ...any) { _, _ = fmt.Fprintf(a.out, format, args...) }

// notef writes to people who wait, not to programs that read.
func (a *app) notef(format string, args ...any) { _, _ = fmt.Fprintf(a.Stderr, format, args...) }

// Run runs the command that the arguments say and returns the exit code.
func Run(ctx context.Context, options Options) int {
	a := newApp(options)
	root := a.root()
	return a.execute(ctx, root, normalize(root, options.Args, ""))
}

// RunDaemon is Run with nothing but the commands for which there is options.Daemon. If the
// arguments name none, the daemon is meant.
func RunDaemon(ctx context.Context, options Options) int {
	a := newApp(options)
	root := a.daemonRoot()
	return a.execute(ctx, root, normalize(root, options.Args, daemonName))
}

// Root returns the commands, for what shows them and does not run them.
func Root(options Options) *cobra.Command { return newApp(options).root() }

func (a *app) execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	ran, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = a.out.err
	}
	return a.end(ran, err)
}

func newApp(options Options) *app {
	a := &app{Options: options, out: &output{to: options.Stdout}}
	if options.Stdout != nil {
		a.outTerminal = term.IsTerminal(int(options.Stdout.Fd()))
	}
	if options.Stderr != nil {
		a.errorTerminal = term.IsTerminal(int(options.Stderr.Fd()))
	}
	return a
}

// client returns a client of the daemon that the flags, or else the environment, say.
func (a *app) client() (*client.Client, error) {
	host := a.host
	if host == "" {
		host = a.Getenv("DNET_HOST")
	}
	var options []client.Option
	if a.tlsCA != "" || a.tlsCert != "" || a.tlsKey != "" {
		options = append(options, client.WithTLSFiles(a.tlsCA, a.tlsCert, a.tlsKey))
	}
	if a.debug || a.logLevel == "debug" {
		options = append(options, client.WithTransport(a.traced))
	}
	return client.New(host, options...)
}

// asking makes a command of a function that asks the daemon.
func (a *app) asking(do func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), c, args)
	}
}
