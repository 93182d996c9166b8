package config

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/docker/libnetwork/cluster"
	"github.com/docker/libnetwork/datastore"
)

// Defaults, which ParseConfig and ParseConfigOptions start from.
const (
	// DefaultDataDir is the default of DaemonCfg.DataDir.
	DefaultDataDir = datastore.DefaultDataDir
	// DefaultExecRoot is the default of DaemonCfg.ExecRoot.
	DefaultExecRoot = "/run/libnetwork"
	// DefaultAnnounceCount is the default of AnnounceCfg.Count.
	DefaultAnnounceCount = 3
	// DefaultAnnounceInterval is the default of AnnounceCfg.Interval.
	DefaultAnnounceInterval = time.Second
)

// Values of DaemonCfg.FirewallBackend: what filters and translates packets.
const (
	// FirewallNFTables talks to the kernel itself.
	FirewallNFTables = "nftables"
	// FirewallIPTables runs the programs iptables-restore and ip6tables-restore.
	FirewallIPTables = "iptables"
	// FirewallIPTablesNFT and FirewallIPTablesLegacy are the two kinds of them, over
	// nf_tables and over x_tables, where a host has both.
	FirewallIPTablesNFT    = "iptables-nft"
	FirewallIPTablesLegacy = "iptables-legacy"
	// FirewallNone leaves it to the operator: no port can be published, except by proxy.
	FirewallNone = "none"
)

// Config is the configuration of a controller.
type Config struct {
	Daemon  DaemonCfg
	Cluster ClusterCfg
	// Scopes holds the store of each scope, by datastore.LocalScope or
	// datastore.GlobalScope. See LoadDefaultScopes for the defaults.
	Scopes map[string]*datastore.ScopeCfg
	// ActiveSandboxes holds the sandboxes to keep at a restart, by id, with their
	// options; nil means that the records decide.
	ActiveSandboxes map[string]interface{}
	// PluginGetter finds plugins; nil means that the library looks for them itself.
	PluginGetter PluginGetter
	// Orchestration is what dnet does in a cluster; the library ignores it.
	Orchestration OrchestrationCfg
	// Dnet is what the daemon dnet does around the controller; the library ignores it.
	Dnet DnetCfg

	// problems are what options could not record otherwise.
	problems []error
}

// DaemonCfg configures the controller itself.
type DaemonCfg struct {
	// Debug asks for more log messages.
	Debug bool
	// Experimental allows what is not settled yet.
	Experimental bool
	// DataDir is where records and files that survive a reboot are kept; an absolute
	// path. Empty means DefaultDataDir.
	DataDir string
	// ExecRoot is where run-time files are kept: namespaces and sockets; an absolute
	// path. Empty means DefaultExecRoot.
	ExecRoot string
	// HostNamespace is the path of the network namespace that plays the host. Empty
	// means the namespace that the process started in.
	HostNamespace string
	// DefaultNetwork is the network meant by an empty name. Empty means that there is
	// none; nothing is filled in.
	DefaultNetwork string
	// DefaultDriver is the network type meant by an empty one. Empty means that there
	// is none; nothing is filled in.
	DefaultDriver string
	// Labels have the form key=value and start with netlabel.Prefix.
	Labels []string
	// DriverCfg holds the options of drivers, by network type; each is a
	// map[string]interface{} by label.
	DriverCfg map[string]interface{}
	// DefaultAddressPools replaces the pools that subnets are cut from. Empty means
	// the built-in ones.
	DefaultAddressPools []AddressPool
	// NeverUse lists prefixes, in CIDR form, that no automatic subnet may overlap.
	NeverUse []string
	// FirewallBackend is FirewallNFTables, FirewallIPTables, one of the kinds of the
	// latter, or FirewallNone. Empty means nftables if the kernel has it, and iptables
	// otherwise.
	FirewallBackend string
	// AcceptMark lets packets into all networks that bear this mark, written as mark or
	// mark/mask in any base, such as "0x1/0xff". Empty means none.
	AcceptMark string
	// Transient says that the process ends with one operation. New then only loads the
	// records: it repairs and watches nothing, and neither names nor ports are served by
	// the process. Repair can be called.
	Transient bool
	// Announce says how new addresses are made known on the link.
	Announce AnnounceCfg
	// ClusterProvider is the cluster manager; nil means none.
	ClusterProvider cluster.Provider
	// DisableProvider ends the use of ClusterProvider; the controller makes it.
	DisableProvider chan struct{}
}

// AddressPool is a supply of subnets of one size.
type AddressPool struct {
	// Base is a prefix in CIDR form, such as "10.0.0.0/8".
	Base string
	// Size is the length in bits of the subnets cut from it, such as 24.
	Size int
}

// AnnounceCfg configures unsolicited ARP and neighbour advertisements. In the zero
// value nothing is announced.
type AnnounceCfg struct {
	// Count is how many are sent: 0 to 3.
	Count int
	// Interval is the time between them: 100 ms to 2 s, if Count is not 0.
	Interval time.Duration
}

// ClusterCfg configures how nodes find each other.
type ClusterCfg struct {
	// Watcher tells of nodes; nil means none.
	Watcher Watcher
	// Address is what other nodes reach this one at, host:port.
	Address string
	// Discovery is the URL of the service that knows the nodes, such as
	// consul://192.0.2.1:8500/nodes.
	Discovery string
	// Heartbeat is the time in seconds between signs of life; 0 means the service's
	// default.
	Heartbeat uint64
}

// OrchestrationCfg configures dnet as a node of a cluster of its own.
type OrchestrationCfg struct {
	Agent   bool
	Manager bool
	// Bind is the interface or address to listen on.
	Bind string
	// Peer is the address of a node to join.
	Peer string
}

func newConfig() *Config {
	return &Config{
		Daemon: DaemonCfg{
			DataDir:   DefaultDataDir,
			ExecRoot:  DefaultExecRoot,
			DriverCfg: make(map[string]interface{}),
			Announce:  AnnounceCfg{Count: DefaultAnnounceCount, Interval: DefaultAnnounceInterval},
		},
		Scopes: make(map[string]*datastore.ScopeCfg),
	}
}

// ParseConfigOptions returns the defaults changed by the options. Call Validate on
// the result.
func ParseConfigOptions(cfgOptions ...Option) *Config {
	cfg := newConfig()
	cfg.ProcessOptions(cfgOptions...)
	cfg.LoadDefaultScopes(cfg.Daemon.DataDir)
	return cfg
}

// LoadDefaultScopes adds the scopes of datastore.DefaultScopes that are missing, and
// what is missing in a scope that names the default's provider or none.
func (c *Config) LoadDefaultScopes(dataDir string) {
	for name, standard := range datastore.DefaultScopes(dataDir) {
		client := &c.scope(name).Client
		if client.Provider == "" {
			client.Provider = standard.Client.Provider
		}
		if client.Provider != standard.Client.Provider {
			continue
		}
		if client.Address == "" {
			client.Address = standard.Client.Address
		}
		if client.Config == nil {
			client.Config = standard.Client.Config
		}
	}
}

// scope returns the scope's configuration to change, made if need be.
func (c *Config) scope(name string) *datastore.ScopeCfg {
	if c.Scopes == nil {
		c.Scopes = make(map[string]*datastore.ScopeCfg)
	}
	if c.Scopes[name] == nil {
		c.Scopes[name] = &datastore.ScopeCfg{}
	}
	return c.Scopes[name]
}

// Clone returns a copy that can be changed without changing c; that of nil is nil.
// Only the values in DriverCfg and ActiveSandboxes are shared.
func (c *Config) Clone() *Config {
	if c == nil {
		return nil
	}
	out := *c
	out.Daemon.Labels = slices.Clone(c.Daemon.Labels)
	out.Daemon.DriverCfg = maps.Clone(c.Daemon.DriverCfg)
	out.Daemon.DefaultAddressPools = slices.Clone(c.Daemon.DefaultAddressPools)
	out.Daemon.NeverUse = slices.Clone(c.Daemon.NeverUse)
	out.ActiveSandboxes = maps.Clone(c.ActiveSandboxes)
	out.Scopes = maps.Clone(c.Scopes)
	for name, scope := range out.Scopes {
		out.Scopes[name] = scope.Clone()
	}
	out.Dnet.Hosts = slices.Clone(c.Dnet.Hosts)
	out.Dnet.AllowedHosts = slices.Clone(c.Dnet.AllowedHosts)
	out.problems = slices.Clone(c.problems)
	return &out
}

// IsValidName reports whether name can name a network, endpoint or driver: it holds
// something besides space, and no control characters, which would break the lines
// of the files that names are written to.
func IsValidName(name string) bool {
	return strings.TrimSpace(name) != "" && !strings.ContainsFunc(name, unicode.IsControl)
}
