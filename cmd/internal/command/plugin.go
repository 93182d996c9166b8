package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Plugin is what runs behind `dnet plugin serve`.
type Plugin interface {
	// Serve serves a container engine until ctx is done or it is told to end.
	Serve(ctx context.Context, flags settings.Plugin) error
}

// pluginFlags say which plugin is asked.
type pluginFlags struct{ name, socket string }

func (f *pluginFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "name", settings.DefaultPlugin, "`name` of the driver in the engine")
	flags.StringVar(&f.socket, "socket", "", "`path` of the plugin's socket (default "+manage.Folder+"/NAME.sock)")
}

func (f *pluginFlags) path() (string, error) {
	if f.socket != "" {
		return f.socket, nil
	}
	return manage.SocketPath(f.name), manage.CheckName(f.name)
}

// ask calls a method of the plugin.
func (f *pluginFlags) ask(ctx context.Context, method string, request, reply any) error {
	socket, err := f.path()
	if err != nil {
		return err
	}
	return advise(manage.Ask(ctx, socket, method, request, reply), "start it: dnet plugin serve, or dnet daemon --plugin "+f.name)
}

func (a *app) pluginCommand() *cobra.Command {
	return group(&cobra.Command{Use: "plugin", Short: "Networks of this machine for a Docker Engine"},
		a.pluginServeCommand(), a.pluginListCommand(), a.pluginPruneCommand())
}

func (a *app) pluginServeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Be a network and address plugin of a Docker Engine, in the foreground",
		Long: `Be a network and address plugin of a Docker Engine, in the foreground, until SIGTERM or
SIGINT. Containers stay connected, and the next run finds them. It needs no daemon; one that
runs can do the same: dnet daemon --plugin NAME.`,
		Example: `  dnet plugin serve
  docker network create -d dnet --ipam-driver dnet web
  docker network create -d dnet -o driver=macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan`,
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	var flags settings.Plugin
	flags.BindFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if a.Plugin == nil {
			return cnm.E("plugin", cnm.Unsupported, errors.New("is not in this build"))
		}
		return a.Plugin.Serve(cmd.Context(), flags)
	}
	return cmd
}

func (a *app) pluginListCommand() *cobra.Command {
	var which pluginFlags
	var format string
	var whole bool
	cmd := &cobra.Command{
		Use: "ls", Short: "List what there is for the engine: networks, endpoints, pools of addresses",
		Example: "  dnet plugin ls\n  dnet plugin ls --format '{{range .Networks}}{{.ID}} {{end}}'",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	which.bind(cmd.Flags())
	cmd.Flags().BoolVar(&whole, "no-trunc", false, "show ids in full")
	addFormat(cmd, &format, "table")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		var listing manage.Listing
		if err := which.ask(cmd.Context(), manage.List, protocol.Empty{}, &listing); err != nil {
			return err
		}
		if form.text != "table" {
			return form.print(listing)
		}
		a.showListing(listing, whole)
		return nil
	}
	return cmd
}

func (a *app) showListing(l manage.Listing, whole bool) {
	var rows [][]string
	for _, n := range l.Networks {
		rows = append(rows, []string{cut(n.ID, whole), n.Driver, strings.Join(n.Subnets, " "), age(n.Created), ""})
		for _, ep := range n.Endpoints {
			address := strings.TrimSpace(ep.Address + " " + ep.AddressIPv6)
			rows = append(rows, []string{"  " + cut(ep.ID, whole), "endpoint", address, age(ep.Created), portTexts(ep.Ports)})
		}
	}
	a.table([]string{"NETWORK", "DRIVER", "ADDRESSES", "AGE", "PORTS"}, rows)
	if len(l.Pools) == 0 {
		return
	}
	rows = nil
	for _, p := range l.Pools {
		rows = append(rows, []string{p.Pool, p.SubPool, fmt.Sprint(len(p.Addresses)), age(p.Granted)})
	}
	a.printf("\n")
	a.table([]string{"POOL", "RANGE", "IN USE", "AGE"}, rows)
}

func age(since time.Time) string { return time.Since(since).Truncate(time.Second).String() }

func portTexts(ports []protocol.PortBinding) string {
	names := map[uint8]string{6: "tcp", 17: "udp", 132: "sctp"}
	var out []string
	for _, p := range ports {
		out = append(out, fmt.Sprintf("%s:%d->%d/%s", p.HostIP, p.HostPort, p.Port, names[p.Proto]))
	}
	return strings.Join(out, " ")
}

func (a *app) pluginPruneCommand() *cobra.Command {
	var which pluginFlags
	var force bool
	var format string
	var older time.Duration
	cmd := &cobra.Command{
		Use: "prune FILE", Short: "Remove what the engine has forgotten",
		Long: `Remove what the engine has forgotten, as one that is killed may do in the midst of something.
FILE, or - for the standard input, is what the engine says that it has:
docker network inspect of ALL its networks. What is not in there is told, and with --force
removed.`,
		Example: "  docker network inspect $(docker network ls --quiet) | dnet plugin prune -\n  docker network inspect $(docker network ls --quiet) | dnet plugin prune --force -",
		Args:    exactly("FILE"),
	}
	which.bind(cmd.Flags())
	cmd.Flags().BoolVarP(&force, "force", "f", false, "remove it, and do not only tell")
	cmd.Flags().DurationVar(&older, "older", time.Minute, "leave alone what is younger than this `time`; the engine may be at it")
	addFormat(cmd, &format, "table")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		if older < time.Second {
			return invalid("older", older.String(), "want 1s or more")
		}
		kept, err := a.readInspection(args[0])
		if err != nil {
			return err
		}
		var reply manage.PruneReply
		request := manage.PruneRequest{Networks: kept, Age: int(older / time.Second), DryRun: !force}
		if err := which.ask(cmd.Context(), manage.Prune, request, &reply); err != nil {
			return err
		}
		if form.text != "table" {
			err = form.print(reply)
		} else {
			a.showPruned(reply, force)
		}
		if err == nil && len(reply.Problems) > 0 {
			return exitCode(1)
		}
		return err
	}
	return cmd
}

func (a *app) showPruned(reply manage.PruneReply, force bool) {
	for _, what := range reply.Removed {
		a.printf("%s\n", what)
	}
	for _, problem := range reply.Problems {
		a.printf("%s: %s\n", a.colour(red, "not removed"), problem)
	}
	switch {
	case len(reply.Removed) == 0 && len(reply.Problems) == 0:
		a.notef("the engine has all that there is for it\n")
	case !force:
		a.notef("nothing was removed; to remove it: the same with --force\n")
	}
}

// inspection is what `docker network inspect` prints of a network.
type inspection struct {
	ID   string `json:"Id"`
	IPAM struct {
		Config []struct {
			Subnet, Gateway    string
			AuxiliaryAddresses map[string]string
		}
	}
	Containers map[string]struct{ EndpointID, IPv4Address, IPv6Address string }
}

// maxInspection bounds what is read, in bytes.
const maxInspection = 64 << 20

// readInspection refuses what is no list of networks: everything would seem forgotten.
func (a *app) readInspection(file string) ([]manage.KeptNetwork, error) {
	var from io.Reader = a.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, cnm.E("read what the engine has", cnm.Invalid, err)
		}
		defer f.Close() //nolint:errcheck // read only
		from = f
	}
	var all []inspection
	if err := json.NewDecoder(io.LimitReader(from, maxInspection)).Decode(&all); err != nil {
		return nil, cnm.E("read what the engine has", cnm.Invalid, fmt.Errorf("want what docker network inspect prints: %w", err))
	}
	if len(all) == 0 {
		return nil, cnm.E("read what the engine has", cnm.Invalid, errors.New("there is no network in it, and each engine has some; give it all of them"))
	}
	var out []manage.KeptNetwork
	for _, n := range all {
		if n.ID == "" {
			return nil, cnm.E("read what the engine has", cnm.Invalid, errors.New("a network has no Id; give what docker network inspect prints, without --format"))
		}
		kept := manage.KeptNetwork{ID: n.ID}
		for _, conf := range n.IPAM.Config {
			kept.Subnets = append(kept.Subnets, conf.Subnet)
			kept.Addresses = appendText(kept.Addresses, conf.Gateway)
			for _, address := range conf.AuxiliaryAddresses {
				kept.Addresses = appendText(kept.Addresses, address)
			}
		}
		for _, c := range n.Containers {
			kept.Endpoints = append(kept.Endpoints, c.EndpointID)
			kept.Addresses = appendText(kept.Addresses, c.IPv4Address, c.IPv6Address)
		}
		out = append(out, kept)
	}
	return out, nil
}

func appendText(to []string, texts ...string) []string {
	for _, text := range texts {
		if text != "" {
			to = append(to, text)
		}
	}
	return to
}
