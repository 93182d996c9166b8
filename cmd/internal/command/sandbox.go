package command

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

func (a *app) sandboxCommand() *cobra.Command {
	return group(&cobra.Command{Use: "sandbox", Short: "Sandboxes, the network stacks of containers: list, remove"},
		a.sandboxListCommand(), a.sandboxInspectCommand(), a.sandboxRemoveCommand("rm SANDBOX...", "SANDBOX"), a.sandboxKeyCommand())
}

func (a *app) containerCommand() *cobra.Command {
	return group(&cobra.Command{Use: "container", Short: "Containers, by which their sandboxes are meant: make, remove"},
		a.containerCreateCommand(), a.sandboxRemoveCommand("rm CONTAINER...", "CONTAINER"))
}

func (a *app) containerCreateCommand() *cobra.Command {
	var body api.SandboxCreate
	var publish []string
	cmd := &cobra.Command{
		Use: "create CONTAINER", Short: "Make a sandbox for a container and print the sandbox's id",
		Example: "  dnet container create c1\n  dnet container create --external c2 && dnet sandbox key c2 /proc/1234/ns/net",
		Args:    exactly("CONTAINER"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&body.HostName, "hostname", "", "`name` that the container has for itself")
	flags.StringVar(&body.DomainName, "domainname", "", "`domain` of the container")
	flags.StringArrayVar(&body.DNS, "dns", nil, "`address` of a name server; repeatable")
	flags.StringArrayVar(&body.DNSSearch, "dns-search", nil, "`domain` to search names in; repeatable")
	flags.StringArrayVarP(&publish, "publish", "p", nil, "publish a port on the host: `[[IP:]PORT:]PORT[/PROTOCOL]`, also ranges; repeatable")
	flags.BoolVar(&body.UseExternalKey, "external", false, "the namespace is somebody else's, and told by: dnet sandbox key")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) (err error) {
		body.ContainerID = args[0]
		if err := checkName("container", args[0]); err != nil {
			return err
		}
		if err := checkServers(body.DNS); err != nil {
			return err
		}
		if body.Ports, err = parsePorts(publish); err != nil {
			return err
		}
		id, err := c.CreateSandbox(ctx, body)
		if err != nil {
			return err
		}
		a.printf("%s\n", id)
		return nil
	})
	return cmd
}

func (a *app) sandboxRemoveCommand(use, name string) *cobra.Command {
	return &cobra.Command{
		Use: use, Aliases: []string{"remove"}, Short: "Remove sandboxes, with their endpoints",
		Args: atLeast(name), ValidArgsFunction: a.completeSandboxes,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkNames("container", args); err != nil {
				return err
			}
			return a.eachOf(args, func(name string) error { return c.DeleteSandbox(ctx, name) })
		}),
	}
}

func sandboxView() view[api.Sandbox] {
	return view[api.Sandbox]{
		id: func(s api.Sandbox) string { return s.ID },
		columns: []column[api.Sandbox]{
			{"SANDBOX ID", func(s api.Sandbox, whole bool) string { return cut(s.ID, whole) }},
			{"CONTAINER", func(s api.Sandbox, whole bool) string { return cut(s.ContainerID, whole) }},
			{"NETWORKS", func(s api.Sandbox, _ bool) string { return strings.Join(networksOf(s), " ") }},
			{"KEY", func(s api.Sandbox, _ bool) string { return s.Key }},
		},
		filters: map[string]func(api.Sandbox, string) bool{
			"id":        func(s api.Sandbox, v string) bool { return isPrefix(s.ID, v) },
			"container": func(s api.Sandbox, v string) bool { return isPrefix(s.ContainerID, v) },
			"network":   func(s api.Sandbox, v string) bool { return slices.Contains(networksOf(s), v) },
			"lifetime":  func(s api.Sandbox, v string) bool { return s.Lifetime == v },
			"label": func(s api.Sandbox, v string) bool {
				labels := map[string]string{}
				for key, value := range s.Labels {
					labels[key] = text(value)
				}
				return hasLabel(labels, v)
			},
		},
	}
}

func networksOf(s api.Sandbox) (out []string) {
	for _, e := range s.Endpoints {
		out = append(out, e.Network)
	}
	return out
}

func (a *app) sandboxListCommand() *cobra.Command {
	return a.sandboxes(&cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List sandboxes"}, sandboxView())
}

// sandboxes makes a command that lists sandboxes.
func (a *app) sandboxes(cmd *cobra.Command, v view[api.Sandbox]) *cobra.Command {
	var flags listFlags
	cmd.Args, cmd.ValidArgsFunction = exactly(), cobra.NoFileCompletions
	flags.bind(cmd, v.keys())
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := v.check(&flags); err != nil {
			return err
		}
		sandboxes, err := c.Sandboxes(ctx, client.SandboxFilter{})
		if err != nil {
			return err
		}
		return v.show(a, &flags, sandboxes)
	})
	return cmd
}

func (a *app) sandboxInspectCommand() *cobra.Command {
	var flags inspectFlags
	cmd := &cobra.Command{
		Use: "inspect SANDBOX...", Short: "Tell all of sandboxes and their endpoints",
		Args: atLeast("SANDBOX"), ValidArgsFunction: a.completeSandboxes,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkNames("sandbox", args); err != nil {
				return err
			}
			return inspect(a, flags, args, func(name string) (api.Sandbox, error) { return c.Sandbox(ctx, name) })
		}),
	}
	addFormat(cmd, &flags.format, "json")
	return cmd
}

func (a *app) sandboxKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "key SANDBOX [NAMESPACE]", Short: "Print the path of a sandbox's namespace, or say which it is",
		Long: `Print the path of a sandbox's namespace. With NAMESPACE, a path such as /proc/PID/ns/net, give
a sandbox its namespace that was made with: dnet container create --external`,
		Example: "  nsenter --net=$(dnet sandbox key c1) ip address",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				return count(args, 2, []string{"SANDBOX", "NAMESPACE"})
			}
			return count(args, 2, []string{"SANDBOX"})
		},
		ValidArgsFunction: a.completeSandboxes,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkName("sandbox", args[0]); err != nil {
				return err
			}
			if len(args) == 1 {
				sandbox, err := c.Sandbox(ctx, args[0])
				if err != nil {
					return err
				}
				a.printf("%s\n", sandbox.Key)
				return nil
			}
			if !strings.HasPrefix(args[1], "/") {
				return invalid("namespace", args[1], "want a path that starts with a slash, such as /proc/1234/ns/net")
			}
			key, err := c.SetSandboxKey(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			a.printf("%s\n", key)
			return nil
		}),
	}
}
