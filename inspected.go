package libnetwork

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/tally"
	"github.com/docker/libnetwork/ipams/builtin"
	"github.com/docker/libnetwork/resolver"
)

func (c *controller) Records() Records {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all Records
	for _, n := range c.networks {
		all.Networks = append(all.Networks, n.record.Load())
		for _, ep := range n.endpoints {
			all.Endpoints = append(all.Endpoints, ep.record.Load())
		}
	}
	for _, sb := range c.sandboxes {
		all.Sandboxes = append(all.Sandboxes, sb.record.Load())
	}
	slices.SortFunc(all.Networks, func(a, b *cnm.Network) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(all.Endpoints, func(a, b *cnm.Endpoint) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(all.Sandboxes, func(a, b *cnm.Sandbox) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func (c *controller) Resolve(sandboxID, name string) (Resolution, error) {
	c.mu.RLock()
	sb := c.sandboxes[sandboxID]
	c.mu.RUnlock()
	if sb == nil {
		_, err := c.SandboxByID(sandboxID)
		return Resolution{}, err
	}
	out := Resolution{Serving: sb.server.Load() != nil}
	for _, upstream := range sb.nameServers() {
		out.Servers = append(out.Servers, upstream.Address)
	}
	view := sb.look()
	if view == nil {
		return out, nil
	}
	if address, err := netip.ParseAddr(name); err == nil {
		out.Name, out.Known = view.LookupAddr(address)
		return out, nil
	}
	out.Addresses, out.Known = view.Lookup(name)
	s := sb.sight.Load()
	known := name
	if of, ok := s.aliases[strings.ToLower(strings.TrimSuffix(name, "."))]; ok {
		known = of
	}
	for _, n := range s.networks {
		if _, knows := resolver.NewView(nil, n.current()).Lookup(known); knows && out.Known {
			out.Networks = append(out.Networks, n.Name())
		}
	}
	return out, nil
}

// poolStatus is what an address manager may tell of its pools.
type poolStatus interface {
	Status(poolID string) (builtin.Status, error)
}

func (c *controller) AddressUse(networkID string) ([]SubnetUse, error) {
	c.mu.RLock()
	n := c.networks[networkID]
	c.mu.RUnlock()
	if n == nil {
		return nil, ErrNoSuchNetwork(networkID)
	}
	rec := n.record.Load()
	ipam, err := c.ipam(rec.IPAM.Driver)
	if err != nil {
		return nil, operationError("addresses of "+n.subject(), err)
	}
	teller, tells := ipam.(poolStatus)
	holders := n.endpointHolders()
	var out []SubnetUse
	for _, subnet := range slices.Concat(rec.Subnets4, rec.Subnets6) {
		use := SubnetUse{Pool: subnet.Pool.Prefix, Gateway: subnet.Gateway.Addr()}
		for _, conf := range slices.Concat(rec.IPAM.IPv4, rec.IPAM.IPv6) {
			if conf.Pool == use.Pool {
				use.Range = conf.SubPool
			}
		}
		if use.Gateway.IsValid() {
			use.Holders = append(use.Holders, AddressHolder{Address: use.Gateway, Kind: "gateway"})
		}
		for name, address := range subnet.Aux {
			use.Holders = append(use.Holders, AddressHolder{Address: address, Kind: "auxiliary", Name: name})
		}
		use.Holders = append(use.Holders, holders[subnet.Pool.ID]...)
		slices.SortFunc(use.Holders, func(a, b AddressHolder) int {
			return cmp.Or(a.Address.Compare(b.Address), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
		})
		if tells {
			status, err := teller.Status(subnet.Pool.ID)
			if err != nil {
				return nil, operationError("addresses of "+n.subject(), err)
			}
			use.Available, use.Known = status.Available, true
		}
		out = append(out, use)
	}
	return out, nil
}

// endpointHolders returns who holds the addresses of endpoints, by the id of the pool.
func (n *network) endpointHolders() map[string][]AddressHolder {
	holders := make(map[string][]AddressHolder)
	for _, ep := range n.allEndpoints() {
		rec := ep.record.Load()
		holder := AddressHolder{Kind: "endpoint", Name: rec.Name, ID: rec.ID}
		if sb := ep.sandbox(); sb != nil {
			holder.Container = sb.ContainerID()
		}
		for pool, prefix := range map[string]netip.Prefix{rec.Pool4: rec.IPv4, rec.Pool6: rec.IPv6} {
			if prefix.IsValid() {
				holder.Address = prefix.Addr()
				holders[pool] = append(holders[pool], holder)
			}
		}
	}
	return holders
}

func (c *controller) Statistics() Statistics {
	out := Statistics{Forwarder: c.forwarder.Statistics(), Mended: c.mended.Load()}
	for _, count := range c.tally.Counts() {
		out.Operations = append(out.Operations, OperationStatistics{
			Name: count.Name, Failures: count.Failures,
			Duration: Histogram{Bounds: tally.Bounds(), Buckets: count.Buckets, Count: count.Count, Sum: count.Sum},
		})
	}
	if err := c.mendError.Load(); err != nil {
		out.MendError = (*err).Error()
	}
	// An unknown back end is worth no error: whoever asks wants numbers.
	out.Firewall, _ = c.host.Firewall().Backend(context.Background())
	return out
}
