package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/types"
)

// maxFileSize keeps a wrong path, such as a device, from being read for ever.
const maxFileSize = 1 << 20

// file is the form of a configuration file. Its keys are the fields' names, in any
// case.
type file struct {
	Title         string
	Daemon        fileDaemon
	Cluster       fileCluster
	Scopes        fileScopes
	Datastore     fileDatastore
	Orchestration OrchestrationCfg
	// Dnet came after 2017.
	Dnet DnetCfg
}

type fileDaemon struct {
	Debug          bool
	Experimental   bool
	DataDir        string
	DefaultNetwork string
	DefaultDriver  string
	Labels         []string
	// These came after 2017.
	ExecRoot            string
	HostNamespace       string
	NeverUse            []string
	DefaultAddressPools []AddressPool
	FirewallBackend     string
	AcceptMark          string
	AnnounceCount       *int
	AnnounceInterval    *time.Duration
}

type fileCluster struct {
	Discovery string
	Address   string
	Heartbeat uint64
}

type fileScopes struct {
	Global fileScope
	Local  fileScope
}

type fileScope struct{ Client fileClient }

// fileDatastore is the older form of the global scope.
type fileDatastore struct {
	// Embedded says that there is no store outside, and thus no client.
	Embedded bool
	Client   fileClient
}

type fileClient struct {
	Provider string
	Address  string
}

// ParseConfig reads a TOML file and returns the defaults changed by it. Keys are in
// any case; see the package's example for them.
//
// A file that does not exist is a types.NotFoundError, one that cannot be read a
// types.InternalError. Bad syntax, an unknown key or a bad value is a
// types.BadRequestError that names the key, the line where it can, and for an
// unknown key the nearest known one.
func ParseConfig(tomlCfgFile string) (*Config, error) {
	text, err := readFile(tomlCfgFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, types.NotFoundErrorf("configuration file %q: %w", tomlCfgFile, fs.ErrNotExist)
	case err != nil:
		return nil, types.InternalErrorf("configuration file %q: %w", tomlCfgFile, err)
	}
	cfg, err := parse(text)
	if err != nil {
		return nil, types.BadRequestErrorf("configuration file %q: %w", tomlCfgFile, err)
	}
	return cfg, nil
}

func readFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxFileSize {
		return "", fmt.Errorf("is larger than %d bytes", maxFileSize)
	}
	return string(text), nil
}

func parse(text string) (*Config, error) {
	var in file
	meta, err := toml.Decode(text, &in)
	if err != nil {
		return nil, describe(err)
	}
	if err := checkKeys(text, meta); err != nil {
		return nil, err
	}
	cfg := newConfig()
	if err := cfg.takeOver(&in); err != nil {
		return nil, err
	}
	cfg.LoadDefaultScopes(cfg.Daemon.DataDir)
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// describe words a decoder's error with its line and key.
func describe(err error) error {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return err
	}
	where := fmt.Sprintf("line %d", syntax.Position.Line)
	if syntax.LastKey != "" {
		where += fmt.Sprintf(": key %q", syntax.LastKey)
	}
	return fmt.Errorf("%s: %s", where, strings.ReplaceAll(syntax.Message, "\n", " "))
}

func (c *Config) takeOver(in *file) error {
	c.ProcessOptions(
		OptionExperimental(in.Daemon.Experimental),
		OptionDataDir(in.Daemon.DataDir),
		OptionExecRoot(in.Daemon.ExecRoot),
		OptionHostNamespace(in.Daemon.HostNamespace),
		OptionDefaultNetwork(in.Daemon.DefaultNetwork),
		OptionDefaultDriver(in.Daemon.DefaultDriver),
		OptionLabels(in.Daemon.Labels),
		OptionDefaultAddressPools(in.Daemon.DefaultAddressPools),
		OptionNeverUse(in.Daemon.NeverUse...),
		OptionFirewallBackend(in.Daemon.FirewallBackend),
		OptionAcceptMark(in.Daemon.AcceptMark),
		OptionDiscoveryAddress(in.Cluster.Address),
		OptionLocalKVProvider(in.Scopes.Local.Client.Provider),
		OptionLocalKVProviderURL(in.Scopes.Local.Client.Address),
	)
	c.Daemon.Debug = in.Daemon.Debug
	if count := in.Daemon.AnnounceCount; count != nil {
		c.Daemon.Announce.Count = *count
	}
	if interval := in.Daemon.AnnounceInterval; interval != nil {
		c.Daemon.Announce.Interval = *interval
	}
	c.Cluster.Discovery = strings.TrimSpace(in.Cluster.Discovery)
	c.Cluster.Heartbeat = in.Cluster.Heartbeat
	c.Orchestration = in.Orchestration
	c.Dnet = in.Dnet
	return c.takeOverGlobal(in)
}

func (c *Config) takeOverGlobal(in *file) error {
	client, older := in.Scopes.Global.Client, in.Datastore.Client
	switch none := (fileClient{}); {
	case older == none:
	case client != none:
		return types.BadRequestErrorf("[datastore.client] is the older form of [scopes.%s.client]; give one of them", datastore.GlobalScope)
	case in.Datastore.Embedded:
		return types.BadRequestErrorf("[datastore]: is embedded, so there can be no [datastore.client]")
	default:
		client = older
	}
	c.ProcessOptions(OptionKVProvider(client.Provider), OptionKVProviderURL(client.Address))
	return nil
}
