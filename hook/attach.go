package hook

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/process"
)

// Labels of the sandboxes that attach makes.
const (
	// labelAttempt tells the sandbox of one attempt from all others.
	labelAttempt = "oci.attempt"
	// labelPID and labelStart name the container's first process, see process.Process.
	labelPID   = "oci.pid"
	labelStart = "oci.start"
	// labelBundle tells containers of one id apart, which different runtimes may have.
	labelBundle = "oci.bundle"
)

// listFlag is a flag of a setting; given several times it is a list.
type listFlag struct {
	to      map[string]string
	setting setting
}

// Set implements flag.Value.
func (l listFlag) Set(text string) error {
	before, again := l.to[l.setting.name]
	switch {
	case !again:
		l.to[l.setting.name] = text
	case l.setting.separator == "":
		return errors.New("is given twice")
	default:
		l.to[l.setting.name] = before + l.setting.separator + text
	}
	return nil
}

// String implements flag.Value.
func (l listFlag) String() string { return "" }

func runAttach(ctx context.Context, o Options, arguments []string) error {
	var c common
	flags := flag.NewFlagSet("attach", flag.ContinueOnError)
	c.bind(o, flags)
	noAnnotations := flags.Bool("no-annotations", false, "do what the flags say and nothing else")
	given := make(map[string]string)
	for _, s := range settings() {
		usage := s.usage + "; annotation " + prefix + s.name
		if s.separator != "" {
			usage += ", separated by \"" + s.separator + "\""
		}
		flags.Var(listFlag{given, s}, s.name, usage)
	}
	if err := c.parse(o, flags, arguments); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	state, err := awaitState(ctx, o.Stdin)
	if err != nil {
		return cnm.Wrap("attach", err)
	}
	op := fmt.Sprintf("attach container %q", state.ID)
	a, err := prepare(state, given, *noAnnotations)
	if err != nil {
		return cnm.Wrap(op, err)
	}
	daemon, err := c.daemon()
	if err != nil {
		return cnm.Wrap(op, err)
	}
	defer daemon.Close()
	a.daemon = daemon
	if strings.HasPrefix(daemon.Address(), "unix:") {
		// Whatever becomes of the runtime and of detach, nothing outlives the container. By
		// TCP the daemon does not know whose process numbers it is told.
		a.wish.sandbox.Lifetime, a.wish.sandbox.OwnerPID = api.LifetimeProcess, state.Pid
	}
	return cnm.Wrap(op, a.do(ctx))
}

// attachment is one attempt to attach a container.
type attachment struct {
	daemon *client.Client
	state  specs.State
	bundle *bundle
	wish   *wish
	// attempt is in the labels of the sandbox.
	attempt string
	// start is that of the container's process, see process.Process; empty where it cannot
	// be told.
	start string
}

// startOf returns when the process started. One that there is not is NotFound.
func startOf(pid int) (string, error) {
	p, err := process.Open(pid)
	switch {
	case err == nil:
		return strconv.FormatUint(p.Start, 10), p.Close()
	case errors.Is(err, cnm.NotFound):
		return "", err
	default:
		return "", nil
	}
}

// checkLife looks whether the process is still the one that was there at the beginning. The
// number of one that has ended may be another's, and its namespace be the wrong one.
func (a *attachment) checkLife() error {
	start, err := startOf(a.state.Pid)
	if err == nil && start != a.start {
		err = cnm.E("", cnm.NotFound, errors.New("its number is another process's now"))
	}
	return cnm.Wrap("the container has ended meanwhile", err)
}

// prepare checks all that can be checked before anything changes.
func prepare(state specs.State, flags map[string]string, noAnnotations bool) (*attachment, error) {
	if err := checkProcess(state); err != nil {
		return nil, err
	}
	b, err := readBundle(state)
	if err != nil {
		return nil, err
	}
	annotations := state.Annotations
	if len(annotations) == 0 {
		annotations = b.Annotations // there are runtimes that leave them out of the state
	}
	if noAnnotations {
		annotations = nil
	}
	w, err := parseWish(annotations, flags)
	if err != nil {
		return nil, err
	}
	a := &attachment{state: state, bundle: b, wish: w, attempt: rand.Text()}
	if a.start, err = startOf(state.Pid); err != nil {
		return nil, err
	}
	if err := checkNamespace(state); err != nil {
		return nil, err
	}
	return a, a.completeSandbox()
}

// completeSandbox fills in what the state and the bundle tell.
func (a *attachment) completeSandbox() (err error) {
	sandbox := &a.wish.sandbox
	sandbox.ContainerID, sandbox.UseExternalKey = a.state.ID, true
	sandbox.HostName = cmp.Or(sandbox.HostName, a.bundle.Hostname)
	sandbox.Labels = map[string]any{labelAttempt: a.attempt, labelPID: strconv.Itoa(a.state.Pid), labelBundle: a.state.Bundle}
	if a.start != "" {
		sandbox.Labels[labelStart] = a.start
	}
	if a.wish.files != filesBundle {
		return nil
	}
	if sandbox.ResolvConfPath, err = a.bundle.ownFile("resolv.conf"); err != nil {
		return err
	}
	sandbox.HostsPath, err = a.bundle.ownFile("hosts")
	return err
}

// do makes the sandbox and connects it, or takes back what it has done. The key comes
// last: then the kernel is told of all networks at once.
func (a *attachment) do(ctx context.Context) error {
	id, err := a.createSandbox(ctx)
	if err != nil {
		return a.takeBack(ctx, id, err)
	}
	for _, n := range a.wish.networks {
		n.connect.Container = id
		if _, err := a.daemon.Connect(ctx, n.network, n.connect); err != nil {
			return a.takeBack(ctx, id, cnm.Wrap(fmt.Sprintf("connect to network %q", n.network), err))
		}
	}
	if _, err := a.daemon.SetSandboxKey(ctx, id, namespaceOf(a.state)); err != nil {
		return a.takeBack(ctx, id, err)
	}
	if err := a.checkLife(); err != nil {
		return a.takeBack(ctx, id, err)
	}
	if err := a.copyFiles(ctx, id); err != nil {
		return a.takeBack(ctx, id, err)
	}
	return nil
}

// createSandbox makes the sandbox. One of the same container that an earlier attempt left,
// whose process has ended, is deleted first: the runtime has started it anew.
func (a *attachment) createSandbox(ctx context.Context) (string, error) {
	id, err := a.daemon.CreateSandbox(ctx, a.wish.sandbox)
	if !errors.Is(err, cnm.Exists) {
		return id, err
	}
	old, findErr := a.daemon.Sandbox(ctx, a.state.ID)
	if findErr != nil || !isLeft(old) {
		return "", err
	}
	if err := a.daemon.DeleteSandbox(ctx, old.ID); err != nil && !errors.Is(err, cnm.NotFound) {
		return "", err
	}
	return a.daemon.CreateSandbox(ctx, a.wish.sandbox)
}

// isLeft reports whether attach made the sandbox, for a process that has ended.
func isLeft(sb api.Sandbox) bool {
	text, _ := sb.Labels[labelPID].(string)
	pid, err := strconv.Atoi(text)
	if err != nil || !attached(sb) {
		return false
	}
	p, err := process.Open(pid)
	if err != nil {
		return errors.Is(err, cnm.NotFound)
	}
	defer p.Close() //nolint:errcheck // nothing was written
	start, known := sb.Labels[labelStart].(string)
	return known && start != strconv.FormatUint(p.Start, 10)
}

// attached reports whether attach made the sandbox.
func attached(sb api.Sandbox) bool {
	_, ours := sb.Labels[labelAttempt]
	return ours
}

// takeBack deletes the sandbox, also if the daemon made it and we were not told, and
// returns cause, with what went wrong here too.
func (a *attachment) takeBack(ctx context.Context, id string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTime)
	defer cancel()
	if id == "" {
		kind := cnm.KindOf(cause)
		if kind != cnm.Timeout && kind != cnm.Unavailable && kind != cnm.Internal {
			return cause // the daemon has refused it
		}
		sb, err := a.daemon.Sandbox(ctx, a.state.ID)
		if err != nil || sb.Labels[labelAttempt] != a.attempt {
			return cause
		}
		id = sb.ID
	}
	if err := a.daemon.DeleteSandbox(ctx, id); err != nil && !errors.Is(err, cnm.NotFound) {
		return cnm.E("", cnm.KindOf(cause), fmt.Errorf("%w; and what was done could not be taken back: %w", cause, err))
	}
	return cause
}

// detach deletes the sandbox of a container that attach made; there need not be one. A
// runtime calls it also for a container that attach has refused because another one of the
// same id has a sandbox: that one's stays.
func detach(ctx context.Context, daemon *client.Client, state specs.State) error {
	all, err := daemon.Sandboxes(ctx, client.SandboxFilter{ContainerID: state.ID})
	if err != nil {
		return err
	}
	for _, sb := range all {
		if !attached(sb) {
			return cnm.E("", cnm.Forbidden, fmt.Errorf("its sandbox was not made by attach; delete it with: dnet container rm %q", state.ID))
		}
		if bundle, known := sb.Labels[labelBundle].(string); known && !sameBundle(bundle, state.Bundle) {
			continue
		}
		if err := daemon.DeleteSandbox(ctx, sb.ID); err != nil && !errors.Is(err, cnm.NotFound) {
			return err
		}
	}
	return nil
}

// sameBundle reports whether two paths are one bundle's, which need not be there any more.
// A state that names none is of any.
func sameBundle(recorded, given string) bool {
	if given == "" || filepath.Clean(recorded) == filepath.Clean(given) {
		return true
	}
	one, oneErr := os.Stat(recorded)
	other, otherErr := os.Stat(given)
	return oneErr == nil && otherErr == nil && os.SameFile(one, other)
}
