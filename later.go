package libnetwork

import (
	"errors"
	"fmt"

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

// SetExternalKey gives a sandbox of another process's controller its namespace. This
// version cannot reach other processes and returns a types.NotImplementedError; in the
// controller's own process there is Sandbox.SetKey.
func SetExternalKey(controllerID string, containerID string, key string) error {
	return operationError(fmt.Sprintf("set key %q of %s", key, quote("sandbox of container", containerID)),
		cnm.E("", cnm.Unsupported, fmt.Errorf("controller %q: cannot be reached from here; call SetKey in its process", shortID(controllerID))))
}

// refuseLater refuses configuration that this version cannot honour.
func refuseLater(cfg *config.Config) error {
	if cfg.Cluster.Watcher != nil || cfg.Cluster.Discovery != "" {
		return cnm.E("", cnm.Unsupported, errors.New("discovery of nodes: this version has no clusters; leave it away"))
	}
	return nil
}
