package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/kernel/process"
	"github.com/docker/libnetwork/plugin/manage"
)

// grace is how long requests under way may take at the end.
const grace = 10 * time.Second

// Options are what the command line says to Run, and the program around it.
type Options struct {
	settings.Plugin
	// LogOutput is where the log goes; nil means the standard error.
	LogOutput io.Writer
	// Version is the program's.
	Version string
}

// config reads the file and lets the options override it.
func (o *Options) config() (*config.Config, error) {
	cfg := config.ParseConfigOptions()
	if o.ConfigFile != "" {
		var err error
		if cfg, err = config.ParseConfig(o.ConfigFile); err != nil {
			return nil, err
		}
	}
	d := &cfg.Daemon
	dataDir := o.DataDir
	if dataDir == "" && (o.ConfigFile == "" || d.DataDir == config.DefaultDataDir) {
		dataDir = filepath.Join(config.DefaultDataDir, "plugin", o.Name)
	}
	if dataDir != "" {
		d.DataDir = dataDir
		delete(cfg.Scopes, datastore.LocalScope)
		cfg.LoadDefaultScopes(dataDir)
	}
	d.ExecRoot = cmp.Or(o.ExecRoot, d.ExecRoot)
	d.HostNamespace = cmp.Or(o.HostNamespace, d.HostNamespace)
	d.FirewallBackend = cmp.Or(o.FirewallBackend, d.FirewallBackend, config.FirewallIPTables)
	d.Debug = d.Debug || o.Debug
	cfg.Dnet.LogFormat = cmp.Or(o.LogFormat, cfg.Dnet.LogFormat)
	return cfg, cfg.Validate()
}

// Run serves an engine until ctx is done, or SIGTERM or SIGINT comes. Containers stay
// connected, and the next run finds them.
func Run(ctx context.Context, o Options) (err error) {
	o.Name = cmp.Or(o.Name, settings.DefaultPlugin)
	if err := manage.CheckName(o.Name); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := o.config()
	if err != nil {
		return err
	}
	log := o.log(cfg)
	slog.SetDefault(log) // the library writes to it
	if err := os.MkdirAll(cfg.Daemon.ExecRoot, 0o755); err != nil {
		return cnm.E("make folder of run-time files", cnm.Forbidden, err)
	}
	controller, err := libnetwork.New(func(c *config.Config) { *c = *cfg.Clone() })
	if err != nil {
		return explain(cfg, err)
	}
	defer controller.Stop()
	inspector := controller.(libnetwork.Inspector)
	p, err := Open(ctx, Setup{
		Name: o.Name, Socket: o.Socket, Config: cfg, Controller: controller, Inspector: inspector, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	records := inspector.Records()
	log.Info("restored", "networks", len(records.Networks), "endpoints", len(records.Endpoints), "data", cfg.Daemon.DataDir, "version", o.Version)
	return p.Serve(ctx, grace)
}

func (o *Options) log(cfg *config.Config) *slog.Logger {
	to := o.LogOutput
	if to == nil {
		to = os.Stderr
	}
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if cfg.Daemon.Debug {
		options.Level = slog.LevelDebug
	}
	if cfg.Dnet.LogFormat == config.LogJSON {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// explain says who has the store, if somebody has.
func explain(cfg *config.Config, err error) error {
	scope := cfg.Scopes[datastore.LocalScope]
	if scope == nil || scope.Client.Provider != datastore.ProviderBolt {
		return err
	}
	path := scope.Client.Address
	pid, name, holderErr := process.LockHolder(path)
	if holderErr != nil || pid == 0 || pid == os.Getpid() {
		return err
	}
	return cnm.E("open "+path, cnm.Exists, fmt.Errorf("process %d (%s) has it: stop that one, or give another folder with --data-dir", pid, name))
}
