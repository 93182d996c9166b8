package etcd_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/test/storeserver"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	certificates := storeserver.NewCertificates(t)
	server := storeserver.Etcd(t, certificates)
	s := open(t, server.Address, etcd.Options{TLS: certificates.Client(t)})
	update(t, s, func(tx cnm.Tx) error { return tx.Put("k", []byte("secret")) })
	err := s.View(context.Background(), func(tx cnm.Tx) error {
		value, err := tx.Get("k")
		if string(value) != "secret" {
			t.Errorf("value %q", value)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	other := storeserver.NewCertificates(t)
	for name, options := range map[string]etcd.Options{
		"no TLS":            {},
		"no certificate":    {TLS: certificates.Stranger(t)},
		"another authority": {TLS: other.Client(t)},
	} {
		options.Timeout = 500 * time.Millisecond
		stranger := open(t, server.Address, options)
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
