package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
)

// RunShared runs what stores fulfil besides that several processes share: an Update runs
// again if what it read changes before it is committed, and changes are told.
func RunShared(t *testing.T, f Factory) {
	t.Run("what was read and changed makes an update run again", func(t *testing.T) { testConflicts(t, f) })
	t.Run("two stores on the same data see each other", func(t *testing.T) { testTwo(t, f) })
	t.Run("nobody sees half of an update", func(t *testing.T) { testSum(t, f) })
	t.Run("what is not there stays so until the commit", func(t *testing.T) { testExclusion(t, f) })
	runWatch(t, f)
}

// before is what a store holds when testConflicts begins.
var before = map[string]string{"n/a": "1", "n/b": "2", "m": "3"} // is not changed

func testConflicts(t *testing.T, f Factory) {
	get := func(key string) func(cnm.Tx) error {
		return func(tx cnm.Tx) error {
			if _, err := tx.Get(key); !errors.Is(err, cnm.NotFound) {
				return err
			}
			return nil
		}
	}
	list := func(prefix string) func(cnm.Tx) error {
		return func(tx cnm.Tx) error {
			_, err := tx.List(prefix)
			return err
		}
	}
	many := func(tx cnm.Tx) error {
		for i := range 300 {
			if err := get(fmt.Sprint("x", i))(tx); err != nil {
				return err
			}
		}
		return get("n/a")(tx)
	}
	write := func(key, value string) func(cnm.Tx) error {
		return func(tx cnm.Tx) error { return tx.Put(key, []byte(value)) }
	}
	remove := func(key string) func(cnm.Tx) error { return func(tx cnm.Tx) error { return tx.Delete(key) } }
	for name, test := range map[string]struct{ read, change func(cnm.Tx) error }{
		"a value changes":                    {get("n/a"), write("n/a", "x")},
		"a value is written again":           {get("n/a"), write("n/a", "1")},
		"a value goes":                       {get("n/a"), remove("n/a")},
		"a value comes":                      {get("n/c"), write("n/c", "x")},
		"one of many values changes":         {many, write("n/a", "x")},
		"one of many values goes":            {many, remove("n/a")},
		"one of many values comes":           {many, write("x77", "x")},
		"a value of a list changes":          {list("n/"), write("n/b", "x")},
		"a value of a list goes":             {list("n/"), remove("n/b")},
		"a value of a list comes":            {list("n/"), write("n/c", "x")},
		"the first of an empty list comes":   {list("o/"), write("o/c", "x")},
		"one of everything changes":          {list(""), write("m", "x")},
		"one of everything goes":             {list(""), remove("m")},
		"a value of a list goes and another": {list("n/"), func(tx cnm.Tx) error { return errors.Join(remove("n/a")(tx), remove("n/b")(tx)) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := f.Open(t)
			update(t, s, func(tx cnm.Tx) error {
				for key, value := range before {
					if err := tx.Put(key, []byte(value)); err != nil {
						return err
					}
				}
				return nil
			})
			runs := 0
			update(t, s, func(tx cnm.Tx) error {
				if err := test.read(tx); err != nil {
					return err
				}
				if runs++; runs == 1 {
					if err := s.Update(context.Background(), test.change); err != nil {
						return err
					}
				}
				return tx.Put("done", nil)
			})
			if runs != 2 {
				t.Errorf("the update ran %d times, want 2", runs)
			}
		})
	}
}

func testTwo(t *testing.T, f Factory) {
	if f.Again == nil {
		t.Fatal("the factory cannot open a store twice")
	}
	one := f.Open(t)
	two := f.Again(t, one)
	put(t, one, "a", "1")
	expect(t, two, map[string]string{"a": "1"})
	update(t, two, func(tx cnm.Tx) error { return errors.Join(tx.Delete("a"), tx.Put("b", []byte("2"))) })
	expect(t, one, map[string]string{"b": "2"})
	// Many commits of one, more than a store keeps track of, and then the other's.
	for i := range 150 {
		put(t, one, fmt.Sprint("k", i%10), fmt.Sprint(i))
	}
	put(t, two, "b", "3")
	if diff := cmp.Diff(content(t, one), content(t, two)); diff != "" {
		t.Errorf("the stores differ:\n%s", diff)
	}
}
