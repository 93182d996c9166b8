package libnetwork

import (
	"context"
	"errors"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netlabel"
)

// gatewayNetwork is the network, and its bridge, by which sandboxes get out whose own
// networks lead nowhere and leave that to somebody else. It is made when it is needed
// first, unless the user did so, and stays. The names are those of 2017.
const gatewayNetwork = "docker_gwbridge"

func gatewayEndpoint(sandboxID string) string { return "gateway_" + shortID(sandboxID) }

// seeksGateway reports whether a sandbox with these endpoints is to get a way out.
func seeksGateway(endpoints []*cnm.Endpoint) bool {
	seeks := slices.ContainsFunc(endpoints, func(ep *cnm.Endpoint) bool { return ep.SeeksGateway })
	has := slices.ContainsFunc(endpoints, func(ep *cnm.Endpoint) bool { return ep.Gateway4.IsValid() || ep.Gateway6.IsValid() })
	return seeks && !has
}

// tendGateway connects the sandbox to the default gateway network, or disconnects it, as
// its other endpoints want it. The caller holds no lock.
func (sb *sandbox) tendGateway(ctx context.Context) error {
	// Who waited here looks at what there is by then: an operation under way may be making
	// what is no longer wanted.
	release, err := sb.gateway.acquire(ctx, sb.subject())
	if err != nil {
		return err
	}
	defer release()
	var own []*cnm.Endpoint
	var gateway *endpoint
	for _, ep := range sb.members() {
		if ep.Name() == gatewayEndpoint(sb.ID()) && ep.n.Name() == gatewayNetwork {
			gateway = ep
			continue
		}
		own = append(own, ep.record.Load())
	}
	if wanted := seeksGateway(own); wanted == (gateway != nil) {
		return nil
	}
	if gateway == nil {
		return cnm.Wrap("connect "+sb.subject()+" to "+quote("network", gatewayNetwork), sb.addGateway(ctx))
	}
	err = gateway.delete(ctx, true)
	if errors.Is(err, cnm.NotFound) {
		return nil
	}
	return err
}

// tendGatewayLeft follows an endpoint that has left. That it did stands, also if what
// follows from it does not come about before the next change.
func (sb *sandbox) tendGatewayLeft(ctx context.Context) {
	if err := sb.tendGateway(context.WithoutCancel(ctx)); err != nil && !sb.deleted.Load() {
		sb.c.log.Error("tend the default gateway", "container", sb.ContainerID(), "error", err)
	}
}

func (sb *sandbox) addGateway(ctx context.Context) (err error) {
	n, err := sb.c.ensureGatewayNetwork(ctx)
	if err != nil {
		return err
	}
	name := gatewayEndpoint(sb.ID())
	if ep, _ := n.EndpointByName(name); ep != nil {
		if ep.(*endpoint).sandbox() == sb {
			return nil // another operation was faster
		}
		// It was left by a process that was killed before it had joined.
		if err := ep.(*endpoint).delete(ctx, true); err != nil {
			return err
		}
	}
	ep, err := n.createEndpoint(ctx, name, []EndpointOption{CreateOptionAnonymous()})
	if err != nil {
		return err
	}
	if err := ep.join(ctx, sb, nil); err != nil {
		return errors.Join(err, ep.delete(context.WithoutCancel(ctx), true))
	}
	return nil
}

func (c *controller) ensureGatewayNetwork(ctx context.Context) (*network, error) {
	if n, err := c.NetworkByName(gatewayNetwork); err == nil {
		return n.(*network), nil
	}
	options := NetworkOptionDriverOpts(map[string]string{
		netlabel.BridgeName: gatewayNetwork, netlabel.Prefix + ".bridge.enable_icc": "false",
		netlabel.Prefix + ".bridge.enable_ip_masquerade": "true",
	})
	n, err := c.createNetwork(ctx, "bridge", gatewayNetwork, "", []NetworkOption{options})
	if errors.Is(err, cnm.Exists) {
		if other, otherErr := c.NetworkByName(gatewayNetwork); otherErr == nil {
			return other.(*network), nil
		}
	}
	return n, err
}
