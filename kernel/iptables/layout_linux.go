package iptables

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/netstate"
)

// Tables, and built-in chains in them.
const (
	tableRaw    = "raw"
	tableFilter = "filter"
	tableNAT    = "nat"

	builtinPrerouting  = "PREROUTING"
	builtinForward     = "FORWARD"
	builtinOutput      = "OUTPUT"
	builtinPostrouting = "POSTROUTING"
)

// Our chains, without what the names start with.
const (
	chainRaw      = "RAW"       // raw: keeps containers from the host's loopback
	chainForward  = "FWD"       // filter: the stages of what is forwarded
	chainKeep     = "KEEP"      // filter: what may not leave its bridge, or not come back to it
	chainConfined = "CONFINED"  // filter: the way out of a bridge that nothing leaves
	chainInbound  = "IN"        // filter: bridges to the chain of their policy
	chainOutbound = "OUTBOUND"  // filter: bridges that something leaves
	chainAllow    = "ALLOW"     // filter: pairs of links
	chainOpen     = "OPEN"      // filter: containers' ports
	chainPre      = "PRE"       // nat: what comes from outside
	chainOut      = "OUT"       // nat: what the host itself sends
	chainPublish  = "PUB"       // nat: published ports
	chainAddress  = "PUB-ONE"   // nat: those of one address of the host
	chainAny      = "PUB-ANY"   // nat: those of whatever address
	chainRange    = "PUB-RANGE" // nat: ranges of them
	chainPost     = "POST"      // nat: what leaves
	chainHome     = "HOME"      // nat: what goes back to the bridge it came from
	chainSource   = "SRC"       // nat: subnets that get an address of the host
)

// chainUser is the operators' own chain, under the name that they know.
const chainUser = "DOCKER-USER"

// prefixLength is how much of the name of a chain may be the instance. A name has 28
// bytes at most (XT_EXTENSION_MAXNAMELEN in include/uapi/linux/netfilter/x_tables.h, less
// the closing zero).
const prefixLength = 12

// prefix is what the names of our chains start with. It is no other instance's, nor what
// another's starts with: no instance has a '+' or a '.' in it.
func (o Options) prefix() string {
	instance := o.Instance
	if len(instance) > prefixLength {
		instance = fmt.Sprintf("%.3s+%.4x", instance, sha256.Sum256([]byte(instance)))
	}
	return "LN-" + instance + "."
}

// rule is one line for a family.
type rule struct {
	table, chain string
	// front puts it before the rules that are there, otherwise behind them.
	front bool
	match string
	// jump is -j, or -g to come back to the caller of this chain.
	jump string
	// target is what happens to what matches, with its arguments. If it is one of our
	// chains, own is set, and it is without what the name starts with.
	target, arguments string
	own               bool
}

// to is a rule that leads to a chain of ours.
func to(table, chain, match, target string) rule {
	return rule{table: table, chain: chain, match: match, jump: "-j", target: target, own: true}
}

// does is a rule that ends with a target of iptables.
func does(table, chain, match, target string) rule {
	return rule{table: table, chain: chain, match: match, jump: "-j", target: target}
}

func (r rule) with(arguments string) rule {
	r.arguments = " " + arguments
	return r
}

func (r rule) first() rule {
	r.front = true
	return r
}

// forGood makes a rule one that does not come back.
func (r rule) forGood() rule {
	r.jump = "-g"
	return r
}

// goal returns the target as iptables-save prints it.
func (r rule) goal(prefix string) string {
	if r.own {
		return prefix + r.target
	}
	return r.target
}

// where returns the name of the rule's chain as the kernel has it.
func (r rule) where(prefix string) string {
	switch r.chain {
	case builtinPrerouting, builtinForward, builtinOutput, builtinPostrouting:
		return r.chain
	}
	return prefix + r.chain
}

// text returns the rule as a line for a restore, from the chain on.
func (r rule) text(prefix, comment string) string {
	match := r.match
	if match != "" {
		match += " "
	}
	return fmt.Sprintf(`%s %s-m comment --comment "%s" %s %s%s`, r.where(prefix), match, comment, r.jump, r.goal(prefix), r.arguments)
}

// family is IPv4 or IPv6.
type family struct {
	six      bool
	loopback string // addresses of this host only
	ping     string // the protocol of its control messages
}

func familyOf(six bool) family {
	if six {
		return family{six: true, loopback: "::1/128", ping: "ipv6-icmp"}
	}
	return family{loopback: "127.0.0.0/8", ping: "icmp"}
}

func (f family) String() string {
	if f.six {
		return "ip6tables"
	}
	return "iptables"
}

// tables lists those that we have chains in. The first keep packets away; ports are
// published in the last.
func (f family) tables() []string {
	if f.six {
		return []string{tableFilter, tableNAT}
	}
	return []string{tableRaw, tableFilter, tableNAT}
}

// chains returns our chains of a table.
func (f family) chains(table string) []string {
	switch table {
	case tableRaw:
		return []string{chainRaw}
	case tableFilter:
		chains := []string{chainForward, chainKeep, chainConfined, chainInbound, chainOutbound, chainAllow, chainOpen}
		for _, p := range policies() {
			chains = append(chains, policyChain(p))
		}
		return chains
	default:
		return []string{
			chainPre, chainOut, chainPublish, chainAddress, chainAny, chainRange, chainPost, chainHome, chainSource,
		}
	}
}

// jumps are the rules in built-in chains, in the order in which they shall stand.
func (f family) jumps(table string, operators bool) []rule {
	switch table {
	case tableRaw:
		return []rule{to(tableRaw, builtinPrerouting, "", chainRaw).first()}
	case tableFilter:
		jumps := []rule{to(tableFilter, builtinForward, "", chainForward).first()}
		if operators {
			jumps = slices.Insert(jumps, 0, does(tableFilter, builtinForward, "", chainUser).first())
		}
		return jumps
	default:
		return []rule{
			to(tableNAT, builtinPrerouting, "", chainPre),
			to(tableNAT, builtinOutput, "", chainOut),
			to(tableNAT, builtinPostrouting, "", chainPost),
		}
	}
}

// static returns the rules of our chains that never change.
func (o Options) static(f family) []rule { return slices.Concat(o.filtering(f), o.translating(f)) }

// translating returns those of the table nat. Of what is published, a port of one address
// goes before one of whatever address, and that before a range.
func (o Options) translating(f family) []rule {
	const table, local = tableNAT, "-m addrtype --dst-type LOCAL"
	var rules []rule
	// Nothing from outside may get to the host's loopback. Linux routes no packet with
	// the source ::1 to another link, whatever is set, and forwards none with one that is
	// valid on its link only (RFC 4291 section 2.5.6): the userland proxy serves them.
	if f.six {
		rules = append(rules, does(table, chainPre, "-s fe80::/10", "RETURN"))
	} else {
		rules = append(rules, does(table, chainPre, "-d "+f.loopback, "RETURN"))
	}
	if f.six || o.LoopbackProxied {
		rules = append(rules, does(table, chainOut, "-d "+f.loopback, "RETURN"))
	}
	return append(rules,
		to(table, chainPre, local, chainPublish),
		to(table, chainOut, local, chainPublish),
		to(table, chainPublish, "", chainAddress),
		to(table, chainPublish, "", chainAny),
		to(table, chainPublish, "", chainRange),
		to(table, chainPost, "", chainSource),
		// A bridge's own packets are sent here for good: no other rule of ours sees them.
		does(table, chainHome, matchTranslated, "MASQUERADE"),
	)
}

// layout tells our rules from those of another version, or of other options.
func (o Options) layout(f family) string {
	hash := sha256.New()
	for _, table := range f.tables() {
		_, _ = fmt.Fprintln(hash, f.chains(table), f.jumps(table, true))
	}
	_, _ = fmt.Fprintln(hash, o.static(f))
	// How intents are rendered counts too: a rule is deleted by what it is made of.
	for _, i := range []netstate.Intent{
		{Kind: netstate.Inbound}, {Kind: netstate.Inbound, Policy: netstate.Nothing}, {Kind: netstate.Confine}, {Kind: netstate.Allow}, {Kind: netstate.Separate},
		{Kind: netstate.Loopback}, {Kind: netstate.Hairpin}, {Kind: netstate.Masquerade},
		{Kind: netstate.Masquerade, Source: netip.IPv4Unspecified()},
		{Kind: netstate.Publish}, {Kind: netstate.Publish, Host: netip.IPv4Unspecified()}, {Kind: netstate.Publish, PortEnd: 1},
		{Kind: netstate.Open}, {Kind: netstate.Open, PortEnd: 1},
	} {
		_, _ = fmt.Fprintln(hash, f.rules(i))
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:4])
}

// staticMark is what the comments of our static rules start with, whatever the version.
func (o Options) staticMark() string { return "libnetwork " + o.Instance + " layout " }

// staticComment is what static rules say of themselves.
func (o Options) staticComment(f family) string { return o.staticMark() + o.layout(f) }
