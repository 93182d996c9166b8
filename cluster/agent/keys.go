package agent

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/types"
)

// SubsystemGossip and SubsystemIPSec are what keys of a cluster are for: the traffic of the
// gossip database, and that of the networks themselves.
const (
	SubsystemGossip = "networking:gossip"
	SubsystemIPSec  = "networking:ipsec"
)

// GossipKeys returns the keys for gossip, the primary one first. A cluster manager hands
// out up to three: the one before, the one in use, and the one to come, told apart by
// their times. So of several the second oldest is primary. Sizes are those of AES.
func GossipKeys(keys []*types.EncryptionKey) ([][]byte, error) {
	var own []*types.EncryptionKey
	for _, key := range keys {
		switch {
		case key == nil:
			return nil, cnm.E("", cnm.Invalid, fmt.Errorf("keys: one is missing"))
		case key.Subsystem != SubsystemGossip && key.Subsystem != SubsystemIPSec:
			return nil, cnm.E("", cnm.Invalid, fmt.Errorf("key of subsystem %q: want %q or %q", key.Subsystem, SubsystemGossip, SubsystemIPSec))
		case key.Subsystem != SubsystemGossip:
			continue
		case !slices.Contains([]int{16, 24, 32}, len(key.Key)):
			return nil, cnm.E("", cnm.Invalid, fmt.Errorf("key of subsystem %q: has %d bytes; want 16, 24 or 32", key.Subsystem, len(key.Key)))
		}
		own = append(own, key)
	}
	slices.SortStableFunc(own, func(a, b *types.EncryptionKey) int {
		if a.LamportTime < b.LamportTime {
			return -1
		}
		if a.LamportTime > b.LamportTime {
			return 1
		}
		return 0
	})
	var out [][]byte
	for _, key := range own {
		out = append(out, bytes.Clone(key.Key))
	}
	if len(out) > 1 {
		out[0], out[1] = out[1], out[0]
	}
	return out, nil
}

// Rotate makes keys those of the node: what is new is added, the first one becomes primary,
// and what is gone is removed, in this order, so that at no moment a key is missing that
// others use.
func (a *Agent) Rotate(keys [][]byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.keys) == 0 || len(keys) == 0 {
		if len(a.keys) == len(keys) {
			return nil
		}
		return cnm.E("rotate keys", cnm.Forbidden, fmt.Errorf("the node has %d keys and is to have %d: encryption begins and ends with the cluster; start the agent anew", len(a.keys), len(keys)))
	}
	for _, key := range keys {
		if err := a.db.SetKey(key); err != nil {
			return cnm.Wrap("rotate keys", err)
		}
	}
	if err := a.db.SetPrimaryKey(keys[0]); err != nil {
		return cnm.Wrap("rotate keys", err)
	}
	for _, old := range a.keys {
		if !slices.ContainsFunc(keys, func(key []byte) bool { return bytes.Equal(key, old) }) {
			if err := a.db.RemoveKey(old); err != nil {
				return cnm.Wrap("rotate keys", err)
			}
		}
	}
	a.keys = keys
	return nil
}
