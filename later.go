package libnetwork

import (
	"errors"
	"fmt"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/types"
)

// ByTime sorts keys by when they were made, the oldest first.
type ByTime []*types.EncryptionKey

// Len implements sort.Interface.
func (b ByTime) Len() int { return len(b) }

// Less implements sort.Interface.
func (b ByTime) Less(i, j int) bool { return b[i].LamportTime < b[j].LamportTime }

// Swap implements sort.Interface.
func (b ByTime) Swap(i, j int) { b[i], b[j] = b[j], b[i] }

// refuseLater refuses configuration that this version cannot honour.
func refuseLater(cfg *config.Config) error {
	switch global := cfg.Scopes[datastore.GlobalScope]; {
	case cfg.Cluster.Watcher != nil || cfg.Cluster.Discovery != "":
		return cnm.E("", cnm.Unsupported, errors.New("discovery of nodes: this version has no clusters; leave it away"))
	case global != nil && global.Client.Provider != "":
		return cnm.E("", cnm.Unsupported, fmt.Errorf("global store %q: this version has no networks of global scope; leave it away", global.Client.Provider))
	}
	return nil
}
