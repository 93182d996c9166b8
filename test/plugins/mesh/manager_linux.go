package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"sync"

	"github.com/docker/go-plugins-helpers/ipam"
)

// manager grants pools and addresses, and remembers them in a file.
type manager struct {
	path string

	mu sync.Mutex // guards what follows
	// granted has the addresses of each pool, by their text.
	granted map[string]map[string]bool
	// next numbers the automatic pools: each is offered once.
	next byte
}

// space is the one address space.
const space = "mesh"

func openManager(path string) (*manager, error) {
	m := &manager{path: path, granted: make(map[string]map[string]bool)}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	return m, json.Unmarshal(content, &m.granted)
}

// store is called with the lock held.
func (m *manager) store() error {
	content, err := json.Marshal(m.granted)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(m.path+".new", m.path)
}

// GetCapabilities implements ipam.Ipam.
func (m *manager) GetCapabilities() (*ipam.CapabilitiesResponse, error) {
	return &ipam.CapabilitiesResponse{}, nil
}

// GetDefaultAddressSpaces implements ipam.Ipam.
func (m *manager) GetDefaultAddressSpaces() (*ipam.AddressSpacesResponse, error) {
	return &ipam.AddressSpacesResponse{LocalDefaultAddressSpace: space, GlobalDefaultAddressSpace: space}, nil
}

// RequestPool implements ipam.Ipam: an automatic pool is the next /24 of 10.200.0.0/16, or
// /64 of fd00:6d65::/32.
func (m *manager) RequestPool(r *ipam.RequestPoolRequest) (*ipam.RequestPoolResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.AddressSpace != space {
		return nil, fmt.Errorf("address space %q is not %q", r.AddressSpace, space)
	}
	pool := r.Pool
	for pool == "" || r.Pool == "" && m.granted[pool] != nil {
		if m.next == 255 {
			return nil, errors.New("no pools are left")
		}
		pool = fmt.Sprintf("10.200.%d.0/24", m.next)
		if r.V6 {
			pool = fmt.Sprintf("fd00:6d65:0:%x::/64", m.next)
		}
		m.next++
	}
	if m.granted[pool] != nil {
		return nil, fmt.Errorf("pool %s is granted already", pool)
	}
	m.granted[pool] = make(map[string]bool)
	return &ipam.RequestPoolResponse{PoolID: pool, Pool: pool}, m.store()
}

// ReleasePool implements ipam.Ipam.
func (m *manager) ReleasePool(r *ipam.ReleasePoolRequest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.granted[r.PoolID] == nil {
		return fmt.Errorf("pool %q is not granted", r.PoolID)
	}
	delete(m.granted, r.PoolID)
	return m.store()
}

// RequestAddress implements ipam.Ipam.
func (m *manager) RequestAddress(r *ipam.RequestAddressRequest) (*ipam.RequestAddressResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.granted[r.PoolID]
	pool, err := netip.ParsePrefix(r.PoolID)
	if err != nil || taken == nil {
		return nil, fmt.Errorf("pool %q is not granted", r.PoolID)
	}
	address := pool.Addr().Next()
	if r.Address != "" {
		if address, err = netip.ParseAddr(r.Address); err != nil {
			return nil, err
		}
		if taken[address.String()] {
			return nil, fmt.Errorf("address %s is granted already", address)
		}
	}
	for taken[address.String()] {
		address = address.Next()
	}
	if !pool.Contains(address) {
		return nil, fmt.Errorf("pool %q has no address for this", r.PoolID)
	}
	taken[address.String()] = true
	return &ipam.RequestAddressResponse{Address: netip.PrefixFrom(address, pool.Bits()).String()}, m.store()
}

// ReleaseAddress implements ipam.Ipam.
func (m *manager) ReleaseAddress(r *ipam.ReleaseAddressRequest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if taken := m.granted[r.PoolID]; !taken[r.Address] {
		return fmt.Errorf("address %q of pool %q is not granted", r.Address, r.PoolID)
	}
	delete(m.granted[r.PoolID], r.Address)
	return m.store()
}
