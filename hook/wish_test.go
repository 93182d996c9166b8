package hook

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

func TestWishes(t *testing.T) {
	endpoint := func(e api.EndpointCreate) api.NetworkConnect { return api.NetworkConnect{EndpointCreate: e} }
	for name, test := range map[string]struct {
		annotations, flags map[string]string
		want               wish
	}{
		"one network": {
			map[string]string{"dnet.network": "web", "dnetwork": "x", "org.dnet.network": "y"}, nil,
			wish{networks: []networkWish{{network: "web"}}, files: "none"},
		},
		"all of one network": {
			map[string]string{
				"dnet.network": " web ; ", "dnet.ip": "10.0.0.7, 2001:db8::7", "dnet.mac": "02:42:AC:11:00:02", "dnet.aliases": "a, b",
				"dnet.name": "www", "dnet.publish": "8080:80/tcp, [::1]:53:53/udp,", "dnet.hostname": "tower", "dnet.domainname": "example.com",
				"dnet.dns": "192.0.2.53", "dnet.dns-search": "a.example,b.example", "dnet.dns-options": "ndots:2", "dnet.add-host": "db:192.0.2.9,six:2001:db8::1,me:host-gateway",
				"dnet.files": "rootfs",
			}, nil,
			wish{
				networks: []networkWish{{"web", endpoint(api.EndpointCreate{
					Name: "www", MyAliases: []string{"a", "b"}, MAC: "02:42:ac:11:00:02",
					IPv4: netip.MustParseAddr("10.0.0.7"), IPv6: netip.MustParseAddr("2001:db8::7"),
				})}},
				files: "rootfs",
				sandbox: api.SandboxCreate{
					HostName: "tower", DomainName: "example.com", DNS: []string{"192.0.2.53"}, DNSSearch: []string{"a.example", "b.example"}, DNSOptions: []string{"ndots:2"},
					ExtraHosts: []api.ExtraHost{{Name: "db", Address: "192.0.2.9"}, {Name: "six", Address: "2001:db8::1"}, {Name: "me", Address: "host-gateway"}},
					Ports: []api.PortMapping{
						{Protocol: "tcp", ContainerPort: 80, HostPort: 8080},
						{Protocol: "udp", ContainerPort: 53, HostPort: 53, HostIP: netip.MustParseAddr("::1")},
					},
				},
			},
		},
		"several networks, the first one leads": {
			map[string]string{"dnet.network": "web:ip=10.0.0.7,alias=a,alias=b,name=one,opt.com.docker.network.endpoint.ifname=uplink; back:ip=2001:db8::7", "dnet.name": "two"}, nil,
			wish{files: "none", networks: []networkWish{
				{"web", api.NetworkConnect{Priority: 1, EndpointCreate: api.EndpointCreate{
					Name: "one", MyAliases: []string{"a", "b"}, IPv4: netip.MustParseAddr("10.0.0.7"),
					DriverOpts: map[string]string{"com.docker.network.endpoint.ifname": "uplink"},
				}}},
				{"back", endpoint(api.EndpointCreate{Name: "two", IPv6: netip.MustParseAddr("2001:db8::7")})},
			}},
		},
		"several networks, one is preferred": {
			map[string]string{"dnet.network": "web;back:priority=7"}, nil,
			wish{files: "none", networks: []networkWish{{network: "web"}, {"back", api.NetworkConnect{Priority: 7}}}},
		},
		"flags win": {
			map[string]string{"dnet.network": "web", "dnet.name": "a"}, map[string]string{"network": "back;third", "files": "bundle"},
			wish{files: "bundle", networks: []networkWish{
				{"back", api.NetworkConnect{Priority: 1, EndpointCreate: api.EndpointCreate{Name: "a"}}},
				{"third", endpoint(api.EndpointCreate{Name: "a"})},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseWish(test.annotations, test.flags)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, *got, cmp.AllowUnexported(wish{}, networkWish{}), cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(wish{}, "addresses", "aliases", "mac", "name")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWishesThatAreRefused(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("n%d", i)
	}
	for says, annotations := range map[string]map[string]string{
		"names no network":                   nil,
		"dnet.publish, dnet.ip":              {"dnet.network": "web", "dnet.ports": "80"},
		"holds nothing":                      {"dnet.network": ""},
		`dnet.network: "web;;back": holds`:   {"dnet.network": "web;;back"},
		"named twice":                        {"dnet.network": "web; web"},
		"separated by semicolons":            {"dnet.network": "web,back"},
		"does not begin with the name":       {"dnet.network": ":ip=10.0.0.1"},
		`option "ip": has no value`:          {"dnet.network": "web:ip="},
		`option "": has no value`:            {"dnet.network": "web:"},
		`option "color": is not known`:       {"dnet.network": "web:color=red"},
		`option "opt.": is not known`:        {"dnet.network": "web:opt.=red"},
		`ip "10.0.0": is not`:                {"dnet.network": "web:ip=10.0.0"},
		"one address of each family":         {"dnet.network": "web:ip=10.0.0.1", "dnet.ip": "10.0.0.2"},
		"want a plain IPv4":                  {"dnet.network": "web", "dnet.ip": "fe80::1%eth0"},
		`priority "high"`:                    {"dnet.network": "web:priority=high"},
		"want six bytes":                     {"dnet.network": "web", "dnet.mac": "02:42"},
		"are for a single network":           {"dnet.network": "web;back", "dnet.ip": "10.0.0.1"},
		"names 65 networks":                  {"dnet.network": strings.Join(many, ";")},
		"is longer than":                     {"dnet.network": "web", "dnet.publish": strings.Repeat("80,", 30000)},
		`protocol "icmp"`:                    {"dnet.network": "web", "dnet.publish": "80/icmp"},
		`name server "one"`:                  {"dnet.network": "web", "dnet.dns": "one"},
		`host "db": want NAME:ADDRESS`:       {"dnet.network": "web", "dnet.add-host": "db"},
		`"everywhere": want none, bundle or`: {"dnet.network": "web", "dnet.files": "everywhere"},
	} {
		_, err := parseWish(annotations, nil)
		if !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}

func FuzzWish(f *testing.F) {
	f.Add("web:ip=10.0.0.7,alias=a;back", "8080:80/tcp,53:53/udp")
	f.Add("a:opt.x=y,priority=-1", "[::1]::80-90")
	f.Fuzz(func(t *testing.T, networks, ports string) {
		w, err := parseWish(map[string]string{"dnet.network": networks, "dnet.publish": ports}, nil)
		if err != nil {
			if !errors.Is(err, cnm.Invalid) {
				t.Errorf("kind of %v", err)
			}
			return
		}
		if len(w.networks) == 0 || len(w.networks) > mostNetworks || len(w.sandbox.Ports) == 0 {
			t.Errorf("%q and %q give %+v", networks, ports, w)
		}
		for _, n := range w.networks {
			if n.network == "" || n.network != strings.TrimSpace(n.network) {
				t.Errorf("%q names %q", networks, n.network)
			}
		}
	})
}

// TestPageNamesTheAnnotations: all, and no others.
func TestPageNamesTheAnnotations(t *testing.T) {
	page, err := os.ReadFile("../docs/oci-hook.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(dnet\\.[a-z-]+)` \\|").FindAllSubmatch(page, -1) {
		rows = append(rows, string(row[1]))
	}
	for _, s := range settings() {
		want = append(want, prefix+s.name)
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
}
