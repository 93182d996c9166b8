package cni

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// written is what a runtime reads.
func written(t *testing.T, c *configuration, a *attached, version string) string {
	t.Helper()
	var out strings.Builder
	if err := write(&out, version, a.result(c)); err != nil {
		t.Fatal(err)
	}
	var compact any
	if err := json.Unmarshal([]byte(out.String()), &compact); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(compact)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestResults(t *testing.T) {
	attachment := attachment{container: "c", ifname: "eth0", netns: "/n"}
	both := &attached{
		mac: "02:42:0a:00:00:02", mtu: 1400, hostLinks: []hostLink{{"br-blue", 1400}, {"veth1", 0}},
		addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")},
		gateways:  []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
		routes:    []route{{netip.MustParsePrefix("192.0.2.0/24"), netip.Addr{}}},
	}
	onLink := &attached{addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}, gateways: []netip.Addr{netip.IPv4Unspecified()}}
	named := &attached{resolver: netip.MustParseAddr("127.0.0.11")}
	zero := 0
	previous := &types100.Result{
		Interfaces: []*types100.Interface{{Name: "other0", Sandbox: "/n"}},
		IPs:        []*types100.IPConfig{{Interface: &zero, Address: ipNet(netip.MustParsePrefix("192.0.2.2/24"))}},
		DNS:        types.DNS{Domain: "before.example"},
	}
	for name, test := range map[string]struct {
		configuration configuration
		attached      *attached
		version, want string
	}{
		"two families": {configuration{}, both, "1.1.0", `{"cniVersion":"1.1.0","interfaces":[{"mtu":1400,"name":"br-blue"},{"name":"veth1"},{"mac":"02:42:0a:00:00:02","mtu":1400,"name":"eth0","sandbox":"/n"}],` +
			`"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1","interface":2},{"address":"fd00::2/64","gateway":"fd00::1","interface":2}],` +
			`"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"::/0","gw":"fd00::1"},{"dst":"192.0.2.0/24"}]}`},
		"everything on the link": {configuration{}, onLink, "0.4.0", `{"cniVersion":"0.4.0","dns":{},"interfaces":[{"name":"eth0","sandbox":"/n"}],` +
			`"ips":[{"address":"10.0.0.2/24","interface":0,"version":"4"}],"routes":[{"dst":"0.0.0.0/0"}]}`},
		"behind another": {configuration{previous: previous, dns: types.DNS{Domain: "ours.example", Search: []string{"s"}}}, &attached{}, "1.0.0",
			`{"cniVersion":"1.0.0","dns":{"domain":"before.example","search":["s"]},"interfaces":[{"name":"other0","sandbox":"/n"},{"name":"eth0","sandbox":"/n"}],"ips":[{"address":"192.0.2.2/24","interface":0}]}`},
		"with a DNS server": {configuration{dns: types.DNS{Nameservers: []string{"192.0.2.53"}, Options: []string{"edns0"}}}, named, "1.0.0",
			`{"cniVersion":"1.0.0","dns":{"nameservers":["127.0.0.11"],"options":["edns0","ndots:0"]},"interfaces":[{"name":"eth0","sandbox":"/n"}]}`},
	} {
		c := test.configuration
		c.attachment = attachment
		if got := written(t, &c, test.attached, test.version); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, test.want)
		}
	}
}

func TestNameResolution(t *testing.T) {
	c := configuration{dns: types.DNS{Nameservers: []string{"192.0.2.53"}, Search: []string{"conf"}, Options: []string{"o"}}}
	if got := c.nameResolution(); got.Search[0] != "conf" {
		t.Errorf("got %+v", got)
	}
	c.attachment.dns = types.DNS{Search: []string{"asked"}}
	if got := c.nameResolution(); got.Search[0] != "asked" || got.Nameservers[0] != "192.0.2.53" || got.Options != nil {
		t.Errorf("got %+v", got)
	}
	got := c.nameResolution()
	got.Search[0] = "changed"
	if c.attachment.dns.Search[0] != "asked" {
		t.Error("the answer shares memory with the configuration")
	}
}

func TestTolerated(t *testing.T) {
	for change, want := range map[string]bool{
		"/n: update link eth0 veth mtu 1500":                            true,
		"host: update link br-1 bridge":                                 true,
		"/n: add addr 10.0.0.2/24 dev eth0":                             false,
		"host: create link veth1 veth peer eth0 in /n":                  false,
		"/n: add route 0.0.0.0/0 via 10.0.0.1 dev eth0":                 false,
		"host: add publish tcp 0.0.0.0:8080 to 10.0.0.2:80 endpoint/e1": false,
	} {
		if tolerated(change) != want {
			t.Errorf("%s: want %t", change, want)
		}
	}
}
