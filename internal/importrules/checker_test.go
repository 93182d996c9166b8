package importrules

import (
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
	"strconv"
	"strings"
	"testing"
)

// A rule says what files of some packages may import. Its lists are patterns.
type rule struct {
	of, except  []string
	only, never []string
	// notInTests leaves files that end in _test.go alone.
	notInTests bool
	// why ends the message about an import that breaks the rule.
	why string
}

// file is a file of the tree, whatever system it is for.
type file struct {
	pkg     string // relative to the module; "." is the root
	name    string // relative to the module
	imports []string
	set     *token.FileSet
	syntax  *ast.File
}

func (f file) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }

// relative returns a package's path as patterns have it: ours without the module's
// path, others whole.
func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// matches reports whether an import path, whole, fits a pattern.
func matches(pattern, path string) bool {
	ours := path == module || strings.HasPrefix(path, module+"/")
	first, _, _ := strings.Cut(path, "/")
	standard := !strings.Contains(first, ".")
	switch pattern {
	case "...":
		return true
	case "std":
		return standard
	case "elsewhere":
		return !standard && !ours
	}
	if standard {
		return false
	}
	if above, ok := strings.CutSuffix(pattern, "/..."); ok {
		return relative(path) == above || strings.HasPrefix(relative(path), above+"/")
	}
	return relative(path) == pattern
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, path) })
}

// brokenImports returns a sentence for each import of a file that breaks a rule.
func brokenImports(f file) []string {
	var out []string
	whole := module + "/" + f.pkg
	if f.pkg == "." {
		whole = module
	}
	for _, path := range f.imports {
		for _, r := range rules {
			if !matchesAny(r.of, whole) || matchesAny(r.except, whole) || r.notInTests && f.isTest() {
				continue
			}
			allowed := len(r.only) == 0 || matchesAny(r.only, path) || f.isTest() && (path == whole || matchesAny(testLibraries, path))
			if !allowed || matchesAny(r.never, path) {
				out = append(out, fmt.Sprintf("%s imports %s: %s", f.name, path, r.why))
			}
		}
		isSuite := f.isTest() && slices.Contains(suites, relative(path))
		if areSiblings(f.pkg, relative(path)) && !isSuite {
			out = append(out, fmt.Sprintf("%s imports %s: implementations of one contract do not import each other", f.name, path))
		}
	}
	return out
}

// notToBeLinked returns a sentence if a program may not link a package.
func notToBeLinked(program, path string) string {
	for _, l := range linked {
		if l.program == program && relative(path) != program && !matchesAny(l.only, path) {
			return fmt.Sprintf("%s links %s: %s", program, path, l.why)
		}
	}
	return ""
}

// areSiblings reports whether two packages are parts of different implementations of
// one contract.
func areSiblings(one, other string) bool {
	folder, name, nested := cut(one)
	otherFolder, otherName, otherNested := cut(other)
	return nested && otherNested && folder == otherFolder && name != otherName && slices.Contains(contracts, folder)
}

// cut returns the first two elements of a package's path.
func cut(pkg string) (folder, name string, nested bool) {
	folder, rest, nested := strings.Cut(pkg, "/")
	name, _, _ = strings.Cut(rest, "/")
	return folder, name, nested
}

func tooLong(f file) []string {
	var out []string
	if lines := f.set.File(f.syntax.FileStart).LineCount(); lines > longestFile {
		out = append(out, fmt.Sprintf("%s: has %d lines, more than %d", f.name, lines, longestFile))
	}
	longest := longestFunction
	if f.isTest() {
		longest = longestTestFunction
	}
	for _, function := range functions(f) {
		from, to := f.set.Position(function.Pos()), f.set.Position(function.End())
		if lines := to.Line - from.Line + 1; lines > longest {
			out = append(out, fmt.Sprintf("%s:%d: %s has %d lines, more than %d", f.name, from.Line, function.Name.Name, lines, longest))
		}
	}
	return out
}

func initFunctions(f file) []string {
	var out []string
	for _, function := range functions(f) {
		if function.Recv == nil && function.Name.Name == "init" {
			line := f.set.Position(function.Pos()).Line
			out = append(out, fmt.Sprintf("%s:%d: no init functions: list what there is in builtin.go", f.name, line))
		}
	}
	return out
}

func functions(f file) []*ast.FuncDecl {
	var out []*ast.FuncDecl
	for _, declaration := range f.syntax.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok {
			out = append(out, function)
		}
	}
	return out
}

// undocumented names the packages without a package comment. That of a test file
// counts only where there is nothing else.
func undocumented(files []file) []string {
	hasCode, documented := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		hasCode[f.pkg] = hasCode[f.pkg] || !f.isTest()
	}
	for _, f := range files {
		comment := f.syntax.Doc.Text()
		starts := strings.HasPrefix(comment, "Package "+f.syntax.Name.Name+" ") || strings.HasPrefix(comment, "Command ")
		if counts := !f.isTest() || !hasCode[f.pkg]; starts && counts {
			documented[f.pkg] = true
		}
	}
	var out []string
	for pkg := range hasCode {
		if !documented[pkg] {
			out = append(out, fmt.Sprintf("%s: has no package comment", pkg))
		}
	}
	slices.Sort(out)
	return out
}

// unexplained compares the modules that go.mod requires with the rows of the page
// about them.
func unexplained(modules []string, page string) []string {
	var out, rows []string
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		if name := strings.TrimSpace(cells[1]); strings.Contains(name, ".") {
			rows = append(rows, name)
		}
	}
	for _, name := range modules {
		if !slices.Contains(rows, name) {
			out = append(out, fmt.Sprintf("docs/dependencies.md: has no row for %s, which go.mod requires", name))
		}
	}
	for _, name := range rows {
		if !slices.Contains(modules, name) {
			out = append(out, fmt.Sprintf("docs/dependencies.md: has a row for %s, which go.mod does not require", name))
		}
	}
	return out
}

func parse(t *testing.T, pkg, name string, source any) file {
	t.Helper()
	f := file{pkg: pkg, name: name, set: token.NewFileSet()}
	syntax, err := parser.ParseFile(f.set, name, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	f.syntax = syntax
	for _, spec := range syntax.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		f.imports = append(f.imports, path)
	}
	return f
}

// tree returns all files of all packages, those for other systems included.
func tree(t *testing.T) []file {
	t.Helper()
	type listed struct{ ImportPath, Dir string }
	var out []file
	for _, p := range goJSON[listed](t, "list", "-find", "-json=ImportPath,Dir", module+"/...") {
		names, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			pkg := relative(p.ImportPath)
			out = append(out, parse(t, pkg, filepath.ToSlash(filepath.Join(pkg, filepath.Base(name))), source))
		}
	}
	return out
}

// requirements returns the modules that go.mod requires directly.
func requirements(t *testing.T) []string {
	t.Helper()
	type goMod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	var out []string
	for _, m := range goJSON[goMod](t, "mod", "edit", "-json", filepath.Join("..", "..", "go.mod")) {
		for _, required := range m.Require {
			if !required.Indirect {
				out = append(out, required.Path)
			}
		}
	}
	return out
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// goJSON runs the go command and decodes the values that it prints.
func goJSON[T any](t *testing.T, arguments ...string) []T {
	t.Helper()
	command := exec.Command("go", arguments...)
	command.Stderr = os.Stderr
	printed, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(arguments, " "), err)
	}
	var out []T
	for decoder := json.NewDecoder(strings.NewReader(string(printed))); ; {
		var value T
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("go %s: %v", strings.Join(arguments, " "), err)
		}
		out = append(out, value)
	}
}
