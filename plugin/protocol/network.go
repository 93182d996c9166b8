package protocol

// Methods of a network driver.
const (
	NetworkCapabilities = "NetworkDriver.GetCapabilities"
	GatewayCheck        = "NetworkDriver.GwAllocCheck"
	AllocateNetwork     = "NetworkDriver.AllocateNetwork"
	FreeNetwork         = "NetworkDriver.FreeNetwork"
	CreateNetwork       = "NetworkDriver.CreateNetwork"
	DeleteNetwork       = "NetworkDriver.DeleteNetwork"
	CreateEndpoint      = "NetworkDriver.CreateEndpoint"
	EndpointInfo        = "NetworkDriver.EndpointOperInfo"
	DeleteEndpoint      = "NetworkDriver.DeleteEndpoint"
	Join                = "NetworkDriver.Join"
	Leave               = "NetworkDriver.Leave"
	ProgramConnectivity = "NetworkDriver.ProgramExternalConnectivity"
	RevokeConnectivity  = "NetworkDriver.RevokeExternalConnectivity"
	DiscoverNew         = "NetworkDriver.DiscoverNew"
	DiscoverDelete      = "NetworkDriver.DiscoverDelete"
)

// Values of NetworkCapabilitiesReply.
const (
	ScopeLocal  = "local"
	ScopeGlobal = "global"
)

// NetworkCapabilitiesReply answers NetworkCapabilities, whose request is empty.
type NetworkCapabilitiesReply struct {
	// Scope is ScopeLocal or ScopeGlobal: who knows of a network. It is required.
	Scope string
	// ConnectivityScope is how far a network reaches; empty means as far as Scope.
	ConnectivityScope string `json:",omitempty"`
	// GwAllocChecker says that GatewayCheck may be asked; engines know it since 2025.
	GwAllocChecker bool `json:",omitempty"`
}

// GatewayCheckRequest asks which gateways a network to be needs.
type GatewayCheckRequest struct {
	// Options are those of CreateNetworkRequest.
	Options map[string]any
}

// GatewayCheckReply says for which family no address is to be taken for a gateway that the
// user has not named.
type GatewayCheckReply struct {
	SkipIPv4, SkipIPv6 bool
}

// IPAMData is a subnet of a network.
type IPAMData struct {
	AddressSpace string
	// Pool is the subnet in CIDR form; 0.0.0.0/0 stands for none.
	Pool string
	// Gateway is its address with the subnet's length; empty if there is none.
	Gateway string `json:",omitempty"`
	// AuxAddresses are kept away from endpoints, by name, in the form of Gateway.
	AuxAddresses map[string]string `json:",omitempty"`
}

// AllocateNetworkRequest is sent to drivers of ScopeGlobal, by the manager of a cluster.
type AllocateNetworkRequest struct {
	NetworkID          string
	Options            map[string]string
	IPv4Data, IPv6Data []IPAMData
}

// AllocateNetworkReply has options that go to the driver on each node.
type AllocateNetworkReply struct {
	Options map[string]string
}

// FreeNetworkRequest undoes an AllocateNetworkRequest.
type FreeNetworkRequest struct {
	NetworkID string
}

// CreateNetworkRequest makes a network. The answer is Empty.
type CreateNetworkRequest struct {
	NetworkID string
	// Options are by label; com.docker.network.generic has those of the driver, a map.
	Options            map[string]any
	IPv4Data, IPv6Data []IPAMData
}

// DeleteNetworkRequest removes one. The answer is Empty.
type DeleteNetworkRequest struct {
	NetworkID string
}

// Interface is what an endpoint has: addresses in CIDR form, and the MAC address. What is
// empty there is none of, or it is left to the driver.
type Interface struct {
	Address     string
	AddressIPv6 string
	MacAddress  string
}

// CreateEndpointRequest makes an endpoint.
type CreateEndpointRequest struct {
	NetworkID, EndpointID string
	// Interface may be nil, which is like one with nothing in it.
	Interface *Interface
	Options   map[string]any
}

// CreateEndpointReply has only what was empty in the request, or nil.
type CreateEndpointReply struct {
	Interface *Interface
}

// EndpointRequest names an endpoint; it is the request of DeleteEndpoint, EndpointInfo,
// Leave and RevokeConnectivity.
type EndpointRequest struct {
	NetworkID, EndpointID string
}

// EndpointInfoReply answers EndpointInfo.
type EndpointInfoReply struct {
	Value map[string]any
}

// JoinRequest puts an endpoint into a container.
type JoinRequest struct {
	NetworkID, EndpointID string
	// SandboxKey is the path of the container's network namespace. The link of the answer
	// stays in the namespace of the driver: the caller moves it.
	SandboxKey string
	Options    map[string]any
}

// InterfaceName says which link is the endpoint's.
type InterfaceName struct {
	// SrcName is its name now.
	SrcName string
	// DstPrefix is what its name begins with in the container; a number follows.
	DstPrefix string
	// DstName, if it is not empty, is its whole name there; engines know it since 2025.
	DstName string `json:",omitempty"`
}

// Types of a StaticRoute.
const (
	RouteNextHop   = 0
	RouteConnected = 1
)

// StaticRoute is a route in the container.
type StaticRoute struct {
	// Destination is in CIDR form.
	Destination string
	// RouteType is RouteNextHop or RouteConnected.
	RouteType int
	// NextHop is an address; empty for RouteConnected.
	NextHop string
}

// JoinReply answers a JoinRequest.
type JoinReply struct {
	// InterfaceName nil means that the endpoint has no link.
	InterfaceName *InterfaceName
	// Gateway and GatewayIPv6 are addresses without length; empty if there are none.
	Gateway      string
	GatewayIPv6  string
	StaticRoutes []StaticRoute
	// DisableGatewayService says that the container is to get no second interface for its
	// way out, although it has no gateway here.
	DisableGatewayService bool
}

// PortBinding publishes a container's port: an element of the list under the label
// com.docker.network.portmap.
type PortBinding struct {
	// Proto is the IANA number of the protocol: 6, 17 or 132.
	Proto uint8
	// IP is the container's address; empty means that of the endpoint.
	IP   string
	Port uint16
	// HostIP is the host's address; empty means any.
	HostIP string
	// HostPort zero means any free port. HostPortEnd, if it is neither zero nor HostPort,
	// ends a range of which one free port is taken.
	HostPort, HostPortEnd uint16
}

// TransportPort is an element of the list under the label
// com.docker.network.endpoint.exposedports.
type TransportPort struct {
	Proto uint8
	Port  uint16
}

// ConnectivityRequest publishes ports of an endpoint, which is in a container.
type ConnectivityRequest struct {
	NetworkID, EndpointID string
	// Options are those of the join; com.docker.network.portmap has the ports.
	Options map[string]any
}

// Types of DiscoveryNotification.
const (
	NodeDiscovery        = 1
	EncryptionKeysConfig = 2
	EncryptionKeysUpdate = 3
)

// DiscoveryNotification is the request of DiscoverNew and DiscoverDelete.
type DiscoveryNotification struct {
	DiscoveryType int
	// DiscoveryData is a NodeDiscoveryData for NodeDiscovery.
	DiscoveryData any
}

// NodeDiscoveryData is a node that came or went.
type NodeDiscoveryData struct {
	Address     string
	BindAddress string `json:",omitempty"`
	// Self says that it is the node of the driver itself.
	Self bool
}
