package cni

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/netlabel"
)

// decoded reads a configuration of the latest version, given without its first members.
func decoded(t testing.TB, command, args, members string) (*configuration, error) {
	t.Helper()
	text := `{"cniVersion": "1.1.0", "name": "blue", "type": "dnet-cni"` + members + "}"
	return decodeConfig([]byte(text), &request{command: command, container: "c1", ifname: "eth0", netns: "/run/netns/c1", args: args})
}

func TestNetworks(t *testing.T) {
	bridge := map[string]string{}
	for members, want := range map[string]network{
		``: {Name: "blue", Driver: "bridge", IPv4: true, Options: bridge},
		`, "network": "red", "internal": true, "ipv6": true, "options": {"a": "b"}`: {
			Name: "red", Driver: "bridge", IPv4: true, IPv6: true, Internal: true, Options: map[string]string{"a": "b"},
		},
		`, "subnet": "10.0.0.0/8", "range": "10.1.0.0/16", "gateway": "10.0.0.9"`: {
			Name: "blue", Driver: "bridge", IPv4: true, Options: bridge,
			Subnets: []subnet{{Subnet: "10.0.0.0/8", Range: "10.1.0.0/16", Gateway: "10.0.0.9"}},
		},
		`, "subnets": ["10.0.0.0/8", {"subnet": "fd00::/64", "gateway": "fd00::9", "aux": {"nas": "fd00::8"}}]`: {
			Name: "blue", Driver: "bridge", IPv4: true, IPv6: true, Options: bridge,
			Subnets: []subnet{{Subnet: "10.0.0.0/8"}, {Subnet: "fd00::/64", Gateway: "fd00::9", Aux: map[string]string{"nas": "fd00::8"}}},
		},
		`, "subnets": ["fd00::/64"]`: {
			Name: "blue", Driver: "bridge", IPv6: true, Options: bridge, Subnets: []subnet{{Subnet: "fd00::/64"}},
		},
		// As it is written for the reference plugins.
		`, "bridge": "cni0", "isGateway": true, "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, "promiscMode": false, "vlan": 0, "mtu": 1400,
		   "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.0.0.9"}],
		            "ranges": [[{"subnet": "10.0.0.0/24", "gateway": "10.0.0.9", "rangeStart": "10.0.0.64", "rangeEnd": "10.0.0.127"}], [{"subnet": "fd00::/64"}]]}`: {
			Name: "blue", Driver: "bridge", IPv4: true, IPv6: true, Options: map[string]string{netlabel.BridgeName: "cni0", netlabel.DriverMTU: "1400"},
			Subnets: []subnet{{Subnet: "10.0.0.0/24", Range: "10.0.0.64/26", Gateway: "10.0.0.9"}, {Subnet: "fd00::/64"}},
		},
		`, "ipMasq": false`: {Name: "blue", Driver: "bridge", IPv4: true, Options: map[string]string{netlabel.BridgeEnableIPMasquerade: "false"}},
		`, "driver": "macvlan", "master": "eth0", "mode": "private", "ipam": {"type": "host-local", "subnet": "10.0.0.0/24", "rangeStart": "10.0.0.2", "rangeEnd": "10.0.0.254"}`: {
			Name: "blue", Driver: "macvlan", IPv4: true, Options: map[string]string{"parent": "eth0", "macvlan_mode": "private"},
			Subnets: []subnet{{Subnet: "10.0.0.0/24"}},
		},
		`, "runtimeConfig": {"ipRanges": [[{"subnet": "10.0.0.0/24"}]]}`: {
			Name: "blue", Driver: "bridge", IPv4: true, Options: bridge, Subnets: []subnet{{Subnet: "10.0.0.0/24"}},
		},
	} {
		c, err := decoded(t, commandAdd, "", members)
		if err != nil {
			t.Errorf("%s: %v", members, err)
			continue
		}
		c.network.given = nil
		if diff := cmp.Diff(want, c.network, cmp.AllowUnexported(network{})); diff != "" {
			t.Errorf("%s: %s", members, diff)
		}
	}
}

func TestAttachments(t *testing.T) {
	c, err := decoded(t, commandAdd, "IgnoreUnknown=true;K8S_POD_NAME=web;K8S_POD_NAMESPACE=shop;IP=10.0.0.5;MAC=x", `,
	"args": {"cni": {"ips": ["10.0.0.5", "fd00::5/64"], "mac": "y", "labels": [1]}, "org.example": {"a": 1}},
	"runtimeConfig": {
		"mac": "02:00:00:00:00:01", "ips": ["10.0.0.6/24", "fd00::6"], "aliases": ["web", "www", ""],
		"portMappings": [{"hostPort": 8080, "containerPort": 80}, {"hostPort": 53, "containerPort": 53, "protocol": "UDP", "hostIP": "::ffff:192.0.2.1"}, {"containerPort": 9}],
		"bandwidth": {"ingressRate": 1000000, "ingressBurst": 200000, "egressRate": 0, "egressBurst": 0},
		"dns": {"servers": ["192.0.2.53"], "searches": ["a.example"], "options": ["ndots:1"]}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	want := attachment{
		container: "c1", ifname: "eth0", netns: "/run/netns/c1", mac: "02:00:00:00:00:01",
		ipv4: netip.MustParseAddr("10.0.0.6"), ipv6: netip.MustParseAddr("fd00::6"),
		ports: []api.PortMapping{
			{Protocol: "tcp", ContainerPort: 80, HostPort: 8080},
			{Protocol: "udp", ContainerPort: 53, HostPort: 53, HostIP: netip.MustParseAddr("192.0.2.1")},
		},
		limits:  map[string]string{netlabel.EndpointIngress: "1000000", netlabel.EndpointIngressBurst: "200000"},
		dns:     types.DNS{Nameservers: []string{"192.0.2.53"}, Search: []string{"a.example"}, Options: []string{"ndots:1"}},
		aliases: []string{"web", "web.shop", "www"},
	}
	if diff := cmp.Diff(want, c.attachment, cmp.AllowUnexported(attachment{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	// podman has a list for each network.
	if c, err = decoded(t, commandAdd, "", `, "runtimeConfig": {"aliases": {"blue": ["b"], "red": ["r"]}}`); err != nil || strings.Join(c.attachment.aliases, " ") != "b" {
		t.Errorf("aliases are %q: %v", c.attachment.aliases, err)
	}
}

// TestCommands: a deletion passes over what the others refuse.
func TestCommands(t *testing.T) {
	for command, code := range map[string]uint{commandAdd: 2, commandCheck: 2, commandStatus: 2, commandDelete: 0, commandGC: 0} {
		_, err := decoded(t, command, "", `, "unknown": 1`)
		if got := codeOf(err); got != code {
			t.Errorf("%s: code %d, want %d: %v", command, got, code, err)
		}
	}
	c, err := decoded(t, commandGC, "", `, "cni.dev/valid-attachments": [{"containerID": "c", "ifname": "eth0"}], "cni.dev/other": 1`)
	if err != nil || len(c.valid) != 1 {
		t.Errorf("got %v: %v", c.valid, err)
	}
	if c, err := decoded(t, commandGC, "", `, "cni.dev/attachments": [{"containerID": "c", "ifname": "eth0"}]`); err != nil || len(c.valid) != 1 {
		t.Errorf("by the other name got %v: %v", c.valid, err)
	}
	for _, socket := range []string{"/run/s", "unix:///run/s", "tcp://127.0.0.1:2385"} {
		if _, err := decoded(t, commandDelete, "", `, "socket": "`+socket+`"`); err != nil {
			t.Error(err)
		}
	}
	if _, err := decoded(t, commandAdd, "", `, "gateway": "10.0.0.1"`); codeOf(err) != 2 || !strings.Contains(err.Error(), `belongs to "subnet"`) {
		t.Errorf("got %v", err)
	}
	if _, err := decoded(t, commandGC, "", `, "cni.dev/valid-attachments": 7`); codeOf(err) != 6 {
		t.Errorf("got %v", err)
	}
}

func codeOf(err error) uint {
	if err == nil {
		return 0
	}
	return coded(err).Code
}

func TestCovering(t *testing.T) {
	for _, c := range []struct{ pool, first, last, want string }{
		{"10.0.0.0/24", "10.0.0.0", "10.0.0.255", "10.0.0.0/24"},
		{"10.0.0.0/24", "10.0.0.1", "10.0.0.254", "10.0.0.0/24"},
		{"10.0.0.0/24", "10.0.0.2", "10.0.0.254", "10.0.0.0/24"},
		{"10.0.0.0/24", "10.0.0.64", "10.0.0.127", "10.0.0.64/26"},
		{"10.0.0.0/24", "10.0.0.7", "10.0.0.7", "10.0.0.7/32"},
		{"10.0.0.0/24", "10.0.0.65", "10.0.0.127", ""},
		{"10.0.0.0/24", "10.0.0.10", "10.0.0.254", ""},
		{"10.0.0.0/24", "10.0.1.0", "10.0.1.255", ""},
		{"10.0.0.0/24", "10.0.0.9", "10.0.0.8", ""},
		{"fd00::/64", "fd00::1:0", "fd00::1:ffff", "fd00::1:0/112"},
	} {
		got, ok := covering(netip.MustParseAddr(c.first), netip.MustParseAddr(c.last), netip.MustParsePrefix(c.pool))
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%s to %s of %s: %s, %t, want %q", c.first, c.last, c.pool, got, ok, c.want)
		}
	}
}

func TestDiffers(t *testing.T) {
	wish := network{
		Name: "blue", Driver: "bridge", IPv4: true, Subnets: []subnet{{Subnet: "10.0.0.0/8"}}, Options: map[string]string{"a": "b"},
		given: map[string]bool{"subnets": true, "options": true},
	}
	is := func() summary {
		return summary{driver: "bridge", ipv4: true, subnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, options: map[string]string{"a": "b", "c": "d"}}
	}
	if got := wish.differs(is()); got != "" {
		t.Errorf("equal: %s", got)
	}
	for want, change := range map[string]func(*summary){
		`key "subnets"`: func(s *summary) { s.subnets = nil },
		`key "options"`: func(s *summary) { s.options = nil },
		// What was not given may be anything, unless the network is of our own making.
		"":               func(s *summary) { s.driver = "macvlan" },
		`key "driver"`:   func(s *summary) { s.driver, s.labels = "macvlan", map[string]string{labelNetwork: "{}"} },
		`key "internal"`: func(s *summary) { s.internal, s.labels = true, map[string]string{labelNetwork: "{}"} },
		"was {}":         func(s *summary) { s.labels = map[string]string{labelNetwork: "{}"} },
	} {
		s := is()
		change(&s)
		if got := wish.differs(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	same := is()
	same.driver, same.labels = "other", wish.labels()
	if got := wish.differs(same); got != "" {
		t.Errorf("made of the same wish: %s", got)
	}
}

// FuzzDecode: whatever a configuration holds, it is read or refused with a code.
func FuzzDecode(f *testing.F) {
	for i, text := range []string{
		`{"cniVersion":"1.1.0","name":"a"}`, `{"cniVersion":"0.3.1","name":"a","ipam":{"ranges":[[{"subnet":"10.0.0.0/8","rangeStart":"10.0.0.1"}]]}}`,
		`{"cniVersion":"1.0.0","name":"a","runtimeConfig":{"portMappings":[{"hostPort":-1}],"bandwidth":{"ingressRate":-1},"ips":["::1/200"]}}`,
		`{"cniVersion":"1.1.0","name":"a","prevResult":{"cniVersion":"1.1.0","ips":[{"address":"x"}]},"cni.dev/valid-attachments":[null]}`,
		`{"cniVersion":null,"name":{}}`, `[]`, ``,
	} {
		f.Add([]byte(text), "IP=10.0.0.1;A=b", byte(i))
	}
	commands := []string{commandAdd, commandDelete, commandCheck, commandStatus, commandGC}
	f.Fuzz(func(t *testing.T, text []byte, args string, command byte) {
		r := &request{command: commands[int(command)%len(commands)], container: "c", ifname: "eth0", netns: "/n", args: args}
		c, err := decodeConfig(text, r)
		if c == nil || c.version == "" {
			t.Fatal("there is no version to answer in")
		}
		if err == nil {
			if c.name == "" || !strings.HasPrefix(c.dataDir, "/") {
				t.Errorf("accepted %+v", c)
			}
			return
		}
		var out strings.Builder
		printError(&out, c.version, err)
		if code := coded(err).Code; code == 0 || code >= 50 || !strings.Contains(out.String(), fmt.Sprintf(`"code": %d`, code)) {
			t.Errorf("error %v is printed as %s", err, out.String())
		}
	})
}
