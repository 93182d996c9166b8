package networkdb_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/docker/libnetwork/networkdb"
)

// replica is what a reader of a watch makes of its events. It finds fault with events that
// cannot follow each other.
type replica struct {
	cancel func()
	done   chan struct{}

	mu     sync.Mutex
	shown  map[string]string
	faults []string
}

func watchAll(db *networkdb.NetworkDB, table string) *replica {
	events, cancel := db.Watch(table, "", "")
	r := &replica{cancel: cancel, done: make(chan struct{}), shown: map[string]string{}}
	go func() {
		defer close(r.done)
		for e := range events {
			r.take(e)
		}
	}()
	return r
}

func (r *replica) take(event networkdb.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	network, _, key := event.Subject()
	name := network + " " + key
	before, known := r.shown[name]
	switch e := event.(type) {
	case networkdb.CreateEvent:
		if known {
			r.faults = append(r.faults, name+" was created twice")
		}
		r.shown[name] = fmt.Sprintf("%s of %s", e.Value, e.Owner)
	case networkdb.UpdateEvent:
		if !known || !strings.HasPrefix(before, string(e.Previous)+" of ") {
			r.faults = append(r.faults, fmt.Sprintf("%s was updated from %q and is %q", name, e.Previous, before))
		}
		r.shown[name] = fmt.Sprintf("%s of %s", e.Value, e.Owner)
		if r.shown[name] == before {
			r.faults = append(r.faults, name+" was updated to what it is")
		}
	case networkdb.DeleteEvent:
		if told := fmt.Sprintf("%s of %s", e.Value, e.Owner); told != before {
			r.faults = append(r.faults, fmt.Sprintf("%s was deleted as %q and is %q", name, told, before))
		}
		delete(r.shown, name)
	}
}

// contents is in the form of contents in cluster_test.go.
func (r *replica) contents() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for name, value := range r.shown {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (r *replica) problems() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.faults, "\n")
}

func (r *replica) close() {
	r.cancel()
	<-r.done
}

// lockedBuffer is a buffer that several may write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
