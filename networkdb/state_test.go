package networkdb

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb/message"
)

// lone is the state of a node called self, at a time that only tests move.
type lone struct {
	*state
	t         *testing.T
	now       time.Time
	announced []string
}

func newLone(t *testing.T, edit func(*Config)) *lone {
	c := Config{NodeID: "self"}
	if edit != nil {
		edit(&c)
	}
	l := &lone{state: newState(c.withDefaults()), t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	l.announce = func(name string, _ []byte) { l.announced = append(l.announced, name) }
	l.meet("self", 1)
	n := l.network("net")
	n.joined, n.holdings, n.slots, n.queue = true, map[string]*holding{}, map[entryID]*slot{}, newQueue()
	l.attach(n, message.Join)
	l.announced = nil
	return l
}

// meet makes a node an active one, with the address 192.0.2.number.
func (l *lone) meet(name string, number byte) {
	l.nodeAlive(&memberlist.Node{Name: name, Addr: net.IPv4(192, 0, 2, number), Port: 7946, Meta: []byte(digestMeta)}, l.now)
}

func (l *lone) joins(name string, at uint64) bool {
	return l.networkEvent(message.NetworkEvent{Presence: message.Join, Time: at, Node: name, Network: "net"}, false, l.now)
}

func (l *lone) leaves(name string, at uint64) bool {
	return l.networkEvent(message.NetworkEvent{Presence: message.Leave, Time: at, Node: name, Network: "net"}, false, l.now)
}

func event(action message.Action, owner, key, value string, at uint64) message.TableEvent {
	return message.TableEvent{Action: action, Time: at, Node: owner, Network: "net", Table: "t", Key: key, Value: []byte(value)}
}

func (l *lone) hears(e message.TableEvent) { l.tableEvent(e, byGossip, l.now) }

// value returns what is shown of a key, "" if nothing.
func (l *lone) value(key string) string {
	if e := l.shown("net", "t", key); e != nil {
		return string(e.value)
	}
	return ""
}

func (l *lone) want(key, value string) {
	l.t.Helper()
	if got := l.value(key); got != value {
		l.t.Errorf("%q shows %q, want %q", key, got, value)
	}
}

func TestNewestVersionStays(t *testing.T) {
	l := newLone(t, nil)
	l.meet("a", 2)
	l.joins("a", 1)
	l.hears(event(message.Create, "a", "k", "one", 5))
	l.hears(event(message.Update, "a", "k", "old", 4))
	l.want("k", "one")
	l.hears(event(message.Update, "a", "k", "two", 6))
	l.want("k", "two")
	l.hears(event(message.Delete, "a", "k", "", 8))
	l.want("k", "")
	l.hears(event(message.Update, "a", "k", "late", 7))
	l.want("k", "")
	// The same time with other contents: all nodes pick the same.
	l.hears(event(message.Create, "a", "tie", "b", 9))
	l.hears(event(message.Create, "a", "tie", "a", 9))
	l.want("tie", "b")
	l.hears(event(message.Create, "a", "tie", "c", 9))
	l.want("tie", "c")
	l.hears(event(message.Delete, "a", "tie", "", 9))
	l.want("tie", "")
}

func TestShownOnlyWhileTheOwnerIsThere(t *testing.T) {
	l := newLone(t, nil)
	l.hears(event(message.Create, "a", "k", "v", 5)) // before anything is known of a
	l.want("k", "")
	l.joins("a", 1)
	l.want("k", "")
	l.meet("a", 2)
	l.want("k", "v")
	l.nodeDead("a", l.now)
	l.want("k", "")
	l.meet("a", 2)
	l.want("k", "v")
	l.leaves("a", 2)
	l.want("k", "")
	l.joins("a", 3) // what it had in the network went with it
	l.want("k", "")
	l.hears(event(message.Create, "a", "k", "again", 6))
	l.want("k", "again")
	l.nodeEvent(message.NodeEvent{Presence: message.Leave, Time: 7, Node: "a"}, l.now)
	l.want("k", "")
	l.hears(event(message.Create, "a", "k", "after", 8))
	l.meet("a", 2)
	l.joins("a", 9)
	l.want("k", "")
	if l.bytes != 0 {
		t.Errorf("%d bytes are left", l.bytes)
	}
}

func TestTwoOwnersOfOneKey(t *testing.T) {
	l := newLone(t, nil)
	l.meet("a", 2)
	l.meet("b", 3)
	l.joins("a", 1)
	l.joins("b", 1)
	l.hears(event(message.Create, "a", "k", "of a", 5))
	l.hears(event(message.Create, "b", "k", "of b", 6))
	l.want("k", "of b")
	l.nodeDead("b", l.now)
	l.want("k", "of a")
	l.meet("b", 3)
	l.hears(event(message.Update, "a", "k", "of a again", 7))
	l.want("k", "of a again")
	l.hears(event(message.Delete, "a", "k", "", 8))
	l.want("k", "of b")
}

func TestAnotherNameAtTheSameAddress(t *testing.T) {
	l := newLone(t, nil)
	l.meet("a", 2)
	l.joins("a", 1)
	l.hears(event(message.Create, "a", "k", "v", 5))
	l.meet("a-again", 2)
	l.want("k", "")
	if got := l.nodes["a"].standing(); got != left {
		t.Errorf("the node that had the address is %s", got)
	}
	if l.joins("a", 9) {
		t.Error("it can still join a network")
	}
}

func TestContradictsWhatIsSaidInItsName(t *testing.T) {
	l := newLone(t, nil)
	n := l.networks["net"]
	l.hears(event(message.Create, "self", "earlier", "life", 50))
	if e := n.holdings["self"].entries[entryID{"t", "earlier"}]; !e.deleted || e.time <= 50 {
		t.Errorf("an entry of an earlier life became %+v", e)
	}
	l.setOwn(n, entryID{"t", "mine"}, []byte("v"), message.Create, l.now)
	before := l.own(n, entryID{"t", "mine"}).time
	l.hears(event(message.Create, "self", "mine", "v", before)) // an echo
	if got := l.own(n, entryID{"t", "mine"}).time; got != before {
		t.Error("an echo was contradicted")
	}
	l.hears(event(message.Delete, "self", "mine", "", before+10))
	if got := l.own(n, entryID{"t", "mine"}); got == nil || got.time <= before+10 {
		t.Errorf("a deletion was not contradicted: %+v", got)
	}
	l.hears(event(message.Create, "self", "mine", "other", l.tableClock.now))
	l.want("mine", "v")

	l.announced = nil
	l.networkEvent(message.NetworkEvent{Presence: message.Leave, Time: 100, Node: "self", Network: "net"}, true, l.now)
	l.networkEvent(message.NetworkEvent{Presence: message.Join, Time: 100, Node: "self", Network: "other"}, true, l.now)
	l.nodeEvent(message.NodeEvent{Presence: message.Leave, Time: 200, Node: "self"}, l.now)
	if want := []string{"network self net", "network self other", "node self"}; !slices.Equal(l.announced, want) {
		t.Errorf("announced %q, want %q", l.announced, want)
	}
	if !n.attached("self") || n.members["self"].time <= 100 || l.networks["other"].attached("self") {
		t.Error("the attachments are not what they were")
	}
}

func TestForgetting(t *testing.T) {
	l := newLone(t, nil)
	l.meet("a", 2)
	l.joins("a", 1)
	l.hears(event(message.Create, "a", "k", "v", 5))
	l.hears(event(message.Delete, "a", "k", "", 6))
	soon := event(message.Delete, "a", "soon", "", 7)
	soon.Residual = 60
	l.hears(soon)
	after := func(d time.Duration, entries, members, nodes int) {
		t.Helper()
		l.now = l.now.Add(d)
		l.reap(l.now)
		held := 0
		for _, h := range l.networks["net"].holdings {
			held += len(h.entries)
		}
		if held != entries || len(l.networks["net"].members) != members || len(l.nodes) != nodes {
			t.Errorf("after %s more: %d entries, %d members, %d nodes, want %d, %d, %d", d, held,
				len(l.networks["net"].members), len(l.nodes), entries, members, nodes)
		}
	}
	after(30*time.Second, 2, 2, 2)
	after(31*time.Second, 1, 2, 2)
	if sent := l.networks["net"].holdings["a"].entries[entryID{"t", "k"}].event("net", message.Create, l.now); sent.Residual != 1739 {
		t.Errorf("after 61 s a deletion is passed on for %d s", sent.Residual)
	}
	after(29*time.Minute, 0, 2, 2)

	// Deletions of who knows nothing of it, and not how old it is, are not remembered.
	l.tableEvent(event(message.Delete, "a", "unknown", "", 8), bySync, l.now)
	after(0, 0, 2, 2)

	l.hears(event(message.Create, "stranger", "k", "v", 9))
	l.joins("passer-by", 10)
	after(0, 1, 3, 2)
	after(6*time.Minute, 1, 2, 2)
	after(25*time.Minute, 0, 2, 2)

	l.hears(event(message.Create, "a", "stays", "v", 11))
	l.nodeDead("a", l.now)
	after(23*time.Hour, 1, 2, 2)
	l.meet("a", 2)
	l.want("stays", "v")
	l.nodeDead("a", l.now)
	after(25*time.Hour, 0, 1, 1)

	l.meet("a", 2)
	l.joins("a", 12)
	l.leaves("a", 13)
	after(30*time.Minute, 0, 2, 2)
	if l.networkEvent(message.NetworkEvent{Presence: message.Leave, Time: 13, Node: "a", Network: "elsewhere"}, true, l.now) {
		t.Error("hearsay of who left where nobody was is news")
	}
	after(26*time.Second, 0, 1, 2)
	if l.attached != 1 || l.strangers != 0 || l.bytes != 0 {
		t.Errorf("counts %d attachments, %d of strangers, and %d bytes", l.attached, l.strangers, l.bytes)
	}
}

func TestBounds(t *testing.T) {
	l := newLone(t, func(c *Config) { c.MaxBytes = 10000 })
	l.meet("a", 2)
	l.joins("a", 1)
	long := string(bytes.Repeat([]byte("x"), MaxKeyLength+1))
	for name, e := range map[string]message.TableEvent{
		"a long key":    event(message.Create, "a", long, "v", 5),
		"no key":        event(message.Create, "a", "", "v", 5),
		"a long value":  event(message.Create, "a", "k", string(make([]byte, MaxValueLength+1)), 5),
		"no owner":      event(message.Create, "", "k", "v", 5),
		"a long owner":  event(message.Create, long[:MaxNameLength+1], "k", "v", 5),
		"no action":     event(0, "a", "k", "v", 5),
		"other action":  event(4, "a", "k", "v", 5),
		"the far end":   event(message.Create, "a", "k", "v", 1<<63),
		"too many":      event(message.Create, "a", "k", string(make([]byte, 10000)), 5),
		"the last time": event(message.Create, "a", "k", "v", ^uint64(0)),
	} {
		before := l.refused
		l.hears(e)
		if l.refused != before+1 || len(l.networks["net"].holdings) != 0 {
			t.Errorf("%s was not refused", name)
		}
	}
	if l.tableClock.now > 10 {
		t.Errorf("the clock was moved to %d", l.tableClock.now)
	}
	for name, e := range map[string]message.NetworkEvent{
		"no node":      {Presence: message.Join, Time: 9, Network: "net"},
		"no network":   {Presence: message.Join, Time: 9, Node: "a"},
		"no presence":  {Time: 9, Node: "a", Network: "net"},
		"a long name":  {Presence: message.Join, Time: 9, Node: "a", Network: long},
		"the far end":  {Presence: message.Join, Time: 1 << 63, Node: "a", Network: "net"},
		"its far node": {Presence: message.Join, Time: 9, Node: long, Network: "net"},
	} {
		before := l.refused
		if l.networkEvent(e, false, l.now) || l.refused != before+1 {
			t.Errorf("%s was not refused", name)
		}
	}
	for i := range maxStrangers + 10 {
		l.joins(fmt.Sprintf("stranger-%d", i), 9)
	}
	if l.strangers != maxStrangers {
		t.Errorf("%d strangers are remembered, want %d", l.strangers, maxStrangers)
	}
}

func TestEntryOrderOfArrivalDoesNotMatter(t *testing.T) {
	events := []message.TableEvent{
		event(message.Create, "a", "k", "1", 1), event(message.Update, "a", "k", "2", 2), event(message.Delete, "a", "k", "", 3),
		event(message.Create, "a", "k", "4", 4), event(message.Create, "b", "k", "b", 4), event(message.Update, "a", "k", "4'", 4),
	}
	permute(events, func(order []message.TableEvent) {
		l := newLone(t, nil)
		l.meet("a", 2)
		l.meet("b", 3)
		l.joins("a", 1)
		l.joins("b", 1)
		for _, e := range order {
			l.hears(e)
		}
		l.want("k", "b") // of two owners at the same time, the one with the greater name
		if got := string(l.networks["net"].holdings["a"].entries[entryID{"t", "k"}].value); got != "4'" {
			t.Errorf("a has %q after %v", got, order)
		}
	})
}

// permute calls fn with every order of the list.
func permute[T any](list []T, fn func([]T)) {
	var at func(n int)
	at = func(n int) {
		if n == len(list) {
			fn(list)
			return
		}
		for i := n; i < len(list); i++ {
			list[n], list[i] = list[i], list[n]
			at(n + 1)
			list[n], list[i] = list[i], list[n]
		}
	}
	at(0)
}
