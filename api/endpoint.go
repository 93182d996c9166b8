package api

import (
	"net/netip"
	"time"
)

// EndpointSummary is an endpoint as in 2017: where it is named within something else.
type EndpointSummary struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	// Network is the network's name.
	Network string `json:"network"`
}

// Endpoint is an endpoint; /services lists the same.
type Endpoint struct {
	EndpointSummary

	NetworkID string            `json:"network_id"`
	Created   time.Time         `json:"created"`
	Labels    map[string]string `json:"labels,omitempty"`
	// SandboxID and Container are empty while the endpoint is in no sandbox.
	SandboxID string `json:"sandbox_id,omitempty"`
	Container string `json:"container_id,omitempty"`
	// Interface is the name of the interface in the sandbox.
	Interface string `json:"interface,omitempty"`
	// HostLinks are the names of the endpoint's links on the host: its end of a pair.
	HostLinks []string `json:"host_links,omitempty"`
	// NetworkLinks are the names of the network's links on the host, such as its bridge.
	NetworkLinks []string `json:"network_links,omitempty"`
	MAC          string   `json:"mac,omitempty"`
	// Addresses hold the length of their subnet: IPv4, IPv6, and link-local ones.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// Gateways are the next hops that the endpoint offers for default routes.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	Routes   []Route      `json:"routes,omitempty"`
	Priority int          `json:"priority,omitempty"`
	// MyAliases are further names of the endpoint; Aliases are what its container calls
	// others, as alias to name.
	MyAliases    []string          `json:"my_aliases,omitempty"`
	Aliases      map[string]string `json:"aliases,omitempty"`
	Anonymous    bool              `json:"anonymous,omitempty"`
	DNS          []string          `json:"dns,omitempty"`
	DriverOpts   map[string]string `json:"driver_opts,omitempty"`
	ExposedPorts []string          `json:"exposed_ports,omitempty"`
	// Ports are those published through the endpoint, with the host's ports as they were
	// granted; outside of a sandbox, those that are asked for.
	Ports []PortMapping `json:"ports,omitempty"`
}

// Route is a route of a sandbox through an endpoint's interface.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	// NextHop zero means that the destination is on the link.
	NextHop netip.Addr `json:"next_hop,omitzero"`
}

// EndpointCreate is the body of POST /networks/{id}/endpoints; the answer is the id. The
// first two fields are those of 2017.
type EndpointCreate struct {
	Name      string   `json:"name"`
	MyAliases []string `json:"my_aliases,omitempty"`

	// IPv4 and IPv6 zero leave the choice to the address manager.
	IPv4      netip.Addr        `json:"ipv4,omitzero"`
	IPv6      netip.Addr        `json:"ipv6,omitzero"`
	LinkLocal []netip.Addr      `json:"link_local,omitempty"`
	IPAMOpts  map[string]string `json:"ipam_opts,omitempty"`
	// MAC empty leaves the choice to the driver.
	MAC        string            `json:"mac,omitempty"`
	DriverOpts map[string]string `json:"driver_opts,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	// Anonymous endpoints have no name in name resolution; DisableResolution keeps the
	// sandbox without a DNS server of its own.
	Anonymous         bool     `json:"anonymous,omitempty"`
	DisableResolution bool     `json:"disable_resolution,omitempty"`
	DNS               []string `json:"dns,omitempty"`
	// Ports are published whenever the endpoint is in a sandbox.
	Ports        []PortMapping `json:"ports,omitempty"`
	ExposedPorts []string      `json:"exposed_ports,omitempty"`
}

// EndpointJoin is the body of POST /networks/{id}/endpoints/{id}/sandboxes and of
// POST /services/{id}/backend; the answer is the sandbox's key. The first two fields are
// those of 2017.
type EndpointJoin struct {
	SandboxID string `json:"sandbox_id"`
	// Aliases have the form container:alias, and are private to the sandbox.
	Aliases []string `json:"aliases,omitempty"`

	Priority int `json:"priority,omitempty"`
}

// ServiceCreate is the body of POST /services; the answer is the id.
type ServiceCreate struct {
	EndpointCreate
	// Network is a network's name; empty is the default network.
	Network string `json:"network_name"`
}

// ServiceDelete is the body of DELETE /services/{id}, and may be left out.
type ServiceDelete struct {
	Name string `json:"name,omitempty"`
	// Force makes the service leave its sandbox first.
	Force bool `json:"force,omitempty"`
}
