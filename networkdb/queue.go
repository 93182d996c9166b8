package networkdb

import (
	"container/list"
)

// maxQueue bounds how many events of one network wait to be told. What falls out is
// found by comparing sums.
const maxQueue = 16384

// queued is an event to be told to several nodes.
type queued struct {
	entryID
	owner string
	time  uint64
	data  []byte
	// level is how many nodes have been told, or have told us.
	level int
	// next tells that the next node of the ring has been told.
	next bool
}

// queueID names the entry of an event; a newer event replaces an older one.
type queueID struct {
	entryID
	owner string
}

// queue holds the events of a network that are to be told. The least known come first,
// and among those that nobody has heard of, the node's own.
type queue struct {
	items  map[queueID]*list.Element // of *queued, in the list of its level
	levels []*list.List
}

func newQueue() *queue { return &queue{items: map[queueID]*list.Element{}} }

func (q *queue) len() int { return len(q.items) }

func (q *queue) level(n int) *list.List {
	for len(q.levels) <= n {
		q.levels = append(q.levels, list.New())
	}
	return q.levels[n]
}

// add puts an event in. Urgent ones come first in their level.
func (q *queue) add(item *queued, urgent bool) {
	id := queueID{item.entryID, item.owner}
	if at, ok := q.items[id]; ok {
		q.remove(at)
	}
	if len(q.items) >= maxQueue {
		q.dropOne()
	}
	if urgent {
		q.items[id] = q.level(item.level).PushFront(item)
	} else {
		q.items[id] = q.level(item.level).PushBack(item)
	}
}

func (q *queue) remove(at *list.Element) *queued {
	item, _ := at.Value.(*queued)
	q.levels[item.level].Remove(at)
	delete(q.items, queueID{item.entryID, item.owner})
	return item
}

// dropOne drops the event that is known best.
func (q *queue) dropOne() {
	for n := len(q.levels) - 1; n >= 0; n-- {
		if at := q.levels[n].Back(); at != nil {
			q.remove(at)
			return
		}
	}
}

// heard takes note that another node knows the version too: so do others, then, and one
// telling can be saved.
func (q *queue) heard(id queueID, time uint64) {
	at, ok := q.items[id]
	if !ok {
		return
	}
	if item, _ := at.Value.(*queued); item.time == time {
		q.remove(at)
		item.level++
		q.items[id] = q.level(item.level).PushBack(item)
	}
}

// listener is who is told something.
type listener int

const (
	someNode listener = iota // a random one
	nextNode                 // the next one of the ring
	soleNode                 // the only one, and so both
)

// take returns events for one node, as many as fit into budget bytes, with overhead for
// each; those get one level up. What has been told limit times goes to the next node of
// the ring only, and what that one knows, too, is dropped.
func (q *queue) take(to listener, budget, overhead, limit int) []*queued {
	var taken []*queued
	for n := 0; n < len(q.levels) && budget > 0; n++ {
		for at := q.levels[n].Front(); at != nil && budget > 0; {
			item, _ := at.Value.(*queued)
			this := at
			at = at.Next()
			switch need := len(item.data) + overhead; {
			case n >= limit && item.next:
				q.remove(this)
			case to == nextNode && item.next, to == someNode && n >= limit:
			case need > budget && len(taken) > 0:
				budget = 0
			default:
				budget -= need
				taken = append(taken, q.remove(this))
			}
		}
	}
	for _, item := range taken {
		item.level++
		item.next = item.next || to != someNode
		if item.level < limit || !item.next {
			q.items[queueID{item.entryID, item.owner}] = q.level(item.level).PushBack(item)
		}
	}
	return taken
}

func (q *queue) clear() { *q = *newQueue() }
