package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

func (s *Server) list(ctx context.Context, _ *protocol.Empty) (*manage.Listing, error) {
	out := &manage.Listing{Networks: []manage.ListedNetwork{}, Pools: []manage.ListedPool{}}
	records := s.Inspector.Records()
	keys := make(map[string]string)
	for _, sb := range records.Sandboxes {
		keys[sb.ID], _ = sb.Labels[LabelKey].(string)
	}
	for _, n := range records.Networks {
		if n.Labels[LabelPlugin] != s.Name {
			continue
		}
		one := manage.ListedNetwork{ID: n.ID, Name: n.Name, Driver: n.Driver, Created: n.Created, Endpoints: []manage.ListedEndpoint{}}
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
		one := manage.ListedPool{ID: p.ID, Pool: p.Prefix.String(), Granted: p.Granted, Addresses: []manage.ListedAddress{}}
		if p.SubPool.IsValid() {
			one.SubPool = p.SubPool.String()
		}
		for address, granted := range p.Addresses {
			one.Addresses = append(one.Addresses, manage.ListedAddress{Address: address.String(), Gateway: granted.Gateway, Granted: granted.Granted})
		}
		slices.SortFunc(one.Addresses, func(a, b manage.ListedAddress) int {
			return netip.MustParseAddr(a.Address).Compare(netip.MustParseAddr(b.Address))
		})
		out.Pools = append(out.Pools, one)
	}
	return out, err
}

func listedEndpoint(ep *cnm.Endpoint, key string) manage.ListedEndpoint {
	text := func(prefix netip.Prefix) string {
		if !prefix.IsValid() {
			return ""
		}
		return prefix.String()
	}
	out := manage.ListedEndpoint{
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
		// Several in a row may be one record.
		for range b.Count() {
			out.Ports = append(out.Ports, one)
			one.Port++
			if one.HostPort != 0 {
				one.HostPort++
			}
		}
	}
	return out
}

// defaultAge is longer than an engine goes on asking for an answer.
const defaultAge = time.Minute

func (s *Server) prune(ctx context.Context, r *manage.PruneRequest) (*manage.PruneReply, error) {
	const op = "prune"
	p := &pruning{s: s, dryRun: r.DryRun, networks: make(map[string]manage.KeptNetwork), reply: &manage.PruneReply{Removed: []string{}}}
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
	reply  *manage.PruneReply
	// What stays: networks by id, and what comes from the address manager.
	networks  map[string]manage.KeptNetwork
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
