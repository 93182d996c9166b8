package daemon

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
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
)

// Options are what the command line says to Run. What is zero is left to the
// configuration file, and what that does not say, to the defaults.
type Options struct {
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

	// Version is the program's, as it is told to clients.
	Version string
	// LogOutput is where the log goes; nil means the standard error.
	LogOutput io.Writer
	// Handler makes what answers requests; nil means the API. A handler that is an
	// io.Closer is closed when the daemon begins to end, and then ends its streams.
	Handler func(Backend) (http.Handler, error)
}

// BindFlags adds the flags that fill the options. Those whose names are in the set already
// are left out: whoever put them there fills their fields.
func (o *Options) BindFlags(flags *pflag.FlagSet) {
	own := pflag.NewFlagSet("daemon", pflag.ContinueOnError)
	own.StringVarP(&o.ConfigFile, "cfg-file", "c", "", "configuration `file` (default $"+ConfigVariable+", then "+DefaultConfigFile+")")
	own.StringArrayVarP(&o.Hosts, "host", "H", nil, "listen at `address`: unix:///path, tcp://address:port or fd://; repeatable (default "+DefaultHost+")")
	own.StringVar(&o.SocketGroup, "socket-group", "", "`group` that may use the Unix socket")
	own.StringArrayVar(&o.AllowedHosts, "allowed-host", nil, "host `name` by which clients reach TCP sockets; repeatable")
	own.StringVar(&o.TLSCACert, "tlscacert", "", "`file` with the CA of clients' certificates")
	own.StringVar(&o.TLSCert, "tlscert", "", "`file` with the daemon's certificate")
	own.StringVar(&o.TLSKey, "tlskey", "", "`file` with the daemon's key")
	own.StringVar(&o.LogFormat, "log-format", "", "log as text or json")
	own.StringVarP(&o.LogLevel, "log-level", "l", "", "log from this `level` on: debug, info, warn or error")
	own.StringVar(&o.PIDFile, "pidfile", "", "write the process number to `file`")
	own.StringVar(&o.DefaultBridge, "default-bridge", "", "Linux bridge of the default network (default dnet0)")
	own.StringVar(&o.DefaultSubnet, "default-subnet", "", "IPv4 `subnet` of the default network")
	own.StringVar(&o.Plugin, "plugin", "", "be a plugin of a container engine by this `name`, too")
	own.StringVar(&o.PluginSocket, "plugin-socket", "", "`path` of the plugin's socket (default "+manage.Folder+"/NAME.sock)")
	own.StringVar(&o.DataDir, "data-dir", "", "`folder` of what survives a reboot (default "+config.DefaultDataDir+")")
	own.StringVar(&o.ExecRoot, "exec-root", "", "`folder` of run-time files (default "+config.DefaultExecRoot+")")
	bindSwitch(own, &o.Debug, "debug", "D", "log all that happens")
	bindSwitch(own, &o.NoDefaultNetwork, "no-default-network", "", "make no default network")
	bindSwitch(own, &o.ShutdownClean, "shutdown-clean", "", "delete all sandboxes and networks at the end")
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

// load reads the file and lets what the options say override it; the defaults are filled
// in. The path is that of the file, or empty if there is none.
func (o *Options) load() (cfg *config.Config, path string, err error) {
	path, named := o.ConfigFile, true
	if path == "" {
		path = os.Getenv(ConfigVariable)
	}
	if path == "" {
		path, named = DefaultConfigFile, false
	}
	cfg, err = config.ParseConfig(path)
	if errors.Is(err, cnm.NotFound) || errors.Is(err, os.ErrNotExist) {
		if named {
			return nil, "", cnm.E(fmt.Sprintf("configuration file %q", path), cnm.NotFound, errors.New("does not exist; name one that does"))
		}
		cfg, path, err = config.ParseConfigOptions(), "", nil
	}
	if err != nil {
		return nil, "", cnm.E("", cnm.Invalid, err)
	}
	o.override(cfg)
	fillDefaults(cfg)
	if err := cfg.Validate(); err != nil {
		return nil, "", cnm.E("", cnm.Invalid, err)
	}
	return cfg, path, nil
}

func (o *Options) override(cfg *config.Config) {
	d := &cfg.Dnet
	hosts := o.Hosts
	if host := os.Getenv(HostVariable); len(hosts) == 0 && host != "" {
		hosts = []string{host}
	}
	for _, list := range []struct {
		to   *[]string
		from []string
	}{{&d.Hosts, hosts}, {&d.AllowedHosts, o.AllowedHosts}} {
		if len(list.from) > 0 {
			*list.to = list.from
		}
	}
	for _, text := range []struct {
		to   *string
		from string
	}{
		{&d.SocketGroup, o.SocketGroup},
		{&d.TLSCACert, o.TLSCACert},
		{&d.TLSCert, o.TLSCert},
		{&d.TLSKey, o.TLSKey},
		{&d.LogFormat, o.LogFormat},
		{&d.LogLevel, o.LogLevel},
		{&d.PIDFile, o.PIDFile},
		{&d.DefaultBridge, o.DefaultBridge},
		{&d.DefaultSubnet, o.DefaultSubnet},
		{&d.Plugin, o.Plugin},
		{&cfg.Daemon.ExecRoot, o.ExecRoot},
	} {
		if text.from != "" {
			*text.to = text.from
		}
	}
	for _, on := range []struct {
		to   *bool
		from *bool
	}{{&cfg.Daemon.Debug, o.Debug}, {&d.NoDefaultNetwork, o.NoDefaultNetwork}, {&d.ShutdownClean, o.ShutdownClean}} {
		if on.from != nil {
			*on.to = *on.from
		}
	}
	if o.DataDir != "" {
		moveData(cfg, o.DataDir)
	}
}
