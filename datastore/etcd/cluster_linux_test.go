package etcd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/datastore/storetest"
	"github.com/docker/libnetwork/test/storeserver"
)

// rounds is how many commits each writer makes while a cluster is disturbed: about as many
// as fit into the disturbance.
const rounds = 150

func TestCluster(t *testing.T) {
	t.Parallel()
	members := storeserver.EtcdCluster(t, 3)
	var addresses []string
	for _, m := range members {
		addresses = append(addresses, m.Address)
	}
	address := strings.Join(addresses, ",")
	t.Run("the leader is killed", func(t *testing.T) {
		storetest.Disturbed(t, open(t, address+"/killed", etcd.Options{}), rounds, func(<-chan struct{}) {
			for range 2 {
				time.Sleep(200 * time.Millisecond)
				m := storeserver.Leader(t, members)
				m.Kill()
				time.Sleep(200 * time.Millisecond)
				m.Start()
			}
		})
	})
	t.Run("the leader is paused", func(t *testing.T) {
		storetest.Disturbed(t, open(t, address+"/paused", etcd.Options{}), rounds, func(<-chan struct{}) {
			time.Sleep(200 * time.Millisecond)
			leader := storeserver.Leader(t, members)
			leader.Pause()
			time.Sleep(1500 * time.Millisecond)
			leader.Resume()
		})
	})
}

func TestTroubledConnections(t *testing.T) {
	t.Parallel()
	proxy := storeserver.NewProxy(t, storeserver.Etcd(t, nil).Address)
	storetest.Disturbed(t, open(t, proxy.Address, etcd.Options{}), 100, proxy.Trouble)
}

func TestOutage(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	server := storeserver.Etcd(t, nil)
	t.Run("killed", func(t *testing.T) {
		storetest.Outage(t, open(t, server.Address+"/killed", etcd.Options{Timeout: timeout}), timeout, server.Kill, server.Start)
	})
	t.Run("paused", func(t *testing.T) {
		storetest.Outage(t, open(t, server.Address+"/paused", etcd.Options{Timeout: timeout}), timeout, server.Pause, server.Resume)
	})
}
