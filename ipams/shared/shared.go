// Package shared is an address manager whose pools and addresses are in a store that the
// hosts of a cluster share. It serves the address space of global networks.
//
// What to grant is decided by another address manager, a replica that knows what the
// store holds; whether it is granted is decided by the store. An address is an entry of
// its own, so to claim one is one commit that fails only if that address was claimed
// meanwhile; hosts that claim different addresses do not get in each other's way. What a
// replica knows may be old: then a claim fails, and another one is tried, at random if that
// happens often.
//
// Entries say which host has claimed them. So a host that starts again gets its own
// addresses by asking for them, as the contract of address managers has it; Sweep
// releases what it does not ask for, and ReleaseNode what a host had that is gone.
package shared

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"

	"github.com/docker/libnetwork/cnm"
)

// The operations, as errors begin.
const (
	opRequestPool    = "request pool"
	opReleasePool    = "release pool"
	opRequestAddress = "request address"
	opReleaseAddress = "release address"
)

// Where entries are in the store.
const (
	poolKeys    = "ipam/pools/"     // and the pool's id
	addressKeys = "ipam/addresses/" // and the pool's instance, a slash, and the address
)

// longestNode bounds the name of a node, in bytes.
const longestNode = 256

// Options say who asks.
type Options struct {
	// Node names this host among those that share the store; it must stay the same when
	// the host starts again, and no two address managers may have it at a time. It is
	// required.
	Node string
	// Log is told about entries that could not be deleted and that nobody waits for; nil
	// means nobody.
	Log *slog.Logger
}

// IPAM implements cnm.IPAM. It is safe for concurrent use. New makes one. The ids of pools
// are those of the replicas.
type IPAM struct {
	store   cnm.Store
	replica func() (cnm.IPAM, error)
	node    string
	log     *slog.Logger
	// global is the address space that is served; local is named for completeness.
	local, global string

	mu    sync.Mutex // guards pools
	pools map[string]*pool
}

// New returns an address manager on a store, which it does not close. replica returns a
// new address manager that holds nothing, the same on all hosts: usually that of package
// builtin, with the pools that are configured. Invalid is for a missing node.
func New(store cnm.Store, replica func() (cnm.IPAM, error), options Options) (*IPAM, error) {
	const op = "create shared address manager"
	if options.Node == "" || len(options.Node) > longestNode {
		return nil, cnm.E(op, cnm.Invalid, fmt.Errorf("node %q: needs a name of 1 to %d bytes", options.Node, longestNode))
	}
	first, err := replica()
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	local, global, err := first.AddressSpaces(context.Background())
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &IPAM{
		store: store, replica: replica, node: options.Node, log: options.Log, local: local, global: global,
		pools: make(map[string]*pool),
	}, nil
}

// AddressSpaces implements cnm.IPAM. Only the global one can be asked for pools.
func (m *IPAM) AddressSpaces(context.Context) (local, global string, err error) {
	return m.local, m.global, nil
}

// schemaVersion is the version of the records below. A reader refuses higher ones.
const schemaVersion = 1

// poolRecord is a pool in the store.
type poolRecord struct {
	Schema int `json:"schema"`
	// Instance tells this pool from an earlier one of the same id: addresses belong to
	// an instance, so that releasing the pool releases them, however many they are.
	Instance string       `json:"instance"`
	ID       string       `json:"id"`
	Prefix   netip.Prefix `json:"prefix"`
	SubPool  netip.Prefix `json:"subPool,omitzero"`
	Holder   string       `json:"holder,omitempty"`
}

// addressRecord is an address in the store; the key says which.
type addressRecord struct {
	Schema int    `json:"schema"`
	Node   string `json:"node"`
	// Gateway says that it is a network's gateway, which all hosts have.
	Gateway bool   `json:"gateway,omitempty"`
	MAC     string `json:"mac,omitempty"`
}

func decode(key string, value []byte, record any, schema *int) error {
	if err := json.Unmarshal(value, record); err != nil {
		return cnm.E("", cnm.Internal, fmt.Errorf("key %q: is damaged: %w", key, err))
	}
	if *schema < 1 || *schema > schemaVersion {
		return cnm.E("", cnm.Unsupported, fmt.Errorf("key %q: has schema %d, and this version knows %d; update it", key, *schema, schemaVersion))
	}
	return nil
}

func decodePool(key string, value []byte) (poolRecord, error) {
	var r poolRecord
	return r, decode(key, value, &r, &r.Schema)
}

func decodeAddress(key string, value []byte) (addressRecord, error) {
	var r addressRecord
	return r, decode(key, value, &r, &r.Schema)
}

func put(tx cnm.Tx, key string, record any) error {
	value, err := json.Marshal(record)
	if err != nil {
		return cnm.E("", cnm.Internal, err)
	}
	return tx.Put(key, value)
}

// RequestPool implements cnm.IPAM. A chosen pool that the same holder has already is
// granted again: each host asks for the pools of its networks when it starts. The other
// errors are those of the replica.
func (m *IPAM) RequestPool(ctx context.Context, r cnm.PoolRequest) (cnm.Pool, error) {
	if r.AddressSpace != m.global {
		return cnm.Pool{}, cnm.E(opRequestPool, cnm.Invalid, fmt.Errorf("address space %q: is not shared by hosts; use %q", r.AddressSpace, m.global))
	}
	var granted cnm.Pool
	err := m.store.Update(ctx, func(tx cnm.Tx) error {
		records, err := listPools(tx)
		if err != nil {
			return err
		}
		for _, held := range records {
			if r.Holder != "" && held.Holder == r.Holder && held.Prefix == r.Pool && held.SubPool == r.SubPool {
				granted = cnm.Pool{ID: held.ID, Prefix: held.Prefix}
				return nil
			}
		}
		replica, err := m.replicaWith(ctx, records)
		if err != nil {
			return err
		}
		if granted, err = replica.RequestPool(ctx, r); err != nil {
			return err
		}
		instance, err := newInstance()
		if err != nil {
			return err
		}
		return put(tx, poolKeys+granted.ID, poolRecord{
			Schema: schemaVersion, Instance: instance, ID: granted.ID, Prefix: granted.Prefix, SubPool: r.SubPool, Holder: r.Holder,
		})
	})
	if err != nil {
		return cnm.Pool{}, cnm.Wrap(opRequestPool, err)
	}
	return granted, nil
}

func newInstance() (string, error) {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return "", cnm.E("", cnm.Internal, err)
	}
	return hex.EncodeToString(id), nil
}

func listPools(tx cnm.Tx) ([]poolRecord, error) {
	entries, err := tx.List(poolKeys)
	if err != nil {
		return nil, err
	}
	out := make([]poolRecord, len(entries))
	for i, e := range entries {
		if out[i], err = decodePool(e.Key, e.Value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// replicaWith returns a replica that holds pools.
func (m *IPAM) replicaWith(ctx context.Context, records []poolRecord) (cnm.IPAM, error) {
	replica, err := m.replica()
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		_, err := replica.RequestPool(ctx, cnm.PoolRequest{AddressSpace: m.global, Pool: r.Prefix, SubPool: r.SubPool, Holder: r.Holder})
		if err != nil {
			return nil, cnm.E("", cnm.Internal, fmt.Errorf("the store holds pool %q, which cannot be: %w", r.ID, err))
		}
	}
	return replica, nil
}

// ReleasePool implements cnm.IPAM. The addresses in it are released with it.
func (m *IPAM) ReleasePool(ctx context.Context, poolID string) error {
	var record poolRecord
	err := m.store.Update(ctx, func(tx cnm.Tx) (err error) {
		if record, err = getPool(tx, poolID); err != nil {
			return err
		}
		return tx.Delete(poolKeys + poolID)
	})
	if err != nil {
		return cnm.Wrap(opReleasePool, err)
	}
	m.forget(poolID, record.Instance)
	// They are free already, since their instance is gone; the entries only take room.
	if err := m.deleteAddresses(ctx, addressKeys+record.Instance+"/", nil); err != nil {
		m.log.Info("entries of a released pool stay in the store until the next sweep", "pool", poolID, "error", err)
	}
	return nil
}

func getPool(tx cnm.Tx, poolID string) (poolRecord, error) {
	value, err := tx.Get(poolKeys + poolID)
	if errors.Is(err, cnm.NotFound) {
		return poolRecord{}, cnm.E("", cnm.NotFound, fmt.Errorf("pool %q: does not exist; it was released, or never requested", poolID))
	}
	if err != nil {
		return poolRecord{}, err
	}
	return decodePool(poolKeys+poolID, value)
}

// together is how many entries one commit deletes: all stores can do as many.
const together = 50

// deleteAddresses deletes the addresses below a prefix that match, all if match is nil, a
// number of them at a time.
func (m *IPAM) deleteAddresses(ctx context.Context, prefix string, match func(key string, record addressRecord) bool) error {
	var found []cnm.KeyValue
	err := m.store.View(ctx, func(tx cnm.Tx) (err error) {
		found, err = tx.List(prefix)
		return err
	})
	for err == nil && len(found) > 0 {
		part := found[:min(together, len(found))]
		found = found[len(part):]
		err = m.store.Update(ctx, func(tx cnm.Tx) error {
			for _, e := range part {
				if err := deleteIf(tx, e.Key, match); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}

func deleteIf(tx cnm.Tx, key string, match func(string, addressRecord) bool) error {
	if match != nil {
		value, err := tx.Get(key)
		if errors.Is(err, cnm.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		record, err := decodeAddress(key, value)
		if err != nil || !match(key, record) {
			return err
		}
	}
	return tx.Delete(key)
}

// ReleaseNode releases all addresses that a node claimed, save gateways, which belong to
// networks. It is for a host that is gone for good.
func (m *IPAM) ReleaseNode(ctx context.Context, node string) error {
	err := m.deleteAddresses(ctx, addressKeys, func(_ string, r addressRecord) bool { return r.Node == node && !r.Gateway })
	return cnm.Wrap(fmt.Sprintf("release addresses of node %q", node), err)
}

// Sweep releases what this node claimed before it started and has not asked for since:
// a crash came between the claim and the record. It is called once all records were
// restored. It also deletes entries of pools that were released.
func (m *IPAM) Sweep(ctx context.Context) error {
	const op = "release what nobody asked for"
	var records []poolRecord
	var addresses []cnm.KeyValue
	err := m.store.View(ctx, func(tx cnm.Tx) (err error) {
		if records, err = listPools(tx); err == nil {
			addresses, err = tx.List(addressKeys)
		}
		return err
	})
	instances := make(map[string]*pool, len(records))
	for _, r := range records {
		if err == nil {
			instances[r.Instance], err = m.pool(ctx, r.ID)
		}
	}
	left := make(map[string]bool) // true for those of pools that were released
	for _, e := range addresses {
		instance, text, _ := strings.Cut(strings.TrimPrefix(e.Key, addressKeys), "/")
		p, exists := instances[instance]
		address, parseErr := netip.ParseAddr(text)
		if !exists || p != nil && parseErr == nil && p.abandon(address) {
			left[e.Key] = !exists
		}
	}
	if err == nil && len(left) > 0 {
		err = m.deleteAddresses(ctx, addressKeys, func(key string, r addressRecord) bool {
			orphan, ok := left[key]
			return ok && (orphan || r.Node == m.node)
		})
	}
	return cnm.Wrap(op, err)
}
