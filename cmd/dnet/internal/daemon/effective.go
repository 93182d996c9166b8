package daemon

import (
	"cmp"
	"log/slog"
	"time"

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
