package iptables

import (
	"fmt"
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
	tables  map[string]*strings.Builder
}

func newScript(o Options, f family) *script {
	return &script{options: o, family: f, tables: make(map[string]*strings.Builder)}
}

func (s *script) add(table, format string, arguments ...any) {
	if s.tables[table] == nil {
		s.tables[table] = new(strings.Builder)
	}
	_, _ = fmt.Fprintf(s.tables[table], format+"\n", arguments...)
}

// String returns the text, empty if there is nothing to do.
func (s *script) String() string {
	var b strings.Builder
	for _, table := range []string{tableRaw, tableFilter, tableNAT} {
		if lines := s.tables[table]; lines != nil {
			b.WriteString("*" + table + "\n" + lines.String() + "COMMIT\n")
		}
	}
	return b.String()
}

// put adds a rule.
func (s *script) put(r rule, comment string) {
	command, prefix := "-A", s.options.prefix()
	if r.front {
		command = "-I"
	}
	s.add(r.table, "%s %s %s", command, r.where(prefix), r.text(prefix, comment))
}

func (s *script) putEntry(e entry) {
	for _, r := range s.family.rules(e.intent) {
		s.put(r, s.options.comment(e))
	}
}

// take deletes a rule.
func (s *script) take(r rule, comment string) {
	prefix := s.options.prefix()
	s.add(r.table, "-D %s %s", r.where(prefix), r.text(prefix, comment))
}

// empty makes a chain, or flushes the one that is there.
func (s *script) empty(p place) { s.add(p.table, ":%s - [0:0]", p.chain) }

// ours returns our chains that are there, sorted.
func (s *script) ours(st *state) []place {
	var out []place
	for p := range st.chains {
		if strings.HasPrefix(p.chain, s.options.prefix()) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b place) int { return strings.Compare(a.table+a.chain, b.table+b.chain) })
	return out
}

// clear takes everything of ours out of the kernel.
func (s *script) clear(st *state) {
	for _, p := range s.ours(st) {
		s.empty(p)
	}
	for table, jumps := range st.jumps {
		for _, jump := range jumps {
			s.add(table, "-D %s", jump)
		}
	}
	for _, p := range s.ours(st) {
		s.add(p.table, "-X %s", p.chain)
	}
}

// build makes all chains with their static rules. It returns the state that this leaves.
func (s *script) build(old *state) *state {
	s.clear(old)
	o, f, prefix := s.options, s.family, s.options.prefix()
	st, comment := emptyState(), s.options.staticComment(s.family)
	st.whole = true
	if old.operators() {
		st.chains[place{tableFilter, chainUser}] = true
	}
	for _, table := range f.tables() {
		for _, chain := range f.chains(table) {
			p := place{table, prefix + chain}
			s.empty(p)
			st.chains[p] = true
		}
	}
	for _, r := range o.static(f) {
		s.put(r, comment)
	}
	for _, table := range f.tables() {
		jumps := f.jumps(table, old.operators())
		// Of those that go to the front, the last goes first.
		for _, r := range slices.Backward(jumps) {
			s.put(r, comment)
			st.jumps[table] = append(st.jumps[table], r.where(prefix)+" "+r.text(prefix, comment))
		}
	}
	return st
}

// remove deletes the rules of the intents in gone, those in present as they are rendered,
// and others as they were found.
func (s *script) remove(st *state, gone []entry) {
	prefix := s.options.prefix()
	many := make(map[place]int)
	going := make(map[entry]bool)
	for _, e := range gone {
		going[e] = true
		if st.present[e] {
			for _, r := range s.family.rules(e.intent) {
				many[place{r.table, r.where(prefix)}]++
			}
		}
		for _, l := range st.broken[e] {
			many[place{l.table, l.chain}]++
		}
	}
	for p, n := range many {
		if n >= rewriteFrom {
			s.rewrite(p, st, going)
		}
	}
	for _, e := range gone {
		if st.present[e] {
			for _, r := range s.family.rules(e.intent) {
				if many[place{r.table, r.where(prefix)}] < rewriteFrom {
					s.take(r, s.options.comment(e))
				}
			}
		}
		for _, l := range st.broken[e] {
			if many[place{l.table, l.chain}] < rewriteFrom {
				s.add(l.table, "-D %s %s", l.chain, l.spec)
			}
		}
	}
}

// rewrite makes a chain anew, without the intents that are going.
func (s *script) rewrite(p place, st *state, going map[entry]bool) {
	s.empty(p)
	prefix := s.options.prefix()
	putHere := func(r rule, comment string) {
		if r.table == p.table && r.where(prefix) == p.chain {
			s.put(r, comment)
		}
	}
	for _, r := range s.options.static(s.family) {
		putHere(r, s.options.staticComment(s.family))
	}
	for e := range st.present {
		if going[e] {
			continue
		}
		for _, r := range s.family.rules(e.intent) {
			putHere(r, s.options.comment(e))
		}
	}
}

// want is what shall become of an intent.
type want struct {
	entry
	verb netstate.Verb
}

// plan writes what brings the family from its state to what is wanted, and returns the
// state that it is in then.
func (s *script) plan(st *state, wants []want) *state {
	var gone, come []entry
	for _, w := range wants {
		if !s.family.concerns(w.intent) {
			continue
		}
		here := st.present[w.entry]
		switch {
		case w.verb == netstate.Add && !here:
			come = append(come, w.entry)
		case w.verb == netstate.Remove && (here || st.broken[w.entry] != nil):
			gone = append(gone, w.entry)
		}
	}
	next := st
	switch {
	case len(come) > 0 && !st.whole:
		next = s.build(st)
	case len(gone) > 0 && len(come) == 0 && st.whole && len(gone) == len(st.present)+len(st.broken):
		s.clear(st)
		next = emptyState()
		next.chains[place{tableFilter, chainUser}] = st.operators()
		return next
	default:
		for _, e := range come {
			if st.broken[e] != nil {
				gone = append(gone, e)
			}
		}
		s.remove(st, gone)
		next = st.without(gone)
	}
	for _, e := range come {
		s.putEntry(e)
		next.present[e] = true
	}
	return next
}

// without returns the state less some intents.
func (s *state) without(gone []entry) *state {
	next := *s
	next.present, next.broken = make(map[entry]bool, len(s.present)), make(map[entry][]line)
	for e := range s.present {
		next.present[e] = true
	}
	for e, lines := range s.broken {
		next.broken[e] = lines
	}
	for _, e := range gone {
		delete(next.present, e)
		delete(next.broken, e)
	}
	return &next
}
