package iptables_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// TestRandomWalk makes changes at random, large and small, with others breaking things
// between them, and compares where they led with a host that came there at once.
func TestRandomWalk(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		const seed = 20170501
		random := rand.New(rand.NewPCG(seed, uint64(len(variant))))
		s := newScratch(t, variant)
		s.foreign()
		w := &walk{random: random, model: make(map[string]netstate.Change), pool: append(all(t), ports(1, 120)...)}
		for _, i := range all(t) {
			i.Link, i.From = strings.ReplaceAll(i.Link, "br-1", "br-9"), strings.ReplaceAll(i.From, "br-1", "br-9")
			w.pool = append(w.pool, i)
		}
		for step := range 20 {
			next := w.next()
			err := s.filter.Apply(context.Background(), next)
			if errors.Is(err, cnm.Exists) {
				continue // what contradicts itself changes nothing
			}
			if err != nil {
				t.Fatalf("step %d: %v\n%s", step, err, next)
			}
			w.took(next)
			if random.IntN(4) == 0 {
				w.crime(s)
			}
			if step%10 == 9 {
				w.compare(s, variant)
			}
		}
	})
}

type walk struct {
	random *rand.Rand
	pool   []netstate.Intent
	model  map[string]netstate.Change
}

// next returns some changes, of two owners.
func (w *walk) next() netstate.Changes {
	var out netstate.Changes
	for range 1 + w.random.IntN(5)*w.random.IntN(30) {
		verb := netstate.Add
		if w.random.IntN(5) < 2 {
			verb = netstate.Remove
		}
		owner := fmt.Sprint("owner/", w.random.IntN(2))
		out = append(out, changes(verb, owner, w.pool[w.random.IntN(len(w.pool))])...)
	}
	if w.random.IntN(6) == 0 {
		for _, c := range w.model {
			out = append(out, changes(netstate.Remove, c.Owner, c.Object.(netstate.Intent))...)
		}
	}
	return out
}

func (w *walk) took(made netstate.Changes) {
	for _, c := range made {
		key := c.Owner + " " + c.Object.String()
		if delete(w.model, key); c.Verb == netstate.Add {
			w.model[key] = c
		}
	}
}

// crime breaks something as others would. Half of the time it is for Observe to find out,
// and for a repair.
func (w *walk) crime(s *scratch) {
	s.t.Helper()
	crimes := []string{"*filter\n-F FORWARD\nCOMMIT\n", "*nat\n-F\nCOMMIT\n", "*nat\n-F\n-X\nCOMMIT\n", "*filter\n-I FORWARD -i eth8 -j ACCEPT\n-D FORWARD -i eth8 -j ACCEPT\nCOMMIT\n"}
	s.restore(families()[w.random.IntN(2)], crimes[w.random.IntN(len(crimes))])
	if w.random.IntN(2) == 0 {
		s.observed()
	}
	s.apply(w.records())
}

// records are the changes that lead to where the walk is.
func (w *walk) records() netstate.Changes {
	var out netstate.Changes
	for _, c := range w.model {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b netstate.Change) int { return strings.Compare(a.Owner+a.String(), b.Owner+b.String()) })
	return out
}

func (w *walk) compare(s *scratch, variant string) {
	s.t.Helper()
	s.observed()
	s.apply(w.records())
	fresh := newScratch(s.t, variant)
	fresh.foreign()
	fresh.apply(w.records())
	if diff := cmp.Diff(fresh.observed(), s.observed()); diff != "" {
		s.t.Errorf("observed (-fresh +walked):\n%s", diff)
	}
	if diff := cmp.Diff(ourLines(fresh.saved()), ourLines(s.saved())); diff != "" {
		s.t.Errorf("saved (-fresh +walked):\n%s", diff)
	}
	for _, text := range []string{fresh.saved(), s.saved()} {
		if bad := disorder(text); bad != "" {
			s.t.Errorf("out of order: %s", bad)
		}
	}
}

// ourLines returns the lines of a save that are about us, in an order of their own.
func ourLines(text string) []string {
	return slices.DeleteFunc(sorted(text), func(line string) bool { return !strings.Contains(line, prefix) })
}

// disorder returns a rule behind one that it should stand before.
func disorder(text string) string {
	last := make(map[string]bool)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "*") {
			clear(last)
		}
		rule, ok := strings.CutPrefix(line, "-A "+prefix)
		if !ok {
			continue
		}
		chain, _, _ := strings.Cut(rule, " ")
		end := map[string]string{"CONFINED": " -j DROP", "POST": "SRC", "SRC": " -j MASQUERADE"}[chain]
		switch is := end != "" && strings.HasSuffix(strings.TrimSpace(line), end); {
		case last[chain] && !is:
			return line
		case is:
			last[chain] = true
		}
	}
	return ""
}

// TestRewrittenChains takes so much at once that chains are written anew.
func TestRewrittenChains(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		w := &walk{model: make(map[string]netstate.Change)}
		s := newScratch(t, variant)
		s.foreign()
		var many []netstate.Intent
		for i := range 40 {
			many = append(many, parse(t, fmt.Sprintf("allow br-%d to br-%d", i, i), fmt.Sprintf("loopback br-%d", i), fmt.Sprintf("confine ipv6 br-%d", i),
				fmt.Sprintf("masquerade 10.%d.0.0/16", i), fmt.Sprintf("masquerade 10.%d.0.0/16 as 192.0.2.1", i+100))...)
		}
		s.apply(changes(netstate.Add, "network/1", all(t)...), changes(netstate.Add, "network/2", many...))
		s.apply(changes(netstate.Remove, "network/2", many...))
		w.took(changes(netstate.Add, "network/1", all(t)...))
		w.compare(s, variant)
	})
}
