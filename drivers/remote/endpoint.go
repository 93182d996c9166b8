package remote

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/linkoption"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin/protocol"
)

// CreateEndpoint implements cnm.Driver. The plugin may choose the addresses that the
// endpoint does not have, and no other.
func (d *Driver) CreateEndpoint(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	if _, err := ourOptions(ep); err != nil {
		return err
	}
	if err := linkoption.CheckMAC(ep); err != nil {
		return err
	}
	options, err := endpointOptions(ep, nil)
	if err != nil {
		return err
	}
	request := protocol.CreateEndpointRequest{NetworkID: n.ID, EndpointID: ep.ID, Interface: &protocol.Interface{}, Options: options}
	request.Interface.MacAddress = ep.MAC.String()
	if ep.IPv4.IsValid() {
		request.Interface.Address = ep.IPv4.String()
	}
	if ep.IPv6.IsValid() {
		request.Interface.AddressIPv6 = ep.IPv6.String()
	}
	var reply protocol.CreateEndpointReply
	err = d.call(ctx, "CreateEndpoint", request, &reply)
	if err == nil {
		err = d.fillIn(n, ep, reply)
	}
	return d.takeBack(ctx, err, "DeleteEndpoint", protocol.EndpointRequest{NetworkID: n.ID, EndpointID: ep.ID})
}

// ourOptions are those that we look after; the others are the plugin's.
func ourOptions(ep *cnm.Endpoint) (*linkoption.Endpoint, error) {
	own, err := linkoption.ParseOurs(ep, 0)
	if err == nil && own.Ifname != "" && !validLink(own.Ifname) {
		return nil, cnm.E("", cnm.Invalid, fmt.Errorf("interface name %q: no link in a sandbox can be called that", own.Ifname))
	}
	return own, err
}

// fillIn completes the endpoint with what the plugin chose.
func (d *Driver) fillIn(n *cnm.Network, ep *cnm.Endpoint, reply protocol.CreateEndpointReply) error {
	if reply.Interface == nil {
		return nil
	}
	filled := *ep
	err := fill(n, &filled, *reply.Interface)
	if err != nil {
		return d.wrap("CreateEndpoint", err)
	}
	*ep = filled
	return nil
}

func fill(n *cnm.Network, ep *cnm.Endpoint, chosen protocol.Interface) error {
	var err error
	if chosen.Address != "" {
		if ep.IPv4.IsValid() {
			return alreadyHas("address", ep.IPv4, chosen.Address)
		}
		if ep.IPv4, err = parseOwnAddress(chosen.Address, true, n.EnableIPv4, n.Subnets4); err != nil {
			return err
		}
	}
	if chosen.AddressIPv6 != "" {
		if ep.IPv6.IsValid() {
			return alreadyHas("IPv6 address", ep.IPv6, chosen.AddressIPv6)
		}
		if ep.IPv6, err = parseOwnAddress(chosen.AddressIPv6, false, n.EnableIPv6, n.Subnets6); err != nil {
			return err
		}
	}
	if chosen.MacAddress == "" {
		return nil
	}
	if !ep.MAC.IsZero() {
		return alreadyHas("MAC address", ep.MAC, chosen.MacAddress)
	}
	if ep.MAC, err = netstate.ParseMAC(chosen.MacAddress); err != nil {
		return refuse("MAC address %.60q: want six hexadecimal bytes, as in 02:42:ac:11:00:02", chosen.MacAddress)
	}
	if ep.MAC.IsZero() || linkoption.CheckMAC(ep) != nil {
		return refuse("MAC address %q: no single link can have it", chosen.MacAddress)
	}
	return nil
}

func alreadyHas(what string, own fmt.Stringer, chosen string) error {
	return refuse("%s %.60q: the endpoint has %q already, and a plugin may only choose what is missing", what, chosen, own)
}

// parseOwnAddress reads an address that a plugin chose for an endpoint.
func parseOwnAddress(text string, ipv4, enabled bool, subnets []cnm.Subnet) (netip.Prefix, error) {
	p, err := parsePrefix("address", text, ipv4)
	if err != nil {
		return netip.Prefix{}, err
	}
	if !enabled {
		return netip.Prefix{}, refuse("address %q: the network does not have this version of IP", text)
	}
	if !isHostAddress(p.Addr()) {
		return netip.Prefix{}, refuse("address %q: no single host can have it", text)
	}
	// A pool of all addresses is that of an address manager which leaves them to others.
	bounded := slices.DeleteFunc(slices.Clone(subnets), func(s cnm.Subnet) bool { return s.Pool.Prefix.Bits() == 0 })
	in := slices.ContainsFunc(bounded, func(s cnm.Subnet) bool { return s.Pool.Prefix.Contains(p.Addr()) })
	if len(bounded) > 0 && !in {
		return netip.Prefix{}, refuse("address %q: is in no subnet of the network", text)
	}
	return p, nil
}

// DeleteEndpoint implements cnm.Driver.
func (d *Driver) DeleteEndpoint(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	return d.repeat(ctx, "DeleteEndpoint", protocol.EndpointRequest{NetworkID: n.ID, EndpointID: ep.ID}, nil)
}

// mostInfo is how much a plugin can tell of an endpoint.
const mostInfo = 256

// EndpointOperInfo returns what the plugin tells of an endpoint, by label, in JSON types.
// A plugin that does not have the method tells nothing.
func (d *Driver) EndpointOperInfo(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) (map[string]any, error) {
	var reply protocol.EndpointInfoReply
	if err := absent(d.repeat(ctx, "EndpointOperInfo", protocol.EndpointRequest{NetworkID: n.ID, EndpointID: ep.ID}, &reply)); err != nil {
		return nil, err
	}
	if len(reply.Value) > mostInfo {
		return nil, d.wrap("EndpointOperInfo", refuse("there are %d values; want %d at most", len(reply.Value), mostInfo))
	}
	return reply.Value, nil
}

// endpointOptions are the user's options of an endpoint as labels, with the ports of the
// endpoint, and the labels and ports of the sandbox if there is one yet.
func endpointOptions(ep *cnm.Endpoint, sandbox *cnm.Sandbox) (map[string]any, error) {
	options := make(map[string]any)
	if sandbox != nil {
		maps.Copy(options, sandbox.Labels)
	}
	for key, value := range ep.Options {
		options[key] = value
	}
	if len(ep.DNS) > 0 {
		options[labelDNS] = ep.DNS
	}
	bindings, exposed := ep.PortBindings, ep.ExposedPorts
	if sandbox != nil {
		bindings, exposed = slices.Concat(bindings, sandbox.PortBindings), slices.Concat(exposed, sandbox.ExposedPorts)
	}
	ports, err := portMap(bindings)
	if err != nil {
		return nil, err
	}
	if len(ports) > 0 {
		options[labelPorts] = ports
	}
	if len(exposed) > 0 {
		options[labelExposed] = exposedPorts(exposed)
	}
	return options, nil
}
