package command

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
)

// cleanWait is how long removing the sandbox may take at the end. The daemon removes what
// is left after that.
const cleanWait = 30 * time.Second

// noNetwork as the only network is a loopback and nothing else.
const noNetwork = "none"

// runFlags are those of run.
type runFlags struct {
	networks, aliases, addresses []string
	publish, dns, search         []string
	name, hostname, mac          string
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run [FLAGS] -- PROGRAM [ARGUMENT...]", Short: "Run a program in a network of its own",
		Long: `Make a sandbox, connect it to networks, and run a program of this machine in it. When the
program ends, the sandbox goes, and the exit code is the program's; when this command is
killed, the program is too, and the daemon removes the sandbox.`,
		Example: `  dnet run -- ip address
  dnet run --network web --name www -p 8080:80 -- python3 -m http.server 80
  dnet run --network none -- sh`,
		Args: cobra.ArbitraryArgs, Annotations: map[string]string{program: "yes"},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.StringArrayVar(&f.networks, "network", nil, "`network` to connect to, repeatable; none is a loopback only (default: the daemon's)")
	flags.StringArrayVarP(&f.publish, "publish", "p", nil, "publish a port on the host: `[[IP:]PORT:]PORT[/PROTOCOL]`, also ranges; repeatable")
	flags.StringVar(&f.name, "name", "", "`name` by which others find it, and container id (default: a random one)")
	flags.StringArrayVar(&f.aliases, "alias", nil, "further `name` in its networks; repeatable")
	flags.StringArrayVar(&f.addresses, "ip", nil, "`address` in the only network: one of IPv4, one of IPv6")
	flags.StringVar(&f.mac, "mac", "", "MAC `address` in the only network")
	flags.StringArrayVar(&f.dns, "dns", nil, "`address` of a name server; repeatable")
	flags.StringArrayVar(&f.search, "dns-search", nil, "`domain` to search names in; repeatable")
	flags.StringVar(&f.hostname, "hostname", "", "`name` that the program sees as the host's (default: that of --name)")
	_ = cmd.RegisterFlagCompletionFunc("network", a.completeNetworks)
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		args, err := programOf(args)
		if err != nil {
			return err
		}
		sandbox, connect, err := f.bodies()
		if err != nil {
			return err
		}
		if err := mustBeLocal(c); err != nil {
			return err
		}
		path, err := findProgram(args[0])
		if err != nil {
			return a.notStarted(err)
		}
		return a.run(ctx, c, sandbox, connect, path, args)
	})
	return cmd
}

// bodies checks all the flags and returns what is asked of the daemon: a sandbox, and its
// place in each network. A network without a name is the default one.
func (f *runFlags) bodies() (s api.SandboxCreate, connect map[string]api.NetworkConnect, err error) {
	f.name, err = nameOrRandom(f.name)
	if err != nil {
		return s, nil, err
	}
	if f.hostname == "" {
		f.hostname = f.name
	}
	if err := errors.Join(checkName("container", f.name), checkName("host's name", f.hostname), checkServers(f.dns),
		checkNames("search domain", f.search)); err != nil {
		return s, nil, err
	}
	s = api.SandboxCreate{
		ContainerID: f.name, HostName: f.hostname, DNS: f.dns, DNSSearch: f.search, Lifetime: api.LifetimeProcess,
	}
	if s.Ports, err = parsePorts(f.publish); err != nil {
		return s, nil, err
	}
	endpoint, err := (&endpointFlags{aliases: f.aliases, addresses: f.addresses, mac: f.mac}).body(f.name)
	if err != nil {
		return s, nil, err
	}
	connect = map[string]api.NetworkConnect{}
	if len(f.networks) == 1 && f.networks[0] == noNetwork {
		if len(f.addresses) > 0 || len(f.publish) > 0 || f.mac != "" {
			return s, nil, cnm.E("", cnm.Invalid, errors.New("without a network there are no addresses and no published ports"))
		}
		return s, connect, nil
	}
	for _, network := range f.networks {
		if err := checkName("network", network); err != nil {
			return s, nil, err
		}
		connect[network] = api.NetworkConnect{Container: f.name, EndpointCreate: endpoint}
	}
	if len(f.networks) == 0 {
		connect[""] = api.NetworkConnect{Container: f.name, EndpointCreate: endpoint}
	}
	if len(connect) > 1 && (len(f.addresses) > 0 || f.mac != "") {
		return s, nil, cnm.E("", cnm.Invalid, errors.New("an address is for one network: connect the others with dnet network connect"))
	}
	return s, connect, nil
}

// nameOrRandom returns a name, or one that nobody else has.
func nameOrRandom(name string) (string, error) {
	if name != "" {
		return name, nil
	}
	random := make([]byte, 6)
	if _, err := rand.Read(random); err != nil {
		return "", cnm.E("choose a name", cnm.Internal, err)
	}
	return "run-" + hex.EncodeToString(random), nil
}

// run makes what is needed, runs the program, and takes all away again.
func (a *app) run(ctx context.Context, c *client.Client, create api.SandboxCreate, connect map[string]api.NetworkConnect, path string, args []string) (err error) {
	signals, stop := a.catchSignals()
	defer stop()
	if body, ok := connect[""]; ok {
		info, err := c.Info(ctx)
		if err != nil {
			return err
		}
		if info.DefaultNetwork == "" {
			return advise(cnm.E("", cnm.Invalid, errors.New("the daemon has no default network")), "name one with --network, or none with --network none")
		}
		delete(connect, "")
		connect[info.DefaultNetwork] = body
	}
	id, err := c.CreateSandbox(ctx, create)
	if err != nil {
		return err
	}
	defer func() {
		// Whatever ended the program does not keep it from being cleaned up after.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanWait)
		defer cancel()
		if gone := c.DeleteSandbox(ctx, id); gone != nil && !errors.Is(gone, cnm.NotFound) {
			a.notef("dnet: the sandbox is left to the daemon, which removes it when this program has ended: %s\n", gone)
		}
	}()
	for network, body := range connect {
		if _, err := c.Connect(ctx, network, body); err != nil {
			return err
		}
		if s := pending(signals); s != nil {
			return exitCode(128 + signalNumber(s))
		}
	}
	sandbox, err := c.Sandbox(ctx, id)
	if err != nil {
		return err
	}
	return a.inside(sandbox, path, args, signals)
}

// pending returns a signal that has come already, or nil.
func pending(signals <-chan os.Signal) os.Signal {
	select {
	case s := <-signals:
		return s
	default:
		return nil
	}
}
