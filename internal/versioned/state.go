package versioned

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
)

// state is what the store held at one head. It never changes.
type state struct {
	version uint64 // of the head
	head    head
	entries []cnm.KeyValue // by key
}

func (s *state) find(key string) (int, bool) {
	return slices.BinarySearchFunc(s.entries, key, func(e cnm.KeyValue, key string) int { return strings.Compare(e.Key, key) })
}

// Get implements remotestore.Reader.
func (s *state) Get(key string) ([]byte, bool, error) {
	at, ok := s.find(key)
	if !ok {
		return nil, false, nil
	}
	return append([]byte{}, s.entries[at].Value...), true, nil
}

// List implements remotestore.Reader.
func (s *state) List(prefix string) ([]cnm.KeyValue, error) {
	var out []cnm.KeyValue
	for _, e := range s.below(prefix) {
		out = append(out, cnm.KeyValue{Key: e.Key, Value: append([]byte{}, e.Value...)})
	}
	return out, nil
}

// below returns the entries below a prefix; a state that could not be read has none.
func (s *state) below(prefix string) []cnm.KeyValue {
	if s == nil {
		return nil
	}
	from, _ := s.find(prefix)
	to := from
	for to < len(s.entries) && strings.HasPrefix(s.entries[to].Key, prefix) {
		to++
	}
	return s.entries[from:to]
}

// with returns entries changed by writes.
func with(entries []cnm.KeyValue, writes []remotestore.Write) []cnm.KeyValue {
	last := make(map[string]remotestore.Write, len(writes))
	for _, w := range writes {
		last[w.Key] = w
	}
	keys := slices.Sorted(maps.Keys(last))
	out := make([]cnm.KeyValue, 0, len(entries)+len(keys))
	for _, key := range keys {
		for len(entries) > 0 && entries[0].Key < key {
			out = append(out, entries[0])
			entries = entries[1:]
		}
		if len(entries) > 0 && entries[0].Key == key {
			entries = entries[1:]
		}
		if w := last[key]; !w.Delete {
			out = append(out, cnm.KeyValue{Key: key, Value: w.Value})
		}
	}
	return append(out, entries...)
}

// entriesOf sorts what was loaded.
func entriesOf(loaded map[string][]byte) []cnm.KeyValue {
	out := make([]cnm.KeyValue, 0, len(loaded))
	for _, key := range slices.Sorted(maps.Keys(loaded)) {
		out = append(out, cnm.KeyValue{Key: key, Value: loaded[key]})
	}
	return out
}

// changes returns what makes one list of entries another.
func changes(from, to []cnm.KeyValue) []cnm.Change {
	var out []cnm.Change
	gone := func(e cnm.KeyValue) { out = append(out, cnm.Change{Key: e.Key, Deleted: true}) }
	for _, e := range to {
		for len(from) > 0 && from[0].Key < e.Key {
			gone(from[0])
			from = from[1:]
		}
		if len(from) > 0 && from[0].Key == e.Key {
			same := bytes.Equal(from[0].Value, e.Value)
			from = from[1:]
			if same {
				continue
			}
		}
		out = append(out, cnm.Change{Key: e.Key, Value: append([]byte{}, e.Value...)})
	}
	for _, e := range from {
		gone(e)
	}
	return out
}
