package daemon

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
)

// Options are what the command line says to Run, and what surrounds it.
type Options struct {
	settings.Flags

	// Version is the program's, as it is told to clients.
	Version string
	// LogOutput is where the log goes; nil means the standard error.
	LogOutput io.Writer
	// Handler makes what answers requests; nil means the API. A handler that is an
	// io.Closer is closed when the daemon begins to end, and then ends its streams.
	Handler func(Backend) (http.Handler, error)
}

// load reads the file and lets what the options say override it; the defaults are filled
// in. The path is that of the file, or empty if there is none.
func (o *Options) load() (cfg *config.Config, path string, err error) {
	path, named := o.ConfigFile, true
	if path == "" {
		path = os.Getenv(settings.ConfigVariable)
	}
	if path == "" {
		path, named = settings.DefaultConfigFile, false
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
	if host := os.Getenv(settings.HostVariable); len(hosts) == 0 && host != "" {
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
