package datastore

import (
	"strings"

	"github.com/docker/libnetwork/types"
)

// First elements of keys.
const (
	// NetworkKeyPrefix is the first element of a network's key.
	NetworkKeyPrefix = "network"
	// EndpointKeyPrefix is the first element of an endpoint's key.
	EndpointKeyPrefix = "endpoint"
)

// root starts every key, as in the stores of 2017.
const root = "docker/network/v1.0/"

// Errors of stores. They are not to be changed.
var (
	// ErrKeyModified says that somebody else changed the value meanwhile. It is a
	// types.RetryError and cnm.Conflict.
	ErrKeyModified = types.RetryErrorf("store: the key was changed meanwhile; read it again and retry")
	// ErrKeyNotFound says that there is no such key. It is a types.NotFoundError and
	// cnm.NotFound.
	ErrKeyNotFound = types.NotFoundErrorf("store: no such key")
	// ErrNotImplmented says that the store lacks the ability. It is a
	// types.NotImplementedError and cnm.Unsupported. The spelling is that of 2017.
	ErrNotImplmented = types.NotImplementedErrorf("store: this kind of store cannot do that")
)

// Key joins elements to a store's key: "docker/network/v1.0/network/ID/". Elements
// must not hold slashes.
func Key(key ...string) string {
	return root + strings.Join(key, "/") + "/"
}

// ParseKey returns the elements of a key that Key made; slashes at either end may
// be missing. Anything else is a types.BadRequestError.
func ParseKey(key string) ([]string, error) {
	rest, ok := strings.CutPrefix(strings.Trim(key, "/"), root)
	if !ok || rest == "" {
		return nil, types.BadRequestErrorf("key %q: must start with %q and go on", key, root)
	}
	return strings.Split(rest, "/"), nil
}
