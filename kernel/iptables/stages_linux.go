package iptables

import (
	"fmt"

	"github.com/docker/libnetwork/netstate"
)

const (
	// matchTranslated matches packets of connections to published ports.
	matchTranslated = "-m conntrack --ctstate DNAT"
	matchAnswers    = "-m conntrack --ctstate RELATED,ESTABLISHED"
)

func policies() []netstate.Policy {
	return []netstate.Policy{netstate.Published, netstate.Opened, netstate.Everything, netstate.Nothing}
}

// policyChain is where packets to a bridge are judged.
func policyChain(policy netstate.Policy) string {
	switch policy {
	case netstate.Published:
		return "IN-PUB"
	case netstate.Opened:
		return "IN-OPEN"
	case netstate.Everything:
		return "IN-ALL"
	default:
		return "IN-NONE"
	}
}

// filtering returns the stages of what is forwarded: first what is kept on its bridge,
// answers too, then what is let in, and then what leaves. What neither comes from nor goes
// to a bridge of ours falls through. What leaves is accepted, since the host's policy may
// be to drop: that is about what is not ours.
func (o Options) filtering(f family) []rule {
	rules := []rule{
		to(tableFilter, chainForward, "", chainKeep),
		to(tableFilter, chainForward, "", chainInbound),
		to(tableFilter, chainForward, "", chainOutbound),
		does(tableFilter, chainConfined, "", "DROP"),
	}
	for _, p := range policies() {
		rules = append(rules, o.policy(f, p)...)
	}
	return rules
}

// policy is the end of what goes to a bridge: whatever nobody accepts is dropped.
func (o Options) policy(f family, p netstate.Policy) []rule {
	chain := policyChain(p)
	var rules []rule
	accept := func(match string) { rules = append(rules, does(tableFilter, chain, match, "ACCEPT")) }
	if p != netstate.Nothing {
		accept(matchAnswers)
		if o.AcceptMask != 0 {
			accept(fmt.Sprintf("-m mark --mark %#x/%#x", o.AcceptMark&o.AcceptMask, o.AcceptMask))
		}
	}
	switch p {
	case netstate.Published:
		accept(matchTranslated)
	case netstate.Opened:
		accept("-p " + f.ping)
		rules = append(rules, to(tableFilter, chain, "", chainOpen))
	case netstate.Everything:
		accept("")
		return rules
	}
	return append(rules, to(tableFilter, chain, "", chainAllow), does(tableFilter, chain, "", "DROP"))
}
