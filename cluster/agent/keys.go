package agent

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/docker/libnetwork/cnm"
)

// Key is a key for the traffic of the database.
type Key struct {
	// Time tells keys apart: the newest has the highest.
	Time uint64
	// Secret has 16, 24 or 32 bytes, as AES wants it.
	Secret []byte
}

// Ring returns the secrets of keys as Options.Keys and Rotate want them. A cluster manager
// hands out up to three: the one before, the one in use, and the one to come. So of several
// the second oldest is primary. Invalid is for a secret of another size.
func Ring(keys []Key) ([][]byte, error) {
	own := slices.Clone(keys)
	slices.SortStableFunc(own, func(a, b Key) int { return cmp.Compare(a.Time, b.Time) })
	var out [][]byte
	for _, key := range own {
		if !slices.Contains([]int{16, 24, 32}, len(key.Secret)) {
			return nil, cnm.E("", cnm.Invalid, fmt.Errorf("key: has %d bytes; want 16, 24 or 32", len(key.Secret)))
		}
		out = append(out, bytes.Clone(key.Secret))
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
