package iptables

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// Filter is our chains. It is safe for concurrent use.
type Filter struct {
	options Options
	// variant is the one in use.
	variant string
	// families are those that can be used.
	families []programs
	// missing says why a family cannot be used, by whether it is IPv6.
	missing map[bool]error
	// inside runs a function in the host's namespace.
	inside   func(func() error) error
	children children

	mu sync.Mutex // guards what follows, and is held while a process is under way
	// states has what each family holds, in the order of families; nil while that is not
	// known.
	states []*state
	polls  polls
}

// Open looks for the programs; it changes nothing. Without any it is Unsupported, and
// Invalid with options that cannot be.
func Open(options Options) (*Filter, error) {
	const op = "open iptables"
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(options.Instance) {
		return nil, cnm.E(op, cnm.Invalid, fmt.Errorf("instance %q: want 1 to 64 letters, digits, '-' or '_'", options.Instance))
	}
	switch options.Variant {
	case "", VariantNFT, VariantLegacy:
	default:
		return nil, cnm.E(op, cnm.Invalid, fmt.Errorf("variant %q: want %q, %q or none", options.Variant, VariantNFT, VariantLegacy))
	}
	f := &Filter{options: options, variant: options.Variant, missing: make(map[bool]error), inside: options.Run}
	if f.inside == nil {
		f.inside = func(fn func() error) error { return fn() }
	}
	for _, six := range []bool{false, true} {
		p, err := find(familyOf(six), options.Variant)
		if err != nil {
			f.missing[six] = err
			continue
		}
		f.families = append(f.families, p)
	}
	if len(f.families) == 0 {
		return nil, cnm.E(op, cnm.Unsupported, errors.Join(f.missing[false], f.missing[true]))
	}
	if f.variant == "" {
		var err error
		if f.variant, err = variantOf(context.Background(), f.families[0].restore); err != nil {
			return nil, cnm.E(op, cnm.Unsupported, err)
		}
	}
	return f, nil
}

// Close releases what watching needs; the chains stay.
func (f *Filter) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.polls.close()
}

// attempts is how often a change is made: again if the kernel did not hold what it was
// thought to.
const attempts = 2

// Apply makes all the changes: each is the addition or removal of an intent, and one that
// changes nothing is no error. Those of one table come into force at once, or none. A
// port that is published twice is Exists; an intent of a family without programs is
// Unsupported.
func (f *Filter) Apply(ctx context.Context, changes netstate.Changes) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wants, err := f.wants(changes)
	if err != nil {
		return cnm.Wrap("iptables", err)
	}
	for range attempts {
		if f.states == nil {
			if err = f.load(ctx); err != nil {
				break
			}
		}
		if err = f.attempt(ctx, wants); err == nil || ctx.Err() != nil {
			break
		}
		f.states = nil
	}
	return cnm.Wrap("iptables", err)
}

// wants returns what shall become of each intent that the changes name.
func (f *Filter) wants(changes netstate.Changes) ([]want, error) {
	var out []want
	index := make(map[entry]int)
	for _, c := range changes {
		intent, ok := c.Object.(netstate.Intent)
		if !ok || c.Verb != netstate.Add && c.Verb != netstate.Remove {
			return nil, cnm.E("", cnm.Invalid, fmt.Errorf("%s: is no addition or removal of an intent", c))
		}
		w := want{entry{c.Owner, intent}, c.Verb}
		if err := f.options.check(w.entry); err != nil {
			return nil, cnm.E(c.String(), cnm.Invalid, err)
		}
		if err := f.missing[intent.Is6()]; err != nil && c.Verb == netstate.Add && !f.serves(intent) {
			return nil, cnm.E(c.String(), cnm.Unsupported, err)
		}
		if i, again := index[w.entry]; again {
			out[i] = w
			continue
		}
		index[w.entry] = len(out)
		out = append(out, w)
	}
	return out, nil
}

// serves reports whether any family that can be used has rules of the intent.
func (f *Filter) serves(i netstate.Intent) bool {
	return slices.ContainsFunc(f.families, func(p programs) bool { return p.concerns(i) })
}

func (f *Filter) attempt(ctx context.Context, wants []want) error {
	if err := f.conflict(wants); err != nil {
		return err
	}
	for i, p := range f.families {
		s := newScript(f.options, p.family)
		next := s.plan(f.states[i], wants)
		if err := f.restore(ctx, p, s.String()); err != nil {
			f.states = nil
			return err
		}
		f.states[i] = next
	}
	return nil
}

// conflict refuses to add what contradicts an intent that stays.
func (f *Filter) conflict(wants []want) error {
	claims := make(map[string]entry)
	verbs := make(map[entry]netstate.Verb, len(wants))
	for _, w := range wants {
		verbs[w.entry] = w.verb
	}
	for _, s := range f.states {
		for e := range s.present {
			if verbs[e] != netstate.Remove {
				claims[claim(e.intent)] = e
			}
		}
	}
	delete(claims, "")
	for _, w := range wants {
		subject := claim(w.intent)
		if w.verb != netstate.Add || subject == "" {
			continue
		}
		if other, taken := claims[subject]; taken && other.intent != w.intent {
			return cnm.E("add "+w.intent.String(), cnm.Exists,
				fmt.Errorf("%q is in force for %q, remove that first", other.intent, other.owner))
		}
		claims[subject] = w.entry
	}
	return nil
}

// restore carries out a script; an empty one is nothing to do.
func (f *Filter) restore(ctx context.Context, p programs, text string) error {
	if text == "" {
		return nil
	}
	f.polls.look()
	_, err := f.run(ctx, text, p.restore, "--noflush", "--wait")
	f.polls.use(p.family)
	f.polls.forget()
	return err
}

// load reads what the kernel holds of ours.
func (f *Filter) load(ctx context.Context) error {
	f.states = nil
	var states []*state
	for _, p := range f.families {
		text, err := f.run(ctx, "", p.save)
		if err != nil {
			return err
		}
		s, err := f.options.read(p.family, text)
		if err != nil {
			return err
		}
		if s.whole {
			f.polls.use(p.family)
		}
		states = append(states, s)
	}
	f.states = states
	return nil
}

// Observe returns the intents that are in force, one part for each owner. Of a family in
// which somebody took chains or static rules away, or in which they are another
// version's, it returns nothing, so that they are made anew.
func (f *Filter) Observe(ctx context.Context) ([]netstate.Part, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.load(ctx); err != nil {
		return nil, cnm.Wrap("iptables", err)
	}
	byOwner := make(map[string]*netstate.Part)
	for e := range f.inForce() {
		if byOwner[e.owner] == nil {
			byOwner[e.owner] = &netstate.Part{Owner: e.owner}
		}
		byOwner[e.owner].Intents = append(byOwner[e.owner].Intents, e.intent)
	}
	var parts []netstate.Part
	for _, p := range byOwner {
		slices.SortFunc(p.Intents, func(a, b netstate.Intent) int { return cmp.Compare(a.String(), b.String()) })
		parts = append(parts, *p)
	}
	slices.SortFunc(parts, func(a, b netstate.Part) int { return cmp.Compare(a.Owner, b.Owner) })
	return parts, nil
}

// inForce returns the intents that are present in every family that they concern.
func (f *Filter) inForce() map[entry]bool {
	all := make(map[entry]bool)
	for _, s := range f.states {
		for e := range s.present {
			all[e] = true
		}
	}
	for e := range all {
		for i, p := range f.families {
			if p.concerns(e.intent) && !f.states[i].present[e] {
				delete(all, e)
			}
		}
	}
	return all
}

// Delete removes all chains of this instance and what leads to them. Nothing there is no
// error.
func (f *Filter) Delete(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.load(ctx); err != nil {
		return cnm.Wrap("iptables: delete chains", err)
	}
	var errs []error
	for i, p := range f.families {
		s := newScript(f.options, p.family)
		s.clear(f.states[i])
		errs = append(errs, f.restore(ctx, p, s.String()))
	}
	f.states = nil
	return cnm.Wrap("iptables: delete chains", errors.Join(errs...))
}
