package etcd_test

import (
	"context"
	"errors"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/test/storeserver"
)

// protect gives the server a user "net" with the password "secret" who may write below p,
// and beside it, where commits leave their traces.
func protect(t *testing.T, c *clientv3.Client) {
	t.Helper()
	ctx := context.Background()
	steps := []func() error{
		func() error { _, err := c.RoleAdd(ctx, "root"); return err },
		func() error { _, err := c.UserAdd(ctx, "root", "root"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.RoleAdd(ctx, "net"); return err },
		func() error {
			_, err := c.RoleGrantPermission(ctx, "net", "p", clientv3.GetPrefixRangeEnd("p"), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := c.UserAdd(ctx, "net", "secret"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "net", "net"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	server := storeserver.Etcd(t, nil)
	protect(t, client(t, server.Address))
	s := open(t, server.Address+"/p", etcd.Options{Username: "net", Password: "secret"})
	put(t, s, "a", "1")
	for name, try := range map[string]struct {
		address string
		options etcd.Options
	}{
		"no login":        {"/p", etcd.Options{}},
		"wrong password":  {"/p", etcd.Options{Username: "net", Password: "wrong"}},
		"not its entries": {"/q", etcd.Options{Username: "net", Password: "secret"}},
	} {
		err := open(t, server.Address+try.address, try.options).Update(context.Background(), func(tx cnm.Tx) error { return tx.Put("a", nil) })
		if !errors.Is(err, cnm.Forbidden) {
			t.Errorf("%s: error %v, want %q", name, err, cnm.Forbidden)
		}
	}
	// The server forgets who is logged in.
	server.Kill()
	late := open(t, server.Address+"/p", etcd.Options{Username: "net", Password: "secret", Timeout: 3 * time.Second})
	err := late.View(context.Background(), func(cnm.Tx) error { return nil })
	if !errors.Is(err, cnm.Unavailable) {
		t.Errorf("login without a server: error %v, want %q", err, cnm.Unavailable)
	}
	server.Start()
	put(t, s, "a", "2")
	put(t, late, "a", "3")
}

func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address string
		options etcd.Options
	}{
		{"", etcd.Options{}}, {"http://h:1", etcd.Options{}}, {"h:0", etcd.Options{}}, {"h:1/..", etcd.Options{}},
		{"h:1", etcd.Options{Password: "x"}}, {"h:1", etcd.Options{Timeout: -1}}, {"h:1", etcd.Options{Timeout: 24 * time.Hour}},
	} {
		if s, err := etcd.Open(test.address, test.options); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%q: %v, error %v, want %q", test.address, s, err, cnm.Invalid)
		}
	}
}
