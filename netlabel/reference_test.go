package netlabel_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// introduction is what the page says before the labels.
const introduction = `# Labels and options

Made of the documentation of package ` + "`netlabel`" + `; a test keeps it so. Labels of networks are given
with ` + "`dnet network create --opt NAME=VALUE`" + ` or ` + "`libnetwork.NetworkOptionGeneric`" + `, those of endpoints
with ` + "`driver_opts`" + ` or ` + "`libnetwork.EndpointOptionGeneric`" + `. A bool is "true" or "false". What a driver
does not know is refused.

Options without a prefix belong to one driver: ` + "`parent`" + ` and ` + "`macvlan_mode`" + ` ([macvlan](drivers/macvlan.md)),
` + "`parent`, `ipvlan_mode` and `ipvlan_flag`" + ` ([ipvlan](drivers/ipvlan.md)), and the field names that Go callers of
2017 give to the [bridge](drivers/bridge.md) driver. The daemon's own settings are in
[configuration](configuration.md).

| label | constant | |
|---|---|---|
`

// page returns the reference, of the constants that are labels.
func page(t *testing.T) string {
	t.Helper()
	files := token.NewFileSet()
	var parsed []*ast.File
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	known, err := (&types.Config{Importer: importer.ForCompiler(files, "source", nil)}).Check("netlabel", files, parsed, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(introduction)
	for _, file := range parsed {
		for _, declaration := range file.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				value := spec.(*ast.ValueSpec)
				text := value.Doc.Text()
				if text == "" {
					text = group.Doc.Text()
				}
				name := value.Names[0].Name
				label := constant.StringVal(known.Scope().Lookup(name).(*types.Const).Val())
				if strings.HasSuffix(name, "Prefix") && name != "ContainerIfacePrefix" {
					continue // it is the beginning of labels
				}
				text = strings.TrimPrefix(strings.Join(strings.Fields(text), " "), name+" ")
				fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", label, name, text)
			}
		}
	}
	return b.String()
}

// TestReference keeps docs/reference.md equal to the documentation. Write it anew with
// UPDATE=1.
func TestReference(t *testing.T) {
	const path = "../docs/reference.md"
	want := page(t)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the package says; write it anew with UPDATE=1", path)
	}
}
