package iptables

import (
	"maps"
	"slices"
	"strings"

	"github.com/docker/libnetwork/netstate"
)

// state is what a family of ours holds in the kernel.
type state struct {
	// whole is set if all static rules are there. Without them nothing is in force.
	whole bool
	// present holds the intents that are in force: all their rules of this family are
	// there.
	present map[entry]bool
	// claims holds what those are about that only one intent may be about, and how many
	// owners say so.
	claims map[netstate.Intent]claimed
	// broken has the rules of other intents: no good to anybody.
	broken map[entry][]line
	// jumps are the rules in others' chains that lead to ours.
	jumps []line
	// chains are ours.
	chains map[place]bool
	// operators is set if they have a chain of their own.
	operators bool
}

type claimed struct {
	intent netstate.Intent
	owners int
}

func newState() *state {
	return &state{
		present: make(map[entry]bool), claims: make(map[netstate.Intent]claimed), broken: make(map[entry][]line),
		chains: make(map[place]bool),
	}
}

// put takes note that an intent is in force.
func (s *state) put(e entry) {
	if s.present[e] {
		return
	}
	s.present[e] = true
	if key, ok := claim(e.intent); ok {
		s.claims[key] = claimed{e.intent, s.claims[key].owners + 1}
	}
}

// drop takes note that nothing is there of an intent.
func (s *state) drop(e entry) {
	delete(s.broken, e)
	if !s.present[e] {
		return
	}
	delete(s.present, e)
	key, ok := claim(e.intent)
	if !ok {
		return
	}
	if c := s.claims[key]; c.owners > 1 {
		s.claims[key] = claimed{c.intent, c.owners - 1}
	} else {
		delete(s.claims, key)
	}
}

// confirm takes those present for broken that are not in force in the other family.
func (s *state) confirm(inForce map[entry]bool, f family, prefix string) {
	for _, e := range slices.Collect(maps.Keys(s.present)) {
		if !inForce[e] {
			s.drop(e)
			s.broken[e] = f.lines(e, prefix)
		}
	}
}

// lines are the rules of an intent, as they are to be deleted.
func (f family) lines(e entry, prefix string) []line {
	var out []line
	for _, r := range f.rules(e.intent) {
		out = append(out, line{table: r.table, chain: r.where(prefix), target: r.goal(prefix), spec: r.text(prefix, e.comment())})
	}
	return out
}

// read finds what is ours in what a save printed.
func (o Options) read(f family, text string) *state {
	s, prefix, static := newState(), o.prefix(), o.staticComment(f)
	chains, lines := parseSave(text)
	for p := range chains {
		if strings.HasPrefix(p.chain, prefix) {
			s.chains[p] = true
		}
	}
	s.operators = chains[place{tableFilter, chainUser}]
	fixed := make(map[place][]string)
	found := make(map[entry][]line)
	for _, l := range lines {
		inside := strings.HasPrefix(l.chain, prefix)
		if !inside && (strings.HasPrefix(l.target, prefix) || strings.HasPrefix(l.comment, o.staticMark())) {
			s.jumps = append(s.jumps, l)
		}
		if l.comment == static {
			p := place{l.table, l.chain}
			fixed[p] = append(fixed[p], l.target)
		} else if e, ok := parseComment(l.comment); ok && inside {
			found[e] = append(found[e], l)
		}
	}
	s.whole = o.whole(f, s, fixed)
	for e, rules := range found {
		if s.whole && f.complete(e, rules, prefix) {
			s.put(e)
		} else {
			s.broken[e] = rules
		}
	}
	return s
}

// whole reports whether all our chains are there, and that the static rules, of which
// fixed has the targets, are those that shall be, in their order.
func (o Options) whole(f family, s *state, fixed map[place][]string) bool {
	prefix := o.prefix()
	want := make(map[place][]string)
	add := func(r rule) {
		p := place{r.table, r.where(prefix)}
		want[p] = append(want[p], r.goal(prefix))
	}
	for _, table := range f.tables() {
		for _, chain := range f.chains(table) {
			if !s.chains[place{table, prefix + chain}] {
				return false
			}
		}
		for _, r := range f.jumps(table, s.operators) {
			add(r)
		}
	}
	for _, r := range o.static(f) {
		add(r)
	}
	if len(want) != len(fixed) {
		return false
	}
	for p, targets := range want {
		if !slices.Equal(fixed[p], targets) {
			return false
		}
	}
	return true
}

// complete reports whether the rules of an intent are where they belong, no more and no
// less.
func (f family) complete(e entry, lines []line, prefix string) bool {
	if !f.concerns(e.intent) {
		return false
	}
	order := func(a, b line) int {
		return strings.Compare(a.table+" "+a.chain+" "+a.target, b.table+" "+b.chain+" "+b.target)
	}
	return slices.EqualFunc(slices.SortedFunc(slices.Values(f.lines(e, prefix)), order), slices.SortedFunc(slices.Values(lines), order),
		func(a, b line) bool { return order(a, b) == 0 })
}
