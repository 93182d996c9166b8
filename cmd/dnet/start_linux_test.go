package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What a start may cost. When this was written it was 81 kB and the work of two and a half
// trivial programs; with the daemon linked in, 634 kB and four and a half.
const (
	// mostInitialised is how many bytes the packages may ask for before main.
	mostInitialised = 160_000
	// mostTrivial is how many times the processor time of a program that does nothing.
	mostTrivial = 3.5
)

// build builds a program as `make dnet` does.
func build(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// start runs a program once: dnet asks a daemon that is not there.
func start(t *testing.T, path, trace string) (output string, cost time.Duration) {
	t.Helper()
	cmd := exec.Command(path, "network", "ls")
	cmd.Env = []string{"DNET_HOST=unix:///nowhere/dnet.sock", "GODEBUG=inittrace=" + trace}
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

func TestStart(t *testing.T) {
	dnet := build(t, ".")
	t.Run("Initialisation", func(t *testing.T) { testInitialisation(t, dnet) })
	t.Run("Processor", func(t *testing.T) { testProcessor(t, dnet) })
}

// testInitialisation counts what packages do before main. That is the same on every
// machine, however busy it is.
func testInitialisation(t *testing.T, dnet string) {
	out, _ := start(t, dnet, "1")
	if !strings.Contains(out, "cannot reach the daemon") {
		t.Fatalf("dnet printed\n%s", out)
	}
	type cost struct {
		name  string
		bytes int
	}
	var costs []cost
	total := 0
	for _, line := range regexp.MustCompile(`(?m)^init (\S+) @.* clock, (\d+) bytes`).FindAllStringSubmatch(out, -1) {
		n, err := strconv.Atoi(line[2])
		if err != nil {
			t.Fatal(err)
		}
		costs = append(costs, cost{line[1], n})
		total += n
	}
	if len(costs) < 10 {
		t.Fatalf("only %d packages tell of themselves:\n%s", len(costs), out)
	}
	if total <= mostInitialised {
		return
	}
	slices.SortFunc(costs, func(a, b cost) int { return cmp.Compare(b.bytes, a.bytes) })
	var worst strings.Builder
	for _, c := range costs[:10] {
		_, _ = fmt.Fprintf(&worst, "\n%8d %s", c.bytes, c.name)
	}
	t.Errorf("packages ask for %d bytes before main, more than %d; most is asked by%s", total, mostInitialised, &worst)
}

// testProcessor compares the processor time of a start with that of a program that does
// nothing, and of both the best of many runs in turn: who else uses the processor slows
// down both, as does a slow machine.
func testProcessor(t *testing.T, dnet string) {
	trivial := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(trivial, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	programs := []string{build(t, trivial), dnet}
	best := []time.Duration{math.MaxInt64, math.MaxInt64}
	for range 40 {
		for i, program := range programs {
			_, cost := start(t, program, "0")
			best[i] = min(best[i], cost)
		}
	}
	t.Logf("a trivial program takes %s of the processor, dnet %s", best[0], best[1])
	if best[1].Seconds() > mostTrivial*best[0].Seconds() {
		t.Errorf("dnet takes %s of the processor to start, more than %g times the %s of a program that does nothing", best[1], mostTrivial, best[0])
	}
}
