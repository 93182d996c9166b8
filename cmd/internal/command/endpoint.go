package command

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

func (a *app) endpointCommand() *cobra.Command {
	return group(&cobra.Command{Use: "endpoint", Short: "Endpoints: make, list, remove"},
		a.endpointCreateCommand(), a.endpointListCommand(), a.endpointInspectCommand(), a.endpointRemoveCommand())
}

func (a *app) endpointCreateCommand() *cobra.Command {
	var f endpointFlags
	cmd := &cobra.Command{
		Use: "create NETWORK ENDPOINT", Short: "Make an endpoint that is in no container yet, and print its id",
		Example: "  dnet endpoint create --ip 172.30.0.10 web www",
		Args:    exactly("NETWORK", "ENDPOINT"), ValidArgsFunction: a.completeNetworkOnly,
	}
	f.bind(cmd.Flags())
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		if err := checkNames("name", args); err != nil {
			return err
		}
		body, err := f.body(args[1])
		if err != nil {
			return err
		}
		id, err := c.CreateEndpoint(ctx, args[0], body)
		if err != nil {
			return err
		}
		a.printf("%s\n", id)
		return nil
	})
	return cmd
}

func endpointView() view[api.Endpoint] {
	return view[api.Endpoint]{
		id: func(e api.Endpoint) string { return e.ID },
		columns: []column[api.Endpoint]{
			{"ENDPOINT ID", func(e api.Endpoint, whole bool) string { return cut(e.ID, whole) }},
			{"NAME", func(e api.Endpoint, _ bool) string { return e.Name }},
			{"NETWORK", func(e api.Endpoint, _ bool) string { return e.Network }},
			{"CONTAINER", func(e api.Endpoint, whole bool) string { return cut(e.Container, whole) }},
			{"ADDRESSES", func(e api.Endpoint, _ bool) string { return addressesOf(e) }},
		},
		filters: map[string]func(api.Endpoint, string) bool{
			"name":      func(e api.Endpoint, v string) bool { return e.Name == v },
			"id":        func(e api.Endpoint, v string) bool { return isPrefix(e.ID, v) },
			"network":   func(e api.Endpoint, v string) bool { return e.Network == v || isPrefix(e.NetworkID, v) },
			"container": func(e api.Endpoint, v string) bool { return isPrefix(e.Container, v) },
			"label":     func(e api.Endpoint, v string) bool { return hasLabel(e.Labels, v) },
		},
	}
}

// addressesOf returns an endpoint's addresses without the lengths of their subnets.
func addressesOf(e api.Endpoint) string {
	var out []string
	for _, prefix := range e.Addresses {
		out = append(out, prefix.Addr().String())
	}
	return strings.Join(out, " ")
}

func (a *app) endpointListCommand() *cobra.Command {
	var flags listFlags
	v := endpointView()
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List endpoints",
		Example: "  dnet endpoint ls --filter network=web",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags.bind(cmd, v.keys())
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := v.check(&flags); err != nil {
			return err
		}
		endpoints, err := c.Endpoints(ctx, client.EndpointFilter{})
		if err != nil {
			return err
		}
		return v.show(a, &flags, endpoints)
	})
	return cmd
}

func (a *app) endpointInspectCommand() *cobra.Command {
	var flags inspectFlags
	cmd := &cobra.Command{
		Use: "inspect ENDPOINT...", Short: "Tell all of endpoints",
		Args: atLeast("ENDPOINT"), ValidArgsFunction: a.completeEndpoints,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkNames("endpoint", args); err != nil {
				return err
			}
			return inspect(a, flags, args, func(name string) (api.Endpoint, error) { return c.Endpoint(ctx, name) })
		}),
	}
	addFormat(cmd, &flags.format, "json")
	return cmd
}

func (a *app) endpointRemoveCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "rm ENDPOINT...", Aliases: []string{"remove"}, Short: "Remove endpoints",
		Args: atLeast("ENDPOINT"), ValidArgsFunction: a.completeEndpoints,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkNames("endpoint", args); err != nil {
				return err
			}
			return a.eachOf(args, func(name string) error { return c.DeleteEndpoint(ctx, name, force) })
		}),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "also those in a container, which they leave")
	return cmd
}
