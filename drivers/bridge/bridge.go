// Package bridge is the driver of networks that are an Ethernet bridge on one host.
// Each endpoint is a veth pair: one end a port of the bridge, the other in the
// sandbox.
//
// The driver has no state: what it returns is a function of the records. Its options
// are listed in docs/drivers/bridge.md. What may pass is decided by package firewall.
package bridge

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/firewall"
	"github.com/docker/libnetwork/internal/linkoption"
	"github.com/docker/libnetwork/netstate"
)

// Driver implements cnm.Driver.
type Driver struct{ config Config }

// New returns a driver with the configuration.
func New(config Config) *Driver { return &Driver{config} }

// CreateNetwork implements cnm.Driver.
func (d *Driver) CreateNetwork(_ context.Context, network *cnm.Network) ([]netstate.Part, error) {
	o, err := parseNetwork(network)
	if err != nil {
		return nil, err
	}
	part := netstate.Part{
		Owner: network.Owner(),
		Links: []netstate.Link{{
			Name: o.bridge, Kind: netstate.Bridge, MAC: derivedMAC(network.ID), MTU: o.mtu, Adopt: o.named,
			// The link's own address would be one of the host in the network.
			NoIPv6: !network.EnableIPv6 || o.mode6 == firewall.Isolated,
		}},
		Sysctls: append(linkoption.IPv6Sysctls(o.bridge, network.EnableIPv6), d.forwarding(network, o)...),
		Intents: d.policy(network, o).Intents(),
	}
	for _, address := range o.hostAddresses(network) {
		part.Addrs = append(part.Addrs, netstate.Addr{Link: o.bridge, Prefix: address})
	}
	return []netstate.Part{part}, nil
}

// derivedMAC is the same for a network's whole life, so that the bridge's address
// does not follow those of its ports.
func derivedMAC(networkID string) netstate.MAC {
	sum := sha256.Sum256([]byte("bridge " + networkID))
	return linkoption.Local(sum[:])
}

// DeleteNetwork implements cnm.Driver.
func (*Driver) DeleteNetwork(context.Context, *cnm.Network) error { return nil }

// CreateEndpoint implements cnm.Driver. An endpoint without a MAC address gets a
// random one.
func (d *Driver) CreateEndpoint(_ context.Context, network *cnm.Network, ep *cnm.Endpoint) error {
	for _, asked := range ep.PortBindings {
		if _, err := d.PortBindings(network, ep, asked); err != nil {
			return err
		}
	}
	o, err := parseNetwork(network)
	if err != nil {
		return err
	}
	if _, err := linkoption.Parse(ep, o.mtu); err != nil {
		return err
	}
	return linkoption.ChooseMAC(ep)
}

// DeleteEndpoint implements cnm.Driver.
func (*Driver) DeleteEndpoint(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }

// hostLinkDigits of an endpoint's id name its end on the host. With 44 bits, two
// endpoints of one host will not meet.
const hostLinkDigits = 11

// Join implements cnm.Driver.
func (d *Driver) Join(_ context.Context, network *cnm.Network, ep *cnm.Endpoint, sandbox *cnm.Sandbox) ([]netstate.Part, error) {
	if sandbox.Host {
		return nil, cnm.E("", cnm.Forbidden, errors.New("a bridge network is for sandboxes with a namespace of their own"))
	}
	o, err := parseNetwork(network)
	if err != nil {
		return nil, err
	}
	e, err := linkoption.Parse(ep, o.mtu)
	if err != nil {
		return nil, err
	}
	if e.Ifname != "" {
		ep.Interface = e.Ifname
	}
	ep.Gateway4, ep.Gateway6 = o.gateways(network, ep)
	hostLink := "veth" + ep.ID[:min(hostLinkDigits, len(ep.ID))]
	return []netstate.Part{
		{
			Owner: ep.Owner(),
			Links: []netstate.Link{{
				Name: hostLink, Kind: netstate.Veth, MTU: o.mtu, Master: o.bridge, NoIPv6: true,
				Isolated: !o.icc, Hairpin: d.policy(network, o).TurnsRound(),
				Peer: netstate.Peer{Namespace: sandbox.Key, Name: ep.Interface},
			}},
			// What the host's end sends is what the container receives.
			Limits: e.Ingress.Limits(hostLink, ""),
		},
		{
			Owner: ep.Owner(), Namespace: sandbox.Key,
			Links:   []netstate.Link{{Name: ep.Interface, Kind: netstate.Veth, MAC: ep.MAC, MTU: o.mtu, NoIPv6: !linkoption.UsesIPv6(ep)}},
			Addrs:   linkoption.Addresses(ep),
			Limits:  e.Egress.Limits(ep.Interface, ""),
			Sysctls: append(linkoption.IPv6Sysctls(ep.Interface, linkoption.UsesIPv6(ep)), e.Sysctls(ep.Interface)...),
		},
	}, nil
}

// Leave implements cnm.Driver.
func (*Driver) Leave(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }
