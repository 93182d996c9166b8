// Package ipamapi holds the names, abilities and errors of address managers in the
// form of the 2017 API and the plugin protocol.
//
// The address managers of this library fulfil cnm.IPAM instead; the interfaces
// here are for code that was written against them.
package ipamapi

import (
	"net"

	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/discoverapi"
)

const (
	// DefaultIPAM names the address manager that is used unless another is named.
	DefaultIPAM = "default"
	// NullIPAM names the address manager that gives no addresses.
	NullIPAM = "null"
	// PluginEndpointType is what a plugin that is an address manager says it
	// implements.
	PluginEndpointType = "IpamDriver"
	// RequestAddressType is the option that says what an address is for; its value
	// netlabel.Gateway means the network's gateway.
	RequestAddressType = "RequestAddressType"
)

// Capability says what an address manager needs.
type Capability struct {
	// RequiresMACAddress asks for the MAC address, under netlabel.MacAddress, with
	// each request for an address.
	RequiresMACAddress bool
	// RequiresRequestReplay asks for all requests again after a restart.
	RequiresRequestReplay bool
}

// Callback is where address managers make themselves known.
type Callback interface {
	// GetPluginGetter returns nil if there are no plugins.
	GetPluginGetter() config.PluginGetter
	RegisterIpamDriver(name string, driver Ipam) error
	RegisterIpamDriverWithCapabilities(name string, driver Ipam, capability *Capability) error
}

// Ipam hands out pools and addresses.
type Ipam interface {
	discoverapi.Discover

	// GetDefaultAddressSpaces returns the spaces of local and of global networks.
	GetDefaultAddressSpaces() (string, string, error)
	// RequestPool returns a pool's id, the pool, and what the manager adds. Empty
	// pool and subPool leave the choice to it, v6 says of which family.
	RequestPool(addressSpace, pool, subPool string, options map[string]string, v6 bool) (string, *net.IPNet, map[string]string, error)
	ReleasePool(poolID string) error
	// RequestAddress returns an address with the pool's mask, and what the manager
	// adds. Arguments: pool id, the address wanted or nil, options.
	RequestAddress(string, net.IP, map[string]string) (*net.IPNet, map[string]string, error)
	// ReleaseAddress gives an address back. Arguments: pool id, address.
	ReleaseAddress(string, net.IP) error
	// IsBuiltIn is false for plugins.
	IsBuiltIn() bool
}
