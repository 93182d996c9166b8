package consul_test

import (
	"testing"
	"time"

	"github.com/docker/libnetwork/datastore/consul"
	"github.com/docker/libnetwork/datastore/storetest"
	"github.com/docker/libnetwork/test/storeserver"
)

func TestTroubledConnections(t *testing.T) {
	t.Parallel()
	proxy := storeserver.NewProxy(t, storeserver.Consul(t).Address)
	storetest.Disturbed(t, open(t, proxy.Address, consul.Options{}), 60, proxy.Trouble)
}

func TestOutage(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	server := storeserver.Consul(t)
	t.Run("killed", func(t *testing.T) {
		storetest.Outage(t, open(t, server.Address+"/killed", consul.Options{Timeout: timeout}), timeout, server.Kill, server.Start)
	})
	t.Run("paused", func(t *testing.T) {
		storetest.Outage(t, open(t, server.Address+"/paused", consul.Options{Timeout: timeout}), timeout, server.Pause, server.Resume)
	})
}
