package kerneltest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

// need skips a test that Linux cannot run without the features; the fake has all.
func (w *world) need(features ...Feature) {
	w.Helper()
	if _, fake := w.host.(*Fake); !fake {
		need(w.T, features...)
	}
}

// segment is a pair on the host: phys0 is to be a parent, and far0 is what is behind it.
func segment() netstate.Part {
	return netstate.Part{Owner: "network/segment", Links: []netstate.Link{
		{Name: "phys0", Kind: netstate.Veth, MAC: netstate.MAC{2, 0, 0, 0, 9, 1}, Peer: netstate.Peer{Name: "far0"}},
		{Name: "far0", Kind: netstate.Veth, MAC: netstate.MAC{2, 0, 0, 0, 9, 2}},
	}}
}

// hanging is an endpoint's part with a link on a parent.
func hanging(id, namespace string, link netstate.Link, addresses ...string) netstate.Part {
	link.Name = "eth0"
	if link.Kind == netstate.Macvlan && link.Mode != netstate.ModePassthru {
		link.MAC = netstate.MAC{2, 0, 0, 0, 3, id[len(id)-1]}
	}
	p := netstate.Part{
		Owner: "endpoint/" + id, Namespace: namespace,
		Links: []netstate.Link{link, {Name: "lo", Kind: netstate.Existing}},
	}
	for _, a := range addresses {
		p.Addrs = append(p.Addrs, netstate.Addr{Link: "eth0", Prefix: netip.MustParsePrefix(a)})
	}
	return p
}

func macvlanOn(parent string, mode netstate.Mode) netstate.Link {
	return netstate.Link{Kind: netstate.Macvlan, Parent: parent, Mode: mode}
}

func ipvlanOn(parent string, mode, flag netstate.Mode) netstate.Link {
	return netstate.Link{Kind: netstate.IPvlan, Parent: parent, Mode: mode, Flag: flag}
}

// attached leads to the wish and back, step by step and each step twice, and then to it
// as a whole, looks whether it is there, and takes it all away.
func (w *world) attached(base, wished []netstate.Part, namespaces ...string) {
	w.Helper()
	w.lead(nil, base)
	all := append(slices.Clone(base), wished...)
	for _, changes := range []netstate.Changes{netstate.Diff(base, all), netstate.Diff(all, base)} {
		for _, c := range changes {
			w.apply(netstate.Changes{c})
			w.apply(netstate.Changes{c})
		}
		w.apply(changes)
	}
	w.lead(base, all)
	w.wantWished(all, namespaces...)
	w.lead(all, base)
	w.wantWished(base, namespaces...)
	for _, p := range w.observe(namespaces...) {
		if p.Namespace != "" && len(p.Links) > 1 {
			w.Errorf("left: %s", Picture([]netstate.Part{p}))
		}
	}
	w.lead(base, nil)
}

func testMacvlan(_ *testing.T, w *world) {
	w.need(FeatureMacvlan)
	a, b := w.namespace("a"), w.namespace("b")
	second := macvlanOn("phys0", netstate.ModeBridge)
	second.MTU = 1400
	w.attached([]netstate.Part{segment()}, []netstate.Part{
		hanging("1", a, macvlanOn("phys0", netstate.ModeBridge), "192.0.2.2/24", "2001:db8::2/64"),
		hanging("2", b, second, "192.0.2.3/24"),
		{Owner: "network/shim", Links: []netstate.Link{{Name: "shim0", Kind: netstate.Macvlan, Parent: "phys0", Mode: netstate.ModeBridge, NoIPv6: true}}},
	}, a, b)
	// With the parent all that hangs on it goes.
	base := []netstate.Part{segment()}
	wished := append(slices.Clone(base), hanging("1", a, macvlanOn("phys0", netstate.ModeBridge), "192.0.2.2/24"))
	w.lead(nil, wished)
	w.lead(base, nil)
	if got := Picture(w.observe(a)); strings.Contains(got, "eth0") {
		w.Errorf("still there:\n%s", got)
	}
	w.lead(nil, wished)
	w.wantWished(wished, a)
	w.lead(wished, nil)
}

func testMacvlanModes(_ *testing.T, w *world) {
	w.need(FeatureMacvlan)
	a := w.namespace("a")
	var before []netstate.Part
	for _, mode := range []netstate.Mode{netstate.ModeBridge, netstate.ModePrivate, netstate.ModeVEPA, netstate.ModePassthru, netstate.ModeBridge} {
		wished := []netstate.Part{segment(), hanging("1", a, macvlanOn("phys0", mode), "192.0.2.2/24")}
		w.lead(before, wished)
		w.wantWished(wished, a)
		before = wished
	}
	w.lead(before, nil)
	bad := hanging("1", a, macvlanOn("phys0", "sideways"))
	w.wantKind(netstate.Diff(nil, []netstate.Part{bad}), cnm.Invalid)
}

func testPassthru(_ *testing.T, w *world) {
	w.need(FeatureMacvlan)
	a, b := w.namespace("a"), w.namespace("b")
	alone := hanging("1", a, macvlanOn("phys0", netstate.ModePassthru))
	base := []netstate.Part{segment(), alone}
	w.lead(nil, base)
	for _, mode := range []netstate.Mode{netstate.ModePassthru, netstate.ModeBridge} {
		w.wantKind(netstate.Diff(nil, []netstate.Part{hanging("2", b, macvlanOn("phys0", mode))}), cnm.Forbidden)
	}
	w.wantWished(base, a, b)
	w.lead(base, nil)
}

func testIPvlan(_ *testing.T, w *world) {
	w.need(FeatureIPvlan)
	a, b := w.namespace("a"), w.namespace("b")
	for _, mode := range []netstate.Mode{netstate.ModeL2, netstate.ModeL3, netstate.ModeL3S} {
		for _, flag := range []netstate.Mode{netstate.ModeBridge, netstate.ModePrivate, netstate.ModeVEPA} {
			one := hanging("1", a, ipvlanOn("phys0", mode, flag), "192.0.2.2/24", "2001:db8::2/64")
			two := hanging("2", b, ipvlanOn("phys0", mode, flag), "192.0.2.3/24")
			if mode != netstate.ModeL2 {
				one.Routes = []netstate.Route{
					{Destination: netip.MustParsePrefix("0.0.0.0/0"), Link: "eth0"}, {Destination: netip.MustParsePrefix("::/0"), Link: "eth0"},
				}
			}
			w.attached([]netstate.Part{segment()}, []netstate.Part{one, two}, a, b)
		}
	}
	withMAC := hanging("1", a, ipvlanOn("phys0", netstate.ModeL2, netstate.ModeBridge))
	withMAC.Links[0].MAC = netstate.MAC{2, 0, 0, 0, 0, 1}
	w.wantKind(netstate.Diff(nil, []netstate.Part{withMAC}), cnm.Invalid)
}

func testOneKind(_ *testing.T, w *world) {
	w.need(FeatureMacvlan, FeatureIPvlan)
	a, b := w.namespace("a"), w.namespace("b")
	for _, kinds := range [][2]netstate.Link{
		{macvlanOn("phys0", netstate.ModeBridge), ipvlanOn("phys0", netstate.ModeL2, netstate.ModeBridge)},
		{ipvlanOn("phys0", netstate.ModeL2, netstate.ModeBridge), macvlanOn("phys0", netstate.ModeBridge)},
	} {
		base := []netstate.Part{segment(), hanging("1", a, kinds[0])}
		w.lead(nil, base)
		w.wantKind(netstate.Diff(nil, []netstate.Part{hanging("2", b, kinds[1])}), cnm.Forbidden)
		w.wantWished(base, a, b)
		w.lead(base, nil)
	}
}

func vlanPart(name string, id int) netstate.Part {
	return netstate.Part{Owner: "parent/" + name, Links: []netstate.Link{
		{Name: name, Kind: netstate.VLAN, Parent: "phys0", VLANID: id, NoIPv6: true, Adopt: true},
	}}
}

func testVLAN(_ *testing.T, w *world) {
	w.need(FeatureVLAN, FeatureMacvlan)
	a, b := w.namespace("a"), w.namespace("b")
	w.attached([]netstate.Part{segment()}, []netstate.Part{
		hanging("1", a, macvlanOn("phys0.10", netstate.ModeBridge), "192.0.2.2/24"),
		vlanPart("phys0.10", 10),
		hanging("2", b, macvlanOn("phys0.20", netstate.ModeBridge), "192.0.2.2/24"),
		vlanPart("phys0.20", 20),
	}, a, b)
	first := []netstate.Part{segment(), vlanPart("phys0.10", 10), hanging("1", a, macvlanOn("phys0.10", netstate.ModeBridge), "192.0.2.2/24")}
	w.lead(nil, first)
	// Another number is another link, and what hangs on it is made anew.
	other := slices.Clone(first)
	other[1] = vlanPart("phys0.10", 11)
	w.lead(first, other)
	w.wantWished(other, a)
	w.lead(other, nil)
	for _, id := range []int{0, 4095} {
		w.wantKind(netstate.Diff(nil, []netstate.Part{vlanPart("phys0.10", id)}), cnm.Invalid)
	}
	w.wantKind(netstate.Diff(nil, []netstate.Part{vlanPart("phys0.10", 10)}), cnm.NotFound)
}

// testAdoptVLAN has a link of another owner in the place of a VLAN, and then one that is
// nobody's.
func testAdoptVLAN(_ *testing.T, w *world) {
	w.need(FeatureVLAN)
	base := []netstate.Part{segment()}
	w.lead(nil, base)
	theirs := vlanPart("phys0.10", 10)
	theirs.Owner = "network/theirs"
	w.lead(nil, []netstate.Part{theirs})
	w.wantKind(netstate.Diff(nil, []netstate.Part{vlanPart("phys0.10", 10)}), cnm.Exists)
	w.lead([]netstate.Part{theirs}, nil)
	w.lead(base, nil)
	fake, isFake := w.host.(*Fake)
	if !isFake {
		return // the kernel's own tests have one that was made by hand
	}
	fake.Plant("", netstate.Link{Name: "wan.10", Kind: "physical", MTU: 1500})
	mine := []netstate.Part{vlanPart("wan.10", 10)}
	mine[0].Links[0].Parent = "wan"
	w.lead(nil, mine)
	w.wantWished(mine)
	w.lead(mine, nil)
	if !strings.Contains(Picture(w.observe()), "wan.10") {
		w.Error("what was adopted has gone")
	}
}

func testDummy(_ *testing.T, w *world) {
	w.need(FeatureDummy, FeatureMacvlan)
	a := w.namespace("a")
	dummy := netstate.Part{Owner: "network/n", Links: []netstate.Link{{
		Name: "dm-1", Kind: netstate.Dummy, MTU: 9000, NoIPv6: true, Carries: netstate.Load{Kind: netstate.Macvlan, MTU: 9000},
	}}}
	w.attached(nil, []netstate.Part{hanging("1", a, macvlanOn("dm-1", netstate.ModeBridge), "192.0.2.2/24"), dummy}, a)
}

func testBadParents(_ *testing.T, w *world) {
	w.need(FeatureMacvlan)
	a := w.namespace("a")
	carry := func(name string, load netstate.Load) []netstate.Part {
		return []netstate.Part{{Owner: "network/n", Links: []netstate.Link{{Name: name, Kind: netstate.Existing, Carries: load}}}}
	}
	base := []netstate.Part{segment(), bridgePart("br1")}
	base[0].Links[1].Master = "br1"
	w.lead(nil, base)
	any := netstate.Load{Kind: netstate.Macvlan}
	w.wantKind(netstate.Diff(nil, carry("lo", any)), cnm.Invalid)
	w.wantKind(netstate.Diff(nil, carry("none", any)), cnm.NotFound)
	w.wantKind(netstate.Diff(nil, carry("far0", any)), cnm.Forbidden)
	w.wantKind(netstate.Diff(nil, carry("phys0", netstate.Load{Kind: netstate.Macvlan, MTU: 1501})), cnm.Invalid)
	w.lead(nil, carry("phys0", netstate.Load{Kind: netstate.Macvlan, MTU: 1500}))
	w.lead(nil, carry("br1", any))
	for parent, kind := range map[string]cnm.Kind{"lo": cnm.Invalid, "none": cnm.NotFound, "far0": cnm.Forbidden} {
		w.wantKind(netstate.Diff(nil, []netstate.Part{hanging("1", a, macvlanOn(parent, netstate.ModeBridge))}), kind)
	}
	large := macvlanOn("phys0", netstate.ModeBridge)
	large.MTU = 1501
	w.wantKind(netstate.Diff(nil, []netstate.Part{hanging("1", a, large)}), cnm.Invalid)
	w.wantWished(base, a)
	w.lead(base, nil)
}

func testLimits(_ *testing.T, w *world) {
	w.need(FeatureTBF, FeatureIFB)
	a := w.namespace("a")
	base := []netstate.Part{bridgePart("br1")}
	pair := pairParts("1", "br1", a, "eth0", "", "192.0.2.2/24")
	pair[0].Limits = []netstate.Limit{{Link: "v1", Rate: 10_000_000, Burst: 20_000}}
	pair[1].Limits = []netstate.Limit{
		{Link: "eth0", Rate: 40_000_000_008, Burst: 1 << 20},
		{Link: "eth0", Through: "ifb-eth0", Rate: 8_000, Burst: 16_384},
	}
	pair[1].Links = append(pair[1].Links, netstate.Link{Name: "ifb-eth0", Kind: netstate.IFB, NoIPv6: true})
	w.attached(base, pair, a)
	first := append(slices.Clone(base), pair...)
	w.lead(nil, first)
	second := append(slices.Clone(base), pairParts("1", "br1", a, "eth0", "", "192.0.2.2/24")...)
	second[1].Limits = []netstate.Limit{{Link: "v1", Rate: 10_000_000, Burst: 30_000}}
	second[2].Limits = []netstate.Limit{{Link: "eth0", Rate: netstate.MostRate, Burst: 1 << 30}}
	for _, next := range [][]netstate.Part{second, first, second} {
		w.lead(w.observe(a), next)
		w.wantWished(next, a)
	}
	for _, bad := range []netstate.Limit{
		{Link: "v1", Rate: 7_992, Burst: 20_000}, {Link: "v1", Rate: 10_001, Burst: 20_000},
		{Link: "v1", Rate: netstate.MostRate + 8, Burst: 20_000}, {Link: "v1", Rate: 8_000},
	} {
		w.wantKind(one(netstate.Add, "", bad), cnm.Invalid)
	}
	w.lead(second, nil)
	w.wantKind(one(netstate.Add, "", netstate.Limit{Link: "v1", Rate: 8_000, Burst: 20_000}), cnm.NotFound)
	w.apply(one(netstate.Remove, "", netstate.Limit{Link: "v1"}))
}

// testParentWalk goes from one random wish to the next and compares each with the wish.
func testParentWalk(_ *testing.T, w *world) {
	w.need(FeatureMacvlan, FeatureTBF)
	a, b := w.namespace("a"), w.namespace("b")
	random := rand.New(rand.NewPCG(8, 8))
	modes := []netstate.Mode{netstate.ModeBridge, netstate.ModePrivate, netstate.ModeVEPA}
	var current []netstate.Part
	for range 60 {
		next := []netstate.Part{segment()}
		parents := []string{"phys0"}
		if random.IntN(2) == 0 {
			next, parents = append(next, bridgePart("br1")), append(parents, "br1")
		}
		if random.IntN(6) == 0 {
			next = nil
		}
		for i, namespace := range []string{a, b} {
			if random.IntN(3) == 0 || next == nil {
				continue
			}
			p := hanging(fmt.Sprint(i), namespace, macvlanOn(parents[random.IntN(len(parents))], modes[random.IntN(3)]), fmt.Sprintf("192.0.2.%d/24", i+2))
			if random.IntN(2) == 0 {
				p.Links[0].MTU = 1400 + random.IntN(3)
			}
			if random.IntN(2) == 0 {
				p.Limits = []netstate.Limit{{Link: "eth0", Rate: 8_000_000 * uint64(1+random.IntN(2)), Burst: 20_000}}
			}
			next = append(next, p)
		}
		changes := netstate.Diff(current, next)
		if err := w.host.Apply(w.Context(), changes); err != nil {
			w.Fatalf("%v, in\n%s", err, changes)
		}
		current = next
		w.wantWished(current, a, b)
	}
	w.lead(current, nil)
}

func testFeatures(_ *testing.T, w *world) {
	list, err := w.host.Features().List()
	if err != nil || len(list) != len(kernel.KnownFeatures()) {
		w.Fatalf("features %v, %v", list, err)
	}
	for _, f := range list {
		err := w.host.Features().Require(f.Feature)
		if (err == nil) != f.Present {
			w.Errorf("%s: present %v, but %v", f.Feature, f.Present, err)
		}
		if err != nil && (cnm.KindOf(err) != cnm.Unsupported || !strings.Contains(err.Error(), f.Config) || !strings.Contains(err.Error(), f.Module)) {
			w.Errorf("%s: error %v", f.Feature, err)
		}
	}
	if err := w.host.Features().Require(kernel.FeatureBridge, kernel.FeatureVeth); err != nil {
		w.Error(err)
	}
}
