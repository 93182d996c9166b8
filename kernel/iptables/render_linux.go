package iptables

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/netstate"
)

// entry is an intent with its owner.
type entry struct {
	owner  string
	intent netstate.Intent
}

func (e entry) split() (owner string, intent netstate.Intent) { return e.owner, e.intent }

// concerns reports whether the intent has rules of the family.
func (f family) concerns(i netstate.Intent) bool {
	switch i.Kind {
	case netstate.Allow, netstate.Separate:
		return true
	}
	return i.Is6() == f.six
}

// rules renders an intent that concerns the family; none is a kind that is not known.
func (f family) rules(i netstate.Intent) []rule {
	switch i.Kind {
	case netstate.Inbound:
		rules := []rule{to(tableFilter, chainInbound, "-o "+i.Link, policyChain(i.Policy)).forGood()}
		if i.Policy != netstate.Nothing {
			rules = append(rules, does(tableFilter, chainOutbound, "-i "+i.Link, "ACCEPT"))
		}
		return rules
	case netstate.Confine:
		return []rule{to(tableFilter, chainKeep, "-i "+i.Link, chainConfined)}
	case netstate.Allow:
		pair := "-i " + i.From + " -o " + i.Link
		return []rule{
			does(tableFilter, chainConfined, pair, "RETURN").first(),
			does(tableFilter, chainAllow, pair, "ACCEPT"),
		}
	case netstate.Separate:
		return []rule{does(tableFilter, chainKeep, "-i "+i.Link+" -o "+i.Link, "DROP")}
	case netstate.Loopback:
		return []rule{
			does(tableRaw, chainRaw, "-i "+i.Link+" -d "+f.loopback, "DROP"),
			does(tableNAT, chainPost, "-s "+f.loopback+" -o "+i.Link, "MASQUERADE").first(),
		}
	case netstate.Hairpin:
		return []rule{to(tableNAT, chainPost, fmt.Sprintf("-s %s -o %s", i.Prefix, i.Link), chainHome).forGood().first()}
	case netstate.Masquerade:
		source := "-s " + i.Prefix.String()
		if i.Source.IsValid() {
			return []rule{does(tableNAT, chainSource, source, "SNAT").with("--to-source " + i.Source.String()).first()}
		}
		return []rule{does(tableNAT, chainSource, source, "MASQUERADE")}
	case netstate.Publish:
		return []rule{publish(i)}
	case netstate.Open:
		return []rule{does(tableFilter, chainOpen, fmt.Sprintf("-d %s %s", i.Target, service(i)), "ACCEPT")}
	}
	return nil
}

// publish renders a port, or a range that is mapped one to one: without a port in the
// target, each keeps its own.
func publish(i netstate.Intent) rule {
	chain, match, target := chainAddress, service(i), i.Target.String()
	if i.Wildcard() {
		chain = chainAny
	} else {
		match = fmt.Sprintf("-d %s %s", i.Host, match)
	}
	if i.Port != i.PortEnd {
		chain = chainRange
	} else {
		target = netip.AddrPortFrom(i.Target, i.TargetPort).String()
	}
	return does(tableNAT, chain, match, "DNAT").with("--to-destination " + target)
}

func service(i netstate.Intent) string {
	text := fmt.Sprintf("-p %s -m %s --dport %d", i.Protocol, i.Protocol, i.Port)
	if i.PortEnd != i.Port {
		text += fmt.Sprintf(":%d", i.PortEnd)
	}
	return text
}

// claim returns what only one intent may be about, with what intents may say of it left
// out; it is not ok for one that goes with all others.
func claim(i netstate.Intent) (key netstate.Intent, ok bool) {
	switch {
	case i.Kind == netstate.Inbound:
		i.Policy = ""
	case i.Kind == netstate.Publish:
		i.Target, i.TargetPort = netip.Addr{}, 0
	case i.Kind == netstate.Masquerade && i.Source.IsValid():
		i.Source = netip.Addr{}
	default:
		return i, false
	}
	return i, true
}

func ranges(i netstate.Intent) bool { return i.Kind == netstate.Publish && i.Port != i.PortEnd }

// overlap reports whether two ranges have a port in common: which of them counts would
// depend on their order.
func overlap(a, b netstate.Intent) bool {
	return a.Protocol == b.Protocol && a.Host.Is4() == b.Host.Is4() &&
		(a.Host == b.Host || a.Wildcard() || b.Wildcard()) && a.Port <= b.PortEnd && b.Port <= a.PortEnd
}

// maxComment is the longest comment, in bytes. iptables-nft has room for NFT_USERDATA_MAXLEN
// (include/uapi/linux/netfilter/nf_tables.h) less the head and the closing zero.
const maxComment = 253

// comment is what the rules of an intent say of themselves.
func (e entry) comment() string { return e.owner + " " + e.intent.String() }

func (e entry) compare(other entry) int { return strings.Compare(e.comment(), other.comment()) }

// parseComment is the inverse of comment.
func parseComment(text string) (entry, bool) {
	owner, text, _ := strings.Cut(text, " ")
	intent, err := netstate.ParseIntent(text)
	return entry{owner, intent}, err == nil
}

// check refuses what has no place in a rule, or means something else there.
func (e entry) check() error {
	if e.owner == "" || !plain(e.owner) {
		return fmt.Errorf("owner %q: want characters that need no quotes", e.owner)
	}
	if parsed, err := netstate.ParseIntent(e.intent.String()); err != nil {
		return err
	} else if parsed != e.intent {
		return fmt.Errorf("%+v: has fields that the kind %q does not use", e.intent, e.intent.Kind)
	}
	if len(familyOf(e.intent.Is6()).rules(e.intent)) == 0 {
		return fmt.Errorf("there are no rules for the kind %q", e.intent.Kind)
	}
	for _, link := range []string{e.intent.Link, e.intent.From} {
		if len(link) >= unix.IFNAMSIZ || !plain(link) || strings.HasPrefix(link, "-") || strings.HasPrefix(link, "!") {
			return fmt.Errorf("link %q: iptables takes no such name; rename it", link)
		}
		if strings.HasSuffix(link, "+") {
			return fmt.Errorf("link %q: with a plus sign at the end iptables takes it for all links that start so; rename it", link)
		}
	}
	if e.intent.Host.Zone() != "" || e.intent.Target.Zone() != "" || e.intent.Source.Zone() != "" {
		return errors.New("addresses have no zone here")
	}
	if n := len(e.comment()); n > maxComment {
		return fmt.Errorf("owner %q: makes a comment of %d bytes, of %d at most", e.owner, n, maxComment)
	}
	return nil
}

// plain reports whether a word may stand in a line for a restore without quotes.
func plain(word string) bool {
	return !strings.ContainsFunc(word, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("\"'\\#;", r)
	})
}
