package cni

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
)

// TestVersions: each version of the specification has its own form of a result.
func TestVersions(t *testing.T) {
	m := newMachine(t)
	for _, version := range []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		k := m.container()
		conf := object{"cniVersion": version}
		got := m.must(m.call("ADD", k, conf))
		inside := object{"name": "eth0", "mac": "02:42:0a:14:00:02", "sandbox": k.netns}
		ip := object{"interface": 2., "address": "10.20.0.2/16", "gateway": "10.20.0.1"}
		want := object{
			"cniVersion": version, "interfaces": []any{object{}, object{}, inside}, "ips": []any{ip},
			"routes": []any{object{"dst": "0.0.0.0/0", "gw": "10.20.0.1"}},
		}
		if version < "1" {
			ip["version"], want["dns"] = "4", object{}
		}
		links := got.took["interfaces"].([]any)
		if version >= "1" {
			inside["mtu"] = 1500.
		}
		// The names of the host's links follow from ids.
		for j, prefix := range []string{"br-", "veth"} {
			if name := links[j].(object)["name"].(string); !strings.HasPrefix(name, prefix) {
				t.Errorf("version %s: link %q, want %s...", version, name, prefix)
			}
			links[j] = object{}
		}
		if diff := cmp.Diff(want, got.took); diff != "" {
			t.Errorf("version %s: %s", version, diff)
		}
		if version >= "0.4" {
			m.must(m.call("CHECK", k, with(conf, object{"prevResult": result(t, m, k, conf)})))
		}
		m.must(m.call("DEL", k, with(conf, object{"prevResult": got.took})))
	}
	for asked, answered := range map[string]string{"0.4.0": "0.4.0", "": "1.1.0", "7.0.0": "1.1.0"} {
		got := m.must(m.call("VERSION", key{}, object{"cniVersion": asked}))
		want := object{"cniVersion": answered, "supportedVersions": []any{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}}
		if diff := cmp.Diff(want, got.took); diff != "" {
			t.Errorf("VERSION asked in %q: %s", asked, diff)
		}
	}
}

// result deletes an attachment and makes it again, for its result.
func result(t *testing.T, m *machine, k key, conf object) object {
	t.Helper()
	m.must(m.call("DEL", k, conf))
	return m.must(m.call("ADD", k, conf)).took
}

// TestCheck: what is not as it was made is found.
func TestCheck(t *testing.T) {
	m := newMachine(t)
	m.refused(m.call("CHECK", m.container(), object{"prevResult": object{"cniVersion": "1.1.0"}}), 3, "ADD comes first")
	for name, c := range map[string]struct {
		spoil func(k key, result object)
		says  string
	}{
		"address": {func(k key, _ object) { run(t, k.netns, "ip", "addr", "flush", "dev", "eth0") }, "add addr 10.20."},
		"route":   {func(k key, _ object) { run(t, k.netns, "ip", "route", "del", "default") }, "add route 0.0.0.0/0"},
		"link":    {func(k key, _ object) { run(t, k.netns, "ip", "link", "del", "eth0") }, "create link veth"},
		"bridge": {func(_ key, result object) {
			m.exec("ip", "link", "del", result["interfaces"].([]any)[0].(object)["name"].(string))
		}, "create link br-"},
		"port":   {func(key, object) { m.exec("nft", "flush", "ruleset") }, "publish tcp 0.0.0.0:8080"},
		"result": {func(_ key, result object) { result["ips"] = []any{} }, "has no address 10.20."},
	} {
		k := m.container()
		made := m.must(m.call("ADD", k, published(8080))).took
		again := object{"prevResult": made}
		m.must(m.call("CHECK", k, again))
		c.spoil(k, made)
		got := m.call("CHECK", k, again)
		if m.refused(got, 105, c.says); t.Failed() {
			t.Fatalf("with another %s", name)
		}
		m.must(m.call("DEL", k, nil))
		m.must(m.call("GC", key{}, nil))
	}
	k := m.container()
	m.must(m.call("ADD", k, nil))
	m.refused(m.call("CHECK", k, nil), 7, `key "prevResult": is missing`)
}

// TestCheckToleratesOthers: plugins behind this one may change what is theirs to change.
func TestCheckToleratesOthers(t *testing.T) {
	m := newMachine(t)
	k := m.container()
	made := m.must(m.call("ADD", k, nil)).took
	run(t, k.netns, "ip", "link", "set", "eth0", "mtu", "1400")
	made["interfaces"] = append(made["interfaces"].([]any), object{"name": "tun0", "sandbox": k.netns})
	made["ips"] = append(made["ips"].([]any), object{"address": "192.0.2.1/24", "interface": 3})
	m.must(m.call("CHECK", k, object{"prevResult": made}))
}

// TestDelete: DEL succeeds whatever is left, or not left.
func TestDelete(t *testing.T) {
	m := newMachine(t)
	m.must(m.call("DEL", key{"nobody", "eth0", "/nowhere"}, nil))
	if _, err := os.Stat(filepath.Join(m.folder, "data")); !os.IsNotExist(err) {
		t.Errorf("a DEL without anything to delete has made records: %v", err)
	}
	for name, spoil := range map[string]func(*key, object){
		"as it is":          func(*key, object) {},
		"twice":             func(k *key, _ object) { m.must(m.call("DEL", *k, nil)) },
		"no namespace":      func(k *key, _ object) { k.netns = "" },
		"namespace is gone": func(k *key, _ object) { deleteNamespace(t, k.netns) },
		"link is gone":      func(k *key, _ object) { run(t, k.netns, "ip", "link", "del", "eth0") },
		"rules are gone":    func(*key, object) { m.exec("nft", "flush", "ruleset") },
		"bridge is gone": func(_ *key, result object) {
			m.exec("ip", "link", "del", result["interfaces"].([]any)[0].(object)["name"].(string))
		},
		"unknown keys": func(*key, object) { m.configuration["unknown"] = true },
	} {
		k := m.container()
		made := m.must(m.call("ADD", k, published(8080)))
		other := m.container()
		m.must(m.call("ADD", other, nil))
		spoil(&k, made.took)
		m.must(m.call("DEL", k, published(8080)))
		delete(m.configuration, "unknown")
		// The address and the port are free again, and the other container stays.
		again := m.container()
		if got := m.must(m.call("ADD", again, with(published(8080), object{"args": object{"cni": object{"ips": []string{made.address(t, 0)}}}}))); got.address(t, 0) != made.address(t, 0) {
			t.Errorf("%s: got another address", name)
		}
		m.must(m.call("GC", key{}, object{"cni.dev/valid-attachments": []object{{"containerID": other.container, "ifname": "eth0"}}}))
		if err := kerneltest.Ping(other.netns, netip.MustParseAddr("10.20.0.1")); err != nil {
			t.Errorf("%s: the other container: %v", name, err)
		}
		m.must(m.call("DEL", other, nil))
	}
}

func deleteNamespace(t testing.TB, path string) {
	t.Helper()
	if err := netns.Delete(path); err != nil {
		t.Fatal(err)
	}
}

// TestAddTwice: an attachment that lives is not made again; one whose container is gone is.
func TestAddTwice(t *testing.T) {
	m := newMachine(t)
	k := m.container()
	m.must(m.call("ADD", k, nil))
	m.refused(m.call("ADD", k, nil), 102, "DEL comes first")
	second := k
	second.ifname = "eth1"
	m.must(m.call("ADD", second, nil))
	if links := run(t, k.netns, "ip", "-br", "-4", "addr"); strings.Count(links, "10.20.0.") != 2 {
		t.Errorf("two interfaces have\n%s", links)
	}
	m.must(m.call("DEL", k, nil))
	if err := kerneltest.Ping(k.netns, netip.MustParseAddr("10.20.0.1")); err != nil {
		t.Errorf("by the second interface: %v", err)
	}
	elsewhere := m.container()
	elsewhere.container = k.container
	m.refused(m.call("ADD", elsewhere, nil), 4, "is attached with another namespace")
	deleteNamespace(t, k.netns)
	m.must(m.call("ADD", elsewhere, nil))
	taken := m.container()
	run(t, taken.netns, "ip", "link", "add", "eth0", "type", "bridge")
	m.refused(m.call("ADD", taken, nil), 102, `link "eth0": exists`)
	m.must(m.call("DEL", taken, nil))
}

// TestPackets: containers reach each other, and are reached by published ports.
func TestPackets(t *testing.T) {
	m := newMachine(t)
	one, two := m.container(), m.container()
	m.configuration["subnets"] = []string{"10.20.0.0/16", "fd20::/64"}
	delete(m.configuration, "subnet")
	m.must(m.call("ADD", one, published(8080)))
	got := m.must(m.call("ADD", two, nil))
	for i := range 2 {
		if err := kerneltest.Ping(one.netns, netip.MustParseAddr(got.address(t, i))); err != nil {
			t.Error(err)
		}
	}
	kerneltest.Serve(t, one.netns, "one", 80)
	for _, from := range []struct{ namespace, address string }{
		{m.host, "127.0.0.1:8080"}, {m.host, "10.20.0.1:8080"}, {two.netns, "10.20.0.1:8080"}, {one.netns, "10.20.0.1:8080"},
		{two.netns, "10.20.0.2:80"}, {two.netns, "[fd20::1]:8080"},
	} {
		said, err := kerneltest.Ask(from.namespace, "tcp", from.address, 5*time.Second)
		if err != nil || !strings.HasPrefix(said, "one") {
			t.Errorf("%s says %q: %v", from.address, said, err)
		}
	}
	m.must(m.call("DEL", one, nil))
	if said, err := kerneltest.Ask(m.host, "tcp", "127.0.0.1:8080", 300*time.Millisecond); err == nil {
		t.Errorf("after DEL the port says %q", said)
	}
}

// TestTwoNetworks: a container in two of them has two interfaces, and leaves one by one.
func TestTwoNetworks(t *testing.T) {
	m := newMachine(t)
	k := m.container()
	red := with(m.configuration, object{"name": "red", "subnet": "10.21.0.0/16"})
	m.must(m.call("ADD", k, nil))
	second := k
	second.ifname = "net1"
	m.must(m.call("ADD", second, red))
	for _, gateway := range []string{"10.20.0.1", "10.21.0.1"} {
		if err := kerneltest.Ping(k.netns, netip.MustParseAddr(gateway)); err != nil {
			t.Error(err)
		}
	}
	if routes := run(t, k.netns, "ip", "route"); strings.Count(routes, "default") != 1 {
		t.Errorf("routes are\n%s", routes)
	}
	m.must(m.call("DEL", k, nil))
	// The default route is now by the other.
	if routes := run(t, k.netns, "ip", "route"); !strings.Contains(routes, "default via 10.21.0.1 dev net1") {
		t.Errorf("routes are\n%s", routes)
	}
	m.must(m.call("DEL", second, red))
	m.must(m.call("GC", key{}, red))
}

// TestIPTables: with the other back end of the packet filter.
func TestIPTables(t *testing.T) {
	m := newMachine(t)
	m.configuration["firewall"] = "iptables"
	one, two := m.container(), m.container()
	made := m.must(m.call("ADD", one, published(8080)))
	m.must(m.call("ADD", two, nil))
	kerneltest.Serve(t, one.netns, "one", 80)
	for _, namespace := range []string{m.host, two.netns} {
		if said, err := kerneltest.Ask(namespace, "tcp", "10.20.0.1:8080", 5*time.Second); err != nil || !strings.HasPrefix(said, "one") {
			t.Errorf("the port says %q: %v", said, err)
		}
	}
	m.must(m.call("CHECK", one, with(published(8080), object{"prevResult": made.took})))
	m.must(m.call("DEL", one, published(8080)))
	if rules := m.exec("iptables-save"); strings.Contains(rules, "8080") {
		t.Errorf("the port is left:\n%s", rules)
	}
}
