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
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// programs are the ones of a family.
type programs struct {
	family
	save, restore string // paths
}

// errNoIPv6 says that there are no packets of the family.
var errNoIPv6 = errors.New("this kernel has no IPv6, or it is switched off")

// find looks for the programs of a family. Without them it returns what is missing.
func find(f family, variant string) (programs, error) {
	name := f.String()
	if variant != "" {
		name += "-" + variant
	}
	p := programs{family: f}
	var err error
	if p.save, err = lookFor(name + "-save"); err != nil {
		return p, err
	}
	if p.restore, err = lookFor(name + "-restore"); err != nil {
		return p, err
	}
	if f.six && !hasIPv6() {
		return p, errNoIPv6
	}
	return p, nil
}

// lookFor looks for a program, also where administrators have theirs and services may not
// look.
func lookFor(name string) (string, error) {
	for _, folder := range []string{"", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("the program %q is missing; install the package iptables", name)
}

// hasIPv6 tells a kernel that runs IPv6, whatever its links are set to.
func hasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// variantOf asks a program which one it is. Before version 1.8 there was one only, which
// does not tell.
func variantOf(program string) (string, error) {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %q for its version: %w", program, err)
	}
	if strings.Contains(string(out), "nf_tables") {
		return VariantNFT, nil
	}
	return VariantLegacy, nil
}

// knownFor is how long a process that has ended is known as one of ours. What it did was
// reported before it ended; that is read within a moment.
const knownFor = 5 * time.Second

// children are the last processes that were started.
type children struct {
	mu sync.Mutex // held while one is started, so that nothing it does is seen before it is known
	// ended says when; zero for one that is under way.
	ended map[int]time.Time
}

func (c *children) start(command *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := command.Start(); err != nil {
		return err
	}
	if c.ended == nil {
		c.ended = make(map[int]time.Time)
	}
	c.ended[command.Process.Pid] = time.Time{}
	return nil
}

func (c *children) wait(command *exec.Cmd) error {
	err := command.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for pid, ended := range c.ended {
		if !ended.IsZero() && now.Sub(ended) > knownFor {
			delete(c.ended, pid)
		}
	}
	c.ended[command.Process.Pid] = now
	return err
}

// has reports whether the process is, or was a moment ago, one of ours.
func (c *children) has(pid uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended, known := c.ended[int(pid)]
	return known && (ended.IsZero() || time.Since(ended) <= knownFor)
}

// lockSeconds is how long to wait for others' changes by the older interface, which takes
// a lock for each.
const lockSeconds = "30"

// run runs a program in the host's namespace, as one of our processes, and returns what it
// prints.
func (f *Filter) run(ctx context.Context, input, program string, arguments ...string) (string, error) {
	return execute(ctx, input, func(command *exec.Cmd) error {
		err := f.inside(func() error { return f.children.start(command) })
		if err == nil {
			err = f.children.wait(command)
		}
		return err
	}, program, arguments...)
}

// execute has a program run and returns what it prints.
func execute(ctx context.Context, input string, run func(*exec.Cmd) error, program string, arguments ...string) (string, error) {
	var out, complaint bytes.Buffer
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &complaint
	// A helper that loads a module has the pipes too, and is not killed.
	command.WaitDelay = time.Second
	err := run(command)
	if ctx.Err() != nil {
		return "", cnm.E(filepath.Base(program), cnm.Timeout, ctx.Err())
	}
	if err != nil {
		return "", explain(filepath.Base(program), input, complaint.String(), err)
	}
	return out.String(), nil
}

// errBusy marks what failed because somebody else changed the tables at the same time.
var errBusy = errors.New("the tables were changed meanwhile")

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
	has := func(words ...string) bool {
		return regexp.MustCompile(strings.Join(words, "|")).MatchString(text)
	}
	kind := cnm.Internal
	switch {
	case has("Permission denied", "Operation not permitted"):
		kind = cnm.Forbidden
		text += " (this needs root, or the capabilities CAP_NET_ADMIN and CAP_NET_RAW)"
	case has("Table does not exist", "not supported"):
		kind = cnm.Unsupported
	case has("holding the xtables lock"):
		kind = cnm.Unavailable
	case has("Resource temporarily unavailable", "Device or resource busy", "Interrupted system call"):
		kind = cnm.Conflict
		err = fmt.Errorf("%w: %w", errBusy, err)
	}
	if text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return cnm.E(program, kind, err)
}
