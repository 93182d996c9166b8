// Package discoverapi holds what drivers are told about the other nodes of a
// cluster, in the form of the 2017 API and the plugin protocol.
package discoverapi

// DiscoveryType says what a piece of discovery data is. The numbers are part of
// the plugin protocol.
type DiscoveryType int

// Types of discovery data.
const (
	// NodeDiscovery comes with NodeDiscoveryData.
	NodeDiscovery = iota + 1
	// DatastoreConfig comes with DatastoreConfigData.
	DatastoreConfig
	// EncryptionKeysConfig comes with DriverEncryptionConfig.
	EncryptionKeysConfig
	// EncryptionKeysUpdate comes with DriverEncryptionUpdate.
	EncryptionKeysUpdate
)

// Discover is told what was found out about the cluster.
type Discover interface {
	// DiscoverNew tells of something new, such as a node that joined.
	DiscoverNew(dType DiscoveryType, data interface{}) error
	// DiscoverDelete tells of something gone, such as a node that left.
	DiscoverDelete(dType DiscoveryType, data interface{}) error
}

// NodeDiscoveryData describes a node.
type NodeDiscoveryData struct {
	// Address is where others reach the node.
	Address string
	// BindAddress is where the node listens; empty means Address.
	BindAddress string
	// Self says that it is the node itself.
	Self bool
}

// DatastoreConfigData says where a scope's store is.
type DatastoreConfigData struct {
	Scope    string
	Provider string
	Address  string
	// Config is a *datastore.StoreConfig or nil.
	Config interface{}
}

// DriverEncryptionConfig holds all keys for the traffic between nodes, the one to
// encrypt with first.
type DriverEncryptionConfig struct {
	Keys [][]byte
	// Tags number the keys; Tags[i] belongs to Keys[i].
	Tags []uint64
}

// DriverEncryptionUpdate changes the keys. An empty key means none of that sort.
type DriverEncryptionUpdate struct {
	// Key is to be added, under the number Tag.
	Key []byte
	Tag uint64
	// Primary is to encrypt with from now on.
	Primary    []byte
	PrimaryTag uint64
	// Prune is to be forgotten.
	Prune    []byte
	PruneTag uint64
}
