package command

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

// eventFilters are the keys of --filter.
func eventFilters() map[string]func(api.Event, string) bool {
	return map[string]func(api.Event, string) bool{
		"type":   func(e api.Event, v string) bool { return e.Type == v },
		"action": func(e api.Event, v string) bool { return e.Action == v },
		"name":   func(e api.Event, v string) bool { return e.Name == v },
		"id":     func(e api.Event, v string) bool { return isPrefix(e.ID, v) },
		"container": func(e api.Event, v string) bool {
			return isPrefix(e.Container, v) || e.Type == "sandbox" && isPrefix(e.Name, v)
		},
		"network": func(e api.Event, v string) bool {
			return e.Network == v || isPrefix(e.NetworkID, v) || e.Type == "network" && (e.Name == v || isPrefix(e.ID, v))
		},
	}
}

// eventFlags are those of events.
type eventFlags struct {
	since   uint64
	count   int
	format  string
	filters []string
}

func (a *app) eventsCommand() *cobra.Command {
	var f eventFlags
	v := view[api.Event]{filters: eventFilters()}
	cmd := &cobra.Command{
		Use: "events", Short: "Show what happens, as it happens",
		Long: `Show what happens, as it happens, until it is interrupted. A daemon that is restarted
meanwhile is waited for. In JSON each event is a line.`,
		Example: `  dnet events --since 0 --count 10
  dnet events --filter type=endpoint --filter action=join --format '{{.Container}} {{.Network}}'`,
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.Uint64Var(&f.since, "since", client.FromNow, "begin behind the event with this `number`; 0 is the oldest remembered (default: from now on)")
	flags.Lookup("since").DefValue = "0" // which the help leaves out
	flags.IntVarP(&f.count, "count", "n", 0, "end after `N` events; 0 is never")
	flags.StringArrayVarP(&f.filters, "filter", "f", nil, "show only events with `key=value`, repeatable; keys: "+strings.Join(v.keys(), ", "))
	addFormat(cmd, &f.format, "table")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := v.check(&listFlags{format: f.format, filters: f.filters}); err != nil {
			return err
		}
		return a.follow(ctx, c, v, f)
	})
	return cmd
}

// follow prints events.
func (a *app) follow(ctx context.Context, c *client.Client, v view[api.Event], f eventFlags) error {
	form, err := a.newFormatter(f.format)
	if err != nil {
		return err
	}
	options := client.EventOptions{After: f.since, Lost: func(err error) {
		a.notef("dnet: the daemon is lost, and waited for: %s\n", err)
	}}
	shown := 0
	for event, err := range c.Events(ctx, options) {
		if err != nil {
			return err
		}
		// What is missed concerns every filter.
		if event.Action != "missed" && len(v.keep([]api.Event{event}, f.filters)) == 0 {
			continue
		}
		if err := a.showEvent(form, event); err != nil || a.out.err != nil {
			return err
		}
		if shown++; shown == f.count {
			return nil
		}
	}
	return nil
}

func (a *app) showEvent(form formatter, e api.Event) error {
	switch form.text {
	case "table":
		a.printf("%s\n", eventLine(e))
		return nil
	case "json":
		text, err := marshal(e, "")
		a.printf("%s", text)
		return err
	case "yaml":
		a.printf("---\n")
	}
	return form.print(e)
}

// eventLine returns an event in words.
func eventLine(e api.Event) string {
	words := []string{e.Time.Local().Format("2006-01-02T15:04:05.000Z07:00"), e.Type, e.Action}
	if e.Name != "" {
		words = append(words, e.Name)
	}
	if e.ID != "" {
		words = append(words, cut(e.ID, false))
	}
	var more []string
	for _, pair := range [][2]string{{"network", e.Network}, {"container", cut(e.Container, false)}, {"detail", e.Detail}} {
		if pair[1] != "" && !slices.Contains(words[3:], pair[1]) {
			more = append(more, pair[0]+"="+pair[1])
		}
	}
	if len(more) > 0 {
		words = append(words, "("+strings.Join(more, ", ")+")")
	}
	return strings.Join(words, " ")
}
