package rules

import (
	"github.com/docker/libnetwork/firewall"
	"github.com/docker/libnetwork/netstate"
)

func natUnprotected() scenario {
	return scenario{
		name: "nat-unprotected", title: "Gateway mode nat-unprotected",
		about: "Published ports are translated as in mode nat, and the containers leave with the host's address. But whoever " +
			"can send packets to a container's own address reaches all of its ports, published or not.",
		networks: []network{web().with(modes(firewall.Unprotected)).everywhere(netstate.TCP, 8080, 80, 1)},
		ways: []way{{
			packet: "A packet from 198.51.100.7 straight to 172.18.0.2, TCP port 5432, which is not published",
			nft: []string{
				"`prerouting`: 172.18.0.2 is not an address of the host, so nothing is translated.",
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-everything`.",
				"`inbound-everything` accepts whatever comes.",
				"`postrouting` has nothing about its source: the container sees the client's own address. The answer is not translated either: its connection was not, and only new ones come by here.",
			},
			iptables: []string{
				"`LN-example.PRE`: 172.18.0.2 is not an address of the host, so nothing is translated.",
				"`LN-example.IN` sends what leaves by br-web to `LN-example.IN-ALL`.",
				"`LN-example.IN-ALL` accepts whatever comes. What stands behind that rule is the same in all chains of this kind, and is not reached here.",
				"`LN-example.POST` has nothing about its source: the container sees the client's own address. The answer is not translated either: its connection was not, and only new ones come by here.",
			},
		}},
	}
}

func routed() scenario {
	return scenario{
		name: "routed", title: "Gateway mode routed, with opened ports",
		about: "Nothing is translated: routers outside know the way to the containers, and these are reached, and seen, by their own " +
			"addresses. To publish ports means to open them. The container opens its TCP port 80 and its UDP ports 5000 to 5009.",
		networks: []network{web().with(modes(firewall.Routed)).everywhere(netstate.TCP, 0, 80, 1).everywhere(netstate.UDP, 0, 5000, 10)},
		ways: []way{{
			packet: "A packet from 198.51.100.7 to 172.18.0.2, TCP port 80",
			nft: []string{
				"`prerouting`: 172.18.0.2 is not an address of the host. Nothing is published there in any case.",
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-opened`.",
				"`inbound-opened` accepts it: `open4` has TCP port 80 of this address. A UDP port from 5000 to 5009 would be found in `openrange4`, and a ping needs neither.",
				"`postrouting` has nothing about it, or about what the container sends: no address is translated.",
				"With IPv6 it is the same, by `inbound6`, `open6` and `openrange6`.",
			},
			iptables: []string{
				"`LN-example.PRE`: 172.18.0.2 is not an address of the host. Nothing is published there in any case.",
				"`LN-example.IN` sends what leaves by br-web to `LN-example.IN-OPEN`.",
				"`LN-example.IN-OPEN` accepts pings, and asks `LN-example.OPEN`, which accepts it: it is for TCP port 80 of this address.",
				"`LN-example.POST` has nothing about it, or about what the container sends: no address is translated.",
			},
		}, {
			packet: "A packet from 198.51.100.7 to 172.18.0.2, TCP port 81",
			nft: []string{
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-opened`.",
				"`inbound-opened`: it is no answer and no ping, and neither `open4` nor `openrange4` has the port.",
				"In `allow` is only what stays on the bridge. It is dropped.",
			},
			iptables: []string{
				"`LN-example.IN` sends what leaves by br-web to `LN-example.IN-OPEN`.",
				"`LN-example.IN-OPEN`: it is no answer and no ping, and `LN-example.OPEN` does not have the port.",
				"`LN-example.ALLOW` accepts only what stays on the bridge. It is dropped.",
			},
		}},
	}
}

// locked are the ways into an internal network and out of it.
func locked() []way {
	return []way{{
		packet: "A packet from the container 172.18.0.2 to 203.0.113.5",
		nft: []string{
			"The container has no default route. If it sends the packet to the host all the same, this gets to `forward`.",
			"`forward`: br-web is in `confine4`, and the packet goes to `confined`.",
			"`confined` drops it: in `allow` is only what stays on the bridge. With IPv6 it is the same, by `confine6`.",
		},
		iptables: []string{
			"The container has no default route. If it sends the packet to the host all the same, this gets to `FORWARD`, and by `LN-example.FWD` to `LN-example.KEEP`.",
			"`LN-example.KEEP` sends what comes from br-web to `LN-example.CONFINED`.",
			"`LN-example.CONFINED` returns only what stays on the bridge, and drops it.",
		},
	}, {
		packet: "A packet from 198.51.100.7, or from another container network, to 172.18.0.2",
		nft: []string{
			"`forward` finds br-web in `inbound4`, which sends it to `inbound-nothing`.",
			"`inbound-nothing`: in `allow` is only what stays on the bridge.",
			"It is dropped. Answers are too: there is nothing that they could answer.",
		},
		iptables: []string{
			"`LN-example.IN` sends what leaves by br-web to `LN-example.IN-NONE`.",
			"`LN-example.IN-NONE` asks `LN-example.ALLOW`, which accepts only what stays on the bridge.",
			"It is dropped. Answers are too: there is nothing that they could answer.",
		},
	}, {
		packet: "A packet from the neighbour 172.18.0.3 to 172.18.0.2",
		nft: []string{
			"The bridge passes it on, and the host's rules do not see it, unless br_netfilter is set to show it to them. Then it comes to `forward`, in by br-web and out by br-web.",
			"`forward`: br-web is in `confine4`, but `confined` lets it go on, since the pair is in `allow`.",
			"`inbound4` sends it to `inbound-nothing`, which accepts it for the same reason.",
		},
		iptables: []string{
			"The bridge passes it on, and the host's rules do not see it, unless br_netfilter is set to show it to them. Then it comes to `FORWARD`, in by br-web and out by br-web.",
			"`LN-example.KEEP` sends it to `LN-example.CONFINED`, which returns it.",
			"`LN-example.IN` sends it to `LN-example.IN-NONE`, and `LN-example.ALLOW` accepts it.",
		},
	}}
}

func internal() scenario {
	return scenario{
		name: "internal", title: "An internal network",
		about: "Nothing comes into the network and nothing leaves it; its containers reach each other. The host has an address in " +
			"it: what goes between the host itself and a container is not forwarded, and these rules do not see it.",
		networks: []network{web().with(func(n *firewall.Network) { n.Internal = true })},
		ways:     locked(),
	}
}

func internalIsolated() scenario {
	return scenario{
		name: "internal-isolated", title: "An internal network, gateway mode isolated",
		about: "As an internal network, and the host gets no address in it either. That is the driver's doing: the rules are the same. " +
			"What a container sends to the host itself is not forwarded, and not their matter.",
		networks: []network{web().with(modes(firewall.Isolated)).with(func(n *firewall.Network) { n.Internal = true })},
		ways:     locked(),
	}
}

func interContainerOff() scenario {
	return scenario{
		name: "icc-off", title: "Inter-container communication off",
		about: "The containers of the network do not reach each other, by published ports neither. On the bridge itself that is " +
			"the driver's doing, which isolates its ports from each other; the rules are about what would come back by way of the host.",
		networks: []network{web().with(func(n *firewall.Network) { n.InterContainer = false }).everywhere(netstate.TCP, 8080, 80, 1)},
		ways: []way{{
			packet: "A packet from the neighbour 172.18.0.3 to 192.0.2.1, TCP port 8080",
			nft: []string{
				"`prerouting`: 192.0.2.1 is an address of the host, so it goes to `publish`, and by `anyport4` the destination becomes 172.18.0.2, port 80.",
				"The host would send it back by the bridge that it came from. `forward` looks into `separate` first.",
				"The pair br-web and br-web is in there: it is dropped, before anybody asks whether it was translated.",
			},
			iptables: []string{
				"`LN-example.PRE`: 192.0.2.1 is an address of the host, so it goes to `LN-example.PUB`, and in `LN-example.PUB-ANY` the destination becomes 172.18.0.2, port 80.",
				"The host would send it back by the bridge that it came from. `LN-example.FWD` goes to `LN-example.KEEP` first.",
				"`LN-example.KEEP` drops what comes by br-web and leaves by br-web, before `LN-example.IN` asks whether it was translated.",
			},
		}, {
			packet: "A packet from 198.51.100.7 to 192.0.2.1, TCP port 8080",
			nft: []string{
				"`publish`: by `anyport4` the destination becomes 172.18.0.2, port 80.",
				"`forward`: it comes by eth0, and `separate` does not have that. `inbound4` sends it to `inbound-published`.",
				"`inbound-published` accepts it: it was translated.",
			},
			iptables: []string{
				"`LN-example.PUB-ANY`: the destination becomes 172.18.0.2, port 80.",
				"`LN-example.KEEP`: it comes by eth0, and nothing is said about that. `LN-example.IN` sends it to `LN-example.IN-PUB`.",
				"`LN-example.IN-PUB` accepts it: it was translated.",
			},
		}},
	}
}
