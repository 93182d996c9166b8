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
var aboveRoot = []string{"cmd/...", "api/...", "client/...", "cni/...", "hook/...", "diag/...", "plugin/server/...", "test/...", "examples/..."}

// kernelLibraries make system calls.
var kernelLibraries = []string{
	"golang.org/x/sys/unix/...", "github.com/vishvananda/netlink/...", "github.com/vishvananda/netns/...",
	"github.com/google/nftables/...", "github.com/moby/ipvs/...",
}

// contracts are the folders in which each subfolder fulfils one contract. What two of
// them share is a value in cnm or netstate, or a helper below.
var contracts = []string{"drivers", "ipams", "datastore"}

// suites are imported by tests alone, with the programs below test/.
var suites = []string{"datastore/storetest", "kernel/kerneltest", "plugin/plugintest", "test/storeserver"}

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
		of: []string{"plugin"}, only: []string{"std", "cnm", "kernel/hangup", "internal/fileowner", "plugin/plugintest"},
		why: "plugin carries requests and answers, and knows nothing of what they mean",
	},
	{
		of: []string{"internal/remotestore/...", "internal/versioned/..."}, only: []string{"std", "cnm", "internal/remotestore"}, notInTests: true,
		why: "what stores have in common knows the vocabulary, and no client of servers",
	},
	{
		of: []string{"discovery/...", "ipams/shared/..."}, only: []string{"std", "cnm"}, notInTests: true,
		why: "what is kept in a store knows stores by their contract",
	},
	{
		of: []string{"plugin/protocol/..."}, only: []string{"std"},
		why: "plugin/protocol is the messages of a protocol: both sides use it, and it knows neither",
	},
	{
		of: []string{"plugin/manage/..."}, only: []string{"std", "cnm", "plugin/protocol"},
		why: "plugin/manage is for command lines, which are to start fast",
	},
	{
		of: []string{"plugin/lease/..."}, only: []string{"std", "cnm", "netstate", "ipams/builtin", "plugin/lease", "datastore/memory", "datastore/bolt"},
		why: "plugin/lease is an address manager with a store, and knows nothing of who asks it",
	},
	{
		of: []string{"..."}, except: []string{"kernel/...", "test/..."}, never: kernelLibraries,
		why: "system calls belong below kernel/",
	},
	{
		of: []string{"networkdb/..."}, only: []string{
			"std", "cnm", "networkdb/...", "github.com/hashicorp/memberlist", "google.golang.org/protobuf/encoding/protowire",
		},
		why: "networkdb knows nothing of who uses it: it imports the vocabulary, and libraries for the cluster",
	},
	{
		of: []string{"cluster/agent/..."}, only: []string{"std", "cnm", "networkdb", "google.golang.org/protobuf/encoding/protowire"},
		why: "the agent carries records over the database, and knows nothing of who makes them",
	},
	{
		of: []string{"..."}, except: slices.Concat(public, aboveRoot, []string{".", "networkdb/diagnostic", "cluster/agent"}), never: public,
		why: "the types of the 2017 API are decoded at the boundary, by the root",
	},
	{
		of: []string{"..."}, except: slices.Concat(aboveRoot, []string{"."}), never: []string{"."},
		why: "control goes from the root to a package and back: only programs import the root",
	},
	{
		of: []string{"hook/...", "cmd/dnet-hook/..."},
		only: []string{
			"std", "github.com/opencontainers/runtime-spec/specs-go", "cnm", "api", "client", "hook",
			"cmd/internal/version", "internal/setkey", "kernel/process",
		},
		why: "a hook is started for each container: it holds what asks the daemon, and no more",
	},
	{
		of: []string{"..."}, except: slices.Concat(suites, []string{"test/..."}), never: suites, notInTests: true,
		why: "a suite of tests is imported by tests only",
	},
}

// linked is all that some programs may link, be it through others: what is linked is
// initialised at each start, used or not.
var linked = []struct {
	program string
	only    []string
	why     string
}{
	{
		program: "cmd/dnet", only: []string{
			"std", "cmd/dnet/internal/handover", "cmd/internal/...", "client", "api", "cnm", "netstate", "internal/fileowner", "plugin/manage", "plugin/protocol",
			"kernel/enter", "kernel/errno", "kernel/netns", "kernel/process", "golang.org/x/sys/unix", "golang.org/x/term",
			"github.com/spf13/cobra", "github.com/spf13/pflag", "go.yaml.in/yaml/v3",
			// These are for Windows.
			"golang.org/x/sys/windows", "github.com/inconshreveable/mousetrap",
		},
		why: "dnet is called often and must start fast; what is heavy belongs to cmd/dnetd, or is asked of the daemon",
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

func TestLinked(t *testing.T) {
	type listed struct{ ImportPath string }
	for _, l := range linked {
		packages := goJSON[listed](t, "list", "-deps", "-json=ImportPath", module+"/"+l.program)
		if len(packages) < 20 {
			t.Errorf("%s links only %d packages", l.program, len(packages))
		}
		for _, p := range packages {
			if what := notToBeLinked(l.program, p.ImportPath); what != "" {
				t.Error(what)
			}
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
