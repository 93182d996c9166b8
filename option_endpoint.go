package libnetwork

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/types"
)

// EndpointOption changes how an endpoint is made, joins or leaves.
type EndpointOption func(ep *endpointSpec)

// endpointSpec gathers options: the record to be, which addresses were asked for,
// and what was wrong.
type endpointSpec struct {
	record     cnm.Endpoint
	wantIPv4   netip.Addr
	wantIPv6   netip.Addr
	priorities map[string]int // by endpoint id
	// recordWithJoin is CreateOptionRecordWithJoin.
	recordWithJoin bool
	errs           []error
}

func (ep *endpointSpec) fail(err error) { ep.errs = append(ep.errs, err) }

// CreateOptionIpam asks for addresses, and gives options to the address manager.
// Nil addresses leave the choice to it.
func CreateOptionIpam(ipV4, ipV6 net.IP, llIPs []net.IP, ipamOptions map[string]string) EndpointOption {
	ipamOptions = maps.Clone(ipamOptions)
	return func(ep *endpointSpec) {
		ep.wantIPv4 = ep.address(ipV4, true)
		ep.wantIPv6 = ep.address(ipV6, false)
		linkLocal, err := linkLocalFrom(llIPs)
		if err != nil {
			ep.fail(err)
		}
		ep.record.LinkLocal = linkLocal
		ep.record.IPAMOptions = ipamOptions
	}
}

func (ep *endpointSpec) address(ip net.IP, is4 bool) netip.Addr {
	address, err := addrFrom(ip)
	if err == nil && address.IsValid() && address.Is4() != is4 {
		err = invalid("IP address %q: is of the other address family", address)
	}
	if err != nil {
		ep.fail(err)
	}
	return address
}

// EndpointOptionGeneric gives labels: netlabel.MacAddress, netlabel.PortMap,
// netlabel.ExposedPorts, netlabel.DNSServers, and what the driver knows.
func EndpointOptionGeneric(generic map[string]interface{}) EndpointOption {
	generic = maps.Clone(generic)
	return func(ep *endpointSpec) {
		for key, value := range generic {
			if err := ep.label(key, value); err != nil {
				ep.fail(fmt.Errorf("option %q: %w", key, err))
			}
		}
	}
}

func (ep *endpointSpec) label(key string, value any) error {
	switch key {
	case netlabel.MacAddress:
		return ep.setMAC(value)
	case netlabel.PortMap:
		bindings, ok := value.([]types.PortBinding)
		if !ok {
			return invalid("value of type %T: want []types.PortBinding", value)
		}
		CreateOptionPortMapping(bindings)(ep)
		return nil
	case netlabel.ExposedPorts:
		ports, ok := value.([]types.TransportPort)
		if !ok {
			return invalid("value of type %T: want []types.TransportPort", value)
		}
		CreateOptionExposedPorts(ports)(ep)
		return nil
	case netlabel.DNSServers:
		servers, ok := value.([]string)
		if !ok {
			return invalid("value of type %T: want []string", value)
		}
		CreateOptionDNS(servers)(ep)
		return nil
	case netlabel.GenericData:
		options, err := optionMap(value)
		if err != nil {
			return err
		}
		for key, value := range options {
			if err := ep.label(key, value); err != nil {
				return fmt.Errorf("option %q: %w", key, err)
			}
		}
		return nil
	}
	text, err := optionText(value)
	if err != nil {
		return err
	}
	if ep.record.Options == nil {
		ep.record.Options = make(map[string]string)
	}
	ep.record.Options[key] = text
	return nil
}

func (ep *endpointSpec) setMAC(value any) (err error) {
	switch v := value.(type) {
	case net.HardwareAddr:
		ep.record.MAC, err = netstate.MACFrom(v)
	case string:
		ep.record.MAC, err = netstate.ParseMAC(v)
	default:
		err = fmt.Errorf("value of type %T: want net.HardwareAddr", value)
	}
	if err != nil {
		return cnm.E("", cnm.Invalid, err)
	}
	return nil
}

// CreateOptionExposedPorts tells which ports the container serves; it is recorded.
func CreateOptionExposedPorts(exposedPorts []types.TransportPort) EndpointOption {
	ports := portsFrom(exposedPorts)
	return func(ep *endpointSpec) { ep.record.ExposedPorts = ports }
}

// CreateOptionPortMapping publishes ports of the container on the host, whenever the
// endpoint is in a sandbox. Endpoint.DriverInfo tells which ports of the host they got.
func CreateOptionPortMapping(portBindings []types.PortBinding) EndpointOption {
	bindings, err := bindingsFrom(portBindings)
	return func(ep *endpointSpec) {
		if err != nil {
			ep.fail(err)
		}
		ep.record.PortBindings = bindings
	}
}

// CreateOptionDNS names servers that the endpoint's network wants to be asked; they
// are recorded for the embedded resolver.
func CreateOptionDNS(dns []string) EndpointOption {
	dns = slices.Clone(dns)
	return func(ep *endpointSpec) { ep.record.DNS = dns }
}

// CreateOptionLabels gives labels of the user's, which nothing here interprets.
func CreateOptionLabels(labels map[string]string) EndpointOption {
	labels = maps.Clone(labels)
	return func(ep *endpointSpec) { ep.record.Labels = labels }
}

// CreateOptionAnonymous keeps the endpoint's name out of name resolution.
func CreateOptionAnonymous() EndpointOption {
	return func(ep *endpointSpec) { ep.record.Anonymous = true }
}

// CreateOptionDisableResolution keeps the sandbox without the embedded resolver.
func CreateOptionDisableResolution() EndpointOption {
	return func(ep *endpointSpec) { ep.record.DisableResolution = true }
}

// CreateOptionRecordWithJoin leaves it to the join to record the endpoint, in the one commit
// that this takes anyway: each commit waits for the disk twice. It is for endpoints that join
// at once. One that has not joined is lost with the process, as if it had not been made; it
// has nothing in the kernel.
func CreateOptionRecordWithJoin() EndpointOption {
	return func(ep *endpointSpec) { ep.recordWithJoin = true }
}

// CreateOptionAlias lets the sandbox call the endpoint name by alias; it is
// recorded for the embedded resolver.
func CreateOptionAlias(name string, alias string) EndpointOption {
	return func(ep *endpointSpec) {
		if ep.record.Aliases == nil {
			ep.record.Aliases = make(map[string]string)
		}
		ep.record.Aliases[alias] = name
	}
}

// CreateOptionMyAlias gives the endpoint a further name for the whole network; it
// is recorded for the embedded resolver.
func CreateOptionMyAlias(alias string) EndpointOption {
	return func(ep *endpointSpec) { ep.record.MyAliases = append(ep.record.MyAliases, alias) }
}

// CreateOptionService makes the endpoint a backend of a service, which this version
// does not have.
func CreateOptionService(name, id string, vip net.IP, ingressPorts []*PortConfig, aliases []string) EndpointOption {
	return func(ep *endpointSpec) {
		ep.fail(unsupported(fmt.Sprintf("service %q: this version has no services", name)))
	}
}

// JoinOptionPriority sets the priority of an endpoint, usually the one that joins,
// when the sandbox chooses its default route: the highest wins. It is 0 otherwise.
func JoinOptionPriority(ep Endpoint, prio int) EndpointOption {
	return func(spec *endpointSpec) {
		if ep == nil {
			spec.fail(invalid("priority %d: of no endpoint", prio))
			return
		}
		if spec.priorities == nil {
			spec.priorities = make(map[string]int)
		}
		spec.priorities[ep.ID()] = prio
	}
}
