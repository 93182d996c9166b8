package daemon

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
)

// Defaults of what config.DnetCfg and config.DaemonCfg leave out.
const (
	defaultNetwork         = "bridge"
	defaultDriver          = "bridge"
	defaultBridge          = "dnet0"
	defaultShutdownTimeout = 10 * time.Second
	defaultMaxConnections  = 1024
)

// fillDefaults makes the configuration say what is meant. Hosts stay as they are, since
// their default depends on systemd.
func fillDefaults(cfg *config.Config) {
	cfg.Daemon.DefaultDriver = cmp.Or(cfg.Daemon.DefaultDriver, defaultDriver)
	d := &cfg.Dnet
	if !d.NoDefaultNetwork {
		cfg.Daemon.DefaultNetwork = cmp.Or(cfg.Daemon.DefaultNetwork, defaultNetwork)
	}
	d.DefaultBridge = cmp.Or(d.DefaultBridge, defaultBridge)
	d.LogFormat = cmp.Or(d.LogFormat, config.LogText)
	d.LogLevel = cmp.Or(d.LogLevel, "info")
	d.ShutdownTimeout = cmp.Or(d.ShutdownTimeout, defaultShutdownTimeout)
	d.MaxConnections = cmp.Or(d.MaxConnections, defaultMaxConnections)
}

// moveData changes the data dir, and with it the place of the store if that is the
// default one.
func moveData(cfg *config.Config, dir string) {
	old := datastore.DefaultScopes(cfg.Daemon.DataDir)[datastore.LocalScope]
	scope := cfg.Scopes[datastore.LocalScope]
	if scope != nil && scope.Client.Provider == old.Client.Provider && scope.Client.Address == old.Client.Address {
		delete(cfg.Scopes, datastore.LocalScope)
	}
	cfg.Daemon.DataDir = dir
	cfg.LoadDefaultScopes(dir)
}

// logLevel is the level of the log; the configuration is valid.
func logLevel(cfg *config.Config) slog.Level {
	if cfg.Daemon.Debug {
		return slog.LevelDebug
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Dnet.LogLevel)) // it was validated
	return level
}

// storePath is the file of the store, or empty if it is none.
func storePath(cfg *config.Config) string {
	scope := cfg.Scopes[datastore.LocalScope]
	if scope == nil || scope.Client.Provider != datastore.ProviderBolt {
		return ""
	}
	return scope.Client.Address
}

// effective is what the configuration comes to, a setting a line, in the form of the file.
func effective(cfg *config.Config) []string {
	hosts := cfg.Dnet.Hosts
	if len(hosts) == 0 {
		hosts = []string{settings.DefaultHost}
	}
	d, n := &cfg.Daemon, &cfg.Dnet
	lines := []string{
		"[daemon]",
		fmt.Sprintf("debug = %v", d.Debug),
		fmt.Sprintf("datadir = %q", d.DataDir),
		fmt.Sprintf("experimental = %v", d.Experimental),
		fmt.Sprintf("execroot = %q", d.ExecRoot),
		fmt.Sprintf("hostnamespace = %q", d.HostNamespace),
		fmt.Sprintf("defaultnetwork = %q", d.DefaultNetwork),
		fmt.Sprintf("defaultdriver = %q", d.DefaultDriver),
		fmt.Sprintf("labels = %s", list(d.Labels)),
		fmt.Sprintf("neveruse = %s", list(d.NeverUse)),
		fmt.Sprintf("firewallbackend = %q", d.FirewallBackend),
		fmt.Sprintf("acceptmark = %q", d.AcceptMark),
		fmt.Sprintf("defaultaddresspools = %s", pools(d.DefaultAddressPools)),
		fmt.Sprintf("announcecount = %d", d.Announce.Count),
		fmt.Sprintf("announceinterval = %q", d.Announce.Interval),
		"", "[dnet]",
		fmt.Sprintf("hosts = %s", list(hosts)),
		fmt.Sprintf("socketgroup = %q", n.SocketGroup),
		fmt.Sprintf("allowedhosts = %s", list(n.AllowedHosts)),
		fmt.Sprintf("tlscacert = %q", n.TLSCACert),
		fmt.Sprintf("tlscert = %q", n.TLSCert),
		fmt.Sprintf("tlskey = %q", n.TLSKey),
		fmt.Sprintf("logformat = %q", n.LogFormat),
		fmt.Sprintf("loglevel = %q", n.LogLevel),
		fmt.Sprintf("pidfile = %q", n.PIDFile),
		fmt.Sprintf("defaultbridge = %q", n.DefaultBridge),
		fmt.Sprintf("defaultsubnet = %q", n.DefaultSubnet),
		fmt.Sprintf("plugin = %q", n.Plugin),
		fmt.Sprintf("nodefaultnetwork = %v", n.NoDefaultNetwork),
		fmt.Sprintf("shutdownclean = %v", n.ShutdownClean),
		fmt.Sprintf("shutdowntimeout = %q", n.ShutdownTimeout),
		fmt.Sprintf("maxconnections = %d", n.MaxConnections),
	}
	for _, scope := range slices.Sorted(maps.Keys(cfg.Scopes)) {
		client := cfg.Scopes[scope].Client
		lines = append(lines, "", fmt.Sprintf("[scopes.%s.client]", scope),
			fmt.Sprintf("provider = %q", client.Provider), fmt.Sprintf("address = %q", client.Address))
	}
	return lines
}

func pools(all []config.AddressPool) string {
	tables := make([]string, len(all))
	for i, pool := range all {
		tables[i] = fmt.Sprintf("{base = %q, size = %d}", pool.Base, pool.Size)
	}
	return "[" + strings.Join(tables, ", ") + "]"
}

func list(values []string) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = strconv.Quote(value)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
