// Package netlabel names the labels under which options of networks, endpoints and
// sandboxes travel, between callers, the library and plugins.
//
// A constant says what its value is. The same names serve as keys of a map, with
// values of Go types, and in text of the form "key=value".
package netlabel

import "strings"

// Prefixes of labels.
const (
	// Prefix starts every label of this library.
	Prefix = "com.docker.network"
	// DriverPrefix starts the labels that are for drivers.
	DriverPrefix = Prefix + ".driver"
	// DriverPrivatePrefix starts the labels that drivers and the library pass to
	// each other; they are not for users.
	DriverPrivatePrefix = DriverPrefix + ".private"
)

// Labels known since 2017.
const (
	// GenericData holds a driver's own options: a map by name, or the driver's struct.
	GenericData = Prefix + ".generic"
	// PortMap holds the published ports, a []types.PortBinding.
	PortMap = Prefix + ".portmap"
	// MacAddress holds an endpoint's hardware address, a net.HardwareAddr.
	MacAddress = Prefix + ".endpoint.macaddress"
	// ExposedPorts holds the ports open to other containers, a
	// []types.TransportPort.
	ExposedPorts = Prefix + ".endpoint.exposedports"
	// DNSServers holds name servers for one endpoint, a []string of addresses.
	DNSServers = Prefix + ".endpoint.dnsservers"
	// EnableIPv6 says whether a network has IPv6; a bool, false if absent.
	EnableIPv6 = Prefix + ".enable_ipv6"
	// DriverMTU holds the links' MTU in bytes; absent or 0 means the driver's default.
	DriverMTU = DriverPrefix + ".mtu"
	// OverlayBindInterface names the interface that carries overlay traffic.
	OverlayBindInterface = DriverPrefix + ".overlay.bind_interface"
	// OverlayNeighborIP holds the address of a node to join.
	OverlayNeighborIP = DriverPrefix + ".overlay.neighbor_ip"
	// OverlayVxlanIDList holds VXLAN network identifiers, one for each subnet,
	// separated by commas.
	OverlayVxlanIDList = DriverPrefix + ".overlay.vxlanid_list"
	// Gateway holds a gateway's address; it is also what the value of
	// ipamapi.RequestAddressType says.
	Gateway = Prefix + ".gateway"
	// Internal says whether a network has no way out; a bool, false if absent.
	Internal = Prefix + ".internal"
	// ContainerIfacePrefix holds the start of interface names in sandboxes; absent
	// means "eth".
	ContainerIfacePrefix = Prefix + ".container_iface_prefix"
)

// Labels that came after 2017.
const (
	// EnableIPv4 says whether a network has IPv4; a bool, true if absent.
	EnableIPv4 = Prefix + ".enable_ipv4"
	// EndpointName holds an endpoint's name, for address managers.
	EndpointName = Prefix + ".endpoint.name"
	// Ifname holds the exact name of the interface in the sandbox.
	Ifname = Prefix + ".endpoint.ifname"
	// EndpointSysctls holds settings of the interface, as in
	// "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.mtu=1400".
	EndpointSysctls = Prefix + ".endpoint.sysctls"
	// EndpointIngress holds how fast a container may receive by an endpoint, in bits per
	// second with k, M or G behind them, as in "10M"; absent means as fast as it can.
	EndpointIngress = Prefix + ".endpoint.bandwidth.ingress"
	// EndpointIngressBurst holds how many bits may come at once; absent means what comes
	// in 10 ms, and at least 128 kibibits.
	EndpointIngressBurst = EndpointIngress + ".burst"
	// EndpointEgress is EndpointIngress for what the container sends.
	EndpointEgress = Prefix + ".endpoint.bandwidth.egress"
	// EndpointEgressBurst is EndpointIngressBurst for what the container sends.
	EndpointEgressBurst = EndpointEgress + ".burst"
	// AdvertiseAddrNMsgs holds how many unsolicited ARP and neighbour messages tell
	// of a new address: 0 to 3; absent means 3.
	AdvertiseAddrNMsgs = Prefix + ".advertise_addr_nmsgs"
	// AdvertiseAddrIntervalMs holds the milliseconds between them: 100 to 2000;
	// absent means 1000.
	AdvertiseAddrIntervalMs = Prefix + ".advertise_addr_ms"
	// HostIPv4 holds the source address of outgoing traffic; absent leaves the
	// choice to the host.
	HostIPv4 = Prefix + ".host_ipv4"
	// HostIPv6 is HostIPv4 for IPv6.
	HostIPv6 = Prefix + ".host_ipv6"
	// NoProxy6To4 says that ports published on IPv6 must not be relayed to a
	// container without IPv6; a bool, false if absent.
	NoProxy6To4 = DriverPrivatePrefix + ".no_proxy_6to4"
)

// Options of the bridge driver.
const (
	// BridgePrefix starts the labels of the bridge driver.
	BridgePrefix = Prefix + ".bridge"
	// BridgeName holds the bridge's interface name; absent means "br-" and the
	// start of the network's id.
	BridgeName = BridgePrefix + ".name"
	// BridgeEnableIPMasquerade says whether outgoing traffic gets the host's
	// address; a bool, true if absent.
	BridgeEnableIPMasquerade = BridgePrefix + ".enable_ip_masquerade"
	// BridgeEnableICC says whether containers of the network reach each other; a
	// bool, true if absent.
	BridgeEnableICC = BridgePrefix + ".enable_icc"
	// BridgeHostBindingIPv4 holds the host address that ports are published on by
	// default; absent means all.
	BridgeHostBindingIPv4 = BridgePrefix + ".host_binding_ipv4"
	// BridgeDefault says that this is the default network; a bool.
	BridgeDefault = BridgePrefix + ".default_bridge"
	// BridgeInhibitIPv4 says that the bridge gets no IPv4 address; a bool, false if
	// absent.
	BridgeInhibitIPv4 = BridgePrefix + ".inhibit_ipv4"
	// BridgeGatewayModeIPv4 is "nat" (as if absent), "nat-unprotected", "routed" or
	// "isolated".
	BridgeGatewayModeIPv4 = BridgePrefix + ".gateway_mode_ipv4"
	// BridgeGatewayModeIPv6 is BridgeGatewayModeIPv4 for IPv6.
	BridgeGatewayModeIPv6 = BridgePrefix + ".gateway_mode_ipv6"
	// BridgeTrustedHostInterfaces names interfaces, separated by colons, from which
	// containers can be reached directly.
	BridgeTrustedHostInterfaces = BridgePrefix + ".trusted_host_interfaces"
)

// MacvlanHostShim says that the host gets a link and an address of its own in a macvlan
// network, so that it and the containers can talk; a bool, false if absent.
const MacvlanHostShim = Prefix + ".macvlan.host_shim"

// Labels of the store of each scope. They are variables for the sake of callers of
// 2017; nobody changes them.
var (
	GlobalKVProvider       = MakeKVProvider("global")
	GlobalKVProviderURL    = MakeKVProviderURL("global")
	GlobalKVProviderConfig = MakeKVProviderConfig("global")
	GlobalKVClient         = MakeKVClient("global")
	LocalKVProvider        = MakeKVProvider("local")
	LocalKVProviderURL     = MakeKVProviderURL("local")
	LocalKVProviderConfig  = MakeKVProviderConfig("local")
	LocalKVClient          = MakeKVClient("local")
)

// MakeKVProvider returns the label for the provider of a scope's store.
func MakeKVProvider(scope string) string { return DriverPrivatePrefix + scope + "kv.provider" }

// MakeKVProviderURL returns the label for the address of a scope's store.
func MakeKVProviderURL(scope string) string { return DriverPrivatePrefix + scope + "kv.provider_url" }

// MakeKVProviderConfig returns the label for the configuration of a scope's store.
func MakeKVProviderConfig(scope string) string {
	return DriverPrivatePrefix + scope + "kv.provider_config"
}

// MakeKVClient returns the label for an open client of a scope's store.
func MakeKVClient(scope string) string { return DriverPrivatePrefix + scope + "kv.client" }

// Key returns what stands before the first '=' of label, or all of it.
func Key(label string) (key string) {
	key, _ = KeyValue(label)
	return key
}

// Value returns what stands behind the first '=' of label, or "".
func Value(label string) (value string) {
	_, value = KeyValue(label)
	return value
}

// KeyValue splits label at its first '='. One without '=' is all key.
func KeyValue(label string) (key string, value string) {
	key, value, _ = strings.Cut(label, "=")
	return key, value
}
