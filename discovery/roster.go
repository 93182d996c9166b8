package discovery

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// Where records are in the store. Signs of life are apart from nodes, so that who watches
// the nodes is not told of each sign.
const (
	nodeKeys = "nodes/"
	beatKeys = "beats/"
)

// schemaVersion is the version of the records below. A reader passes over higher ones.
const schemaVersion = 1

type nodeRecord struct {
	Schema int    `json:"schema"`
	Host   string `json:"host"`
	Port   uint16 `json:"port,omitempty"`
}

// beatRecord is a sign of life. What counts is that it changes.
type beatRecord struct {
	Schema int `json:"schema"`
	// Session is another one each time that a node registers.
	Session string `json:"session"`
	Count   uint64 `json:"count"`
	// TTL is how long after this sign the node is to be taken for alive, in milliseconds.
	TTL int64 `json:"ttl"`
}

// snapshot is what a store holds of nodes at one moment: records, by what follows the
// prefix of their keys.
type snapshot struct{ nodes, beats map[string]string }

func read(tx cnm.Tx) (snapshot, error) {
	out := snapshot{make(map[string]string), make(map[string]string)}
	for prefix, into := range map[string]map[string]string{nodeKeys: out.nodes, beatKeys: out.beats} {
		entries, err := tx.List(prefix)
		if err != nil {
			return snapshot{}, err
		}
		for _, e := range entries {
			into[strings.TrimPrefix(e.Key, prefix)] = string(e.Value)
		}
	}
	return out, nil
}

// roster judges who is alive, from what it is shown again and again.
type roster struct {
	sights map[string]sight
	blind  bool // the store did not answer when it was looked at last
}

// sight is when a sign of life was seen to change.
type sight struct {
	beat  string
	since time.Time
}

// missed is told that the store did not answer.
func (r *roster) missed() { r.blind = true }

// look returns who is alive, and the names of those that are not any more.
func (r *roster) look(now time.Time, s snapshot) (alive []Node, dead []string) {
	next := make(map[string]sight, len(s.nodes))
	for name, text := range s.nodes {
		node, ok := decodeNode(name, text)
		if !ok {
			continue // another version's, or another program's
		}
		seen, known := r.sights[name]
		if beat := s.beats[name]; !known || r.blind || seen.beat != beat {
			seen = sight{beat: beat, since: now}
		}
		next[name] = seen
		if now.Sub(seen.since) > ttlOf(seen.beat) {
			dead = append(dead, name)
			continue
		}
		if len(alive) < mostNodes {
			alive = append(alive, node)
		}
	}
	r.sights, r.blind = next, false
	slices.SortFunc(alive, compare)
	return slices.Compact(alive), dead
}

func decodeNode(name, text string) (Node, bool) {
	var record nodeRecord
	if json.Unmarshal([]byte(text), &record) != nil || record.Schema < 1 || record.Schema > schemaVersion {
		return Node{}, false
	}
	node, err := ParseNode(Node{record.Host, record.Port}.String())
	return node, err == nil && node.String() == name
}

// ttlOf returns the time to live that a sign of life gives, with a half more: time for a
// sign that is late since the store was busy. One that cannot be read gives the least.
func ttlOf(beat string) time.Duration {
	var record beatRecord
	_ = json.Unmarshal([]byte(beat), &record) // the zero value will do
	ttl := time.Duration(min(max(record.TTL, leastTTL.Milliseconds()), longestTTL.Milliseconds())) * time.Millisecond
	return ttl + ttl/2
}

// difference returns what is in one sorted list and not in the other.
func difference(from, without []Node) []Node {
	var out []Node
	for _, node := range from {
		if _, ok := slices.BinarySearchFunc(without, node, compare); !ok {
			out = append(out, node)
		}
	}
	return out
}
