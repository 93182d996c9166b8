package libnetwork

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

// Networks may hang on the same link of the host, their parent. One of a network's parts
// is then that of its parent, which other networks have too: it goes with the last.

// holdParents keeps other networks from coming to the network's parents, and from leaving
// them, until release is called. It takes nothing for a network without.
func (c *controller) holdParents(ctx context.Context, rec *cnm.Network) (release func(), err error) {
	if len(loads(rec)) == 0 {
		return func() {}, nil
	}
	unlock, err := c.parents.acquire(ctx, quote("network", rec.Name))
	if err != nil {
		return func() {}, err
	}
	var done []func()
	for _, p := range rec.Parts {
		done = append(done, c.track(p.Owner))
	}
	return func() {
		for _, fn := range done {
			fn()
		}
		unlock()
	}, nil
}

// loads returns what the network wants links of the host to carry, by their names.
func loads(rec *cnm.Network) map[string]netstate.Load {
	out := make(map[string]netstate.Load)
	for _, p := range rec.Parts {
		for _, l := range p.Links {
			if p.Namespace == "" && l.Carries != (netstate.Load{}) {
				out[l.Name] = l.Carries
			}
		}
	}
	return out
}

// checkParents refuses a network whose parents carry what its own load goes not with, and
// one of a kind that the kernel does not have.
func (c *controller) checkParents(rec *cnm.Network) error {
	own := loads(rec)
	for _, load := range own {
		if err := c.host.Features().Require(kernel.Feature(load.Kind)); err != nil {
			return err
		}
	}
	for _, n := range c.allNetworks() {
		other := n.record.Load()
		for parent, there := range loads(other) {
			load, shared := own[parent]
			if !shared {
				continue
			}
			if err := checkLoads(load, there); err != nil {
				return cnm.E("", cnm.Forbidden, fmt.Errorf("parent %q: network %q %w; choose another parent, or a VLAN of it such as %q", parent, other.Name, err, parent+".10"))
			}
		}
	}
	return nil
}

// checkLoads says what is wrong with two loads of one parent.
func checkLoads(load, there netstate.Load) error {
	switch {
	case load.Kind != there.Kind:
		return fmt.Errorf("uses it for %s, and it cannot carry %s beside that", there.Kind, load.Kind)
	case there.Alone:
		return fmt.Errorf("has it for itself, in mode %s", netstate.ModePassthru)
	case load.Alone:
		return fmt.Errorf("uses it, and in mode %s there can be no other", netstate.ModePassthru)
	case load.Mode != there.Mode || load.Flag != there.Flag:
		return fmt.Errorf("uses it in mode %s with flag %s, which all on one parent have in common", there.Mode, there.Flag)
	}
	return nil
}

// sharedParts returns what other networks have of the parts that this one has of its
// parents.
func (c *controller) sharedParts(rec *cnm.Network) []netstate.Part {
	var out []netstate.Part
	for _, n := range c.allNetworks() {
		other := n.record.Load()
		for _, p := range other.Parts {
			mine := func(own netstate.Part) bool { return own.Owner == p.Owner }
			if other.ID != rec.ID && p.Owner != other.Owner() && slices.ContainsFunc(rec.Parts, mine) {
				out = append(out, p)
			}
		}
	}
	return out
}

// realiseNetwork makes what a new network needs. What is there already for another one is
// looked at as if it were new, and stays if this or a later step fails.
func (c *controller) realiseNetwork(ctx context.Context, u *undo.Stack, rec *cnm.Network) error {
	changes := netstate.Diff(nil, rec.Parts)
	if len(changes) == 0 {
		return nil
	}
	shared := c.sharedParts(rec)
	u.Push("take the changes back", func(ctx context.Context) error {
		return c.host.Apply(ctx, netstate.Diff(rec.Parts, shared))
	})
	return c.host.Apply(ctx, changes)
}

// addressPlanner is a driver that has its say in which addresses a network takes before
// any endpoint does. Others want a gateway in each subnet.
type addressPlanner interface {
	PlanAddresses(context.Context, *cnm.Network) (cnm.AddressPlan, error)
}

// planAddresses asks the driver, if it has a say.
func planAddresses(ctx context.Context, driver cnm.Driver, rec *cnm.Network) (cnm.AddressPlan, error) {
	if planner, ok := driver.(addressPlanner); ok {
		return planner.PlanAddresses(ctx, rec)
	}
	return cnm.AddressPlan{}, nil
}

// nextHop returns the address that packets are sent to; the zero Addr where everything is
// on the link.
func nextHop(gateway netip.Addr) netip.Addr {
	if gateway.IsUnspecified() {
		return netip.Addr{}
	}
	return gateway
}

// hostAddress returns where an endpoint with that gateway reaches the host: on a parent's
// network the gateway is somebody else.
func (ep *endpoint) hostAddress(gateway netip.Addr) netip.Addr {
	network := ep.n.record.Load()
	if len(loads(network)) == 0 {
		return nextHop(gateway)
	}
	for _, s := range slices.Concat(network.Subnets4, network.Subnets6) {
		if s.Host.IsValid() && s.Host.Addr().Is4() == gateway.Is4() {
			return s.Host.Addr()
		}
	}
	return netip.Addr{}
}
