package server

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/plugin/protocol"
	"github.com/docker/libnetwork/types"
)

// Networks that an engine can have, by the option that chooses.
const (
	optDriver = "driver"

	driverBridge  = "bridge"
	driverMacvlan = "macvlan"
	driverIPvlan  = "ipvlan"
)

// Options of drivers that are looked at here.
const (
	optIPvlanMode  = "ipvlan_mode"
	optHostShim    = "com.docker.network.macvlan.host_shim"
	optMacvlanMode = "macvlan_mode"
	modeL2         = "l2"
	modePassthru   = "passthru"
)

// networkSettings are the options of a network, sorted by who decides.
type networkSettings struct {
	driver   string
	internal any            // as it was given; nil if it was not
	options  map[string]any // the driver's
}

// parseNetworkOptions reads what the engine says of a network. Which families there are
// follows from the subnets.
func parseNetworkOptions(given map[string]any) (networkSettings, error) {
	n := networkSettings{driver: driverBridge, options: make(map[string]any)}
	take := func(key string, value any) error {
		switch key {
		case netlabel.EnableIPv4, netlabel.EnableIPv6:
		case netlabel.Internal:
			n.internal = value
		default:
			if old, ok := n.options[key]; ok && !reflect.DeepEqual(old, value) {
				return invalid("option %q: is given twice", key)
			}
			n.options[key] = value
		}
		return nil
	}
	for key, value := range given {
		if key != netlabel.GenericData {
			if err := take(key, value); err != nil {
				return n, err
			}
			continue
		}
		generic, err := object(value)
		if err != nil {
			return n, fmt.Errorf("option %q: %w", key, err)
		}
		for key, value := range generic {
			if key != optDriver {
				if err := take(key, value); err != nil {
					return n, err
				}
				continue
			}
			n.driver = fmt.Sprint(value)
		}
	}
	if all := []string{driverBridge, driverMacvlan, driverIPvlan}; !slices.Contains(all, n.driver) {
		return n, invalid("option %q: value %q: want %s", optDriver, n.driver, strings.Join(all, ", "))
	}
	if shim := fmt.Sprint(n.options[optHostShim]); n.options[optHostShim] != nil && !strings.EqualFold(shim, "false") {
		return n, invalid("option %q: is not for networks of an engine, which would give the host's address to a container", optHostShim)
	}
	return n, nil
}

// object accepts a JSON object, and null, which has nothing in it.
func object(value any) (map[string]any, error) {
	if value == nil {
		return nil, nil
	}
	out, ok := value.(map[string]any)
	if !ok {
		return nil, invalid("value of type %T: want an object", value)
	}
	return out, nil
}

// networkOptions returns the type of a network, and the options that make it what the
// engine asks for.
func (s *Server) networkOptions(r *protocol.CreateNetworkRequest) (string, []libnetwork.NetworkOption, error) {
	n, err := parseNetworkOptions(r.Options)
	if err != nil {
		return "", nil, err
	}
	// Where everything is on the link there is no gateway; the engine has taken its address
	// all the same, so that nobody else may have it.
	mode := fmt.Sprint(n.options[optIPvlanMode])
	onLink := n.driver == driverIPvlan && n.options[optIPvlanMode] != nil && mode != modeL2
	var pools [2][]*libnetwork.IpamConf
	for i, family := range [][]protocol.IPAMData{r.IPv4Data, r.IPv6Data} {
		for _, data := range family {
			conf, err := subnet(data, i == 1, onLink)
			if err != nil {
				return "", nil, err
			}
			if conf != nil {
				pools[i] = append(pools[i], conf)
			}
		}
	}
	generic := map[string]any{netlabel.GenericData: n.options}
	if n.internal != nil {
		generic[netlabel.Internal] = n.internal
	}
	return n.driver, []libnetwork.NetworkOption{
		libnetwork.NetworkOptionGeneric(generic),
		libnetwork.NetworkOptionEnableIPv4(len(pools[0]) > 0),
		libnetwork.NetworkOptionEnableIPv6(len(pools[1]) > 0),
		libnetwork.NetworkOptionIpam("", "", pools[0], pools[1], nil),
	}, nil
}

// subnet returns nil for a pool that stands for none.
func subnet(data protocol.IPAMData, ipv6, onLink bool) (*libnetwork.IpamConf, error) {
	if data.Pool == "" {
		return nil, nil
	}
	pool, err := netip.ParsePrefix(data.Pool)
	switch {
	case err != nil:
		return nil, invalid("subnet %q: not in CIDR form, as 192.0.2.0/24", data.Pool)
	case pool.Addr().Is4() == ipv6:
		return nil, invalid("subnet %q: is of the other address family", data.Pool)
	case pool.Addr().IsUnspecified() && pool.Bits() == 0:
		return nil, nil
	}
	conf := &libnetwork.IpamConf{PreferredPool: pool.Masked().String(), AuxAddresses: maps.Clone(data.AuxAddresses)}
	if onLink && data.Gateway != "" {
		if conf.AuxAddresses == nil {
			conf.AuxAddresses = make(map[string]string)
		}
		conf.AuxAddresses["the engine's gateway"] = data.Gateway
		return conf, nil
	}
	conf.Gateway = data.Gateway
	return conf, nil
}

// endpointOptions returns what makes an endpoint as the engine asks for it.
func endpointOptions(n libnetwork.Network, given map[string]any, asked protocol.Interface) ([]libnetwork.EndpointOption, error) {
	address4, err := interfaceAddress(asked.Address, false)
	if err != nil {
		return nil, err
	}
	address6, err := interfaceAddress(asked.AddressIPv6, true)
	if err != nil {
		return nil, err
	}
	generic := make(map[string]any)
	take := func(key string, value any) error {
		switch key {
		case netlabel.MacAddress:
			return takeMAC(generic, value)
		case netlabel.ExposedPorts:
			ports, err := exposedPorts(value)
			generic[key] = ports
			return err
		case netlabel.PortMap:
			// They are published later, by a request of its own.
			_, err := portBindings(value)
			return err
		case netlabel.DNSServers, netlabel.Ifname, netlabel.EndpointSysctls, netlabel.EndpointName:
			// All this is the engine's part, in a namespace that is its own.
		case netlabel.EndpointEgress, netlabel.EndpointEgressBurst:
			return errLimit()
		case netlabel.EndpointIngress, netlabel.EndpointIngressBurst:
			if n.Type() != driverBridge {
				return errLimit()
			}
			generic[key] = value
		default:
			generic[key] = value
		}
		return nil
	}
	all := maps.Clone(given)
	delete(all, netlabel.GenericData)
	more, err := object(given[netlabel.GenericData])
	if err != nil {
		return nil, fmt.Errorf("option %q: %w", netlabel.GenericData, err)
	}
	for _, options := range []map[string]any{all, more} {
		for key, value := range options {
			if err := take(key, value); err != nil {
				return nil, fmt.Errorf("option %q: %w", key, err)
			}
		}
	}
	if asked.MacAddress != "" {
		generic[netlabel.MacAddress] = asked.MacAddress
	}
	return []libnetwork.EndpointOption{
		libnetwork.EndpointOptionGeneric(generic),
		libnetwork.CreateOptionIpam(address4, address6, nil, nil),
	}, nil
}

// hasOwnMAC reports whether endpoints of the network have MAC addresses that can be chosen.
func hasOwnMAC(n libnetwork.Network) bool {
	return n.Type() == driverBridge || n.Type() == driverMacvlan && n.Info().DriverOptions()[optMacvlanMode] != modePassthru
}

// derivedMAC is the same whenever an address is used, also by a network that is made anew:
// an engine gives a container that starts again the address that it had, and nobody tells
// the neighbours. It is unicast and locally administered (IEEE 802 section 8.4).
func derivedMAC(asked protocol.Interface) net.HardwareAddr {
	sum := sha256.Sum256([]byte(asked.Address + " " + asked.AddressIPv6))
	sum[0] = 0x02
	return net.HardwareAddr(sum[:6])
}

func errLimit() error {
	return invalid("the engine moves the interface, which ends such a limit; what can be limited is what a container on a bridge receives")
}

// takeMAC accepts the text form, and that of bytes in JSON, which engines use in options.
func takeMAC(generic map[string]any, value any) error {
	text, ok := value.(string)
	switch {
	case value == nil, ok && text == "":
		return nil
	case !ok:
		return invalid("value of type %T: want a MAC address", value)
	}
	mac, err := net.ParseMAC(text)
	if err != nil {
		if mac, err = base64.StdEncoding.DecodeString(text); err != nil {
			return invalid("value %q: want a MAC address", text)
		}
	}
	generic[netlabel.MacAddress] = mac
	return nil
}

// interfaceAddress takes 192.0.2.2/24; nothing is left to us.
func interfaceAddress(text string, ipv6 bool) (net.IP, error) {
	if text == "" {
		return nil, nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, invalid("address %q: not in CIDR form, as 192.0.2.2/24", text)
	}
	if prefix.Addr().Is4() == ipv6 {
		return nil, invalid("address %q: is of the other address family", text)
	}
	return prefix.Addr().AsSlice(), nil
}

func exposedPorts(value any) ([]types.TransportPort, error) {
	var given []protocol.TransportPort
	if err := redecode(value, &given); err != nil {
		return nil, err
	}
	var out []types.TransportPort
	for _, p := range given {
		out = append(out, types.TransportPort{Proto: types.Protocol(p.Proto), Port: p.Port})
	}
	return out, nil
}

// publishedPorts returns what a join's options want published.
func publishedPorts(options map[string]any) ([]types.PortBinding, error) {
	out, err := portBindings(options[netlabel.PortMap])
	if err != nil {
		return nil, fmt.Errorf("option %q: %w", netlabel.PortMap, err)
	}
	return out, nil
}

func portBindings(value any) ([]types.PortBinding, error) {
	var given []protocol.PortBinding
	if err := redecode(value, &given); err != nil {
		return nil, err
	}
	var out []types.PortBinding
	for _, p := range given {
		one := types.PortBinding{Proto: types.Protocol(p.Proto), Port: p.Port, HostPort: p.HostPort, HostPortEnd: p.HostPortEnd}
		for _, address := range []struct {
			text string
			to   *net.IP
		}{{p.IP, &one.IP}, {p.HostIP, &one.HostIP}} {
			if address.text == "" {
				continue
			}
			parsed, err := netip.ParseAddr(address.text)
			if err != nil || parsed.Zone() != "" {
				return nil, invalid("address %q: not an IP address", address.text)
			}
			*address.to = parsed.AsSlice()
		}
		out = append(out, one)
	}
	return out, nil
}

func isTrue(value any) bool { return value != nil && strings.EqualFold(fmt.Sprint(value), "true") }

// onlyIPv4 leaves to another endpoint of the container what is published for IPv6.
func onlyIPv4(bindings []types.PortBinding) []types.PortBinding {
	var out []types.PortBinding
	for _, b := range bindings {
		if b.HostIP == nil {
			b.HostIP = net.IPv4zero
		}
		if b.HostIP.To4() != nil {
			out = append(out, b)
		}
	}
	return out
}

func portsTo(bindings []types.PortBinding) []protocol.PortBinding {
	var out []protocol.PortBinding
	for _, b := range bindings {
		one := protocol.PortBinding{Proto: uint8(b.Proto), Port: b.Port, HostPort: b.HostPort, HostPortEnd: b.HostPortEnd}
		if b.IP != nil {
			one.IP = b.IP.String()
		}
		if b.HostIP != nil {
			one.HostIP = b.HostIP.String()
		}
		out = append(out, one)
	}
	return out
}
