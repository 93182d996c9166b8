// Package settings is what the command line says to the daemon: its flags, and the names
// and defaults that their help tells. It imports next to nothing, since dnet shows this
// help without the daemon, which is another program.
package settings

import (
	"errors"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/plugin/manage"
)

// Names of the environment, and what is meant without them.
const (
	// ConfigVariable names the configuration file.
	ConfigVariable = "LIBNETWORK_CFG"
	// HostVariable names where to listen, or for a client, where to connect.
	HostVariable = "DNET_HOST"
	// DefaultConfigFile is read if it is there, and no other is named.
	DefaultConfigFile = "/etc/default/libnetwork.toml"
	// DefaultHost is where the daemon listens, unless it is told otherwise.
	DefaultHost = "unix:///run/libnetwork/dnet.sock"
	// DefaultDataDir and DefaultExecRoot are those of package config, which brings a parser
	// of files with it. A test of the daemon compares them.
	DefaultDataDir  = "/var/lib/libnetwork"
	DefaultExecRoot = "/run/libnetwork"
)

// Flags are what the command line says to the daemon. What is zero is left to the
// configuration file, and what that does not say, to the defaults.
type Flags struct {
	// ConfigFile is read strictly. Empty means that of $LIBNETWORK_CFG, and without it
	// DefaultConfigFile, which alone may be missing.
	ConfigFile string
	// Hosts are where to listen: unix:///path, tcp://address:port, or fd:// for the
	// sockets that systemd has opened. Empty means $DNET_HOST, then the file's.
	Hosts []string
	// SocketGroup, AllowedHosts, TLSCACert, TLSCert, TLSKey, LogFormat, LogLevel, PIDFile,
	// DefaultBridge and DefaultSubnet are as in config.DnetCfg.
	SocketGroup                string
	AllowedHosts               []string
	TLSCACert, TLSCert, TLSKey string
	LogFormat, LogLevel        string
	PIDFile                    string
	DefaultBridge              string
	DefaultSubnet              string
	// Plugin is as in config.DnetCfg, and PluginSocket where it answers; empty means where
	// engines look for that name.
	Plugin, PluginSocket string
	// DataDir and ExecRoot are as in config.DaemonCfg.
	DataDir, ExecRoot string
	// Debug, NoDefaultNetwork and ShutdownClean nil are left to the file.
	Debug, NoDefaultNetwork, ShutdownClean *bool
}

// BindFlags adds the flags that fill f. Those whose names are in the set already are left
// out: whoever put them there fills their fields.
func (f *Flags) BindFlags(flags *pflag.FlagSet) {
	own := pflag.NewFlagSet("daemon", pflag.ContinueOnError)
	own.StringVarP(&f.ConfigFile, "cfg-file", "c", "", "configuration `file` (default $"+ConfigVariable+", then "+DefaultConfigFile+")")
	own.StringArrayVarP(&f.Hosts, "host", "H", nil, "listen at `address`: unix:///path, tcp://address:port or fd://; repeatable (default "+DefaultHost+")")
	own.StringVar(&f.SocketGroup, "socket-group", "", "`group` that may use the Unix socket")
	own.StringArrayVar(&f.AllowedHosts, "allowed-host", nil, "host `name` by which clients reach TCP sockets; repeatable")
	own.StringVar(&f.TLSCACert, "tlscacert", "", "`file` with the CA of clients' certificates")
	own.StringVar(&f.TLSCert, "tlscert", "", "`file` with the daemon's certificate")
	own.StringVar(&f.TLSKey, "tlskey", "", "`file` with the daemon's key")
	own.StringVar(&f.LogFormat, "log-format", "", "log as text or json")
	own.StringVarP(&f.LogLevel, "log-level", "l", "", "log from this `level` on: debug, info, warn or error")
	own.StringVar(&f.PIDFile, "pidfile", "", "write the process number to `file`")
	own.StringVar(&f.DefaultBridge, "default-bridge", "", "Linux bridge of the default network (default dnet0)")
	own.StringVar(&f.DefaultSubnet, "default-subnet", "", "IPv4 `subnet` of the default network")
	own.StringVar(&f.Plugin, "plugin", "", "be a plugin of a container engine by this `name`, too")
	own.StringVar(&f.PluginSocket, "plugin-socket", "", "`path` of the plugin's socket (default "+manage.Folder+"/NAME.sock)")
	own.StringVar(&f.DataDir, "data-dir", "", "`folder` of what survives a reboot (default "+DefaultDataDir+")")
	own.StringVar(&f.ExecRoot, "exec-root", "", "`folder` of run-time files (default "+DefaultExecRoot+")")
	bindSwitch(own, &f.Debug, "debug", "D", "log all that happens")
	bindSwitch(own, &f.NoDefaultNetwork, "no-default-network", "", "make no default network")
	bindSwitch(own, &f.ShutdownClean, "shutdown-clean", "", "delete all sandboxes and networks at the end")
	own.VisitAll(func(flag *pflag.Flag) {
		if flags.Lookup(flag.Name) == nil {
			flags.AddFlag(flag)
		}
	})
}

// switchValue is a flag that is true, false, or not given.
type switchValue struct{ to **bool }

func bindSwitch(flags *pflag.FlagSet, to **bool, name, short, usage string) {
	flags.VarPF(switchValue{to}, name, short, usage).NoOptDefVal = "true"
}

// Set implements pflag.Value.
func (s switchValue) Set(text string) error {
	value, err := strconv.ParseBool(text)
	if err != nil {
		return errors.New("want true or false")
	}
	*s.to = &value
	return nil
}

// String implements pflag.Value.
func (s switchValue) String() string {
	return strconv.FormatBool(s.to != nil && *s.to != nil && **s.to)
}

// Type implements pflag.Value.
func (s switchValue) Type() string { return "bool" }
