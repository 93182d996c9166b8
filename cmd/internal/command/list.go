package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// column is one of a table.
type column[T any] struct {
	heading string
	value   func(item T, whole bool) string
}

// view is how things of one kind are listed.
type view[T any] struct {
	columns []column[T]
	id      func(T) string
	// filters say whether an item has a value; what they cannot read is an error.
	filters map[string]func(item T, value string) bool
}

// listFlags are those of every list.
type listFlags struct {
	format       string
	quiet, whole bool
	filters      []string
}

// bind adds the flags to a command.
func (f *listFlags) bind(cmd *cobra.Command, filters []string) {
	flags := cmd.Flags()
	addFormat(cmd, &f.format, "table")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "show ids only")
	flags.BoolVar(&f.whole, "no-trunc", false, "show ids in full")
	flags.StringArrayVarP(&f.filters, "filter", "f", nil, "show only what has `key=value`, repeatable; keys: "+strings.Join(filters, ", "))
}

// keys returns the names of a view's filters.
func (v view[T]) keys() []string { return slices.Sorted(maps.Keys(v.filters)) }

// check refuses flags that cannot be followed, before anything is asked.
func (v view[T]) check(f *listFlags) error {
	for _, text := range f.filters {
		key, _, found := strings.Cut(text, "=")
		if !found {
			return invalid("filter", text, "want key=value")
		}
		if v.filters[key] == nil {
			return invalid("filter", text, "there is no such key; keys are "+strings.Join(v.keys(), ", "))
		}
	}
	_, err := (&app{}).newFormatter(f.format)
	return err
}

// keep returns the items that pass all filters. Several values of one key are a choice.
func (v view[T]) keep(items []T, filters []string) []T {
	wanted := map[string][]string{}
	for _, text := range filters {
		key, value, _ := strings.Cut(text, "=")
		wanted[key] = append(wanted[key], value)
	}
	return slices.DeleteFunc(slices.Clone(items), func(item T) bool {
		for key, values := range wanted {
			has := func(value string) bool { return v.filters[key](item, value) }
			// Labels must all be there: a thing has many.
			if key == "label" && !allOf(values, has) || key != "label" && !slices.ContainsFunc(values, has) {
				return true
			}
		}
		return false
	})
}

func allOf(values []string, has func(string) bool) bool {
	return !slices.ContainsFunc(values, func(value string) bool { return !has(value) })
}

// show prints the items that pass the filters.
func (v view[T]) show(a *app, f *listFlags, items []T) error {
	items = v.keep(items, f.filters)
	if f.quiet {
		for _, item := range items {
			a.printf("%s\n", cut(v.id(item), f.whole))
		}
		return nil
	}
	form, err := a.newFormatter(f.format)
	if err != nil {
		return err
	}
	if form.template != nil {
		for _, item := range items {
			if err := form.print(item); err != nil {
				return err
			}
		}
		return nil
	}
	if form.text != "table" {
		if items == nil {
			items = []T{}
		}
		return form.print(items)
	}
	var heading []string
	for _, c := range v.columns {
		heading = append(heading, c.heading)
	}
	rows := make([][]string, 0, len(items))
	for _, item := range items {
		var row []string
		for _, c := range v.columns {
			row = append(row, c.value(item, f.whole))
		}
		rows = append(rows, row)
	}
	a.table(heading, rows)
	return nil
}

// inspectFlags are those of every inspect.
type inspectFlags struct{ format string }

// inspect prints what find returns for each of the arguments: a list in JSON or YAML, or a
// template for each.
func inspect[T any](a *app, f inspectFlags, args []string, find func(string) (T, error)) error {
	form, err := a.newFormatter(f.format)
	if err != nil {
		return err
	}
	if form.text == "table" {
		return invalid("format", form.text, "a single thing has no table; want json, yaml or a template")
	}
	found := make([]T, 0, len(args))
	for _, arg := range args {
		thing, err := find(arg)
		if err != nil {
			return err
		}
		found = append(found, thing)
	}
	if form.template == nil {
		return form.print(found)
	}
	for _, thing := range found {
		if err := form.print(thing); err != nil {
			return err
		}
	}
	return nil
}

// eachOf does something to each of the arguments, and tells of all errors at the end.
func (a *app) eachOf(args []string, do func(string) error) error {
	var first error
	for _, arg := range args {
		err := do(arg)
		switch {
		case err == nil:
		case first == nil:
			first = err
		default:
			a.notef("dnet: %s\n", err)
		}
	}
	return first
}

// hasLabel reports whether labels have key or key=value.
func hasLabel(labels map[string]string, wanted string) bool {
	key, value, given := strings.Cut(wanted, "=")
	got, found := labels[key]
	return found && (!given || got == value)
}

// text returns a value as labels of sandboxes have it.
func text(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	return fmt.Sprint(value)
}
