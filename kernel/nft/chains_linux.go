package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
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
	rules    []rule
}

// rule is one that never changes. The nft program shows the comment, which says what the
// rule is for in 128 bytes at most (NFTNL_UDATA_COMMENT_MAXLEN).
type rule struct {
	comment     string
	expressions match
}

// userData is the comment as the nft program keeps it.
func (r rule) userData() []byte { return userdata.AppendString(nil, userdata.TypeComment, r.comment) }

func static(comment string, pieces ...match) rule { return rule{comment, all(pieces...)} }

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
		to := func(comment, set string, key match, port uint32) {
			nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(f.protocol), RegAddrMin: register1, RegProtoMin: port}
			c.rules = append(c.rules, static(comment, f.is(), key, inMap(set+f.suffix), match{nat}))
		}
		to("ports published at this address of the host, before those at any", setPort, f.service(f.destination), f.afterAddress)
		to("ports published at any address of the host", setAnyPort, all(transport(), destinationPort(behindOne)), f.afterAddress)
		to("ranges of ports that keep their numbers", setRange, f.service(f.destination), 0)
	}
	return c
}

// transport matches protocols with ports, and leaves the protocol in the first register.
func transport() match { return meta(expr.MetaKeyL4PROTO, register1) }

// service loads protocol, address and destination port.
func (f family) service(offset uint32) match {
	return all(transport(), f.address(offset, behindOne), destinationPort(f.afterProtocolAddress))
}

func links() match {
	return all(meta(expr.MetaKeyIIFNAME, register1), meta(expr.MetaKeyOIFNAME, register2))
}

// confined drops what leaves a bridge that nothing leaves.
func confined() chain {
	return chain{name: chainConfined, rules: []rule{
		static("nothing leaves the bridge, but to where it is let in", links(), notInSet(setAllow), drop()),
	}}
}

// policies are the ends of what goes to a bridge: whatever nobody accepts is dropped.
func (o Options) policies() []chain {
	policy := func(p netstate.Policy, lets ...rule) chain {
		c := chain{name: policyChain(p)}
		if p != netstate.Nothing {
			c.rules = append(c.rules, static("answers to what was let through before", answers(), accept()))
			if o.AcceptMask != 0 {
				c.rules = append(c.rules, static("what the operator's rules have marked", mark(o.AcceptMark, o.AcceptMask), accept()))
			}
		}
		c.rules = append(c.rules, lets...)
		if p == netstate.Everything {
			return c
		}
		c.rules = append(c.rules,
			static("neighbours on the bridge, and trusted links", links(), inSet(setAllow), accept()),
			static("whatever nobody asked to let in", drop()))
		return c
	}
	var opened []rule
	for _, f := range families() {
		opened = append(opened,
			static("ping, and errors", f.is(), transport(), equals(f.ping), accept()),
			static("ports that were opened", f.is(), f.service(f.destination), inSet(setOpen+f.suffix), accept()),
			static("ranges of ports that were opened", f.is(), f.service(f.destination), inSet(setOpenRange+f.suffix), accept()))
	}
	return []chain{
		policy(netstate.Published, static("what came for a published port", translated(), accept())),
		policy(netstate.Opened, opened...),
		policy(netstate.Everything, static("all: the network is not protected", accept())),
		policy(netstate.Nothing),
	}
}

// antispoof keeps containers from the host's loopback: the bridges that the loopback
// reaches would let them in.
func antispoof() chain {
	v4 := families()[0]
	return base("raw", nftables.ChainHookPrerouting, nftables.ChainPriorityRaw, nftables.ChainTypeFilter,
		static("no container reaches the host's loopback",
			meta(expr.MetaKeyIIFNAME, register1), inSet(setLoopback), v4.loopback(v4.destination), drop()))
}

func (o Options) forward() chain {
	c := base("forward", nftables.ChainHookForward, nftables.ChainPriorityFilter, nftables.ChainTypeFilter,
		static("neighbours that are kept apart, by published ports too", links(), inSet(setSeparate), drop()))
	for _, f := range families() {
		c.rules = append(c.rules,
			static("from a bridge that nothing leaves",
				f.is(), meta(expr.MetaKeyIIFNAME, register1), inSet(setConfine+f.suffix), jump(chainConfined)),
			static("to a bridge: its policy decides, for good",
				f.is(), meta(expr.MetaKeyOIFNAME, register1), verdictMap(setInbound+f.suffix)))
	}
	return c
}

// prerouting translates for the host's addresses, but not for its loopback: nothing from
// outside may get there.
func prerouting() chain {
	v4 := families()[0]
	return base("prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, nftables.ChainTypeNAT,
		static("nothing from outside gets to ports of the loopback", v4.loopback(v4.destination), leave()),
		static("link-local sources are not forwarded: left to the userland proxy", linkLocalSource(), leave()),
		static("to the host: is it for a published port?", toHost(), jump(chainPublish)))
}

func (o Options) output() chain {
	c := base("output", nftables.ChainHookOutput, nftables.ChainPriorityNATDest, nftables.ChainTypeNAT)
	for _, f := range families() {
		// Linux routes no packet with the source ::1 to another link, whatever is set.
		if o.LoopbackProxied || f.suffix == ipv6 {
			c.rules = append(c.rules, static("the host's loopback is left to the userland proxy", f.loopback(f.destination), leave()))
		}
	}
	c.rules = append(c.rules, static("from the host to itself: is it for a published port?", toHost(), jump(chainPublish)))
	return c
}

func postrouting() chain {
	v4 := families()[0]
	c := base("postrouting", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource, nftables.ChainTypeNAT,
		static("from the host's loopback to a published port: as the bridge, so that it can be answered",
			v4.loopback(v4.source), meta(expr.MetaKeyOIFNAME, register1), inSet(setLoopback), masquerade()))
	for _, f := range families() {
		ownBridge := all(f.is(), f.address(f.source, register1), meta(expr.MetaKeyOIFNAME, f.afterAddress), inSet(setHairpin+f.suffix))
		source := all(f.is(), f.address(f.source, register1))
		c.rules = append(c.rules,
			static("to a neighbour's published port: as the bridge, so that answers come by here", translated(), ownBridge, masquerade()),
			static("other packets that stay on the bridge keep their source", ownBridge, leave()),
			static("subnets that leave with a fixed address", source, inMap(setSource+f.suffix), match{
				&expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(f.protocol), RegAddrMin: register1},
			}),
			static("subnets that leave with the address of the link", source, inSet(setMasquerade+f.suffix), masquerade()))
	}
	return c
}

func base(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority, kind nftables.ChainType, rules ...rule) chain {
	return chain{name: name, hook: hook, priority: priority, kind: kind, rules: rules}
}

// tableFamily is that of both kinds of packets.
const tableFamily = nftables.TableFamily(unix.NFPROTO_INET)
