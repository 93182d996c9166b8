package networkdb

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func shownAs(value string) *entry { return newEntry(entryID{"t", "k"}, "o", 1, []byte(value)) }

func TestWatcherMergesChanges(t *testing.T) {
	about := subject{"net", entryID{"t", "k"}}
	one, two, three := shownAs("1"), shownAs("2"), shownAs("3")
	for _, c := range []struct {
		changes []*entry // nil, or what is shown then
		want    string
	}{
		{[]*entry{nil, one}, "create 1"},
		{[]*entry{nil, one, two, three}, "create 3"},
		{[]*entry{one, two, three}, "update 1 to 3"},
		{[]*entry{one, nil, two}, "update 1 to 2"},
		{[]*entry{one, two, nil}, "delete 1"},
		{[]*entry{nil, one, nil}, ""},
		{[]*entry{one, two, one}, ""},
		{[]*entry{one, nil, one}, ""},
		{[]*entry{one, nil, one, two}, "update 1 to 2"},
	} {
		w := newWatcher("", "", "")
		for i := 1; i < len(c.changes); i++ {
			w.offer(about, c.changes[i-1], c.changes[i])
		}
		if got := describe(w.next()); got != c.want {
			t.Errorf("%d changes: %q, want %q", len(c.changes), got, c.want)
		}
		if e := w.next(); e != nil || w.backlog() != 0 || len(w.pending) != 0 {
			t.Errorf("something is left: %v", e)
		}
	}
}

func describe(event Event) string {
	switch e := event.(type) {
	case CreateEvent:
		return "create " + string(e.Value)
	case UpdateEvent:
		return fmt.Sprintf("update %s to %s", e.Previous, e.Value)
	case DeleteEvent:
		return "delete " + string(e.Value)
	}
	return ""
}

func TestWatcherFilters(t *testing.T) {
	about := subject{"net", entryID{"t", "k"}}
	for filter, want := range map[[3]string]bool{
		{"", "", ""}: true, {"t", "", ""}: true, {"", "net", ""}: true, {"", "", "k"}: true, {"t", "net", "k"}: true,
		{"u", "", ""}: false, {"t", "other", ""}: false, {"t", "net", "l"}: false,
	} {
		if got := newWatcher(filter[0], filter[1], filter[2]).matches(about); got != want {
			t.Errorf("%q: %t", filter, got)
		}
	}
}

// TestWatcherTellsTheTruth lets a reader read now and then: what it knows in the end is so,
// and the backlog never exceeds the number of entries.
func TestWatcherTellsTheTruth(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWatcher("", "", "")
		shown, known := map[string]*entry{}, map[string]string{}
		read := func() bool {
			event := w.next()
			if event == nil {
				return false
			}
			_, _, key := event.Subject()
			before, have := known[key]
			switch e := event.(type) {
			case CreateEvent:
				if have {
					r.Fatalf("%q is created twice", key)
				}
				known[key] = string(e.Value)
			case UpdateEvent:
				if !have || string(e.Previous) != before || string(e.Value) == before {
					r.Fatalf("%q, which was %q, is updated from %q to %q", key, before, e.Previous, e.Value)
				}
				known[key] = string(e.Value)
			case DeleteEvent:
				if !have || string(e.Value) != before {
					r.Fatalf("%q, which was %q, is deleted as %q", key, before, e.Value)
				}
				delete(known, key)
			}
			return true
		}
		for range rapid.IntRange(0, 60).Draw(r, "steps") {
			if rapid.IntRange(0, 2).Draw(r, "read") == 0 {
				read()
				continue
			}
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "key")
			var to *entry
			if value := rapid.IntRange(0, 3).Draw(r, "value"); value > 0 {
				to = newEntry(entryID{"t", key}, "o", 1, []byte(fmt.Sprint(value)))
			}
			if !sameToReader(shown[key], to) {
				w.offer(subject{"net", entryID{"t", key}}, shown[key], to)
				shown[key] = to
			}
			if w.backlog() > 3 {
				r.Fatalf("the backlog is %d", w.backlog())
			}
		}
		for read() {
		}
		for _, key := range []string{"a", "b", "c"} {
			value, have := known[key]
			if e := shown[key]; (e != nil) != have || have && string(e.value) != value {
				r.Fatalf("%q is known as %q", key, value)
			}
		}
	})
}
