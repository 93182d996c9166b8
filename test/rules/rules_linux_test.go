package rules

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

var update = flag.Bool("update", false, "write the pages of docs/rules anew")

// Where the pages are, and the one that lists them.
const (
	folder    = "../../docs/rules"
	indexName = "README.md"
)

// TestPages compares each page with what the back ends make today.
func TestPages(t *testing.T) {
	kerneltest.RequireRoot(t)
	printedBy := printedBy(t)
	if *update {
		compare(t, indexName, index(scenarios(), printedBy))
	}
	written, err := os.ReadFile(filepath.Join(folder, indexName))
	if err != nil {
		t.Fatal(err)
	}
	sameWords := strings.Contains(string(written), printedBy)
	pages := map[string]string{indexName: index(scenarios(), printedBy)}
	for _, s := range scenarios() {
		name := s.name + ".md"
		if _, twice := pages[name]; twice {
			t.Errorf("two scenarios are called %q", s.name)
		}
		pages[name] = s.title
		t.Run(s.name, func(t *testing.T) {
			text := s.page(t, s.dump(t))
			if !sameWords {
				t.Skipf("not compared: %s was written with other programs; here: %s", folder, printedBy)
			}
			compare(t, name, text)
		})
	}
	if sameWords {
		compare(t, indexName, pages[indexName])
	}
	leftOver(t, pages)
}

// compare fails the test if a page is missing or stale, or writes it.
func compare(t *testing.T, name, today string) {
	t.Helper()
	path := filepath.Join(folder, name)
	if *update {
		err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(path, []byte(today), 0o644))
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; to write it: sudo go test ./test/rules -update", err)
	}
	if diff := cmp.Diff(string(page), today); diff != "" {
		t.Errorf("%s: if it shall change, sudo go test ./test/rules -update (-page +today):\n%s", path, diff)
	}
}

// leftOver fails the test if there are pages of no scenario, or takes them away.
func leftOver(t *testing.T, pages map[string]string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, wanted := pages[f.Name()]; wanted {
			continue
		}
		path := filepath.Join(folder, f.Name())
		if !*update {
			t.Errorf("%s: is left over, there is no such scenario", path)
		} else if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// printedBy says with which programs the pages are written.
func printedBy(t *testing.T) string {
	t.Helper()
	var versions []string
	for _, program := range []string{"nft", "iptables-nft-save"} {
		out, err := exec.Command(program, "--version").Output()
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		words := strings.Fields(string(out))
		if len(words) < 2 {
			t.Fatalf("%s: calls itself %q", program, out)
		}
		versions = append(versions, strings.TrimSuffix(words[0], "-nft-save")+" "+words[1])
	}
	return "Printed by " + strings.Join(versions, " and ") + "."
}
