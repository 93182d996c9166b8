package consul_test

import (
	"flag"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/consul"
	"github.com/docker/libnetwork/datastore/storetest"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/test/storeserver"
)

func TestMain(m *testing.M) {
	// A step of the model is a request or two; -rapid.checks=100 is what others have.
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	kerneltest.Main(m)
}

func open(t testing.TB, address string, options consul.Options) cnm.Store {
	t.Helper()
	s, err := consul.Open(address, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// factory makes stores on a server, each below a prefix of its own.
func factory(address string, options consul.Options) storetest.Factory {
	var count atomic.Int64
	addresses := make(map[cnm.Store]string)
	return storetest.Factory{
		Open: func(t testing.TB) cnm.Store {
			own := fmt.Sprintf("%s/test/%d", address, count.Add(1))
			s := open(t, own, options)
			addresses[s] = own
			return s
		},
		Reopen: func(t testing.TB, s cnm.Store) cnm.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again := open(t, addresses[s], options)
			addresses[again] = addresses[s]
			return again
		},
		Again: func(t testing.TB, s cnm.Store) cnm.Store { return open(t, addresses[s], options) },
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	f := factory(storeserver.Consul(t).Address, consul.Options{})
	storetest.Run(t, f)
	storetest.RunShared(t, f)
}

// TestNoLeaks runs while no other test does.
func TestNoLeaks(t *testing.T) {
	server := storeserver.Consul(t)
	storetest.NoLeaks(t, func() cnm.Store { return open(t, server.Address, consul.Options{}) })
}
