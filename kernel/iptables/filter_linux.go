package iptables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
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
	// known, or nothing is in force.
	states []*state
	// wished has what each family shall hold, as far as we were asked or told of it.
	wished []map[entry]bool
	// seal is nil until it is needed; seen is how many changes it had counted when states
	// was right.
	seal seal
	seen int
	// own counts the changes made by us.
	own int
}

// Open looks for the programs; it changes nothing. Without any it is Unsupported, and
// Invalid with options that cannot be.
func Open(options Options) (*Filter, error) {
	const op = "open iptables"
	if err := options.check(); err != nil {
		return nil, cnm.E(op, cnm.Invalid, err)
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
	f.states, f.wished = make([]*state, len(f.families)), make([]map[entry]bool, len(f.families))
	f.forget()
	if f.variant == "" {
		var err error
		if f.variant, err = variantOf(f.families[0].restore); err != nil {
			return nil, cnm.E(op, cnm.Unsupported, err)
		}
	}
	return f, nil
}

func (o Options) check() error {
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(o.Instance) {
		return fmt.Errorf("instance %q: want 1 to 64 letters, digits, '-' or '_'", o.Instance)
	}
	switch o.Variant {
	case "", VariantNFT, VariantLegacy:
		return nil
	}
	return fmt.Errorf("variant %q: want %q, %q or none", o.Variant, VariantNFT, VariantLegacy)
}

// Variant returns which iptables is in use.
func (f *Filter) Variant() string { return f.variant }

// forget takes it that nothing is known of what is there and of what shall be.
func (f *Filter) forget() {
	clear(f.states)
	for i := range f.wished {
		f.wished[i] = make(map[entry]bool)
	}
}

// Close closes the sockets by which changes of others are noticed; the chains stay. Nothing
// must be under way.
func (f *Filter) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.states)
	if f.seal == nil {
		return nil
	}
	err := f.seal.close()
	f.seal, f.seen = nil, 0
	return errno.Wrap("close iptables", err)
}

// Apply makes all the changes: each is the addition or removal of an intent, and one that
// changes nothing is no error. Those of one table come into force at once, or none. With
// the first intent of a family the chains are made, and with the last they go. What others
// took of a family that a change is about, since it was made or last observed, is put back
// with it. A port that is published twice is Exists; an intent of a family without programs
// is Unsupported.
func (f *Filter) Apply(ctx context.Context, changes netstate.Changes) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wants, err := f.wants(changes)
	if err != nil {
		return cnm.Wrap("iptables", err)
	}
	return cnm.Wrap("iptables", f.persist(ctx, func(ctx context.Context) error { return f.attempt(ctx, wants) }))
}

const (
	// attempts bounds how often something is tried again while others change the tables.
	attempts = 7
	// pause is how long the second attempt waits; each further one waits twice as long.
	pause = 5 * time.Millisecond
)

// persist tries again what failed because the kernel did not hold what it was left with,
// or was busy with somebody else's change.
func (f *Filter) persist(ctx context.Context, try func(context.Context) error) error {
	for n := 1; ; n++ {
		known := slices.ContainsFunc(f.states, func(s *state) bool { return s != nil })
		err := try(ctx)
		if err == nil {
			return nil
		}
		clear(f.states)
		busy := errors.Is(err, errBusy)
		if ctx.Err() != nil || n == attempts || !busy && !known {
			return err
		}
		if busy {
			select {
			case <-time.After(pause << (n - 1)):
			case <-ctx.Done():
				return err
			}
		}
	}
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
		if err := w.check(); err != nil && c.Verb == netstate.Remove {
			continue // it cannot be there
		} else if err != nil {
			return nil, cnm.E(c.String(), cnm.Invalid, err)
		}
		if c.Verb == netstate.Add && !f.serves(intent) {
			if closes(intent) && errors.Is(f.missing[intent.Is6()], errNoIPv6) {
				continue // nothing comes in or goes out
			}
			return nil, cnm.E(c.String(), cnm.Unsupported, f.missing[intent.Is6()])
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

// closes reports whether the intent only keeps packets away.
func closes(i netstate.Intent) bool {
	return i.Kind == netstate.Confine || i.Kind == netstate.Inbound && i.Policy == netstate.Nothing
}

// serves reports whether any family that can be used has rules of the intent.
func (f *Filter) serves(i netstate.Intent) bool {
	return slices.ContainsFunc(f.families, func(p programs) bool { return p.concerns(i) })
}

// attempt makes the changes in each family that they concern.
func (f *Filter) attempt(ctx context.Context, wants []want) error {
	if err := f.inspect(); err != nil {
		return err
	}
	byFamily := make([][]want, len(f.families))
	for i := range f.families {
		var err error
		if byFamily[i], err = f.prepare(ctx, i, wants); err != nil {
			return err
		}
	}
	for i, p := range f.families {
		if len(byFamily[i]) == 0 {
			continue
		}
		s := newScript(f.options, p.family)
		s.plan(f.states[i], byFamily[i])
		if err := f.restore(ctx, p, s.String()); err != nil {
			return err
		}
		if !f.states[i].whole {
			f.states[i] = nil
		}
		for _, w := range byFamily[i] {
			if w.verb == netstate.Add {
				f.wished[i][w.entry] = true
			} else {
				delete(f.wished[i], w.entry)
			}
		}
	}
	return nil
}

// prepare returns what is wanted of a family, and makes its state known: with it comes
// what is not there any more. It refuses what cannot be.
func (f *Filter) prepare(ctx context.Context, i int, wants []want) ([]want, error) {
	p := f.families[i]
	here := slices.DeleteFunc(slices.Clone(wants), func(w want) bool { return !p.concerns(w.intent) })
	if len(here) == 0 {
		return nil, nil
	}
	if f.states[i] == nil {
		st, err := f.load(ctx, p)
		if err != nil {
			return nil, err
		}
		f.states[i] = st
		named := make(map[entry]bool)
		for _, w := range here {
			named[w.entry] = true
		}
		for _, e := range slices.SortedFunc(maps.Keys(f.wished[i]), entry.compare) {
			if !named[e] && !st.present[e] {
				here = append(here, want{e, netstate.Add})
			}
		}
	}
	return here, f.states[i].conflict(here)
}

// conflict refuses to add what contradicts an intent that stays, or another that is added.
func (s *state) conflict(wants []want) error {
	going := make(map[entry]bool)
	leaving := make(map[netstate.Intent]int)
	for _, w := range wants {
		if w.verb == netstate.Remove && s.present[w.entry] {
			going[w.entry] = true
			if key, ok := claim(w.intent); ok {
				leaving[key]++
			}
		}
	}
	added := make(map[netstate.Intent]netstate.Intent)
	for _, w := range wants {
		key, ok := claim(w.intent)
		if w.verb != netstate.Add || !ok {
			continue
		}
		other, taken := added[key]
		if !taken {
			other, taken = s.claims[key].intent, s.claims[key].owners > leaving[key]
		}
		if !taken && ranges(w.intent) {
			other, taken = s.overlapping(w.intent, going, added)
		}
		if taken && other != w.intent {
			return cnm.E("add "+w.intent.String(), cnm.Exists, fmt.Errorf("%q is in force, remove that first", other))
		}
		added[key] = w.intent
	}
	return nil
}

// overlapping returns a range that stays, or is added, and has a port in common with i.
func (s *state) overlapping(i netstate.Intent, going map[entry]bool, added map[netstate.Intent]netstate.Intent) (netstate.Intent, bool) {
	for e := range s.present {
		if !going[e] && ranges(e.intent) && overlap(e.intent, i) {
			return e.intent, true
		}
	}
	for _, other := range added {
		if ranges(other) && overlap(other, i) {
			return other, true
		}
	}
	return netstate.Intent{}, false
}

// restore carries out a script; an empty one is nothing to do.
func (f *Filter) restore(ctx context.Context, p programs, text string) error {
	if text == "" {
		return nil
	}
	f.seal.broken() // what others did up to now does not pass for ours
	_, err := f.run(ctx, text, p.restore, "--noflush", "--wait="+lockSeconds)
	f.seal.use(p.family)
	f.seal.ours()
	f.own++
	return err
}

// load reads what the kernel holds of ours.
func (f *Filter) load(ctx context.Context, p programs) (*state, error) {
	text, err := f.run(ctx, "", p.save)
	if err != nil {
		return nil, err
	}
	s := f.options.read(p.family, text)
	if s.whole {
		f.seal.use(p.family)
	}
	return s, nil
}

// loadAll reads what all families hold.
func (f *Filter) loadAll(ctx context.Context) ([]*state, error) {
	states := make([]*state, len(f.families))
	err := f.persist(ctx, func(ctx context.Context) error {
		err := f.inspect()
		for i, p := range f.families {
			if err == nil {
				states[i], err = f.load(ctx, p)
			}
		}
		return err
	})
	return states, err
}

// Observe returns the intents that are in force, one part for each owner. Of a family in
// which somebody took chains or static rules away, or in which they are another
// version's, it returns nothing, so that they are made anew.
func (f *Filter) Observe(ctx context.Context) ([]netstate.Part, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	states, err := f.loadAll(ctx)
	if err != nil {
		return nil, cnm.Wrap("iptables", err)
	}
	inForce := f.inForce(states)
	f.forget()
	for i, s := range states {
		s.confirm(inForce, f.families[i].family, f.options.prefix())
		maps.Copy(f.wished[i], s.present)
		if s.whole {
			f.states[i] = s
		}
	}
	return netstate.IntentParts(maps.Keys(inForce), entry.split), nil
}

// inForce returns the intents that are present in every family that they concern.
func (f *Filter) inForce(states []*state) map[entry]bool {
	all := make(map[entry]bool)
	for _, s := range states {
		for e := range s.present {
			all[e] = true
		}
	}
	for e := range all {
		for i, p := range f.families {
			if p.concerns(e.intent) && !states[i].present[e] {
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
	f.forget()
	err := f.persist(ctx, func(ctx context.Context) error {
		if err := f.inspect(); err != nil {
			return err
		}
		var errs []error
		for _, p := range f.families {
			st, err := f.load(ctx, p)
			if err == nil {
				s := newScript(f.options, p.family)
				s.clear(st, nil)
				err = f.restore(ctx, p, s.String())
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	return cnm.Wrap("iptables: delete chains", err)
}
