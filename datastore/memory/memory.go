// Package memory is a store that lasts as long as the process.
package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// Store implements cnm.Store. Its snapshots are maps that are never changed once
// they have been published.
type Store struct {
	writer sync.Mutex // serialises Update

	mu      sync.RWMutex // guards what follows
	entries map[string][]byte
	closed  bool
}

// New returns an empty store.
func New() *Store { return &Store{entries: make(map[string][]byte)} }

func (s *Store) snapshot(ctx context.Context) (map[string][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, cnm.E("memory store", cnm.Timeout, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, cnm.E("memory store", cnm.Unavailable, errors.New("is closed"))
	}
	return s.entries, nil
}

// View implements cnm.Store.
func (s *Store) View(ctx context.Context, fn func(cnm.Tx) error) error {
	entries, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	return fn(&tx{entries: entries})
}

// Update implements cnm.Store.
func (s *Store) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	entries, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	t := &tx{entries: maps.Clone(entries), writable: true}
	if err := fn(t); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return cnm.E("memory store", cnm.Unavailable, errors.New("is closed"))
	}
	s.entries = t.entries
	return nil
}

// Close implements cnm.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.entries = true, nil
	return nil
}

type tx struct {
	entries  map[string][]byte
	writable bool
}

func (t *tx) Get(key string) ([]byte, error) {
	value, ok := t.entries[key]
	if !ok {
		return nil, cnm.E("", cnm.NotFound, fmt.Errorf("key %q: not found", key))
	}
	return bytes.Clone(value), nil
}

func (t *tx) Put(key string, value []byte) error {
	if err := t.check(key); err != nil {
		return err
	}
	t.entries[key] = append([]byte{}, value...)
	return nil
}

func (t *tx) Delete(key string) error {
	if err := t.check(key); err != nil {
		return err
	}
	delete(t.entries, key)
	return nil
}

func (t *tx) check(key string) error {
	switch {
	case !t.writable:
		return cnm.E("", cnm.Forbidden, fmt.Errorf("key %q: a view cannot write", key))
	case key == "":
		return cnm.E("", cnm.Invalid, errors.New("key: is empty"))
	}
	return nil
}

func (t *tx) List(prefix string) ([]cnm.KeyValue, error) {
	var out []cnm.KeyValue
	for key, value := range t.entries {
		if strings.HasPrefix(key, prefix) {
			out = append(out, cnm.KeyValue{Key: key, Value: bytes.Clone(value)})
		}
	}
	slices.SortFunc(out, func(a, b cnm.KeyValue) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}
