// Package storetest is for tests: the contract that every cnm.Store fulfils, and
// stores that count, or fail when told to.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
)

// Factory makes stores for Run.
type Factory struct {
	// Open returns an empty store.
	Open func(t testing.TB) cnm.Store
	// Reopen closes a store and opens it again on the same data; nil for stores that
	// do not last.
	Reopen func(t testing.TB, store cnm.Store) cnm.Store
	// Again opens another store on the data of one that stays open; nil for stores that
	// one process at a time can open.
	Again func(t testing.TB, store cnm.Store) cnm.Store
}

// Run runs the contract.
func Run(t *testing.T, f Factory) {
	tests := map[string]func(*testing.T, Factory){
		"values come back as copies":        testCopies,
		"what is missing is not found":      testMissing,
		"a failed update writes nothing":    testRollback,
		"a view cannot write":               testReadOnly,
		"a view is a snapshot":              testSnapshot,
		"lists are by prefix, in order":     testList,
		"a done context changes nothing":    testContext,
		"a closed store says so":            testClosed,
		"updates do not mix":                testConcurrent,
		"it is a map, whatever is done":     testModel,
		"an empty key is refused":           testEmptyKey,
		"an empty value is not a lack":      testEmptyValue,
		"one transaction sees its writes":   testReadYourWrites,
		"what was committed is there later": testReopen,
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) { tests[name](t, f) })
	}
}

func put(t testing.TB, s cnm.Store, key, value string) {
	t.Helper()
	if err := s.Update(context.Background(), func(tx cnm.Tx) error { return tx.Put(key, []byte(value)) }); err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, s cnm.Store) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := s.View(context.Background(), func(tx cnm.Tx) error {
		entries, err := tx.List("")
		for _, e := range entries {
			out[e.Key] = string(e.Value)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func expect(t testing.TB, s cnm.Store, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, content(t, s)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
}

func wantKind(t testing.TB, err error, kind cnm.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want kind %q", err, kind)
	}
}

func testCopies(t *testing.T, f Factory) {
	s := f.Open(t)
	value := []byte("abc")
	update(t, s, func(tx cnm.Tx) error {
		err := tx.Put("k", value)
		value[0] = 'X'
		return err
	})
	view(t, s, func(tx cnm.Tx) error {
		got, err := tx.Get("k")
		if len(got) > 0 {
			got[1] = 'Y'
		}
		return err
	})
	expect(t, s, map[string]string{"k": "abc"})
}

func update(t testing.TB, s cnm.Store, fn func(cnm.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s cnm.Store, fn func(cnm.Tx) error) {
	t.Helper()
	if err := s.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func testMissing(t *testing.T, f Factory) {
	s := f.Open(t)
	update(t, s, func(tx cnm.Tx) error {
		_, err := tx.Get("k")
		wantKind(t, err, cnm.NotFound)
		return tx.Delete("k")
	})
	view(t, s, func(tx cnm.Tx) error {
		entries, err := tx.List("k")
		if len(entries) != 0 {
			t.Errorf("entries %v", entries)
		}
		return err
	})
}

func testRollback(t *testing.T, f Factory) {
	s := f.Open(t)
	put(t, s, "a", "1")
	cause := errors.New("no")
	err := s.Update(context.Background(), func(tx cnm.Tx) error {
		return errors.Join(tx.Put("a", []byte("2")), tx.Put("b", []byte("3")), tx.Delete("a"), cause)
	})
	if !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
	expect(t, s, map[string]string{"a": "1"})
}

func testReadOnly(t *testing.T, f Factory) {
	s := f.Open(t)
	put(t, s, "a", "1")
	view(t, s, func(tx cnm.Tx) error {
		wantKind(t, tx.Put("a", []byte("2")), cnm.Forbidden)
		wantKind(t, tx.Delete("a"), cnm.Forbidden)
		return nil
	})
	expect(t, s, map[string]string{"a": "1"})
}

func testSnapshot(t *testing.T, f Factory) {
	s := f.Open(t)
	put(t, s, "a", "1")
	view(t, s, func(tx cnm.Tx) error {
		done := make(chan struct{})
		go func() {
			defer close(done)
			put(t, s, "a", "2")
		}()
		<-done
		got, err := tx.Get("a")
		if string(got) != "1" {
			t.Errorf("got %q, want the value of when the view began", got)
		}
		return err
	})
	expect(t, s, map[string]string{"a": "2"})
}

func testList(t *testing.T, f Factory) {
	s := f.Open(t)
	for _, key := range []string{"n/b", "n/a", "n", "m/z", "n/\xff", "o/a", "n/ab"} {
		put(t, s, key, key)
	}
	var keys []string
	view(t, s, func(tx cnm.Tx) error {
		entries, err := tx.List("n/")
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
		return err
	})
	if want := []string{"n/a", "n/ab", "n/b", "n/\xff"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
}

func testContext(t *testing.T, f Factory) {
	s := f.Open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantKind(t, s.Update(ctx, func(tx cnm.Tx) error { return tx.Put("a", nil) }), cnm.Timeout)
	wantKind(t, s.View(ctx, func(cnm.Tx) error { return nil }), cnm.Timeout)
	expect(t, s, map[string]string{})
}

func testClosed(t *testing.T, f Factory) {
	s := f.Open(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	wantKind(t, s.Update(context.Background(), func(cnm.Tx) error { return nil }), cnm.Unavailable)
	wantKind(t, s.View(context.Background(), func(cnm.Tx) error { return nil }), cnm.Unavailable)
}

func testConcurrent(t *testing.T, f Factory) {
	s := f.Open(t)
	const writers, rounds = 8, 20
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for range rounds {
				err := s.Update(context.Background(), func(tx cnm.Tx) error {
					value, err := tx.Get("count")
					if err != nil && !errors.Is(err, cnm.NotFound) {
						return err
					}
					return errors.Join(tx.Put("count", append(value, 'x')), tx.Put(fmt.Sprint("writer", w), nil))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := len(content(t, s)["count"]); got != writers*rounds {
		t.Errorf("%d increments were kept, want %d", got, writers*rounds)
	}
}

func testEmptyKey(t *testing.T, f Factory) {
	s := f.Open(t)
	err := s.Update(context.Background(), func(tx cnm.Tx) error { return tx.Put("", []byte("x")) })
	wantKind(t, err, cnm.Invalid)
}

func testEmptyValue(t *testing.T, f Factory) {
	s := f.Open(t)
	put(t, s, "a", "")
	view(t, s, func(tx cnm.Tx) error {
		value, err := tx.Get("a")
		if len(value) != 0 {
			t.Errorf("value %q", value)
		}
		return err
	})
}

func testReadYourWrites(t *testing.T, f Factory) {
	s := f.Open(t)
	put(t, s, "a", "1")
	update(t, s, func(tx cnm.Tx) error {
		if err := errors.Join(tx.Put("b", []byte("2")), tx.Delete("a")); err != nil {
			return err
		}
		_, err := tx.Get("a")
		wantKind(t, err, cnm.NotFound)
		entries, err := tx.List("")
		if len(entries) != 1 || entries[0].Key != "b" {
			t.Errorf("entries %v", entries)
		}
		return err
	})
}

func testReopen(t *testing.T, f Factory) {
	if f.Reopen == nil {
		return // the store does not last, and does not say that it does
	}
	s := f.Open(t)
	put(t, s, "a", "1")
	expect(t, f.Reopen(t, s), map[string]string{"a": "1"})
}

func testModel(t *testing.T, f Factory) {
	rapid.Check(t, func(r *rapid.T) {
		s := f.Open(t)
		model := make(map[string]string)
		keys := rapid.SampledFrom([]string{"a", "a/b", "a/c", "b", "network/1", "network/2"})
		r.Repeat(map[string]func(*rapid.T){
			"update": func(r *rapid.T) {
				next := maps.Clone(model)
				fail := rapid.Bool().Draw(r, "fail")
				err := s.Update(context.Background(), func(tx cnm.Tx) error {
					for range rapid.IntRange(0, 4).Draw(r, "writes") {
						key := keys.Draw(r, "key")
						if rapid.Bool().Draw(r, "delete") {
							delete(next, key)
							if err := tx.Delete(key); err != nil {
								return err
							}
							continue
						}
						value := strings.Repeat("v", rapid.IntRange(0, 3000).Draw(r, "size"))
						next[key] = value
						if err := tx.Put(key, []byte(value)); err != nil {
							return err
						}
					}
					if fail {
						return errors.New("told to fail")
					}
					return nil
				})
				if (err != nil) != fail {
					r.Fatalf("error %v, told to fail %v", err, fail)
				}
				if !fail {
					model = next
				}
			},
			"": func(r *rapid.T) {
				if diff := cmp.Diff(model, content(t, s)); diff != "" {
					r.Fatalf("content (-want +got):\n%s", diff)
				}
			},
		})
		if f.Reopen != nil {
			s = f.Reopen(t, s)
			expect(t, s, model)
		}
		if err := s.Close(); err != nil {
			r.Fatal(err)
		}
	})
}
