package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
)

// watchLimit is how long a change may take to be told.
const watchLimit = 20 * time.Second

// runWatch runs the contract of cnm.Watcher.
func runWatch(t *testing.T, f Factory) {
	t.Run("a watch tells what is there, then what changes", func(t *testing.T) { testWatch(t, f) })
	t.Run("a watch that is behind ends up with the truth", func(t *testing.T) { testWatchModel(t, f) })
	t.Run("a watch tells one commit at once", func(t *testing.T) { testWatchAtomic(t, f) })
	t.Run("a watch ends with its context and its store", func(t *testing.T) { testWatchEnd(t, f) })
}

// Follow applies what a watch tells until done says that it is enough, and fails the test
// if that takes too long. Errors are passed over, as the contract has it.
func Follow(t testing.TB, s cnm.Store, prefix string, done func(map[string]string) bool) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), watchLimit)
	defer cancel()
	state := make(map[string]string)
	for changes, err := range s.(cnm.Watcher).Watch(ctx, prefix) {
		if err != nil {
			continue
		}
		apply(t, state, changes)
		if done(state) {
			return state
		}
	}
	t.Fatalf("the watch has told this only: %v", state)
	return nil
}

func apply(t testing.TB, state map[string]string, changes []cnm.Change) {
	t.Helper()
	for _, c := range changes {
		if c.Deleted {
			if c.Value != nil {
				t.Errorf("key %q: was deleted, and has the value %q", c.Key, c.Value)
			}
			delete(state, c.Key)
			continue
		}
		state[c.Key] = string(c.Value)
	}
}

func testWatch(t *testing.T, f Factory) {
	s := f.Open(t)
	update(t, s, func(tx cnm.Tx) error { return errors.Join(tx.Put("a/1", []byte("x")), tx.Put("b/1", nil)) })
	ctx, cancel := context.WithTimeout(context.Background(), watchLimit)
	defer cancel()
	next, stop := iter.Pull2(s.(cnm.Watcher).Watch(ctx, "a/"))
	defer stop()
	want := func(want ...cnm.Change) {
		t.Helper()
		got, err, ok := next()
		if diff := cmp.Diff(want, got); diff != "" || err != nil || !ok {
			t.Fatalf("%v, %v, changes (-want +got):\n%s", err, ok, diff)
		}
	}
	want(cnm.Change{Key: "a/1", Value: []byte("x")})
	put(t, s, "a/2", "y")
	want(cnm.Change{Key: "a/2", Value: []byte("y")})
	put(t, s, "c", "not below the prefix")
	put(t, s, "a/1", "z")
	want(cnm.Change{Key: "a/1", Value: []byte("z")})
	update(t, s, func(tx cnm.Tx) error { return tx.Delete("a/2") })
	want(cnm.Change{Key: "a/2", Deleted: true})
}

func testWatchModel(t *testing.T, f Factory) {
	s := f.Open(t)
	const rounds = 60
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for i := range rounds {
			update(t, s, func(tx cnm.Tx) error {
				return errors.Join(tx.Put(fmt.Sprint("k", i%7), []byte(fmt.Sprint(i))), tx.Delete(fmt.Sprint("k", (i+3)%7)))
			})
		}
		put(t, s, "last", "")
	}()
	got := Follow(t, s, "", func(state map[string]string) bool {
		time.Sleep(5 * time.Millisecond) // be slower than the writer
		_, ok := state["last"]
		return ok
	})
	<-finished
	if diff := cmp.Diff(content(t, s), got); diff != "" {
		t.Errorf("the watch ends up with (-want +got):\n%s", diff)
	}
}

func testWatchAtomic(t *testing.T, f Factory) {
	s := f.Open(t)
	const rounds = 30
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for i := range rounds {
			value := []byte(fmt.Sprint(i))
			update(t, s, func(tx cnm.Tx) error { return errors.Join(tx.Put("left", value), tx.Put("right", value)) })
		}
	}()
	Follow(t, s, "", func(state map[string]string) bool {
		if state["left"] != state["right"] {
			t.Errorf("half a commit: %v", maps.Clone(state))
		}
		return state["left"] == fmt.Sprint(rounds-1)
	})
	<-finished
}

func testWatchEnd(t *testing.T, f Factory) {
	s := f.Open(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first := true
	for changes, err := range s.(cnm.Watcher).Watch(ctx, "") {
		if !first || len(changes) > 0 || err != nil {
			t.Errorf("an empty store's watch tells %v, %v", changes, err)
		}
		first = false
		cancel()
	}
	if first {
		t.Error("the watch of an empty store tells nothing at first")
	}
	closed := make(chan error, 1)
	var last error
	for _, err := range s.(cnm.Watcher).Watch(context.Background(), "") {
		if last = err; err == nil {
			go func() { closed <- s.Close() }()
		}
	}
	wantKind(t, last, cnm.Unavailable)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
