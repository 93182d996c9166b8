package bridge

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/firewall"
	"github.com/docker/libnetwork/internal/label"
	"github.com/docker/libnetwork/internal/linkoption"
)

// Names of the options, as labels. The second spelling in the tables below, if any,
// is the field name that Go callers of the first releases used.
const (
	prefix          = "com.docker.network."
	optName         = prefix + "bridge.name"
	optMasquerade   = prefix + "bridge.enable_ip_masquerade"
	optICC          = prefix + "bridge.enable_icc"
	optHostBinding  = prefix + "bridge.host_binding_ipv4"
	optDefault      = prefix + "bridge.default_bridge"
	optInhibitIPv4  = prefix + "bridge.inhibit_ipv4"
	optGatewayMode4 = prefix + "bridge.gateway_mode_ipv4"
	optGatewayMode6 = prefix + "bridge.gateway_mode_ipv6"
	optTrusted      = prefix + "bridge.trusted_host_interfaces"
	optMTU          = prefix + "driver.mtu"
	optIfacePrefix  = prefix + "container_iface_prefix"
	optNMsgs        = prefix + "advertise_addr_nmsgs"
	optMsgInterval  = prefix + "advertise_addr_ms"
	optHostIPv4     = prefix + "host_ipv4"
	optHostIPv6     = prefix + "host_ipv6"
	optNoProxy      = prefix + "driver.private.no_proxy_6to4"
	optAddressIPv4  = "AddressIPv4"
	optAddressIPv6  = "AddressIPv6"
	optGatewayIPv4  = "DefaultGatewayIPv4"
	optGatewayIPv6  = "DefaultGatewayIPv6"

	optForwarding = "EnableIPForwarding"
	optIPTables   = "EnableIPTables"
	optIP6Tables  = "EnableIP6Tables"
	optProxy      = "EnableUserlandProxy"
	optProxyPath  = "UserlandProxyPath"
	optBindingIP  = "DefaultBindingIP"
)

var driverOptions = [][]string{{optForwarding}, {optIPTables}, {optIP6Tables}, {optProxy}, {optProxyPath}, {optBindingIP}}

var networkOptions = [][]string{
	{optName, "BridgeName"}, {optMasquerade, "EnableIPMasquerade"}, {optICC, "EnableICC"},
	{optHostBinding, "DefaultBindingIP"}, {optDefault, "DefaultBridge"}, {optInhibitIPv4, "InhibitIPv4"},
	{optGatewayMode4}, {optGatewayMode6}, {optTrusted}, {optMTU, "Mtu"}, {optIfacePrefix, "ContainerIfacePrefix"},
	{optNMsgs}, {optMsgInterval}, {optHostIPv4}, {optHostIPv6}, {optNoProxy},
	{optAddressIPv4}, {optAddressIPv6}, {optGatewayIPv4}, {optGatewayIPv6},
}

// Config is the configuration of the driver as a whole. The zero Config is the default.
type Config struct {
	// NoForwarding leaves the host's forwarding of packets as it is, although networks
	// need it.
	NoForwarding bool
	// NoFilter4 and NoFilter6 leave the packet filter of a family to somebody else.
	NoFilter4, NoFilter6 bool
	// UserlandProxy has a proxy relay what the kernel cannot translate: connections to
	// the host's loopback addresses, and from IPv6 to IPv4.
	UserlandProxy bool
	// BindingIP is the host's address that ports are published at unless they say
	// otherwise; zero means all.
	BindingIP netip.Addr
}

// ParseConfig reads the driver's options.
func ParseConfig(options map[string]string) (Config, error) {
	d := label.NewDecoder(options, driverOptions...)
	return Config{
		NoForwarding:  !d.Bool(optForwarding, true),
		NoFilter4:     !d.Bool(optIPTables, true),
		NoFilter6:     !d.Bool(optIP6Tables, true),
		UserlandProxy: d.Bool(optProxy, false),
		BindingIP:     d.Addr(optBindingIP),
	}, d.Err()
}

// network is what the options of a network say.
type network struct {
	bridge             string
	named              bool // the user chose the bridge's name
	mtu                int
	inhibit4           bool
	mode4, mode6       firewall.Mode
	address4, address6 netip.Prefix
	gateway4, gateway6 netip.Addr
	masquerade         bool
	source4, source6   netip.Addr // what masquerading makes of the containers' addresses
	icc                bool
	trusted            []string
	binding            netip.Addr // where ports are published; zero: everywhere
	noProxy6To4        bool
}

func parseNetwork(n *cnm.Network) (*network, error) {
	d := label.NewDecoder(n.Options, networkOptions...)
	o := &network{bridge: "br-" + n.ID[:min(12, len(n.ID))]}
	if d.Has(optName) {
		o.bridge, o.named = d.String(optName), true
		if !linkoption.ValidName(o.bridge) {
			d.Refuse(optName, "an interface name: 1 to 15 characters without blanks, '/', ':' and '%'")
		}
	}
	o.mtu = linkoption.MTU(d, optMTU, n.EnableIPv6)
	o.inhibit4 = d.Bool(optInhibitIPv4, false)
	o.mode4, o.mode6 = gatewayMode(d, optGatewayMode4, n), gatewayMode(d, optGatewayMode6, n)
	o.address4, o.address6 = inSubnet(d, optAddressIPv4, n.Subnets4), inSubnet(d, optAddressIPv6, n.Subnets6)
	o.gateway4, o.gateway6 = gatewayIn(d, optGatewayIPv4, n.Subnets4), gatewayIn(d, optGatewayIPv6, n.Subnets6)
	// An interface's name is the prefix and a number.
	if name := d.String(optIfacePrefix); d.Has(optIfacePrefix) && (len(name) > 12 || !linkoption.ValidName(name)) {
		d.Refuse(optIfacePrefix, "1 to 12 characters without blanks, '/', ':' and '%'")
	}
	d.Int(optNMsgs, 0, 3, 0)
	d.Int(optMsgInterval, 100, 2000, 0)
	o.masquerade, o.icc = d.Bool(optMasquerade, true), d.Bool(optICC, true)
	o.source4, o.source6 = ofFamily(d, optHostIPv4, netip.Addr.Is4), ofFamily(d, optHostIPv6, netip.Addr.Is6)
	o.binding, o.noProxy6To4 = d.Addr(optHostBinding), d.Bool(optNoProxy, false)
	for name := range strings.SplitSeq(d.String(optTrusted), ":") {
		if name == "" {
			continue
		}
		if !linkoption.ValidName(name) || slices.Contains(o.trusted, name) {
			d.Refuse(optTrusted, "names of interfaces, each once, separated by ':'")
		}
		o.trusted = append(o.trusted, name)
	}
	d.Bool(optDefault, false)
	return o, d.Err()
}

func ofFamily(d *label.Decoder, name string, is func(netip.Addr) bool) netip.Addr {
	address := d.Addr(name)
	if address.IsValid() && !is(address) {
		d.Refuse(name, "an address of the other family")
	}
	return address
}

func gatewayMode(d *label.Decoder, name string, n *cnm.Network) firewall.Mode {
	switch mode := firewall.Mode(d.String(name)); mode {
	case "":
		return firewall.NAT
	case firewall.NAT, firewall.Unprotected, firewall.Routed:
		return mode
	case firewall.Isolated:
		if !n.Internal {
			d.Refuse(name, "another mode, or the network to be internal")
		}
		return mode
	}
	d.Refuse(name, `"nat", "nat-unprotected", "routed" or "isolated"`)
	return ""
}

// inSubnet reads an address of the bridge, which must be in a subnet of the network.
func inSubnet(d *label.Decoder, name string, subnets []cnm.Subnet) netip.Prefix {
	address := d.Prefix(name)
	if address.IsValid() && !within(address.Addr(), subnets) {
		d.Refuse(name, "an address in a subnet of the network")
	}
	return address
}

func gatewayIn(d *label.Decoder, name string, subnets []cnm.Subnet) netip.Addr {
	address := d.Addr(name)
	if address.IsValid() && !within(address, subnets) {
		d.Refuse(name, "an address in a subnet of the network")
	}
	return address
}

func within(address netip.Addr, subnets []cnm.Subnet) bool {
	for _, s := range subnets {
		if s.Pool.Prefix.Contains(address) {
			return true
		}
	}
	return false
}

// hostAddresses returns the addresses of the bridge.
func (o *network) hostAddresses(n *cnm.Network) []netip.Prefix {
	var out []netip.Prefix
	family := func(skip bool, address netip.Prefix, subnets []cnm.Subnet) {
		if skip {
			return
		}
		if address.IsValid() {
			out = append(out, address)
			return
		}
		for _, s := range subnets {
			if s.Gateway.IsValid() {
				out = append(out, s.Gateway)
			}
		}
	}
	family(o.inhibit4 || o.mode4 == firewall.Isolated, o.address4, n.Subnets4)
	family(o.mode6 == firewall.Isolated, o.address6, n.Subnets6)
	return out
}

// gateways returns the next hops of an endpoint's default routes. With inhibit_ipv4
// the gateway's address is on a machine that somebody else looks after.
func (o *network) gateways(n *cnm.Network, ep *cnm.Endpoint) (gateway4, gateway6 netip.Addr) {
	if n.Internal {
		return netip.Addr{}, netip.Addr{}
	}
	family := func(override netip.Addr, address netip.Prefix, subnets []cnm.Subnet) netip.Addr {
		if override.IsValid() || !address.IsValid() {
			return override
		}
		for _, s := range subnets {
			if s.Pool.Prefix.Contains(address.Addr()) && s.Gateway.IsValid() {
				return s.Gateway.Addr()
			}
		}
		return netip.Addr{}
	}
	if ep.IPv4.IsValid() {
		gateway4 = family(o.gateway4, ep.IPv4, n.Subnets4)
	}
	if ep.IPv6.IsValid() {
		gateway6 = family(o.gateway6, ep.IPv6, n.Subnets6)
	}
	return gateway4, gateway6
}
