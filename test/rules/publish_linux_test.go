package rules

import "github.com/docker/libnetwork/netstate"

func natPort() scenario {
	return scenario{
		name: "nat-port", title: "A published TCP port",
		about: "A network as it is without options: the containers are hidden behind the host. One of them publishes " +
			"its TCP port 80 as port 8080 of all the host's addresses, of IPv4 and IPv6. The other pages only tell what is " +
			"different from this one.",
		networks: []network{web().everywhere(netstate.TCP, 8080, 80, 1)},
		ways: []way{fromOutside(), straight(), {
			packet: "A packet from the container 172.18.0.2 to 203.0.113.5, port 443",
			nft: []string{
				"`raw` drops what comes from a bridge and is for 127.0.0.0/8. This is not.",
				"`prerouting`: 203.0.113.5 is not an address of the host, so nothing is translated.",
				"`forward`: the link it leaves by, eth0, is not in `inbound4`. It passes.",
				"`postrouting`: eth0 is not the container's own bridge in `hairpin4`. The subnet is in `masquerade4`, and the source becomes the address of eth0, 192.0.2.1.",
				"The answers get their destination back before they are routed. `forward` sends them by `inbound4` to `inbound-published`, which accepts them as answers.",
			},
			iptables: []string{
				"`LN-example.RAW` drops what comes from a bridge and is for 127.0.0.0/8. This is not.",
				"`LN-example.PRE`: 203.0.113.5 is not an address of the host, so nothing is translated.",
				"`FORWARD` leads to `LN-example.FWD`. Neither `LN-example.KEEP` nor `LN-example.IN` has a rule about the link it leaves by, eth0. `LN-example.OUTBOUND` accepts what comes by br-web.",
				"`LN-example.POST`: eth0 is not the container's own bridge, so it does not go to `LN-example.HOME`. `LN-example.SRC` has the subnet, and the source becomes the address of eth0, 192.0.2.1.",
				"The answers get their destination back before they are routed. `LN-example.IN` sends them to `LN-example.IN-PUB`, which accepts them as answers.",
			},
		}, {
			packet: "A packet from the neighbour 172.18.0.3 to 192.0.2.1, port 8080",
			nft: []string{
				"`prerouting` and `publish` do the same as with a packet from outside: by `anyport4` the destination becomes 172.18.0.2, port 80.",
				"The host would send it back by the bridge that it came from. `forward` goes by `inbound4` to `inbound-published`, which accepts it: it was translated.",
				"`postrouting`: subnet and bridge are in `hairpin4`, and it was translated. The source becomes the bridge's address, 172.18.0.1. With the neighbour's own, the container would answer past the host, and the neighbour would not know the answer.",
			},
			iptables: []string{
				"`LN-example.PRE` and `LN-example.PUB` do the same as with a packet from outside: in `LN-example.PUB-ANY` the destination becomes 172.18.0.2, port 80.",
				"The host would send it back by the bridge that it came from. `LN-example.IN` sends it to `LN-example.IN-PUB`, which accepts it: it was translated.",
				"`LN-example.POST` sends it to `LN-example.HOME` for good. As it was translated, the source becomes the bridge's address, 172.18.0.1. With the neighbour's own, the container would answer past the host, and the neighbour would not know the answer.",
			},
		}},
	}
}

// fromOutside is the way to the port of natPort.
func fromOutside() way {
	return way{
		packet: "A packet from 198.51.100.7 to 192.0.2.1, TCP port 8080",
		nft: []string{
			"`prerouting`: 192.0.2.1 is an address of the host, so it goes to `publish`.",
			"`publish`: `anyport4` has TCP port 8080, and the destination becomes 172.18.0.2, port 80.",
			"The host routes it to br-web. `forward` finds that bridge in `inbound4`, which sends it to `inbound-published` for good.",
			"`inbound-published` accepts it: the destination of its connection was translated.",
			"`postrouting` has nothing about its source: the container sees the client's own address.",
			"The answer passes `forward`, where nothing is said about packets to eth0. The kernel puts 192.0.2.1, port 8080, back as its source.",
			"With IPv6 it is the same, by `anyport6` and `inbound6`.",
		},
		iptables: []string{
			"`PREROUTING` of the table nat leads to `LN-example.PRE`: 192.0.2.1 is an address of the host, so it goes to `LN-example.PUB`.",
			"`LN-example.PUB` looks into `LN-example.PUB-ONE`, which is empty, and then into `LN-example.PUB-ANY`: the destination becomes 172.18.0.2, port 80.",
			"The host routes it to br-web. `FORWARD` leads to `LN-example.FWD`, where `LN-example.KEEP` has nothing about it, and `LN-example.IN` sends what leaves by br-web to `LN-example.IN-PUB`.",
			"`LN-example.IN-PUB` accepts it: the destination of its connection was translated.",
			"`POSTROUTING` leads to `LN-example.POST` and on to `LN-example.SRC`, which have nothing about its source: the container sees the client's own address.",
			"The answer goes through `LN-example.FWD`, where nothing is said about packets to eth0, and `LN-example.OUTBOUND` accepts it. The kernel puts 192.0.2.1, port 8080, back as its source.",
		},
	}
}

// straight is what a machine sends that knows, or guesses, where the container is.
func straight() way {
	return way{
		packet: "A packet from 198.51.100.7 straight to 172.18.0.2, port 80",
		nft: []string{
			"`prerouting`: 172.18.0.2 is not an address of the host, so nothing is translated.",
			"`forward` finds br-web in `inbound4`, which sends it to `inbound-published`.",
			"`inbound-published`: it is no answer, was not translated, and in `allow` is only what stays on the bridge. It is dropped.",
		},
		iptables: []string{
			"`LN-example.PRE`: 172.18.0.2 is not an address of the host, so nothing is translated.",
			"`LN-example.IN` sends it to `LN-example.IN-PUB`.",
			"`LN-example.IN-PUB`: it is no answer, was not translated, and `LN-example.ALLOW` accepts only what stays on the bridge. It is dropped.",
		},
	}
}

func natRange() scenario {
	return scenario{
		name: "nat-range", title: "A range of 10,000 ports, one to one",
		about: "The container publishes its UDP ports 20000 to 29999 under the same numbers, at all the host's addresses. " +
			"It is one element, or one rule, however many ports there are, and a packet takes as long as with one port.",
		networks: []network{web().everywhere(netstate.UDP, 20000, 20000, 10000)},
		ways: []way{{
			packet: "A packet from 198.51.100.7 to 192.0.2.1, UDP port 20005",
			nft: []string{
				"`prerouting`: 192.0.2.1 is an address of the host, so it goes to `publish`.",
				"`publish`: `range4` has it, for any address of the host. The destination becomes 172.18.0.2. The map has no port, and so the packet keeps its own, 20005.",
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-published`, and there it is accepted: it was translated.",
			},
			iptables: []string{
				"`LN-example.PRE`: 192.0.2.1 is an address of the host, so it goes to `LN-example.PUB`, and from there to `LN-example.PUB-RANGE`.",
				"`LN-example.PUB-RANGE`: the destination becomes 172.18.0.2. The rule names no port, and so the packet keeps its own, 20005.",
				"`LN-example.IN` sends it to `LN-example.IN-PUB`, and there it is accepted: it was translated.",
			},
		}},
	}
}

func natShiftedRange() scenario {
	return scenario{
		name: "nat-shifted-range", title: "A range of ports under other numbers",
		about: "The container publishes its TCP ports 80 to 83 as ports 8000 to 8003 of the host. To translate each port to " +
			"the one that belongs to it, the kernel must be told the pairs: each port is an element, or a rule, of its own.",
		networks: []network{web().everywhere(netstate.TCP, 8000, 80, 4)},
		ways: []way{{
			packet: "A packet from 198.51.100.7 to 192.0.2.1, TCP port 8002",
			nft: []string{
				"`prerouting`: 192.0.2.1 is an address of the host, so it goes to `publish`.",
				"`publish`: `anyport4` has TCP port 8002, and the destination becomes 172.18.0.2, port 82. To find it takes as long as if it were the only one.",
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-published`, and there it is accepted: it was translated.",
			},
			iptables: []string{
				"`LN-example.PRE`: 192.0.2.1 is an address of the host, so it goes to `LN-example.PUB`, and from there to `LN-example.PUB-ANY`.",
				"`LN-example.PUB-ANY` is gone through from the top, and the third rule fits: the destination becomes 172.18.0.2, port 82.",
				"`LN-example.IN` sends it to `LN-example.IN-PUB`, and there it is accepted: it was translated.",
			},
		}},
	}
}

func loopbackOnly() scenario {
	return scenario{
		name: "loopback-only", title: "Published on 127.0.0.1 only",
		about: "The container publishes its TCP port 80 as port 8080 of 127.0.0.1: only the host itself is to reach it. " +
			"The driver lets the kernel route loopback addresses over br-web (route_localnet), without which the host could not.",
		networks: []network{web().publishes(netstate.TCP, "127.0.0.1", 8080, 80, 1)},
		ways: []way{{
			packet: "A packet from the host to 127.0.0.1, port 8080",
			nft: []string{
				"`output`: 127.0.0.1 is an address of the host, so it goes to `publish`. IPv6 has no such way: what is for ::1 returns before, and a userland proxy would serve it.",
				"`publish`: `port4` has TCP port 8080 of 127.0.0.1. The destination becomes 172.18.0.2, port 80, and the host sends it out by br-web. What the host sends itself does not come by `forward`.",
				"`postrouting`: the source is 127.0.0.1, and br-web is in `loopback`. The source becomes the bridge's address, 172.18.0.1, which the container can answer.",
			},
			iptables: []string{
				"`OUTPUT` of the table nat leads to `LN-example.OUT`: 127.0.0.1 is an address of the host, so it goes to `LN-example.PUB`.",
				"`LN-example.PUB-ONE` has TCP port 8080 of 127.0.0.1. The destination becomes 172.18.0.2, port 80, and the host sends it out by br-web. What the host sends itself does not come by `FORWARD`.",
				"`LN-example.POST`: the source is 127.0.0.1, and the way out is br-web. The source becomes the bridge's address, 172.18.0.1, which the container can answer.",
			},
		}, {
			packet: "A packet from 198.51.100.7 to 192.0.2.1, port 8080",
			nft: []string{
				"`prerouting`: 192.0.2.1 is an address of the host, so it goes to `publish`.",
				"`publish`: `port4` has the port for 127.0.0.1 alone. Nothing is translated.",
				"It is for the host itself, where nobody listens on the port at this address. It does not come by `forward`.",
			},
			iptables: []string{
				"`LN-example.PRE`: 192.0.2.1 is an address of the host, so it goes to `LN-example.PUB`.",
				"`LN-example.PUB-ONE` has the port for 127.0.0.1 alone. Nothing is translated.",
				"It is for the host itself, where nobody listens on the port at this address. It does not come by `FORWARD`.",
			},
		}, {
			packet: "A packet for 127.0.0.1, port 8080, that a machine sends to the host over the wire",
			nft: []string{
				"From a container: br-web is in `loopback`, and `raw` drops it. Because of route_localnet, the kernel itself would not.",
				"From elsewhere: `raw` lets it pass, and `prerouting` returns before it comes to `publish`. Translated, it would be for the container, and no loopback address any more.",
				"As it is, routing drops it: no other link has route_localnet.",
			},
			iptables: []string{
				"From a container: it comes by br-web, and `LN-example.RAW` drops it. Because of route_localnet, the kernel itself would not.",
				"From elsewhere: `LN-example.RAW` lets it pass, and `LN-example.PRE` returns before it comes to `LN-example.PUB`. Translated, it would be for the container, and no loopback address any more.",
				"As it is, routing drops it: no other link has route_localnet.",
			},
		}},
	}
}

func hostAddress() scenario {
	return scenario{
		name: "host-address", title: "Published at one address of the host",
		about: "The container publishes its TCP port 80 as port 8080 of two of the host's addresses, 192.0.2.1 and " +
			"2001:db8::1. The host has others, at which the port is free for somebody else.",
		networks: []network{web().publishes(netstate.TCP, "192.0.2.1", 8080, 80, 1).publishes(netstate.TCP, "2001:db8::1", 8080, 80, 1)},
		ways: []way{{
			packet: "A packet from 198.51.100.7 to 192.0.2.1, port 8080",
			nft: []string{
				"`prerouting`: 192.0.2.1 is an address of the host, so it goes to `publish`.",
				"`publish`: `port4` has TCP port 8080 of 192.0.2.1, and the destination becomes 172.18.0.2, port 80.",
				"`forward` finds br-web in `inbound4`, which sends it to `inbound-published`, and there it is accepted: it was translated.",
				"With IPv6 it is the same, by `port6` and `inbound6`.",
			},
			iptables: []string{
				"`LN-example.PRE`: 192.0.2.1 is an address of the host, so it goes to `LN-example.PUB`, and from there to `LN-example.PUB-ONE`.",
				"`LN-example.PUB-ONE` has TCP port 8080 of 192.0.2.1, and the destination becomes 172.18.0.2, port 80.",
				"`LN-example.IN` sends it to `LN-example.IN-PUB`, and there it is accepted: it was translated.",
			},
		}, {
			packet: "A packet from 198.51.100.7 to another address of the host, 192.0.2.2, port 8080",
			nft: []string{
				"`prerouting`: 192.0.2.2 is an address of the host, so it goes to `publish`.",
				"`publish`: `port4` has the port for 192.0.2.1 alone. Nothing is translated.",
				"It is for the host itself, and for whoever listens there. It does not come by `forward`.",
			},
			iptables: []string{
				"`LN-example.PRE`: 192.0.2.2 is an address of the host, so it goes to `LN-example.PUB`.",
				"`LN-example.PUB-ONE` has the port for 192.0.2.1 alone, and `LN-example.PUB-ANY` is empty. Nothing is translated.",
				"It is for the host itself, and for whoever listens there. It does not come by `FORWARD`.",
			},
		}},
	}
}
