package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/types"
)

// Option changes a configuration.
type Option func(c *Config)

// ProcessOptions applies the options in order; nil ones are passed over. Call
// Validate afterwards to know of bad input.
func (c *Config) ProcessOptions(options ...Option) {
	for _, option := range options {
		if option != nil {
			option(c)
		}
	}
}

// record keeps a problem for Validate.
func (c *Config) record(format string, params ...any) {
	c.problems = append(c.problems, types.BadRequestErrorf(format, params...))
}

// OptionDefaultNetwork sets the network that an empty name means. Space around it
// is dropped.
func OptionDefaultNetwork(dn string) Option {
	return func(c *Config) { c.Daemon.DefaultNetwork = strings.TrimSpace(dn) }
}

// OptionDefaultDriver sets the network type that an empty one means. Space around
// it is dropped.
func OptionDefaultDriver(dd string) Option {
	return func(c *Config) { c.Daemon.DefaultDriver = strings.TrimSpace(dd) }
}

// OptionDriverConfig sets the options of a network type's driver, by label. Those
// set before for the same type are replaced.
func OptionDriverConfig(networkType string, config map[string]interface{}) Option {
	return func(c *Config) {
		networkType := strings.TrimSpace(networkType)
		if !IsValidName(networkType) {
			c.record("driver options: network type %q is not a name; name a driver such as \"bridge\"", networkType)
			return
		}
		if c.Daemon.DriverCfg == nil {
			c.Daemon.DriverCfg = make(map[string]interface{})
		}
		c.Daemon.DriverCfg[networkType] = maps.Clone(config)
	}
}

// OptionLabels adds labels of the form key=value. Those that do not start with
// netlabel.Prefix belong to somebody else and are left out.
func OptionLabels(labels []string) Option {
	labels = slices.DeleteFunc(slices.Clone(labels), func(label string) bool {
		return !strings.HasPrefix(label, netlabel.Prefix)
	})
	return func(c *Config) { c.Daemon.Labels = append(c.Daemon.Labels, labels...) }
}

// OptionDataDir sets the directory for what survives a reboot; empty means
// DefaultDataDir.
func OptionDataDir(dataDir string) Option {
	if dataDir == "" {
		dataDir = DefaultDataDir
	}
	return func(c *Config) { c.Daemon.DataDir = dataDir }
}

// OptionExecRoot sets the directory for run-time files; empty means DefaultExecRoot.
func OptionExecRoot(execRoot string) Option {
	if execRoot == "" {
		execRoot = DefaultExecRoot
	}
	return func(c *Config) { c.Daemon.ExecRoot = execRoot }
}

// OptionHostNamespace sets the path of the network namespace that plays the host;
// empty means the namespace that the process started in.
func OptionHostNamespace(path string) Option {
	return func(c *Config) { c.Daemon.HostNamespace = path }
}

// OptionTransient says that the process ends with one operation, such as a program that a
// runtime calls for each container: see DaemonCfg.Transient.
func OptionTransient() Option {
	return func(c *Config) { c.Daemon.Transient = true }
}

// OptionDefaultAddressPools sets what subnets are cut from; none means the built-in
// pools.
func OptionDefaultAddressPools(pools []AddressPool) Option {
	pools = slices.Clone(pools)
	return func(c *Config) { c.Daemon.DefaultAddressPools = pools }
}

// OptionNeverUse adds prefixes, in CIDR form, that no automatic subnet may overlap.
func OptionNeverUse(prefixes ...string) Option {
	prefixes = slices.Clone(prefixes)
	return func(c *Config) { c.Daemon.NeverUse = append(c.Daemon.NeverUse, prefixes...) }
}

// OptionFirewallBackend sets what filters packets: FirewallNFTables, FirewallIPTables, one
// of the kinds of the latter, or FirewallNone; empty means the first that works of the
// former two.
func OptionFirewallBackend(name string) Option {
	return func(c *Config) { c.Daemon.FirewallBackend = name }
}

// OptionAcceptMark lets packets into all networks that bear a mark, such as "0x1/0xff";
// empty means none.
func OptionAcceptMark(mark string) Option {
	return func(c *Config) { c.Daemon.AcceptMark = mark }
}

// OptionAnnounce sets how often (0 to 3 times) and at what interval (100 ms to 2 s)
// new addresses are made known on the link. With 0 times the interval is ignored.
func OptionAnnounce(count int, interval time.Duration) Option {
	return func(c *Config) { c.Daemon.Announce = AnnounceCfg{Count: count, Interval: interval} }
}

// OptionExperimental allows what is not settled yet.
func OptionExperimental(exp bool) Option {
	return func(c *Config) { c.Daemon.Experimental = exp }
}

// OptionDiscoveryWatcher sets who tells of other nodes; nil means nobody.
func OptionDiscoveryWatcher(watcher Watcher) Option {
	return func(c *Config) { c.Cluster.Watcher = watcher }
}

// OptionDiscoveryAddress sets the address that other nodes reach this one at. Space
// around it is dropped.
func OptionDiscoveryAddress(address string) Option {
	return func(c *Config) { c.Cluster.Address = strings.TrimSpace(address) }
}

// OptionPluginGetter sets who finds plugins; nil means that the library looks for
// them itself.
func OptionPluginGetter(pg PluginGetter) Option {
	return func(c *Config) { c.PluginGetter = pg }
}

// OptionActiveSandboxes sets the sandboxes to keep at a restart, by id, with their
// options.
func OptionActiveSandboxes(sandboxes map[string]interface{}) Option {
	return func(c *Config) { c.ActiveSandboxes = sandboxes }
}

// OptionKVProvider sets the provider of the global scope's store, such as "etcd".
// Space around it is dropped; empty changes nothing.
func OptionKVProvider(provider string) Option {
	return withProvider(datastore.GlobalScope, provider)
}

// OptionKVProviderURL sets the address of the global scope's store. Space around it
// is dropped; empty changes nothing.
func OptionKVProviderURL(url string) Option { return withAddress(datastore.GlobalScope, url) }

// OptionLocalKVProvider is OptionKVProvider for the local scope, where it is
// datastore.ProviderBolt or datastore.ProviderMemory.
func OptionLocalKVProvider(provider string) Option {
	return withProvider(datastore.LocalScope, provider)
}

// OptionLocalKVProviderURL is OptionKVProviderURL for the local scope, where it is
// a path.
func OptionLocalKVProviderURL(url string) Option { return withAddress(datastore.LocalScope, url) }

// OptionLocalKVProviderConfig sets further settings of the local scope's store; nil
// means the defaults.
func OptionLocalKVProviderConfig(config *datastore.StoreConfig) Option {
	config = config.Clone()
	return func(c *Config) { c.scope(datastore.LocalScope).Client.Config = config.Clone() }
}

// OptionInMemoryStore keeps the local scope's records in memory, to end with the
// process.
func OptionInMemoryStore() Option {
	return func(c *Config) {
		*c.scope(datastore.LocalScope) = datastore.ScopeCfg{
			Client: datastore.ScopeClientCfg{Provider: datastore.ProviderMemory},
		}
	}
}

func withProvider(scope, provider string) Option {
	provider = strings.TrimSpace(provider)
	return func(c *Config) {
		if provider != "" {
			c.scope(scope).Client.Provider = provider
		}
	}
}

func withAddress(scope, address string) Option {
	address = strings.TrimSpace(address)
	return func(c *Config) {
		if address != "" {
			c.scope(scope).Client.Address = address
		}
	}
}
