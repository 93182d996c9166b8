package rules

import (
	"net/netip"

	"github.com/docker/libnetwork/firewall"
	"github.com/docker/libnetwork/netstate"
)

// scenario is one page. In its texts, what stands in backticks is the name of a chain, set
// or map of the dump that the text is about.
type scenario struct {
	// name is that of the file, without its ending.
	name, title string
	// about says what the scenario is.
	about    string
	networks []network
	// mark and mask, and whether the loopback is the proxy's, are settings of the back end.
	mark, mask uint32
	proxied    bool
	ways       []way
}

// network has the policy of a network, and what its only container publishes.
type network struct {
	name string
	firewall.Network
	container4, container6 string
	publications           []firewall.Publication
}

// way is that of a packet through the rules, a step for each thing that matters.
type way struct {
	packet        string
	nft, iptables []string
}

// owned is an intent with its owner.
type owned struct {
	owner  string
	intent netstate.Intent
}

// intents asks package firewall what the scenario needs.
func (s scenario) intents() []owned {
	var out []owned
	for _, n := range s.networks {
		for _, i := range n.Intents() {
			out = append(out, owned{"network/" + n.name, i})
		}
		for _, p := range n.publications {
			for _, i := range n.Publish(p) {
				out = append(out, owned{"endpoint/" + n.name, i})
			}
		}
	}
	return out
}

// web and db are the two networks of the pages, as the driver makes them without options.
func web() network { return nat("web", "172.18.0.", "fd00:1::") }
func db() network  { return nat("db", "172.19.0.", "fd00:2::") }

func nat(name, v4, v6 string) network {
	family := func(subnet string) firewall.Family {
		return firewall.Family{Mode: firewall.NAT, Subnets: []netip.Prefix{netip.MustParsePrefix(subnet)}, Masquerade: true}
	}
	return network{
		name: name, container4: v4 + "2", container6: v6 + "2",
		Network: firewall.Network{
			Bridge: "br-" + name, IPv4: family(v4 + "0/16"), IPv6: family(v6 + "/64"),
			InterContainer: true, Loopback: true,
		},
	}
}

// with returns the network with another policy.
func (n network) with(change func(*firewall.Network)) network {
	change(&n.Network)
	return n
}

// modes sets how packets of both families go in and out.
func modes(m firewall.Mode) func(*firewall.Network) {
	return func(n *firewall.Network) { n.IPv4.Mode, n.IPv6.Mode = m, m }
}

// publishes returns the network with so many ports of its container published in a row, at
// an address of the host.
func (n network) publishes(protocol netstate.Protocol, host string, hostPort, port uint16, count int) network {
	p := firewall.Publication{Protocol: protocol, Host: netip.MustParseAddr(host), HostPort: hostPort, Port: port, Count: count}
	p.Target = netip.MustParseAddr(n.container4)
	if p.Host.Is6() {
		p.Target = netip.MustParseAddr(n.container6)
	}
	n.publications = append(n.publications, p)
	return n
}

// everywhere publishes at all addresses of the host.
func (n network) everywhere(protocol netstate.Protocol, hostPort, port uint16, count int) network {
	return n.publishes(protocol, "0.0.0.0", hostPort, port, count).publishes(protocol, "::", hostPort, port, count)
}

func scenarios() []scenario {
	return []scenario{
		natPort(), natRange(), natShiftedRange(), loopbackOnly(), hostAddress(),
		natUnprotected(), routed(), internal(), internalIsolated(), interContainerOff(),
		sourceAddress(), trustedInterface(), acceptMark(), loopbackProxied(), twoNetworks(),
	}
}
