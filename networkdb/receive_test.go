package networkdb

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/docker/libnetwork/networkdb/message"
)

// deaf returns a database that sends nothing, and its state.
func deaf(t *testing.T) (*NetworkDB, *lone) {
	l := newLone(t, func(c *Config) { c.MaxBytes = 1 << 20 })
	l.meet("a", 2)
	l.joins("a", 1)
	return &NetworkDB{
		config: l.config, log: l.log, state: l.state, news: make(chan struct{}, 1), out: nobody{},
		awaited: map[string][]chan struct{}{}, answers: allowance{perSecond: answersPerSecond},
	}, l
}

func TestMessagesWithinMessagesAreRefused(t *testing.T) {
	d, l := deaf(t)
	create := event(message.Create, "a", "k", "v", 5).Encode()
	compound := message.Compound{Messages: [][]byte{create}}.Encode()
	bulk := message.BulkSync{Node: "a", Payload: compound}.Encode()
	for name, data := range map[string][]byte{
		"a compound in a compound":      message.Compound{Messages: [][]byte{compound}}.Encode(),
		"a bulk sync in a compound":     message.Compound{Messages: [][]byte{bulk}}.Encode(),
		"a bulk sync in a bulk sync":    message.BulkSync{Node: "a", Payload: message.Compound{Messages: [][]byte{bulk}}.Encode()}.Encode(),
		"a compound in one, in another": message.BulkSync{Node: "a", Payload: message.Compound{Messages: [][]byte{compound}}.Encode()}.Encode(),
	} {
		if err := d.handle(data, byGossip, true); !errors.Is(err, errNested) {
			t.Errorf("%s: %v", name, err)
		}
		l.want("k", "")
	}
	for _, data := range [][]byte{create, compound, bulk} {
		if err := d.handle(data, byGossip, true); err != nil {
			t.Error(err)
		}
		l.want("k", "v")
	}
	// What is malformed does not keep the rest out, and is counted.
	before := l.refused
	d.receive(message.Compound{Messages: [][]byte{{0xff}, event(message.Create, "a", "l", "w", 6).Encode()}}.Encode())
	l.want("l", "w")
	if l.refused != before+1 {
		t.Errorf("%d refused, want %d", l.refused, before+1)
	}
}

func TestClockLeaps(t *testing.T) {
	var c clock
	if c.witness(firstLeap+1) || !c.witness(firstLeap) {
		t.Error("a young clock takes the wrong times")
	}
	if c.witness(firstLeap+maxLeap+1) || !c.witness(firstLeap+maxLeap) || !c.witness(3) {
		t.Error("an old clock takes the wrong times")
	}
	if got := c.tick(); got != firstLeap+maxLeap+1 {
		t.Errorf("the clock is at %d", got)
	}
}

func TestOffersOfManyNetworks(t *testing.T) {
	l := newLone(t, nil)
	l.meet("a", 2)
	offered := map[string]bool{}
	for i := range 1000 {
		n := l.network(fmt.Sprintf("%064d", i))
		n.joined, n.holdings, n.slots, n.queue = true, map[string]*holding{}, map[entryID]*slot{}, newQueue()
		l.networkEvent(message.NetworkEvent{Presence: message.Join, Time: 1, Node: "a", Network: n.id}, false, l.now)
	}
	for range 100 {
		out := l.offer("a")
		if len(out) != offerPackets {
			t.Fatalf("%d packets", len(out))
		}
		for _, s := range out {
			if s.reliable || len(s.data) > l.config.packet() {
				t.Fatalf("%d bytes do not go by packet", len(s.data))
			}
			_, data, _ := message.Decode(s.data)
			c, err := message.DecodeCompound(data)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range c.Digest.Networks {
				offered[n.Network] = true
			}
		}
	}
	if len(offered) != 1000 {
		t.Errorf("%d networks of 1000 have been offered", len(offered))
	}
}

func TestAllowance(t *testing.T) {
	a := allowance{perSecond: 2}
	now := time.Now()
	for i, want := range []bool{true, true, false, true} {
		if i == 3 {
			now = now.Add(time.Second)
		}
		if got := a.take(now); got != want {
			t.Errorf("the one numbered %d is allowed: %t", i, got)
		}
	}
}

func TestRoundIsBounded(t *testing.T) {
	l := newLone(t, nil)
	for i := range 5 {
		l.meet(fmt.Sprint("node-", i), byte(i+2))
	}
	for i := range 50 {
		n := l.network(fmt.Sprint("net-", i))
		n.joined, n.holdings, n.slots, n.queue = true, map[string]*holding{}, map[entryID]*slot{}, newQueue()
		for k := range 5 {
			l.networkEvent(message.NetworkEvent{Presence: message.Join, Time: 1, Node: fmt.Sprint("node-", k), Network: n.id}, false, l.now)
		}
		l.attach(n, message.Join)
		for k := range 200 {
			l.setOwn(n, entryID{"t", fmt.Sprint(k)}, make([]byte, 100), message.Create, l.now)
		}
	}
	total := 0
	for range 1000 {
		out, more := l.round()
		if total += len(out); len(out) > roundTotal+fanOut*(roundPackets+1) {
			t.Fatalf("a round has %d packets", len(out))
		}
		if !more {
			if total < 50*200*4/10 {
				t.Errorf("only %d packets in all", total)
			}
			return
		}
	}
	t.Error("there is no end")
}
