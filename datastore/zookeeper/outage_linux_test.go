package zookeeper_test

import (
	"testing"
	"time"

	"github.com/docker/libnetwork/datastore/storetest"
	"github.com/docker/libnetwork/datastore/zookeeper"
	"github.com/docker/libnetwork/test/storeserver"
)

func TestTroubledConnections(t *testing.T) {
	t.Parallel()
	proxy := storeserver.NewProxy(t, storeserver.ZooKeeper(t).Address)
	storetest.Disturbed(t, open(t, proxy.Address, zookeeper.Options{}), 60, proxy.Trouble)
}

func TestOutage(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	server := storeserver.ZooKeeper(t)
	t.Run("killed", func(t *testing.T) {
		storetest.Outage(t, open(t, server.Address+"/killed", zookeeper.Options{Timeout: timeout}), timeout, server.Kill, server.Start)
	})
	t.Run("paused", func(t *testing.T) {
		storetest.Outage(t, open(t, server.Address+"/paused", zookeeper.Options{Timeout: timeout}), timeout, server.Pause, server.Resume)
	})
}
