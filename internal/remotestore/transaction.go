package remotestore

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Reader reads one state of a store.
type Reader interface {
	// Get returns a value that the caller may keep, and whether there is one.
	Get(key string) ([]byte, bool, error)
	// List returns entries in byte order that the caller may keep.
	List(prefix string) ([]cnm.KeyValue, error)
}

// Write is what a transaction does to one key.
type Write struct {
	Key    string
	Value  []byte
	Delete bool
}

// Transaction implements cnm.Tx: it reads from a Reader and keeps what is written.
type Transaction struct {
	reader   Reader
	writable bool
	writes   map[string]Write
	// failure is the first error of the reader: whatever the function made of it, what
	// it wrote is not to be trusted.
	failure error
}

// NewTransaction returns a transaction on what the reader reads.
func NewTransaction(reader Reader, writable bool) *Transaction {
	return &Transaction{reader: reader, writable: writable, writes: make(map[string]Write)}
}

// Run calls fn. A failure of the reader comes before the error of fn.
func (t *Transaction) Run(fn func(cnm.Tx) error) error {
	err := fn(t)
	if t.failure != nil {
		return t.failure
	}
	return err
}

// Writes returns what was written, by key.
func (t *Transaction) Writes() []Write {
	out := make([]Write, 0, len(t.writes))
	for _, key := range slices.Sorted(maps.Keys(t.writes)) {
		out = append(out, t.writes[key])
	}
	return out
}

func (t *Transaction) fail(err error) error {
	if t.failure == nil {
		t.failure = err
	}
	return err
}

// Get implements cnm.Tx.
func (t *Transaction) Get(key string) ([]byte, error) {
	if w, ok := t.writes[key]; ok {
		if w.Delete {
			return nil, notFound(key)
		}
		return append([]byte{}, w.Value...), nil
	}
	if key == "" {
		return nil, notFound(key)
	}
	value, found, err := t.reader.Get(key)
	if err != nil {
		return nil, t.fail(err)
	}
	if !found {
		return nil, notFound(key)
	}
	return value, nil
}

func notFound(key string) error {
	return cnm.E("", cnm.NotFound, fmt.Errorf("key %q: not found", key))
}

// Put implements cnm.Tx.
func (t *Transaction) Put(key string, value []byte) error {
	if err := t.check(key); err != nil {
		return err
	}
	t.writes[key] = Write{Key: key, Value: append([]byte{}, value...)}
	return nil
}

// Delete implements cnm.Tx.
func (t *Transaction) Delete(key string) error {
	if err := t.check(key); err != nil {
		return err
	}
	t.writes[key] = Write{Key: key, Delete: true}
	return nil
}

func (t *Transaction) check(key string) error {
	switch {
	case !t.writable:
		return cnm.E("", cnm.Forbidden, fmt.Errorf("key %q: a view cannot write", key))
	case key == "":
		return cnm.E("", cnm.Invalid, errors.New("key: is empty"))
	}
	return nil
}

// List implements cnm.Tx.
func (t *Transaction) List(prefix string) ([]cnm.KeyValue, error) {
	entries, err := t.reader.List(prefix)
	if err != nil {
		return nil, t.fail(err)
	}
	overlaid := slices.DeleteFunc(entries, func(e cnm.KeyValue) bool {
		_, written := t.writes[e.Key]
		return written
	})
	before := len(overlaid)
	for key, w := range t.writes {
		if !w.Delete && strings.HasPrefix(key, prefix) {
			overlaid = append(overlaid, cnm.KeyValue{Key: key, Value: bytes.Clone(w.Value)})
		}
	}
	if len(overlaid) > before {
		slices.SortFunc(overlaid, func(a, b cnm.KeyValue) int { return strings.Compare(a.Key, b.Key) })
	}
	return overlaid, nil
}
