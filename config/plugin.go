package config

import "net"

// Watcher tells of the nodes of a cluster.
type Watcher interface {
	// Watch delivers the complete list of nodes at each change, until stopCh is
	// closed, and errors on the second channel.
	Watch(stopCh <-chan struct{}) (<-chan Entries, <-chan error)
}

// Entries is a list of nodes.
type Entries []*Entry

// Entry is where a node can be reached.
type Entry struct {
	Host string
	Port string
}

// String returns the form host:port, with IPv6 in brackets.
func (e *Entry) String() string { return net.JoinHostPort(e.Host, e.Port) }

// PluginGetter finds plugins.
type PluginGetter interface {
	// Get returns the plugin of that name with the capability, for instance
	// "NetworkDriver". mode says how its use is counted: 1 more, -1 less, 0 as it is.
	Get(name, capability string, mode int) (Plugin, error)
	// GetAllByCap returns all plugins with the capability.
	GetAllByCap(capability string) ([]Plugin, error)
	// Handle has callback called for each plugin with the capability, now and later.
	Handle(capability string, callback func(name string, client PluginClient))
}

// Plugin is a plugin that was found.
type Plugin interface {
	Name() string
	// BasePath is put before paths that the plugin names; empty for plugins that see
	// the host's files.
	BasePath() string
	// IsV1 reports whether the plugin is found by its socket, not installed.
	IsV1() bool
	Client() PluginClient
}

// PluginClient talks to a plugin.
type PluginClient interface {
	// Call sends args as JSON to a method, such as "NetworkDriver.Join", and reads
	// the answer into ret.
	Call(serviceMethod string, args interface{}, ret interface{}) error
}
