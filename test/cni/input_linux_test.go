package cni

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork/kernel/filelock"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// TestBadInput: what is wrong is named, with the code that the specification has for it,
// before anything is made.
func TestBadInput(t *testing.T) {
	m := newMachine(t)
	k := m.container()
	runtime := func(o object) object { return object{"runtimeConfig": o} }
	for name, c := range map[string]struct {
		command   string
		key       key
		conf      object
		variables []string
		code      int
		says      string
	}{
		"no command":         {"", k, nil, nil, 4, "CNI_COMMAND"},
		"unknown command":    {"REPAIR", k, nil, nil, 4, `CNI_COMMAND "REPAIR"`},
		"no container":       {"ADD", key{"", "eth0", k.netns}, nil, nil, 4, "CNI_CONTAINERID"},
		"no names":           {"ADD", key{}, nil, nil, 4, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"},
		"bad container":      {"ADD", key{"../x", "eth0", k.netns}, nil, nil, 4, `CNI_CONTAINERID "../x"`},
		"long container":     {"ADD", key{strings.Repeat("c", 257), "eth0", k.netns}, nil, nil, 4, "CNI_CONTAINERID"},
		"bad interface":      {"ADD", key{"c", "a/b", k.netns}, nil, nil, 4, `CNI_IFNAME "a/b"`},
		"long interface":     {"ADD", key{"c", "abcdefghijklmnop", k.netns}, nil, nil, 4, "CNI_IFNAME"},
		"DEL of no name":     {"DEL", key{"c", "", ""}, nil, nil, 4, "CNI_IFNAME"},
		"GC of no path":      {"GC", key{}, nil, []string{"CNI_PATH="}, 4, "CNI_PATH"},
		"namespace missing":  {"ADD", key{"c", "eth0", "/nowhere"}, nil, nil, 8, `CNI_NETNS "/nowhere"`},
		"namespace no file":  {"ADD", key{"c", "eth0", "/dev/null"}, nil, nil, 8, "not a network namespace"},
		"namespace of pids":  {"ADD", key{"c", "eth0", "/proc/self/ns/pid"}, nil, nil, 8, "not a network namespace"},
		"the host's":         {"ADD", key{"c", "eth0", m.host}, nil, nil, 8, "namespace of the host"},
		"no version":         {"ADD", k, object{"cniVersion": nil}, nil, 1, "0.3.0"},
		"old version":        {"ADD", k, object{"cniVersion": "0.2.0"}, nil, 1, "0.3.0"},
		"future version":     {"ADD", k, object{"cniVersion": "2.0.0"}, nil, 1, "1.1.0"},
		"GC before its time": {"GC", k, object{"cniVersion": "1.0.0"}, nil, 1, "came with 1.1.0"},
		"STATUS too":         {"STATUS", k, object{"cniVersion": "0.4.0"}, nil, 1, "came with 1.1.0"},
		"no name":            {"ADD", k, object{"name": ""}, nil, 7, `"name"`},
		"bad name":           {"ADD", k, object{"name": "a b"}, nil, 7, `"name"`},
		"name of a number":   {"ADD", k, object{"name": 7}, nil, 6, `"name" with value 7: want text`},
		"unknown key":        {"ADD", k, object{"vni": 7}, nil, 2, `key "vni" with value 7`},
		"unknown in dns":     {"ADD", k, object{"dns": object{"server": "x"}}, nil, 2, `key "dns.server" with value "x"`},
		"dns of a name":      {"ADD", k, object{"dns": object{"nameservers": []string{"x"}}}, nil, 7, "want an IP address"},
		"unknown capability": {"ADD", k, runtime(object{"infinibandGUID": "x"}), nil, 2, `key "runtimeConfig.infinibandGUID" with value "x"`},
		"port out of range":  {"ADD", k, runtime(object{"portMappings": []object{{"hostPort": 70000, "containerPort": 80}}}), nil, 7, "70000"},
		"no container port":  {"ADD", k, runtime(object{"portMappings": []object{{"hostPort": 80}}}), nil, 7, "want ports from 1"},
		"port protocol":      {"ADD", k, runtime(object{"portMappings": []object{{"hostPort": 80, "containerPort": 80, "protocol": "icmp"}}}), nil, 7, `"icmp"`},
		"port address":       {"ADD", k, runtime(object{"portMappings": []object{{"hostPort": 80, "containerPort": 80, "hostIP": "x"}}}), nil, 7, `"x"`},
		"MAC address":        {"ADD", k, runtime(object{"mac": "x"}), nil, 7, `"x"`},
		"address elsewhere":  {"ADD", k, runtime(object{"ips": []string{"192.0.2.7/24"}}), nil, 7, "192.0.2.7"},
		"two addresses":      {"ADD", k, runtime(object{"ips": []string{"10.20.0.7", "10.20.0.8"}}), nil, 7, "one address of each family"},
		"slow bandwidth":     {"ADD", k, runtime(object{"bandwidth": object{"ingressRate": 1}}), nil, 7, "bits per second"},
		"bandwidth key":      {"ADD", k, runtime(object{"bandwidth": object{"rate": 1}}), nil, 2, "runtimeConfig.bandwidth.rate"},
		"unknown argument":   {"ADD", k, nil, []string{"CNI_ARGS=A=b"}, 4, `key "A"`},
		"bad arguments":      {"ADD", k, nil, []string{"CNI_ARGS=A"}, 4, "KEY=VALUE"},
		"argument address":   {"ADD", k, nil, []string{"CNI_ARGS=IP=x"}, 4, `IP "x"`},
		"driver":             {"ADD", k, object{"driver": "token-ring"}, nil, 101, `"token-ring"`},
		"driver's option":    {"ADD", k, object{"options": object{"colour": "blue"}}, nil, 7, "colour"},
		"subnet":             {"ADD", k, object{"subnet": "10.20.0.1/16"}, nil, 7, "10.20.0.1/16"},
		"gateway elsewhere":  {"ADD", k, object{"gateway": "192.0.2.1"}, nil, 7, "192.0.2.1"},
		"other ipam":         {"ADD", k, object{"subnet": nil, "ipam": object{"type": "dhcp"}}, nil, 2, `key "ipam.type" with value "dhcp"`},
		"ranges":             {"ADD", k, object{"subnet": nil, "ipam": object{"subnet": "10.20.0.0/16", "rangeStart": "10.20.0.10"}}, nil, 2, "rangeStart"},
		"two of a family":    {"ADD", k, object{"subnet": nil, "ipam": object{"ranges": [][]object{{{"subnet": "10.20.0.0/16"}}, {{"subnet": "10.21.0.0/16"}}}}}, nil, 2, "one set for each"},
		"routes":             {"ADD", k, object{"subnet": nil, "ipam": object{"subnet": "10.20.0.0/16", "routes": []object{{"dst": "10.9.0.0/16", "gw": "10.20.0.9"}}}}, nil, 2, `"ipam.routes"`},
		"not a gateway":      {"ADD", k, object{"isGateway": false}, nil, 2, `key "isGateway" with value false`},
		"relative folder":    {"ADD", k, object{"dataDir": "data"}, nil, 7, `key "dataDir" with value "data"`},
		"timeout":            {"ADD", k, object{"lockTimeout": "soon"}, nil, 7, `"lockTimeout"`},
		"previous":           {"ADD", k, object{"prevResult": object{"ips": 7}}, nil, 6, `"prevResult"`},
		"second of a chain":  {"ADD", k, object{"prevResult": object{"cniVersion": "1.1.0", "interfaces": []object{{"name": "eth0", "sandbox": k.netns}}}}, nil, 7, "comes first"},
	} {
		got := m.call(c.command, c.key, c.conf, c.variables...)
		if m.refused(got, c.code, c.says); t.Failed() {
			t.Fatal("in:", name)
		}
	}
	for _, text := range []string{"", "{", "[]", `{"cniVersion":"1.1.0","name":`} {
		c := m.prepare("ADD", k, nil)
		c.Stdin = strings.NewReader(text)
		m.refused(m.run(c), 6, "decode configuration")
	}
	m.clean()
	if links := runIn(t, k); strings.Contains(links, "eth0") {
		t.Errorf("the container has got\n%s", links)
	}
}

func runIn(t *testing.T, k key) string { return run(t, k.netns, "ip", "-o", "link") }

// TestLock: who cannot have the records in time is told to try again.
func TestLock(t *testing.T) {
	m := newMachine(t)
	m.must(m.call("ADD", m.container(), nil))
	held, err := filelock.Acquire(t.Context(), filepath.Join(m.folder, "data", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	m.refused(m.call("ADD", m.container(), object{"lockTimeout": "100ms"}), 11, `"lockTimeout"`)
	m.refused(m.call("STATUS", key{}, object{"lockTimeout": "100ms"}), 50, `"lockTimeout"`)
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	m.must(m.call("ADD", m.container(), object{"lockTimeout": "100ms"}))
}

// TestDamagedRecords: they are left as they are.
func TestDamagedRecords(t *testing.T) {
	m := newMachine(t)
	m.must(m.call("ADD", m.container(), nil))
	file := filepath.Join(m.folder, "data", "network", "files", "local-kv.db")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte("garbage"), make([]byte, len(good)-7)...)
	if err := os.WriteFile(file, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	m.refused(m.call("ADD", m.container(), nil), 100, "damaged")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	m.must(m.call("ADD", m.container(), nil))
}

// TestRequests: what a runtime may ask for one container.
func TestRequests(t *testing.T) {
	m := newMachine(t)
	conf := object{
		"dns":  object{"nameservers": []string{"192.0.2.53"}, "search": []string{"example.org"}},
		"args": object{"cni": object{"ips": []string{"10.20.0.8"}}, "other.example": 7},
		"runtimeConfig": object{
			"ips": []string{"10.20.0.7/16"}, "mac": "02:00:00:00:00:07", "aliases": []string{"web"},
			"bandwidth":    object{"ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 8000000, "egressBurst": 800000},
			"dns":          object{"servers": []string{"192.0.2.54"}, "options": []string{"ndots:2"}},
			"portMappings": []object{{"hostPort": 0, "containerPort": 80, "protocol": "tcp"}},
		},
		"cni.dev/future": 7,
	}
	k := m.container()
	got := m.must(m.call("ADD", k, conf, "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web-1;K8S_POD_NAMESPACE=shop;K8S_POD_UID=x;Other=1", "TRACEPARENT=00-1-2-3"))
	inside := got.took["interfaces"].([]any)[2].(object)
	if got.address(t, 0) != "10.20.0.7" || inside["mac"] != "02:00:00:00:00:07" {
		t.Errorf("got %s", got.text)
	}
	if link := run(t, k.netns, "ip", "link", "show", "eth0"); !strings.Contains(link, "02:00:00:00:00:07") {
		t.Errorf("the link is\n%s", link)
	}
	dns := got.took["dns"].(object)
	if servers := dns["nameservers"].([]any); len(servers) != 1 || servers[0] != "192.0.2.54" || dns["options"].([]any)[0] != "ndots:2" {
		t.Errorf("name resolution is %v", dns)
	}
	kerneltest.NeedFeature(t, "tbf")
	if limits := run(t, k.netns, "tc", "qdisc", "show", "dev", "eth0"); !strings.Contains(limits, "rate 8Mbit") {
		t.Errorf("egress is bounded by\n%s", limits)
	}
	if rules := m.exec("nft", "list", "ruleset"); strings.Contains(rules, ": publish tcp ") {
		t.Errorf("a port of zero was published:\n%s", rules)
	}
	m.must(m.call("DEL", k, conf))
	m.must(m.call("ADD", k, nil, "CNI_ARGS=IP=10.20.0.9;MAC=02:00:00:00:00:09"))
	if addresses := run(t, k.netns, "ip", "-br", "addr"); !strings.Contains(addresses, "10.20.0.9/16") {
		t.Errorf("has\n%s", addresses)
	}
}
