package datastore

import (
	"crypto/tls"
	"path"
	"strings"
	"time"
)

// Scopes of data.
const (
	// LocalScope is data of one host.
	LocalScope = "local"
	// GlobalScope is data that the hosts of a cluster share.
	GlobalScope = "global"
)

// Names of stores, as in ScopeClientCfg.Provider.
const (
	// ProviderBolt is a file of package go.etcd.io/bbolt; its address is the path.
	ProviderBolt = "boltdb"
	// ProviderEtcd, ProviderConsul and ProviderZooKeeper are stores on servers, which many
	// hosts share; their address is host:port/prefix, or several servers with commas between.
	ProviderEtcd      = "etcd"
	ProviderConsul    = "consul"
	ProviderZooKeeper = "zk"
	// ProviderMemory is a store that ends with the process; it has no address.
	ProviderMemory = "memory"
)

const (
	// DefaultDataDir is where data is kept unless the caller says otherwise.
	DefaultDataDir = "/var/lib/libnetwork"
	// DefaultBucket is the bucket of the local store.
	DefaultBucket = "libnetwork"
	// DefaultConnectionTimeout bounds the wait for a local store that another
	// process has open.
	DefaultConnectionTimeout = time.Second
	// localFile is the store's place below the data dir, as callers of 2017 know it.
	localFile = "network/files/local-kv.db"
)

// ScopeCfg configures a scope's store.
type ScopeCfg struct {
	Client ScopeClientCfg
}

// ScopeClientCfg says which store it is and how to reach it.
type ScopeClientCfg struct {
	// Provider names the kind of store, such as ProviderBolt.
	Provider string
	// Address is a path, or host:port/prefix, as the provider wants it.
	Address string
	// Config holds further settings; nil means none.
	Config *StoreConfig
}

// StoreConfig holds the settings that stores have in common. A store ignores what
// it has no use for.
type StoreConfig struct {
	// TLS nil means a connection without TLS.
	TLS *tls.Config
	// ConnectionTimeout bounds the opening of the store; 0 means the store's default.
	ConnectionTimeout time.Duration
	// Bucket is the part of a bolt file to use; empty means DefaultBucket.
	Bucket string
	// PersistConnection keeps the store open between operations.
	PersistConnection bool
	// Username and Password are empty for a store without login.
	Username string
	Password string
}

// Clone returns a copy; that of nil is nil. TLS is cloned too.
func (c *StoreConfig) Clone() *StoreConfig {
	if c == nil {
		return nil
	}
	out := *c
	out.TLS = c.TLS.Clone()
	return &out
}

// Clone returns a copy that shares nothing; that of nil is nil.
func (cfg *ScopeCfg) Clone() *ScopeCfg {
	if cfg == nil {
		return nil
	}
	out := *cfg
	out.Client.Config = cfg.Client.Config.Clone()
	return &out
}

// IsValid reports whether cfg names a store and, unless that is ProviderMemory, an
// address. Nil is not valid.
func (cfg *ScopeCfg) IsValid() bool {
	if cfg == nil {
		return false
	}
	provider := strings.TrimSpace(cfg.Client.Provider)
	return provider == ProviderMemory || provider != "" && strings.TrimSpace(cfg.Client.Address) != ""
}

// DefaultScopes returns the scopes that need no configuration: the local one, in
// the file network/files/local-kv.db below dataDir. An empty dataDir means
// DefaultDataDir.
func DefaultScopes(dataDir string) map[string]*ScopeCfg {
	if dataDir == "" {
		dataDir = DefaultDataDir
	}
	return map[string]*ScopeCfg{
		LocalScope: {Client: ScopeClientCfg{
			Provider: ProviderBolt,
			Address:  path.Join(dataDir, localFile),
			Config: &StoreConfig{
				Bucket:            DefaultBucket,
				ConnectionTimeout: DefaultConnectionTimeout,
				PersistConnection: true,
			},
		}},
	}
}
