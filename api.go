package libnetwork

import (
	"context"
	"net"
	"time"

	"github.com/docker/libnetwork/cluster"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/resolver"
	"github.com/docker/libnetwork/types"
)

// NetworkController makes and finds networks and sandboxes. Its methods may be
// called from any goroutine.
//
// Errors answer to the marker interfaces of package types, such as
// types.NotFoundError, and to errors.Is with the kinds of package cnm. Methods
// whose names end in Context are the twins of those without; ctx bounds the
// waiting for locks and plugins, not the undoing of what has been done.
type NetworkController interface {
	// ID returns the controller's identity, which stays the same for a data dir.
	ID() string
	// BuiltinDrivers returns the network types of this build, sorted.
	BuiltinDrivers() []string
	// BuiltinIPAMDrivers returns the address managers of this build, sorted.
	BuiltinIPAMDrivers() []string
	// Config returns a copy of the configuration.
	Config() config.Config

	// NewNetwork makes a network. An empty networkType is the configured default
	// driver; an empty id lets the controller choose. A name in use is a
	// NetworkNameError, an unknown type a NetworkTypeError.
	NewNetwork(networkType, name string, id string, options ...NetworkOption) (Network, error)
	NewNetworkContext(ctx context.Context, networkType, name, id string, options ...NetworkOption) (Network, error)
	// Networks returns all networks, sorted by name.
	Networks() []Network
	// WalkNetworks calls the walker for each network until it returns true.
	WalkNetworks(walker NetworkWalker)
	// NetworkByName and NetworkByID return ErrNoSuchNetwork for one that is not
	// there.
	NetworkByName(name string) (Network, error)
	NetworkByID(id string) (Network, error)

	// NewSandbox makes the network stack of a container. A second one for the same
	// container is forbidden.
	NewSandbox(containerID string, options ...SandboxOption) (Sandbox, error)
	NewSandboxContext(ctx context.Context, containerID string, options ...SandboxOption) (Sandbox, error)
	// Sandboxes returns all sandboxes, sorted by container id.
	Sandboxes() []Sandbox
	// WalkSandboxes calls the walker for each sandbox until it returns true.
	WalkSandboxes(walker SandboxWalker)
	// SandboxByID returns the sandbox with the id.
	SandboxByID(id string) (Sandbox, error)
	// SandboxDestroy deletes the sandbox of a container; there need not be one.
	SandboxDestroy(containerID string) error

	// Repair compares what the kernel holds with the records, mends what differs,
	// forgets sandboxes whose namespace is gone, and deletes what bears our mark
	// without a record. It is what New does on an old data dir.
	Repair(ctx context.Context) error
	// Stop releases what the controller holds in the process. Networks and
	// sandboxes stay; a new controller on the same data dir finds them.
	Stop()
	// ReloadConfiguration takes over options that may change while running: labels
	// and cluster settings. Others are refused.
	ReloadConfiguration(cfgOptions ...config.Option) error

	// SetClusterProvider makes this node part of the cluster that the provider tells of, as
	// long as it says so: nodes then know each other's endpoints on networks of global
	// scope. Nil ends that. A second provider takes the place of the first.
	SetClusterProvider(provider cluster.Provider)
	// AgentInitWait waits until this node takes part in the cluster of its provider; without
	// one it returns at once.
	AgentInitWait()
	// SetKeys gives the keys of the cluster, all that there are, in any order. While the node
	// takes part they can be rotated: keys come and go one by one.
	SetKeys(keys []*types.EncryptionKey) error
}

// Network is a set of endpoints that reach each other.
type Network interface {
	Name() string
	ID() string
	// Type returns the name of the driver.
	Type() string
	// CreateEndpoint makes an endpoint with an address; its name is unique in the
	// network.
	CreateEndpoint(name string, options ...EndpointOption) (Endpoint, error)
	CreateEndpointContext(ctx context.Context, name string, options ...EndpointOption) (Endpoint, error)
	// Delete removes the network. One with endpoints gives ActiveEndpointsError.
	Delete() error
	DeleteContext(ctx context.Context) error
	// Endpoints returns all endpoints, sorted by name.
	Endpoints() []Endpoint
	// WalkEndpoints calls the walker for each endpoint until it returns true.
	WalkEndpoints(walker EndpointWalker)
	EndpointByName(name string) (Endpoint, error)
	EndpointByID(id string) (Endpoint, error)
	Info() NetworkInfo
}

// NetworkInfo tells more about a network.
type NetworkInfo interface {
	// IpamConfig returns the address manager's name, its options, and what was
	// asked of it.
	IpamConfig() (string, map[string]string, []*IpamConf, []*IpamConf)
	// IpamInfo returns what the address manager granted.
	IpamInfo() ([]*IpamInfo, []*IpamInfo)
	DriverOptions() map[string]string
	// Scope is "local" or "global".
	Scope() string
	IPv6Enabled() bool
	Internal() bool
	Attachable() bool
	Ingress() bool
	Labels() map[string]string
	Dynamic() bool
	Created() time.Time
	// Peers returns the nodes of the cluster that have the network, in the form of
	// networkdb.PeerInfo; none without a cluster.
	Peers() []cnm.Peer
	// Services returns the services on the network; none without a cluster.
	Services() map[string]ServiceInfo
}

// Endpoint is a place in a network that one sandbox at a time can take.
type Endpoint interface {
	ID() string
	Name() string
	// Network returns the name of the network.
	Network() string
	// Join puts the endpoint into the sandbox: when it returns, the container has
	// the interface. An endpoint that is in a sandbox already is forbidden.
	Join(sandbox Sandbox, options ...EndpointOption) error
	JoinContext(ctx context.Context, sandbox Sandbox, options ...EndpointOption) error
	// Leave takes it out again. Only the sandbox that it is in may be named.
	Leave(sandbox Sandbox, options ...EndpointOption) error
	LeaveContext(ctx context.Context, sandbox Sandbox, options ...EndpointOption) error
	Info() EndpointInfo
	// DriverInfo returns what the driver tells of the endpoint, by label, such as
	// netlabel.MacAddress.
	DriverInfo() (map[string]interface{}, error)
	// Delete removes the endpoint. One that is in a sandbox gives
	// ActiveContainerError unless force is true, which makes it leave first.
	Delete(force bool) error
	DeleteContext(ctx context.Context, force bool) error
}

// EndpointInfo tells more about an endpoint.
type EndpointInfo interface {
	// Iface returns nil for an endpoint without an interface of its own.
	Iface() InterfaceInfo
	// Gateway and GatewayIPv6 are nil while the endpoint is in no sandbox.
	Gateway() net.IP
	GatewayIPv6() net.IP
	StaticRoutes() []*types.StaticRoute
	// Sandbox returns nil while the endpoint is in none.
	Sandbox() Sandbox
}

// InterfaceInfo tells an endpoint's addresses.
type InterfaceInfo interface {
	MacAddress() net.HardwareAddr
	// Address and AddressIPv6 are nil where the family is not used.
	Address() *net.IPNet
	AddressIPv6() *net.IPNet
	LinkLocalAddresses() []*net.IPNet
}

// Sandbox is a container's network stack.
type Sandbox interface {
	ID() string
	// Key returns the path of the network namespace.
	Key() string
	ContainerID() string
	// Labels returns the values given with OptionGeneric.
	Labels() map[string]interface{}
	// Statistics returns the counters of each interface, by its name inside.
	Statistics() (map[string]*types.InterfaceStatistics, error)
	// ResolverStatistics returns what the sandbox's DNS server has counted since it began
	// to listen: how many questions were answered from where, failed, or were too many at
	// a time. Without a server all are zero.
	ResolverStatistics() resolver.Statistics
	// Refresh replaces the options and rewrites the files that follow from them.
	Refresh(options ...SandboxOption) error
	// SetKey gives an external sandbox its namespace, by the path of its file.
	SetKey(key string) error
	SetKeyContext(ctx context.Context, key string) error
	// Rename gives the sandbox's endpoints another name.
	Rename(name string) error
	// Delete leaves and deletes the sandbox's endpoints and removes the namespace.
	Delete() error
	DeleteContext(ctx context.Context) error
	// Endpoints returns the endpoints in the sandbox, the one with the default
	// route first.
	Endpoints() []Endpoint
	// ResolveService returns who serves under a name such as _http._tcp.web, with their
	// addresses, as the sandbox's DNS server does. EnableService and DisableService belong
	// to load balancing, which no sandbox has in this version: there is nothing to change.
	ResolveService(name string) ([]*net.SRV, []net.IP)
	EnableService() error
	DisableService() error
}

// NetworkWalker is called for each network until it returns true.
type NetworkWalker func(nw Network) bool

// EndpointWalker is called for each endpoint until it returns true.
type EndpointWalker func(ep Endpoint) bool

// SandboxWalker is called for each sandbox until it returns true.
type SandboxWalker func(sb Sandbox) bool

// SandboxContainerWalker finds the sandbox of a container.
func SandboxContainerWalker(out *Sandbox, containerID string) SandboxWalker {
	return func(sb Sandbox) bool {
		if sb.ContainerID() != containerID {
			return false
		}
		*out = sb
		return true
	}
}

// SandboxKeyWalker finds the sandbox of a namespace's path.
func SandboxKeyWalker(out *Sandbox, key string) SandboxWalker {
	return func(sb Sandbox) bool {
		if sb.Key() != key {
			return false
		}
		*out = sb
		return true
	}
}

// ServiceInfo describes a service on a network.
type ServiceInfo struct {
	VIP          string
	LocalLBIndex int
	Tasks        []Task
	Ports        []string
}

// Task is one backend of a service.
type Task struct {
	Name       string
	EndpointID string
	EndpointIP string
	Info       map[string]string
}

// PortConfig is a port that a service publishes.
type PortConfig struct {
	Name          string
	Protocol      int32
	TargetPort    uint32
	PublishedPort uint32
}
