package zookeeper_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/zookeeper"
	"github.com/docker/libnetwork/test/storeserver"
)

// A server that takes connections and says nothing is passed over for the next one.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // it carried nothing
	server := storeserver.ZooKeeper(t)
	const timeout = 6 * time.Second // half a minute, six times a session, would be the client's own
	for range 3 {                   // it begins with either
		s := open(t, silent.Addr().String()+","+server.Address, zookeeper.Options{Timeout: timeout})
		if err := s.View(context.Background(), func(cnm.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
	}
}
