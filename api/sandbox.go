package api

import "time"

// Sandbox is the network stack of a container. The first three fields are those of 2017.
type Sandbox struct {
	ID string `json:"id"`
	// Key is the path of the network namespace.
	Key         string `json:"key"`
	ContainerID string `json:"container_id"`

	Created time.Time `json:"created"`
	// Host says that the sandbox is the host's own namespace, External that somebody else
	// makes the namespace, and Ready that it is there.
	Host           bool           `json:"host,omitempty"`
	External       bool           `json:"external,omitempty"`
	Ready          bool           `json:"ready"`
	Hostname       string         `json:"host_name,omitempty"`
	Domainname     string         `json:"domain_name,omitempty"`
	HostsPath      string         `json:"hosts_path,omitempty"`
	ResolvConfPath string         `json:"resolv_conf_path,omitempty"`
	DNS            []string       `json:"dns,omitempty"`
	DNSSearch      []string       `json:"dns_search,omitempty"`
	DNSOptions     []string       `json:"dns_options,omitempty"`
	ExtraHosts     []ExtraHost    `json:"extra_hosts,omitempty"`
	ExposedPorts   []string       `json:"exposed_ports,omitempty"`
	Ports          []PortMapping  `json:"ports,omitempty"`
	Labels         map[string]any `json:"labels,omitempty"`
	// Lifetime is as in SandboxCreate; OwnerPID is the process that it depends on.
	Lifetime string `json:"lifetime,omitempty"`
	OwnerPID int    `json:"owner_pid,omitempty"`
	// Endpoints are those in the sandbox, the one with the default route first.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
}

// ExtraHost is a line of the hosts file. The address "host-gateway" stands for the host.
type ExtraHost struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// SandboxCreate is the body of POST /sandboxes; the answer is the id. The fields up to
// PortMapping are those of 2017.
type SandboxCreate struct {
	ContainerID       string      `json:"container_id"`
	HostName          string      `json:"host_name,omitempty"`
	DomainName        string      `json:"domain_name,omitempty"`
	HostsPath         string      `json:"hosts_path,omitempty"`
	ResolvConfPath    string      `json:"resolv_conf_path,omitempty"`
	DNS               []string    `json:"dns,omitempty"`
	ExtraHosts        []ExtraHost `json:"extra_hosts,omitempty"`
	UseDefaultSandbox bool        `json:"use_default_sandbox,omitempty"`
	UseExternalKey    bool        `json:"use_external_key,omitempty"`
	// ExposedPorts and PortMapping have the JSON form of 2017's library: Proto is the
	// protocol's number.
	ExposedPorts []TransportPort `json:"exposed_ports,omitempty"`
	PortMapping  []PortBinding   `json:"port_mapping,omitempty"`

	DNSSearch  []string       `json:"dns_search,omitempty"`
	DNSOptions []string       `json:"dns_options,omitempty"`
	Ports      []PortMapping  `json:"ports,omitempty"`
	Labels     map[string]any `json:"labels,omitempty"`
	// Namespace is the path of a network namespace that is there already, and stays where it
	// is: whoever made it removes it. Empty makes one.
	Namespace string `json:"namespace,omitempty"`
	// Lifetime "process" deletes the sandbox when the process that asks for it has ended,
	// however it ended; it needs a connection by the Unix socket. Empty keeps it until it
	// is deleted.
	Lifetime string `json:"lifetime,omitempty"`
	// OwnerPID, for lifetime "process", names another process than the one that asks, such
	// as a container's first. Zero is the one that asks.
	OwnerPID int `json:"owner_pid,omitempty"`
}

// LifetimeProcess is the one value of SandboxCreate.Lifetime that is not empty.
const LifetimeProcess = "process"

// TransportPort is a port as 2017's library writes it.
type TransportPort struct {
	Proto uint8
	Port  uint16
}

// PortBinding is a published port as 2017's library writes it.
type PortBinding struct {
	Proto       uint8
	IP          string
	Port        uint16
	HostIP      string
	HostPort    uint16
	HostPortEnd uint16
}

// SandboxKey is the body of POST /sandboxes/{id}/key, which gives an external sandbox its
// namespace. The answer is the sandbox's own key.
type SandboxKey struct {
	// Key is the path of a network namespace, such as /proc/PID/ns/net.
	Key string `json:"key"`
}

// SandboxStatistics is the answer of GET /sandboxes/{id}/statistics, and one entry of
// that of GET /statistics.
type SandboxStatistics struct {
	SandboxID   string `json:"sandbox_id"`
	ContainerID string `json:"container_id"`
	// Interfaces are sorted by name.
	Interfaces []InterfaceStatistics `json:"interfaces"`
}

// InterfaceStatistics are the counters of an interface, as its container sees them, since
// it was made.
type InterfaceStatistics struct {
	Name string `json:"name"`
	// Network is the name of the network that the interface is in.
	Network   string `json:"network"`
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	RxErrors  uint64 `json:"rx_errors"`
	RxDropped uint64 `json:"rx_dropped"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxErrors  uint64 `json:"tx_errors"`
	TxDropped uint64 `json:"tx_dropped"`
}

// Resolution is the answer of GET /sandboxes/{id}/resolve?name=NAME: who answers what when
// a process in the sandbox asks for the name.
type Resolution struct {
	Name string `json:"name"`
	// Source is "network" for what a container is called, "outside" for what the servers
	// in Servers are asked for, and "none" if nobody is.
	Source string `json:"source"`
	// Answers are addresses, or names for a question by address.
	Answers []string `json:"answers"`
	// Networks are the networks of the sandbox that know the name.
	Networks []string `json:"networks,omitempty"`
	// Servers are the name servers outside, in the order they are asked.
	Servers []string `json:"servers,omitempty"`
	// Reason says why there is no answer.
	Reason string `json:"reason,omitempty"`
}
