package libnetwork_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/test/storeserver"
)

// hosts are machines on one wire that share a store.
type hosts struct {
	t     *testing.T
	etcd  *storeserver.Server // nil without a store
	each  []scratch
	empty []string // what is on each without networks of ours
}

func newHosts(t *testing.T, count int) *hosts {
	t.Helper()
	kerneltest.RequireRoot(t)
	hub := kerneltest.NewNamespace(t)
	h := &hosts{t: t}
	host := must[kernel.Host](t)(kernel.Open(kernel.Options{HostNamespace: hub, Instance: "hub"}))
	defer host.Close() //nolint:errcheck // nothing is open any more
	parts := []netstate.Part{{Owner: "lan/hub", Links: []netstate.Link{{Name: "hub", Kind: netstate.Bridge}}}}
	for i := range count {
		s := newScratch(t)
		parts = append(parts,
			netstate.Part{Owner: "lan/hub", Links: []netstate.Link{{
				Name: fmt.Sprintf("port%d", i), Kind: netstate.Veth, Master: "hub", Peer: netstate.Peer{Namespace: s.host, Name: "phys0"},
			}}},
			netstate.Part{Owner: "lan/hub", Namespace: s.host, Links: []netstate.Link{{Name: "phys0", Kind: netstate.Veth}}})
		h.each = append(h.each, s)
	}
	ok(t, host.Apply(context.Background(), netstate.Diff(nil, parts)))
	for _, s := range h.each {
		h.empty = append(h.empty, s.picture(t))
	}
	return h
}

func (h *hosts) open(i int) libnetwork.NetworkController {
	h.t.Helper()
	return h.each[i].open(h.t, func(c *config.Config) {
		c.Scopes[datastore.GlobalScope] = &datastore.ScopeCfg{Client: datastore.ScopeClientCfg{
			Provider: datastore.ProviderEtcd, Address: h.etcd.Address, Config: &datastore.StoreConfig{ConnectionTimeout: 2 * time.Second},
		}}
	})
}

// network waits for a network that another host has made.
func (h *hosts) network(c libnetwork.NetworkController, name string) (n libnetwork.Network) {
	h.t.Helper()
	eventually(h.t, "network "+name, func() bool {
		found, err := c.NetworkByName(name)
		n = found
		return err == nil
	})
	return n
}

func (h *hosts) wantEmpty() {
	h.t.Helper()
	for i, s := range h.each {
		if now := s.picture(h.t); now != h.empty[i] {
			h.t.Errorf("host %d before:\n%s\nand after:\n%s", i, h.empty[i], now)
		}
	}
	if h.etcd == nil {
		return
	}
	if left := h.keys(); len(left) > 0 {
		h.t.Errorf("left in the store: %q", left)
	}
}

func (h *hosts) keys() (keys []string) {
	h.t.Helper()
	store, err := etcd.Open(h.etcd.Address, etcd.Options{})
	ok(h.t, err)
	defer store.Close() //nolint:errcheck // only read
	ok(h.t, store.View(h.t.Context(), func(tx cnm.Tx) error {
		entries, err := tx.List("")
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
		return err
	}))
	return keys
}

func globalOption(pool string) []libnetwork.NetworkOption {
	return []libnetwork.NetworkOption{
		libnetwork.NetworkOptionScope("global"), libnetwork.NetworkOptionDriverOpts(map[string]string{"parent": "phys0"}),
		libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{{PreferredPool: pool}}, nil, nil),
	}
}

func TestNetworkOfSeveralHosts(t *testing.T) {
	h := newHosts(t, 2)
	h.etcd = storeserver.Etcd(t, nil)
	a, b := h.open(0), h.open(1)
	web := must[libnetwork.Network](t)(a.NewNetwork("macvlan", "web", "", globalOption("192.0.2.0/24")...))
	if web.Info().Scope() != "global" {
		t.Errorf("scope %q", web.Info().Scope())
	}
	there := h.network(b, "web")
	if there.ID() != web.ID() {
		t.Errorf("id %q there, %q here", there.ID(), web.ID())
	}
	sbA, epA := place(t, a, web, "first")
	sbB, epB := place(t, b, there, "second")
	if address(epA) == address(epB) {
		t.Errorf("both have %s", address(epA))
	}
	ping(t, sbA, address(epB))
	ping(t, sbB, address(epA))
	resolves := func(c libnetwork.NetworkController, sb libnetwork.Sandbox, name string, want netip.Addr) {
		t.Helper()
		eventually(t, name+" resolves", func() bool {
			resolution, err := c.(libnetwork.Inspector).Resolve(sb.ID(), name)
			return err == nil && slices.Equal(resolution.Addresses, []netip.Addr{want})
		})
	}
	resolves(b, sbB, "first", address(epA))
	resolves(a, sbA, "second.web", address(epB))

	if _, err := there.CreateEndpoint("first"); !errors.Is(err, cnm.Exists) {
		t.Errorf("a name of another host: %v", err)
	}
	ok(t, sbA.Rename("renamed"))
	resolves(b, sbB, "renamed", address(epA))
	ok(t, sbA.Rename("first"))
	resolves(b, sbB, "first", address(epA))
	if err := sbB.Rename("first"); !errors.Is(err, cnm.Exists) {
		t.Errorf("renamed to a name of another host: %v", err)
	}
	if _, err := b.NewNetwork("macvlan", "web", "", globalOption("198.51.100.0/24")...); !errors.Is(err, cnm.Exists) && !errors.Is(err, cnm.Forbidden) {
		t.Errorf("a network's name of another host: %v", err)
	}
	if err := there.Delete(); err == nil || !strings.Contains(err.Error(), "second") {
		t.Errorf("deleting a network with an endpoint here: %v", err)
	}
	ok(t, sbB.Delete())
	if err := there.Delete(); !errors.Is(err, cnm.Forbidden) || !strings.Contains(err.Error(), "host") {
		t.Errorf("deleting a network with an endpoint of another host: %v", err)
	}
	ok(t, sbA.Delete())
	eventually(t, "deleted from the other host", func() bool { return there.Delete() == nil })
	eventually(t, "gone here", func() bool { _, err := a.NetworkByName("web"); return err != nil })
	h.wantEmpty()
}

// While the store is away what there is works on, what is of one host can be made, and what
// is of all is refused in time; afterwards all is as before.
func TestStoreAway(t *testing.T) {
	h := newHosts(t, 2)
	h.etcd = storeserver.Etcd(t, nil)
	a, b := h.open(0), h.open(1)
	web := must[libnetwork.Network](t)(a.NewNetwork("macvlan", "web", "", globalOption("192.0.2.0/24")...))
	sbA, epA := place(t, a, web, "first")
	sbB, epB := place(t, b, h.network(b, "web"), "second")
	h.etcd.Kill()
	b.Stop()
	b = h.open(1)
	wantNoDifference(t, b)
	sbB = must[libnetwork.Sandbox](t)(b.SandboxByID(sbB.ID()))
	ping(t, sbA, address(epB))
	ping(t, sbB, address(epA))
	local := must[libnetwork.Network](t)(b.NewNetwork("bridge", "local", ""))
	sbLocal, _ := place(t, b, local, "local")
	start := time.Now()
	there := must[libnetwork.Network](t)(b.NetworkByName("web"))
	for what, err := range map[string]error{
		"network":  second(b.NewNetwork("macvlan", "more", "", globalOption("198.51.100.0/24")...)),
		"endpoint": second(there.CreateEndpoint("third")),
		"delete":   web.Delete(),
	} {
		if what == "delete" && err != nil {
			continue // it has endpoints
		}
		if !errors.Is(err, cnm.Unavailable) {
			t.Errorf("%s while the store is away: %v", what, err)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("refused after %s", took)
	}
	h.etcd.Start()
	var more libnetwork.Network
	eventually(t, "a network when the store is back", func() bool {
		var err error
		more, err = b.NewNetwork("macvlan", "more", "", globalOption("198.51.100.0/24")...)
		return err == nil
	})
	h.network(a, "more")
	for _, sb := range []libnetwork.Sandbox{sbA, sbB, sbLocal} {
		ok(t, sb.Delete())
	}
	for _, n := range []libnetwork.Network{local, more, web} {
		eventually(t, "delete "+n.Name(), func() bool { return n.Delete() == nil })
	}
	eventually(t, "gone there", func() bool { return len(b.Networks()) == 0 && len(a.Networks()) == 0 })
	h.wantEmpty()
}

func second[T any](_ T, err error) error { return err }

// A host that is killed between the claims and its own record gives them back when it
// starts, and one that was away learns what has gone.
func TestClaimsWithoutRecord(t *testing.T) {
	h := newHosts(t, 2)
	h.etcd = storeserver.Etcd(t, nil)
	a, b := h.open(0), h.open(1)
	web := must[libnetwork.Network](t)(a.NewNetwork("macvlan", "web", "", globalOption("192.0.2.0/29")...))
	there := h.network(b, "web")
	var last libnetwork.Endpoint
	for i := range 6 { // all that there are
		last = must[libnetwork.Endpoint](t)(there.CreateEndpoint(fmt.Sprint("c", i)))
	}
	if _, err := web.CreateEndpoint("more"); !errors.Is(err, cnm.Exhausted) {
		t.Errorf("an address too many: %v", err)
	}
	ok(t, libnetwork.DropRecords(b, last.ID(), "none"))
	b.Stop()
	b = h.open(1)
	eventually(t, "the address of what was never recorded", func() bool { return second(web.CreateEndpoint("more")) == nil })
	more := must[libnetwork.Endpoint](t)(web.EndpointByName("more"))
	if address(more) != address(last) {
		t.Errorf("address %s, want %s", address(more), address(last))
	}
	for _, ep := range h.network(b, "web").Endpoints() {
		ok(t, ep.Delete(false))
	}
	ok(t, more.Delete(false))
	b.Stop()
	eventually(t, "delete", func() bool { return web.Delete() == nil })
	b = h.open(1)
	eventually(t, "gone there", func() bool { return len(b.Networks()) == 0 })
	h.wantEmpty()
}

// Hosts that ask at once never get one address twice.
func TestAddressesOfSeveralHosts(t *testing.T) {
	const count, each = 3, 12
	h := newHosts(t, count)
	h.etcd = storeserver.Etcd(t, nil)
	var controllers []libnetwork.NetworkController
	for i := range count {
		controllers = append(controllers, h.open(i))
	}
	web := must[libnetwork.Network](t)(controllers[0].NewNetwork("macvlan", "web", "", globalOption("192.0.2.0/24")...))
	var group sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[netip.Addr]string)
	for i, c := range controllers {
		n := h.network(c, "web")
		group.Go(func() {
			for j := range each {
				name := fmt.Sprintf("c%d-%d", i, j)
				ep, err := n.CreateEndpoint(name)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				mu.Lock()
				if other := seen[address(ep)]; other != "" {
					t.Errorf("%s and %s have %s", name, other, address(ep))
				}
				seen[address(ep)] = name
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(seen) != count*each {
		t.Errorf("%d addresses, want %d", len(seen), count*each)
	}
	for _, c := range controllers {
		for _, ep := range h.network(c, "web").Endpoints() {
			ok(t, ep.Delete(false))
		}
	}
	eventually(t, "delete", func() bool { return web.Delete() == nil })
	eventually(t, "gone everywhere", func() bool {
		return !slices.ContainsFunc(controllers, func(c libnetwork.NetworkController) bool { return len(c.Networks()) > 0 })
	})
	h.wantEmpty()
}
