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

// since returns the keys that changed after another head, and false if that cannot be
// told.
func (h head) since(sequence uint64) ([]string, bool) {
	if h.Sequence < sequence || h.Sequence-sequence > uint64(len(h.Commits)) {
		return nil, false
	}
	var keys []string
	for _, c := range h.Commits[len(h.Commits)-int(h.Sequence-sequence):] {
		if c.Many {
			return nil, false
		}
		for _, encoded := range c.Keys {
			key, err := base64.RawURLEncoding.DecodeString(encoded)
			if err != nil {
				return nil, false
			}
			keys = append(keys, string(key))
		}
	}
	return keys, true
}

// made reports whether a commit that followed the head of the given sequence is in h,
// and whether h tells at all.
func (h head) made(id string, sequence uint64) (made, known bool) {
	for _, c := range h.Commits {
		if c.ID == id {
			return true, true
		}
	}
	return false, h.Sequence >= sequence && h.Sequence-sequence <= uint64(len(h.Commits))
}
