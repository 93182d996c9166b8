// Package importrules holds the rules of the tree that no compiler checks: who may
// import whom, how long files and functions may be, and what must be documented. It
// has tests only. The tables below are the rules; checker_test.go applies them, and
// bite_test.go shows that each of them finds what breaks it.
package importrules

import (
	"slices"
	"testing"
)

// module is the path that our packages share.
const module = "github.com/docker/libnetwork"

// Patterns are written like those of the go command, without the module's path: "cnm"
// is one package, "kernel/..." is a package and all below it, "." is the root package,
// "..." is everything. "std" is the standard library, and "elsewhere" is every package
// that is neither standard nor ours.

// public are the packages of the 2017 API. Only the root, and what is above it, sees
// them; the root decodes what they hold.
var public = []string{
	"config", "netlabel", "options", "types", "ipamapi", "driverapi", "discoverapi",
	"cluster", "networkdb", "datastore",
}

// aboveRoot are the programs, and what serves and calls the API.
var aboveRoot = []string{"cmd/...", "api/...", "client/...", "cni/...", "diag/...", "plugin/...", "test/...", "examples/..."}

// kernelLibraries make system calls.
var kernelLibraries = []string{
	"golang.org/x/sys/unix/...", "github.com/vishvananda/netlink/...", "github.com/vishvananda/netns/...",
	"github.com/google/nftables/...", "github.com/moby/ipvs/...",
}

// contracts are the folders in which each subfolder fulfils one contract. What two of
// them share is a value in cnm or netstate, or a helper below.
var contracts = []string{"drivers", "ipams", "datastore"}

// suites are imported by tests alone, with the programs below test/.
var suites = []string{"datastore/storetest", "kernel/kerneltest"}

// rules are checked for each file of the packages in of that are not in except. An
// import must match one of only, if there are any, and none of never.
var rules = []rule{
	{
		of: []string{"netstate/..."}, only: []string{"std"},
		why: "netstate is vocabulary: it imports the standard library only",
	},
	{
		of: []string{"cnm/..."}, only: []string{"std", "netstate"},
		why: "cnm is vocabulary: it imports netstate and the standard library only",
	},
	{
		of: []string{"kernel/..."}, only: []string{"std", "elsewhere", "cnm", "netstate", "kernel/..."},
		why: "kernel knows the vocabulary, and nothing of who uses it",
	},
	{
		of: []string{"resolver/..."}, only: []string{"std", "cnm", "netstate", "resolver", "github.com/miekg/dns"},
		why: "resolver gets its sockets from outside: it imports the vocabulary and a library for messages",
	},
	{
		of: []string{"..."}, except: []string{"kernel/...", "test/..."}, never: kernelLibraries,
		why: "system calls belong below kernel/",
	},
	{
		of: []string{"..."}, except: slices.Concat(public, aboveRoot, []string{"."}), never: public,
		why: "the types of the 2017 API are decoded at the boundary, by the root",
	},
	{
		of: []string{"..."}, except: slices.Concat(aboveRoot, []string{"."}), never: []string{"."},
		why: "control goes from the root to a package and back: only programs import the root",
	},
	{
		of: []string{"..."}, except: slices.Concat(suites, []string{"test/..."}), never: suites, notInTests: true,
		why: "a suite of tests is imported by tests only",
	},
}

// testLibraries widen the only of a rule for files that end in _test.go.
var testLibraries = []string{"github.com/google/go-cmp/...", "pgregory.net/rapid/...", "go.uber.org/goleak/..."}

// Limits, in lines.
const (
	longestFile         = 500
	longestFunction     = 80
	longestTestFunction = 120
)

func TestImports(t *testing.T) {
	files := tree(t)
	if len(files) < 50 {
		t.Errorf("only %d files were looked at", len(files))
	}
	for _, f := range files {
		for _, what := range brokenImports(f) {
			t.Error(what)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, f := range tree(t) {
		for _, what := range tooLong(f) {
			t.Error(what)
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, f := range tree(t) {
		for _, what := range initFunctions(f) {
			t.Error(what)
		}
	}
}

func TestPackageComments(t *testing.T) {
	for _, what := range undocumented(tree(t)) {
		t.Error(what)
	}
}

func TestDependenciesAreExplained(t *testing.T) {
	modules := requirements(t)
	if len(modules) == 0 {
		t.Fatal("go.mod requires nothing")
	}
	for _, what := range unexplained(modules, readPage(t, "dependencies.md")) {
		t.Error(what)
	}
}

func TestContractsOfImplementationsAreTheirs(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range tree(t) {
		folder, _, nested := cut(f.pkg)
		seen[folder] = seen[folder] || nested
	}
	for _, folder := range contracts {
		if !seen[folder] {
			t.Errorf("the table of contracts names %q, which has no subfolder", folder)
		}
	}
}
