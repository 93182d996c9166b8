package cni

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

// load is how many containers each of the parallel workers attaches: CNI_LOAD, as 100.
func load() int {
	if n, err := strconv.Atoi(os.Getenv("CNI_LOAD")); err == nil && n > 0 {
		return n
	}
	return 12
}

// TestOneByOne: the hundredth container finds the machine as the first did.
func TestOneByOne(t *testing.T) {
	m := newMachine(t)
	k := m.container()
	for range 100 {
		got := m.must(m.call("ADD", k, published(8080)))
		if address := got.address(t, 0); address != "10.20.0.2" {
			t.Fatalf("got %s: addresses are not given back", address)
		}
		m.must(m.call("DEL", k, published(8080)))
	}
	if links := m.exec("ip", "-o", "link"); strings.Count(links, "veth") != 0 {
		t.Errorf("links are left:\n%s", links)
	}
	if rules := m.exec("nft", "list", "ruleset"); strings.Contains(rules, ": publish ") {
		t.Errorf("published ports are left:\n%s", rules)
	}
}

// TestAtOnce: processes that come at the same time, to a machine that has no network yet.
func TestAtOnce(t *testing.T) {
	m := newMachine(t)
	const workers = 8
	keys := make([][]key, workers)
	for w := range workers {
		for range load() {
			keys[w] = append(keys[w], m.container())
		}
	}
	var mu sync.Mutex
	owners := make(map[string]string)
	var group sync.WaitGroup
	for w, own := range keys {
		group.Go(func() {
			for i, k := range own {
				port := 20000 + w*len(own) + i
				got := m.call("ADD", k, published(port))
				if got.status != 0 {
					t.Errorf("ADD: %s", got.text)
					return
				}
				address := got.address(t, 0)
				mu.Lock()
				if other, taken := owners[address]; taken {
					t.Errorf("%s and %s have %s", k.container, other, address)
				}
				owners[address] = k.container
				mu.Unlock()
				// Every second goes again meanwhile.
				if i%2 == 1 {
					mu.Lock()
					delete(owners, address)
					mu.Unlock()
					if got := m.call("DEL", k, published(port)); got.status != 0 {
						t.Errorf("DEL: %s", got.text)
					}
				}
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	for address, container := range owners {
		if err := kerneltest.Ping(m.host, netip.MustParseAddr(address)); err != nil {
			t.Errorf("%s: %v", container, err)
		}
	}
	if rules := m.exec("nft", "list", "ruleset"); strings.Count(rules, ": publish ") != len(owners) {
		t.Errorf("%d containers, and of published ports there are %d", len(owners), strings.Count(rules, ": publish "))
	}
	for _, own := range keys {
		group.Go(func() {
			for _, k := range own {
				if got := m.call("DEL", k, nil); got.status != 0 {
					t.Errorf("DEL: %s", got.text)
				}
			}
		})
	}
	group.Wait()
	if links := m.exec("ip", "-o", "link"); strings.Count(links, "veth") != 0 {
		t.Errorf("links are left:\n%s", links)
	}
}

// TestKilled: an ADD that is killed at any moment leaves nothing that DEL, or GC, would not
// take away.
func TestKilled(t *testing.T) {
	m := newMachine(t)
	m.must(m.call("ADD", m.container(), published(8079)))
	usual, killed := 10*time.Millisecond, 0
	for i := range 24 {
		k := m.container()
		c := m.prepare("ADD", k, published(8080))
		if err := kerneltest.Do(m.host, c.Start); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(usual))
		_ = c.Process.Kill()
		if c.Wait() != nil {
			killed++
		}
		if i%2 == 0 {
			m.must(m.call("DEL", k, published(8080)))
		} else {
			m.must(m.call("GC", key{}, object{"cni.dev/valid-attachments": []object{{"containerID": "c1", "ifname": "eth0"}}}))
		}
		if links := run(t, k.netns, "ip", "-o", "link"); strings.Contains(links, "eth0") {
			t.Fatalf("killed, and the container has\n%s", links)
		}
		if links := m.exec("ip", "-o", "link"); strings.Count(links, "veth") != 1 {
			t.Fatalf("killed, and there are\n%s", links)
		}
		if rules := m.exec("nft", "list", "ruleset"); strings.Contains(rules, "8080") {
			t.Fatalf("killed, and there is\n%s", rules)
		}
		// The same container, its address and its port can be had at once.
		begin := time.Now()
		if got := m.must(m.call("ADD", k, published(8080))); got.address(t, 0) != "10.20.0.3" {
			t.Fatalf("killed, and an address is lost: got %s", got.address(t, 0))
		}
		usual = min(time.Since(begin), 2*usual) // as busy as the machine is now
		m.must(m.call("DEL", k, published(8080)))
	}
	if killed < 5 {
		t.Errorf("only %d of 24 were killed before their end", killed)
	}
}

// TestBoot: after a boot, of which the records know nothing, the machine is led to them.
func TestBoot(t *testing.T) {
	m := newMachine(t)
	lives, died := m.container(), m.container()
	for i, k := range []key{lives, died} {
		m.must(m.call("ADD", k, published(8080+i)))
	}
	// What a boot takes away:
	deleteNamespace(t, died.netns)
	m.exec("nft", "flush", "ruleset")
	m.exec("sh", "-c", "for l in $(ls /proc/sys/net/ipv4/conf | grep '^br-'); do ip link del $l; done")
	if err := os.RemoveAll(filepath.Join(m.folder, "run")); err != nil {
		t.Fatal(err)
	}
	k := m.container()
	if got := m.must(m.call("ADD", k, published(8081))); got.address(t, 0) != "10.20.0.3" {
		t.Errorf("got %s: the address of a container that is gone is not free", got.address(t, 0))
	}
	for _, namespace := range []string{lives.netns, k.netns} {
		if err := kerneltest.Ping(namespace, netip.MustParseAddr("10.20.0.1")); err != nil {
			t.Error(err)
		}
	}
	kerneltest.Serve(t, lives.netns, "lives", 80)
	if said, err := kerneltest.Ask(m.host, "tcp", "127.0.0.1:8080", 5*time.Second); err != nil || !strings.HasPrefix(said, "lives") {
		t.Errorf("the port of before says %q: %v", said, err)
	}
}

// TestBootWithoutParent: a network that cannot be made again after a boot is not in the way
// of others.
func TestBootWithoutParent(t *testing.T) {
	kerneltest.NeedFeature(t, "macvlan")
	m := newMachine(t)
	office := with(m.configuration, object{"name": "office", "subnet": "10.21.0.0/16", "driver": "macvlan", "master": "parent0"})
	m.exec("ip", "link", "add", "parent0", "type", "veth", "peer", "name", "wire0")
	k := m.container()
	m.must(m.call("ADD", k, office))
	deleteNamespace(t, k.netns)
	m.exec("ip", "link", "del", "parent0")
	if err := os.RemoveAll(filepath.Join(m.folder, "run")); err != nil {
		t.Fatal(err)
	}
	m.must(m.call("ADD", m.container(), nil))
	m.refused(m.call("ADD", m.container(), office), 101, `"parent0"`)
	m.must(m.call("GC", key{}, office))
}

// TestRepairsWhatOthersBroke: an ADD that finds the machine otherwise mends it first.
func TestRepairsWhatOthersBroke(t *testing.T) {
	m := newMachine(t)
	first := m.container()
	made := m.must(m.call("ADD", first, published(8080)))
	bridge := made.took["interfaces"].([]any)[0].(object)["name"].(string)
	for i, spoil := range [][]string{{"nft", "flush", "ruleset"}, {"ip", "link", "del", bridge}} {
		m.exec(spoil...)
		m.must(m.call("ADD", m.container(), published(8081+i)))
		m.must(m.call("CHECK", first, with(published(8080), object{"prevResult": made.took})))
	}
}

// TestGC: what no valid attachment owns goes, and what one does stays.
func TestGC(t *testing.T) {
	m := newMachine(t)
	m.must(m.call("GC", key{}, nil))
	var keys []key
	for i := range 6 {
		keys = append(keys, m.container())
		m.must(m.call("ADD", keys[i], published(8080+i)))
	}
	deleteNamespace(t, keys[0].netns)
	run(t, keys[1].netns, "ip", "link", "del", "eth0")
	other := with(m.configuration, object{"name": "red", "subnet": "10.21.0.0/16"})
	red := m.container()
	m.must(m.call("ADD", red, other))
	valid := []object{{"containerID": keys[4].container, "ifname": "eth0"}, {"containerID": keys[5].container, "ifname": "eth1"}}
	m.must(m.call("GC", key{}, object{"cni.dev/valid-attachments": valid}))
	if rules := m.exec("nft", "list", "ruleset"); strings.Count(rules, ": publish ") != 1 || !strings.Contains(rules, "8084") {
		t.Errorf("published ports are\n%s", rules)
	}
	for _, k := range []key{keys[4], red} {
		gateway := map[bool]string{true: "10.20.0.1", false: "10.21.0.1"}[k == keys[4]]
		if err := kerneltest.Ping(k.netns, netip.MustParseAddr(gateway)); err != nil {
			t.Errorf("%s: %v", k.container, err)
		}
	}
	m.must(m.call("GC", key{}, other))
}

// TestStatus: whether an ADD would work.
func TestStatus(t *testing.T) {
	m := newMachine(t)
	small := object{"subnet": "10.22.0.0/30"}
	m.must(m.call("STATUS", key{}, small))
	k := m.container()
	m.must(m.call("ADD", k, small))
	m.refused(m.call("STATUS", key{}, small), 50, "no IPv4 address left")
	m.refused(m.call("ADD", m.container(), small), 104, "10.22.0.0/30")
	m.refused(m.call("STATUS", key{}, nil), 50, "another configuration")
	m.must(m.call("DEL", k, small))
	m.must(m.call("STATUS", key{}, small))
	// A configuration that has changed makes the network anew once nobody is in it.
	if got := m.must(m.call("ADD", k, nil)); got.address(t, 0) != "10.20.0.2" {
		t.Errorf("got %s of the old network", got.address(t, 0))
	}
	m.refused(m.call("ADD", m.container(), small), 7, "put that back, or remove them first")
	for _, changed := range []object{{"internal": true}, {"mtu": 1400}, {"driver": "macvlan"}, {"gateway": "10.20.0.9"}} {
		m.refused(m.call("ADD", m.container(), changed), 7, fmt.Sprintf("network %q: was made with another configuration", "blue"))
	}
}

// TestStatusOfKernel: what this kernel lacks is named before a container needs it, and what
// it has works.
func TestStatusOfKernel(t *testing.T) {
	for _, driver := range []string{"bridge", "macvlan", "ipvlan"} {
		m := newMachine(t)
		conf := object{"driver": driver}
		status, k := m.call("STATUS", key{}, conf), m.container()
		if status.status != 0 {
			m.refused(status, 50, "this kernel has no "+driver)
			m.refused(m.call("ADD", k, conf), 2, "this kernel has no "+driver)
			continue
		}
		if driver != "bridge" {
			// Without a parent it hangs on a dummy, which is a kernel's own matter.
			m.exec("ip", "link", "add", "parent0", "type", "veth", "peer", "name", "wire0")
			conf["master"] = "parent0"
		}
		m.must(m.call("ADD", k, conf))
		m.must(m.call("DEL", k, conf))
		if driver != "bridge" {
			m.must(m.call("GC", key{}, nil))
			m.exec("ip", "link", "del", "parent0")
		}
	}
}

// TestParents: networks of other drivers.
func TestParents(t *testing.T) {
	for _, driver := range []string{"macvlan", "ipvlan"} {
		t.Run(driver, func(t *testing.T) {
			kerneltest.NeedFeature(t, kerneltest.Feature(driver))
			m := newMachine(t)
			m.exec("ip", "link", "add", "parent0", "type", "veth", "peer", "name", "wire0")
			defer m.exec("ip", "link", "del", "parent0")
			m.exec("ip", "link", "set", "parent0", "up")
			m.exec("ip", "link", "set", "wire0", "up")
			m.configuration["driver"], m.configuration["master"] = driver, "parent0"
			one, two := m.container(), m.container()
			m.must(m.call("ADD", one, object{"runtimeConfig": object{"ips": []string{"10.20.0.7"}}}))
			m.must(m.call("ADD", two, nil))
			if err := kerneltest.Ping(two.netns, netip.MustParseAddr("10.20.0.7")); err != nil {
				t.Error(err)
			}
			m.must(m.call("GC", key{}, nil))
		})
	}
}
