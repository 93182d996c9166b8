package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/docker/libnetwork/cnm"
)

// What is read at most, in bytes: annotations are most of a state, and a bundle's
// configuration has long lists of system calls.
const (
	largestState  = 1 << 20
	largestConfig = 8 << 20
	longestID     = 1024
)

// awaitState is readState until ctx is done. A read of the standard input cannot be cut
// short: then its goroutine ends with the process, or with the input.
func awaitState(ctx context.Context, from io.Reader) (specs.State, error) {
	type result struct {
		state specs.State
		err   error
	}
	read := make(chan result, 1)
	go func() {
		state, err := readState(from)
		read <- result{state, err}
	}()
	select {
	case r := <-read:
		return r.state, r.err
	case <-ctx.Done():
		return specs.State{}, cnm.E("", cnm.Timeout, fmt.Errorf("state of the container: did not come to its end on the standard input: %w", ctx.Err()))
	}
}

// readState reads the state of a container as runtimes write it. Nothing but its id is
// needed of it by all commands.
func readState(from io.Reader) (specs.State, error) {
	var state specs.State
	text, err := io.ReadAll(io.LimitReader(from, largestState+1))
	switch {
	case err != nil:
		return state, cnm.E("read state of the container", cnm.Invalid, err)
	case len(text) > largestState:
		return state, invalid("state of the container: is larger than %d bytes", largestState)
	case len(text) == 0:
		return state, invalid("state of the container: is missing; a runtime writes it to the standard input")
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return state, cnm.E("state of the container", cnm.Invalid, err)
	}
	if state.ID == "" || len(state.ID) > longestID || strings.ContainsFunc(state.ID, func(r rune) bool {
		return r == '/' || unicode.IsControl(r) || unicode.IsSpace(r)
	}) {
		return state, invalid("state of the container: id %.40q: want what has no blanks, slashes and control characters", state.ID)
	}
	return state, nil
}

// checkProcess refuses a state without a process whose namespace could be used.
func checkProcess(state specs.State) error {
	if state.Pid <= 0 || state.Status == specs.StateStopped {
		return invalid("state of the container: has no process (status %q, pid %d); want a hook createRuntime or prestart", state.Status, state.Pid)
	}
	return nil
}

func namespaceOf(state specs.State) string { return fmt.Sprintf("/proc/%d/ns/net", state.Pid) }

// checkNamespace refuses a container on the host's own network: what it were given would
// be the host's.
func checkNamespace(state specs.State) error {
	theirs, err := os.Stat(namespaceOf(state))
	if err != nil {
		return cnm.E("", cnm.NotFound, fmt.Errorf("network namespace of process %d: %w", state.Pid, err))
	}
	ours, err := os.Stat("/proc/self/ns/net")
	if err == nil && os.SameFile(theirs, ours) {
		return invalid(`the container has no network namespace of its own; add {"type": "network"} to linux.namespaces of its bundle`)
	}
	return nil
}

// bundle is what is needed of a bundle's config.json.
type bundle struct {
	Root        struct{ Path string }
	Hostname    string
	Annotations map[string]string

	folder string
}

// readBundle reads the configuration in the folder that the state names.
func readBundle(state specs.State) (*bundle, error) {
	b := &bundle{folder: state.Bundle}
	if !filepath.IsAbs(b.folder) {
		return nil, invalid("state of the container: bundle %q: want an absolute path", b.folder)
	}
	path := filepath.Join(b.folder, "config.json")
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file")
	}
	if err != nil {
		return nil, cnm.E(fmt.Sprintf("bundle %q", path), cnm.Invalid, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, cnm.E("bundle", cnm.Invalid, err)
	}
	defer file.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(file, largestConfig+1))
	if err == nil && len(text) > largestConfig {
		err = fmt.Errorf("is larger than %d bytes", largestConfig)
	}
	if err == nil {
		err = json.Unmarshal(text, b)
	}
	if err != nil {
		return nil, cnm.E(fmt.Sprintf("bundle %q", path), cnm.Invalid, err)
	}
	return b, nil
}

// rootfs returns the folder that becomes the container's root.
func (b *bundle) rootfs() (string, error) {
	switch {
	case b.Root.Path == "":
		return "", invalid("bundle %q: root.path is empty", b.folder)
	case filepath.IsAbs(b.Root.Path):
		return b.Root.Path, nil
	default:
		return filepath.Join(b.folder, b.Root.Path), nil
	}
}

// ownFile returns the path of a file of the bundle, which there may not be yet. A link
// could lead the daemon, which writes to it, anywhere.
func (b *bundle) ownFile(name string) (string, error) {
	path := filepath.Join(b.folder, name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", invalid("%q: is missing; make it, empty, before the container, whose bundle mounts it", path)
	case err != nil:
		return "", cnm.E("", cnm.Invalid, err)
	case !info.Mode().IsRegular():
		return "", invalid("%q: is not a regular file", path)
	}
	return path, nil
}
