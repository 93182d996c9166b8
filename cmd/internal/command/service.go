package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
)

func (a *app) serviceCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "service", Short: "Services, which are endpoints by the name they had in 2017",
		Long: `Services are endpoints by the name they had in 2017. SERVICE.NETWORK names one in a network;
without .NETWORK the daemon's default network is meant.`,
	},
		a.servicePublishCommand(), a.serviceUnpublishCommand(), a.serviceAttachCommand(), a.serviceDetachCommand(),
		a.serviceListCommand(), a.serviceInfoCommand())
}

func (a *app) servicePublishCommand() *cobra.Command {
	var aliases []string
	cmd := &cobra.Command{
		Use: "publish SERVICE[.NETWORK]", Short: "Make a service and print its id",
		Example: "  dnet service publish --alias db --alias sql postgres.web",
		Args:    exactly("SERVICE[.NETWORK]"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringArrayVar(&aliases, "alias", nil, "further `name` of the service in its network; repeatable")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		name, network, err := splitService(args[0])
		if err != nil {
			return err
		}
		if err := checkNames("alias", aliases); err != nil {
			return err
		}
		id, err := c.CreateService(ctx, api.ServiceCreate{
			EndpointCreate: api.EndpointCreate{Name: name, MyAliases: aliases}, Network: network,
		})
		if err != nil {
			return err
		}
		a.printf("%s\n", id)
		return nil
	})
	return cmd
}

// service finds the service that an argument means: by name in its network, or by id.
func findService(ctx context.Context, c *client.Client, argument string) (api.Endpoint, error) {
	name, network, err := splitService(argument)
	if err != nil {
		return api.Endpoint{}, err
	}
	if network == "" {
		info, err := c.Info(ctx)
		if err != nil {
			return api.Endpoint{}, err
		}
		network = info.DefaultNetwork
	}
	found, err := c.Services(ctx, client.EndpointFilter{Network: network, Name: name})
	if err != nil {
		return api.Endpoint{}, err
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if !strings.Contains(argument, ".") {
		byID, err := c.Services(ctx, client.EndpointFilter{PartialID: argument})
		if err != nil {
			return api.Endpoint{}, err
		}
		if len(byID) == 1 {
			return byID[0], nil
		}
		if len(byID) > 1 {
			return api.Endpoint{}, invalid("service", argument, fmt.Sprintf("is the beginning of %d ids; give more of it", len(byID)))
		}
	}
	err = fmt.Errorf("service %q: there is none of this name in the network %q, and no service with such an id", name, network)
	return api.Endpoint{}, advise(cnm.E("", cnm.NotFound, err), "see what there is: dnet service ls")
}

func (a *app) serviceUnpublishCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "unpublish SERVICE[.NETWORK]", Short: "Remove a service",
		Args: exactly("SERVICE[.NETWORK]"), ValidArgsFunction: a.completeServices,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			service, err := findService(ctx, c, args[0])
			if err != nil {
				return err
			}
			return c.DeleteService(ctx, service.ID, api.ServiceDelete{Name: service.Name, Force: force})
		}),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "detach it first")
	return cmd
}

func (a *app) serviceAttachCommand() *cobra.Command {
	var links []string
	cmd := &cobra.Command{
		Use: "attach CONTAINER SERVICE[.NETWORK]", Short: "Put a service into a container's sandbox",
		Example: "  dnet service attach --alias postgres:db c1 app.web",
		Args:    exactly("CONTAINER", "SERVICE[.NETWORK]"), ValidArgsFunction: a.completeSandboxAndService,
	}
	cmd.Flags().StringArrayVar(&links, "alias", nil, "what this container alone calls another: `container:alias`; repeatable")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		if err := checkName("container", args[0]); err != nil {
			return err
		}
		if _, err := parseLinks(links); err != nil {
			return err
		}
		sandbox, service, err := findPair(ctx, c, args)
		if err != nil {
			return err
		}
		_, err = c.AttachService(ctx, service.ID, api.EndpointJoin{SandboxID: sandbox.ID, Aliases: links})
		return err
	})
	return cmd
}

// findPair finds the container and the service of attach and detach.
func findPair(ctx context.Context, c *client.Client, args []string) (api.Sandbox, api.Endpoint, error) {
	service, err := findService(ctx, c, args[1])
	if err != nil {
		return api.Sandbox{}, service, err
	}
	sandbox, err := c.Sandbox(ctx, args[0])
	return sandbox, service, err
}

func (a *app) serviceDetachCommand() *cobra.Command {
	return &cobra.Command{
		Use: "detach CONTAINER SERVICE[.NETWORK]", Short: "Take a service out of a container's sandbox",
		Args: exactly("CONTAINER", "SERVICE[.NETWORK]"), ValidArgsFunction: a.completeSandboxAndService,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkName("container", args[0]); err != nil {
				return err
			}
			sandbox, service, err := findPair(ctx, c, args)
			if err != nil {
				return err
			}
			return c.DetachService(ctx, service.ID, sandbox.ID)
		}),
	}
}

// serviceView has the columns of 2017.
func serviceView() view[api.Endpoint] {
	v := endpointView()
	v.columns = []column[api.Endpoint]{
		{"SERVICE ID", func(e api.Endpoint, whole bool) string { return cut(e.ID, whole) }},
		{"NAME", func(e api.Endpoint, _ bool) string { return e.Name }},
		{"NETWORK", func(e api.Endpoint, _ bool) string { return e.Network }},
		{"CONTAINER", func(e api.Endpoint, whole bool) string { return cut(e.Container, whole) }},
		{"SANDBOX", func(e api.Endpoint, whole bool) string { return cut(e.SandboxID, whole) }},
	}
	return v
}

func (a *app) serviceListCommand() *cobra.Command {
	var flags listFlags
	var network string
	v := serviceView()
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List services",
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&network, "network", "", "only those of this `network`")
	cmd.Flags().StringVar(&network, "net", "", "only those of this `network`")
	_ = cmd.Flags().MarkHidden("net")
	flags.bind(cmd, v.keys())
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		if err := v.check(&flags); err != nil {
			return err
		}
		services, err := c.Services(ctx, client.EndpointFilter{Network: network})
		if err != nil {
			return err
		}
		return v.show(a, &flags, services)
	})
	return cmd
}

func (a *app) serviceInfoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "info SERVICE[.NETWORK]", Short: "Tell of a service in a few lines",
		Args: exactly("SERVICE[.NETWORK]"), ValidArgsFunction: a.completeServices,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			service, err := findService(ctx, c, args[0])
			if err != nil {
				return err
			}
			a.printf("Service Id: %s\n\tName: %s\n\tNetwork: %s\n", service.ID, service.Name, service.Network)
			return nil
		}),
	}
}
