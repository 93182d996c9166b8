package libnetwork

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/docker/libnetwork/cnm"
)

// Keys of the store. An id holds no slash, so no key is the prefix of another kind.
const (
	keyController = "controller"
	keyNetwork    = "network/"
	keyEndpoint   = "endpoint/"
	keySandbox    = "sandbox/"
)

// controllerRecord is what a controller keeps about itself.
type controllerRecord struct {
	Schema int    `json:"schema"`
	ID     string `json:"id"`
}

// batch gathers the writes of one commit.
type batch struct {
	puts    []cnm.KeyValue
	deletes []string
	err     error
}

func (b *batch) put(key string, record any) {
	value, err := json.Marshal(record)
	if err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("record %q: %w", key, err))
		return
	}
	b.puts = append(b.puts, cnm.KeyValue{Key: key, Value: value})
}

func (b *batch) putNetwork(n *cnm.Network)   { b.put(keyNetwork+n.ID, n) }
func (b *batch) putEndpoint(e *cnm.Endpoint) { b.put(keyEndpoint+e.ID, e) }
func (b *batch) putSandbox(s *cnm.Sandbox)   { b.put(keySandbox+s.ID, s) }

func (b *batch) delete(key string) { b.deletes = append(b.deletes, key) }

// commit writes the batch at once.
func (c *controller) commit(ctx context.Context, b *batch) error {
	if b.err != nil {
		return cnm.E("", cnm.Internal, b.err)
	}
	if len(b.puts)+len(b.deletes) == 0 {
		return nil
	}
	return c.store.Update(ctx, func(tx cnm.Tx) error {
		for _, entry := range b.puts {
			if err := tx.Put(entry.Key, entry.Value); err != nil {
				return err
			}
		}
		for _, key := range b.deletes {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// loadAll reads all records below a prefix.
func loadAll[R any](tx cnm.Tx, prefix string, schema func(*R) int) ([]*R, error) {
	entries, err := tx.List(prefix)
	if err != nil {
		return nil, err
	}
	records := make([]*R, 0, len(entries))
	for _, entry := range entries {
		record := new(R)
		if err := json.Unmarshal(entry.Value, record); err != nil {
			return nil, cnm.E("", cnm.Internal, fmt.Errorf("record %q: %w", entry.Key, err))
		}
		if err := checkSchema(entry.Key, schema(record)); err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

func checkSchema(key string, schema int) error {
	if schema < 1 || schema > cnm.SchemaVersion {
		return cnm.E("", cnm.Unsupported, fmt.Errorf("record %q: has schema version %d, this version knows up to %d; use a newer version",
			key, schema, cnm.SchemaVersion))
	}
	return nil
}

// loadController returns the controller's record, made and committed if it is the
// first time.
func loadController(ctx context.Context, store cnm.Store) (controllerRecord, error) {
	var record controllerRecord
	err := store.View(ctx, func(tx cnm.Tx) error {
		value, err := tx.Get(keyController)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(value, &record); err != nil {
			return cnm.E("", cnm.Internal, fmt.Errorf("record %q: %w", keyController, err))
		}
		return checkSchema(keyController, record.Schema)
	})
	if !errors.Is(err, cnm.NotFound) {
		return record, err
	}
	record = controllerRecord{Schema: cnm.SchemaVersion, ID: newID()}
	value, err := json.Marshal(record)
	if err != nil {
		return record, err
	}
	return record, store.Update(ctx, func(tx cnm.Tx) error { return tx.Put(keyController, value) })
}
