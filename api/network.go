package api

import (
	"net/netip"
	"time"
)

// LabelPlugin is the label of networks that were made for a container engine, by the plugin
// of that name. The engine counts on them, and so pruning leaves them alone.
const LabelPlugin = "dnet.plugin"

// Network is a network. The first four fields are those of 2017.
type Network struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	// Type is the name of the driver.
	Type string `json:"type"`
	// Endpoints are sorted by name.
	Endpoints []EndpointSummary `json:"endpoints"`

	// Scope is "local" or "global".
	Scope      string            `json:"scope"`
	Created    time.Time         `json:"created"`
	Labels     map[string]string `json:"labels,omitempty"`
	DriverOpts map[string]string `json:"driver_opts,omitempty"`
	EnableIPv4 bool              `json:"enable_ipv4"`
	EnableIPv6 bool              `json:"enable_ipv6"`
	Internal   bool              `json:"internal"`
	Attachable bool              `json:"attachable"`
	// DNS are the name servers that containers ask which were given none of their own.
	DNS        []string          `json:"dns,omitempty"`
	IPAMDriver string            `json:"ipam_driver"`
	IPAMOpts   map[string]string `json:"ipam_opts,omitempty"`
	// Subnets are what was granted, IPv4 first.
	Subnets []Subnet `json:"subnets"`
	// HostLinks are the names of the network's links on the host, such as its bridge.
	HostLinks []string `json:"host_links,omitempty"`
}

// Subnet is a pool of addresses of a network, with the state of its addresses.
type Subnet struct {
	Pool netip.Prefix `json:"pool"`
	// Range, if valid, is the part of the pool that automatic addresses come from.
	Range   netip.Prefix `json:"range,omitzero"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	// Used counts the addresses that somebody holds. Available counts those that an
	// endpoint may still get without asking for one; it is left out if the address manager
	// does not tell, and the largest number of 64 bits stands for that or more.
	Used      int     `json:"used"`
	Available *uint64 `json:"available,omitempty"`
	// Holders are in the order of addresses. Lists of networks leave them out.
	Holders []Holder `json:"holders,omitempty"`
}

// Holder is who holds an address.
type Holder struct {
	Address netip.Addr `json:"address"`
	// Kind is "gateway", "auxiliary" or "endpoint".
	Kind string `json:"kind"`
	// Name is that of the endpoint, or of the auxiliary address.
	Name string `json:"name,omitempty"`
	// ID is the endpoint's.
	ID string `json:"id,omitempty"`
	// Container is the id of the container whose sandbox the endpoint is in.
	Container string `json:"container,omitempty"`
}

// NetworkCreate is the body of POST /networks; the answer is the id. The first six fields
// are those of 2017.
type NetworkCreate struct {
	Name string `json:"name"`
	// ID empty leaves the choice to the daemon.
	ID string `json:"id,omitempty"`
	// NetworkType empty is the default driver.
	NetworkType string       `json:"network_type,omitempty"`
	IPv4Conf    []IPAMConfig `json:"ipv4_configuration,omitempty"`
	// DriverOpts are the driver's own.
	DriverOpts map[string]string `json:"driver_opts,omitempty"`
	// NetworkOpts are labels that concern every driver, such as
	// com.docker.network.internal, whose values are "true" or "false".
	NetworkOpts map[string]string `json:"network_opts,omitempty"`

	IPv6Conf []IPAMConfig `json:"ipv6_configuration,omitempty"`
	// IPAMDriver empty is the default one, and so is an empty AddressSpace.
	IPAMDriver   string            `json:"ipam_driver,omitempty"`
	AddressSpace string            `json:"address_space,omitempty"`
	IPAMOpts     map[string]string `json:"ipam_opts,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	// EnableIPv4 nil means true.
	EnableIPv4 *bool `json:"enable_ipv4,omitempty"`
	EnableIPv6 bool  `json:"enable_ipv6,omitempty"`
	Internal   bool  `json:"internal,omitempty"`
	Attachable bool  `json:"attachable,omitempty"`
	// Scope is "local", or "global" for a network of all hosts that share a store; empty
	// leaves it to the driver.
	Scope string   `json:"scope,omitempty"`
	DNS   []string `json:"dns,omitempty"`
}

// IPAMConfig asks for one pool. Empty fields leave the choice to the address manager. Its
// JSON names are those of 2017.
type IPAMConfig struct {
	// PreferredPool is the subnet in CIDR form, and SubPool the part of it that automatic
	// addresses come from.
	PreferredPool string            `json:"PreferredPool,omitempty"`
	SubPool       string            `json:"SubPool,omitempty"`
	Gateway       string            `json:"Gateway,omitempty"`
	AuxAddresses  map[string]string `json:"AuxAddresses,omitempty"`
}

// NetworkConnect is the body of POST /networks/{id}/connect: an endpoint is made and joins
// the container's sandbox, or neither. The answer is the Endpoint.
type NetworkConnect struct {
	// Container is the id of a container, or of its sandbox.
	Container string `json:"container,omitempty"`
	// Sandbox, if it is there, is made first, and Container left empty: the sandbox and the
	// endpoint in it, or neither. It is refused if the container has a sandbox.
	Sandbox *SandboxCreate `json:"sandbox,omitempty"`
	// NetworkLabels are those that the network must have: one without them counts as not
	// found.
	NetworkLabels map[string]string `json:"network_labels,omitempty"`
	// EndpointCreate is the endpoint to be; an empty name is the container's id.
	EndpointCreate
	// Aliases are what this container calls others, each as alias to name.
	Aliases map[string]string `json:"aliases,omitempty"`
	// Priority decides which network gives the default route: the highest wins.
	Priority int `json:"priority,omitempty"`
}

// NetworkDisconnect is the body of POST /networks/{id}/disconnect: the container's endpoint
// leaves and is deleted.
type NetworkDisconnect struct {
	// Container is the id of a container, or of its sandbox.
	Container string `json:"container"`
}

// PruneReport is the answer of POST /networks/prune, which deletes networks without
// endpoints. The default network, and those that cannot be deleted, stay.
type PruneReport struct {
	// Deleted are sorted by name; their endpoints are left out.
	Deleted []Network `json:"deleted"`
}
