package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/test/storeserver"
)

// change reads an entry and writes it.
func change(b *testing.B, s cnm.Store, key string) {
	err := s.Update(context.Background(), func(tx cnm.Tx) error {
		if _, err := tx.Get(key); err != nil && !errors.Is(err, cnm.NotFound) {
			return err
		}
		return tx.Put(key, []byte("x"))
	})
	if err != nil {
		b.Error(err)
	}
}

func BenchmarkUpdate(b *testing.B) {
	s := open(b, storeserver.Etcd(b, nil).Address, etcd.Options{})
	for b.Loop() {
		change(b, s, "k")
	}
}

// Each of many has an entry of its own.
func BenchmarkUpdateApart(b *testing.B) {
	s := open(b, storeserver.Etcd(b, nil).Address, etcd.Options{})
	var count atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		key := fmt.Sprint("k", count.Add(1))
		for pb.Next() {
			change(b, s, key)
		}
	})
}

// Many want the same entry.
func BenchmarkUpdateTogether(b *testing.B) {
	s := open(b, storeserver.Etcd(b, nil).Address, etcd.Options{})
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			change(b, s, "k")
		}
	})
}

func BenchmarkView(b *testing.B) {
	s := open(b, storeserver.Etcd(b, nil).Address, etcd.Options{})
	change(b, s, "k")
	for b.Loop() {
		err := s.View(context.Background(), func(tx cnm.Tx) error {
			_, err := tx.Get("k")
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
