package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/test/storeserver"
)

// client returns a client that sees all keys.
func client(t *testing.T, address string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + address}, Logger: zap.NewNop(), DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func rawKeys(t *testing.T, c *clientv3.Client) (keys []string) {
	t.Helper()
	response, err := c.Get(context.Background(), "", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range response.Kvs {
		keys = append(keys, string(entry.Key))
	}
	return keys
}

// compact makes the server forget all but the latest state.
func compact(t *testing.T, c *clientv3.Client) {
	t.Helper()
	response, err := c.Get(context.Background(), "x")
	if err == nil {
		_, err = c.Compact(context.Background(), response.Header.Revision, clientv3.WithCompactPhysical())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, s cnm.Store, key, value string) {
	t.Helper()
	update(t, s, func(tx cnm.Tx) error { return tx.Put(key, []byte(value)) })
}

// Updates that have nothing to do with each other do not get in each other's way.
func TestUnrelatedChanges(t *testing.T) {
	t.Parallel()
	s := open(t, storeserver.Etcd(t, nil).Address, etcd.Options{})
	runs := 0
	update(t, s, func(tx cnm.Tx) error {
		runs++
		if _, err := tx.List("networks/"); err != nil {
			return err
		}
		if _, err := tx.Get("endpoints/1"); !errors.Is(err, cnm.NotFound) {
			return err
		}
		put(t, s, "endpoints/2", "x")
		return tx.Put("networks/1", nil)
	})
	if runs != 1 {
		t.Errorf("the update ran %d times, want once", runs)
	}
}

func TestLargeUpdates(t *testing.T) {
	t.Parallel()
	s := open(t, storeserver.Etcd(t, nil).Address, etcd.Options{})
	write := func(from, to, size int) error {
		return s.Update(context.Background(), func(tx cnm.Tx) error {
			for i := from; i < to; i++ {
				if err := tx.Put(fmt.Sprintf("k%05d", i), []byte(strings.Repeat("v", size))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := write(0, 3600, 10); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx cnm.Tx) error {
		entries, err := tx.List("k")
		if len(entries) != 3600 {
			t.Errorf("%d entries, want 3600", len(entries))
		}
		for _, e := range entries {
			err = errors.Join(err, tx.Delete(e.Key))
		}
		return err
	})
	for name, err := range map[string]error{"keys": write(0, 3601, 1), "bytes": write(0, 100, 20_000)} {
		if !errors.Is(err, cnm.Exhausted) {
			t.Errorf("too many %s: error %v, want %q", name, err, cnm.Exhausted)
		}
	}
	err := s.View(context.Background(), func(tx cnm.Tx) error {
		if entries, err := tx.List(""); err != nil || len(entries) != 0 {
			t.Errorf("%v; %d entries are there, want none", err, len(entries))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCompaction(t *testing.T) {
	t.Parallel()
	server := storeserver.Etcd(t, nil)
	s, c := open(t, server.Address, etcd.Options{}), client(t, server.Address)
	put(t, s, "a", "1")
	err := s.View(context.Background(), func(tx cnm.Tx) error {
		put(t, s, "a", "2")
		compact(t, c)
		_, err := tx.Get("a")
		return err
	})
	if !errors.Is(err, cnm.Conflict) {
		t.Errorf("a view of what is forgotten: error %v, want %q", err, cnm.Conflict)
	}
	runs := 0
	update(t, s, func(tx cnm.Tx) error {
		if _, err := tx.Get("a"); err != nil {
			return err
		}
		if runs++; runs == 1 {
			put(t, s, "b", "1")
			compact(t, c)
		}
		if _, err := tx.Get("b"); err != nil {
			return err
		}
		return tx.Put("c", nil)
	})
	if runs != 2 {
		t.Errorf("an update of what is forgotten ran %d times, want 2", runs)
	}
}

// A watch that was cut off, and whose changes the server has forgotten, tells what differs.
func TestWatchAfterCompaction(t *testing.T) {
	t.Parallel()
	server := storeserver.Etcd(t, nil)
	proxy := storeserver.NewProxy(t, server.Address)
	c := client(t, server.Address)
	near, far := open(t, server.Address, etcd.Options{}), open(t, proxy.Address, etcd.Options{Timeout: 200 * time.Millisecond})
	for _, key := range []string{"changes", "goes", "stays", "returns"} {
		put(t, near, key, "1")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	next, stop := iter.Pull2(far.Watch(ctx, ""))
	defer stop()
	if changes, err, _ := next(); len(changes) != 4 || err != nil {
		t.Fatalf("the watch tells %v, %v at first", changes, err)
	}
	proxy.Cut()
	update(t, near, func(tx cnm.Tx) error {
		return errors.Join(tx.Put("changes", []byte("2")), tx.Delete("goes"), tx.Put("comes", []byte("2")), tx.Delete("returns"))
	})
	put(t, near, "returns", "1")
	put(t, near, "short-lived", "1")
	update(t, near, func(tx cnm.Tx) error { return tx.Delete("short-lived") })
	compact(t, c)
	proxy.Mend()
	var got []string
	for len(got) < 4 {
		changes, err, ok := next()
		if !ok {
			t.Fatalf("the watch ended, having told %q", got)
		}
		if err != nil {
			continue // as long as it was cut off
		}
		for _, change := range changes {
			got = append(got, fmt.Sprint(change.Key, " ", string(change.Value), " ", change.Deleted))
		}
	}
	want := "changes 2 false, comes 2 false, returns 1 false, goes  true"
	if strings.Join(got, ", ") != want {
		t.Errorf("the watch tells %q, want %q", strings.Join(got, ", "), want)
	}
}

// However many updates run at once, the traces of a process are few.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	server := storeserver.Etcd(t, nil)
	s := open(t, server.Address+"/p", etcd.Options{})
	var group sync.WaitGroup
	for i := range 300 {
		group.Go(func() { put(t, s, fmt.Sprint("k", i), "x") })
	}
	group.Wait()
	traces := 0
	for _, key := range rawKeys(t, client(t, server.Address)) {
		if strings.HasPrefix(key, "p.commits/") {
			traces++
		}
	}
	if traces > 64 {
		t.Errorf("there are %d traces", traces)
	}
}

func TestNothingStaysBehind(t *testing.T) {
	t.Parallel()
	server := storeserver.Etcd(t, nil)
	c := client(t, server.Address)
	ctx := context.Background()
	old := fmt.Sprint("id ", time.Now().Add(-60*24*time.Hour).Unix())
	for key, value := range map[string]string{"p.commits/ended/1": old, "p.commits/ended/2": "fence " + old, "p.commits/lives/1": fmt.Sprint("id ", time.Now().Unix()), "p.commits/other": "?"} {
		if _, err := c.Put(ctx, key, value); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, server.Address+"/p", etcd.Options{})
	put(t, s, "a", "1")
	if keys := rawKeys(t, c); len(keys) != 4 {
		t.Errorf("while the store is in use there are %q, want the entry, two slots and a key of another program", keys)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(rawKeys(t, c), " "), "p.commits/lives/1 p.commits/other p/a"; got != want {
		t.Errorf("afterwards there are %q, want %q", got, want)
	}
}
