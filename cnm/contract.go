package cnm

import (
	"context"
	"net/netip"

	"github.com/docker/libnetwork/netstate"
)

// Driver turns records into the parts that namespaces must hold. It does no
// kernel work and never calls back. The records it gets are drafts of its own:
// it may complete the fields that their documentation gives to the driver, and
// keeps no pointer to them. An error must leave the driver as it was.
//
// A driver must cope with not having seen a record's creation: after a restart
// Join, Leave and the Delete calls come for records that an earlier process made.
type Driver interface {
	// CreateNetwork checks the options and returns what the network itself needs.
	CreateNetwork(context.Context, *Network) ([]netstate.Part, error)
	DeleteNetwork(context.Context, *Network) error
	// CreateEndpoint completes the endpoint, for instance its MAC address.
	CreateEndpoint(context.Context, *Network, *Endpoint) error
	DeleteEndpoint(context.Context, *Network, *Endpoint) error
	// Join returns what the endpoint needs, in the host and in the sandbox, and
	// completes Interface, Gateway4, Gateway6 and Routes.
	Join(context.Context, *Network, *Endpoint, *Sandbox) ([]netstate.Part, error)
	Leave(context.Context, *Network, *Endpoint) error
}

// IPAM hands out pools and addresses. What it holds derives from records: after a
// restart the same requests, with their answers filled in, are made again.
type IPAM interface {
	// AddressSpaces returns the default spaces of local and global networks.
	AddressSpaces(context.Context) (local, global string, err error)
	RequestPool(context.Context, PoolRequest) (Pool, error)
	// ReleasePool of an unknown id is NotFound.
	ReleasePool(ctx context.Context, poolID string) error
	RequestAddress(context.Context, AddressRequest) (Address, error)
	// ReleaseAddress of a free address is no error.
	ReleaseAddress(ctx context.Context, poolID string, address netip.Addr) error
}

// PoolRequest asks an IPAM for a pool.
type PoolRequest struct {
	// AddressSpace is required, and must be one the IPAM knows.
	AddressSpace string
	// Pool is the pool wanted; the zero Prefix means any.
	Pool netip.Prefix
	// SubPool, if valid, limits automatic addresses to a part of Pool.
	SubPool netip.Prefix
	// IPv6 selects the family when Pool is zero.
	IPv6 bool
	// Avoid lists prefixes that an automatic pool must not overlap, for instance
	// the routes of the host.
	Avoid []netip.Prefix
	// Holder names who asks, for error messages: `network "web"`.
	Holder  string
	Options map[string]string
}

// Pool is what an IPAM granted.
type Pool struct {
	ID     string       `json:"id"`
	Prefix netip.Prefix `json:"prefix"`
	// Meta is what the IPAM wants remembered, for instance a gateway of its choice.
	Meta map[string]string `json:"meta,omitempty"`
}

// AddressRequest asks an IPAM for an address.
type AddressRequest struct {
	PoolID string
	// Address is the address wanted; the zero Addr means any.
	Address netip.Addr
	// Gateway says that the address is for the network's gateway.
	Gateway bool
	// Serial asks for an address that was not used lately.
	Serial  bool
	MAC     netstate.MAC
	Options map[string]string
}

// Address is what an IPAM granted: the address with its subnet's length.
type Address struct {
	Prefix netip.Prefix
	Meta   map[string]string
}

// Store keeps records by key. Keys are slash-separated paths.
type Store interface {
	// View runs fn on a consistent snapshot.
	View(context.Context, func(Tx) error) error
	// Update runs fn and commits all that it wrote, or nothing if fn fails. Against
	// a distributed store fn may run more than once.
	Update(context.Context, func(Tx) error) error
	Close() error
}

// Tx reads and writes within one View or Update, and is invalid afterwards.
type Tx interface {
	// Get returns a copy of the value. A missing key is NotFound.
	Get(key string) ([]byte, error)
	// Put is Forbidden in a View.
	Put(key string, value []byte) error
	// Delete of a missing key is no error. It is Forbidden in a View.
	Delete(key string) error
	// List returns the keys that start with prefix, in byte order, with copies of
	// their values.
	List(prefix string) ([]KeyValue, error)
}

// KeyValue is an entry of a store.
type KeyValue struct {
	Key   string
	Value []byte
}
