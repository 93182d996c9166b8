package zookeeper_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/zookeeper"
	"github.com/docker/libnetwork/test/storeserver"
)

// TestTLS has the TLS of a proxy, since that of the server takes more than it brings here.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := storeserver.ZooKeeper(t)
	certificates := storeserver.NewCertificates(t)
	proxy := storeserver.NewTLSProxy(t, server.Address, certificates)
	s := open(t, proxy.Address, zookeeper.Options{TLS: certificates.Client(t)})
	err := s.Update(context.Background(), func(tx cnm.Tx) error { return tx.Put("k", []byte("secret")) })
	if err != nil {
		t.Error(err)
	}
	other := storeserver.NewCertificates(t)
	for name, options := range map[string]zookeeper.Options{
		"no TLS":            {},
		"no certificate":    {TLS: certificates.Stranger(t)},
		"another authority": {TLS: other.Client(t)},
	} {
		options.Timeout = 500 * time.Millisecond
		stranger := open(t, proxy.Address, options)
		err := stranger.View(context.Background(), func(cnm.Tx) error { return nil })
		if !errors.Is(err, cnm.Unavailable) {
			t.Errorf("%s: error %v, want %q", name, err, cnm.Unavailable)
			continue
		}
		if name == "another authority" && !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: error %q does not say what it is about", name, err)
		}
	}
}
