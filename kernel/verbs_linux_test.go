package kernel_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// refuse applies changes that must fail, with an error of that kind that says want.
func refuse(t testing.TB, host kernel.Host, kind cnm.Kind, want string, changes ...netstate.Change) {
	t.Helper()
	err := host.Apply(t.Context(), changes)
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "apply: ") {
		t.Errorf("got %v (%s), want kind %s and %q", err, cnm.KindOf(err), kind, want)
	}
}

func do(t testing.TB, host kernel.Host, changes ...netstate.Change) {
	t.Helper()
	check(t, host.Apply(t.Context(), changes))
}

func change(verb netstate.Verb, object netstate.Object) netstate.Change {
	return netstate.Change{Verb: verb, Owner: "network/n", Object: object}
}

// scratch opens a host and a connection of the test's own in the same namespace.
func scratch(t testing.TB) (kernel.Host, *rtnl.Conn, string) {
	t.Helper()
	path := kerneltest.NewNamespace(t)
	return openHost(t, path, "test"), dial(t, path), path
}

func openHost(t testing.TB, path, instance string) kernel.Host {
	t.Helper()
	host, err := kernel.Open(kernel.Options{HostNamespace: path, Instance: instance})
	check(t, err)
	t.Cleanup(func() { check(t, host.Close()) })
	return host
}

// look returns the link, or the zero Link.
func look(t testing.TB, c *rtnl.Conn, name string) (link rtnl.Link) {
	t.Helper()
	if _, err := c.ExecuteAll(t.Context(), rtnl.GetLink(name, &link)); err != nil {
		t.Fatal(err)
	}
	return link
}

var bridge0 = netstate.Link{Name: "b0", Kind: netstate.Bridge}

func TestCreateOfWhatIsThere(t *testing.T) {
	host, c, path := scratch(t)
	do(t, host, change(netstate.Create, bridge0))
	first := look(t, c, "b0")
	if first.Alias != "libnetwork test network/n" || first.Up || first.MTU != 1500 {
		t.Errorf("made %+v", first)
	}
	again := bridge0
	again.MTU, again.MAC = 1400, netstate.MAC{2, 0, 0, 0, 0, 7}
	do(t, host, change(netstate.Create, again))
	if second := look(t, c, "b0"); second.Index != first.Index || second.MTU != 1400 || second.MAC.String() != again.MAC.String() {
		t.Errorf("ours was to be brought to %v, and is %+v", again, second)
	}
	other := change(netstate.Create, bridge0)
	other.Owner = "network/other"
	refuse(t, host, cnm.Exists, `link "b0": exists and is not ours`, other)
	refuse(t, openHost(t, path, "second"), cnm.Exists, "is not ours", change(netstate.Create, bridge0))
	pair := netstate.Link{Name: "b0", Kind: netstate.Veth, Peer: netstate.Peer{Name: "p0"}}
	refuse(t, host, cnm.Exists, "is not ours", change(netstate.Create, pair))
	if after := look(t, c, "b0"); after.Alias != first.Alias || after.MTU != 1400 {
		t.Errorf("refusals left %+v", after)
	}
	if p := look(t, c, "p0"); p.Index != 0 {
		t.Errorf("a refusal left %+v", p)
	}
	// One whose mark could not be written any more is told by its group.
	check(t, c.Execute(t.Context(), rtnl.NewBridge("b1", rtnl.Attributes{})))
	do(t, host, change(netstate.Create, netstate.Link{Name: "b1", Kind: netstate.Bridge}))
	if b1 := look(t, c, "b1"); b1.Alias != first.Alias {
		t.Errorf("the unfinished link is %+v", b1)
	}
}

// foreign makes a bridge as somebody else would.
func foreign(t testing.TB, c *rtnl.Conn, name string) {
	t.Helper()
	check(t, c.Execute(t.Context(), rtnl.NewBridge(name, rtnl.Attributes{})))
	check(t, c.Execute(t.Context(), rtnl.SetLinkGroup(look(t, c, name).Index, 0)))
}

func TestAdopt(t *testing.T) {
	host, c, _ := scratch(t)
	foreign(t, c, "b0")
	before := look(t, c, "b0")
	adopted := netstate.Link{Name: "b0", Kind: netstate.Bridge, Adopt: true, MTU: 1400, MAC: netstate.MAC{2, 0, 0, 0, 0, 9}}
	do(t, host, change(netstate.Create, adopted), change(netstate.Update, adopted))
	if diff := cmp.Diff(before, look(t, c, "b0"), ignoreCounters); diff != "" {
		t.Errorf("the adopted bridge changed: -before +after\n%s", diff)
	}
	do(t, host, change(netstate.Raise, adopted))
	if !look(t, c, "b0").Up {
		t.Error("the adopted bridge is not up")
	}
	theirs, ours := netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24")
	check(t, kerneltest.Do(host.Namespaces().HostPath(), func() error { return addByHand("b0", theirs) }))
	addr := func(p netip.Prefix) netstate.Addr { return netstate.Addr{Link: "b0", Prefix: p} }
	do(t, host, change(netstate.Add, addr(theirs)), change(netstate.Add, addr(ours)))
	do(t, host, change(netstate.Remove, addr(ours)), change(netstate.Remove, addr(theirs)))
	addrs, err := c.Addrs(t.Context())
	check(t, err)
	var left []netip.Prefix
	for _, a := range addrs {
		if a.Link == before.Index && a.Prefix.Addr().Is4() {
			left = append(left, a.Prefix)
		}
	}
	if len(left) != 1 || left[0] != theirs {
		t.Errorf("of the addresses there are left %v, want the one that is not ours", left)
	}
	do(t, host, change(netstate.Delete, adopted))
	if look(t, c, "b0").Index != before.Index {
		t.Error("the adopted bridge was deleted")
	}
	// Without one it is made like any other.
	made := netstate.Link{Name: "b1", Kind: netstate.Bridge, Adopt: true}
	do(t, host, change(netstate.Create, made))
	if look(t, c, "b1").Alias == "" {
		t.Error("the bridge that was made bears no mark")
	}
	do(t, host, change(netstate.Delete, made))
	if look(t, c, "b1").Index != 0 {
		t.Error("the bridge that was made is still there")
	}
}

var ignoreCounters = cmp.FilterPath(func(p cmp.Path) bool {
	name := p.Last().String()
	return strings.HasPrefix(name, ".Rx") || strings.HasPrefix(name, ".Tx")
}, cmp.Ignore())

func TestCreateThatCannotBeCompleted(t *testing.T) {
	host, c, _ := scratch(t)
	namespace := newNamespace(t, host)
	inside := dial(t, namespace)
	pair := netstate.Link{Name: "v0", Kind: netstate.Veth, Master: "b0", Peer: netstate.Peer{Namespace: namespace, Name: "eth0"}}
	refuse(t, host, cnm.NotFound, `bridge "b0": does not exist`, change(netstate.Create, pair))
	check(t, inside.Execute(t.Context(), rtnl.NewBridge("eth0", rtnl.Attributes{})))
	pair.Master = ""
	refuse(t, host, cnm.Exists, `link "eth0": exists in namespace "`+namespace, change(netstate.Create, pair))
	pair.Peer = netstate.Peer{Namespace: filepath.Join(t.TempDir(), "gone"), Name: "eth0"}
	refuse(t, host, cnm.NotFound, "gone", change(netstate.Create, pair))
	pair.Peer = netstate.Peer{}
	refuse(t, host, cnm.Invalid, "born with its peer", change(netstate.Create, pair))
	refuse(t, host, cnm.Unsupported, `kind "marvel"`, change(netstate.Create, netstate.Link{Name: "d0", Kind: "marvel"}))
	if v0 := look(t, c, "v0"); v0.Index != 0 {
		t.Errorf("there is %+v", v0)
	}
}

func TestUpdateSetsMaster(t *testing.T) {
	host, c, _ := scratch(t)
	pair := netstate.Link{Name: "v0", Kind: netstate.Veth, Peer: netstate.Peer{Name: "p0"}}
	do(t, host, change(netstate.Create, bridge0), change(netstate.Create, pair))
	pair.Master = "b0"
	do(t, host, change(netstate.Update, pair))
	if got, want := look(t, c, "v0").Master, look(t, c, "b0").Index; got != want {
		t.Errorf("master %d, want %d", got, want)
	}
	pair.Master = ""
	do(t, host, change(netstate.Update, pair))
	if got := look(t, c, "v0").Master; got != 0 {
		t.Errorf("master %d, want none", got)
	}
	// Of a pair with both ends on the host, the one that was to be made is told.
	parts, err := host.Observe(t.Context(), "")
	check(t, err)
	for _, p := range parts {
		for _, l := range p.Links {
			if want := map[string]netstate.Peer{"v0": {Name: "p0"}}[l.Name]; l.Peer != want {
				t.Errorf("%s has peer %v, want %v", l.Name, l.Peer, want)
			}
		}
	}
}

func TestDeleteOnlyOurs(t *testing.T) {
	host, c, path := scratch(t)
	do(t, host, change(netstate.Create, bridge0))
	foreign(t, c, "b1")
	other := change(netstate.Delete, bridge0)
	other.Owner = "network/other"
	do(t, host, other, change(netstate.Delete, netstate.Link{Name: "b1", Kind: netstate.Bridge}),
		change(netstate.Delete, netstate.Link{Name: "missing", Kind: netstate.Bridge}))
	do(t, openHost(t, path, "second"), change(netstate.Delete, bridge0))
	if look(t, c, "b0").Index == 0 || look(t, c, "b1").Index == 0 {
		t.Error("a link that is somebody else's was deleted")
	}
	for range 2 {
		do(t, host, change(netstate.Delete, bridge0))
	}
	if look(t, c, "b0").Index != 0 {
		t.Error("ours is still there")
	}
}

func TestWhatIsNotThere(t *testing.T) {
	host, c, _ := scratch(t)
	addr := netstate.Addr{Link: "b0", Prefix: netip.MustParsePrefix("192.0.2.1/24")}
	route := netstate.Route{Link: "b0", Destination: netip.MustParsePrefix("198.51.100.0/24")}
	neighbor := netstate.Neighbor{Link: "b0", IP: netip.MustParseAddr("192.0.2.9"), MAC: netstate.MAC{2}}
	for range 2 { // without the link, and with it
		do(t, host, change(netstate.Remove, route), change(netstate.Remove, neighbor), change(netstate.Remove, addr))
		if look(t, c, "b0").Index != 0 {
			break
		}
		for _, object := range []netstate.Object{addr, route, neighbor} {
			refuse(t, host, cnm.NotFound, `link "b0": does not exist`, change(netstate.Add, object))
		}
		refuse(t, host, cnm.NotFound, "update link b0", change(netstate.Update, bridge0))
		refuse(t, host, cnm.NotFound, "raise link b0", change(netstate.Raise, bridge0))
		do(t, host, change(netstate.Create, bridge0))
	}
	sysctl := netstate.Sysctl{Key: "net/ipv4/conf/b9/forwarding", Value: "1"}
	refuse(t, host, cnm.NotFound, sysctl.Key, change(netstate.Write, sysctl))
	sysctl.Optional = true
	do(t, host, change(netstate.Write, sysctl))

	gone := filepath.Join(t.TempDir(), "gone")
	in := func(c netstate.Change) netstate.Change {
		c.Namespace = gone
		return c
	}
	do(t, host, in(change(netstate.Remove, addr)), in(change(netstate.Delete, bridge0)))
	refuse(t, host, cnm.NotFound, "raise link b0", in(change(netstate.Remove, addr)), in(change(netstate.Raise, bridge0)))
}

// TestRefusalNamesTheChange also sees that what came before the change was done.
func TestRefusalNamesTheChange(t *testing.T) {
	host, c, _ := scratch(t)
	bad := netstate.Route{Link: "b0", Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("203.0.113.1")}
	refuse(t, host, cnm.Invalid, "host: add route 0.0.0.0/0 via 203.0.113.1 dev b0: network is unreachable (",
		change(netstate.Create, bridge0), change(netstate.Raise, bridge0), change(netstate.Add, bad))
	if b0 := look(t, c, "b0"); !b0.Up || b0.Alias == "" {
		t.Errorf("what came before left %+v", b0)
	}
	// What fails before anything is sent comes behind what waits.
	refuse(t, host, cnm.NotFound, "b7",
		change(netstate.Create, netstate.Link{Name: "b1", Kind: netstate.Bridge}),
		change(netstate.Write, netstate.Sysctl{Key: "net/ipv4/conf/b7/forwarding", Value: "1"}))
	if b1 := look(t, c, "b1"); b1.Alias == "" {
		t.Errorf("the link that was made before bears no mark: %+v", b1)
	}
}

func TestBadInputChangesNothing(t *testing.T) {
	host, c, _ := scratch(t)
	noOwner := change(netstate.Create, netstate.Link{Name: "b1", Kind: netstate.Bridge})
	noOwner.Owner = ""
	longOwner := noOwner
	longOwner.Owner = strings.Repeat("x", 300)
	link := func(l netstate.Link) netstate.Change {
		l.Kind = netstate.Bridge
		return change(netstate.Create, l)
	}
	prefix := netip.MustParsePrefix("192.0.2.1/24")
	for want, bad := range map[string]netstate.Change{
		`owner ""`:     noOwner,
		`owner "xx`:    longOwner,
		`name ""`:      link(netstate.Link{}),
		`name "a b"`:   link(netstate.Link{Name: "a b"}),
		`name "a/b"`:   link(netstate.Link{Name: "a/b"}),
		`name ".."`:    link(netstate.Link{Name: ".."}),
		`name "123456`: link(netstate.Link{Name: "1234567890123456"}),
		`name "m m"`:   link(netstate.Link{Name: "b1", Master: "m m"}),
		`name "p:"`:    link(netstate.Link{Name: "b1", Peer: netstate.Peer{Name: "p:"}}),
		"MTU -1":       link(netstate.Link{Name: "b1", MTU: -1}),
		`verb "write"`: change(netstate.Write, bridge0),
		`verb "raise"`: change(netstate.Raise, netstate.Addr{Link: "b0", Prefix: prefix}),
		`verb "add"`:   change(netstate.Add, netstate.Sysctl{Key: "net/ipv4/ip_forward"}),
		"address is":   change(netstate.Add, netstate.Addr{Link: "b0"}),
		"destination":  change(netstate.Add, netstate.Route{Link: "b0"}),
		"families":     change(netstate.Add, netstate.Route{Link: "b0", Destination: prefix, Gateway: netip.IPv6Loopback()}),
		"IP or MAC":    change(netstate.Add, netstate.Neighbor{Link: "b0", IP: prefix.Addr()}),
		"below net":    change(netstate.Write, netstate.Sysctl{Key: "net/../kernel/panic", Value: "1"}),
	} {
		refuse(t, host, cnm.Invalid, want, change(netstate.Create, bridge0), bad)
	}
	if look(t, c, "b0").Index != 0 {
		t.Error("something was changed all the same")
	}
}

// TestNeighborsOfOthersStay and are not taken for ours.
func TestNeighborsOfOthersStay(t *testing.T) {
	host, _, path := scratch(t)
	do(t, host, change(netstate.Create, bridge0), change(netstate.Raise, bridge0))
	theirs := netstate.Neighbor{Link: "b0", IP: netip.MustParseAddr("192.0.2.8"), MAC: netstate.MAC{2, 8}}
	ours := netstate.Neighbor{Link: "b0", IP: netip.MustParseAddr("192.0.2.9"), MAC: netstate.MAC{2, 9}}
	check(t, kerneltest.Do(path, func() error { return neighborByHand("b0", theirs) }))
	do(t, host, change(netstate.Add, ours))
	do(t, host, change(netstate.Remove, ours), change(netstate.Remove, theirs))
	parts, err := host.Observe(t.Context(), "")
	check(t, err)
	for _, p := range parts {
		if (p.Owner == "") != (len(p.Neighbors) == 1) {
			t.Errorf("owner %q has neighbours %v", p.Owner, p.Neighbors)
		}
	}
}

// TestPathTakenByAnother replaces a namespace behind the host's back.
func TestPathTakenByAnother(t *testing.T) {
	host, _, _ := scratch(t)
	path := newNamespace(t, host)
	do(t, host, change(netstate.Create, netstate.Link{Name: "v0", Kind: netstate.Veth, Peer: netstate.Peer{Namespace: path, Name: "eth0"}}))
	check(t, netns.Delete(path))
	check(t, netns.Create(path, func() error { return nil }))
	raise := change(netstate.Raise, netstate.Link{Name: "eth0", Kind: netstate.Veth})
	raise.Namespace = path
	refuse(t, host, cnm.NotFound, "raise link eth0", raise)
}
