package libnetwork

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/datastore/bolt"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/ipams/builtin"
	"github.com/docker/libnetwork/ipams/shared"
)

// openStore opens the store of the local scope.
func openStore(cfg *config.Config) (cnm.Store, error) {
	scope := cfg.Scopes[datastore.LocalScope]
	if scope == nil || scope.Client.Provider == "" {
		scope = datastore.DefaultScopes(cfg.Daemon.DataDir)[datastore.LocalScope]
	}
	switch scope.Client.Provider {
	case datastore.ProviderMemory:
		return memory.New(), nil
	case datastore.ProviderBolt:
		options := bolt.Options{}
		if scope.Client.Config != nil {
			options.LockTimeout = scope.Client.Config.ConnectionTimeout
		}
		return bolt.Open(scope.Client.Address, options)
	}
	return openRemoteStore(scope.Client, slog.Default())
}

// openGlobal opens the store of the global scope, if one is configured, with the manager of
// the addresses in it.
func openGlobal(cfg *config.Config, id string, settings builtin.Config, log *slog.Logger) (*global, error) {
	scope := cfg.Scopes[datastore.GlobalScope]
	if scope == nil || scope.Client.Provider == "" {
		return nil, nil
	}
	store, err := openRemoteStore(scope.Client, log)
	if err != nil {
		return nil, cnm.Wrap("store of the global scope", err)
	}
	replica := func() (cnm.IPAM, error) { return builtin.New(settings) }
	ipam, err := shared.New(store, replica, shared.Options{Node: id, Log: log})
	if err != nil {
		return nil, joinKinds([]error{err, store.Close()})
	}
	return newGlobal(store, id, ipam), nil
}

// scopedIPAM serves the address space of this host by itself, and that of all hosts by the
// store that they share.
type scopedIPAM struct {
	*builtin.IPAM
	shared *shared.IPAM
	// space is the address space of all hosts; ids of pools begin with that of theirs.
	space string
}

func newScopedIPAM(local *builtin.IPAM, g *global) (*scopedIPAM, error) {
	_, space, err := local.AddressSpaces(context.Background())
	return &scopedIPAM{IPAM: local, shared: g.ipam, space: space}, err
}

func (m *scopedIPAM) of(poolID string) cnm.IPAM {
	if strings.HasPrefix(poolID, m.space+"/") {
		return m.shared
	}
	return m.IPAM
}

// RequestPool implements cnm.IPAM.
func (m *scopedIPAM) RequestPool(ctx context.Context, r cnm.PoolRequest) (cnm.Pool, error) {
	if r.AddressSpace == m.space {
		return m.shared.RequestPool(ctx, r)
	}
	return m.IPAM.RequestPool(ctx, r)
}

// ReleasePool implements cnm.IPAM.
func (m *scopedIPAM) ReleasePool(ctx context.Context, poolID string) error {
	return m.of(poolID).ReleasePool(ctx, poolID)
}

// RequestAddress implements cnm.IPAM.
func (m *scopedIPAM) RequestAddress(ctx context.Context, r cnm.AddressRequest) (cnm.Address, error) {
	return m.of(r.PoolID).RequestAddress(ctx, r)
}

// ReleaseAddress implements cnm.IPAM.
func (m *scopedIPAM) ReleaseAddress(ctx context.Context, poolID string, address netip.Addr) error {
	return m.of(poolID).ReleaseAddress(ctx, poolID, address)
}
