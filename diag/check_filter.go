package diag

import (
	"strings"

	"github.com/docker/libnetwork/kernel/survey"
)

// optional are abilities that are worth knowing of, and that nothing needs.
func optional(a survey.Ability) bool { return a.Module == "br_netfilter" || a.Name == "IPv6" }

func (x *examination) checkKernel() []complaint {
	var out []complaint
	for _, a := range x.machine.Abilities {
		if a.Present || optional(a) {
			continue
		}
		fix := "boot a kernel with " + a.Config
		if a.Module != "" {
			fix = "modprobe " + a.Module + ", or boot a kernel with " + a.Config
		}
		level := warn
		if a.Name == "network namespaces" || a.Name == "connection tracking" && x.backend != "none" {
			level = wrong
		}
		out = append(out, level(fix, "kernel %s cannot do this: %s (%s)", x.machine.Release, a.Name, a.Reason))
	}
	return out
}

func (x *examination) checkFirewall() []complaint {
	switch x.backend {
	case "none":
		return []complaint{warn(`set the firewall back end to "nftables" or "iptables"`, "nothing is filtered: networks are not kept apart, and no port is published but by proxy")}
	case "":
		return []complaint{wrong("install the package nftables or iptables, or boot a kernel with CONFIG_NF_TABLES", "there is no packet filter that could be used")}
	}
	return nil
}

func (x *examination) checkForwarding() []complaint {
	var need4, need6 bool
	for _, n := range x.records.Networks {
		if bridgeOf(n).Name != "" && !n.Internal {
			need4, need6 = need4 || len(n.Subnets4) > 0, need6 || len(n.Subnets6) > 0
		}
	}
	var out []complaint
	for _, family := range []struct {
		needed    bool
		name, key string
	}{{need4, "IPv4", keyForward4}, {need6, "IPv6", keyForward6}} {
		if value, known := x.machine.Sysctls[family.key]; family.needed && known && value == "0" {
			key := strings.ReplaceAll(family.key, "/", ".")
			out = append(out, wrong("sysctl -w "+key+"=1", "the host forwards no %s packets, so that containers get nowhere: %s is 0", family.name, key))
		}
	}
	return out
}

func (x *examination) checkReversePath() []complaint {
	if x.machine.Sysctls[keyRPFilter] != "1" {
		return nil
	}
	return []complaint{inform("sysctl -w net.ipv4.conf.all.rp_filter=2, if it does", "the host drops what comes by another link than it would answer by (rp_filter is 1); "+
		"that hurts hosts with several ways out")}
}

func (x *examination) checkBridgeNetfilter() []complaint {
	if x.machine.Sysctls[keyBridged4] != "1" && x.machine.Sysctls[keyBridged6] != "1" {
		return nil
	}
	return []complaint{inform("sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0, if nobody else needs it",
		"what stays on a bridge passes the rules for IP as well (br_netfilter), which takes time and lets the rules of others drop it")}
}

func (x *examination) checkForeignChains() []complaint {
	var out []complaint
	for _, c := range x.machine.Chains {
		if !c.Drops || ours(c) || c.Family == "bridge" || c.Family == "arp" {
			continue
		}
		// Of iptables, ours comes first in the same chain.
		first := strings.HasPrefix(x.backend, "iptables") && strings.HasPrefix(c.Table, "filter")
		switch {
		case c.Hook == "forward" && !first:
			out = append(out, warn(`accept there what comes from and goes to the links "br-*"; see docs/firewall.md`,
				"chain %q of table \"%s %s\" drops what is forwarded, packets to and from containers too: %s", c.Name, c.Family, c.Table, c.Why))
		case c.Hook == "input":
			out = append(out, inform("accept there what comes from the links \"br-*\", if containers are to reach the host",
				"chain %q of table \"%s %s\" drops what is for the host itself, from containers too: %s", c.Name, c.Family, c.Table, c.Why))
		}
	}
	return out
}

func (x *examination) checkOtherFirewalls() []complaint {
	var out []complaint
	if x.machine.Firewalld {
		out = append(out, inform("", `firewalld runs; the bridges are in its zone "libnetwork", and rules of its own about what is forwarded do not see packets to containers`))
	}
	for _, program := range x.machine.Hints {
		out = append(out, inform("", "%s has chains in the packet filter of this host", program))
	}
	if n := x.machine.UserRules; n > 0 {
		out = append(out, inform("iptables --list DOCKER-USER --verbose, to see them", "the chain DOCKER-USER has %d rules of an operator, which come before ours", n))
	}
	return out
}
