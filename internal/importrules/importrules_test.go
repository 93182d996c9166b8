// Package importrules checks who imports whom, and the other rules of the tree that
// no compiler checks.
package importrules

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/docker/libnetwork"

// public are the packages of the old API's types: only the root and what is above it
// see them.
var public = []string{
	"config", "netlabel", "options", "types", "ipamapi", "driverapi", "discoverapi", "cluster", "networkdb", "datastore",
}

// kernelLibraries are imported below kernel/ only, and by programs below test/.
var kernelLibraries = []string{
	"golang.org/x/sys/unix", "github.com/vishvananda/netlink", "github.com/vishvananda/netns",
	"github.com/google/nftables", "github.com/moby/ipvs",
}

// contracts are the folders whose subfolders implement one contract each.
var contracts = []string{"drivers", "ipams", "datastore"}

// aboveRoot may import the root package.
var aboveRoot = []string{"cmd", "api", "client", "plugin", "test"}

// pkg is what go list tells of a package, with paths relative to the module.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// broken returns the rules that a package breaks.
func broken(p pkg) []string {
	name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
	top, rest, nested := strings.Cut(name, "/")
	var out []string
	for _, path := range p.Imports {
		other, ours := strings.CutPrefix(path, module+"/")
		isRoot := path == module
		external := strings.Contains(strings.SplitN(path, "/", 2)[0], ".")
		say := func(why string) { out = append(out, fmt.Sprintf("%s imports %s: %s", name, path, why)) }
		switch {
		case name == "netstate" && external:
			say("netstate imports the standard library only")
		case name == "cnm" && external && other != "netstate":
			say("cnm imports netstate only")
		case isRoot && !slices.Contains(aboveRoot, top):
			say("only " + strings.Join(aboveRoot, ", ") + " import the root")
		case ours && slices.Contains(public, other) && inner(name):
			say("the public API's types stay at the boundary")
		case slices.ContainsFunc(kernelLibraries, func(l string) bool { return path == l || strings.HasPrefix(path, l+"/") }) &&
			top != "kernel" && top != "test":
			say("the kernel's libraries stay below kernel/")
		case ours && top == "kernel" && !slices.Contains([]string{"cnm", "netstate", "kernel"}, first(other)):
			say("kernel imports cnm and netstate")
		}
		if otherTop, otherRest, ok := strings.Cut(other, "/"); ours && nested && ok && otherTop == top &&
			slices.Contains(contracts, top) && first(otherRest) != first(rest) {
			say("implementations of one contract do not import each other")
		}
	}
	return out
}

// inner reports whether a package is below the boundary.
func inner(name string) bool {
	top, _, nested := strings.Cut(name, "/")
	if top == "datastore" {
		return nested
	}
	return name != "" && !slices.Contains(public, top) && !slices.Contains(aboveRoot, top)
}

func first(path string) string {
	top, _, _ := strings.Cut(path, "/")
	return top
}

func list(t *testing.T) []pkg {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", module+"/...")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestImports(t *testing.T) {
	pkgs := list(t)
	if len(pkgs) < 20 {
		t.Errorf("only %d packages were looked at", len(pkgs))
	}
	for _, p := range pkgs {
		for _, what := range broken(p) {
			t.Error(what)
		}
	}
}

// The rules find what breaks them.
func TestRulesBite(t *testing.T) {
	for _, p := range []pkg{
		{ImportPath: module + "/netstate", Imports: []string{module + "/cnm"}},
		{ImportPath: module + "/cnm", Imports: []string{"golang.org/x/text"}},
		{ImportPath: module + "/drivers/bridge", Imports: []string{module + "/drivers/host"}},
		{ImportPath: module + "/drivers/bridge", Imports: []string{module + "/netlabel"}},
		{ImportPath: module + "/datastore/bolt", Imports: []string{module + "/datastore"}},
		{ImportPath: module + "/ipams/builtin", Imports: []string{"golang.org/x/sys/unix"}},
		{ImportPath: module + "/kernel/rtnl", Imports: []string{module + "/etchosts"}},
		{ImportPath: module + "/drivers/bridge", Imports: []string{module}},
	} {
		if len(broken(p)) == 0 {
			t.Errorf("%s may import %s", p.ImportPath, p.Imports)
		}
	}
	fine := pkg{ImportPath: module + "/drivers/bridge", Imports: []string{"fmt", module + "/cnm", module + "/netstate", module + "/internal/label"}}
	if got := broken(fine); len(got) > 0 {
		t.Error(got)
	}
}

const (
	longestFile         = 500
	longestFunction     = 80
	longestTestFunction = 120
)

func TestSizesAndDocs(t *testing.T) {
	for _, p := range list(t) {
		documented := len(p.GoFiles) == 0
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || parsed.Doc != nil
			checkFile(t, set, parsed, strings.HasSuffix(file, "_test.go"))
		}
		if !documented {
			t.Errorf("%s: has no package comment", p.ImportPath)
		}
	}
}

func checkFile(t *testing.T, set *token.FileSet, file *ast.File, isTest bool) {
	t.Helper()
	if lines := set.Position(file.End()).Line; lines > longestFile {
		t.Errorf("%s: has %d lines, more than %d", set.Position(file.Pos()).Filename, lines, longestFile)
	}
	longest := longestFunction
	if isTest {
		longest = longestTestFunction
	}
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from, to := set.Position(function.Pos()), set.Position(function.End())
		if lines := to.Line - from.Line + 1; lines > longest {
			t.Errorf("%s: %s has %d lines, more than %d", from, function.Name.Name, lines, longest)
		}
		if function.Recv == nil && function.Name.Name == "init" {
			t.Errorf("%s: no init functions: list what there is in builtin.go", from)
		}
	}
}

func TestDependenciesAreExplained(t *testing.T) {
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	page := read("docs/dependencies.md")
	checked := 0
	for lines := bufio.NewScanner(strings.NewReader(read("go.mod"))); lines.Scan(); {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require "))
		if len(fields) < 2 || !strings.Contains(fields[0], ".") || strings.HasSuffix(lines.Text(), "// indirect") {
			continue
		}
		checked++
		if !strings.Contains(page, fields[0]) {
			t.Errorf("docs/dependencies.md does not explain %s", fields[0])
		}
	}
	if checked < 3 {
		t.Errorf("only %d dependencies were looked at", checked)
	}
}
