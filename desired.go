package libnetwork

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/netstate"
)

// desired returns all that a sandbox with these endpoints needs, in its namespace
// and on the host. It is a function of the records.
func (c *controller) desired(sandbox *cnm.Sandbox, endpoints []*cnm.Endpoint) []netstate.Part {
	return desiredParts(sandbox, endpoints, c.networkName)
}

func desiredParts(sandbox *cnm.Sandbox, endpoints []*cnm.Endpoint, networkName func(id string) string) []netstate.Part {
	var parts []netstate.Part
	byJoin := slices.SortedFunc(slices.Values(endpoints), func(a, b *cnm.Endpoint) int { return cmp.Compare(a.Order, b.Order) })
	for _, ep := range byJoin {
		parts = append(parts, ep.Parts...)
		if len(ep.Intents) > 0 {
			parts = append(parts, netstate.Part{Owner: ep.Owner(), Intents: ep.Intents})
		}
	}
	switch {
	case sandbox.Host:
		return parts
	case sandbox.Handover:
		return waiting(parts, sandbox.Key)
	}
	own := netstate.Part{
		Owner: sandbox.Owner(), Namespace: sandbox.Key,
		Links: []netstate.Link{{Name: "lo", Kind: netstate.Existing}},
	}
	ranked := byGatewayRank(endpoints, networkName)
	for _, family := range []struct {
		destination netip.Prefix
		gateway     func(*cnm.Endpoint) netip.Addr
	}{
		{netip.PrefixFrom(netip.IPv4Unspecified(), 0), func(ep *cnm.Endpoint) netip.Addr { return ep.Gateway4 }},
		{netip.PrefixFrom(netip.IPv6Unspecified(), 0), func(ep *cnm.Endpoint) netip.Addr { return ep.Gateway6 }},
	} {
		i := slices.IndexFunc(ranked, func(ep *cnm.Endpoint) bool { return family.gateway(ep).IsValid() })
		if i >= 0 {
			own.Routes = append(own.Routes, netstate.Route{
				Destination: family.destination, Gateway: nextHop(family.gateway(ranked[i])), Link: ranked[i].Interface,
			})
		}
	}
	return append(parts, own)
}

// byGatewayRank orders endpoints by who is to give the default route: the highest
// priority, then the name of the network, then who joined first. For each address
// family the first that has a gateway does.
func byGatewayRank(endpoints []*cnm.Endpoint, networkName func(id string) string) []*cnm.Endpoint {
	return slices.SortedFunc(slices.Values(endpoints), func(a, b *cnm.Endpoint) int {
		return cmp.Or(
			cmp.Compare(b.Priority, a.Priority),
			cmp.Compare(networkName(a.NetworkID), networkName(b.NetworkID)),
			cmp.Compare(a.Order, b.Order),
		)
	})
}

func (c *controller) networkName(id string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n, ok := c.networks[id]; ok {
		return n.Name()
	}
	return id
}

// interfacePrefix is what a network's interfaces are called in a sandbox.
func interfacePrefix(options map[string]string) string {
	for key, value := range options {
		if key == netlabel.ContainerIfacePrefix || strings.EqualFold(key, "ContainerIfacePrefix") {
			return value
		}
	}
	return "eth"
}
