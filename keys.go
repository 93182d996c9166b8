package libnetwork

import "github.com/docker/libnetwork/types"

// ByTime sorts keys by when they were made, the oldest first.
type ByTime []*types.EncryptionKey

// Len implements sort.Interface.
func (b ByTime) Len() int { return len(b) }

// Less implements sort.Interface.
func (b ByTime) Less(i, j int) bool { return b[i].LamportTime < b[j].LamportTime }

// Swap implements sort.Interface.
func (b ByTime) Swap(i, j int) { b[i], b[j] = b[j], b[i] }
