package networkdb

import (
	"bytes"
	"container/list"
	"context"
	"sync"
)

// subject names an entry as watchers see it.
type subject struct {
	network string
	entryID
}

// watcher keeps, for whoever reads its channel, what they have not been told yet: for
// each entry the state they know and the state it is in. So a slow reader costs one place
// for each entry that changed, however often.
type watcher struct {
	// filter: an empty field matches everything.
	network, table, key string
	events              chan Event
	wake                chan struct{} // of capacity one

	mu      sync.Mutex
	pending map[subject]*list.Element // of *change
	order   *list.List
}

// change is from what the reader knows to what is so; nil is not shown.
type change struct {
	subject
	told, shown *entry
}

func newWatcher(table, network, key string) *watcher {
	return &watcher{
		network: network, table: table, key: key,
		events: make(chan Event), wake: make(chan struct{}, 1),
		pending: map[subject]*list.Element{}, order: list.New(),
	}
}

func (w *watcher) matches(s subject) bool {
	return (w.network == "" || w.network == s.network) && (w.table == "" || w.table == s.table) && (w.key == "" || w.key == s.key)
}

// offer takes note of a change of what is shown.
func (w *watcher) offer(s subject, from, to *entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.pending[s]; ok {
		c, _ := at.Value.(*change)
		c.shown = to
		if sameToReader(c.told, c.shown) {
			w.order.Remove(at)
			delete(w.pending, s)
		}
		return
	}
	w.pending[s] = w.order.PushBack(&change{subject: s, told: from, shown: to})
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// sameToReader tells that going from one to the other is no news.
func sameToReader(a, b *entry) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.owner == b.owner && bytes.Equal(a.value, b.value)
}

// next takes the oldest change, or returns nil.
func (w *watcher) next() Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.order.Front()
	if at == nil {
		return nil
	}
	c, _ := w.order.Remove(at).(*change)
	delete(w.pending, c.subject)
	return c.event()
}

// backlog returns for how many entries there is news.
func (w *watcher) backlog() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.order.Len()
}

func (c *change) event() Event {
	switch {
	case c.told == nil:
		return CreateEvent{NetworkID: c.network, Table: c.table, Key: c.key, Value: bytes.Clone(c.shown.value), Owner: c.shown.owner}
	case c.shown == nil:
		return DeleteEvent{NetworkID: c.network, Table: c.table, Key: c.key, Value: bytes.Clone(c.told.value), Owner: c.told.owner}
	}
	return UpdateEvent{
		NetworkID: c.network, Table: c.table, Key: c.key, Owner: c.shown.owner,
		Value: bytes.Clone(c.shown.value), Previous: bytes.Clone(c.told.value),
	}
}

// run hands changes to the reader until the context ends, and closes the channel.
func (w *watcher) run(ctx context.Context) {
	defer close(w.events)
	for {
		event := w.next()
		if event == nil {
			select {
			case <-w.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case w.events <- event:
		case <-ctx.Done():
			return
		}
	}
}
