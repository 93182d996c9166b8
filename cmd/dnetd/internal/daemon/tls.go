package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
)

// certificates are those that TCP sockets use, which a reload replaces.
type certificates struct{ current atomic.Pointer[tls.Config] }

// loadTLS reads the files; nil means that there are none.
func loadTLS(d *config.DnetCfg) (*tls.Config, error) {
	if d.TLSCert == "" {
		return nil, nil
	}
	authority, err := os.ReadFile(d.TLSCACert)
	if err != nil {
		return nil, cnm.E("TLS: CA certificate", cnm.Invalid, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, cnm.E("TLS", cnm.Invalid, fmt.Errorf("CA certificate %q: holds no PEM certificate", d.TLSCACert))
	}
	pair, err := tls.LoadX509KeyPair(d.TLSCert, d.TLSKey)
	if err != nil {
		return nil, cnm.E("TLS", cnm.Invalid, fmt.Errorf("certificate %q with key %q: %w", d.TLSCert, d.TLSKey, err))
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"http/1.1"},
	}, nil
}

// config is what a listener needs: each connection gets the certificates of the moment.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if current := c.current.Load(); current != nil {
				return current, nil
			}
			return nil, errors.New("there are no certificates")
		},
	}
}
