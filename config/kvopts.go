package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/docker/libnetwork/datastore"
)

// Keys of OptionKVOpts.
const (
	kvAuthority   = "kv.cacertfile"
	kvCertificate = "kv.certfile"
	kvKey         = "kv.keyfile"
	kvPath        = "kv.path"
	// discoveryPrefix starts the keys for the caller's own discovery watcher.
	discoveryPrefix = "discovery."
)

// OptionKVOpts sets further options of the global scope's store: "kv.cacertfile",
// "kv.certfile" and "kv.keyfile" name PEM files for TLS, and come together or not
// at all. "kv.path" and keys that start with "discovery." are for the watcher of
// OptionDiscoveryWatcher and ignored here; others are refused.
func OptionKVOpts(opts map[string]string) Option {
	opts = maps.Clone(opts)
	return func(c *Config) {
		config, err := tlsFromOptions(opts)
		if err != nil {
			c.record("store options: %w", err)
			return
		}
		if config == nil {
			return
		}
		client := &c.scope(datastore.GlobalScope).Client
		if client.Config == nil {
			client.Config = &datastore.StoreConfig{}
		}
		client.Config.TLS = config
	}
}

func tlsFromOptions(opts map[string]string) (*tls.Config, error) {
	files := make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(opts)) {
		switch {
		case key == kvAuthority || key == kvCertificate || key == kvKey:
			files[key] = opts[key]
		case key == kvPath || strings.HasPrefix(key, discoveryPrefix):
		default:
			return nil, fmt.Errorf("key %q: unknown; use %q, %q and %q", key, kvAuthority, kvCertificate, kvKey)
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	for _, key := range []string{kvAuthority, kvCertificate, kvKey} {
		if files[key] == "" {
			return nil, fmt.Errorf("key %q: missing; TLS needs %q, %q and %q", key, kvAuthority, kvCertificate, kvKey)
		}
	}
	return loadTLS(files[kvAuthority], files[kvCertificate], files[kvKey])
}

func loadTLS(authority, certificate, key string) (*tls.Config, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificate authority %q: holds no PEM certificate", authority)
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %q with key %q: %w", certificate, key, err)
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
