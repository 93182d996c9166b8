package libnetwork_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/plugin/plugintest"
	"github.com/docker/libnetwork/test/storeserver"
)

// mortal is a store of a process that is killed: from then on it takes nothing.
type mortal struct {
	cnm.Store
	dead atomic.Bool
	// at says where the process dies, by what a commit writes ("+key") and deletes
	// ("-key"): before it, or after it.
	before, after string
}

type recording struct {
	cnm.Tx
	did []string
}

func (r *recording) Put(key string, value []byte) error {
	r.did = append(r.did, "+"+key)
	return r.Tx.Put(key, value)
}

func (r *recording) Delete(key string) error {
	r.did = append(r.did, "-"+key)
	return r.Tx.Delete(key)
}

var errKilled = errors.New("the process was killed")

func does(did []string, prefix string) bool {
	return prefix != "" && slices.ContainsFunc(did, func(key string) bool { return strings.HasPrefix(key, prefix) })
}

func (m *mortal) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	if m.dead.Load() {
		return errKilled
	}
	r := new(recording)
	err := m.Store.Update(ctx, func(tx cnm.Tx) error {
		r = &recording{Tx: tx}
		if err := fn(r); err != nil {
			return err
		}
		if does(r.did, m.before) {
			m.dead.Store(true)
			return errKilled
		}
		return nil
	})
	if err == nil && does(r.did, m.after) {
		m.dead.Store(true)
	}
	return err
}

// Close implements cnm.Store: the next process has the same store.
func (m *mortal) Close() error { return nil }

// A process is killed when a plugin has granted an address, or a pool, and nothing is
// recorded yet, or when the record has gone and the plugin has not heard: the next one gives
// back what nobody has, and keeps what somebody has.
func TestGrantsOfAKilledProcess(t *testing.T) {
	kerneltest.RequireRoot(t)
	newNetwork := func(c libnetwork.NetworkController) error {
		_, err := c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionIpam("maker", "", nil, nil, nil))
		return err
	}
	newEndpoint := func(c libnetwork.NetworkController) error {
		n, err := c.NetworkByName("web")
		if err == nil {
			_, err = n.CreateEndpoint("one")
		}
		return err
	}
	deleteEndpoint := func(c libnetwork.NetworkController) error {
		return must[libnetwork.Endpoint](t)(must[libnetwork.Network](t)(c.NetworkByName("web")).EndpointByName("one")).Delete(false)
	}
	deleteNetwork := func(c libnetwork.NetworkController) error {
		return must[libnetwork.Network](t)(c.NetworkByName("web")).Delete()
	}
	const endpoint, gateway, pool = `{"PoolID":"p/1","Address":"10.99.0.7"}`, `{"PoolID":"p/1","Address":"10.99.0.1"}`, `{"PoolID":"p/1"}`
	for name, test := range map[string]struct {
		before, after string
		made          []func(libnetwork.NetworkController) error
		killed        func(libnetwork.NetworkController) error
		released      []string
	}{
		"network not recorded":  {before: "+network/", killed: newNetwork, released: []string{gateway, pool}},
		"network recorded":      {after: "+network/", killed: newNetwork},
		"endpoint not recorded": {before: "+endpoint/", made: []func(libnetwork.NetworkController) error{newNetwork}, killed: newEndpoint, released: []string{endpoint}},
		"endpoint recorded":     {after: "+endpoint/", made: []func(libnetwork.NetworkController) error{newNetwork}, killed: newEndpoint},
		"endpoint gone":         {after: "-endpoint/", made: []func(libnetwork.NetworkController) error{newNetwork, newEndpoint}, killed: deleteEndpoint, released: []string{endpoint}},
		"endpoint not gone":     {before: "-endpoint/", made: []func(libnetwork.NetworkController) error{newNetwork, newEndpoint}, killed: deleteEndpoint},
		"network gone":          {after: "-network/", made: []func(libnetwork.NetworkController) error{newNetwork}, killed: deleteNetwork, released: []string{gateway, pool}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMaker(t, scratch{host: kerneltest.NewNamespace(t)})
			m.Answer("IpamDriver.GetDefaultAddressSpaces", `{"LocalDefaultAddressSpace":"L"}`)
			m.Answer("IpamDriver.RequestPool", `{"PoolID":"p/1","Pool":"10.99.0.0/24"}`)
			m.Handle("IpamDriver.RequestAddress", func(w http.ResponseWriter, call plugintest.Call) {
				answer := `{"Address":"10.99.0.7/24"}`
				if strings.Contains(call.Body, "com.docker.network.gateway") {
					answer = `{"Address":"10.99.0.1/24"}`
				}
				_, _ = w.Write([]byte(answer))
			})
			host, store := kerneltest.NewHost(t), &mortal{Store: memory.New()}
			m.Answer("IpamDriver.ReleaseAddress", `{}`)
			m.Answer("IpamDriver.ReleasePool", `{}`)
			c := must[libnetwork.NetworkController](t)(libnetwork.OpenWith(host, store, m.option(), config.OptionExecRoot(runFolder(t))))
			for _, do := range test.made {
				ok(t, do(c))
			}
			if left := libnetwork.Told(c); len(left) > 0 {
				t.Errorf("notes of what is recorded: %q", left)
			}
			store.before, store.after = test.before, test.after
			m.Break("IpamDriver.ReleaseAddress") // what is killed says no more
			m.Break("IpamDriver.ReleasePool")
			_ = test.killed(c) // whatever it says: nobody hears it
			if !store.dead.Load() {
				t.Fatal("the process was not killed")
			}
			c.Stop()

			store.before, store.after = "", ""
			store.dead.Store(false)
			m.Answer("IpamDriver.ReleaseAddress", `{}`)
			m.Answer("IpamDriver.ReleasePool", `{}`)
			m.Calls()
			c = must[libnetwork.NetworkController](t)(libnetwork.OpenWith(kerneltest.NewHost(t), store, m.option(), config.OptionExecRoot(runFolder(t))))
			defer c.Stop()
			eventually(t, "no note is left", func() bool { return len(libnetwork.Told(c)) == 0 })
			var released []string
			for _, call := range m.Calls() {
				if strings.HasPrefix(call.Method, "IpamDriver.Release") {
					released = append(released, call.Body)
				}
			}
			if diff := cmp.Diff(test.released, released); diff != "" {
				t.Errorf("released (-want +got):\n%s", diff)
			}
		})
	}
}

// Who joins anew while a plugin is being told that the endpoint has left waits for that; and
// a plugin hears of no leaving while the endpoint joins.
func TestDebtAgainstJoin(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	m.joinAnswer = `{"InterfaceName":{"SrcName":%q,"DstPrefix":"eth"},"DisableGatewayService":true}`
	c := s.open(t, config.OptionPlugins(config.PluginsCfg{
		SocketFolders: []string{m.Folder}, SpecFolders: []string{m.Folder}, CallTimeout: time.Minute, RetryFor: 50 * time.Millisecond,
	}))
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one"))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one"))
	ok(t, ep.Join(sb))

	// The debt is being paid, and somebody joins.
	m.Break("NetworkDriver.Leave")
	ok(t, ep.Leave(sb))
	entered, hold := make(chan struct{}), make(chan struct{})
	m.Handle("NetworkDriver.Leave", func(w http.ResponseWriter, _ plugintest.Call) {
		close(entered)
		<-hold
		_, _ = w.Write([]byte(`{}`))
	})
	<-entered
	m.called()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := ep.JoinContext(ctx, sb); !errors.Is(err, cnm.Timeout) || !strings.Contains(err.Error(), "another operation is under way") {
		t.Errorf("joining while the plugin hears that it has left: %v", err)
	}
	m.want()
	close(hold)
	m.does("Leave", func(string, string) string { return `{}` })
	ok(t, ep.Join(sb))
	libnetwork.PayDebts(c)
	m.want("Join")

	// Somebody joins, and the debt is to be paid.
	m.Break("NetworkDriver.Leave")
	ok(t, ep.Leave(sb))
	joining, join := make(chan struct{}), make(chan struct{})
	m.does("Join", func(_, id string) string {
		m.does("Leave", func(string, string) string { return `{}` })
		m.called()
		close(joining)
		<-join
		return `{"InterfaceName":{"SrcName":"in-` + id[:4] + `","DstPrefix":"eth"},"DisableGatewayService":true}`
	})
	joined, paid := make(chan error), make(chan struct{})
	go func() { joined <- ep.Join(sb) }()
	<-joining
	go func() { libnetwork.PayDebts(c); close(paid) }()
	close(join)
	ok(t, <-joined)
	<-paid
	libnetwork.PayDebts(c)
	m.want()
	ok(t, sb.Delete())
	ok(t, n.Delete())
	s.wantEmpty(t)
}

// A plugin that has ended a network, and whose answer was lost, does not know it when it is
// asked again; one that refuses is believed.
func TestNetworkThatThePluginHasEnded(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	c := s.open(t, m.option())
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
	m.Answer("NetworkDriver.DeleteNetwork", `{"Err":"has guests"}`)
	for range 2 {
		if err := n.Delete(); !errors.Is(err, cnm.Internal) || !strings.Contains(err.Error(), "has guests") {
			t.Errorf("refused: %v", err)
		}
	}
	m.does("DeleteNetwork", func(id, _ string) string {
		run(t, s.host, "sh", "-c", "ip link del mk-"+id[:4]+" || true")
		panic(http.ErrAbortHandler)
	})
	if err := n.Delete(); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("without an answer: %v", err)
	}
	m.Answer("NetworkDriver.DeleteNetwork", `{"Err":"no such network"}`)
	ok(t, n.Delete())
	if left := libnetwork.Told(c); len(left) > 0 {
		t.Errorf("notes left: %q", left)
	}
	s.wantEmpty(t)
}

// An endpoint that is claimed on all hosts, and has no record here yet, is no leftover.
func TestClaimAgainstReconciliation(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	m.Answer("NetworkDriver.GetCapabilities", `{"Scope":"global"}`)
	server := storeserver.Etcd(t, nil)
	c := s.open(t, m.option(), func(c *config.Config) {
		c.Scopes[datastore.GlobalScope] = &datastore.ScopeCfg{Client: datastore.ScopeClientCfg{Provider: datastore.ProviderEtcd, Address: server.Address}}
	})
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
	claimed, hold := make(chan struct{}), make(chan struct{})
	m.does("CreateEndpoint", func(string, string) string { close(claimed); <-hold; return `{}` })
	made := make(chan error)
	go func() { _, err := n.CreateEndpoint("one"); made <- err }()
	<-claimed
	h := &hosts{t: t, etcd: server}
	shares := func() int {
		return len(slices.DeleteFunc(h.keys(), func(key string) bool { return !strings.HasPrefix(key, "global/end") }))
	}
	eventually(t, "the store tells of the claim", func() bool { return libnetwork.Shares(c) == 1 })
	ok(t, libnetwork.ReconcileShares(c))
	if got := shares(); got != 2 {
		t.Errorf("the claim has %d keys, want 2: the endpoint and its name", got)
	}
	close(hold)
	ok(t, <-made)
	ok(t, libnetwork.ReconcileShares(c))
	if got := shares(); got != 2 {
		t.Errorf("the endpoint has %d keys, want 2", got)
	}
	ok(t, must[libnetwork.Endpoint](t)(n.EndpointByName("one")).Delete(false))
	ok(t, libnetwork.ReconcileShares(c))
	if got := shares(); got != 0 {
		t.Errorf("%d keys are left", got)
	}
	ok(t, n.Delete())
}

// gated is a store that tells of a commit that puts a key, and has its maker wait.
type gated struct {
	cnm.Store
	prefix      string
	there, wait chan struct{}
	second      string
	seen        chan struct{}
	once, twice sync.Once
}

func (g *gated) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	var r *recording
	err := g.Store.Update(ctx, func(tx cnm.Tx) error { r = &recording{Tx: tx}; return fn(r) })
	if err == nil && does(r.did, g.second) {
		g.twice.Do(func() { close(g.seen) })
	}
	if err == nil && does(r.did, g.prefix) {
		g.once.Do(func() { close(g.there); <-g.wait })
	}
	return err
}

// One endpoint is getting its sandbox a way out when another brings one: in the end there is
// no more than one.
func TestGatewayThatIsNoLongerWanted(t *testing.T) {
	kerneltest.RequireRoot(t)
	host := kerneltest.NewNamespace(t)
	m := newMaker(t, scratch{host: host})
	store := &gated{Store: memory.New(), there: make(chan struct{}), wait: make(chan struct{}), seen: make(chan struct{})}
	machine := must[kernel.Host](t)(kernel.Open(kernel.Options{HostNamespace: host, Instance: "feedface"}))
	c := must[libnetwork.NetworkController](t)(libnetwork.OpenWith(machine, store, m.option(), config.OptionExecRoot(runFolder(t)), config.OptionHostNamespace(host)))
	defer c.Stop()
	plugged := must[libnetwork.Network](t)(c.NewNetwork("maker", "plugged", ""))
	bridged := must[libnetwork.Network](t)(c.NewNetwork("bridge", "bridged", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("c"))
	first, second := must[libnetwork.Endpoint](t)(plugged.CreateEndpoint("first")), must[libnetwork.Endpoint](t)(bridged.CreateEndpoint("second"))
	store.prefix, store.second = "+network/", "+endpoint/"+second.ID()
	joined := make(chan error, 2)
	go func() { joined <- first.Join(sb) }()
	<-store.there // the default gateway's network is recorded
	go func() { joined <- second.Join(sb) }()
	<-store.seen
	close(store.wait)
	ok(t, <-joined)
	ok(t, <-joined)
	var names []string
	for _, ep := range sb.Endpoints() {
		names = append(names, ep.Network())
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"bridged", "plugged"}, names); diff != "" {
		t.Errorf("networks of the sandbox (-want +got):\n%s", diff)
	}
	ok(t, sb.Delete())
}

// A link without an address of the host may still carry one that has: taking it away would
// take that along.
func TestPluginNamesAnUplink(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan)
	s := newScratch(t)
	m := newMaker(t, s)
	run(t, s.host, "ip", "link", "add", "uplink", "type", "veth", "peer", "uplink-far")
	run(t, s.host, "ip", "link", "add", "link", "uplink", "name", "upper", "type", "macvlan")
	run(t, s.host, "ip", "address", "add", "203.0.113.1/24", "dev", "upper")
	c := s.open(t, m.option())
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", ""))
	ep, sb := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one")), must[libnetwork.Sandbox](t)(c.NewSandbox("one"))
	before := s.picture(t, sb.Key())
	m.Answer("NetworkDriver.Join", `{"InterfaceName":{"SrcName":"uplink","DstPrefix":"eth"}}`)
	if err := ep.Join(sb); !errors.Is(err, cnm.Forbidden) || !strings.Contains(err.Error(), `"upper" of the host hangs on it`) {
		t.Errorf("error %v", err)
	}
	if after := s.picture(t, sb.Key()); after != before {
		t.Errorf("before:\n%s\nand after:\n%s", before, after)
	}
	ok(t, sb.Delete())
	ok(t, ep.Delete(false))
	ok(t, n.Delete())
}

// Routes of a plugin that say the same twice, or what the address says already, or contradict
// each other, of which the last one counts: the machine is then as the records say, and
// nothing of it is left.
func TestPluginRoutes(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	c := s.open(t, m.option())
	n := must[libnetwork.Network](t)(c.NewNetwork("maker", "web", "", subnet("10.77.0.0/24", "10.77.0.1")))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one"))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one"))
	ok(t, ep.Join(sb)) // the link keeps the MAC address that it gets
	ok(t, ep.Leave(sb))
	before := s.picture(t, sb.Key())
	var many []string
	for i := range 1024 {
		many = append(many, fmt.Sprintf(`{"Destination":"10.%d.%d.0/24","RouteType":0,"NextHop":"10.77.0.9"}`, 100+i/256, i%256))
	}
	for name, routes := range map[string]string{
		"the same twice":       `{"Destination":"10.9.0.0/16","RouteType":1},{"Destination":"10.9.0.0/16","RouteType":1}`,
		"by two hops":          `{"Destination":"10.9.0.0/16","RouteType":0,"NextHop":"10.77.0.8"},{"Destination":"10.9.0.0/16","RouteType":0,"NextHop":"10.77.0.9"}`,
		"the own subnet":       `{"Destination":"10.77.0.0/24","RouteType":1}`,
		"the own address":      `{"Destination":"10.77.0.2/32","RouteType":1}`,
		"halves of everything": `{"Destination":"0.0.0.0/1","RouteType":1},{"Destination":"128.0.0.0/1","RouteType":1}`,
		"many":                 strings.Join(many, ","),
	} {
		m.joinAnswer = `{"InterfaceName":{"SrcName":%q,"DstPrefix":"eth"},"DisableGatewayService":true,"StaticRoutes":[` + routes + `]}`
		if err := ep.Join(sb); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantNoDifference(t, c)
		ok(t, ep.Leave(sb))
		if after := s.picture(t, sb.Key()); after != before {
			t.Errorf("%s: before:\n%s\nand after:\n%s", name, before, after)
		}
	}
	ok(t, sb.Delete())
	ok(t, ep.Delete(false))
	ok(t, n.Delete())
}
