package iptables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// line is a rule as a save prints it.
type line struct {
	table, chain string
	// spec is what follows the chain.
	spec            string
	comment, target string
	// bare is set if nothing but the comment narrows what goes to target.
	bare bool
}

// place is a chain of a table.
type place struct{ table, chain string }

// parseSave reads what iptables-save prints: the chains, and the rules in their order.
// What is not of that form, such as a remark about tables of others, is passed over.
func parseSave(text string) (map[place]bool, []line) {
	chains := make(map[place]bool)
	var lines []line
	table := ""
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		switch {
		case strings.HasPrefix(l, "*"):
			table = l[1:]
		case strings.HasPrefix(l, ":"):
			name, _, _ := strings.Cut(l[1:], " ")
			chains[place{table, name}] = true
		case strings.HasPrefix(l, "-A "):
			chain, spec, _ := strings.Cut(l[len("-A "):], " ")
			lines = append(lines, parseLine(table, chain, spec))
		}
	}
	return chains, lines
}

func parseLine(table, chain, spec string) line {
	out := line{table: table, chain: chain, spec: spec}
	all := words(spec)
	used := 0
	for i := 0; i+1 < len(all); i++ {
		switch all[i] {
		case "--comment":
			out.comment = all[i+1]
			used += 4 // with the two of -m comment
		case "-j", "-g":
			out.target = all[i+1]
			used += 2
		default:
			continue
		}
		i++
	}
	out.bare = used == len(all)
	return out
}

// words splits at blanks outside of double quotes; a backslash inside them takes the next
// character as it is.
func words(text string) []string {
	var out []string
	var word strings.Builder
	quoted, escaped, begun := false, false, false
	for _, c := range []byte(text) {
		switch {
		case escaped:
			escaped = false
			word.WriteByte(c)
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		out = append(out, word.String())
	}
	return out
}

// state is what a family of ours holds in the kernel.
type state struct {
	// whole is set if all static rules are there. Without them nothing is in force.
	whole bool
	// present holds the intents that are in force: all their rules of this family are
	// there.
	present map[entry]bool
	// broken has the rules of other intents.
	broken map[entry][]line
	// jumps are the rules in built-in chains that lead to ours, as lines of a restore
	// without the command.
	jumps map[string][]string
	// chains has ours, and the operators' own one.
	chains map[place]bool
}

func emptyState() *state {
	return &state{
		present: make(map[entry]bool), broken: make(map[entry][]line),
		jumps: make(map[string][]string), chains: make(map[place]bool),
	}
}

// operators reports whether the operators have a chain of their own.
func (s *state) operators() bool { return s.chains[place{tableFilter, chainUser}] }

// read finds what is ours in what a save printed.
func (o Options) read(f family, text string) (*state, error) {
	s := emptyState()
	chains, lines := parseSave(text)
	for p := range chains {
		if strings.HasPrefix(p.chain, o.prefix()) || p == (place{tableFilter, chainUser}) {
			s.chains[p] = true
		}
	}
	static := make(map[place]int)
	found := make(map[entry][]line)
	for _, l := range lines {
		inside := strings.HasPrefix(l.chain, o.prefix())
		if inside && strings.HasPrefix(l.comment, "libnetwork ") && !strings.HasPrefix(l.comment, o.mark()) {
			return nil, cnm.E("", cnm.Conflict, fmt.Errorf("chain %q: has rules of another instance, with the comment %q; choose an instance that starts with other characters than %q", l.chain, l.comment, o.Instance))
		}
		switch e, ok := o.parseComment(l.comment); {
		case !inside && (strings.HasPrefix(l.target, o.prefix()) || strings.HasPrefix(l.comment, o.mark())):
			s.jumps[l.table] = append(s.jumps[l.table], l.chain+" "+l.spec)
			fallthrough
		case l.comment == o.staticComment(f):
			static[place{l.table, l.chain}]++
		case inside && ok:
			found[e] = append(found[e], l)
		}
	}
	s.whole = o.whole(f, s, static) && o.inOrder(s, lines)
	for e, rules := range found {
		if s.whole && o.complete(f, e, rules) {
			s.present[e] = true
		} else {
			s.broken[e] = rules
		}
	}
	return s, nil
}

// whole reports whether all our chains and static rules are there. Those in the chain
// FORWARD are not counted: how many they are depends on the operators' chain.
func (o Options) whole(f family, s *state, found map[place]int) bool {
	want := make(map[place]int)
	for _, table := range f.tables() {
		for _, chain := range f.chains(table) {
			p := place{table, o.prefix() + chain}
			if !s.chains[p] {
				return false
			}
			want[p] = 0
		}
		for _, r := range f.jumps(table, false) {
			want[place{table, r.chain}]++
		}
	}
	for _, r := range o.static(f) {
		want[place{r.table, r.where(o.prefix())}]++
	}
	delete(want, place{tableFilter, builtinForward})
	for p, n := range want {
		if found[p] != n {
			return false
		}
	}
	return true
}

// inOrder reports whether what is forwarded comes to us, and, if they have a chain, to
// the operators' rules before.
func (o Options) inOrder(s *state, lines []line) bool {
	operators := !s.operators()
	for _, l := range lines {
		if l.table != tableFilter || l.chain != builtinForward || !l.bare {
			continue
		}
		switch l.target {
		case chainUser:
			operators = true
		case o.prefix() + chainForward:
			return operators
		}
	}
	return false
}

// complete reports whether the rules of an intent are where they belong, no more and no
// less.
func (o Options) complete(f family, e entry, lines []line) bool {
	if !f.concerns(e.intent) {
		return false
	}
	var want, got []string
	for _, r := range f.rules(e.intent) {
		want = append(want, r.table+" "+r.where(o.prefix()))
	}
	for _, l := range lines {
		got = append(got, l.table+" "+l.chain)
	}
	slices.Sort(want)
	slices.Sort(got)
	return slices.Equal(want, got)
}
