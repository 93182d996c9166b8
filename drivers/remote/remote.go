// Package remote is the driver of networks that a plugin makes: it tells the plugin what
// happens to networks and endpoints, as methods of NetworkDriver in Docker's plugin
// protocol, and makes of its answers what the sandbox is to hold.
//
// The link of an endpoint is made by the plugin, on the host, and adopted: it is moved
// into the sandbox and renamed, given its addresses and routes by us, and goes back to the
// host when the endpoint leaves. What a plugin answers is checked as if a user had typed
// it. If an answer makes no sense, or there is none, the plugin is asked to take back what
// it may have done.
//
// The driver has no state but what it remembers of the plugin's abilities.
package remote

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Type is what a plugin says that it implements if it can be a driver.
const Type = "NetworkDriver"

// takeBackTime bounds how long a plugin is asked to take back what it may have done.
const takeBackTime = 5 * time.Second

// Driver implements cnm.Driver with a plugin. It is safe for concurrent use. New makes
// one.
type Driver struct {
	registry *plugin.Registry
	name     string

	mu        sync.Mutex // guards what follows
	abilities *Capabilities
	// activation is the plugin's when it was asked for them.
	activation uint64
}

// New returns a driver for the networks of the plugin with that name. It need not run
// yet: each method waits for it as long as the registry allows.
func New(registry *plugin.Registry, name string) *Driver {
	return &Driver{registry: registry, name: name}
}

// Capabilities are what a plugin can do.
type Capabilities struct {
	// Scope says how far its networks reach; Connectivity how far apart two containers of
	// a network can be.
	Scope, Connectivity cnm.Scope
	// ChecksGateways says that it has its say in whether a network gets a gateway.
	ChecksGateways bool
}

// Capabilities asks the plugin, once after each of its starts.
func (d *Driver) Capabilities(ctx context.Context) (Capabilities, error) {
	// A driver that is asked for before there is a network is one that a user has typed.
	p, err := d.registry.Get(ctx, d.name, Type)
	if err != nil {
		return Capabilities{}, err
	}
	activation := p.Activations()
	d.mu.Lock()
	known := d.abilities
	fresh := known != nil && d.activation == activation
	d.mu.Unlock()
	if fresh {
		return *known, nil
	}
	var reply protocol.NetworkCapabilitiesReply
	if err := p.Repeat(ctx, method("GetCapabilities"), nil, &reply); err != nil {
		return Capabilities{}, err
	}
	abilities, err := parseCapabilities(reply)
	if err != nil {
		return Capabilities{}, d.wrap("GetCapabilities", err)
	}
	d.mu.Lock()
	d.abilities, d.activation = &abilities, activation
	d.mu.Unlock()
	return abilities, nil
}

// Scope asks the plugin how far its networks reach. NotFound is for no plugin.
func (d *Driver) Scope(ctx context.Context) (cnm.Scope, error) {
	abilities, err := d.Capabilities(ctx)
	return abilities.Scope, err
}

func parseCapabilities(r protocol.NetworkCapabilitiesReply) (Capabilities, error) {
	scope, err := parseScope("Scope", r.Scope)
	if err != nil {
		return Capabilities{}, err
	}
	out := Capabilities{Scope: scope, Connectivity: scope, ChecksGateways: r.GwAllocChecker}
	if r.ConnectivityScope != "" {
		out.Connectivity, err = parseScope("ConnectivityScope", r.ConnectivityScope)
	}
	return out, err
}

func parseScope(field, text string) (cnm.Scope, error) {
	for _, scope := range []cnm.Scope{cnm.Local, cnm.Global} {
		if strings.EqualFold(text, string(scope)) {
			return scope, nil
		}
	}
	return "", refuse("%s is %.40q; want %q or %q", field, text, cnm.Local, cnm.Global)
}

// PlanAddresses asks the plugin, if it wants to be asked, whether each family gets a
// gateway that nobody named.
func (d *Driver) PlanAddresses(ctx context.Context, n *cnm.Network) (cnm.AddressPlan, error) {
	abilities, err := d.Capabilities(ctx)
	if err != nil || !abilities.ChecksGateways {
		return cnm.AddressPlan{}, err
	}
	var reply protocol.GatewayCheckReply
	if err := d.repeat(ctx, "GwAllocCheck", protocol.GatewayCheckRequest{Options: networkOptions(n)}, &reply); err != nil {
		return cnm.AddressPlan{}, err
	}
	return cnm.AddressPlan{NoGateway4: reply.SkipIPv4, NoGateway6: reply.SkipIPv6}, nil
}

// CreateNetwork implements cnm.Driver. What the network needs on the host is made by the
// plugin: there are no parts.
func (d *Driver) CreateNetwork(ctx context.Context, n *cnm.Network) ([]netstate.Part, error) {
	if _, err := checkNetwork(n); err != nil {
		return nil, err
	}
	request := protocol.CreateNetworkRequest{
		NetworkID: n.ID, Options: networkOptions(n),
		IPv4Data: ipamData(n, n.Subnets4), IPv6Data: ipamData(n, n.Subnets6),
	}
	err := d.call(ctx, "CreateNetwork", request, nil)
	return nil, d.takeBack(ctx, err, "DeleteNetwork", protocol.DeleteNetworkRequest{NetworkID: n.ID})
}

// DeleteNetwork implements cnm.Driver.
func (d *Driver) DeleteNetwork(ctx context.Context, n *cnm.Network) error {
	return d.repeat(ctx, "DeleteNetwork", protocol.DeleteNetworkRequest{NetworkID: n.ID}, nil)
}

// networkOptions are the labels that concern every driver, and in one of them the
// driver's own options.
func networkOptions(n *cnm.Network) map[string]any {
	own := n.Options
	if own == nil {
		own = map[string]string{}
	}
	options := map[string]any{labelGeneric: own, labelIPv4: n.EnableIPv4, labelIPv6: n.EnableIPv6}
	if n.Internal {
		options[labelInternal] = true
	}
	return options
}

func ipamData(n *cnm.Network, subnets []cnm.Subnet) []protocol.IPAMData {
	out := make([]protocol.IPAMData, 0, len(subnets))
	for _, s := range subnets {
		entry := protocol.IPAMData{AddressSpace: n.IPAM.AddressSpace, Pool: s.Pool.Prefix.String()}
		if s.Gateway.IsValid() {
			entry.Gateway = s.Gateway.String()
		}
		for name, address := range s.Aux {
			if entry.AuxAddresses == nil {
				entry.AuxAddresses = make(map[string]string, len(s.Aux))
			}
			entry.AuxAddresses[name] = fmt.Sprintf("%s/%d", address, s.Pool.Prefix.Bits())
		}
		out = append(out, entry)
	}
	return out
}

func method(name string) string { return Type + "." + name }

// call asks the plugin once.
func (d *Driver) call(ctx context.Context, name string, request, reply any) error {
	p, err := d.registry.Wait(ctx, d.name, Type)
	if err != nil {
		return err
	}
	return p.Call(ctx, method(name), request, reply)
}

// repeat asks again if the plugin restarts before it has answered.
func (d *Driver) repeat(ctx context.Context, name string, request, reply any) error {
	p, err := d.registry.Wait(ctx, d.name, Type)
	if err != nil {
		return err
	}
	return p.Repeat(ctx, method(name), request, reply)
}

// takeBack asks the plugin to undo what it may have done in a call that failed with err,
// and returns err. What it then answers settles the matter: it either did, or knows of
// nothing.
func (d *Driver) takeBack(ctx context.Context, err error, name string, request any) error {
	if !plugin.MayHaveHappened(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTime)
	defer cancel()
	undo := d.repeat(ctx, name, request, nil)
	if undo == nil || answered(undo) {
		return plugin.Settled(err)
	}
	// The second error is no more than words: what it is says nothing of what is open.
	return cnm.E("", cnm.KindOf(err), fmt.Errorf("%w; and it could not be taken back: %s", err, undo.Error()))
}

// wrap adds who answered what to an error about an answer.
func (d *Driver) wrap(name string, err error) error {
	return cnm.Wrap(fmt.Sprintf("plugin %q", d.name), cnm.Wrap(method(name), err))
}
