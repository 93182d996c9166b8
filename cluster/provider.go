// Package cluster connects the library with the manager of a cluster of nodes.
package cluster

import "context"

// Provider is the cluster manager, as the library sees it. Addresses have the form
// host or host:port, and are empty where there is none.
type Provider interface {
	// IsManager reports whether this node takes part in managing the cluster.
	IsManager() bool
	// IsAgent reports whether this node runs containers for the cluster.
	IsAgent() bool
	// GetLocalAddress returns this node's own address.
	GetLocalAddress() string
	// GetListenAddress returns where this node listens.
	GetListenAddress() string
	// GetAdvertiseAddress returns the address that other nodes are told.
	GetAdvertiseAddress() string
	// GetRemoteAddress returns the address of another node to join through.
	GetRemoteAddress() string
	// ListenClusterEvents returns a channel that delivers a value when any of the
	// above may have changed.
	ListenClusterEvents() <-chan struct{}
	// AttachNetwork makes a cluster network available on this node for a container
	// that wants the given addresses. Arguments: network, container, addresses.
	AttachNetwork(string, string, []string) (*NetworkingConfig, error)
	// DetachNetwork takes that back. Arguments: network, container.
	DetachNetwork(string, string) error
	// UpdateAttachment tells the cluster what the container got. Arguments:
	// network, container.
	UpdateAttachment(string, string, *NetworkingConfig) error
	// WaitForDetachment returns when the attachment is gone. Arguments: network id,
	// network name, task id, container id.
	WaitForDetachment(context.Context, string, string, string, string) error
}

// NetworkingConfig says how a container is in its networks.
type NetworkingConfig struct {
	// EndpointsConfig is by network name.
	EndpointsConfig map[string]*EndpointSettings
}

// EndpointSettings says how a container is in one network. Empty fields are not
// known, or left to the library.
type EndpointSettings struct {
	// IPAMConfig is what was asked for; nil asks for nothing in particular.
	IPAMConfig *EndpointIPAMConfig
	// Aliases are further names of the container in the network.
	Aliases    []string
	NetworkID  string
	EndpointID string
	// What follows was granted. IPPrefixLen and GlobalIPv6PrefixLen are in bits.
	Gateway             string
	IPAddress           string
	IPPrefixLen         int
	IPv6Gateway         string
	GlobalIPv6Address   string
	GlobalIPv6PrefixLen int
	MacAddress          string
}

// EndpointIPAMConfig asks for addresses; empty fields leave the choice open.
type EndpointIPAMConfig struct {
	IPv4Address  string
	IPv6Address  string
	LinkLocalIPs []string
}
