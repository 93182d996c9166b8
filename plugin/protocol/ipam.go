package protocol

// Methods of an address manager.
const (
	IpamCapabilities     = "IpamDriver.GetCapabilities"
	DefaultAddressSpaces = "IpamDriver.GetDefaultAddressSpaces"
	RequestPool          = "IpamDriver.RequestPool"
	ReleasePool          = "IpamDriver.ReleasePool"
	RequestAddress       = "IpamDriver.RequestAddress"
	ReleaseAddress       = "IpamDriver.ReleaseAddress"
)

// Keys of the options of address managers.
const (
	// RequestAddressType says in RequestAddressRequest.Options what an address is for:
	// GatewayAddress, or nothing.
	RequestAddressType = "RequestAddressType"
	// GatewayAddress is the value for a gateway. As a key of RequestPoolReply.Data it has
	// the gateway that comes with the pool, in CIDR form.
	GatewayAddress = "com.docker.network.gateway"
	// MACAddress has the endpoint's MAC address, if the manager asks for it.
	MACAddress = "com.docker.network.endpoint.macaddress"
	// Serial, if it is "true", asks for addresses that were not used lately.
	Serial = "com.docker.network.ipam.serial"
)

// IpamCapabilitiesReply answers IpamCapabilities, whose request is empty. A manager without
// this method has none of them.
type IpamCapabilitiesReply struct {
	// RequiresMACAddress asks for MACAddress with each request for an address.
	RequiresMACAddress bool
	// RequiresRequestReplay asks for all requests again after a restart of the caller.
	RequiresRequestReplay bool
}

// DefaultAddressSpacesReply answers DefaultAddressSpaces, whose request is empty.
type DefaultAddressSpacesReply struct {
	LocalDefaultAddressSpace  string
	GlobalDefaultAddressSpace string
}

// RequestPoolRequest asks for a subnet.
type RequestPoolRequest struct {
	AddressSpace string
	// Pool is the subnet wanted, in CIDR form; empty leaves the choice to the manager,
	// which must never choose the same one twice.
	Pool string
	// SubPool is the part of Pool that addresses are to come from; empty means all of it.
	SubPool string
	Options map[string]string
	// V6 says of which family, if Pool does not.
	V6 bool
}

// RequestPoolReply is what was granted.
type RequestPoolReply struct {
	PoolID string
	// Pool is in CIDR form.
	Pool string
	Data map[string]string
}

// ReleasePoolRequest gives a pool back. The answer is Empty.
type ReleasePoolRequest struct {
	PoolID string
}

// RequestAddressRequest asks for an address of a pool.
type RequestAddressRequest struct {
	PoolID string
	// Address is the one wanted; empty means any.
	Address string
	Options map[string]string
}

// RequestAddressReply is what was granted.
type RequestAddressReply struct {
	// Address has the pool's length.
	Address string
	Data    map[string]string
}

// ReleaseAddressRequest gives an address back. The answer is Empty.
type ReleaseAddressRequest struct {
	PoolID  string
	Address string
}
