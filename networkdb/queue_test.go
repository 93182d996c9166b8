package networkdb

import (
	"fmt"
	"testing"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb/message"
)

func item(key string, size int) *queued {
	return &queued{entryID: entryID{"t", key}, owner: "o", time: 1, data: make([]byte, size)}
}

func keys(items []*queued) (text string) {
	for _, i := range items {
		text += i.key
	}
	return text
}

func TestQueueTellsTheLeastKnownFirst(t *testing.T) {
	q := newQueue()
	q.add(item("a", 10), false)
	q.add(item("b", 10), false)
	q.add(item("c", 10), true) // an own one
	for i, want := range []string{"ca", "bc", "ab"} {
		if got := keys(q.take(someNode, 20, 0, 100)); got != want {
			t.Errorf("telling %d: %q, want %q", i, got, want)
		}
	}
	q.heard(queueID{entryID{"t", "a"}, "o"}, 1)
	q.heard(queueID{entryID{"t", "b"}, "o"}, 2) // another version
	q.heard(queueID{entryID{"t", "x"}, "o"}, 1)
	if got := keys(q.take(someNode, 100, 0, 100)); got != "cba" {
		t.Errorf("after hearing a: %q", got)
	}
}

func TestQueueDropsWhatHasBeenToldOften(t *testing.T) {
	q := newQueue()
	q.add(item("a", 10), false)
	for range 3 {
		if got := keys(q.take(someNode, 100, 0, 3)); got != "a" {
			t.Errorf("took %q", got)
		}
	}
	// What the next node of the ring has not been told stays for it.
	if got := keys(q.take(someNode, 100, 0, 3)); got != "" || q.len() != 1 {
		t.Errorf("took %q, %d are left", got, q.len())
	}
	if got := keys(q.take(nextNode, 100, 0, 3)); got != "a" || q.len() != 0 {
		t.Errorf("the next node gets %q, %d are left", got, q.len())
	}
	q.add(item("b", 10), false)
	if first, second := keys(q.take(nextNode, 100, 0, 3)), keys(q.take(nextNode, 100, 0, 3)); first != "b" || second != "" {
		t.Errorf("the next node gets %q and %q", first, second)
	}
	q.clear()
	q.add(item("b", 10), false)
	for range 3 {
		if got := keys(q.take(soleNode, 100, 0, 3)); got != "b" {
			t.Errorf("the only node gets %q", got)
		}
	}
	if q.len() != 0 {
		t.Errorf("%d are left for the only node", q.len())
	}
	q.add(item("b", 10), false)
	newer := item("b", 10)
	newer.time = 2
	q.add(newer, false)
	if q.len() != 1 || newer.level != 0 {
		t.Error("a newer version does not replace an older one")
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue()
	for i := range maxQueue {
		q.add(item(fmt.Sprint(i), 1), false)
	}
	q.take(someNode, 1, 0, 10) // item 0 is known to somebody
	q.add(item("new", 1), true)
	if q.len() != maxQueue {
		t.Errorf("%d wait", q.len())
	}
	if _, ok := q.items[queueID{entryID{"t", "0"}, "o"}]; ok {
		t.Error("not what is known best was dropped")
	}
	if got := keys(q.take(someNode, 1, 0, 10)); got != "new" {
		t.Errorf("first comes %q", got)
	}
}

func TestQueueTakesWhatFitsNowhere(t *testing.T) {
	q := newQueue()
	q.add(item("big", 1000), false)
	q.add(item("small", 10), false)
	if got := keys(q.take(nextNode, 100, 0, 1)); got != "big" {
		t.Errorf("took %q", got)
	}
	if got := keys(q.take(nextNode, 100, 0, 1)); got != "small" || q.len() != 0 {
		t.Errorf("took %q, %d are left", got, q.len())
	}
}

func TestPacketsFit(t *testing.T) {
	to := memberlist.Node{Name: "n"}
	for _, digest := range []*message.Digest{nil, {Node: "a-node-with-a-name"}} {
		for size := range 700 {
			var messages [][]byte
			for i := range 7 {
				messages = append(messages, make([]byte, size+i))
			}
			count := 0
			for _, s := range pack(to, messages, digest, 600) {
				if !s.reliable && len(s.data) > 600 {
					t.Fatalf("messages of %d bytes: a packet has %d bytes", size, len(s.data))
				}
				if kind, data, _ := message.Decode(s.data); kind == message.TypeCompound {
					c, err := message.DecodeCompound(data)
					if err != nil {
						t.Fatal(err)
					}
					if (c.Digest == nil) != (digest == nil) {
						t.Fatal("the digest is not where it should be")
					}
					count += len(c.Messages)
				} else {
					count++
				}
			}
			if count != len(messages) {
				t.Fatalf("messages of %d bytes: %d of %d were packed", size, count, len(messages))
			}
		}
	}
}

func TestTellings(t *testing.T) {
	for nodes, want := range map[int]int{0: 3, 1: 4, 9: 4, 10: 8, 64: 8, 99: 8, 100: 12, 256: 12} {
		if got := tellings(nodes); got != want {
			t.Errorf("%d nodes: %d tellings, want %d", nodes, got, want)
		}
	}
}
