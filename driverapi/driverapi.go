package driverapi

import (
	"net"

	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/discoverapi"
)

// NetworkPluginEndpointType is what a plugin that is a network driver says it
// implements.
const NetworkPluginEndpointType = "NetworkDriver"

// Capability says what a driver can do.
type Capability struct {
	// DataScope is datastore.LocalScope or datastore.GlobalScope: how far its
	// networks reach.
	DataScope string
}

// EventType says what happened to an entry of a table.
type EventType uint8

// Types of event.
const (
	// Create means that the entry is new.
	Create EventType = 1 + iota
	// Update means that its value changed.
	Update
	// Delete means that it is gone.
	Delete
)

// ObjectType says what the entries of a table are about.
type ObjectType int

// Types of object.
const (
	// EndpointObject is for tables about endpoints.
	EndpointObject ObjectType = 1 + iota
	// NetworkObject is for tables about networks.
	NetworkObject
	// OpaqueObject is for tables whose entries only the driver understands.
	OpaqueObject
)

// IsValidType reports whether objType is one of the constants.
func IsValidType(objType ObjectType) bool {
	return objType >= EndpointObject && objType <= OpaqueObject
}

// Driver makes networks of one type. nid and eid are the ids of the network and the
// endpoint; options are by label, as in package netlabel.
type Driver interface {
	discoverapi.Discover

	// NetworkAllocate reserves what a network of global scope needs in the cluster,
	// and returns the options to create it with on each node.
	NetworkAllocate(nid string, options map[string]string, ipV4Data, ipV6Data []IPAMData) (map[string]string, error)
	// NetworkFree releases that.
	NetworkFree(nid string) error
	CreateNetwork(nid string, options map[string]interface{}, nInfo NetworkInfo, ipV4Data, ipV6Data []IPAMData) error
	DeleteNetwork(nid string) error
	// CreateEndpoint may set what ifInfo has empty, and nothing else of it.
	CreateEndpoint(nid, eid string, ifInfo InterfaceInfo, options map[string]interface{}) error
	DeleteEndpoint(nid, eid string) error
	// EndpointOperInfo returns what the driver tells of an endpoint, by label.
	EndpointOperInfo(nid, eid string) (map[string]interface{}, error)
	// Join prepares the endpoint for the sandbox whose namespace is at sboxKey.
	Join(nid, eid string, sboxKey string, jinfo JoinInfo, options map[string]interface{}) error
	Leave(nid, eid string) error
	// ProgramExternalConnectivity publishes the ports of the endpoint that became
	// the gateway of its sandbox.
	ProgramExternalConnectivity(nid, eid string, options map[string]interface{}) error
	// RevokeExternalConnectivity takes that back.
	RevokeExternalConnectivity(nid, eid string) error
	// EventNotify tells of a change in a table that the driver asked for with
	// NetworkInfo.TableEventRegister.
	EventNotify(event EventType, nid string, tableName string, key string, value []byte)
	// DecodeTableEntry returns, for people to read, the key of an entry and what it
	// says.
	DecodeTableEntry(tablename string, key string, value []byte) (string, map[string]string)
	// Type returns the network type.
	Type() string
	// IsBuiltIn is false for plugins.
	IsBuiltIn() bool
}

// DriverCallback is where drivers make themselves known.
type DriverCallback interface {
	// GetPluginGetter returns nil if there are no plugins.
	GetPluginGetter() config.PluginGetter
	// RegisterDriver returns ErrActiveRegistration for a name in use.
	RegisterDriver(name string, driver Driver, capability Capability) error
}

// NetworkInfo is what a driver can do with a network it is creating.
type NetworkInfo interface {
	// TableEventRegister asks for EventNotify about a table.
	TableEventRegister(tableName string, objType ObjectType) error
}

// InterfaceInfo holds the addresses of an endpoint; absent ones are nil.
type InterfaceInfo interface {
	// SetMacAddress is forbidden if there is one already.
	SetMacAddress(mac net.HardwareAddr) error
	// SetIPAddress sets the address of ip's family; it is forbidden if there is one
	// already.
	SetIPAddress(ip *net.IPNet) error
	MacAddress() net.HardwareAddr
	Address() *net.IPNet
	AddressIPv6() *net.IPNet
}

// InterfaceNameInfo takes the name of an endpoint's interface.
type InterfaceNameInfo interface {
	// SetNames gives the interface's name before the join, and the start of the one
	// it shall have in the sandbox.
	SetNames(srcName, dstPrefix string) error
}

// JoinInfo takes what a driver says about a join.
type JoinInfo interface {
	InterfaceName() InterfaceNameInfo
	SetGateway(net.IP) error
	SetGatewayIPv6(net.IP) error
	// AddStaticRoute takes types.NEXTHOP or types.CONNECTED as routeType.
	AddStaticRoute(destination *net.IPNet, routeType int, nextHop net.IP) error
	// DisableGatewayService says that the sandbox needs no second interface for a
	// way out.
	DisableGatewayService()
	// AddTableEntry publishes an entry to the other nodes.
	AddTableEntry(tableName string, key string, value []byte) error
}
