package zookeeper_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/zookeeper"
	"github.com/docker/libnetwork/test/storeserver"
)

func put(s cnm.Store, key, value string) error {
	return s.Update(context.Background(), func(tx cnm.Tx) error { return tx.Put(key, []byte(value)) })
}

func TestLogin(t *testing.T) {
	t.Parallel()
	server := storeserver.ZooKeeper(t)
	login := zookeeper.Options{Username: "net", Password: "secret"}
	s := open(t, server.Address, login)
	if err := put(s, "a", "1"); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]zookeeper.Options{"no login": {}, "wrong password": {Username: "net", Password: "wrong"}} {
		if err := put(open(t, server.Address, options), "a", "2"); !errors.Is(err, cnm.Forbidden) {
			t.Errorf("%s: error %v, want %q", name, err, cnm.Forbidden)
		}
	}
	// A connection to a server that knows nothing of the login.
	server.Kill()
	server.Start()
	if err := put(s, "a", "2"); err != nil {
		t.Error(err)
	}
	if err := put(open(t, server.Address, login), "a", "3"); err != nil {
		t.Error(err)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := open(t, storeserver.ZooKeeper(t).Address, zookeeper.Options{})
	if err := put(s, "a", strings.Repeat("x", 1<<20)); !errors.Is(err, cnm.Exhausted) {
		t.Errorf("error %v, want %q", err, cnm.Exhausted)
	}
	if err := put(s, "a", strings.Repeat("x", 800<<10)); err != nil {
		t.Error(err)
	}
}

func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	for address, options := range map[string]zookeeper.Options{"": {}, "h:1/zookeeper/x": {}, "h:1": {Password: "x"}} {
		if _, err := zookeeper.Open(address, options); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%q: error %v, want %q", address, err, cnm.Invalid)
		}
	}
}
