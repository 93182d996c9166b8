package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/remote"
	"github.com/docker/libnetwork/internal/golden"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
)

// bare is an endpoint with nothing that the plugin could not choose.
func bare(ep *cnm.Endpoint) { ep.IPv4, ep.IPv6 = netip.Prefix{}, netip.Prefix{} }

func TestCreateEndpointAnswers(t *testing.T) {
	p, d := start(t)
	chosen := func(ipv4, ipv6, mac string) func(*cnm.Endpoint) {
		return func(ep *cnm.Endpoint) {
			if ipv4 != "" {
				ep.IPv4 = netip.MustParsePrefix(ipv4)
			}
			if ipv6 != "" {
				ep.IPv6 = netip.MustParsePrefix(ipv6)
			}
			if mac != "" {
				ep.MAC, _ = netstate.ParseMAC(mac)
			}
		}
	}
	nobody := func(n *cnm.Network) { // no pools of ours
		n.Subnets4[0].Pool.Prefix, n.Subnets6 = netip.MustParsePrefix("0.0.0.0/0"), nil
	}
	for name, test := range map[string]struct {
		network  func(*cnm.Network)
		endpoint func(*cnm.Endpoint)
		answer   string
		want     func(*cnm.Endpoint)
		says     string // if it is refused
	}{
		"nothing":           {answer: `{}`},
		"null":              {answer: `{"Interface":null}`},
		"empty":             {answer: `{"Interface":{}}`},
		"a MAC":             {answer: `{"Interface":{"MacAddress":"02:42:0a:1e:00:05"}}`, want: chosen("", "", "02:42:0a:1e:00:05")},
		"all":               {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"10.1.2.3/8","AddressIPv6":"fd00::7/64","MacAddress":"02-00-00-00-00-01"}}`, want: chosen("10.1.2.3/8", "fd00::7/64", "02:00:00:00:00:01")},
		"in the subnet":     {endpoint: bare, answer: `{"Interface":{"Address":"192.0.2.77/32"}}`, want: chosen("192.0.2.77/32", "", "")},
		"not in the subnet": {endpoint: bare, answer: `{"Interface":{"Address":"192.0.3.77/24"}}`, says: "in no subnet of the network"},
		"an address more":   {answer: `{"Interface":{"Address":"192.0.2.8/24"}}`, says: `"192.0.2.8/24": the endpoint has "192.0.2.7/24" already`},
		"the same address":  {answer: `{"Interface":{"Address":"192.0.2.7/24"}}`, says: "already"},
		"an IPv6 more":      {answer: `{"Interface":{"AddressIPv6":"2001:db8::8/64"}}`, says: "already"},
		"a MAC more": {endpoint: func(ep *cnm.Endpoint) { ep.MAC = netstate.MAC{2, 0, 0, 0, 0, 9} },
			answer: `{"Interface":{"MacAddress":"02:42:0a:1e:00:05"}}`, says: `the endpoint has "02:00:00:00:00:09" already`},
		"no length":          {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"10.1.2.3"}}`, says: "CIDR form"},
		"length 0":           {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"10.1.2.3/0"}}`, says: "length is 0"},
		"a zone":             {network: nobody, endpoint: bare, answer: `{"Interface":{"AddressIPv6":"fe80::1%eth0/64"}}`, says: "CIDR form"},
		"IPv6 for IPv4":      {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"fd00::1/64"}}`, says: "other version"},
		"IPv4 for IPv6":      {network: nobody, endpoint: bare, answer: `{"Interface":{"AddressIPv6":"10.0.0.1/8"}}`, says: "other version"},
		"mapped":             {network: nobody, endpoint: bare, answer: `{"Interface":{"AddressIPv6":"::ffff:10.0.0.1/104"}}`, says: "other version"},
		"loopback":           {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"127.0.0.1/8"}}`, says: "no single host"},
		"multicast":          {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"224.0.0.1/4"}}`, says: "no single host"},
		"broadcast":          {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"255.255.255.255/32"}}`, says: "no single host"},
		"unspecified":        {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"0.0.0.0/8"}}`, says: "no single host"},
		"loopback of IPv6":   {network: nobody, endpoint: bare, answer: `{"Interface":{"AddressIPv6":"::1/128"}}`, says: "no single host"},
		"IPv6 is off":        {network: func(n *cnm.Network) { nobody(n); n.EnableIPv6 = false }, endpoint: bare, answer: `{"Interface":{"AddressIPv6":"fd00::1/64"}}`, says: "does not have this version"},
		"IPv4 is off":        {network: func(n *cnm.Network) { nobody(n); n.EnableIPv4 = false }, endpoint: bare, answer: `{"Interface":{"Address":"10.0.0.1/8"}}`, says: "does not have this version"},
		"a MAC of 8 bytes":   {answer: `{"Interface":{"MacAddress":"02:42:0a:1e:00:05:06:07"}}`, says: "six hexadecimal bytes"},
		"no MAC":             {answer: `{"Interface":{"MacAddress":"` + strings.Repeat("x", 500) + `"}}`, says: "six hexadecimal bytes"},
		"a MAC of zeros":     {answer: `{"Interface":{"MacAddress":"00:00:00:00:00:00"}}`, says: "no single link"},
		"a multicast MAC":    {answer: `{"Interface":{"MacAddress":"03:42:0a:1e:00:05"}}`, says: "no single link"},
		"of the wrong type":  {answer: `{"Interface":"eth0"}`, says: "cannot be read"},
		"half of it is good": {network: nobody, endpoint: bare, answer: `{"Interface":{"Address":"10.0.0.1/8","MacAddress":"x"}}`, says: "six hexadecimal bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			n, ep, want := network(), endpoint(), endpoint()
			if test.network != nil {
				test.network(n)
			}
			for _, edit := range []func(*cnm.Endpoint){test.endpoint} {
				if edit != nil {
					edit(ep)
					edit(want)
				}
			}
			if test.want != nil {
				test.want(want)
			}
			p.Answer("NetworkDriver.CreateEndpoint", test.answer)
			p.Calls()
			err := d.CreateEndpoint(t.Context(), n, ep)
			methods := []string{"NetworkDriver.CreateEndpoint"}
			if test.says != "" {
				methods = append(methods, "NetworkDriver.DeleteEndpoint")
				if !errors.Is(err, cnm.Internal) || !strings.Contains(err.Error(), test.says) || plugin.MayHaveHappened(err) || len(err.Error()) > 400 {
					t.Errorf("error %v, want the words %q", err, test.says)
				}
			} else if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(methods, p.Methods()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(want, ep, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What users get wrong is refused before the plugin hears of it.
func TestEndpointOptions(t *testing.T) {
	p, d := start(t)
	const prefix = "com.docker.network.endpoint."
	for option, bad := range map[string]bool{
		"anything=goes": false, prefix + "unknown=x": false, prefix + "ifname=net0": false, prefix + "name=x": false,
		prefix + "ifname=a b": true, prefix + "ifname=lo": true, prefix + "ifname=eth%d": true, prefix + "sysctls=kernel.x=1": true,
		prefix + "bandwidth.egress=fast": true, prefix + "bandwidth.ingress.burst=1k": true,
	} {
		ep := endpoint()
		key, value, _ := strings.Cut(option, "=")
		ep.Options = map[string]string{key: value}
		p.Calls()
		err := d.CreateEndpoint(t.Context(), network(), ep)
		_, joinErr := d.Join(t.Context(), network(), ep, sandbox())
		if asked := len(p.Calls()) > 0; bad == asked || bad != errors.Is(err, cnm.Invalid) || bad != errors.Is(joinErr, cnm.Invalid) || !bad && (err != nil || joinErr != nil) {
			t.Errorf("%s: errors %v and %v, the plugin was asked: %v", option, err, joinErr, asked)
		}
	}
	ep := endpoint()
	ep.MAC = netstate.MAC{3}
	if err := d.CreateEndpoint(t.Context(), network(), ep); !errors.Is(err, cnm.Invalid) {
		t.Errorf("a multicast address: error %v", err)
	}
	p.Calls()
	if _, err := d.Join(t.Context(), network(), endpoint(), &cnm.Sandbox{Host: true}); !errors.Is(err, cnm.Forbidden) || len(p.Calls()) > 0 {
		t.Errorf("the host's namespace: error %v", err)
	}
}

func TestNetworkOptions(t *testing.T) {
	p, d := start(t)
	const prefix = "com.docker.network."
	for option, bad := range map[string]bool{
		"anything=goes": false, prefix + "bridge.name=br0": false, prefix + "driver.mtu=x": false, prefix + "container_iface_prefix=net": false,
		prefix + "container_iface_prefix=": true, prefix + "container_iface_prefix=thirteen-char": true, "containerifaceprefix=a/b": true,
		prefix + "container_iface_prefix=lo": true, prefix + "container_iface_prefix=eth%d": true,
		prefix + "advertise_addr_nmsgs=3": false, prefix + "advertise_addr_nmsgs=4": true, prefix + "advertise_addr_ms=99": true, prefix + "advertise_addr_ms=2000": false,
	} {
		n := network()
		key, value, _ := strings.Cut(option, "=")
		n.Options = map[string]string{key: value}
		p.Calls()
		_, err := d.CreateNetwork(t.Context(), n)
		if asked := len(p.Calls()) > 0; bad == asked || bad != errors.Is(err, cnm.Invalid) || !bad && err != nil {
			t.Errorf("%s: error %v, the plugin was asked: %v", option, err, asked)
		}
	}
}

// What answers to a join come to.
func TestJoinGolden(t *testing.T) {
	p, d := start(t)
	const prefix = "com.docker.network."
	for name, test := range map[string]struct {
		answer   string
		network  func(*cnm.Network)
		endpoint func(*cnm.Endpoint)
	}{
		"plain": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"},"Gateway":"192.0.2.1","GatewayIPv6":"fe80::1"}`},
		"routes": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"},"DisableGatewayService":true,"StaticRoutes":[
			{"Destination":"198.51.100.7/24","RouteType":0,"NextHop":"192.0.2.2"},{"Destination":"2001:db8:1::/48","RouteType":1}]}`},
		"multicast": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"ethwe"},"StaticRoutes":[{"Destination":"224.0.0.0/4","RouteType":1,"NextHop":"192.0.2.1"}]}`},
		"gateway-by-a-route": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"},"Gateway":"169.254.1.1","StaticRoutes":[{"Destination":"169.254.1.1/32","RouteType":1}]}`,
			endpoint: func(ep *cnm.Endpoint) { ep.IPv4, ep.IPv6 = netip.MustParsePrefix("192.0.2.7/32"), netip.Prefix{} }},
		"default-routes": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"},"StaticRoutes":[{"Destination":"0.0.0.0/0","RouteType":0,"NextHop":"192.0.2.1"},{"Destination":"::/0","RouteType":1}]}`},
		"internal": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"},"Gateway":"192.0.2.1","StaticRoutes":[{"Destination":"::/0","RouteType":1}]}`,
			network: func(n *cnm.Network) { n.Internal = true }},
		"no-interface": {answer: `{}`},
		"no-source":    {answer: `{"InterfaceName":{"SrcName":"","DstPrefix":"eth"},"DisableGatewayService":true}`},
		"another-prefix": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"ethmesh"}}`,
			endpoint: func(ep *cnm.Endpoint) { ep.Interface, ep.Order = "eth1", 3 }},
		"whole-name": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth","DstName":"wan"}}`},
		"prefix-of-the-network": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"ethmesh","DstName":"wan"}}`,
			network: func(n *cnm.Network) { n.Options[prefix+"container_iface_prefix"] = "net" }, endpoint: func(ep *cnm.Endpoint) { ep.Interface = "net0" }},
		"name-of-the-user": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth","DstName":"wan"}}`,
			endpoint: func(ep *cnm.Endpoint) {
				ep.Options[prefix+"endpoint.ifname"], ep.Options[prefix+"endpoint.sysctls"] = "mine", "net.ipv4.conf.IFNAME.log_martians=1"
			}},
		"limits": {answer: `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"}}`, endpoint: func(ep *cnm.Endpoint) {
			ep.IPv6, ep.MAC = netip.Prefix{}, netstate.MAC{2, 0, 0, 0, 0, 9}
			ep.Options[prefix+"endpoint.bandwidth.ingress"], ep.Options[prefix+"endpoint.bandwidth.egress"] = "10M", "20M"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			n, ep := network(), endpoint()
			if test.network != nil {
				test.network(n)
			}
			if test.endpoint != nil {
				test.endpoint(ep)
			}
			p.Answer("NetworkDriver.Join", test.answer)
			parts, err := d.Join(t.Context(), n, ep, sandbox())
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.MarshalIndent(map[string]any{
				"parts": parts, "interface": ep.Interface, "gateway4": ep.Gateway4, "gateway6": ep.Gateway6, "routes": ep.Routes, "seeksGateway": ep.SeeksGateway,
			}, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, *update, "join-"+name, string(text)+"\n")
		})
	}
}

func TestJoinRefuses(t *testing.T) {
	p, d := start(t)
	link := func(names string) string { return `{"InterfaceName":{` + names + `}}` }
	with := func(rest string) string {
		return `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"},` + rest + `}`
	}
	route := func(text string) string { return with(`"StaticRoutes":[` + text + `]`) }
	refused := map[string]string{ // answers, with words of the error
		link(`"SrcName":"lo","DstPrefix":"eth"`):                `interface "lo"`,
		link(`"SrcName":"../x","DstPrefix":"eth"`):              `interface "../x"`,
		link(`"SrcName":"a/b","DstPrefix":"eth"`):               `no name of a link`,
		link(`"SrcName":".","DstPrefix":"eth"`):                 `no name of a link`,
		link(`"SrcName":"..","DstPrefix":"eth"`):                `no name of a link`,
		link(`"SrcName":"a b","DstPrefix":"eth"`):               `no name of a link`,
		link(`"SrcName":"a\u00a0b","DstPrefix":"eth"`):          `no name of a link`,
		link(`"SrcName":"a\n","DstPrefix":"eth"`):               `no name of a link`,
		link(`"SrcName":"a\u0000","DstPrefix":"eth"`):           `no name of a link`,
		link(`"SrcName":"veth%d","DstPrefix":"eth"`):            `no name of a link`,
		link(`"SrcName":"a:1","DstPrefix":"eth"`):               `no name of a link`,
		link(`"SrcName":"sixteen-bytes-ab","DstPrefix":"eth"`):  `no name of a link`,
		link(`"SrcName":"made0"`):                               `neither a name nor the beginning`,
		link(`"SrcName":"made0","DstPrefix":"../../eth"`):       `no link in a sandbox`,
		link(`"SrcName":"made0","DstPrefix":"fifteen-bytes-a"`): `no link in a sandbox`,
		link(`"SrcName":"made0","DstPrefix":"eth%d"`):           `no link in a sandbox`,
		link(`"SrcName":"made0","DstName":"lo"`):                `no link in a sandbox`,
		link(`"SrcName":"made0","DstName":"a b"`):               `no link in a sandbox`,
		`{"Gateway":"192.0.2.1"}`:                               `no interface for them`,
		`{"StaticRoutes":[{}]}`:                                 `no interface for them`,
		with(`"Gateway":"192.0.3.1"`):                           `router "192.0.3.1": is not on the link`,
		with(`"Gateway":"192.0.2.7"`):                           `is the endpoint itself`,
		with(`"Gateway":"192.0.2.1/24"`):                        `want an IP address`,
		with(`"Gateway":"2001:db8::1"`):                         `other version`,
		with(`"GatewayIPv6":"192.0.2.1"`):                       `other version`,
		with(`"GatewayIPv6":"fe80::1%eth0"`):                    `no router`,
		with(`"Gateway":"0.0.0.0"`):                             `no router`,
		with(`"Gateway":"127.0.0.1"`):                           `no router`,
		with(`"Gateway":"224.0.0.1"`):                           `no router`,
		with(`"Gateway":"255.255.255.255"`):                     `no router`,
		with(`"Gateway":["192.0.2.1"]`):                         `cannot be read`,
		route(`{"Destination":"192.0.3.0/24","RouteType":0}`):   `next hop "": want an IP address`,
		route(`{"Destination":"192.0.3.0","RouteType":1}`):      `CIDR form`,
		route(`{}`): `CIDR form`,
		route(`{"Destination":"192.0.3.0/24","RouteType":2}`):                                                          `type 2`,
		route(`{"Destination":"192.0.3.0/24","RouteType":-1}`):                                                         `type -1`,
		route(`{"Destination":"192.0.3.0/24","RouteType":"x"}`):                                                        `cannot be read`,
		route(`{"Destination":"192.0.3.0/24","RouteType":0,"NextHop":"2001:db8::1"}`):                                  `other version`,
		route(`{"Destination":"192.0.3.0/24","RouteType":0,"NextHop":"192.0.4.1"}`):                                    `is not on the link`,
		route(`{"Destination":"127.0.0.0/8","RouteType":1}`):                                                           `not routed`,
		route(`{"Destination":"ff00::/8","RouteType":0,"NextHop":"2001:db8::1"}`):                                      `multicast`,
		route(`{"Destination":"::ffff:10.0.0.0/104","RouteType":1}`):                                                   `CIDR form`,
		with(`"Gateway":"192.0.2.1","StaticRoutes":[{"Destination":"0.0.0.0/0","RouteType":0,"NextHop":"192.0.2.2"}]`): `another default route`,
		route(strings.Repeat(`{"Destination":"192.0.3.0/24","RouteType":1},`, 1024) + `{}`):                            `1025 static routes`,
		link(`"SrcName":"` + strings.Repeat("x", 10000) + `","DstPrefix":"eth"`):                                       `no name of a link`,
	}
	for answer, says := range refused {
		p.Answer("NetworkDriver.Join", answer)
		p.Calls()
		ep := endpoint()
		parts, err := d.Join(t.Context(), network(), ep, sandbox())
		if !errors.Is(err, cnm.Internal) || !strings.Contains(err.Error(), says) || parts != nil || plugin.MayHaveHappened(err) || len(err.Error()) > 400 {
			t.Errorf("%.120s: error %v, want the words %q", answer, err, says)
		}
		if diff := cmp.Diff([]string{"NetworkDriver.Join", "NetworkDriver.Leave"}, p.Methods()); diff != "" {
			t.Errorf("%.120s: %s", answer, diff)
		}
		if ep.Interface != "eth0" || ep.Gateway4.IsValid() || ep.Routes != nil {
			t.Errorf("%.120s: the endpoint was changed: %+v", answer, ep)
		}
	}
}

// Whatever a plugin answers to a join: what comes of it stays in the sandbox, and names no
// link of the host but one to be handed over.
func FuzzJoinAnswer(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"},"Gateway":"192.0.2.1","GatewayIPv6":"fe80::1"}`,
		`{"InterfaceName":{"SrcName":"made0","DstName":"x"},"StaticRoutes":[{"Destination":"0.0.0.0/0","RouteType":1}]}`,
		`{"InterfaceName":{"SrcName":"..","DstPrefix":"%d"},"StaticRoutes":[{"Destination":"::/0","RouteType":0,"NextHop":"fe80::1"}]}`,
		`{"InterfaceName":{"SrcName":"lo","DstPrefix":"lo"},"DisableGatewayService":true}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		ep := endpoint()
		parts, err := remote.AcceptJoin(network(), ep, sandbox(), answer)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		for _, p := range parts {
			if p.Namespace != "/run/ns" || p.Owner != ep.Owner() {
				t.Errorf("a part of %q in %q", p.Owner, p.Namespace)
			}
			for _, l := range p.Links {
				if l.Kind != netstate.Adopted || l.Source == "" || len(l.Source) > 15 || len(l.Name) > 15 || strings.ContainsAny(l.Source+l.Name, "/% \n\x00") || l.Source == "lo" || l.Name == "lo" {
					t.Errorf("link %+v", l)
				}
			}
			for _, r := range p.Routes {
				if r.Link != ep.Interface || r.Destination != r.Destination.Masked() || r.Destination.Bits() == 0 {
					t.Errorf("route %v", r)
				}
			}
		}
		if _, err := json.Marshal(ep); err != nil {
			t.Error(err)
		}
		_ = fmt.Sprint(parts)
	})
}
