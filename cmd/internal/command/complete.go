package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/client"
)

// completeWait is how long somebody who presses a key waits for names.
const completeWait = 2 * time.Second

// completion is what cobra asks for words.
type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// names completes words with what the daemon has. Without a daemon there are none.
func (a *app) names(find func(context.Context, *client.Client) ([]string, error)) completion {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		c, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWait)
		defer cancel()
		found, err := find(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func networkNames(ctx context.Context, c *client.Client) (out []string, err error) {
	networks, err := c.Networks(ctx, client.NetworkFilter{})
	for _, n := range networks {
		out = append(out, n.Name)
	}
	return out, err
}

func containerNames(ctx context.Context, c *client.Client) (out []string, err error) {
	sandboxes, err := c.Sandboxes(ctx, client.SandboxFilter{})
	for _, s := range sandboxes {
		out = append(out, s.ContainerID)
	}
	return out, err
}

func endpointNames(ctx context.Context, c *client.Client) (out []string, err error) {
	endpoints, err := c.Endpoints(ctx, client.EndpointFilter{})
	for _, e := range endpoints {
		out = append(out, e.Name)
	}
	return out, err
}

func serviceNames(ctx context.Context, c *client.Client) (out []string, err error) {
	services, err := c.Services(ctx, client.EndpointFilter{})
	for _, s := range services {
		out = append(out, s.Name+"."+s.Network)
	}
	return out, err
}

// inOrder completes the first word by the first, the second by the second, and no more.
func inOrder(steps ...completion) completion {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(steps) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return steps[len(args)](cmd, args, begun)
	}
}

func (a *app) completeNetworks(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.names(networkNames)(cmd, args, begun)
}

func (a *app) completeNetworkOnly(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return inOrder(a.names(networkNames))(cmd, args, begun)
}

func (a *app) completeSandboxes(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.names(containerNames)(cmd, args, begun)
}

func (a *app) completeEndpoints(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return a.names(endpointNames)(cmd, args, begun)
}

func (a *app) completeServices(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return inOrder(a.names(serviceNames))(cmd, args, begun)
}

func (a *app) completeNetworkAndSandbox(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return inOrder(a.names(networkNames), a.names(containerNames))(cmd, args, begun)
}

func (a *app) completeSandboxAndService(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return inOrder(a.names(containerNames), a.names(serviceNames))(cmd, args, begun)
}
