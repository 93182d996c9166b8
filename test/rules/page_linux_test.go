package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork/netstate"
)

// width is that of the pages' text, in bytes.
const width = 88

// meaning says what each kind of intent is for.
func meaning(kind netstate.IntentKind) string {
	return map[netstate.IntentKind]string{
		netstate.Inbound: "which packets of a family may be forwarded to the bridge: *published* lets in what came for a published " +
			"port, *opened* pings and opened ports, *everything* all, *nothing* nothing. All but *nothing* let in answers, " +
			"and all of them what an *allow* accepts.",
		netstate.Confine:    "nothing of the family that comes from the bridge is forwarded, but where an *allow* accepts it.",
		netstate.Allow:      "what is forwarded from the first link to the second is accepted. If both are the same, containers on the bridge may talk to each other.",
		netstate.Separate:   "nothing is forwarded from the bridge back to it, published ports neither.",
		netstate.Loopback:   "the host reaches published ports by its IPv4 loopback addresses, and gets the bridge's address on the way; in turn, nothing from the bridge gets to 127.0.0.0/8.",
		netstate.Hairpin:    "containers of the subnet reach a neighbour's published ports, and get the bridge's address on the way; what else stays on the bridge keeps its source.",
		netstate.Masquerade: "what comes from the subnet gets an address of the host: the one that is named, or that of the link by which it leaves.",
		netstate.Publish:    "what comes for ports of the host goes to the container. 0.0.0.0 and [::] are any address of the host.",
		netstate.Open:       "ports of the container can be reached where *inbound* says *opened*.",
	}[kind]
}

// page renders the scenario, and fails the test where its texts name what is not there.
func (s scenario) page(t *testing.T, d dumps) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", s.title, wrap(s.about, ""))
	fmt.Fprintf(&b, "\n## What is asked for\n\n```\n")
	var kinds []netstate.IntentKind
	for _, i := range s.intents() {
		fmt.Fprintf(&b, "%-13s %s\n", i.owner, i.intent)
		if !slices.Contains(kinds, i.intent.Kind) {
			kinds = append(kinds, i.intent.Kind)
		}
	}
	b.WriteString("```\n\n")
	for _, kind := range kinds {
		if meaning(kind) == "" {
			t.Errorf("there is no sentence for the kind %q", kind)
		}
		b.WriteString(wrap(fmt.Sprintf("- *%s*: %s", kind, meaning(kind)), "  ") + "\n")
	}
	b.WriteString("\n## nftables\n")
	for _, w := range s.ways {
		b.WriteString(w.text(t, w.nft, names(d.nft)))
	}
	fmt.Fprintf(&b, "\n### The table\n\n```\n%s```\n", d.nft)
	b.WriteString("\n## iptables\n")
	for _, w := range s.ways {
		b.WriteString(w.text(t, w.iptables, names(d.iptables)))
	}
	fmt.Fprintf(&b, "\n### IPv4, as iptables-save prints it\n\n```\n%s```\n", d.iptables)
	fmt.Fprintf(&b, "\n### IPv6, as ip6tables-save prints it\n\n```\n%s```\n", d.ip6tables)
	return b.String()
}

// Bounds of a way: with fewer steps it explains nothing, and more nobody reads.
const (
	fewestSteps = 3
	mostSteps   = 8
)

func (w way) text(t *testing.T, steps []string, known map[string]bool) string {
	t.Helper()
	if len(steps) < fewestSteps || len(steps) > mostSteps {
		t.Errorf("%s: has %d steps, want %d to %d", w.packet, len(steps), fewestSteps, mostSteps)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s:\n\n", wrap("**"+w.packet+"**", ""))
	named := 0
	for i, step := range steps {
		for _, found := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(step, -1) {
			named++
			if !known[found[1]] {
				t.Errorf("%s: step %d: names %q, which is no chain, set or map of the dump", w.packet, i+1, found[1])
			}
		}
		b.WriteString(wrap(fmt.Sprintf("%d. %s", i+1, step), "   ") + "\n")
	}
	if named == 0 {
		t.Errorf("%s: no step names a chain", w.packet)
	}
	return b.String()
}

// wrap breaks a text into lines; all but the first begin with indent.
func wrap(text, indent string) string {
	var b strings.Builder
	used := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case used+1+len(word) > width:
			b.WriteString("\n" + indent)
			used = len(indent)
		default:
			b.WriteString(" ")
			used++
		}
		b.WriteString(word)
		used += len(word)
	}
	return b.String()
}

// index renders the page about the pages. What the programs call themselves is in it,
// because other versions of them may print the same rules in other words.
func index(all []scenario, printedBy string) string {
	var b strings.Builder
	b.WriteString(`# The rules, by example

What the packet filter holds for each kind of network, and how packets go through it.
These pages are written by ` + "`sudo go test ./test/rules -update`" + `, and the tests fail if
one is not what the code makes today.

| page | about |
|---|---|
`)
	for _, s := range all {
		first, _, _ := strings.Cut(s.about, ". ")
		fmt.Fprintf(&b, "| [%s](%s.md) | %s. |\n", s.title, s.name, strings.TrimSuffix(first, "."))
	}
	b.WriteString(`
## How to read them

Each page says what is asked of the packet filter, as intents with their owners, and
shows what both back ends make of it: nftables, and iptables. There, the rules are the
same for both kinds of iptables, the one over nf_tables and the legacy one.

- The host has the link eth0 with the addresses 192.0.2.1 and 2001:db8::1. The machine
  198.51.100.7 is somewhere behind it. The network *web* is the bridge br-web with
  172.18.0.0/16 and fd00:1::/64; the host is .1 and ::1 in it, and the container .2 and
  ::2. The network *db* is br-db with 172.19.0.0/16 and fd00:2::/64.
- The instance of the controller is called *example*, and what is its own bears that name.
- Sets and maps that are empty are left out. Rules that use them are shown: rules never
  change with what is asked for, elements do.
- Of iptables only our own chains, and the rules that lead to them, are shown, without
  counters.
- ` + version + ` stands for a digest of the rules that never change. By it, those of another
  version of this library are found out, and replaced.
- If the host has a chain DOCKER-USER, the chain FORWARD goes there first. Here it has
  none.
- Addresses are translated for the first packet of a connection. The kernel does the same
  to all that follow, and the reverse to the answers, without asking these rules.
- The order in which a packet comes by: raw, then the destination (prerouting, or output
  for what the host sends itself), then routing, then forward, and then the source
  (postrouting). What is for the host itself, or from it, does not come by forward.

`)
	b.WriteString(printedBy + "\n")
	return b.String()
}
