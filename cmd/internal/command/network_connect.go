package command

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

// endpointFlags are what is said of an endpoint that is to be.
type endpointFlags struct {
	aliases, addresses, linkLocal []string
	mac                           string
	dns, publish, expose          []string
	options, labels               []string
}

func (f *endpointFlags) bind(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.aliases, "alias", nil, "further `name` of it in the network; repeatable")
	flags.StringArrayVar(&f.addresses, "ip", nil, "`address` of it: one of IPv4, one of IPv6 (default: the next free one)")
	flags.StringArrayVar(&f.linkLocal, "link-local-ip", nil, "further `address` of it, of the link; repeatable")
	flags.StringVar(&f.mac, "mac", "", "MAC `address` of its interface (default: made from the IP address)")
	flags.StringArrayVar(&f.dns, "dns", nil, "`address` of a name server; repeatable")
	flags.StringArrayVarP(&f.publish, "publish", "p", nil, "publish a port on the host: `[[IP:]PORT:]PORT[/PROTOCOL]`, also ranges; repeatable")
	flags.StringArrayVar(&f.expose, "expose", nil, "`port[/protocol]` that it listens at; repeatable")
	flags.StringArrayVarP(&f.options, "opt", "o", nil, "`key=value` for the driver, several divided by commas; repeatable")
	flags.StringArrayVar(&f.labels, "label", nil, "`key=value` to find it by; repeatable")
}

// body checks all the flags.
func (f *endpointFlags) body(name string) (e api.EndpointCreate, err error) {
	e = api.EndpointCreate{Name: name, MyAliases: f.aliases, MAC: f.mac, DNS: f.dns, ExposedPorts: f.expose}
	if err := checkNames("alias", f.aliases); err != nil {
		return e, err
	}
	if e.IPv4, e.IPv6, err = parseAddresses("address", f.addresses); err != nil {
		return e, err
	}
	for _, text := range f.linkLocal {
		address, err := parseAddress("link-local address", text)
		if err != nil {
			return e, err
		}
		e.LinkLocal = append(e.LinkLocal, address)
	}
	if err := checkMAC(f.mac); err != nil {
		return e, err
	}
	if err := checkServers(f.dns); err != nil {
		return e, err
	}
	if e.Ports, err = parsePorts(f.publish); err != nil {
		return e, err
	}
	if _, err := parsePorts(f.expose); err != nil {
		return e, err
	}
	if e.DriverOpts, err = parsePairs("option", splitOptions(f.options)); err != nil {
		return e, err
	}
	e.Labels, err = parsePairs("label", f.labels)
	return e, err
}

func (a *app) networkConnectCommand() *cobra.Command {
	var f endpointFlags
	var name string
	var links []string
	var priority int
	cmd := &cobra.Command{
		Use: "connect NETWORK CONTAINER", Short: "Connect a container to a network",
		Long: "Connect a container to a network: an endpoint is made, which joins the container's sandbox.",
		Example: `  dnet network connect web c1
  dnet network connect --ip 172.30.0.10 --alias www --publish 8080:80 web c1`,
		Args: exactly("NETWORK", "CONTAINER"), ValidArgsFunction: a.completeNetworkAndSandbox,
	}
	f.bind(cmd.Flags())
	cmd.Flags().StringVar(&name, "name", "", "`name` of the endpoint (default: the container's id)")
	cmd.Flags().StringArrayVar(&links, "link", nil, "what this container alone calls another: `container:alias`; repeatable")
	cmd.Flags().IntVar(&priority, "priority", 0, "the network with the highest `number` gives the default route")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		if err := checkNames("name", args); err != nil {
			return err
		}
		if name != "" {
			if err := checkName("endpoint", name); err != nil {
				return err
			}
		}
		endpoint, err := f.body(name)
		if err != nil {
			return err
		}
		connect := api.NetworkConnect{Container: args[1], EndpointCreate: endpoint, Priority: priority}
		if connect.Aliases, err = parseLinks(links); err != nil {
			return err
		}
		made, err := c.Connect(ctx, args[0], connect)
		if err != nil {
			return err
		}
		a.printf("%s\n", made.ID)
		return nil
	})
	return cmd
}

func (a *app) networkDisconnectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "disconnect NETWORK CONTAINER", Short: "Disconnect a container from a network",
		Args: exactly("NETWORK", "CONTAINER"), ValidArgsFunction: a.completeNetworkAndSandbox,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if err := checkNames("name", args); err != nil {
				return err
			}
			return c.Disconnect(ctx, args[0], args[1])
		}),
	}
}
