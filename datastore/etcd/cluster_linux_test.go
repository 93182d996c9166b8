package etcd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/datastore/storetest"
	"github.com/docker/libnetwork/test/storeserver"
)

// rounds is how many commits each writer makes while a cluster is disturbed: more than
// fit into the disturbance.
const rounds = 250

func cluster(t *testing.T) (*etcd.Store, []*storeserver.Server) {
	t.Helper()
	members := storeserver.EtcdCluster(t, 3)
	var addresses []string
	for _, m := range members {
		addresses = append(addresses, m.Address)
	}
	return open(t, strings.Join(addresses, ","), etcd.Options{}), members
}

func TestMembersAreKilled(t *testing.T) {
	s, members := cluster(t)
	storetest.Disturbed(t, s, rounds, func(<-chan struct{}) {
		for range 2 {
			time.Sleep(300 * time.Millisecond)
			m := storeserver.Leader(t, members)
			m.Kill()
			time.Sleep(300 * time.Millisecond)
			m.Start()
		}
	})
}

func TestLeaderIsPaused(t *testing.T) {
	s, members := cluster(t)
	storetest.Disturbed(t, s, rounds, func(<-chan struct{}) {
		time.Sleep(300 * time.Millisecond)
		leader := storeserver.Leader(t, members)
		leader.Pause()
		time.Sleep(2 * time.Second)
		leader.Resume()
	})
}

func TestTroubledConnections(t *testing.T) {
	proxy := storeserver.NewProxy(t, storeserver.Etcd(t, nil).Address)
	storetest.Disturbed(t, open(t, proxy.Address, etcd.Options{}), 100, proxy.Trouble)
}

func TestOutage(t *testing.T) {
	const timeout = time.Second
	server := storeserver.Etcd(t, nil)
	t.Run("killed", func(t *testing.T) {
		storetest.Outage(t, open(t, server.Address+"/killed", etcd.Options{Timeout: timeout}), timeout, server.Kill, server.Start)
	})
	t.Run("paused", func(t *testing.T) {
		storetest.Outage(t, open(t, server.Address+"/paused", etcd.Options{Timeout: timeout}), timeout, server.Pause, server.Resume)
	})
}
