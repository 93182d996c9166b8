package libnetwork_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

// kills, if it is given, is how often each process is killed.
var kills = flag.Int("kills", 0, "how often TestKilledOn... kill")

// Rounds have some twenty operations each. What runs in an emulator has fewer.
const (
	parentKillRounds   = 30
	emulatedKillRounds = 6
)

// A process is killed in the middle of random operations on networks that hang on a
// parent. After each restart the machine holds what the records say and nothing else.
func TestKilledOnMacvlan(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan, kerneltest.FeatureTBF, kerneltest.FeatureIFB)
	killOnParent(t, parentKillRounds, "macvlan", "phys0", "far0")
}

func TestKilledOnIPvlan(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIPvlan, kerneltest.FeatureTBF, kerneltest.FeatureIFB)
	killOnParent(t, emulatedKillRounds, "ipvlan", "phys0")
}

func TestKilledOnVLAN(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureVLAN, kerneltest.FeatureDummy, kerneltest.FeatureMacvlan, kerneltest.FeatureTBF, kerneltest.FeatureIFB)
	killOnParent(t, emulatedKillRounds, "macvlan", "phys0", "phys0.10", "phys0.20", "")
}

func killOnParent(t *testing.T, rounds int, driver string, parents ...string) {
	rounds = cmp.Or(*kills, rounds)
	s := newScratch(t)
	run(t, s.host, "ip", "link", "add", "phys0", "up", "address", "02:00:00:00:01:01", "type", "veth", "peer", "name", "far0", "address", "02:00:00:00:01:02")
	run(t, s.host, "ip", "link", "set", "far0", "up")
	before := s.picture(t)
	random := rand.New(rand.NewPCG(3, uint64(len(driver)+len(parents))))
	victim := "parents:" + driver + ":" + strings.Join(parents, ",")
	done := 0
	for round := range rounds {
		done += s.runVictim(t, victim, round, 10+random.IntN(22))
		c := s.open(t)
		s.wantParentsOnly(t, c)
		c.Stop()
	}
	t.Logf("%d operations, %d kills", done, rounds)
	if done < 15*rounds {
		t.Errorf("only %d operations", done)
	}
	c := s.open(t)
	empty(t, c)
	if after := s.picture(t); after != before {
		t.Errorf("on the host before:\n%s\nand after:\n%s", before, after)
	}
	if left, _ := os.ReadDir(s.run + "/netns"); len(left) > 0 {
		t.Errorf("%d namespaces are left", len(left))
	}
}

// A process may be killed after it has recorded that an endpoint left, and before the
// kernel knows.
func TestLeftBehindByAnEndpointThatLeft(t *testing.T) {
	host := kerneltest.NewFake()
	host.Plant("", netstate.Link{Name: "phys0", Kind: "physical", MTU: 1500})
	c := openOn(t, host)
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("c"))
	for _, driver := range []string{"bridge", "macvlan"} {
		options := map[string]string{}
		if driver == "macvlan" {
			options["parent"] = "phys0"
		}
		n := must[libnetwork.Network](t)(c.NewNetwork(driver, driver, "", libnetwork.NetworkOptionDriverOpts(options)))
		ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("e"))
		before := kerneltest.Snapshot(t, host, "", sb.Key())
		ok(t, ep.Join(sb))
		parts := libnetwork.PartsOf(ep)
		ok(t, ep.Leave(sb))
		ok(t, host.Apply(t.Context(), netstate.Diff(nil, parts)))
		if kerneltest.Snapshot(t, host, "", sb.Key()) == before {
			t.Fatalf("%s: nothing was left behind", driver)
		}
		ok(t, c.Repair(t.Context()))
		if after := kerneltest.Snapshot(t, host, "", sb.Key()); after != before {
			t.Errorf("%s: before:\n%s\nafter:\n%s", driver, before, after)
		}
	}
}

// wantParentsOnly compares the machine with the controller: as many links on parents as
// endpoints in sandboxes and hosts in networks, limits where they were asked for, VLANs
// and dummies where a network has one.
func (s scratch) wantParentsOnly(t *testing.T, c libnetwork.NetworkController) {
	t.Helper()
	joined, limits, shims, dummies := 0, 0, 0, 0
	vlans := make(map[string]bool)
	for _, n := range c.Networks() {
		options := n.Info().DriverOptions()
		switch parent := options["parent"]; {
		case n.Type() != "macvlan" && n.Type() != "ipvlan":
			continue
		case parent == "":
			dummies++
		case strings.Contains(parent, "."):
			vlans[parent] = true
		}
		if options["com.docker.network.macvlan.host_shim"] == "true" {
			shims++
		}
		for _, ep := range n.Endpoints() {
			if ep.Info().Sandbox() == nil {
				continue
			}
			joined++
			if strings.HasSuffix(ep.Name(), "-limited") {
				limits++
			}
		}
	}
	var keys []string
	for _, sb := range c.Sandboxes() {
		keys = append(keys, sb.Key())
	}
	picture := s.picture(t, keys...)
	for what, want := range map[string]int{
		" link eth": joined, " link ms-": shims, " link dm-": dummies, " link phys0.": len(vlans),
		" limit dev ": 2 * limits, " link ifb": limits, " link lnw-": 0,
	} {
		if got := strings.Count(picture, what); got != want {
			t.Errorf("%d times %q, want %d", got, what, want)
		}
	}
	if pinned, _ := os.ReadDir(s.run + "/netns"); len(pinned) != len(keys) {
		t.Errorf("%d namespaces, %d sandboxes", len(pinned), len(keys))
	}
	if t.Failed() {
		t.Fatalf("on the machine:\n%s", picture)
	}
	ok(t, c.Repair(t.Context()))
	if after := s.picture(t, keys...); after != picture {
		t.Errorf("after the restart there was still something to repair:\n%s\nbecame\n%s", picture, after)
	}
}

// beParentVictim does random operations for ever, and says so after each.
func beParentVictim(host, data, runFolder, what string, seed uint64) error {
	words := strings.Split(what, ":")
	driver, parents := words[1], strings.Split(words[2], ",")
	c, err := libnetwork.New(config.OptionHostNamespace(host), config.OptionDataDir(data),
		config.OptionExecRoot(runFolder), config.OptionAnnounce(0, 0))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 4))
	for i := 0; ; i++ {
		name := fmt.Sprintf("r%d-%d", seed, i)
		err := parentOperation(c, random, driver, parents[random.IntN(len(parents))], name)
		// A parent may carry something else at the time, and a subnet be taken.
		if err != nil && !errors.Is(err, cnm.Forbidden) && !errors.Is(err, cnm.Exists) {
			return fmt.Errorf("operation %d: %w", i, err)
		}
		fmt.Println("done")
	}
}

func parentOperation(c libnetwork.NetworkController, random *rand.Rand, driver, parent, name string) error {
	n, haveNetwork := pick(random, c.Networks())
	sb, haveSandbox := pick(random, c.Sandboxes())
	switch choice := random.IntN(12); {
	case choice <= 1 && len(c.Networks()) < 8 || !haveNetwork:
		return randomParentNetwork(c, random, driver, parent, name)
	case choice == 2 && len(n.Endpoints()) == 0:
		return n.Delete()
	case choice <= 4 && len(c.Sandboxes()) < 8 || !haveSandbox:
		_, err := c.NewSandbox(name)
		return err
	case choice == 5:
		return sb.Delete()
	case choice <= 8:
		var options []libnetwork.EndpointOption
		if random.IntN(2) == 0 {
			name += "-limited"
			options = append(options, limited("10M", "20M"))
		}
		ep, err := n.CreateEndpoint(name, options...)
		if err != nil {
			return err
		}
		return ep.Join(sb)
	}
	ep, have := pick(random, n.Endpoints())
	if !have {
		return nil
	}
	if in := ep.Info().Sandbox(); in != nil && random.IntN(2) == 0 {
		return ep.Leave(in)
	}
	return ep.Delete(true)
}

// randomParentNetwork makes one, of any mode that the parent may have beside another.
func randomParentNetwork(c libnetwork.NetworkController, random *rand.Rand, driver, parent, name string) error {
	options := map[string]string{"parent": parent}
	if driver == "macvlan" {
		options["macvlan_mode"] = []string{"bridge", "private", "vepa", "passthru"}[random.IntN(4)]
		if options["macvlan_mode"] == "bridge" && random.IntN(2) == 0 {
			options["com.docker.network.macvlan.host_shim"] = "true"
		}
	} else {
		options["ipvlan_mode"] = []string{"l2", "l3", "l3s"}[random.IntN(3)]
	}
	pool := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(random.IntN(256)), byte(random.IntN(256)), 0}), 24)
	_, err := c.NewNetwork(driver, name, "", libnetwork.NetworkOptionDriverOpts(options), libnetwork.NetworkOptionEnableIPv6(random.IntN(2) == 0),
		libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{{PreferredPool: pool.String()}}, nil, nil))
	return err
}
