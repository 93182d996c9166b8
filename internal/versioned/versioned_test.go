package versioned

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
	"github.com/docker/libnetwork/internal/remotestore"
)

// fakeServer is in memory. It counts what is read, and loses answers when told to.
type fakeServer struct {
	mu      sync.Mutex // guards what follows
	version uint64
	head    []byte
	entries map[string][]byte
	changed chan struct{}

	loads, fetched int
	// lose is how many commits are to be made without an answer; drop is how many are not
	// to be made, without an answer.
	lose, drop int
	// late is a commit that is under way, and is made at the next Head.
	late func()
}

func newFake() *fakeServer {
	return &fakeServer{entries: make(map[string][]byte), changed: make(chan struct{})}
}

func (f *fakeServer) Head(context.Context) (uint64, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.late != nil {
		f.late()
		f.late = nil
	}
	return f.version, f.head, nil
}

func (f *fakeServer) Load(context.Context) (map[string][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads++
	return maps.Clone(f.entries), nil
}

func (f *fakeServer) Fetch(_ context.Context, keys []string) (map[string][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string][]byte)
	for _, key := range keys {
		f.fetched++
		if value, ok := f.entries[key]; ok {
			out[key] = value
		}
	}
	return out, nil
}

var errNoAnswer = cnm.E("", cnm.Unavailable, errors.New("no answer"))

func (f *fakeServer) Commit(_ context.Context, version uint64, head []byte, writes []remotestore.Write) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drop > 0 {
		f.drop--
		return 0, errNoAnswer
	}
	if version != f.version {
		return 0, remotestore.ErrLost
	}
	f.make(head, writes)
	if f.lose > 0 {
		f.lose--
		return 0, errNoAnswer
	}
	return f.version, nil
}

func (f *fakeServer) make(head []byte, writes []remotestore.Write) {
	f.version++
	f.head = head
	for _, w := range writes {
		if w.Delete {
			delete(f.entries, w.Key)
		} else {
			f.entries[w.Key] = w.Value
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeServer) Wait(ctx context.Context, version uint64) error {
	f.mu.Lock()
	now, changed := f.version, f.changed
	f.mu.Unlock()
	if now != version {
		return nil
	}
	select {
	case <-changed:
	case <-ctx.Done():
	}
	return nil
}

func (f *fakeServer) Close() error { return nil }

func newStore(t testing.TB, f *fakeServer) *Store {
	t.Helper()
	options, err := remotestore.Options{}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return New("store", options, f)
}

func appendTo(t testing.TB, s *Store, key, text string) {
	t.Helper()
	err := s.Update(context.Background(), func(tx cnm.Tx) error {
		value, err := tx.Get(key)
		if err != nil && !errors.Is(err, cnm.NotFound) {
			return err
		}
		return tx.Put(key, append(value, text...))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s *Store, key string) (value string) {
	t.Helper()
	err := s.View(context.Background(), func(tx cnm.Tx) error {
		v, err := tx.Get(key)
		value = string(v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestLostAnswers(t *testing.T) {
	f := newFake()
	s := newStore(t, f)
	appendTo(t, s, "k", "a")
	f.lose = 1
	appendTo(t, s, "k", "b")
	f.drop = 1
	appendTo(t, s, "k", "c")
	if got := get(t, s, "k"); got != "abc" {
		t.Errorf("got %q, want %q", got, "abc")
	}
}

// A commit that is still under way when its answer is missed is made late, or not at all.
func TestLateCommit(t *testing.T) {
	f := newFake()
	s := newStore(t, f)
	appendTo(t, s, "k", "a")
	st := s.cached()
	value, err := st.head.after("late", []remotestore.Write{{Key: "k"}})
	if err != nil {
		t.Fatal(err)
	}
	f.late = func() { f.make(value, []remotestore.Write{{Key: "k", Value: []byte("late")}}) }
	if made, err := s.settle(context.Background(), st, "late"); !made || err != nil {
		t.Errorf("made %v, error %v: it was made before the first look", made, err)
	}
	st, err = s.current(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if made, err := s.settle(context.Background(), st, "never"); made || err != nil {
		t.Errorf("made %v, error %v", made, err)
	}
	if _, err := f.Commit(context.Background(), st.version, value, nil); !errors.Is(err, remotestore.ErrLost) {
		t.Errorf("a commit that was said never to be made is made: %v", err)
	}
	// So many others have followed that it cannot be known.
	other := newStore(t, f)
	for range mostCommits + 1 {
		appendTo(t, other, "x", "y")
	}
	if _, err := s.settle(context.Background(), st, "unknown"); !errors.Is(err, cnm.Internal) {
		t.Errorf("error %v, want that it is not known", err)
	}
}

// What others change is read, and no more.
func TestReadsLittle(t *testing.T) {
	f := newFake()
	one, two := newStore(t, f), newStore(t, f)
	for i := range 50 {
		appendTo(t, one, fmt.Sprint("k", i), "x")
	}
	get(t, two, "k1")
	f.loads, f.fetched = 0, 0
	for range 20 {
		get(t, two, "k1")
		appendTo(t, one, "k1", "y")
		appendTo(t, one, "k2", "y")
	}
	if got := get(t, two, "k1"); got != "x"+strings.Repeat("y", 20) {
		t.Errorf("got %q", got)
	}
	if f.loads != 0 || f.fetched != 40 {
		t.Errorf("all was loaded %d times, and %d entries were read, want 0 and 40", f.loads, f.fetched)
	}
}

func TestBegunAnew(t *testing.T) {
	f := newFake()
	s := newStore(t, f)
	appendTo(t, s, "k", "a")
	appendTo(t, s, "k", "b")
	// Somebody deletes everything, and another store comes to the same version.
	f.version, f.head, f.entries = 0, nil, make(map[string][]byte)
	other := newStore(t, f)
	appendTo(t, other, "k", "c")
	appendTo(t, other, "k", "d")
	if got := get(t, s, "k"); got != "cd" {
		t.Errorf("got %q, want %q", got, "cd")
	}
}

func TestDamagedHead(t *testing.T) {
	for head, kind := range map[string]cnm.Kind{
		"{": cnm.Internal, `{"form":2}`: cnm.Unsupported, `{"form":1,"sequence":0,"commits":[{"id":"x"}]}`: cnm.Unsupported,
	} {
		f := newFake()
		f.version, f.head = 1, []byte(head)
		err := newStore(t, f).View(context.Background(), func(cnm.Tx) error { return nil })
		if !errors.Is(err, kind) {
			t.Errorf("%q: error %v, want %q", head, err, kind)
		}
	}
}

// A head stays small, and tells the truth about what changed, or that it cannot tell.
func TestHeadModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h head
		h.Form = formVersion
		var history [][]string
		heads := []head{h}
		for range rapid.IntRange(1, 100).Draw(t, "commits") {
			count := rapid.SampledFrom([]int{0, 1, 2, 60, 200}).Draw(t, "writes")
			var writes []remotestore.Write
			var keys []string
			for i := range count {
				keys = append(keys, fmt.Sprint(len(history), "/", i, strings.Repeat("x", 40)))
				writes = append(writes, remotestore.Write{Key: keys[i]})
			}
			value, err := h.after(newID(), writes)
			if err != nil {
				t.Fatal(err)
			}
			if len(value) > 2*mostKeyBytes {
				t.Fatalf("the head has %d bytes", len(value))
			}
			if h, err = parseHead(value); err != nil {
				t.Fatal(err)
			}
			history, heads = append(history, keys), append(heads, h)
		}
		since := rapid.IntRange(0, len(history)).Draw(t, "since")
		keys, ok := h.since(heads[since])
		if len(history)-since < mostCommits/2 && len(strings.Join(slices.Concat(history[since:]...), "")) < mostKeyBytes/4 && !ok {
			t.Fatalf("the %d commits since %d cannot be told", len(history)-since, since)
		}
		if !ok {
			return
		}
		var want []string
		for _, changed := range history[since:] {
			want = append(want, changed...)
		}
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Fatalf("changes since %d (-want +got):\n%s", since, diff)
		}
	})
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte(`{"form":1,"sequence":1,"commits":[{"id":"x","keys":["YQ"]}]}`))
	f.Add([]byte(nil))
	f.Fuzz(func(_ *testing.T, value []byte) {
		h, err := parseHead(value)
		if err != nil {
			return
		}
		for _, earlier := range []head{{}, h, {Sequence: 1}} {
			h.since(earlier)
			h.made("x", earlier)
		}
		h.last()
	})
}

func TestChangesModel(t *testing.T) {
	entries := func(t *rapid.T, name string) map[string][]byte {
		return rapid.MapOf(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), rapid.SampledFrom([][]byte{[]byte("1"), []byte("2")})).Draw(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		from, to := entries(t, "from"), entries(t, "to")
		var writes []remotestore.Write
		for _, c := range changes(entriesOf(from), entriesOf(to)) {
			writes = append(writes, remotestore.Write{Key: c.Key, Value: c.Value, Delete: c.Deleted})
		}
		if diff := cmp.Diff(entriesOf(to), with(entriesOf(from), writes)); diff != "" {
			t.Fatalf("applying the changes does not give the other list (-want +got):\n%s", diff)
		}
	})
}
