package iptables

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
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
	chainRaw      = "RAW"      // raw: keeps containers from the host's loopback
	chainForward  = "FWD"      // filter: the stages of what is forwarded
	chainKeep     = "KEEP"     // filter: what may not leave its bridge, or not come back to it
	chainConfined = "CONFINED" // filter: the way out of a bridge that nothing leaves
	chainInbound  = "IN"       // filter: bridges to the chain of their policy
	chainAllow    = "ALLOW"    // filter: pairs of links
	chainOpen     = "OPEN"     // filter: containers' ports
	chainPre      = "PRE"      // nat: what comes from outside
	chainOut      = "OUT"      // nat: what the host itself sends
	chainPublish  = "PUB"      // nat: published ports
	chainAddress  = "PUB-ONE"  // nat: those of one address of the host
	chainAny      = "PUB-ANY"  // nat: those of whatever address
	chainPost     = "POST"     // nat: what leaves
	chainHome     = "HOME"     // nat: what goes back to the bridge it came from
	chainSource   = "SRC"      // nat: subnets that get an address of the host
)

// chainUser is the operators' own chain, under the name that they know.
const chainUser = "DOCKER-USER"

// prefixLength is how much of the instance is in the name of a chain. The kernel takes 28
// bytes (XT_EXTENSION_MAXNAMELEN less the closing zero), the programs as much.
const prefixLength = 8

func (o Options) prefix() string {
	return "LN-" + o.Instance[:min(prefixLength, len(o.Instance))] + "-"
}

// rule is one line for a family.
type rule struct {
	table, chain string
	// front puts it before the rules that are there, otherwise behind them.
	front bool
	// match has the matches, and target what happens then; chains of ours are without
	// what their names start with.
	match, target string
	// jump is that to a chain of ours, or goto (-g): "-j" or "-g". Empty if target
	// contains it.
	jump string
}

func to(table, chain, match, target string) rule {
	return rule{table: table, chain: chain, match: match, target: target, jump: "-j"}
}

func does(table, chain, match, target string) rule {
	return rule{table: table, chain: chain, match: match, target: "-j " + target}
}

func (r rule) first() rule {
	r.front = true
	return r
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

// tables lists those that we have chains in, so that what keeps packets away is there
// before ports are published.
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
		chains := []string{chainForward, chainKeep, chainConfined, chainInbound, chainAllow, chainOpen}
		for _, p := range policies() {
			chains = append(chains, policyChain(p))
		}
		return chains
	default:
		return []string{chainPre, chainOut, chainPublish, chainAddress, chainAny, chainPost, chainHome, chainSource}
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
			jumps = append([]rule{does(tableFilter, builtinForward, "", chainUser).first()}, jumps...)
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

// static returns the rules of our chains that never change, but those in built-in chains.
func (o Options) static(f family) []rule {
	rules := slices.Concat(o.filtering(f), o.translating(f))
	return rules
}

func (o Options) translating(f family) []rule {
	const table, local = tableNAT, "-m addrtype --dst-type LOCAL"
	var rules []rule
	// Nothing from outside may get to the host's loopback. Linux routes no packet with
	// the source ::1 to another link, whatever is set.
	if !f.six {
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
		to(table, chainPost, "", chainSource),
		// A bridge's own packets are sent here for good: no other rule of ours sees them.
		does(table, chainHome, matchTranslated, "MASQUERADE"),
	)
}

// layout tells these static rules from those of another version, or of other options.
func (o Options) layout(f family) string {
	hash := sha256.New()
	for _, table := range f.tables() {
		_, _ = fmt.Fprintf(hash, "%v %v;", f.chains(table), f.jumps(table, false))
	}
	_, _ = fmt.Fprintf(hash, "%v", o.static(f))
	return fmt.Sprintf("%x", hash.Sum(nil)[:4])
}

// text returns the rule as a line for a restore, less the command and the chain.
func (r rule) text(prefix, comment string) string {
	words := []string{r.match, `-m comment --comment "` + comment + `"`, r.target}
	if r.jump != "" {
		words[2] = r.jump + " " + prefix + r.target
	}
	if r.match == "" {
		words = words[1:]
	}
	return strings.Join(words, " ")
}

// where returns the name of the rule's chain as the kernel has it.
func (r rule) where(prefix string) string {
	switch r.chain {
	case builtinPrerouting, builtinForward, builtinOutput, builtinPostrouting:
		return r.chain
	}
	return prefix + r.chain
}
