package lease

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// schema is the version of the JSON form of the records below.
const schema = 1

// What keys begin with. Ids of pools hold slashes, so that of an address is behind a sign
// that neither holds.
const (
	prefixPool    = "lease/pool/"
	prefixAddress = "lease/address/"
	keyOpen       = "lease/open"
	separator     = "@"
)

func keyPool(id string) string { return prefixPool + id }

func keyAddress(poolID string, address netip.Addr) string {
	return prefixAddress + poolID + separator + address.String()
}

// spaceOf returns the address space of a pool, which its id begins with.
func spaceOf(poolID string) (string, error) {
	space, _, ok := strings.Cut(poolID, "/")
	if !ok {
		return "", cnm.E("", cnm.Internal, fmt.Errorf("pool %q: its id names no address space", poolID))
	}
	return space, nil
}

type poolRecord struct {
	Schema  int          `json:"schema"`
	Prefix  netip.Prefix `json:"prefix"`
	SubPool netip.Prefix `json:"subPool,omitzero"`
	Serial  bool         `json:"serial,omitempty"`
	Granted time.Time    `json:"granted"`
}

type addressRecord struct {
	Schema  int       `json:"schema"`
	Gateway bool      `json:"gateway,omitempty"`
	Granted time.Time `json:"granted"`
}

type openRecord struct {
	Schema int                  `json:"schema"`
	Grants map[string]time.Time `json:"grants"`
}

func put(t cnm.Tx, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return t.Put(key, text)
}

func putPool(t cnm.Tx, p *Pool) error {
	return put(t, keyPool(p.ID), poolRecord{Schema: schema, Prefix: p.Prefix, SubPool: p.SubPool, Serial: p.Serial, Granted: p.Granted})
}

func putAddress(t cnm.Tx, key string, a Address) error {
	return put(t, key, addressRecord{Schema: schema, Gateway: a.Gateway, Granted: a.Granted})
}

func putOpen(t cnm.Tx, open map[string]time.Time) error {
	return put(t, keyOpen, openRecord{Schema: schema, Grants: open})
}

// load reads all pools, and which grants of an earlier process may be given once more.
func load(ctx context.Context, store cnm.Store) (pools map[string]*Pool, open map[string]time.Time, err error) {
	err = store.View(ctx, func(t cnm.Tx) error {
		pools = make(map[string]*Pool)
		if err := loadPools(t, pools); err != nil {
			return err
		}
		open, err = loadOpen(t)
		return err
	})
	return pools, open, err
}

func loadPools(t cnm.Tx, pools map[string]*Pool) error {
	all, err := t.List(prefixPool)
	if err != nil {
		return err
	}
	for _, entry := range all {
		var rec poolRecord
		if err := decode(entry.Key, entry.Value, &rec, &rec.Schema); err != nil {
			return err
		}
		id := strings.TrimPrefix(entry.Key, prefixPool)
		pools[id] = &Pool{ID: id, Prefix: rec.Prefix, SubPool: rec.SubPool, Serial: rec.Serial, Granted: rec.Granted, Addresses: make(map[netip.Addr]Address)}
	}
	all, err = t.List(prefixAddress)
	if err != nil {
		return err
	}
	for _, entry := range all {
		var rec addressRecord
		if err := decode(entry.Key, entry.Value, &rec, &rec.Schema); err != nil {
			return err
		}
		id, text, _ := strings.Cut(strings.TrimPrefix(entry.Key, prefixAddress), separator)
		address, err := netip.ParseAddr(text)
		if err != nil || pools[id] == nil {
			return cnm.E("", cnm.Internal, fmt.Errorf("record %q: is of no pool in the book, or of no address", entry.Key))
		}
		pools[id].Addresses[address] = Address{Gateway: rec.Gateway, Granted: rec.Granted}
	}
	return nil
}

func loadOpen(t cnm.Tx) (map[string]time.Time, error) {
	var rec openRecord
	text, err := t.Get(keyOpen)
	switch {
	case errors.Is(err, cnm.NotFound):
		return map[string]time.Time{}, nil
	case err != nil:
		return nil, err
	}
	if err := decode(keyOpen, text, &rec, &rec.Schema); err != nil {
		return nil, err
	}
	if rec.Grants == nil {
		rec.Grants = make(map[string]time.Time)
	}
	return rec.Grants, nil
}

func decode(key string, text []byte, into any, version *int) error {
	if err := json.Unmarshal(text, into); err != nil {
		return cnm.E("", cnm.Internal, fmt.Errorf("record %q: %w", key, err))
	}
	if *version != schema {
		return cnm.E("", cnm.Unsupported, fmt.Errorf("record %q: is of version %d, and this program knows %d; use the program that wrote it", key, *version, schema))
	}
	return nil
}

// List returns copies of all pools, sorted by id.
func (b *Book) List(ctx context.Context) ([]Pool, error) {
	release, err := b.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var out []Pool
	for _, p := range b.pools {
		one := *p
		one.Addresses = maps.Clone(p.Addresses)
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Pool) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}
