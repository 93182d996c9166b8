package libnetwork_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cluster"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/types"
)

// manager is the cluster manager of a node.
type manager struct {
	cluster.Provider
	address, remote string
	agent           bool
	changes         chan struct{}
}

func (m *manager) IsManager() bool                      { return false }
func (m *manager) IsAgent() bool                        { return m.agent }
func (m *manager) GetListenAddress() string             { return m.address + ":2377" }
func (m *manager) GetAdvertiseAddress() string          { return m.address }
func (m *manager) GetRemoteAddress() string             { return m.remote }
func (m *manager) ListenClusterEvents() <-chan struct{} { return m.changes }

// clusterKeys are keys of gossip, the oldest first.
func clusterKeys(numbers ...byte) (keys []*types.EncryptionKey) {
	for _, number := range numbers {
		keys = append(keys, &types.EncryptionKey{
			Subsystem: "networking:gossip", LamportTime: uint64(number), Key: bytes.Repeat([]byte{number}, 16),
		})
	}
	return keys
}

// nodes are hosts with addresses on their wire, which take part in one cluster.
type nodes struct {
	*hosts
	managers    []*manager
	controllers []libnetwork.NetworkController
}

func newNodes(t *testing.T, count int) *nodes {
	t.Helper()
	n := &nodes{hosts: newHosts(t, count)}
	for i, s := range n.each {
		own := netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)})
		host := must[kernel.Host](t)(kernel.Open(kernel.Options{HostNamespace: s.host, Instance: "address"}))
		ok(t, host.Apply(context.Background(), netstate.Diff(nil, []netstate.Part{{
			Owner: "lan/address", Links: []netstate.Link{{Name: "phys0", Kind: netstate.Existing}, {Name: "lo", Kind: netstate.Existing}},
			Addrs: []netstate.Addr{{Link: "phys0", Prefix: netip.PrefixFrom(own, 24)}},
		}})))
		ok(t, host.Close())
		m := &manager{address: own.String(), agent: true, changes: make(chan struct{}, 1)}
		if i > 0 {
			m.remote = "198.51.100.1:2377"
		}
		c := s.open(t)
		ok(t, c.SetKeys(clusterKeys(1, 2)))
		c.SetClusterProvider(m)
		n.managers, n.controllers = append(n.managers, m), append(n.controllers, c)
	}
	return n
}

func (n *nodes) resolves(i int, sb libnetwork.Sandbox, name string, want ...netip.Addr) {
	n.t.Helper()
	var last libnetwork.Resolution
	eventually(n.t, fmt.Sprintf("node %d: %s resolves to %s", i, name, want), func() bool {
		var err error
		last, err = n.controllers[i].(libnetwork.Inspector).Resolve(sb.ID(), name)
		return err == nil && slices.Equal(last.Addresses, want)
	})
}

// Names of containers resolve on all nodes of a cluster that have the network, while keys
// are rotated, and go with their nodes.
func TestClusterNames(t *testing.T) {
	n := newNodes(t, 3)
	var networks []libnetwork.Network
	var sandboxes []libnetwork.Sandbox
	var endpoints []libnetwork.Endpoint
	for i, c := range n.controllers {
		// The cluster's manager hands out ids and addresses.
		networks = append(networks, must[libnetwork.Network](t)(c.NewNetwork("macvlan", "web", "web1", globalOption("192.0.2.0/24")...)))
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(fmt.Sprint("container", i)))
		ep := must[libnetwork.Endpoint](t)(networks[i].CreateEndpoint(fmt.Sprint("c", i),
			libnetwork.CreateOptionIpam([]byte{192, 0, 2, byte(10 + i)}, nil, nil, nil), libnetwork.CreateOptionMyAlias(fmt.Sprint("alias", i))))
		ok(t, ep.Join(sb))
		sandboxes, endpoints = append(sandboxes, sb), append(endpoints, ep)
	}
	for _, c := range n.controllers {
		c.AgentInitWait()
	}
	everywhere := func() {
		t.Helper()
		for i := range n.controllers {
			for j, ep := range endpoints {
				n.resolves(i, sandboxes[i], fmt.Sprint("c", j), address(ep))
				n.resolves(i, sandboxes[i], fmt.Sprint("alias", j, ".web"), address(ep))
			}
		}
	}
	everywhere()
	ping(t, sandboxes[0], address(endpoints[2]))
	if peers := networks[1].Info().Peers(); len(peers) != 3 {
		t.Errorf("peers %v", peers)
	}

	// Keys are rotated on one node after the other: 3 comes, is used, and 1 and 2 go.
	for _, keys := range [][]*types.EncryptionKey{clusterKeys(1, 2, 3), clusterKeys(2, 3), clusterKeys(2, 3, 4), clusterKeys(3, 4)} {
		for _, c := range n.controllers {
			ok(t, c.SetKeys(keys))
		}
	}
	ok(t, endpoints[0].Leave(sandboxes[0]))
	n.resolves(1, sandboxes[1], "c0")
	ok(t, endpoints[0].Join(sandboxes[0]))
	everywhere()

	n.managers[2].agent = false
	n.managers[2].changes <- struct{}{}
	n.resolves(0, sandboxes[0], "c2")
	n.resolves(2, sandboxes[2], "c0")
	n.controllers[1].Stop()
	n.resolves(0, sandboxes[0], "c1")
	n.resolves(0, sandboxes[0], "c0", address(endpoints[0]))
	n.controllers[1] = n.each[1].open(t)
	for _, c := range n.controllers {
		for _, sb := range c.Sandboxes() {
			ok(t, sb.Delete())
		}
		for _, network := range c.Networks() {
			ok(t, network.Delete())
		}
	}
	if err := n.controllers[0].SetKeys([]*types.EncryptionKey{{Subsystem: "other"}}); err == nil {
		t.Error("a key for something else was taken")
	}
}
