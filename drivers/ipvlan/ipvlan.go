// Package ipvlan is the driver of networks whose endpoints share the MAC address of a
// link of the host, the parent, and have IP addresses of their own there.
//
// The driver has no state: what it returns is a function of the records. Its options are
// listed in docs/drivers/ipvlan.md.
package ipvlan

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/parentlink"
	"github.com/docker/libnetwork/netstate"
)

// Names of the options of ipvlan networks alone.
const (
	optMode = "ipvlan_mode"
	optFlag = "ipvlan_flag"
)

// Driver implements cnm.Driver.
type Driver struct{}

// New returns the driver.
func New() *Driver { return &Driver{} }

// network is what the options of a network say.
type network struct {
	parentlink.Network
	mode, flag netstate.Mode
}

func parse(n *cnm.Network) (network, error) {
	d := parentlink.NewDecoder(n, optMode, optFlag)
	o := network{
		Network: parentlink.Parse(d, n),
		mode:    parentlink.Choose(d, optMode, netstate.ModeL2, netstate.ModeL3, netstate.ModeL3S),
		flag:    parentlink.Choose(d, optFlag, netstate.ModeBridge, netstate.ModePrivate, netstate.ModeVEPA),
	}
	return o, d.Err()
}

// routed reports whether packets are routed by the host's tables and not switched.
func (o network) routed() bool { return o.mode != netstate.ModeL2 }

// PlanAddresses says that a gateway is only what the user names.
func (*Driver) PlanAddresses(_ context.Context, n *cnm.Network) (cnm.AddressPlan, error) {
	o, err := parse(n)
	if err != nil {
		return cnm.AddressPlan{}, err
	}
	for _, conf := range append(append([]cnm.PoolConfig(nil), n.IPAM.IPv4...), n.IPAM.IPv6...) {
		if o.routed() && conf.Gateway.IsValid() {
			return cnm.AddressPlan{}, cnm.E("", cnm.Invalid, fmt.Errorf("gateway %s: mode %s: %w", conf.Gateway, o.mode, parentlink.ErrNoGateway))
		}
	}
	return cnm.AddressPlan{NoGateway4: true, NoGateway6: true}, nil
}

// CreateNetwork implements cnm.Driver. A network without a parent is internal.
func (*Driver) CreateNetwork(_ context.Context, n *cnm.Network) ([]netstate.Part, error) {
	o, err := parse(n)
	if err != nil {
		return nil, err
	}
	n.Internal = n.Internal || o.Own
	return o.Parts(n, netstate.Load{Kind: netstate.IPvlan, Mode: o.mode, Flag: o.flag}), nil
}

// DeleteNetwork implements cnm.Driver.
func (*Driver) DeleteNetwork(context.Context, *cnm.Network) error { return nil }

// CreateEndpoint implements cnm.Driver. The endpoint has the MAC address of the parent,
// which is not known here.
func (*Driver) CreateEndpoint(_ context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	o, err := parse(n)
	if err != nil {
		return err
	}
	if !ep.MAC.IsZero() {
		return cnm.E("", cnm.Invalid, fmt.Errorf("MAC address %q: an ipvlan endpoint has that of its parent; ask for none, or use a macvlan network", ep.MAC))
	}
	return o.CheckEndpoint(n, ep)
}

// DeleteEndpoint implements cnm.Driver.
func (*Driver) DeleteEndpoint(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }

// Join implements cnm.Driver.
func (*Driver) Join(_ context.Context, n *cnm.Network, ep *cnm.Endpoint, sandbox *cnm.Sandbox) ([]netstate.Part, error) {
	o, err := parse(n)
	if err != nil {
		return nil, err
	}
	ep.Gateway4, ep.Gateway6 = parentlink.Gateways(n, ep)
	if o.routed() {
		ep.Gateway4, ep.Gateway6 = onLink(n, ep)
	}
	parts, err := o.Join(ep, sandbox, netstate.Link{Kind: netstate.IPvlan, Mode: o.mode, Flag: o.flag})
	if err != nil {
		return nil, err
	}
	if o.routed() {
		parts[0].Routes = append(neighbors(ep.IPv4, ep.Interface, n.Subnets4), neighbors(ep.IPv6, ep.Interface, n.Subnets6)...)
	}
	return parts, nil
}

// onLink returns the unspecified address as the next hop of each family that the endpoint
// has: everything is on the link.
func onLink(n *cnm.Network, ep *cnm.Endpoint) (gateway4, gateway6 netip.Addr) {
	if !n.Internal && ep.IPv4.IsValid() {
		gateway4 = netip.IPv4Unspecified()
	}
	if !n.Internal && ep.IPv6.IsValid() {
		gateway6 = netip.IPv6Unspecified()
	}
	return gateway4, gateway6
}

// neighbors returns routes to the network's other subnets: they are on the link too,
// whichever network gives the sandbox its default route.
func neighbors(own netip.Prefix, link string, subnets []cnm.Subnet) []netstate.Route {
	var out []netstate.Route
	for _, s := range subnets {
		if own.IsValid() && !s.Pool.Prefix.Contains(own.Addr()) {
			out = append(out, netstate.Route{Destination: s.Pool.Prefix.Masked(), Link: link})
		}
	}
	return out
}

// Leave implements cnm.Driver.
func (*Driver) Leave(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }

// PortBindings refuses: the host does not see what is sent to such containers.
func (*Driver) PortBindings(n *cnm.Network, _ *cnm.Endpoint, asked cnm.PortBinding) ([]cnm.PortBinding, error) {
	return nil, parentlink.RefusePort(n, asked)
}

// Publications returns none.
func (*Driver) Publications(*cnm.Network, *cnm.Endpoint) ([]netstate.Intent, error) { return nil, nil }
