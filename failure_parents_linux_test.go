package libnetwork_test

import (
	"slices"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

// plantParents puts links on the machine that networks can hang on, and a network on each.
func plantParents(driver, parent string, options ...string) func(*bench) {
	return func(b *bench) {
		ok(b.t, b.host.Apply(b.t.Context(), netstate.Diff(nil, []netstate.Part{{
			Owner: "lan/wire", Links: []netstate.Link{
				{Name: "phys0", Kind: netstate.Veth, MAC: netstate.MAC{2, 0, 0, 0, 1, 1}, NoIPv6: true, Peer: netstate.Peer{Name: "far0"}},
				{Name: "far0", Kind: netstate.Veth, MAC: netstate.MAC{2, 0, 0, 0, 1, 2}, NoIPv6: true},
			},
		}})))
		own := onWire(append(options, "parent="+parent)...)
		b.lan = must[libnetwork.Network](b.t)(b.c.NewNetwork(driver, "lan", "", own...))
		b.lanJoined = must[libnetwork.Endpoint](b.t)(b.lan.CreateEndpoint("joined", limited("10M", "20M")))
		ok(b.t, b.lanJoined.Join(b.sandbox))
		ok(b.t, must[libnetwork.Endpoint](b.t)(b.lan.CreateEndpoint("late", limited("10M", "20M"))).Join(b.external))
		b.lanFree = must[libnetwork.Endpoint](b.t)(b.lan.CreateEndpoint("free", limited("10M", "20M")))
	}
}

// parentOperations are on what plantParents made.
func parentOperations(driver, parent string) []operation {
	create := func(b *bench, options map[string]string) error {
		_, err := b.c.NewNetwork(driver, "new", "", libnetwork.NetworkOptionDriverOpts(options), libnetwork.NetworkOptionEnableIPv6(true))
		return err
	}
	shim := map[string]string{"parent": parent}
	if driver == "macvlan" {
		shim["com.docker.network.macvlan.host_shim"] = "true"
	}
	return []operation{
		{"create network", func(b *bench) error { return create(b, shim) }},
		{"create endpoint", func(b *bench) error { _, err := b.lan.CreateEndpoint("new"); return err }},
		{"join", func(b *bench) error { return b.lanFree.Join(b.sandbox) }},
		{"set key", func(b *bench) error { return b.external.SetKey(b.namespace) }},
		{"leave", func(b *bench) error { return b.lanJoined.Leave(b.sandbox) }},
		{"delete endpoint by force", func(b *bench) error { return b.lanJoined.Delete(true) }},
		{"delete sandbox", func(b *bench) error { return b.sandbox.Delete() }},
	}
}

// someOf are the operations that make and delete links: what runs in an emulator leaves the
// rest to the fake.
func someOf(all []operation) []operation {
	return slices.DeleteFunc(all, func(o operation) bool { return !slices.Contains([]string{"create network", "join", "leave"}, o.name) })
}

// deleteLast deletes the only network on a parent.
func deleteLast(b *bench) error { return b.empty.Delete() }

// leaveParent has the network "empty" be one on a parent, and the other gone.
func leaveParent(driver, parent string) func(*bench) {
	return func(b *bench) {
		plantParents(driver, parent)(b)
		for _, ep := range b.lan.Endpoints() {
			ok(b.t, ep.Delete(true))
		}
		ok(b.t, b.empty.Delete())
		b.empty = b.lan
	}
}

func TestParentFailuresOnLinux(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan, kerneltest.FeatureIFB, kerneltest.FeatureTBF)
	testFailures(t, parentOperations("macvlan", "phys0"), linuxMachine, plantParents("macvlan", "phys0"))
	testFailures(t, []operation{{"delete network", deleteLast}}, linuxMachine, leaveParent("macvlan", "phys0"))
}

func TestIPvlanFailures(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIPvlan, kerneltest.FeatureIFB, kerneltest.FeatureTBF)
	testFailures(t, someOf(parentOperations("ipvlan", "phys0")), linuxMachine, plantParents("ipvlan", "phys0"))
}

func TestVLANFailures(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureVLAN, kerneltest.FeatureMacvlan, kerneltest.FeatureIFB, kerneltest.FeatureTBF)
	testFailures(t, someOf(parentOperations("macvlan", "phys0.10")), linuxMachine, plantParents("macvlan", "phys0.10"))
	testFailures(t, []operation{{"delete network", deleteLast}}, linuxMachine, leaveParent("macvlan", "phys0.10"))
}

func TestParentFailuresOnFake(t *testing.T) {
	for _, driver := range []string{"macvlan", "ipvlan"} {
		for _, parent := range []string{"phys0", "phys0.10", ""} {
			t.Run(driver+" on "+parent, func(t *testing.T) {
				testFailures(t, parentOperations(driver, parent), fakeMachine, plantParents(driver, parent))
				testFailures(t, []operation{{"delete network", deleteLast}}, fakeMachine, leaveParent(driver, parent))
			})
		}
	}
}
