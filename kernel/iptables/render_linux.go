package iptables

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/docker/libnetwork/netstate"
)

// entry is an intent with its owner.
type entry struct {
	owner  string
	intent netstate.Intent
}

// concerns reports whether the intent has rules of the family.
func (f family) concerns(i netstate.Intent) bool {
	switch i.Kind {
	case netstate.Allow, netstate.Separate:
		return true
	}
	return i.Is6() == f.six
}

// rules renders an intent that concerns the family.
func (f family) rules(i netstate.Intent) []rule {
	switch i.Kind {
	case netstate.Inbound:
		r := to(tableFilter, chainInbound, "-o "+i.Link, policyChain(i.Policy))
		r.jump = "-g"
		return []rule{r}
	case netstate.Confine:
		return []rule{to(tableFilter, chainKeep, "-i "+i.Link, chainConfined)}
	case netstate.Allow:
		pair := "-i " + i.From + " -o " + i.Link
		return []rule{
			does(tableFilter, chainConfined, pair, "RETURN").first(),
			does(tableFilter, chainAllow, pair, "ACCEPT"),
		}
	case netstate.Separate:
		return []rule{does(tableFilter, chainKeep, "-i "+i.Link+" -o "+i.Link, "DROP").first()}
	case netstate.Loopback:
		return []rule{
			does(tableRaw, chainRaw, "-d "+f.loopback+" -i "+i.Link, "DROP"),
			does(tableNAT, chainPost, "-s "+f.loopback+" -o "+i.Link, "MASQUERADE").first(),
		}
	case netstate.Hairpin:
		r := to(tableNAT, chainPost, fmt.Sprintf("-s %s -o %s", i.Prefix, i.Link), chainHome).first()
		r.jump = "-g"
		return []rule{r}
	case netstate.Masquerade:
		source := "-s " + i.Prefix.String()
		if i.Source.IsValid() {
			return []rule{does(tableNAT, chainSource, source, "SNAT --to-source "+i.Source.String()).first()}
		}
		return []rule{does(tableNAT, chainSource, source, "MASQUERADE")}
	case netstate.Publish:
		return []rule{publish(i)}
	default:
		return []rule{does(tableFilter, chainOpen, fmt.Sprintf("-d %s %s", i.Target, service(i)), "ACCEPT")}
	}
}

// publish renders a port, or a range that is mapped one to one: without a port in the
// target, each keeps its own.
func publish(i netstate.Intent) rule {
	target := i.Target.String()
	if i.Port == i.PortEnd {
		target = netip.AddrPortFrom(i.Target, i.TargetPort).String()
	}
	target = "DNAT --to-destination " + target
	if i.Wildcard() {
		return does(tableNAT, chainAny, service(i), target)
	}
	return does(tableNAT, chainAddress, fmt.Sprintf("-d %s %s", i.Host, service(i)), target)
}

func service(i netstate.Intent) string {
	text := fmt.Sprintf("-p %s -m %s --dport %d", i.Protocol, i.Protocol, i.Port)
	if i.PortEnd != i.Port {
		text += fmt.Sprintf(":%d", i.PortEnd)
	}
	return text
}

// claim is what only one intent may be about; empty if there is no such thing. Two
// published ports with one claim, for instance, would have different targets.
func claim(i netstate.Intent) string {
	switch i.Kind {
	case netstate.Inbound:
		i.Policy = ""
	case netstate.Publish:
		i.Target, i.TargetPort = netip.Addr{}, 0
	default:
		return ""
	}
	return i.String()
}

// maxComment is the longest comment, in bytes (XT_MAX_COMMENT_LEN less the closing zero,
// include/uapi/linux/netfilter/xt_comment.h).
const maxComment = 255

// mark is what all our comments start with.
func (o Options) mark() string { return "libnetwork " + o.Instance + " " }

// layoutMark stands in comments in place of an owner.
const layoutMark = "layout"

func (o Options) staticComment(f family) string { return o.mark() + layoutMark + " " + o.layout(f) }

// comment is what the rules of an intent say of themselves.
func (o Options) comment(e entry) string { return o.mark() + e.owner + " " + e.intent.String() }

// parseComment is the inverse of comment.
func (o Options) parseComment(text string) (entry, bool) {
	text, ok := strings.CutPrefix(text, o.mark())
	if !ok {
		return entry{}, false
	}
	owner, text, _ := strings.Cut(text, " ")
	intent, err := netstate.ParseIntent(text)
	return entry{owner, intent}, err == nil
}

// check refuses what has no place in a rule, or means something else there.
func (o Options) check(e entry) error {
	if e.owner == "" || e.owner == layoutMark || !plain(e.owner) {
		return fmt.Errorf("owner %q: want characters that need no quotes", e.owner)
	}
	if _, err := netstate.ParseIntent(e.intent.String()); err != nil {
		return err
	}
	for _, link := range []string{e.intent.Link, e.intent.From} {
		if !plain(link) || strings.HasPrefix(link, "-") || strings.HasPrefix(link, "!") {
			return fmt.Errorf("link %q: iptables takes no such name; rename it", link)
		}
		if strings.HasSuffix(link, "+") {
			return fmt.Errorf("link %q: with a plus sign at the end iptables takes it for all links that start so; rename it", link)
		}
	}
	if n := len(o.comment(e)); n > maxComment {
		return fmt.Errorf("owner %q and %q: make a comment of %d bytes, of %d at most", e.owner, e.intent, n, maxComment)
	}
	if e.intent.Host.Zone() != "" || e.intent.Target.Zone() != "" {
		return errors.New("addresses have no zone here")
	}
	return nil
}

// plain reports whether a word may stand in a line for a restore without quotes.
func plain(word string) bool {
	return !strings.ContainsFunc(word, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("\"'\\#;", r)
	})
}
