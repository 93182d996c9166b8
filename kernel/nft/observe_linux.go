package nft

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/netstate"
)

// layout is the name of an empty chain that says which static part the table has, so
// that one of another version, or of other options, is made anew.
func (o Options) layout() string {
	o.Namespace = 0
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "%+v %+v", o, shapes())
	for _, c := range o.chains() {
		_, _ = fmt.Fprintf(hash, "%s\n", c.name)
		if c.hook != nil {
			_, _ = fmt.Fprintf(hash, "%d %d %s\n", *c.hook, *c.priority, c.kind)
		}
		for _, r := range c.rules {
			_, _ = fmt.Fprintf(hash, "%s\n", r.comment)
			for _, e := range r.expressions {
				_, _ = fmt.Fprintf(hash, "%T %+v;", e, e)
			}
		}
	}
	return fmt.Sprintf("layout-%x", hash.Sum(nil)[:6])
}

// Observe returns the intents that are in force, one part for each owner. Of a table from
// which somebody took chains or rules, or of another version's, it returns nothing, so
// that it is made anew.
func (f *Filter) Observe(ctx context.Context) ([]netstate.Part, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.load(); err != nil {
		return nil, err
	}
	return netstate.IntentParts(maps.Keys(f.present), entry.split), nil
}

// load reads the table anew if it changes meanwhile.
func (f *Filter) load() error {
	var err error
	for range attempts {
		f.present = make(map[entry]bool)
		if err = f.read(); err == nil {
			return nil
		}
		f.present = nil
		if errors.Is(err, unix.ENOENT) {
			// It vanished while it was read; the next pass finds none.
			continue
		}
		if !mayPass(err) {
			break
		}
	}
	return errno.Wrap("nftables: read table", err)
}

func (f *Filter) read() error {
	whole, err := f.whole()
	if err != nil || !whole {
		return err
	}
	for _, set := range f.sets {
		elements, err := f.conn.GetSetElements(set)
		if err != nil {
			return err
		}
		for _, e := range elements {
			owner, text, _ := strings.Cut(e.Comment, ": ")
			// What has no comment of ours ends an interval, or is somebody's.
			if intent, err := netstate.ParseIntent(text); err == nil {
				f.present[entry{owner, intent}] = true
			}
		}
	}
	return nil
}

// whole reports whether the table is there with its static part.
func (f *Filter) whole() (bool, error) {
	tables, err := f.conn.ListTablesOfFamily(tableFamily)
	if err != nil {
		return false, err
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == f.table.Name }) {
		return false, nil
	}
	chains, err := f.conn.ListChainsOfTableFamily(tableFamily)
	if err != nil {
		return false, err
	}
	names := make(map[string]bool)
	for _, c := range chains {
		if c.Table.Name == f.table.Name {
			names[c.Name] = true
		}
	}
	if !names[f.options.layout()] {
		return false, nil
	}
	for _, c := range f.options.chains() {
		if !names[c.name] {
			return false, nil
		}
		rules, err := f.conn.GetRules(f.table, &nftables.Chain{Name: c.name, Table: f.table})
		// By its comment each rule says which one it is.
		same := func(got *nftables.Rule, want rule) bool { return bytes.Equal(got.UserData, want.userData()) }
		if err != nil || !slices.EqualFunc(rules, c.rules, same) {
			return false, err
		}
	}
	return true, nil
}
