package remote

import (
	"errors"

	"github.com/docker/libnetwork/plugin"
)

// Labels of the protocol.
const (
	prefix        = "com.docker.network."
	labelGeneric  = prefix + "generic"
	labelIPv4     = prefix + "enable_ipv4"
	labelIPv6     = prefix + "enable_ipv6"
	labelInternal = prefix + "internal"
	labelPorts    = prefix + "portmap"
	labelExposed  = prefix + "endpoint.exposedports"
	labelDNS      = prefix + "endpoint.dnsservers"
)

// The messages have the names of the fields on the wire.

type capabilitiesReply struct {
	Scope, ConnectivityScope string
	GwAllocChecker           bool
}

type gatewayCheckRequest struct{ Options map[string]any }

type gatewayCheckReply struct{ SkipIPv4, SkipIPv6 bool }

// ipamEntry is a subnet of a network. All addresses are in CIDR form.
type ipamEntry struct {
	AddressSpace string
	Pool         string
	Gateway      string            `json:",omitempty"`
	AuxAddresses map[string]string `json:",omitempty"`
}

type networkRequest struct{ NetworkID string }

type createNetworkRequest struct {
	NetworkID          string
	Options            map[string]any
	IPv4Data, IPv6Data []ipamEntry
}

type allocateNetworkRequest struct {
	NetworkID          string
	Options            map[string]string
	IPv4Data, IPv6Data []ipamEntry
}

type allocateNetworkReply struct{ Options map[string]string }

type endpointRequest struct{ NetworkID, EndpointID string }

// endpointInterface holds addresses in CIDR form; empty ones the plugin may choose.
type endpointInterface struct{ Address, AddressIPv6, MacAddress string }

type createEndpointRequest struct {
	NetworkID, EndpointID string
	Interface             endpointInterface
	Options               map[string]any
}

type createEndpointReply struct{ Interface *endpointInterface }

type operInfoReply struct{ Value map[string]any }

type joinRequest struct {
	NetworkID, EndpointID string
	SandboxKey            string
	Options               map[string]any
}

type joinReply struct {
	InterfaceName         *interfaceName
	Gateway, GatewayIPv6  string
	StaticRoutes          []staticRoute
	DisableGatewayService bool
}

// interfaceName says how the link is called on the host, and in the sandbox: as DstName
// says, or else DstPrefix with a number behind it.
type interfaceName struct{ SrcName, DstPrefix, DstName string }

// Types of a static route.
const (
	routeNextHop   = 0
	routeConnected = 1
)

type staticRoute struct {
	Destination string
	RouteType   int
	NextHop     string
}

type connectivityRequest struct {
	NetworkID, EndpointID string
	Options               map[string]any
}

// portBinding is a published port; Proto is an IANA protocol number.
type portBinding struct {
	Proto                 uint8
	IP                    string
	Port                  uint16
	HostIP                string
	HostPort, HostPortEnd uint16
}

type exposedPort struct {
	Proto uint8
	Port  uint16
}

// discoverNode is the type of a discovery that is about a node of the cluster.
const discoverNode = 1

type discoverRequest struct {
	DiscoveryType int
	DiscoveryData Node
}

// Node is a node of the cluster.
type Node struct {
	// Address is where others reach the node.
	Address string
	// BindAddress is where the node listens; empty means Address.
	BindAddress string
	// Self says that it is the node itself.
	Self bool
}

// answered reports whether the plugin has answered the call with an error: nothing
// happened, and will not when it is asked again.
func answered(err error) bool {
	var said *plugin.Error
	return errors.As(err, &said) || errors.Is(err, plugin.NotImplemented)
}

// absent turns the answer that there is no such method into success.
func absent(err error) error {
	if errors.Is(err, plugin.NotImplemented) {
		return nil
	}
	return err
}
