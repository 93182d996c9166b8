package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Methods that are not the engine's: operators look by them at what there is for it, and
// remove what it has forgotten.
const (
	MethodList  = "Dnet.List"
	MethodPrune = "Dnet.Prune"
)

// Listing answers MethodList, whose request is empty.
type Listing struct {
	Networks []ListedNetwork
	// Pools are those of the address manager.
	Pools []ListedPool
}

// ListedNetwork is a network that was made for the engine, by the engine's id.
type ListedNetwork struct {
	ID        string
	Name      string
	Driver    string
	Subnets   []string
	Created   time.Time
	Endpoints []ListedEndpoint
}

// ListedEndpoint is an endpoint, by the engine's id.
type ListedEndpoint struct {
	ID                   string
	Address, AddressIPv6 string
	MacAddress           string
	// Interface is its name on the host until the engine takes it, and Key the namespace in
	// which the engine puts it; both are empty while the endpoint is in no container.
	Interface string
	Key       string
	Ports     []protocol.PortBinding
	Created   time.Time
}

// ListedPool is a pool of the address manager.
type ListedPool struct {
	ID        string
	Pool      string
	SubPool   string `json:",omitempty"`
	Granted   time.Time
	Addresses []ListedAddress
}

// ListedAddress is an address in it.
type ListedAddress struct {
	Address string
	Gateway bool
	Granted time.Time
}

func (s *Server) list(ctx context.Context, _ *protocol.Empty) (*Listing, error) {
	out := &Listing{Networks: []ListedNetwork{}, Pools: []ListedPool{}}
	records := s.Inspector.Records()
	keys := make(map[string]string)
	for _, sb := range records.Sandboxes {
		keys[sb.ID], _ = sb.Labels[LabelKey].(string)
	}
	for _, n := range records.Networks {
		if n.Labels[LabelPlugin] != s.Name {
			continue
		}
		one := ListedNetwork{ID: n.ID, Name: n.Name, Driver: n.Driver, Created: n.Created, Endpoints: []ListedEndpoint{}}
		for _, subnet := range slices.Concat(n.Subnets4, n.Subnets6) {
			one.Subnets = append(one.Subnets, subnet.Pool.Prefix.String())
		}
		for _, ep := range records.Endpoints {
			if ep.NetworkID == n.ID {
				one.Endpoints = append(one.Endpoints, listedEndpoint(ep, keys[ep.SandboxID]))
			}
		}
		out.Networks = append(out.Networks, one)
	}
	if s.Leases == nil {
		return out, nil
	}
	pools, err := s.Leases.List(ctx)
	for _, p := range pools {
		one := ListedPool{ID: p.ID, Pool: p.Prefix.String(), Granted: p.Granted, Addresses: []ListedAddress{}}
		if p.SubPool.IsValid() {
			one.SubPool = p.SubPool.String()
		}
		for address, granted := range p.Addresses {
			one.Addresses = append(one.Addresses, ListedAddress{address.String(), granted.Gateway, granted.Granted})
		}
		slices.SortFunc(one.Addresses, func(a, b ListedAddress) int {
			return netip.MustParseAddr(a.Address).Compare(netip.MustParseAddr(b.Address))
		})
		out.Pools = append(out.Pools, one)
	}
	return out, err
}

func listedEndpoint(ep *cnm.Endpoint, key string) ListedEndpoint {
	text := func(prefix netip.Prefix) string {
		if !prefix.IsValid() {
			return ""
		}
		return prefix.String()
	}
	out := ListedEndpoint{
		ID: ep.Name, Address: text(ep.IPv4), AddressIPv6: text(ep.IPv6), Interface: ep.Interface, Key: key,
		Created: ep.Created,
	}
	if !ep.MAC.IsZero() {
		out.MacAddress = ep.MAC.String()
	}
	for _, b := range ep.Published {
		one := protocol.PortBinding{Proto: b.Protocol, Port: b.Port, HostPort: b.HostPort, HostPortEnd: b.HostPortEnd}
		if b.IP.IsValid() {
			one.IP = b.IP.String()
		}
		if b.HostIP.IsValid() {
			one.HostIP = b.HostIP.String()
		}
		out.Ports = append(out.Ports, one)
	}
	return out
}

// PruneRequest says what the engine has. All else goes.
type PruneRequest struct {
	// Networks are all networks of the engine, those of other drivers too: they may have
	// addresses from here.
	Networks []KeptNetwork
	// Age is how old something must be to go, in seconds: the engine may be about to make
	// what belongs to it. Zero means one minute.
	Age int
	// DryRun only tells.
	DryRun bool
}

// KeptNetwork is a network that the engine has.
type KeptNetwork struct {
	ID string
	// Subnets are its own, wherever they come from: engines name an address manager in more
	// than one way.
	Subnets []string
	// Endpoints are the ids of those in it.
	Endpoints []string
	// Addresses are all that it or its endpoints have, with or without length.
	Addresses []string
}

// PruneReply tells what went, or what would.
type PruneReply struct {
	// Removed has a line for each thing.
	Removed []string
	// Problems say what could not be removed.
	Problems []string
}

// defaultAge is longer than an engine goes on asking for an answer.
const defaultAge = time.Minute

func (s *Server) prune(ctx context.Context, r *PruneRequest) (*PruneReply, error) {
	const op = "prune"
	p := &pruning{s: s, dryRun: r.DryRun, networks: make(map[string]KeptNetwork), reply: &PruneReply{Removed: []string{}}}
	p.before = time.Now().Add(-defaultAge)
	if r.Age > 0 {
		p.before = time.Now().Add(-time.Duration(r.Age) * time.Second)
	}
	p.prefixes, p.addresses = make(map[netip.Prefix]bool), make(map[netip.Addr]bool)
	for _, kept := range r.Networks {
		if kept.ID == "" {
			return nil, cnm.E(op, cnm.Invalid, errors.New("a network has no id"))
		}
		p.networks[kept.ID] = kept
		for _, text := range kept.Subnets {
			subnet, err := prefix("subnet", text)
			if err != nil {
				return nil, cnm.Wrap(op, err)
			}
			p.prefixes[subnet] = true
		}
		for _, text := range kept.Addresses {
			address, err := addressOf(text)
			if err != nil {
				return nil, cnm.Wrap(op, err)
			}
			p.addresses[address] = true
		}
	}
	p.pruneNetworks(ctx)
	p.pruneSandboxes(ctx)
	if s.Leases != nil {
		if err := p.prunePools(ctx); err != nil {
			return nil, cnm.Wrap(op, err)
		}
	}
	return p.reply, nil
}

func addressOf(text string) (netip.Addr, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Addr(), nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return address, invalid("address %q: not an IP address", text)
	}
	return address, nil
}

// pruning removes what the engine does not have.
type pruning struct {
	s      *Server
	dryRun bool
	before time.Time
	reply  *PruneReply
	// What stays: networks by id, and what comes from the address manager.
	networks  map[string]KeptNetwork
	prefixes  map[netip.Prefix]bool
	addresses map[netip.Addr]bool
}

func (p *pruning) remove(created time.Time, what string, do func() error) {
	if created.After(p.before) {
		return
	}
	if !p.dryRun {
		if err := do(); ignoreNotFound(err) != nil {
			p.reply.Problems = append(p.reply.Problems, err.Error())
			return
		}
	}
	p.reply.Removed = append(p.reply.Removed, what)
}

func (p *pruning) pruneNetworks(ctx context.Context) {
	s := p.s
	for _, n := range s.Controller.Networks() {
		if n.Info().Labels()[LabelPlugin] != s.Name {
			continue
		}
		kept, ok := p.networks[n.ID()]
		if !ok {
			p.remove(n.Info().Created(), fmt.Sprintf("network %s, with %d endpoints", n.ID(), len(n.Endpoints())), func() error {
				_, err := s.deleteNetwork(ctx, &protocol.DeleteNetworkRequest{NetworkID: n.ID()})
				return err
			})
			continue
		}
		for _, ep := range n.Endpoints() {
			if slices.Contains(kept.Endpoints, ep.Name()) {
				continue
			}
			p.remove(s.endpointRecord(ep.ID()).Created, fmt.Sprintf("endpoint %s of network %s", ep.Name(), n.ID()), func() error {
				_, err := s.deleteEndpoint(ctx, &protocol.EndpointRequest{NetworkID: n.ID(), EndpointID: ep.Name()})
				return err
			})
		}
	}
}

// pruneSandboxes removes those that a join, which was cut short, has left without an
// endpoint.
func (p *pruning) pruneSandboxes(ctx context.Context) {
	records := p.s.Inspector.Records()
	for _, rec := range records.Sandboxes {
		if name, _ := rec.Labels[LabelPlugin].(string); name != p.s.Name {
			continue
		}
		if slices.ContainsFunc(records.Endpoints, func(ep *cnm.Endpoint) bool { return ep.SandboxID == rec.ID }) {
			continue
		}
		p.remove(rec.Created, "sandbox "+rec.ContainerID, func() error {
			sb, err := p.s.Controller.SandboxByID(rec.ID)
			if err != nil {
				return err
			}
			return sb.DeleteContext(ctx)
		})
	}
}

func (p *pruning) prunePools(ctx context.Context) error {
	leases := p.s.Leases
	pools, err := leases.List(ctx)
	if err != nil {
		return err
	}
	for _, pool := range pools {
		if !p.prefixes[pool.Prefix] {
			p.remove(pool.Granted, fmt.Sprintf("pool %s, with %d addresses", pool.ID, len(pool.Addresses)), func() error {
				return leases.ReleasePool(ctx, pool.ID)
			})
			continue
		}
		for address, granted := range pool.Addresses {
			if granted.Gateway || p.addresses[address] {
				continue
			}
			p.remove(granted.Granted, fmt.Sprintf("address %s of pool %s", address, pool.ID), func() error {
				return leases.ReleaseAddress(ctx, pool.ID, address)
			})
		}
	}
	slices.Sort(p.reply.Removed)
	return nil
}
