package hook

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/setkey"
)

// HostVariable names, in the environment, the daemon's address for commands without the
// flag -H. A hook's environment is what the bundle says, not the runtime's own.
const HostVariable = "DNET_HOST"

// SetKeyName is the name by which the program does the command setkey.
const SetKeyName = "libnetwork-setkey"

// How long a command may take by default, and how long the taking back of what it has
// done. Together they are less than a minute, which is what runtimes and people wait.
const (
	defaultTime  = 30 * time.Second
	takeBackTime = 15 * time.Second
)

// Options are what the program gets from outside.
type Options struct {
	// Args begin with the name of the program.
	Args []string
	// Stdin has the state of the container.
	Stdin io.Reader
	// Stdout takes help, Stderr takes the one line that says what was wrong.
	Stdout, Stderr io.Writer
	// Getenv nil means an empty environment.
	Getenv func(string) string
	// Version is the program's, as it is told to people.
	Version string
}

// Run does a command and returns the exit code: 0, or that of package api for the kind of
// the error. When ctx is done the command is given up, and what it did is taken back.
func Run(ctx context.Context, o Options) int {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	name, arguments := command(o.Args)
	err := run(ctx, o, name, arguments)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	_, _ = fmt.Fprintf(o.Stderr, "dnet-hook: %s\n", oneLine(err))
	return api.ExitCode(cnm.KindOf(err))
}

// command finds the command's name. That of the program stands for it: as a link, or
// because a bundle's args have no name of the program.
func command(args []string) (name string, arguments []string) {
	if len(args) == 0 {
		return "", nil
	}
	switch base := filepath.Base(args[0]); {
	case base == SetKeyName:
		return "setkey", args[1:]
	case slices.Contains([]string{"attach", "detach", "setkey"}, base):
		return base, args[1:]
	case len(args) == 1:
		return "", nil
	default:
		return args[1], args[2:]
	}
}

// oneLine is what a runtime can show.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
	var report *api.Error
	if errors.As(err, &report) && report.Detail != "" {
		text += " (" + report.Detail + ")"
	}
	return text
}

const usage = `dnet-hook gives containers networks, as a hook of an OCI runtime.

  dnet-hook attach [FLAGS]    createRuntime or prestart: connect the container
  dnet-hook detach [FLAGS]    poststop: take that away
  dnet-hook setkey [-exec-root=DIR] CONTAINER CONTROLLER
                              the hook of 2017's library; also called libnetwork-setkey

The state of the container is read from the standard input. dnet-hook attach -h lists flags
and annotations.
`

func run(ctx context.Context, o Options, name string, arguments []string) error {
	switch name {
	case "attach":
		return runAttach(ctx, o, arguments)
	case "detach":
		return runDetach(ctx, o, arguments)
	case "setkey":
		return runSetKey(ctx, o, arguments)
	case "version", "--version", "-version":
		_, err := fmt.Fprintln(o.Stdout, "dnet-hook", o.Version)
		return err
	case "help", "-h", "--help", "-help":
		_, err := io.WriteString(o.Stdout, usage)
		return err
	case "":
		return invalid("no command: want attach, detach or setkey; dnet-hook help tells more")
	default:
		return invalid("command %q: is not known; want attach, detach or setkey", name)
	}
}

func invalid(format string, arguments ...any) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf(format, arguments...))
}

// common are the flags of attach and detach.
type common struct {
	host    string
	timeout time.Duration
}

// parse reads flags. Help goes to the standard output, and is no error of ours.
func parse(o Options, flags *flag.FlagSet, arguments []string, most int) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(o.Stdout)
		flags.Usage()
		return err
	}
	if err != nil {
		return cnm.E(flags.Name(), cnm.Invalid, err)
	}
	if flags.NArg() != most {
		return cnm.E(flags.Name(), cnm.Invalid, fmt.Errorf("got %d arguments behind the flags, %q: want %d", flags.NArg(), flags.Args(), most))
	}
	return nil
}

func noTime(timeout time.Duration) error {
	return invalid("timeout %v: want more than none", timeout)
}

func (c *common) bind(o Options, flags *flag.FlagSet) {
	flags.StringVar(&c.host, "H", cmp.Or(o.Getenv(HostVariable), client.DefaultAddress), "the daemon's `address`")
	flags.DurationVar(&c.timeout, "timeout", defaultTime, "give up after this `time`")
}

// parse reads the flags of attach or detach, which have no arguments.
func (c *common) parse(o Options, flags *flag.FlagSet, arguments []string) error {
	if err := parse(o, flags, arguments, 0); err != nil {
		return err
	}
	if c.timeout <= 0 {
		return cnm.Wrap(flags.Name(), noTime(c.timeout))
	}
	return nil
}

// daemon returns a client of the daemon, which must see the processes that we see.
func (c *common) daemon() (*client.Client, error) {
	daemon, err := client.New(c.host)
	if err != nil {
		return nil, err
	}
	if !daemon.Local() {
		return nil, invalid("daemon's address %q: must be on this machine, where the container is", c.host)
	}
	return daemon, nil
}

func runDetach(ctx context.Context, o Options, arguments []string) error {
	var c common
	flags := flag.NewFlagSet("detach", flag.ContinueOnError)
	c.bind(o, flags)
	if err := c.parse(o, flags, arguments); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	state, err := awaitState(ctx, o.Stdin)
	if err != nil {
		return cnm.Wrap("detach", err)
	}
	op := fmt.Sprintf("detach container %q", state.ID)
	daemon, err := c.daemon()
	if err != nil {
		return cnm.Wrap(op, err)
	}
	defer daemon.Close()
	return cnm.Wrap(op, detach(ctx, daemon, state))
}

// runSetKey is the hook of 2017's library.
func runSetKey(ctx context.Context, o Options, arguments []string) error {
	flags := flag.NewFlagSet("setkey", flag.ContinueOnError)
	execRoot := flags.String("exec-root", setkey.DefaultExecRoot, "`folder` of the controller's run-time files")
	timeout := flags.Duration("timeout", defaultTime, "give up after this `time`")
	if err := parse(o, flags, arguments, 2); err != nil {
		return err
	}
	container, controller := flags.Arg(0), flags.Arg(1)
	op := fmt.Sprintf("set key of container %q", container)
	switch {
	case controller == "" || strings.ContainsRune(controller, '/') || strings.Trim(controller, ".") == "":
		return cnm.Wrap(op, invalid("controller %q: want its id, or the first 12 digits", controller))
	case !filepath.IsAbs(*execRoot):
		return cnm.Wrap(op, invalid("exec root %q: want an absolute path", *execRoot))
	case *timeout <= 0:
		return cnm.Wrap(op, noTime(*timeout))
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	state, err := awaitState(ctx, o.Stdin)
	if err == nil {
		err = checkProcess(state)
	}
	if err != nil {
		return cnm.Wrap(op, err)
	}
	request := setkey.Request{ContainerID: container, Key: namespaceOf(state)}
	return cnm.Wrap(op, setkey.Send(ctx, setkey.Socket(*execRoot, controller), request))
}
