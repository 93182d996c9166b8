package cnm

import (
	"net/netip"
	"time"

	"github.com/docker/libnetwork/netstate"
)

// SchemaVersion is the version of the JSON form of the records below. A reader
// refuses a record whose version is higher than it knows.
const SchemaVersion = 1

// Scope says how far a network reaches.
type Scope string

// Scopes of networks.
const (
	// Local networks live on one host.
	Local Scope = "local"
	// Global networks span the hosts of a cluster.
	Global Scope = "global"
)

// Network is the record of a network.
type Network struct {
	Schema int `json:"schema"`
	// ID is stable for the network's life: 64 hexadecimal digits, or what the
	// caller chose.
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Driver  string    `json:"driver"`
	Scope   Scope     `json:"scope"`
	Created time.Time `json:"created"`
	// Labels belong to the user; nothing here interprets them.
	Labels map[string]string `json:"labels,omitempty"`
	// Options are the driver's, as text, checked by the driver.
	Options map[string]string `json:"options,omitempty"`

	EnableIPv4 bool `json:"enableIPv4"`
	EnableIPv6 bool `json:"enableIPv6,omitempty"`
	// Internal networks give their endpoints no way out. The driver's CreateNetwork sets it
	// for one that leads nowhere.
	Internal bool `json:"internal,omitempty"`
	// DNS are the name servers that containers ask which were given none of their own.
	DNS        []string `json:"dns,omitempty"`
	Attachable bool     `json:"attachable,omitempty"`
	Ingress    bool     `json:"ingress,omitempty"`
	Dynamic    bool     `json:"dynamic,omitempty"`

	// IPAM is what was asked for; Subnets4 and Subnets6 are what was granted.
	IPAM     IPAMConfig `json:"ipam"`
	Subnets4 []Subnet   `json:"subnets4,omitempty"`
	Subnets6 []Subnet   `json:"subnets6,omitempty"`

	// Parts is what the driver said the network needs; it names only the host.
	Parts []netstate.Part `json:"parts,omitempty"`
}

// IPAMConfig is what the creator of a network asked of address management.
type IPAMConfig struct {
	Driver       string            `json:"driver"`
	AddressSpace string            `json:"addressSpace,omitempty"`
	Options      map[string]string `json:"options,omitempty"`
	IPv4         []PoolConfig      `json:"ipv4,omitempty"`
	IPv6         []PoolConfig      `json:"ipv6,omitempty"`
}

// PoolConfig asks for one pool; zero values leave the choice to the IPAM.
type PoolConfig struct {
	Pool    netip.Prefix          `json:"pool,omitzero"`
	SubPool netip.Prefix          `json:"subPool,omitzero"`
	Gateway netip.Addr            `json:"gateway,omitzero"`
	Aux     map[string]netip.Addr `json:"aux,omitempty"`
}

// Subnet is a pool granted to a network.
type Subnet struct {
	Pool Pool `json:"pool"`
	// Gateway is the gateway's address with the subnet's length; zero if none.
	Gateway netip.Prefix `json:"gateway,omitzero"`
	// Host is the host's own address in the subnet, with its length; zero if it has none,
	// or only that of the gateway.
	Host netip.Prefix `json:"host,omitzero"`
	// Aux are addresses kept away from endpoints, by the name the user gave.
	Aux map[string]netip.Addr `json:"aux,omitempty"`
}

// AddressPlan is what a driver wants of each subnet of a network, before there are
// endpoints. The zero plan is a gateway, chosen by the address manager unless the user
// did.
type AddressPlan struct {
	// NoGateway4 and NoGateway6 take one of the family only if the user names it.
	NoGateway4, NoGateway6 bool
	// Host takes an address for the host, Subnet.Host.
	Host bool
}

// Endpoint is the record of an endpoint: a place in a network that one sandbox at
// a time can take.
type Endpoint struct {
	Schema    int       `json:"schema"`
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	NetworkID string    `json:"networkID"`
	Created   time.Time `json:"created"`
	// Labels belong to the user; nothing here interprets them.
	Labels map[string]string `json:"labels,omitempty"`
	// SandboxID is empty while the endpoint is in no sandbox.
	SandboxID string `json:"sandboxID,omitempty"`

	// MAC is zero when the driver's links have none of their own.
	MAC netstate.MAC `json:"mac,omitzero"`
	// IPv4 and IPv6 hold the address with the subnet's length; zero if none. Pool4
	// and Pool6 are the ids of the pools they came from.
	IPv4  netip.Prefix `json:"ipv4,omitzero"`
	IPv6  netip.Prefix `json:"ipv6,omitzero"`
	Pool4 string       `json:"pool4,omitempty"`
	Pool6 string       `json:"pool6,omitempty"`
	// LinkLocal are further addresses, from 169.254.0.0/16 or fe80::/10.
	LinkLocal []netip.Prefix `json:"linkLocal,omitempty"`
	// Options are the driver's, as text, checked by the driver.
	Options map[string]string `json:"options,omitempty"`
	// IPAMOptions went to the IPAM with the request for the addresses.
	IPAMOptions map[string]string `json:"ipamOptions,omitempty"`

	// Anonymous endpoints have no name in name resolution.
	Anonymous bool `json:"anonymous,omitempty"`
	// DisableResolution keeps the sandbox without the embedded resolver.
	DisableResolution bool `json:"disableResolution,omitempty"`
	// Aliases map what this sandbox calls another endpoint to that one's name.
	Aliases map[string]string `json:"aliases,omitempty"`
	// MyAliases are further names of this endpoint, for the whole network.
	MyAliases    []string      `json:"myAliases,omitempty"`
	DNS          []string      `json:"dns,omitempty"`
	ExposedPorts []Port        `json:"exposedPorts,omitempty"`
	PortBindings []PortBinding `json:"portBindings,omitempty"`

	// What follows is set by Join and cleared by Leave.

	// Interface is the interface's name in the sandbox; empty if there is none. The
	// controller proposes one before the driver's Join, which may change it.
	Interface string `json:"interface,omitempty"`
	// Gateway4 and Gateway6 are set by the driver's Join: next hops that this
	// endpoint offers for the sandbox's default routes. The unspecified address means
	// that everything is on the link.
	Gateway4 netip.Addr `json:"gateway4,omitzero"`
	Gateway6 netip.Addr `json:"gateway6,omitzero"`
	// SeeksGateway is set by the driver's Join where the way out is another's business: a
	// sandbox that has no gateway then gets one through the default gateway network.
	SeeksGateway bool `json:"seeksGateway,omitempty"`
	// Routes are further routes of the endpoint, set by the driver's Join.
	Routes []StaticRoute `json:"routes,omitempty"`
	// Priority decides which endpoint gives the default route: the highest wins.
	Priority int `json:"priority,omitempty"`
	// Order numbers the joins of a sandbox, first is 1.
	Order int `json:"order,omitempty"`
	// Published are the ports that are published through this endpoint, with the host's
	// ports as they were granted.
	Published []PortBinding `json:"published,omitempty"`
	// Intents are what the packet filter shall do for them.
	Intents []netstate.Intent `json:"intents,omitempty"`
	// Parts is what the driver said the endpoint needs.
	Parts []netstate.Part `json:"parts,omitempty"`
}

// StaticRoute is a route in the sandbox through an endpoint's interface.
type StaticRoute struct {
	Destination netip.Prefix `json:"destination"`
	// NextHop zero means that the destination is on the link.
	NextHop netip.Addr `json:"nextHop,omitzero"`
}

// Port is a transport port of a container.
type Port struct {
	Protocol uint8  `json:"protocol"` // IANA protocol number
	Port     uint16 `json:"port"`
}

// PortBinding publishes a container's port on the host, or several ports in a row.
type PortBinding struct {
	Protocol uint8  `json:"protocol"` // IANA protocol number
	Port     uint16 `json:"port"`
	// PortEnd, if it is not zero, ends a range of the container's ports, which are
	// published at as many ports of the host in a row, from HostPort on.
	PortEnd uint16 `json:"portEnd,omitempty"`
	// IP zero means the endpoint's own address.
	IP netip.Addr `json:"ip,omitzero"`
	// HostIP zero means the default binding address.
	HostIP netip.Addr `json:"hostIP,omitzero"`
	// HostPort zero means any free port. HostPortEnd, if it is not zero, ends a range of
	// which one free port is taken, for a single port of the container.
	HostPort    uint16 `json:"hostPort,omitempty"`
	HostPortEnd uint16 `json:"hostPortEnd,omitempty"`
	// Sandbox says of what is published that the sandbox asked for it, and not the
	// endpoint.
	Sandbox bool `json:"sandbox,omitempty"`
	// Proxy says of what is published that a userland proxy serves it where the kernel
	// does not.
	Proxy bool `json:"proxy,omitempty"`
}

// Count is how many ports of the container the binding is for.
func (b PortBinding) Count() int {
	if b.PortEnd < b.Port {
		return 1
	}
	return int(b.PortEnd) - int(b.Port) + 1
}

// Sandbox is the record of a container's network stack.
type Sandbox struct {
	Schema      int       `json:"schema"`
	ID          string    `json:"id"`
	ContainerID string    `json:"containerID"`
	Created     time.Time `json:"created"`
	// Key is the path of the namespace's file; empty for the host's namespace.
	Key string `json:"key,omitempty"`
	// Host says that the sandbox is the host's own namespace.
	Host bool `json:"host,omitempty"`
	// External says that somebody else makes the namespace; until it has been set
	// Ready is false and nothing is done in it.
	External bool `json:"external,omitempty"`
	// Handover says that somebody else puts the interfaces where they belong, and gives them
	// their addresses: they wait on the host. Key is then no more than a name.
	Handover bool `json:"handover,omitempty"`
	// Foreign says that Key is where somebody else has the namespace, who also removes it:
	// it is neither pinned nor unpinned, and the container's files are not ours either.
	Foreign bool `json:"foreign,omitempty"`
	// Identity tells the Foreign namespace from another that comes to be at its path, after
	// a boot or where Key names a process; empty if that is not known.
	Identity string `json:"identity,omitempty"`
	Ready    bool   `json:"ready,omitempty"`
	Ingress  bool   `json:"ingress,omitempty"`

	Hostname   string `json:"hostname,omitempty"`
	Domainname string `json:"domainname,omitempty"`
	// The paths of the two files, and of what they start from (empty: the host's).
	HostsPath            string         `json:"hostsPath,omitempty"`
	OriginHostsPath      string         `json:"originHostsPath,omitempty"`
	ResolvConfPath       string         `json:"resolvConfPath,omitempty"`
	OriginResolvConfPath string         `json:"originResolvConfPath,omitempty"`
	ExtraHosts           []HostEntry    `json:"extraHosts,omitempty"`
	ParentUpdates        []ParentUpdate `json:"parentUpdates,omitempty"`
	DNS                  []string       `json:"dns,omitempty"`
	DNSSearch            []string       `json:"dnsSearch,omitempty"`
	DNSOptions           []string       `json:"dnsOptions,omitempty"`
	ExposedPorts         []Port         `json:"exposedPorts,omitempty"`
	PortBindings         []PortBinding  `json:"portBindings,omitempty"`
	// Labels are the caller's own, in JSON types.
	Labels map[string]any `json:"labels,omitempty"`
}

// HostEntry is a line of a hosts file.
type HostEntry struct {
	Name string `json:"name"`
	IP   string `json:"ip"`
}

// ParentUpdate asks that another container's hosts file name this one.
type ParentUpdate struct {
	ContainerID string `json:"containerID"`
	Name        string `json:"name"`
	IP          string `json:"ip"`
}
