// Package macvlan is the driver of networks whose endpoints are hosts of their own on the
// Ethernet segment of a link of the host, the parent: each has a MAC address there.
//
// The driver has no state: what it returns is a function of the records. Its options are
// listed in docs/drivers/macvlan.md.
package macvlan

import (
	"context"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/linkoption"
	"github.com/docker/libnetwork/internal/parentlink"
	"github.com/docker/libnetwork/netstate"
)

// Names of the options of macvlan networks alone.
const (
	optMode = "macvlan_mode"
	optShim = "com.docker.network.macvlan.host_shim"
)

// Driver implements cnm.Driver.
type Driver struct{}

// New returns the driver.
func New() *Driver { return &Driver{} }

// network is what the options of a network say.
type network struct {
	parentlink.Network
	mode netstate.Mode
	shim bool
}

func parse(n *cnm.Network) (network, error) {
	d := parentlink.NewDecoder(n, optMode, optShim)
	o := network{
		Network: parentlink.Parse(d, n),
		mode:    parentlink.Choose(d, optMode, netstate.ModeBridge, netstate.ModePrivate, netstate.ModeVEPA, netstate.ModePassthru),
		shim:    d.Bool(optShim, false),
	}
	if o.shim && o.mode != netstate.ModeBridge {
		d.Refuse(optShim, "false: in mode "+string(o.mode)+" the containers do not talk to other links on the parent; use mode bridge")
	}
	return o, d.Err()
}

// PlanAddresses says that a gateway is only what the user names, and that the host has an
// address of its own if it is to talk to the containers.
func (*Driver) PlanAddresses(_ context.Context, n *cnm.Network) (cnm.AddressPlan, error) {
	o, err := parse(n)
	return cnm.AddressPlan{NoGateway4: true, NoGateway6: true, Host: o.shim}, err
}

// CreateNetwork implements cnm.Driver. A network without a parent is internal.
func (*Driver) CreateNetwork(_ context.Context, n *cnm.Network) ([]netstate.Part, error) {
	o, err := parse(n)
	if err != nil {
		return nil, err
	}
	n.Internal = n.Internal || o.Own
	parts := o.Parts(n, netstate.Load{Kind: netstate.Macvlan, Alone: o.mode == netstate.ModePassthru})
	if o.shim {
		parts = append(parts, o.Shim(n, o.link()))
	}
	return parts, nil
}

func (o network) link() netstate.Link { return netstate.Link{Kind: netstate.Macvlan, Mode: o.mode} }

// DeleteNetwork implements cnm.Driver.
func (*Driver) DeleteNetwork(context.Context, *cnm.Network) error { return nil }

// CreateEndpoint implements cnm.Driver. An endpoint without a MAC address gets a random
// one, but in mode passthru, where it has the parent's.
func (*Driver) CreateEndpoint(_ context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	o, err := parse(n)
	if err != nil {
		return err
	}
	if err := o.CheckEndpoint(n, ep); err != nil {
		return err
	}
	if o.mode == netstate.ModePassthru {
		return linkoption.CheckMAC(ep)
	}
	return linkoption.ChooseMAC(ep)
}

// DeleteEndpoint implements cnm.Driver.
func (*Driver) DeleteEndpoint(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }

// Join implements cnm.Driver.
func (*Driver) Join(_ context.Context, n *cnm.Network, ep *cnm.Endpoint, sandbox *cnm.Sandbox) ([]netstate.Part, error) {
	o, err := parse(n)
	if err != nil {
		return nil, err
	}
	link := o.link()
	link.MAC = ep.MAC
	ep.Gateway4, ep.Gateway6 = parentlink.Gateways(n, ep)
	return o.Join(ep, sandbox, link)
}

// Leave implements cnm.Driver.
func (*Driver) Leave(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }

// PortBindings refuses: the host does not see what is sent to such containers.
func (*Driver) PortBindings(n *cnm.Network, _ *cnm.Endpoint, asked cnm.PortBinding) ([]cnm.PortBinding, error) {
	return nil, parentlink.RefusePort(n, asked)
}

// Publications returns none.
func (*Driver) Publications(*cnm.Network, *cnm.Endpoint) ([]netstate.Intent, error) { return nil, nil }
