package discovery

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/memory"
)

// These tests run in virtual time.

// The nodes of the tests.
var one, two = Node{"192.0.2.1", 7}, Node{"two", 0} // are not changed

func registry(t testing.TB, store cnm.Store) *Registry {
	t.Helper()
	r, err := New(store, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func register(t testing.TB, r *Registry, node Node) {
	t.Helper()
	if err := r.Register(context.Background(), node); err != nil {
		t.Fatal(err)
	}
}

func closeRegistry(t testing.TB, r *Registry) {
	t.Helper()
	if err := r.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// watcher takes what a watch tells, one by one.
type watcher struct {
	t    testing.TB
	next func() (Change, error, bool)
	stop func()
}

func watch(t testing.TB, w Watcher) *watcher { return watchIn(context.Background(), t, w) }

func watchIn(ctx context.Context, t testing.TB, w Watcher) *watcher {
	next, stop := iter.Pull2(w.Watch(ctx))
	return &watcher{t, next, stop}
}

func (w *watcher) want(want Change) {
	w.t.Helper()
	got, err, ok := w.next()
	if diff := cmp.Diff(want, got); diff != "" || err != nil || !ok {
		w.t.Fatalf("%v, %v, change (-want +got):\n%s", err, ok, diff)
	}
}

// crash ends a node's signs of life without taking it out.
func crash(r *Registry) {
	for _, h := range r.beats {
		h.stop()
		<-h.done
	}
	r.beats = nil
}

func TestJoinLeaveAndDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		a, b := registry(t, store), registry(t, store)
		w := watch(t, a)
		defer w.stop()
		w.want(Change{})
		register(t, a, one)
		w.want(Change{Nodes: []Node{one}, Joined: []Node{one}})
		register(t, b, two)
		w.want(Change{Nodes: []Node{one, two}, Joined: []Node{two}})
		closeRegistry(t, b)
		w.want(Change{Nodes: []Node{one}, Left: []Node{two}})

		b = registry(t, store)
		register(t, b, two)
		w.want(Change{Nodes: []Node{one, two}, Joined: []Node{two}})
		time.Sleep(10 * DefaultTTL) // both live
		crash(b)
		start := time.Now()
		w.want(Change{Nodes: []Node{one}, Left: []Node{two}})
		if took := time.Since(start); took < DefaultTTL || took > 2*DefaultTTL {
			t.Errorf("a node that died was told after %s, with a time to live of %s", took, DefaultTTL)
		}
		err := store.View(context.Background(), func(tx cnm.Tx) error {
			if s, err := read(tx); err != nil || len(s.nodes) != 1 || len(s.beats) != 1 {
				t.Errorf("%v; the store still holds %v", err, s)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		closeRegistry(t, a)
		w.want(Change{Left: []Node{one}})
	})
}

// silentStore does not answer when it is told not to.
type silentStore struct {
	cnm.Store
	silent atomic.Bool
}

var errSilent = cnm.E("", cnm.Unavailable, errors.New("is silent"))

func (s *silentStore) View(ctx context.Context, fn func(cnm.Tx) error) error {
	if s.silent.Load() {
		return errSilent
	}
	return s.Store.View(ctx, fn)
}

func (s *silentStore) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	if s.silent.Load() {
		return errSilent
	}
	return s.Store.Update(ctx, fn)
}

func TestNobodyDiesWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &silentStore{Store: memory.New()}
		a, b := registry(t, store), registry(t, store)
		register(t, a, one)
		register(t, b, two)
		w := watch(t, a)
		defer w.stop()
		w.want(Change{Nodes: []Node{one, two}, Joined: []Node{one, two}})
		store.silent.Store(true)
		for start := time.Now(); time.Since(start) < 5*DefaultTTL; {
			got, err, _ := w.next()
			if !errors.Is(err, cnm.Unavailable) || len(got.Nodes) != 2 || len(got.Left) != 0 {
				t.Fatalf("the watch tells %+v, %v", got, err)
			}
		}
		store.silent.Store(false)
		// That all go on living shows in what is told next.
		time.Sleep(3 * DefaultTTL)
		crash(b)
		w.want(Change{Nodes: []Node{one}, Left: []Node{two}})
		closeRegistry(t, a)
	})
}

// A node that was taken for dead, since it was paused for instance, comes back.
func TestResurrection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &silentStore{Store: memory.New()}
		a := registry(t, store)
		register(t, a, one)
		w := watch(t, registry(t, store.Store))
		defer w.stop()
		w.want(Change{Nodes: []Node{one}, Joined: []Node{one}})
		store.silent.Store(true) // for this node only
		w.want(Change{Left: []Node{one}})
		store.silent.Store(false)
		w.want(Change{Nodes: []Node{one}, Joined: []Node{one}})
		closeRegistry(t, a)
	})
}

func TestRegisterRefuses(t *testing.T) {
	store := &silentStore{Store: memory.New()}
	r := registry(t, store)
	register(t, r, one)
	for node, kind := range map[Node]cnm.Kind{one: cnm.Exists, {Host: "a b"}: cnm.Invalid, {}: cnm.Invalid, {Host: "a:1"}: cnm.Invalid} {
		if err := r.Register(context.Background(), node); !errors.Is(err, kind) {
			t.Errorf("%q: error %v, want %q", node, err, kind)
		}
	}
	store.silent.Store(true)
	if err := r.Register(context.Background(), two); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("error %v, want %q", err, cnm.Unavailable)
	}
	store.silent.Store(false)
	register(t, r, two)
	closeRegistry(t, r)
	if err := r.Register(context.Background(), one); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("closed: error %v, want %q", err, cnm.Unavailable)
	}
	for _, options := range []Options{{Heartbeat: time.Millisecond}, {TTL: 24 * time.Hour}, {Heartbeat: time.Second, TTL: time.Second}, {TTL: -1}} {
		if _, err := New(store, options); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%+v: error %v, want %q", options, err, cnm.Invalid)
		}
	}
}

// What others write into the store harms nobody.
func TestHostileRecords(t *testing.T) {
	judge := &roster{}
	now := time.Now()
	s := snapshot{
		nodes: map[string]string{
			"a": `{"schema":1,"host":"a"}`, "b": `{"schema":1,"host":"other"}`, "c": `{"schema":2,"host":"c"}`, "d": `{`, "e f": `{"schema":1,"host":"e f"}`,
		},
		beats: map[string]string{"a": `{"schema":1,"ttl":9223372036854775807}`, "z": "x"},
	}
	alive, dead := judge.look(now, s)
	if diff := cmp.Diff([]Node{{Host: "a"}}, alive); diff != "" || len(dead) != 0 {
		t.Errorf("dead %v, alive (-want +got):\n%s", dead, diff)
	}
	if alive, dead = judge.look(now.Add(2*longestTTL), s); len(alive) != 0 || len(dead) != 1 {
		t.Errorf("alive %v, dead %v: a time to live has no bound", alive, dead)
	}
}
