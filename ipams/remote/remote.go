// Package remote is the address manager that a plugin is: it asks for pools and addresses
// by the methods of IpamDriver in Docker's plugin protocol.
//
// What the plugin grants is checked as if a user had typed it: it must be what was asked
// for, and of use. What is not is given back.
package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Type is what a plugin says that it implements if it can be an address manager.
const Type = "IpamDriver"

// giveBackTime bounds how long a plugin is told of what is given back after an error.
const giveBackTime = 5 * time.Second

// IPAM implements cnm.IPAM with a plugin. It is safe for concurrent use. New makes one.
//
// It remembers the pools, to check that addresses are of them. It does so from their
// request on, or after a restart if Restore tells of them.
type IPAM struct {
	registry *plugin.Registry
	name     string

	mu    sync.Mutex              // guards what follows
	pools map[string]netip.Prefix // by id
	needs *Needs
	// activation is the plugin's when it was asked for them.
	activation uint64
}

// New returns the address manager of the plugin with that name. It need not run yet.
func New(registry *plugin.Registry, name string) *IPAM {
	return &IPAM{registry: registry, name: name, pools: make(map[string]netip.Prefix)}
}

// Restore tells of a pool that was granted to an earlier process.
func (m *IPAM) Restore(pool cnm.Pool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pools[pool.ID] = pool.Prefix
}

// Needs are what a plugin wants to know beyond what it is asked for.
type Needs struct {
	// MAC says that it wants the MAC address with each request for an endpoint's address.
	MAC bool
	// Replay says that it forgets when it or we restart: it wants all requests again, with
	// the answers filled in.
	Replay bool
}

// Needs asks the plugin, once after each of its starts. One that does not have the method,
// or answers with an error, needs nothing.
func (m *IPAM) Needs(ctx context.Context) (Needs, error) {
	p, err := m.registry.Get(ctx, m.name, Type)
	if err != nil {
		return Needs{}, err
	}
	activation := p.Activations()
	m.mu.Lock()
	known := m.needs
	fresh := known != nil && m.activation == activation
	m.mu.Unlock()
	if fresh {
		return *known, nil
	}
	var reply struct{ RequiresMACAddress, RequiresRequestReplay bool }
	var answered *plugin.Error
	err = p.Repeat(ctx, method("GetCapabilities"), nil, &reply)
	if err != nil && !errors.Is(err, plugin.NotImplemented) && !errors.As(err, &answered) {
		return Needs{}, err
	}
	needs := Needs{MAC: reply.RequiresMACAddress, Replay: reply.RequiresRequestReplay}
	m.mu.Lock()
	m.needs, m.activation = &needs, activation
	m.mu.Unlock()
	return needs, nil
}

// RequiresMAC reports Needs.MAC.
func (m *IPAM) RequiresMAC(ctx context.Context) (bool, error) {
	needs, err := m.Needs(ctx)
	return needs.MAC, err
}

// RequiresReplay reports Needs.Replay.
func (m *IPAM) RequiresReplay(ctx context.Context) (bool, error) {
	needs, err := m.Needs(ctx)
	return needs.Replay, err
}

// AddressSpaces implements cnm.IPAM.
func (m *IPAM) AddressSpaces(ctx context.Context) (local, global string, err error) {
	p, err := m.registry.Get(ctx, m.name, Type)
	if err != nil {
		return "", "", err
	}
	var reply struct{ LocalDefaultAddressSpace, GlobalDefaultAddressSpace string }
	if err := p.Repeat(ctx, method("GetDefaultAddressSpaces"), nil, &reply); err != nil {
		return "", "", err
	}
	for _, space := range []string{reply.LocalDefaultAddressSpace, reply.GlobalDefaultAddressSpace} {
		if !validText(space) {
			return "", "", m.wrap("GetDefaultAddressSpaces", refuse("address space %.60q: is no name", space))
		}
	}
	return reply.LocalDefaultAddressSpace, reply.GlobalDefaultAddressSpace, nil
}

// ReleasePool implements cnm.IPAM. That the plugin does not know the pool is an error in
// its own words.
func (m *IPAM) ReleasePool(ctx context.Context, poolID string) error {
	// A second time might release what somebody else was granted meanwhile.
	if err := m.call(ctx, "ReleasePool", protocol.ReleasePoolRequest{PoolID: poolID}, nil); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, poolID)
	return nil
}

// RequestAddress implements cnm.IPAM. The unspecified address is the gateway of a pool
// that has none, which the plugin is not asked for, nor told of its release. The plugin may grant a longer prefix than that of
// the pool, as one that routes to each address does. The zero Address is for a pool of all
// addresses, from which it gives none.
func (m *IPAM) RequestAddress(ctx context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	if r.Address.IsUnspecified() {
		return cnm.Address{Prefix: netip.PrefixFrom(r.Address, 0)}, nil
	}
	request := protocol.RequestAddressRequest{PoolID: r.PoolID, Options: maps.Clone(r.Options)}
	if request.Options == nil {
		request.Options = make(map[string]string)
	}
	if r.Address.IsValid() {
		request.Address = r.Address.String()
	}
	if r.Gateway {
		request.Options[protocol.RequestAddressType] = protocol.GatewayAddress
	}
	if r.Serial {
		request.Options[protocol.Serial] = "true"
	}
	if !r.MAC.IsZero() {
		required, err := m.RequiresMAC(ctx)
		if err != nil {
			return cnm.Address{}, err
		}
		if required {
			request.Options[protocol.MACAddress] = r.MAC.String()
		}
	}
	var reply protocol.RequestAddressReply
	if err := m.call(ctx, "RequestAddress", request, &reply); err != nil {
		return cnm.Address{}, err
	}
	m.mu.Lock()
	pool := m.pools[r.PoolID]
	m.mu.Unlock()
	granted, err := parseAddress(reply, r, pool)
	if err == nil {
		return granted, nil
	}
	if prefix, parseErr := netip.ParsePrefix(reply.Address); parseErr == nil {
		err = m.giveBack(ctx, err, "ReleaseAddress", protocol.ReleaseAddressRequest{PoolID: r.PoolID, Address: prefix.Addr().String()})
	}
	return cnm.Address{}, m.wrap("RequestAddress", err)
}

// ReleaseAddress implements cnm.IPAM.
func (m *IPAM) ReleaseAddress(ctx context.Context, poolID string, address netip.Addr) error {
	if address.IsUnspecified() {
		return nil
	}
	return m.call(ctx, "ReleaseAddress", protocol.ReleaseAddressRequest{PoolID: poolID, Address: address.String()}, nil)
}

func method(name string) string { return Type + "." + name }

// call asks the plugin once.
func (m *IPAM) call(ctx context.Context, name string, request, reply any) error {
	p, err := m.registry.Wait(ctx, m.name, Type)
	if err != nil {
		return err
	}
	return p.Call(ctx, method(name), request, reply)
}

// giveBack releases what was granted and is of no use, and returns err, which says why.
// With a nil err it returns what goes wrong.
func (m *IPAM) giveBack(ctx context.Context, err error, name string, request any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	undo := m.call(ctx, name, request, nil)
	switch {
	case undo == nil:
		return plugin.Settled(err)
	case err == nil:
		return undo
	}
	return fmt.Errorf("%w; and it could not be given back: %s", err, undo.Error())
}

// wrap adds who answered what to an error about an answer.
func (m *IPAM) wrap(name string, err error) error {
	kind := cnm.KindOf(err)
	return cnm.E(fmt.Sprintf("plugin %q", m.name), kind, fmt.Errorf("%s: %w", method(name), err))
}
