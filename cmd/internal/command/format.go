package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"text/template"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// shortID is how many characters of an id are shown.
const shortID = 12

// cut shortens an id unless all of it is wanted.
func cut(id string, whole bool) string {
	if whole || len(id) <= shortID {
		return id
	}
	return id[:shortID]
}

// formats tells people what --format takes.
const formats = "table, json, yaml, or a Go template such as '{{.Name}}'"

// formatter prints values in the form that was asked for.
type formatter struct {
	app *app
	// text is "table", "json", "yaml" or a template.
	text     string
	template *template.Template
}

// addFormat adds the flag.
func addFormat(cmd *cobra.Command, text *string, normal string) {
	cmd.Flags().StringVar(text, "format", normal, "`how` to print: "+formats)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// newFormatter refuses what is neither a known form nor a template.
func (a *app) newFormatter(text string) (formatter, error) {
	f := formatter{app: a, text: text}
	switch {
	case text == "table", text == "json", text == "yaml":
		return f, nil
	case !strings.Contains(text, "{{"):
		return f, invalid("format", text, "want "+formats)
	}
	var err error
	f.template, err = template.New("format").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			text, err := marshal(v, "")
			return string(bytes.TrimSpace(text)), err
		},
		"join":  strings.Join,
		"short": func(id string) string { return cut(id, false) },
	}).Parse(text)
	if err != nil {
		return f, invalid("format", text, err.Error())
	}
	return f, nil
}

// print prints a value, which a template gets as it is, in every form but the table.
func (f formatter) print(value any) error {
	switch f.text {
	case "json":
		text, err := marshal(value, "    ")
		if err != nil {
			return err
		}
		f.app.printf("%s", text)
		return nil
	case "yaml":
		return f.printYAML(value)
	}
	if err := f.template.Execute(f.app.out, value); err != nil {
		if f.app.out.err != nil {
			return f.app.out.err
		}
		return invalid("format", f.text, err.Error())
	}
	f.app.printf("\n")
	return nil
}

func marshal(value any, indent string) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	err := encoder.Encode(value)
	return out.Bytes(), err
}

// printYAML has the names and the order of JSON, which is YAML in another style.
func (f formatter) printYAML(value any) error {
	text, err := marshal(value, "")
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return err
	}
	restyle(&node)
	encoder := yaml.NewEncoder(f.app.out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return err
	}
	return encoder.Close()
}

func restyle(node *yaml.Node) {
	if len(node.Content) > 0 || node.Kind == yaml.ScalarNode {
		node.Style = 0
	}
	for _, below := range node.Content {
		restyle(below)
	}
}

// table prints rows under a heading, as wide as in 2017.
func (a *app) table(heading []string, rows [][]string) {
	w := tabwriter.NewWriter(a.out, 20, 1, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(heading, "\t"))
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
}

// colour wraps a text for a terminal.
func (a *app) colour(code, text string) string {
	if !a.outTerminal || a.Getenv("NO_COLOR") != "" || a.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Colours, as terminals number them.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)
