package cni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/docker/libnetwork/kernel/netns"
)

// Process is what a runtime gives to the plugin that it starts.
type Process struct {
	// Environment returns a variable, as os.Getenv does.
	Environment func(name string) string
	// Input has the configuration, as JSON.
	Input io.Reader
	// Output takes the result, or the error, as JSON.
	Output io.Writer
}

// backend is where networks and attachments are kept.
type backend interface {
	add(context.Context, *configuration) (*attached, error)
	delete(ctx context.Context, network string, key key) error
	check(context.Context, *configuration) (*attached, []string, error)
	status(context.Context, *configuration) error
	collect(ctx context.Context, network string, valid map[key]bool) error
	close() error
}

// key tells attachments of a network apart.
type key struct{ container, ifname string }

// Labels of what is made here.
const (
	labelContainer = "cni.container"
	labelInterface = "cni.interface"
	// labelNetwork has the network's configuration as it was when the network was made.
	labelNetwork = "cni.network"
)

// Run carries out the one operation that the environment names, and returns the exit
// status of the process: 0, or 1 with an error on the output.
func Run(ctx context.Context, p Process) int {
	version, result, err := run(ctx, p)
	if err == nil && result != nil {
		err = write(p.Output, version, result)
	}
	if err != nil {
		printError(p.Output, version, err)
		return 1
	}
	return 0
}

// run returns the version to answer in, and what to answer, which may be nothing.
func run(ctx context.Context, p Process) (string, any, error) {
	r, err := newRequest(p.Environment)
	if err != nil {
		return latest(), nil, err
	}
	text, err := io.ReadAll(io.LimitReader(p.Input, largestInput+1))
	switch {
	case err != nil:
		return latest(), nil, fail(types.ErrIOFailure, "read configuration: %s", err)
	case len(text) > largestInput:
		return latest(), nil, fail(types.ErrIOFailure, "read configuration: is larger than %d bytes", largestInput)
	}
	if r.command == commandVersion {
		return versionReport(text)
	}
	c, err := decodeConfig(text, r)
	if err != nil {
		return c.version, nil, err
	}
	if r.command == commandAdd {
		if err := checkNamespace(r.netns); err != nil {
			return c.version, nil, err
		}
	}
	result, err := perform(ctx, r, c)
	if result == nil {
		return c.version, nil, err
	}
	return c.version, result, err
}

// versionReport is the answer to VERSION, in the version that was asked in, if it is known.
func versionReport(text []byte) (string, any, error) {
	asked := latest()
	if len(text) > 0 {
		var err error
		if asked, err = decodeVersion(text); err != nil && coded(err).Code == types.ErrDecodingFailure {
			return asked, nil, err
		}
	}
	return asked, struct {
		CNIVersion        string   `json:"cniVersion"`
		SupportedVersions []string `json:"supportedVersions"`
	}{asked, supported()}, nil
}

// checkNamespace refuses, before anything is done, what is no network namespace or that of
// the host.
func checkNamespace(path string) error {
	n, err := netns.Open(path)
	if err != nil {
		return fail(types.ErrInvalidNetNS, "CNI_NETNS %q: %s", path, err)
	}
	defer n.Close() //nolint:errcheck // read only
	there, err := os.Stat(path)
	own, ownErr := os.Stat(netns.ProcessPath())
	if err := errors.Join(err, ownErr); err != nil {
		return fail(types.ErrInvalidNetNS, "CNI_NETNS %q: %s", path, err)
	}
	if os.SameFile(there, own) {
		return fail(types.ErrInvalidNetNS, "CNI_NETNS %q: is the namespace of the host; want that of the container", path)
	}
	return nil
}

// perform opens where the records are and does what was asked.
func perform(ctx context.Context, r *request, c *configuration) (result *types100.Result, err error) {
	if c.socket != "" {
		// A daemon that hangs is one that does not answer.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.lockTimeout)
		defer cancel()
	}
	b, err := open(ctx, r.command, c)
	if b == nil || err != nil {
		return nil, opened(r.command, err)
	}
	defer func() { err = errors.Join(err, b.close()) }()
	switch r.command {
	case commandAdd:
		return add(ctx, b, c)
	case commandDelete:
		return nil, b.delete(ctx, c.network.Name, key{r.container, r.ifname})
	case commandCheck:
		return nil, check(ctx, b, c)
	case commandStatus:
		return nil, b.status(ctx, c)
	default:
		return nil, collect(ctx, b, c)
	}
}

// open returns nothing at all if there is nothing to delete anything from.
func open(ctx context.Context, command string, c *configuration) (backend, error) {
	if c.socket != "" {
		return openDaemon(c)
	}
	return openLocal(ctx, command, c)
}

// opened says with STATUS that containers cannot be added, if nothing else is known.
func opened(command string, err error) error {
	if err == nil || command != commandStatus {
		return err
	}
	return unavailable(err)
}

// unavailable is an error of STATUS.
func unavailable(err error) error {
	out := coded(err)
	if out.Code != types.ErrLimitedConnectivity {
		out.Code = types.ErrPluginNotAvailable
	}
	return out
}

func add(ctx context.Context, b backend, c *configuration) (*types100.Result, error) {
	if c.previous != nil {
		for _, link := range c.previous.Interfaces {
			if link.Sandbox != "" && link.Name == c.attachment.ifname {
				return nil, invalid("CNI_IFNAME %q: a plugin before this one has made it; this one makes its own and comes first", link.Name)
			}
		}
	}
	made, err := b.add(ctx, c)
	if err != nil {
		return nil, err
	}
	return made.result(c), nil
}

// removeInvalid takes away attachments that are not valid. One trouble does not keep it from
// the rest.
func removeInvalid(attachments []key, valid map[key]bool, remove func(key) error) []error {
	var errs []error
	for _, k := range attachments {
		if k.container == "" || valid[k] {
			continue // the former are not of this plugin's making
		}
		if err := remove(k); err != nil {
			errs = append(errs, fmt.Errorf("container %q, interface %q: %w", k.container, k.ifname, err))
		}
	}
	return errs
}

// collect reads what GC is to leave.
func collect(ctx context.Context, b backend, c *configuration) error {
	valid := make(map[key]bool, len(c.valid))
	for _, v := range c.valid {
		valid[key{v.ContainerID, v.IfName}] = true
	}
	return b.collect(ctx, c.network.Name, valid)
}

// write prints an answer in the form that its version has.
func write(to io.Writer, version string, answer any) error {
	if result, ok := answer.(*types100.Result); ok {
		converted, err := result.GetAsVersion(version)
		if err != nil {
			return fail(types.ErrInternal, "result: %s", err)
		}
		answer = converted
	}
	text, err := json.MarshalIndent(answer, "", "    ")
	if err != nil {
		return fail(types.ErrInternal, "result: %s", err)
	}
	if _, err := to.Write(append(text, '\n')); err != nil {
		return fail(types.ErrIOFailure, "write result: %s", err)
	}
	return nil
}

// endpointName is unique in a network, and short enough for one.
func (k key) endpointName() string { return fmt.Sprintf("%s-%s", k.container, k.ifname) }
