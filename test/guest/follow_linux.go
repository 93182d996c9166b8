package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

// testEvent is a line of `go test -json` (go doc test2json).
type testEvent struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// longestLine bounds a line of test output.
const longestLine = 16 << 20

// readTests calls do for each event; lines that are none are what the go command itself
// says.
func readTests(from io.Reader, do func(testEvent), other func(line string)) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var e testEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			other(lines.Text())
			continue
		}
		do(e)
	}
	return lines.Err()
}

// follow shows what matters to people: a line for each package when it has ended, and all
// that failing tests wrote. All events go to the file too.
func follow(from io.Reader, to io.Writer, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	written := make(map[string]*strings.Builder) // by package and test
	failed := 0
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(to, format, args...) }
	show := func(e testEvent) {
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			if written[key] == nil {
				written[key] = new(strings.Builder)
			}
			written[key].WriteString(e.Output)
		case "build-output":
			say("%s", e.Output)
		case "build-fail":
			failed++
		case "failed": // what scripts/test adds if go test has failed
			failed = max(failed, 1)
		case "fail":
			if text := written[key]; text != nil {
				say("%s", text)
			}
			if e.Test == "" {
				failed++
				say("FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
			}
		case "pass":
			if e.Test == "" {
				say("ok\t%s\t%.1fs\n", e.Package, e.Elapsed)
			}
		}
		if e.Action == "pass" || e.Action == "skip" || e.Action == "fail" {
			delete(written, key)
		}
	}
	err = readTests(io.TeeReader(from, file), show, func(line string) { say("%s\n", line) })
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d packages failed", failed)
	}
	return nil
}

// skippedTest is a test that another kernel is to run.
type skippedTest struct {
	Package, Test string
	Missing       []kerneltest.Feature
}

// skipped reads which tests were skipped for lack of a feature, in the order of packages
// and names, and how many for something else.
func skipped(from io.Reader) (tests []skippedTest, others []string, err error) {
	type key struct{ pkg, test string }
	output := make(map[key]string)
	err = readTests(from, func(e testEvent) {
		k := key{e.Package, e.Test}
		switch {
		case e.Test == "":
		case e.Action == "output":
			output[k] += e.Output
		case e.Action == "skip":
			if missing := missingFeatures(output[k]); missing != nil {
				tests = append(tests, skippedTest{e.Package, e.Test, missing})
			} else {
				others = append(others, e.Package+" "+e.Test)
			}
		}
	}, func(string) {})
	slices.SortFunc(tests, func(a, b skippedTest) int {
		return strings.Compare(a.Package+" "+a.Test, b.Package+" "+b.Test)
	})
	return tests, others, err
}

// missingFeatures looks in all lines of a skipped test's output.
func missingFeatures(output string) []kerneltest.Feature {
	for line := range strings.Lines(output) {
		if missing := kerneltest.MissingFeatures(line); missing != nil {
			return missing
		}
	}
	return nil
}

// byPackage gathers tests; the keys are sorted.
func byPackage(tests []skippedTest) (packages []string, of map[string][]skippedTest) {
	of = make(map[string][]skippedTest)
	for _, t := range tests {
		of[t.Package] = append(of[t.Package], t)
	}
	return slices.Sorted(maps.Keys(of)), of
}

// topLevel returns the names of the tests that the others are part of, each once.
func topLevel(tests []skippedTest) []string {
	names := make(map[string]bool)
	for _, t := range tests {
		name, _, _ := strings.Cut(t.Test, "/")
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// verdict says what is wrong with a run in the guest, of which the output of "-test.v" is
// given: each of the tests must have passed. A test that is skipped in both places, or did
// not run, is an error like one that failed.
func verdict(tests []skippedTest, output string, status int) error {
	results := make(map[string]string)
	for line := range strings.Lines(output) {
		for _, result := range []string{"PASS", "FAIL", "SKIP"} {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "--- "+result+": "); ok {
				name, _, _ := strings.Cut(rest, " ")
				results[name] = result
			}
		}
	}
	var errs []error
	for _, t := range tests {
		switch results[t.Test] {
		case "PASS":
		case "":
			errs = append(errs, fmt.Errorf("%s %s: did not run in the guest", t.Package, t.Test))
		case "SKIP":
			errs = append(errs, fmt.Errorf("%s %s: is skipped here and in the guest", t.Package, t.Test))
		default:
			errs = append(errs, fmt.Errorf("%s %s: failed in the guest", t.Package, t.Test))
		}
	}
	if status != 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: the tests ended with status %d in the guest", tests[0].Package, status))
	}
	return errors.Join(errs...)
}
