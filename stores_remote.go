//go:build !localstores

package libnetwork

import (
	"fmt"
	"log/slog"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/datastore/consul"
	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/datastore/zookeeper"
	"github.com/docker/libnetwork/internal/remotestore"
)

// openRemoteStore opens a store on servers. They are not asked yet.
func openRemoteStore(client datastore.ScopeClientCfg, log *slog.Logger) (cnm.Store, error) {
	options := remotestore.Options{Log: log}
	if c := client.Config; c != nil {
		options.TLS, options.Username, options.Password, options.Timeout = c.TLS, c.Username, c.Password, c.ConnectionTimeout
	}
	switch client.Provider {
	case datastore.ProviderEtcd:
		return etcd.Open(client.Address, options)
	case datastore.ProviderConsul:
		return consul.Open(client.Address, options)
	case datastore.ProviderZooKeeper:
		return zookeeper.Open(client.Address, options)
	}
	return nil, cnm.E("", cnm.Unsupported, fmt.Errorf("store %q: not in this build; it has %q, %q, %q, and for one host alone %q and %q", client.Provider,
		datastore.ProviderEtcd, datastore.ProviderConsul, datastore.ProviderZooKeeper, datastore.ProviderBolt, datastore.ProviderMemory))
}
