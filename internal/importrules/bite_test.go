package importrules

import (
	"fmt"
	"strings"
	"testing"
)

// importing returns a file of our own making that imports one package.
func importing(t *testing.T, pkg, name, path string) file {
	t.Helper()
	return parse(t, pkg, name, fmt.Sprintf("package x\n\nimport _ %q\n", path))
}

func TestImportRulesBite(t *testing.T) {
	for _, test := range []struct {
		pkg, file, path string
		// says is part of the complaint; empty means that the import is fine.
		says string
	}{
		{"netstate", "a.go", "net/netip", ""},
		{"netstate", "a.go", "golang.org/x/text", "netstate is vocabulary"},
		{"netstate", "a.go", module + "/cnm", "netstate is vocabulary"},
		{"netstate", "a_test.go", "pgregory.net/rapid", ""},
		{"netstate", "a_test.go", module + "/netstate", ""},
		{"netstate", "a_test.go", module + "/cnm", "netstate is vocabulary"},

		{"cnm", "a.go", module + "/netstate", ""},
		{"cnm", "a.go", "github.com/google/go-cmp/cmp", "cnm is vocabulary"},
		{"cnm", "a.go", module + "/internal/undo", "cnm is vocabulary"},

		{"kernel", "a.go", "golang.org/x/sys/unix", ""},
		{"kernel/rtnl", "a.go", "github.com/vishvananda/netlink/nl", ""},
		{"kernel/rtnl", "a.go", module + "/kernel/netns", ""},
		{"kernel/rtnl", "a.go", module + "/etchosts", "kernel knows the vocabulary"},
		{"kernel", "a_test.go", module + "/drivers/bridge", "kernel knows the vocabulary"},

		{"resolver", "a.go", "github.com/miekg/dns", ""},
		{"resolver", "a.go", module + "/cnm", ""},
		{"resolver", "a.go", "golang.org/x/net/ipv4", "gets its sockets from outside"},
		{"resolver", "a.go", module + "/kernel/netns", "gets its sockets from outside"},

		{"plugin", "a.go", module + "/cnm", ""},
		{"plugin", "a.go", module + "/kernel/hangup", ""},
		{"plugin", "a.go", module + "/kernel/netns", "knows nothing of what they mean"},
		{"plugin", "a.go", module + "/drivers/remote", "knows nothing of what they mean"},
		{"plugin", "a_test.go", module + "/plugin/plugintest", ""},
		{"plugin", "a.go", module + "/plugin/plugintest", "imported by tests only"},
		{"plugin", "a.go", module, "only programs import the root"},
		{"plugin/server", "a.go", module, ""},
		{"drivers/remote", "a.go", module + "/plugin", ""},
		{"internal/versioned", "a.go", module + "/internal/remotestore", ""},
		{"internal/remotestore", "a.go", "github.com/go-zookeeper/zk", "no client of servers"},
		{"discovery", "a.go", module + "/cnm", ""},
		{"discovery", "a_test.go", module + "/datastore/etcd", ""},
		{"discovery", "a.go", module + "/datastore/etcd", "by their contract"},
		{"ipams/shared", "a.go", module + "/internal/remotestore", "by their contract"},
		{"datastore/etcd", "a_test.go", module + "/test/storeserver", ""},
		{"datastore/etcd", "a.go", module + "/test/storeserver", "by tests only"},

		{"drivers/bridge", "a.go", "syscall", ""},
		{"drivers/bridge", "a.go", "golang.org/x/sys/unix", "below kernel/"},
		{"drivers/bridge", "a_test.go", "github.com/vishvananda/netlink", "below kernel/"},
		{"ipams/builtin", "a_windows.go", "github.com/vishvananda/netns", "below kernel/"},
		{"firewall", "a.go", "github.com/google/nftables/expr", "below kernel/"},
		{"service", "a.go", "github.com/moby/ipvs", "below kernel/"},
		{".", "a.go", "golang.org/x/sys/unix", "below kernel/"},
		{"kernels", "a.go", "golang.org/x/sys/unix", "below kernel/"},
		{"test/demo", "a.go", "github.com/vishvananda/netlink", ""},

		{"drivers/bridge", "a.go", module + "/netlabel", "decoded at the boundary"},
		{"drivers/bridge", "a.go", module + "/internal/label", ""},
		{"internal/label", "a.go", module + "/types", "decoded at the boundary"},
		{"datastore/bolt", "a.go", module + "/datastore", "decoded at the boundary"},
		{"networkdb/table", "a.go", module + "/networkdb", "decoded at the boundary"},
		{"resolvconf", "a_test.go", module + "/options", "decoded at the boundary"},
		{"anything/new", "a.go", module + "/config", "decoded at the boundary"},
		{"config", "a.go", module + "/cluster", ""},
		{".", "a.go", module + "/config", ""},
		{"api", "a.go", module + "/types", ""},

		{"drivers/bridge", "a.go", module, "only programs import the root"},
		{"etchosts", "a_test.go", module, "only programs import the root"},
		{"config", "a.go", module, "only programs import the root"},
		{".", "a_test.go", module, ""},
		{"cmd/dnet", "a.go", module, ""},
		{"examples/two", "a.go", module, ""},

		{"drivers/bridge", "a.go", module + "/drivers/host", "implementations of one contract"},
		{"drivers/bridge", "a_test.go", module + "/drivers/host", "implementations of one contract"},
		{"drivers/bridge/deep", "a.go", module + "/drivers/bridge", ""},
		{"ipams/null", "a.go", module + "/ipams/builtin/set", "implementations of one contract"},
		{"drivers/bridge", "a.go", module + "/ipams/builtin", ""},
		{"internal/undo", "a.go", module + "/internal/label", ""},

		{"datastore/bolt", "a_test.go", module + "/datastore/storetest", ""},
		{"datastore/bolt", "a.go", module + "/datastore/storetest", "by tests only"},
		{".", "a.go", module + "/kernel/kerneltest", "by tests only"},
		{"test/demo", "a.go", module + "/kernel/kerneltest", ""},
	} {
		got := strings.Join(brokenImports(importing(t, test.pkg, test.file, test.path)), "\n")
		if test.says == "" && got != "" {
			t.Errorf("%s/%s may not import %s: %s", test.pkg, test.file, test.path, got)
		}
		if !strings.Contains(got, test.says) {
			t.Errorf("%s/%s imports %s: got %q, want %q", test.pkg, test.file, test.path, got, test.says)
		}
	}
}

func TestLinkedBites(t *testing.T) {
	for path, fine := range map[string]bool{
		"net/http": true, "vendor/golang.org/x/net/http2/hpack": true, module + "/client": true, "github.com/spf13/cobra": true,
		module + "/cmd/dnet": true, module + "/cmd/internal/settings": true, module + "/kernel/enter": true,
		"github.com/spf13/cobra/doc": false, "github.com/prometheus/client_golang/prometheus": false, "go.etcd.io/bbolt": false,
		"github.com/google/nftables": false, "github.com/vishvananda/netlink": false, "go.etcd.io/etcd/client/v3": false,
		"github.com/BurntSushi/toml": false, module: false, module + "/kernel": false, module + "/config": false, module + "/diag": false,
		module + "/cmd/dnetd/internal/daemon": false,
	} {
		if got := notToBeLinked("cmd/dnet", path); (got == "") != fine {
			t.Errorf("%s: got %q", path, got)
		}
	}
}

func TestSizesBite(t *testing.T) {
	function := func(lines int) string { return "func f() {" + strings.Repeat("\n", lines-1) + "}\n" }
	for _, test := range []struct {
		name, source string
		complaints   int
	}{
		{"a.go", "package x\n" + function(longestFunction), 0},
		{"a.go", "package x\n" + function(longestFunction+1), 1},
		{"a.go", "package x\n\ntype y int\n\nfunc (y) f() {" + strings.Repeat("\n", longestFunction) + "}\n", 1},
		{"a_test.go", "package x\n" + function(longestTestFunction), 0},
		{"a_test.go", "package x\n" + function(longestTestFunction+1), 1},
		{"a.go", "package x" + strings.Repeat("\n", longestFile), 0},
		{"a.go", "package x" + strings.Repeat("\n", longestFile+1), 1},
		{"a.go", "package x" + strings.Repeat("\n// more", longestFile), 1},
		{"a_test.go", "package x" + strings.Repeat("\n", longestFile+1), 1},
	} {
		if got := tooLong(parse(t, "x", test.name, test.source)); len(got) != test.complaints {
			t.Errorf("%s of %d lines: %d complaints, want %d: %q",
				test.name, strings.Count(test.source, "\n"), len(got), test.complaints, got)
		}
	}
}

func TestInitBites(t *testing.T) {
	for source, complaints := range map[string]int{
		"package x\n\nfunc init() {}\n":                            1,
		"package x\n\nfunc init() {}\n\nfunc init() {}\n":          2,
		"package x\n\ntype y int\n\nfunc (y) init() {}\n":          0,
		"package x\n\nfunc initial() { var init int; _ = init }\n": 0,
	} {
		if got := initFunctions(parse(t, "x", "a.go", source)); len(got) != complaints {
			t.Errorf("%q: %q, want %d complaints", source, got, complaints)
		}
	}
}

func TestPackageCommentsBite(t *testing.T) {
	const documented, bare = "// Package x is documented.\npackage x\n", "package x\n"
	for _, test := range []struct {
		name       string
		sources    map[string]string
		complaints int
	}{
		{"one of two files", map[string]string{"a.go": bare, "b.go": documented}, 0},
		{"a program", map[string]string{"a.go": "// Command y does it.\npackage main\n"}, 0},
		{"nowhere", map[string]string{"a.go": bare, "b.go": bare}, 1},
		{"another comment", map[string]string{"a.go": "// Copyright.\npackage x\n"}, 1},
		{"another name", map[string]string{"a.go": "// Package y is documented.\npackage x\n"}, 1},
		{"in a test only", map[string]string{"a.go": bare, "a_test.go": documented}, 1},
		{"tests only", map[string]string{"a_test.go": documented, "b_test.go": bare}, 0},
	} {
		var files []file
		for name, source := range test.sources {
			files = append(files, parse(t, "x", name, source))
		}
		if got := undocumented(files); len(got) != test.complaints {
			t.Errorf("%s: %q, want %d complaints", test.name, got, test.complaints)
		}
	}
}

func TestDependenciesBite(t *testing.T) {
	const page = "Text that names example.org/c.\n\n| module | for |\n|---|---|\n| example.org/a | this |\n"
	for _, test := range []struct {
		modules    []string
		complaints int
	}{
		{[]string{"example.org/a"}, 0},
		{[]string{"example.org/a", "example.org/b"}, 1},
		{[]string{"example.org/a", "example.org/c"}, 1},
		{nil, 1},
		{[]string{"example.org/b"}, 2},
	} {
		if got := unexplained(test.modules, page); len(got) != test.complaints {
			t.Errorf("%q: %q, want %d complaints", test.modules, got, test.complaints)
		}
	}
}
