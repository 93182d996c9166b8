package networkdb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/docker/libnetwork/networkdb/message"
)

// entryID names an entry within a network.
type entryID struct {
	table, key string
}

// entry is one version of an entry; it does not change.
type entry struct {
	entryID
	owner string
	time  uint64
	value []byte
	// deleted makes it a tombstone, to be forgotten at expires.
	deleted bool
	expires time.Time
	// keySum and sum are the hashes in message.Summary; sum is zero if deleted.
	keySum, sum uint64
}

func newEntry(id entryID, owner string, at uint64, value []byte) *entry {
	e := &entry{entryID: id, owner: owner, time: at, value: value, keySum: sumOf(0, id.table, id.key)}
	e.sum = sumOf(at, id.table, id.key, owner, string(value))
	return e
}

func newTombstone(id entryID, owner string, at uint64, expires time.Time) *entry {
	return &entry{entryID: id, owner: owner, time: at, deleted: true, expires: expires, keySum: sumOf(0, id.table, id.key)}
}

// newerThan orders versions of an entry: by time; at the same time, which happens to a
// node that lost its memory, in an order that all nodes see alike.
func (e *entry) newerThan(other *entry) bool {
	switch {
	case other == nil:
		return true
	case e.time != other.time:
		return e.time > other.time
	case e.deleted != other.deleted:
		return e.deleted
	}
	return bytes.Compare(e.value, other.value) > 0
}

// is tells whether the event is what made the entry so.
func (e *entry) is(event message.TableEvent) bool {
	return e.time == event.Time && e.deleted == (event.Action == message.Delete) && (e.deleted || bytes.Equal(e.value, event.Value))
}

// size is what the entry takes in memory, roughly.
func (e *entry) size() int { return sizeOf(e.entryID, e.value) }

func sizeOf(id entryID, value []byte) int {
	const fixed = 256 // the structure, and its places in maps
	return fixed + len(id.table) + len(id.key) + len(value)
}

// event returns what to tell others about the entry.
func (e *entry) event(network string, action message.Action, now time.Time) message.TableEvent {
	t := message.TableEvent{
		Action: action, Time: e.time, Node: e.owner, Network: network, Table: e.table, Key: e.key, Value: e.value,
	}
	if e.deleted {
		t.Action = message.Delete
		t.Residual = int32(max(1, min(e.expires.Sub(now)/time.Second, 1<<31-1))) //nolint:gosec // bounded just here
	}
	return t
}

// sumOf hashes a number and texts, each with its length, so that no two lists look alike.
// It is a cryptographic hash, cut: keys and values come from anywhere, and whoever could
// make two equal sums would hide a difference.
func sumOf(number uint64, texts ...string) uint64 {
	size := 8
	for _, t := range texts {
		size += 8 + len(t)
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, size), number)
	for _, t := range texts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(t)))
		b = append(b, t...)
	}
	sum := sha256.Sum256(b)
	return max(1, binary.BigEndian.Uint64(sum[:])) // zero means none
}
