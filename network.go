package libnetwork

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/driverapi"
)

// network is the one implementation of Network and NetworkInfo. Its record is
// immutable; the maps are guarded by controller.mu.
type network struct {
	c      *controller
	lock   opLock
	record atomic.Pointer[cnm.Network]
	// deleted is set when the network is gone, for handles that outlive it.
	deleted atomic.Bool

	endpoints map[string]*endpoint // by id
	// endpointNames holds the names in use, those of operations under way too. While
	// it holds any, the network cannot be deleted.
	endpointNames map[string]bool
	// closing is set while the network is being deleted: nothing new may come.
	closing bool
	// names are what its containers are called. They guard themselves.
	names networkNames
}

func (c *controller) newNetwork(record *cnm.Network) *network {
	n := &network{
		c: c, lock: newOpLock(),
		endpoints: make(map[string]*endpoint), endpointNames: make(map[string]bool),
	}
	n.record.Store(record)
	return n
}

func (n *network) Name() string { return n.record.Load().Name }

func (n *network) ID() string { return n.record.Load().ID }

func (n *network) Type() string { return n.record.Load().Driver }

func (n *network) Info() NetworkInfo { return n }

// subject is how errors name the network.
func (n *network) subject() string { return quote("network", n.Name()) }

// allEndpoints returns the endpoints sorted by name.
func (n *network) allEndpoints() []*endpoint {
	n.c.mu.RLock()
	defer n.c.mu.RUnlock()
	return slices.SortedFunc(maps.Values(n.endpoints), func(a, b *endpoint) int {
		return cmp.Or(cmp.Compare(a.Name(), b.Name()), cmp.Compare(a.ID(), b.ID()))
	})
}

func (n *network) Endpoints() []Endpoint {
	all := n.allEndpoints()
	out := make([]Endpoint, len(all))
	for i, ep := range all {
		out[i] = ep
	}
	return out
}

func (n *network) WalkEndpoints(walker EndpointWalker) {
	for _, ep := range n.allEndpoints() {
		if walker(ep) {
			return
		}
	}
}

func (n *network) EndpointByName(name string) (Endpoint, error) {
	if name == "" {
		return nil, ErrInvalidName(name)
	}
	for _, ep := range n.allEndpoints() {
		if ep.Name() == name {
			return ep, nil
		}
	}
	return nil, ErrNoSuchEndpoint(name)
}

func (n *network) EndpointByID(id string) (Endpoint, error) {
	if id == "" {
		return nil, ErrInvalidID(id)
	}
	n.c.mu.RLock()
	defer n.c.mu.RUnlock()
	if ep, ok := n.endpoints[id]; ok {
		return ep, nil
	}
	return nil, ErrNoSuchEndpoint(id)
}

func (n *network) IpamConfig() (string, map[string]string, []*IpamConf, []*IpamConf) {
	ipam := n.record.Load().IPAM
	return ipam.Driver, maps.Clone(ipam.Options), ipamConfs(ipam.IPv4), ipamConfs(ipam.IPv6)
}

func ipamConfs(pools []cnm.PoolConfig) []*IpamConf {
	var out []*IpamConf
	for _, p := range pools {
		conf := &IpamConf{}
		if p.Pool.IsValid() {
			conf.PreferredPool = p.Pool.String()
		}
		if p.SubPool.IsValid() {
			conf.SubPool = p.SubPool.String()
		}
		if p.Gateway.IsValid() {
			conf.Gateway = p.Gateway.String()
		}
		for name, address := range p.Aux {
			if conf.AuxAddresses == nil {
				conf.AuxAddresses = make(map[string]string)
			}
			conf.AuxAddresses[name] = address.String()
		}
		out = append(out, conf)
	}
	return out
}

func (n *network) IpamInfo() ([]*IpamInfo, []*IpamInfo) {
	rec := n.record.Load()
	return ipamInfos(rec.IPAM.AddressSpace, rec.Subnets4), ipamInfos(rec.IPAM.AddressSpace, rec.Subnets6)
}

func ipamInfos(space string, subnets []cnm.Subnet) []*IpamInfo {
	var out []*IpamInfo
	for _, s := range subnets {
		info := &IpamInfo{PoolID: s.Pool.ID, Meta: maps.Clone(s.Pool.Meta), IPAMData: driverapi.IPAMData{
			AddressSpace: space,
			Pool:         ipNetTo(s.Pool.Prefix),
			Gateway:      ipNetTo(s.Gateway),
		}}
		for name, address := range s.Aux {
			if info.AuxAddresses == nil {
				info.AuxAddresses = make(map[string]*net.IPNet)
			}
			info.AuxAddresses[name] = ipNetTo(prefixWith(address, s.Pool.Prefix))
		}
		out = append(out, info)
	}
	return out
}

func (n *network) DriverOptions() map[string]string { return maps.Clone(n.record.Load().Options) }

func (n *network) Scope() string { return string(n.record.Load().Scope) }

func (n *network) IPv6Enabled() bool { return n.record.Load().EnableIPv6 }

func (n *network) Internal() bool { return n.record.Load().Internal }

func (n *network) Attachable() bool { return n.record.Load().Attachable }

func (n *network) Ingress() bool { return n.record.Load().Ingress }

func (n *network) Labels() map[string]string { return maps.Clone(n.record.Load().Labels) }

func (n *network) Dynamic() bool { return n.record.Load().Dynamic }

func (n *network) Created() time.Time { return n.record.Load().Created }

func (n *network) Peers() []cnm.Peer { return n.c.node.peers(n.ID()) }

func (n *network) Services() map[string]ServiceInfo { return nil }

func (n *network) Delete() error { return n.DeleteContext(context.Background()) }

func (n *network) CreateEndpoint(name string, options ...EndpointOption) (Endpoint, error) {
	return n.CreateEndpointContext(context.Background(), name, options...)
}
