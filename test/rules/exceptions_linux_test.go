package rules

import (
	"net/netip"

	"github.com/docker/libnetwork/firewall"
	"github.com/docker/libnetwork/netstate"
)

func sourceAddress() scenario {
	return scenario{
		name: "source-address", title: "A fixed source address",
		about: "The host has several addresses, and what the network's containers send is to come from 192.0.2.9 and " +
			"2001:db8::9 (the options host_ipv4 and host_ipv6), whichever link it leaves by.",
		networks: []network{web().with(func(n *firewall.Network) {
			n.IPv4.Source, n.IPv6.Source = netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9")
		})},
		ways: []way{{
			packet: "A packet from the container 172.18.0.2 to 203.0.113.5",
			nft: []string{
				"`forward`: the link it leaves by, eth0, is not in `inbound4`. It passes.",
				"`postrouting`: eth0 is not the container's own bridge in `hairpin4`, and `source4` has the subnet. The source becomes 192.0.2.9.",
				"The answers get their destination back before they are routed, and `inbound-published` accepts them.",
				"With IPv6 it is the same, by `hairpin6` and `source6`.",
			},
			iptables: []string{
				"`LN-example.KEEP` and `LN-example.IN` have nothing about the link it leaves by, eth0. `LN-example.OUTBOUND` accepts what comes by br-web.",
				"`LN-example.POST`: eth0 is not the container's own bridge, so it does not go to `LN-example.HOME`. In `LN-example.SRC` the source becomes 192.0.2.9.",
				"The answers get their destination back before they are routed, and `LN-example.IN-PUB` accepts them.",
			},
		}},
	}
}

func trustedInterface() scenario {
	return scenario{
		name: "trusted-interface", title: "A trusted link of the host",
		about: "What comes by the host's link eth1 reaches containers at their own addresses, at all ports (the option " +
			"trusted_host_interfaces). There may be the gateway of a VPN, for instance.",
		networks: []network{web().with(func(n *firewall.Network) { n.Trusted = []string{"eth1"} })},
		ways: []way{{
			packet: "A packet that comes by eth1, to 172.18.0.2, TCP port 5432, which is not published",
			nft: []string{
				"`prerouting`: 172.18.0.2 is not an address of the host, so nothing is translated.",
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-published`.",
				"`inbound-published`: it is no answer and was not translated, but `allow` has the pair eth1 and br-web. It is accepted.",
			},
			iptables: []string{
				"`LN-example.PRE`: 172.18.0.2 is not an address of the host, so nothing is translated.",
				"`LN-example.IN` sends what leaves by br-web to `LN-example.IN-PUB`.",
				"`LN-example.IN-PUB`: it is no answer and was not translated, but `LN-example.ALLOW` has a rule for what comes by eth1 and leaves by br-web. It is accepted.",
			},
		}, {
			packet: "The same packet, by eth0",
			nft: []string{
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-published`.",
				"`inbound-published`: it is no answer and was not translated, and `allow` does not have the pair eth0 and br-web.",
				"It is dropped.",
			},
			iptables: []string{
				"`LN-example.IN` sends what leaves by br-web to `LN-example.IN-PUB`.",
				"`LN-example.IN-PUB`: it is no answer and was not translated, and `LN-example.ALLOW` has no rule for what comes by eth0.",
				"It is dropped.",
			},
		}},
	}
}

func acceptMark() scenario {
	return scenario{
		name: "accept-mark", title: "A mark that lets packets in",
		about: "The controller was told to let in packets whose mark, masked with 0xf0, is 0x10. The operator's own rules, which " +
			"come before these, mark what shall get in. Internal networks stay closed all the same, and so do neighbours " +
			"that are kept apart.",
		networks: []network{web()},
		mark:     0x10, mask: 0xf0,
		ways: []way{{
			packet: "A packet from 198.51.100.7 straight to 172.18.0.2, TCP port 5432, that bears the mark 0x12",
			nft: []string{
				"`prerouting`: 172.18.0.2 is not an address of the host, so nothing is translated.",
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-published`.",
				"`inbound-published`: 0x12, masked with 0xf0, is 0x10. It is accepted.",
				"What the container answers is not to br-web, and passes `forward`. What follows of the connection needs the mark no more: for `inbound-published` it belongs to what was let through before.",
			},
			iptables: []string{
				"`LN-example.PRE`: 172.18.0.2 is not an address of the host, so nothing is translated.",
				"`LN-example.IN` sends what leaves by br-web to `LN-example.IN-PUB`.",
				"`LN-example.IN-PUB`: 0x12, masked with 0xf0, is 0x10. It is accepted.",
				"What the container answers is not to br-web, and `LN-example.OUTBOUND` accepts it. What follows of the connection needs the mark no more: for `LN-example.IN-PUB` it belongs to what was let through before.",
			},
		}},
	}
}

func loopbackProxied() scenario {
	return scenario{
		name: "loopback-proxy", title: "The loopback is left to the userland proxy",
		about: "What the host sends to published ports at its loopback addresses is served by a userland proxy, which the driver " +
			"was told to start. No loopback address is routed over the bridge (route_localnet stays off), and everything " +
			"else is translated as without a proxy.",
		networks: []network{web().with(func(n *firewall.Network) { n.Loopback = false }).everywhere(netstate.TCP, 8080, 80, 1)},
		proxied:  true,
		ways: []way{{
			packet: "A packet from the host to 127.0.0.1, TCP port 8080",
			nft: []string{
				"`output` returns: 127.0.0.1 is a loopback address. Nothing is translated, and it comes to the proxy's socket.",
				"The proxy connects to 172.18.0.2, port 80, by the bridge. `output`: 172.18.0.2 is not an address of the host, so nothing is translated.",
				"`postrouting`: the source is the bridge's address, and subnet and bridge are in `hairpin4`. Since nothing was translated, it keeps that source.",
			},
			iptables: []string{
				"`OUTPUT` of the table nat leads to `LN-example.OUT`, which returns: 127.0.0.1 is a loopback address. Nothing is translated, and it comes to the proxy's socket.",
				"The proxy connects to 172.18.0.2, port 80, by the bridge. `LN-example.OUT`: 172.18.0.2 is not an address of the host, so nothing is translated.",
				"`LN-example.POST`: the source is the bridge's address, and so it goes to `LN-example.HOME`. Since nothing was translated, it keeps that source.",
			},
		}, {
			packet: "A packet from the host to its own address 192.0.2.1, TCP port 8080",
			nft: []string{
				"`output`: 192.0.2.1 is an address of the host, so it goes to `publish`.",
				"`publish`: `anyport4` has TCP port 8080, and the destination becomes 172.18.0.2, port 80. The proxy sees nothing of it.",
				"What the host sends itself does not come by `forward`. `postrouting` has nothing about the source: the container sees 192.0.2.1.",
			},
			iptables: []string{
				"`LN-example.OUT`: 192.0.2.1 is an address of the host, so it goes to `LN-example.PUB`.",
				"`LN-example.PUB-ANY`: the destination becomes 172.18.0.2, port 80. The proxy sees nothing of it.",
				"What the host sends itself does not come by `FORWARD`. `LN-example.POST` has nothing about the source: the container sees 192.0.2.1.",
			},
		}},
	}
}

func twoNetworks() scenario {
	return scenario{
		name: "two-networks", title: "Two networks on one host",
		about: "Containers of one network reach those of another by published ports, and in no other way. Both networks, web and " +
			"db, are as they are without options. The container 172.19.0.2, of db, publishes its TCP port 5432.",
		networks: []network{web(), db().everywhere(netstate.TCP, 5432, 5432, 1)},
		ways: []way{{
			packet: "A packet from 172.18.0.2, of web, straight to 172.19.0.2, of db, TCP port 5432",
			nft: []string{
				"`prerouting`: 172.19.0.2 is not an address of the host, so nothing is translated.",
				"`forward`: br-web is confined in nothing. `inbound4` has the bridge it would leave by, br-db, and sends it to `inbound-published`.",
				"`inbound-published`: it is no answer and was not translated, and `allow` has either bridge only together with itself. It is dropped.",
			},
			iptables: []string{
				"`LN-example.PRE`: 172.19.0.2 is not an address of the host, so nothing is translated.",
				"`LN-example.KEEP` has nothing about br-web. `LN-example.IN` sends what leaves by br-db to `LN-example.IN-PUB`.",
				"`LN-example.IN-PUB`: it is no answer and was not translated, and `LN-example.ALLOW` has either bridge only together with itself. It is dropped.",
			},
		}, {
			packet: "A packet from 172.18.0.2, of web, to the host's address 192.0.2.1, TCP port 5432",
			nft: []string{
				"`prerouting`: 192.0.2.1 is an address of the host, so it goes to `publish`, and by `anyport4` the destination becomes 172.19.0.2, port 5432.",
				"`forward` finds br-db in `inbound4`, which sends it to `inbound-published`, and there it is accepted: it was translated.",
				"`postrouting`: the source is in the subnet of web, but the way out is br-db, and `hairpin4` does not have the two together. The subnet is in `masquerade4`: the source becomes the address of br-db, 172.19.0.1.",
				"The answer gets its destination back, and `forward` finds br-web in `inbound4`. For `inbound-published` it is an answer.",
			},
			iptables: []string{
				"`LN-example.PRE`: 192.0.2.1 is an address of the host, so it goes to `LN-example.PUB`, and in `LN-example.PUB-ANY` the destination becomes 172.19.0.2, port 5432.",
				"`LN-example.IN` sends what leaves by br-db to `LN-example.IN-PUB`, and there it is accepted: it was translated.",
				"`LN-example.POST`: the source is in the subnet of web, but the way out is br-db, so it does not go to `LN-example.HOME`. In `LN-example.SRC` the source becomes the address of br-db, 172.19.0.1.",
				"The answer gets its destination back, and `LN-example.IN` finds that it leaves by br-web. For `LN-example.IN-PUB` it is an answer.",
			},
		}},
	}
}
