package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/netstate"
)

// chain is one of the table's, with its rules.
type chain struct {
	name string
	// hook and priority are nil for a chain that others jump to.
	hook     *nftables.ChainHook
	priority *nftables.ChainPriority
	kind     nftables.ChainType
	rules    []match
}

// Names of chains that others jump to.
const (
	chainPublish  = "publish"
	chainConfined = "confined"
)

// chains returns the static part of the table, in an order in which each stands before
// it is jumped to.
func (o Options) chains() []chain {
	out := []chain{publishing(), confined()}
	out = append(out, o.policies()...)
	return append(out, antispoof(), o.forward(), prerouting(), o.output(), postrouting())
}

// publishing translates the destination. An address of its own goes before a wildcard.
func publishing() chain {
	c := chain{name: chainPublish}
	for _, f := range families() {
		to := func(set string, key match, port uint32) {
			nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(f.protocol), RegAddrMin: register1, RegProtoMin: port}
			c.rules = append(c.rules, rule(f.is(), key, inMap(set+f.suffix), match{nat}))
		}
		to(setPort, f.service(f.destination), f.afterAddress)
		to(setAnyPort, rule(transport(), destinationPort(behindOne)), f.afterAddress)
		to(setRange, f.service(f.destination), 0)
	}
	return c
}

// transport matches protocols with ports, and leaves the protocol in the first register.
func transport() match { return meta(expr.MetaKeyL4PROTO, register1) }

// service loads protocol, address and destination port.
func (f family) service(offset uint32) match {
	return rule(transport(), f.address(offset, behindOne), destinationPort(f.afterProtocolAddress))
}

func links() match {
	return rule(meta(expr.MetaKeyIIFNAME, register1), meta(expr.MetaKeyOIFNAME, register2))
}

// confined drops what leaves a bridge that nothing leaves.
func confined() chain {
	return chain{name: chainConfined, rules: []match{rule(links(), notInSet(setAllow), drop())}}
}

// policies are the ends of what goes to a bridge: whatever nobody accepts is dropped.
func (o Options) policies() []chain {
	policy := func(p netstate.Policy, lets ...match) chain {
		c := chain{name: policyChain(p)}
		if p != netstate.Nothing {
			c.rules = append(c.rules, rule(answers(), accept()))
			if o.AcceptMask != 0 {
				c.rules = append(c.rules, rule(mark(o.AcceptMark, o.AcceptMask), accept()))
			}
		}
		for _, let := range lets {
			c.rules = append(c.rules, rule(let, accept()))
		}
		c.rules = append(c.rules, rule(links(), inSet(setAllow), accept()), drop())
		return c
	}
	var opened []match
	for _, f := range families() {
		opened = append(opened,
			rule(f.is(), transport(), equals(f.ping)),
			rule(f.is(), f.service(f.destination), inSet(setOpen+f.suffix)),
			rule(f.is(), f.service(f.destination), inSet(setOpenRange+f.suffix)))
	}
	return []chain{
		policy(netstate.Published, translated()), policy(netstate.Opened, opened...),
		policy(netstate.Everything, match{}), policy(netstate.Nothing),
	}
}

// antispoof keeps containers from the host's loopback: the bridges that the loopback
// reaches would let them in.
func antispoof() chain {
	v4 := families()[0]
	return base("raw", nftables.ChainHookPrerouting, nftables.ChainPriorityRaw, nftables.ChainTypeFilter,
		rule(meta(expr.MetaKeyIIFNAME, register1), inSet(setLoopback), v4.loopback(v4.destination), drop()))
}

func (o Options) forward() chain {
	c := base("forward", nftables.ChainHookForward, nftables.ChainPriorityFilter, nftables.ChainTypeFilter,
		rule(links(), inSet(setSeparate), drop()))
	for _, f := range families() {
		c.rules = append(c.rules,
			rule(f.is(), meta(expr.MetaKeyIIFNAME, register1), inSet(setConfine+f.suffix), jump(chainConfined)),
			rule(f.is(), meta(expr.MetaKeyOIFNAME, register1), verdictMap(setInbound+f.suffix)))
	}
	return c
}

// prerouting translates for the host's addresses, but not for its loopback: nothing from
// outside may get there.
func prerouting() chain {
	v4 := families()[0]
	return base("prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, nftables.ChainTypeNAT,
		rule(v4.loopback(v4.destination), leave()), rule(toHost(), jump(chainPublish)))
}

func (o Options) output() chain {
	c := base("output", nftables.ChainHookOutput, nftables.ChainPriorityNATDest, nftables.ChainTypeNAT)
	for _, f := range families() {
		// Linux routes no packet with the source ::1 to another link, whatever is set.
		if o.LoopbackProxied || f.suffix == ipv6 {
			c.rules = append(c.rules, rule(f.loopback(f.destination), leave()))
		}
	}
	c.rules = append(c.rules, rule(toHost(), jump(chainPublish)))
	return c
}

func postrouting() chain {
	v4 := families()[0]
	c := base("postrouting", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, nftables.ChainTypeNAT,
		rule(v4.loopback(v4.source), meta(expr.MetaKeyOIFNAME, register1), inSet(setLoopback), masquerade()))
	for _, f := range families() {
		ownBridge := rule(f.is(), f.address(f.source, register1), meta(expr.MetaKeyOIFNAME, f.afterAddress), inSet(setHairpin+f.suffix))
		source := rule(f.is(), f.address(f.source, register1))
		c.rules = append(c.rules,
			rule(translated(), ownBridge, masquerade()),
			rule(ownBridge, leave()),
			rule(source, inMap(setSource+f.suffix), match{
				&expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(f.protocol), RegAddrMin: register1},
			}),
			rule(source, inSet(setMasquerade+f.suffix), masquerade()))
	}
	return c
}

func base(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority, kind nftables.ChainType, rules ...match) chain {
	return chain{name: name, hook: hook, priority: priority, kind: kind, rules: rules}
}

// tableFamily is that of both kinds of packets.
const tableFamily = nftables.TableFamily(unix.NFPROTO_INET)
