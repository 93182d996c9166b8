package iptables

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/docker/libnetwork/netstate"
)

// rewriteFrom is how many rules of one chain are deleted one by one at most. From there on
// the chain is written anew: to find a rule takes time for each that stands before it.
const rewriteFrom = 32

// script is what a restore reads, for one family.
type script struct {
	options Options
	family  family
	// prefix and static are those of the options.
	prefix, static string
	tables         map[string]*strings.Builder
	// opens is set if something comes: then what keeps packets away goes first, and last
	// otherwise.
	opens bool
}

func newScript(o Options, f family) *script {
	return &script{options: o, family: f, prefix: o.prefix(), static: o.staticComment(f), tables: make(map[string]*strings.Builder)}
}

func (s *script) add(table string, words ...string) {
	if s.tables[table] == nil {
		s.tables[table] = new(strings.Builder)
	}
	s.tables[table].WriteString(strings.Join(words, " ") + "\n")
}

// String returns the text, empty if there is nothing to do.
func (s *script) String() string {
	tables := s.family.tables()
	if !s.opens {
		slices.Reverse(tables)
	}
	var b strings.Builder
	for _, table := range tables {
		if lines := s.tables[table]; lines != nil {
			b.WriteString("*" + table + "\n" + lines.String() + "COMMIT\n")
		}
	}
	return b.String()
}

// put adds a rule.
func (s *script) put(r rule, comment string) {
	command := "-A"
	if r.front {
		command = "-I"
	}
	s.add(r.table, command, r.text(s.prefix, comment))
}

// empty makes a chain, or flushes the one that is there.
func (s *script) empty(p place) { s.add(p.table, ":"+p.chain, "- [0:0]") }

// want is what shall become of an intent.
type want struct {
	entry
	verb netstate.Verb
}

// plan writes what brings the family from its state to what is wanted, and makes the state
// what it is then. Broken intents go: what is wanted of them is made anew.
func (s *script) plan(st *state, wants []want) {
	gone, come := slices.SortedFunc(maps.Keys(st.broken), entry.compare), []entry(nil)
	for _, w := range wants {
		switch here := st.present[w.entry]; {
		case w.verb == netstate.Add && !here:
			come = append(come, w.entry)
		case w.verb == netstate.Remove && here:
			gone = append(gone, w.entry)
		}
	}
	s.opens = len(come) > 0
	switch {
	case s.opens && !st.whole:
		s.build(st)
	case !s.opens && len(gone) == len(st.present)+len(st.broken):
		s.clear(st, nil)
	default:
		s.remove(st, gone)
	}
	for _, e := range come {
		for _, r := range s.family.rules(e.intent) {
			s.put(r, e.comment())
		}
		st.put(e)
	}
}

// clear takes everything of ours out of the kernel, but for the chains to keep, which are
// emptied or made.
func (s *script) clear(st *state, keep map[place]bool) {
	var all []place
	for p := range st.chains {
		all = append(all, p)
	}
	for p := range keep {
		if !st.chains[p] {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(strings.Compare(a.table, b.table), strings.Compare(a.chain, b.chain))
	})
	for _, p := range all {
		s.empty(p)
	}
	for _, l := range st.jumps {
		s.add(l.table, "-D", l.spec)
	}
	for _, p := range all {
		if !keep[p] {
			s.add(p.table, "-X", p.chain)
		}
	}
	operators := st.operators
	*st = *newState()
	st.operators = operators
}

// build makes all chains with their static rules.
func (s *script) build(st *state) {
	chains := make(map[place]bool)
	for _, table := range s.family.tables() {
		for _, chain := range s.family.chains(table) {
			chains[place{table, s.prefix + chain}] = true
		}
	}
	s.clear(st, chains)
	st.chains, st.whole = chains, true
	for _, r := range s.options.static(s.family) {
		s.put(r, s.static)
	}
	for _, table := range s.family.tables() {
		// Of those that go to the front, the last goes first.
		for _, r := range slices.Backward(s.family.jumps(table, st.operators)) {
			s.put(r, s.static)
			st.jumps = append(st.jumps, line{table: table, spec: r.text(s.prefix, s.static)})
		}
	}
}

// remove deletes the rules of intents: of those that are present as they are rendered, and
// of broken ones, which go all at once, as they were found.
func (s *script) remove(st *state, gone []entry) {
	var order []place
	specs := make(map[place][]string)
	take := func(p place, spec string) {
		if specs[p] == nil {
			order = append(order, p)
		}
		specs[p] = append(specs[p], spec)
	}
	for _, e := range gone {
		lines := st.broken[e]
		if st.present[e] {
			lines = s.family.lines(e, s.prefix)
		}
		for _, l := range lines {
			take(place{l.table, l.chain}, l.spec)
		}
		st.drop(e)
	}
	for _, p := range order {
		if len(specs[p]) >= rewriteFrom {
			s.rewrite(p, st)
			continue
		}
		for _, spec := range specs[p] {
			s.add(p.table, "-D", spec)
		}
	}
}

// rewrite makes a chain anew, with what is present.
func (s *script) rewrite(p place, st *state) {
	s.empty(p)
	put := func(r rule, comment string) {
		if r.table == p.table && r.where(s.prefix) == p.chain {
			s.put(r, comment)
		}
	}
	for _, r := range s.options.static(s.family) {
		put(r, s.static)
	}
	for _, e := range slices.SortedFunc(maps.Keys(st.present), entry.compare) {
		for _, r := range s.family.rules(e.intent) {
			put(r, e.comment())
		}
	}
}
