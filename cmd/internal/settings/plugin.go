package settings

import (
	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/plugin/manage"
)

// DefaultPlugin is what the plugin is called unless the user says otherwise.
const DefaultPlugin = "dnet"

// Plugin is what the command line says to the plugin of a container engine. What is zero
// is left to the configuration file, if there is one, and then to the defaults.
type Plugin struct {
	// Name is what users of the engine call it; DefaultPlugin if it is empty. Socket is
	// where it answers; empty means where engines look for that name.
	Name, Socket string
	// ConfigFile has the tables of the daemon's; those of networks and sockets of its own
	// are not used. Empty means none.
	ConfigFile string
	// DataDir is the plugin's own; empty means the folder plugin/NAME below that of the
	// daemon. ExecRoot, HostNamespace and FirewallBackend are as in config.DaemonCfg, but
	// that the last is iptables if it is empty: a Docker Engine has rules there that drop
	// what nobody has accepted before.
	DataDir, ExecRoot, HostNamespace, FirewallBackend string
	// LogFormat is as in config.DnetCfg.
	LogFormat string
	// Debug logs all that happens.
	Debug bool
}

// BindFlags adds the flags that fill p. That for debugging is left out if it is there.
func (p *Plugin) BindFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.Name, "name", DefaultPlugin, "`name` of the driver in the engine")
	flags.StringVar(&p.Socket, "socket", "", "`path` of the socket (default "+manage.Folder+"/NAME.sock)")
	flags.StringVarP(&p.ConfigFile, "cfg-file", "c", "", "`file` with settings, in the form of the daemon's")
	flags.StringVar(&p.DataDir, "data-dir", "", "`folder` of what survives a reboot (default /var/lib/libnetwork/plugin/NAME)")
	flags.StringVar(&p.ExecRoot, "exec-root", "", "`folder` of run-time files (default /run/libnetwork)")
	flags.StringVar(&p.HostNamespace, "host-namespace", "", "`path` of the network namespace that plays the host (default: this one)")
	flags.StringVar(&p.FirewallBackend, "firewall-backend", "", "what filters packets: iptables, nftables or none (default iptables, beside the engine's own rules)")
	flags.StringVar(&p.LogFormat, "log-format", "", "log as text or json")
	if flags.Lookup("debug") == nil {
		flags.BoolVarP(&p.Debug, "debug", "D", false, "log all that happens")
	}
}
