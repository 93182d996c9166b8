package libnetwork

import (
	"errors"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
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
	if cfg.Cluster.Watcher != nil || cfg.Cluster.Discovery != "" {
		return cnm.E("", cnm.Unsupported, errors.New("discovery of nodes: this version has no clusters; leave it away"))
	}
	return nil
}
