package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// programs are the ones of a family.
type programs struct {
	family
	save, restore string // paths
}

// find looks for the programs of a family, also where administrators have them and
// services may not look. Without them it returns what is missing.
func find(f family, variant string) (programs, error) {
	name := f.String()
	if variant != "" {
		name += "-" + variant
	}
	p := programs{family: f}
	for _, c := range []struct {
		suffix string
		path   *string
	}{{"-save", &p.save}, {"-restore", &p.restore}} {
		path, err := exec.LookPath(name + c.suffix)
		for _, folder := range []string{"/usr/sbin", "/sbin"} {
			if err != nil {
				path, err = exec.LookPath(filepath.Join(folder, name+c.suffix))
			}
		}
		if err != nil {
			return p, fmt.Errorf("the program %q is missing; install the package iptables", name+c.suffix)
		}
		*c.path = path
	}
	if f.six && !hasIPv6() {
		return p, errors.New("this kernel has no IPv6, or it is switched off")
	}
	return p, nil
}

// hasIPv6 tells a kernel that runs IPv6, whatever its links are set to.
func hasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// variantOf asks a program which one it is. Before version 1.8 there was one only, which
// does not tell.
func variantOf(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %q for its version: %w", program, err)
	}
	if strings.Contains(string(out), "nf_tables") {
		return VariantNFT, nil
	}
	return VariantLegacy, nil
}

// childrenKept is how many of the last processes are known as ours. What they did is
// reported within a moment.
const childrenKept = 64

// children are the last processes that were started.
type children struct {
	mu   sync.Mutex // held while one is started, so that nothing it does is seen before it is known
	pids []int
}

func (c *children) start(command *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := command.Start(); err != nil {
		return err
	}
	c.pids = append(c.pids, command.Process.Pid)
	if len(c.pids) > childrenKept {
		c.pids = slices.Delete(c.pids, 0, 1)
	}
	return nil
}

// has reports whether the process was one of ours.
func (c *children) has(pid uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.pids, int(pid))
}

// run runs a program in the host's namespace and returns what it prints.
func (f *Filter) run(ctx context.Context, input, program string, arguments ...string) (string, error) {
	var out, complaint bytes.Buffer
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &complaint
	err := f.inside(func() error {
		if err := f.children.start(command); err != nil {
			return err
		}
		return command.Wait()
	})
	if ctx.Err() != nil {
		return "", cnm.E("", cnm.Timeout, ctx.Err())
	}
	if err != nil {
		return "", explain(filepath.Base(program), input, complaint.String(), err)
	}
	return out.String(), nil
}

// explain makes an error of what a program complains about, with the line of its input.
func explain(program, input, complaint string, err error) error {
	var says []string
	for l := range strings.Lines(complaint) {
		// The advice to call it with -h leads nowhere.
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "Try ") {
			says = append(says, l)
		}
	}
	text := strings.Join(says, "; ")
	lines := strings.Split(input, "\n")
	if found := regexp.MustCompile(`line:? (\d+)`).FindStringSubmatch(text); found != nil {
		if n, _ := strconv.Atoi(found[1]); n > 0 && n <= len(lines) {
			text += fmt.Sprintf(": %q", lines[n-1])
		}
	}
	kind := cnm.Internal
	switch {
	case strings.Contains(text, "Permission denied"), strings.Contains(text, "Operation not permitted"):
		kind = cnm.Forbidden
		text += " (this needs root, or the capabilities CAP_NET_ADMIN and CAP_NET_RAW)"
	case strings.Contains(text, "Table does not exist"), strings.Contains(text, "not supported"):
		kind = cnm.Unsupported
	}
	if text == "" {
		return cnm.E("", kind, fmt.Errorf("%s: %w", program, err))
	}
	return cnm.E("", kind, fmt.Errorf("%s: %w: %s", program, err, text))
}
