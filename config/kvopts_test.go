package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
)

// writeCertificate writes a self-signed certificate and its key.
func writeCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate = writePEM(t, "CERTIFICATE", der)
	return certificate, writePEM(t, "EC PRIVATE KEY", keyDER)
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOptionKVOptsTLS(t *testing.T) {
	certificate, key := writeCertificate(t)
	cfg := config.ParseConfigOptions(
		config.OptionKVProvider("etcd"),
		config.OptionKVProviderURL("h:2379"),
		config.OptionKVOpts(map[string]string{
			"kv.cacertfile": certificate, "kv.certfile": certificate, "kv.keyfile": key, "discovery.heartbeat": "20",
		}),
	)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	got := cfg.Scopes[datastore.GlobalScope].Client.Config
	if got == nil || got.TLS == nil || len(got.TLS.Certificates) != 1 || got.TLS.RootCAs == nil {
		t.Errorf("got %+v", got)
	}
	if clone := cfg.Clone().Scopes[datastore.GlobalScope].Client.Config; clone.TLS == got.TLS {
		t.Error("the clone shares the TLS configuration")
	}
}

func TestOptionKVOptsRefusesFiles(t *testing.T) {
	certificate, key := writeCertificate(t)
	for name, test := range map[string]struct{ authority, certificate, key, want string }{
		"no such file":     {filepath.Join(t.TempDir(), "none"), certificate, key, "certificate authority: open"},
		"no certificate":   {key, certificate, key, "holds no PEM certificate"},
		"key is not a key": {certificate, certificate, certificate, "certificate \"" + certificate + "\" with key"},
	} {
		t.Run(name, func(t *testing.T) {
			err := config.ParseConfigOptions(config.OptionKVOpts(map[string]string{
				"kv.cacertfile": test.authority, "kv.certfile": test.certificate, "kv.keyfile": test.key,
			})).Validate()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
