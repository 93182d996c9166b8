package command

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

func (a *app) networkCommand() *cobra.Command {
	return group(&cobra.Command{Use: "network", Short: "Networks: make, list, connect, remove"},
		a.networkCreateCommand(), a.networkRemoveCommand(), a.networkListCommand(), a.networkInfoCommand(),
		a.networkInspectCommand(), a.networkConnectCommand(), a.networkDisconnectCommand(), a.networkPruneCommand())
}

func (a *app) networkRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm NETWORK...", Aliases: []string{"remove"}, Short: "Remove networks that have no endpoints",
		Example: "  dnet network rm web",
		Args:    atLeast("NETWORK"), ValidArgsFunction: a.completeNetworks,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkNames("network", args); err != nil {
				return err
			}
			return a.eachOf(args, func(name string) error { return c.DeleteNetwork(ctx, name) })
		}),
	}
}

// networkView has the columns of 2017.
func networkView() view[api.Network] {
	return view[api.Network]{
		id: func(n api.Network) string { return n.ID },
		columns: []column[api.Network]{
			{"NETWORK ID", func(n api.Network, whole bool) string { return cut(n.ID, whole) }},
			{"NAME", func(n api.Network, _ bool) string { return n.Name }},
			{"TYPE", func(n api.Network, _ bool) string { return n.Type }},
		},
		filters: map[string]func(api.Network, string) bool{
			"name":   func(n api.Network, v string) bool { return n.Name == v },
			"id":     func(n api.Network, v string) bool { return isPrefix(n.ID, v) },
			"driver": func(n api.Network, v string) bool { return n.Type == v },
			"scope":  func(n api.Network, v string) bool { return n.Scope == v },
			"label":  func(n api.Network, v string) bool { return hasLabel(n.Labels, v) },
		},
	}
}

func isPrefix(id, beginning string) bool {
	return beginning != "" && len(id) >= len(beginning) && id[:len(beginning)] == beginning
}

func (a *app) networkListCommand() *cobra.Command {
	var flags listFlags
	var latest bool
	var last int
	v := networkView()
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List networks",
		Example: "  dnet network ls --filter driver=bridge\n  dnet network ls --format '{{.Name}} {{range .Subnets}}{{.Pool}} {{end}}'",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&latest, "latest", "l", false, "show the network made last")
	cmd.Flags().IntVarP(&last, "last", "n", 0, "show the `N` networks made last; 0 is all")
	flags.bind(cmd, v.keys())
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := v.check(&flags); err != nil {
			return err
		}
		networks, err := c.Networks(ctx, client.NetworkFilter{})
		if err != nil {
			return err
		}
		if latest {
			last = 1
		}
		if last > 0 {
			slices.SortStableFunc(networks, func(a, b api.Network) int { return b.Created.Compare(a.Created) })
			networks = networks[:min(last, len(networks))]
		}
		return v.show(a, &flags, networks)
	})
	return cmd
}

func (a *app) networkInfoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "info NETWORK", Short: "Tell of a network in a few lines; inspect tells all",
		Args: exactly("NETWORK"), ValidArgsFunction: a.completeNetworks,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkName("network", args[0]); err != nil {
				return err
			}
			n, err := c.Network(ctx, args[0])
			if err != nil {
				return err
			}
			a.printf("Network Id: %s\nName: %s\nType: %s\n", n.ID, n.Name, n.Type)
			for _, e := range n.Endpoints {
				a.printf(" Service Id: %s\n\tName: %s\n", e.ID, e.Name)
			}
			return nil
		}),
	}
}

func (a *app) networkInspectCommand() *cobra.Command {
	var flags inspectFlags
	cmd := &cobra.Command{
		Use: "inspect NETWORK...", Short: "Tell all of networks, and who holds their addresses",
		Example: "  dnet network inspect web\n  dnet network inspect --format '{{range .Subnets}}{{.Used}} of {{.Pool}}{{end}}' web",
		Args:    atLeast("NETWORK"), ValidArgsFunction: a.completeNetworks,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkNames("network", args); err != nil {
				return err
			}
			return inspect(a, flags, args, func(name string) (api.Network, error) { return c.Network(ctx, name) })
		}),
	}
	addFormat(cmd, &flags.format, "json")
	return cmd
}

func (a *app) networkPruneCommand() *cobra.Command {
	var labels []string
	var format string
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove all networks that have no endpoints, but for the default one",
		Example: "  dnet network prune --label owner=ci",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringArrayVar(&labels, "label", nil, "only networks with this `key[=value]`, repeatable")
	addFormat(cmd, &format, "table")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		if _, err := parsePairs("label", labels); err != nil {
			return err
		}
		report, err := c.PruneNetworks(ctx, labels...)
		if err != nil {
			return err
		}
		if form.text != "table" {
			return form.print(report)
		}
		slices.SortFunc(report.Deleted, func(a, b api.Network) int { return cmp.Compare(a.Name, b.Name) })
		for _, n := range report.Deleted {
			a.printf("%s\n", n.Name)
		}
		if len(report.Deleted) == 0 {
			a.notef("every network is in use: nothing was removed\n")
		}
		return nil
	})
	return cmd
}
