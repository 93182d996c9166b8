package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/enter"
)

// Exit codes of shells for a program that cannot be started.
const (
	cannotStart = 126
	notThere    = 127
)

func (a *app) execCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "exec CONTAINER -- PROGRAM [ARGUMENT...]", Short: "Run a program in a container's network",
		Long: `Run a program of this machine in a container's network namespace, with the container's
resolv.conf and hosts files in the place of the machine's. All else, such as files and
processes, is the machine's. The exit code is the program's. It must run on the daemon's
machine, as root.`,
		Example: "  dnet exec c1 -- ip address\n  dnet exec c1 -- curl http://www/",
		Args:    cobra.ArbitraryArgs, ValidArgsFunction: inOrder(a.names(containerNames)),
		Annotations: map[string]string{program: "yes"},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		args, err := programOf(args, "CONTAINER")
		if err != nil {
			return err
		}
		if err := checkName("container", args[0]); err != nil {
			return err
		}
		if err := mustBeLocal(c); err != nil {
			return err
		}
		path, err := findProgram(args[1])
		if err != nil {
			return a.notStarted(err)
		}
		sandbox, err := c.Sandbox(ctx, args[0])
		if err != nil {
			return err
		}
		signals, stop := a.catchSignals()
		defer stop()
		return a.inside(sandbox, path, args[1:], signals)
	})
	return cmd
}

// programOf takes out the dashes behind the words before a program, if there are any. The
// program's own words may be empty.
func programOf(args []string, before ...string) ([]string, error) {
	words := len(before)
	if len(args) > words && args[words] == "--" {
		args = slices.Concat(args[:words], args[words+1:])
	}
	return args, count(args[:min(len(args), words+1)], words+1, append(before, "PROGRAM"))
}

// mustBeLocal refuses daemons elsewhere, whose namespaces are not here.
func mustBeLocal(c *client.Client) error {
	if c.Local() {
		return nil
	}
	err := fmt.Errorf("the daemon at %s is on another machine, and so are its containers", c.Address())
	return advise(cnm.E("run a program in a container's network", cnm.Unsupported, err), "run this on the daemon's machine")
}

// findProgram finds a program as a shell does.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		kind := cnm.NotFound
		if errors.Is(err, fs.ErrPermission) {
			kind = cnm.Forbidden
		}
		var lookup *exec.Error
		if errors.As(err, &lookup) {
			err = lookup.Err
		}
		return "", cnm.E(fmt.Sprintf("program %q", name), kind, err)
	}
	return path, nil
}

// notStarted tells of a program that cannot be started, and ends with the code that shells
// have for it.
func (a *app) notStarted(err error) error {
	a.notef("dnet: %s\n", err)
	if errors.Is(err, cnm.NotFound) {
		return exitCode(notThere)
	}
	return exitCode(cannotStart)
}

// catchSignals keeps signals from ending this program; they are for the one that it runs.
// What a terminal sends, it sends to both: that is not passed on.
func (a *app) catchSignals() (passed <-chan os.Signal, stop func()) {
	atTerminal := a.Stdin != nil && term.IsTerminal(int(a.Stdin.Fd()))
	passOn, here := programSignals(atTerminal)
	signals, kept := make(chan os.Signal, 16), make(chan os.Signal, 1)
	signal.Notify(signals, passOn...)
	if len(here) > 0 {
		signal.Notify(kept, here...)
	}
	return signals, func() { signal.Stop(signals); signal.Stop(kept) }
}

// inside runs a program in a sandbox and returns its exit code as an error, if it is not 0.
func (a *app) inside(sandbox api.Sandbox, path string, args []string, signals <-chan os.Signal) error {
	if !sandbox.Ready {
		err := fmt.Errorf("sandbox of container %q: has no namespace yet", sandbox.ContainerID)
		return advise(cnm.E("", cnm.Forbidden, err), "give it one with: dnet sandbox key "+sandbox.ContainerID+" /proc/PID/ns/net")
	}
	command := enter.Command{
		Namespace: sandbox.Key, Hostname: sandbox.Hostname, Files: map[string]string{},
		Path: path, Args: args, Stdin: a.Stdin, Stdout: a.Stdout, Stderr: a.Stderr, Signals: signals,
	}
	if sandbox.Host {
		// The daemon's own namespace is this program's too.
		command.Namespace = ""
	}
	for target, source := range map[string]string{"/etc/resolv.conf": sandbox.ResolvConfPath, "/etc/hosts": sandbox.HostsPath} {
		if source != "" {
			command.Files[target] = source
		}
	}
	code, err := enter.Run(command)
	if err != nil {
		if _, there := os.Stat(sandbox.Key); errors.Is(there, fs.ErrNotExist) && command.Namespace != "" {
			return advise(err, "is this the daemon's machine, and not another container? the namespace is at "+sandbox.Key+" there")
		}
		return err
	}
	if code != 0 {
		return exitCode(code)
	}
	return nil
}
