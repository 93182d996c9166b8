package versioned

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
)

// Bounds of what a head lists.
const (
	mostCommits = 64
	// mostKeys is how many keys the commits of a head have together; one with more is
	// listed without its keys, and all is read again.
	mostKeys = 128
	// mostKeyBytes is how long they are together.
	mostKeyBytes = 16 << 10
)

// formVersion is the version of the form below.
const formVersion = 1

// head is the value of the head, in JSON.
type head struct {
	Form int `json:"form"`
	// Sequence counts the commits of the store.
	Sequence uint64 `json:"sequence"`
	// Commits are the last ones, the latest at the end.
	Commits []commit `json:"commits"`
}

// commit says what one commit changed.
type commit struct {
	ID string `json:"id"`
	// Keys are base64, since keys are bytes and JSON is text.
	Keys []string `json:"keys,omitempty"`
	// Many says that they are too many to list.
	Many bool `json:"many,omitempty"`
}

func newID() string {
	id := make([]byte, 12)
	_, _ = rand.Read(id) // does not fail: see its documentation
	return base64.RawURLEncoding.EncodeToString(id)
}

// parseHead reads a head; a store that has none yet has an empty one.
func parseHead(value []byte) (head, error) {
	if len(value) == 0 {
		return head{Form: formVersion}, nil
	}
	var h head
	if err := json.Unmarshal(value, &h); err != nil {
		return head{}, cnm.E("", cnm.Internal, fmt.Errorf("the store's head is damaged (%w); was it written by another program?", err))
	}
	if h.Form != formVersion || len(h.Commits) > mostCommits || uint64(len(h.Commits)) > h.Sequence {
		return head{}, cnm.E("", cnm.Unsupported, fmt.Errorf("the store's head has form %d, not %d: another version wrote it", h.Form, formVersion))
	}
	return h, nil
}

// after returns the head that a commit writes.
func (h head) after(id string, writes []remotestore.Write) ([]byte, error) {
	made := commit{ID: id}
	for _, w := range writes {
		made.Keys = append(made.Keys, base64.RawURLEncoding.EncodeToString([]byte(w.Key)))
	}
	commits := append(h.Commits[:len(h.Commits):len(h.Commits)], made)
	commits = commits[max(0, len(commits)-mostCommits):]
	// The latest keep their keys as long as there is room.
	keys, size := 0, 0
	for i := len(commits) - 1; i >= 0; i-- {
		for _, key := range commits[i].Keys {
			keys++
			size += len(key)
		}
		if keys > mostKeys || size > mostKeyBytes {
			commits[i].Keys, commits[i].Many = nil, true
		}
	}
	return json.Marshal(head{Form: formVersion, Sequence: h.Sequence + 1, Commits: commits})
}

// last returns the id of the last commit. A store that somebody deleted and that was
// begun anew may have a version again, but not an id.
func (h head) last() string {
	if len(h.Commits) == 0 {
		return ""
	}
	return h.Commits[len(h.Commits)-1].ID
}

// follows returns the commits between another head and this one, and false if that cannot
// be told: they are too many, or the store was begun anew.
func (h head) follows(earlier head) ([]commit, bool) {
	if h.Sequence < earlier.Sequence || h.Sequence-earlier.Sequence > uint64(len(h.Commits)) {
		return nil, false
	}
	at := len(h.Commits) - int(h.Sequence-earlier.Sequence)
	if earlier.Sequence > 0 && (at == 0 || h.Commits[at-1].ID != earlier.last()) {
		return nil, false
	}
	return h.Commits[at:], true
}

// since returns the keys that changed after an earlier head, and false if that cannot be
// told.
func (h head) since(earlier head) ([]string, bool) {
	commits, ok := h.follows(earlier)
	var keys []string
	for _, c := range commits {
		ok = ok && !c.Many
		for _, encoded := range c.Keys {
			key, err := base64.RawURLEncoding.DecodeString(encoded)
			ok = ok && err == nil
			keys = append(keys, string(key))
		}
	}
	return keys, ok
}

// made reports whether a commit that was to follow an earlier head is in h, and whether h
// tells at all.
func (h head) made(id string, earlier head) (made, known bool) {
	for _, c := range h.Commits {
		if c.ID == id {
			return true, true
		}
	}
	_, known = h.follows(earlier)
	return false, known
}
