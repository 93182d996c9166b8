package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/libnetwork/test/guest/job"
)

// runSkipped runs, in one guest, all tests that the results say were skipped for a feature
// of the kernel.
func runSkipped(ctx context.Context, results string) error {
	file, err := os.Open(results)
	if err != nil {
		return err
	}
	tests, others, err := skipped(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := checkOthers(others); err != nil {
		return err
	}
	if len(tests) == 0 {
		fmt.Println("this kernel has all that the tests need")
		return nil
	}
	folder, err := os.MkdirTemp("", "guest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	packages, of := byPackage(tests)
	programs, err := buildAll(ctx, folder, packages, of)
	if err != nil {
		return err
	}
	outputs, statuses := make([]strings.Builder, len(programs)), make([]int, len(programs))
	start := time.Now()
	err = boot(ctx, programs, func(e job.Event) {
		switch e.Kind {
		case job.Up:
			fmt.Printf("the guest is up after %.1f s\n", e.Seconds)
		case job.Begun:
			fmt.Printf("in the guest: %s: %s\n", packages[e.Program], strings.Join(topLevel(of[packages[e.Program]]), " "))
		case job.Output:
			outputs[e.Program].Write(e.Output)
		case job.Ended:
			statuses[e.Program] = e.Status
			fmt.Printf("in the guest: %s: ended with status %d after %.1f s\n", packages[e.Program], e.Status, e.Seconds)
		}
	})
	errs := []error{err}
	for i, pkg := range packages {
		if wrong := verdict(of[pkg], outputs[i].String(), statuses[i]); wrong != nil {
			fmt.Print(outputs[i].String())
			errs = append(errs, wrong)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var features []string
	for _, t := range tests {
		for _, f := range t.Missing {
			if !slices.Contains(features, string(f)) {
				features = append(features, string(f))
			}
		}
	}
	slices.Sort(features)
	fmt.Printf("%d tests passed in the guest, in %.0f s; tested there only: %s\n", len(tests), time.Since(start).Seconds(), strings.Join(features, ", "))
	return nil
}

// maySkip are the tests that may be skipped for something else than the kernel, by package
// and name, each with the reason. Sub-tests are named by what they are part of.
func maySkip() map[string]string {
	const (
		module = "github.com/docker/libnetwork/"
		consul = "its server is no package of Debian, and takes minutes to build: LIBNETWORK_CONSUL=1"
	)
	return map[string]string{
		module + "test/rules TestPages":                     "its pages are compared only where the programs that print them have the version of the pages",
		module + "packaging TestPackage":                    "there is no dpkg-deb but on Debian",
		module + "datastore/consul TestContract":            consul,
		module + "datastore/consul TestLimits":              consul,
		module + "datastore/consul TestNoLeaks":             consul,
		module + "datastore/consul TestOutage":              consul,
		module + "datastore/consul TestTLS":                 consul,
		module + "datastore/consul TestTroubledConnections": consul,
		module + "discovery TestConsul":                     consul,
	}
}

// checkOthers shows what was skipped and not for the kernel, and refuses what has no reason
// in the list.
func checkOthers(others []string) error {
	var errs []error
	for _, test := range others {
		pkg, full, _ := strings.Cut(test, " ")
		top, _, _ := strings.Cut(full, "/")
		if reason, known := maySkip()[pkg+" "+top]; known {
			fmt.Printf("skipped: %s: %s\n", test, reason)
			continue
		}
		errs = append(errs, fmt.Errorf("%s: is skipped, and not for the kernel; give a reason in maySkip, or let it run", test))
	}
	return errors.Join(errs...)
}

// buildAll builds the tests of each package as a static program.
func buildAll(ctx context.Context, folder string, packages []string, of map[string][]skippedTest) ([]job.Program, error) {
	var programs []job.Program
	for i, pkg := range packages {
		path := filepath.Join(folder, fmt.Sprintf("%d.test", i))
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", path, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the tests of %s: %w: %s", pkg, err, out)
		}
		where, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg).Output()
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", pkg, err)
		}
		programs = append(programs, job.Program{
			Path: path, Folder: strings.TrimSpace(string(where)),
			Args: []string{"-test.v", "-test.run", "^(" + strings.Join(topLevel(of[pkg]), "|") + ")$"},
		})
	}
	return programs, nil
}
