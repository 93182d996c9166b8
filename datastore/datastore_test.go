package datastore_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/types"
)

func TestDefaultScopes(t *testing.T) {
	for dataDir, path := range map[string]string{
		"":                "/var/lib/libnetwork/network/files/local-kv.db",
		"/var/lib/docker": "/var/lib/docker/network/files/local-kv.db",
		"/srv/":           "/srv/network/files/local-kv.db",
	} {
		want := map[string]*datastore.ScopeCfg{"local": {Client: datastore.ScopeClientCfg{
			Provider: "boltdb",
			Address:  path,
			Config:   &datastore.StoreConfig{Bucket: "libnetwork", ConnectionTimeout: time.Second, PersistConnection: true},
		}}}
		got := datastore.DefaultScopes(dataDir)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", dataDir, diff)
		}
		if !got[datastore.LocalScope].IsValid() {
			t.Errorf("%q: not valid", dataDir)
		}
		got[datastore.LocalScope].Client.Config.Bucket = "x"
		if datastore.DefaultScopes(dataDir)[datastore.LocalScope].Client.Config.Bucket == "x" {
			t.Error("the defaults can be changed")
		}
	}
}

func TestScopeIsValid(t *testing.T) {
	client := func(provider, address string) *datastore.ScopeCfg {
		return &datastore.ScopeCfg{Client: datastore.ScopeClientCfg{Provider: provider, Address: address}}
	}
	for _, test := range []struct {
		cfg  *datastore.ScopeCfg
		want bool
	}{
		{nil, false}, {client("", ""), false}, {client("etcd", ""), false}, {client("", "h:1"), false}, {client(" ", "h:1"), false},
		{client("etcd", " \t"), false}, {client("etcd", "h:1"), true}, {client("memory", ""), true},
	} {
		if got := test.cfg.IsValid(); got != test.want {
			t.Errorf("%+v: got %t", test.cfg, got)
		}
	}
}

func TestScopeClone(t *testing.T) {
	if (*datastore.ScopeCfg)(nil).Clone() != nil || (*datastore.StoreConfig)(nil).Clone() != nil {
		t.Error("clone of nil is not nil")
	}
	scope := &datastore.ScopeCfg{Client: datastore.ScopeClientCfg{
		Provider: "etcd", Address: "h:1",
		Config: &datastore.StoreConfig{Username: "u", Password: "p", TLS: &tls.Config{ServerName: "s"}},
	}}
	clone := scope.Clone()
	clone.Client.Address, clone.Client.Config.Username, clone.Client.Config.TLS.ServerName = "x", "x", "x"
	if scope.Client.Address != "h:1" || scope.Client.Config.Username != "u" || scope.Client.Config.TLS.ServerName != "s" {
		t.Errorf("the original changed: %+v", scope)
	}
	if clone.Client.Provider != "etcd" || clone.Client.Config.Password != "p" {
		t.Errorf("the clone lacks something: %+v", clone)
	}
}

func TestKey(t *testing.T) {
	if got := datastore.Key(datastore.NetworkKeyPrefix, "n1"); got != "docker/network/v1.0/network/n1/" {
		t.Error(got)
	}
	if got := datastore.Key(datastore.EndpointKeyPrefix, "n1", "e1"); got != "docker/network/v1.0/endpoint/n1/e1/" {
		t.Error(got)
	}
	for key, want := range map[string][]string{
		"docker/network/v1.0/network/n1/":   {"network", "n1"},
		"/docker/network/v1.0/network/n1":   {"network", "n1"},
		"docker/network/v1.0/endpoint/n/e/": {"endpoint", "n", "e"},
		"docker/network/v1.0/x":             {"x"},
	} {
		got, err := datastore.ParseKey(key)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v, %s", key, err, diff)
		}
	}
	for _, key := range []string{"", "/", "docker/network/v1.0", "docker/network/v1.0/", "docker/network/v1/x", "docker/network/v1.0x/y", "network/n1"} {
		got, err := datastore.ParseKey(key)
		if _, ok := err.(types.BadRequestError); !ok || got != nil {
			t.Errorf("%q: got %q, %v, want a bad request", key, got, err)
		}
	}
}

func TestKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.StringMatching(`[^/]+`), 1, 5).Draw(t, "elements")
		got, err := datastore.ParseKey(datastore.Key(want...))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"docker/network/v1.0/network/n1/", "/docker/network/v1.0/x", "x", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		elements, err := datastore.ParseKey(key)
		if err != nil {
			return
		}
		if got := datastore.Key(elements...); strings.Trim(got, "/") != strings.Trim(key, "/") {
			t.Fatalf("%q gives %q gives %q", key, elements, got)
		}
	})
}

func TestErrors(t *testing.T) {
	if _, ok := datastore.ErrKeyModified.(types.RetryError); !ok || !errors.Is(datastore.ErrKeyModified, cnm.Conflict) {
		t.Error("ErrKeyModified")
	}
	if _, ok := datastore.ErrKeyNotFound.(types.NotFoundError); !ok || !errors.Is(datastore.ErrKeyNotFound, cnm.NotFound) {
		t.Error("ErrKeyNotFound")
	}
	if _, ok := datastore.ErrNotImplmented.(types.NotImplementedError); !ok || !errors.Is(datastore.ErrNotImplmented, cnm.Unsupported) {
		t.Error("ErrNotImplmented")
	}
	if errors.Is(datastore.ErrKeyModified, datastore.ErrKeyNotFound) {
		t.Error("two errors are the same")
	}
}
