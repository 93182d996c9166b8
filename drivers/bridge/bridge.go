// Package bridge is the driver of networks that are an Ethernet bridge on one host.
// Each endpoint is a veth pair: one end a port of the bridge, the other in the
// sandbox.
//
// The driver has no state: what it returns is a function of the records. Its options
// are listed in docs/drivers/bridge.md. What may pass is decided by package firewall.
package bridge

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/firewall"
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
		Sysctls: append(ipv6Sysctls(o.bridge, network.EnableIPv6), d.forwarding(network, o)...),
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
	return local(sum[:])
}

// local makes a unicast address of the locally administered range (IEEE 802 section
// 8.4) from random bytes.
func local(b []byte) netstate.MAC {
	var mac netstate.MAC
	copy(mac[:], b)
	mac[0] = mac[0]&^1 | 2
	return mac
}

// ipv6Sysctls set a link up with addresses of ours, and of nobody else: no router
// advertisement is believed, and duplicate detection is left to the IPAM. A link
// without IPv6 needs none: it gets no address.
func ipv6Sysctls(link string, enabled bool) []netstate.Sysctl {
	key := func(name string) string { return "net/ipv6/conf/" + link + "/" + name }
	if !enabled {
		return nil
	}
	return []netstate.Sysctl{
		{Key: key("disable_ipv6"), Value: "0"},
		{Key: key("accept_ra"), Value: "0"},
		{Key: key("accept_dad"), Value: "0"},
	}
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
	if _, err := parseEndpoint(ep); err != nil {
		return err
	}
	if ep.MAC.IsZero() {
		var b [6]byte
		if _, err := rand.Read(b[:]); err != nil {
			return cnm.E("MAC address", cnm.Internal, err)
		}
		b[0] = 0x02
		ep.MAC = local(b[:])
	}
	if ep.MAC[0]&1 != 0 {
		return cnm.E("", cnm.Invalid, fmt.Errorf("MAC address %q: is a multicast address; the lowest bit of its first byte must be 0", ep.MAC))
	}
	return nil
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
	e, err := parseEndpoint(ep)
	if err != nil {
		return nil, err
	}
	if e.ifname != "" {
		ep.Interface = e.ifname
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
		},
		{
			Owner: ep.Owner(), Namespace: sandbox.Key,
			Links:   []netstate.Link{{Name: ep.Interface, Kind: netstate.Veth, MAC: ep.MAC, MTU: o.mtu, NoIPv6: !usesIPv6(ep)}},
			Addrs:   addresses(ep),
			Sysctls: append(ipv6Sysctls(ep.Interface, usesIPv6(ep)), e.sysctls(ep.Interface)...),
		},
	}, nil
}

func addresses(ep *cnm.Endpoint) []netstate.Addr {
	var out []netstate.Addr
	for _, prefix := range append([]netip.Prefix{ep.IPv4, ep.IPv6}, ep.LinkLocal...) {
		if prefix.IsValid() {
			out = append(out, netstate.Addr{Link: ep.Interface, Prefix: prefix})
		}
	}
	return out
}

func usesIPv6(ep *cnm.Endpoint) bool {
	for _, prefix := range ep.LinkLocal {
		if prefix.Addr().Is6() {
			return true
		}
	}
	return ep.IPv6.IsValid()
}

// Leave implements cnm.Driver.
func (*Driver) Leave(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }
