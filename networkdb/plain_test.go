package networkdb_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb/message"
)

// plain is a node as other implementations are: it has no metadata, knows no digests, and
// answers a bulk sync by hand. It keeps all it is sent.
type plain struct {
	members *memberlist.Memberlist
	queue   *memberlist.TransmitLimitedQueue
	name    string

	mu       sync.Mutex
	received []string // in hexadecimal, what was received by gossip or stream
	digests  int
	answers  int
	entries  []message.TableEvent
	networks []message.NetworkEntry
}

// rumor is an event on its way.
type rumor []byte

func (r rumor) Invalidates(memberlist.Broadcast) bool { return false }
func (r rumor) Message() []byte                       { return r }
func (rumor) Finished()                               {}

func (p *plain) NodeMeta(int) []byte { return nil }

func (p *plain) GetBroadcasts(overhead, limit int) [][]byte {
	return p.queue.GetBroadcasts(overhead, limit)
}

func (p *plain) LocalState(bool) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return message.PushPull{Time: 3, Networks: p.networks}.Encode() // without a sender, as in 2017
}

func (p *plain) MergeRemoteState(data []byte, _ bool) {
	kind, _, err := message.Decode(data)
	if err != nil || kind != message.TypePushPull {
		panic(fmt.Sprint("state: ", kind, err))
	}
}

func (p *plain) NotifyMsg(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.take(data)
}

func (p *plain) take(data []byte) {
	kind, inner, err := message.Decode(data)
	if err != nil {
		panic(err)
	}
	switch kind {
	case message.TypeCompound:
		c, err := message.DecodeCompound(inner)
		if err != nil {
			panic(err)
		}
		if c.Digest != nil {
			p.digests++
		}
		for _, m := range c.Messages {
			p.take(m)
		}
		return
	case message.TypeBulkSync:
		b, err := message.DecodeBulkSync(inner)
		if err != nil {
			panic(err)
		}
		if b.Unsolicited {
			p.answers++
			go p.answer(b)
		}
	}
	if text := hex.EncodeToString(data); !slices.Contains(p.received, text) {
		p.received = append(p.received, text)
	}
}

func (p *plain) answer(b message.BulkSync) {
	p.mu.Lock()
	var payload message.Compound
	for _, e := range p.entries {
		payload.Messages = append(payload.Messages, e.Encode())
	}
	p.mu.Unlock()
	answer := message.BulkSync{Time: 9, Node: p.name, Networks: b.Networks, Payload: payload.Encode()}
	for _, m := range p.members.Members() {
		if m.Name == b.Node {
			_ = p.members.SendReliable(m, answer.Encode())
		}
	}
}

// got tells whether a message, written out in hexadecimal with blanks, was received.
func (p *plain) got(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.received, strings.ReplaceAll(text, " ", ""))
}

func newPlain(t *testing.T, name string, transport memberlist.Transport, keys ...[]byte) *plain {
	t.Helper()
	p := &plain{name: name}
	p.queue = &memberlist.TransmitLimitedQueue{RetransmitMult: 4, NumNodes: func() int { return 3 }}
	c := memberlist.DefaultLANConfig()
	c.Name, c.Transport, c.Delegate, c.LogOutput = name, transport, p, io.Discard
	c.Logger = log.New(io.Discard, "", 0)
	c.LogOutput = nil
	if len(keys) > 0 {
		c.SecretKey = keys[0]
	}
	members, err := memberlist.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	p.members = members
	return p
}

// TestOtherImplementation is the exchange with a node that knows only what is common. The
// messages it gets are written out, field by field, as in package message.
func TestOtherImplementation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachines(t, 1, nil)
		m.dbs[0].Close()
		db := m.start(0, "us")
		defer m.close()
		p := newPlain(t, "them", m.lan.plug(1))
		defer func() {
			must(t, p.members.Shutdown())
			if t.Failed() {
				t.Logf("they got %q", p.received)
			}
		}()
		if _, err := p.members.Join([]string{"10.0.0.1:7946"}); err != nil {
			t.Fatal(err)
		}
		p.entries = []message.TableEvent{
			{Action: message.Create, Time: 8, Node: "them", Network: "net", Table: "t", Key: "theirs", Value: []byte("1")},
			{Action: message.Delete, Time: 7, Node: "them", Network: "net", Table: "t", Key: "gone"},
		}
		p.networks = []message.NetworkEntry{{Network: "net", Time: 3, Node: "them"}}
		p.queue.QueueBroadcast(rumor(message.NodeEvent{Presence: message.Join, Time: 2, Node: "them"}.Encode()))
		p.queue.QueueBroadcast(rumor(message.NetworkEvent{Presence: message.Join, Time: 3, Node: "them", Network: "net"}.Encode()))
		soon := func(what string, holds func() bool) { t.Helper(); within(t, 2*time.Second, what, holds) }
		soon("they are a peer", func() bool { return len(db.Peers("net")) == 1 })

		begin := time.Now()
		must(t, db.JoinNetwork(t.Context(), "net"))
		if took := time.Since(begin); took > time.Second {
			t.Errorf("joining took %s", took)
		}
		if got := contents(db, "t"); got != "net theirs=1 of them" {
			t.Errorf("after joining: %q", got)
		}
		// Bulk sync: clock 0, unsolicited, from "us", network "net", an empty compound.
		soon("they got the bulk sync", func() bool { return p.got("08 04 12 0f  10 01  1a 02 7573  22 03 6e6574  2a 02 0805") })
		// Join of "net" by "us" at time 4, after their 3.
		soon("they know that we joined", func() bool { return p.got("08 01 12 0d  08 01  10 04  1a 02 7573  22 03 6e6574") })

		// Their table clock was 9 when they answered; ours goes on from there.
		must(t, db.CreateEntry("t", "net", "k", []byte("v")))
		soon("create", func() bool {
			return p.got("08 02 12 16  08 01  10 0a  1a 02 7573  22 03 6e6574  2a 01 74  32 01 6b  3a 01 76")
		})
		must(t, db.UpdateEntry("t", "net", "k", []byte("w")))
		soon("update", func() bool {
			return p.got("08 02 12 16  08 02  10 0b  1a 02 7573  22 03 6e6574  2a 01 74  32 01 6b  3a 01 77")
		})
		must(t, db.DeleteEntry("t", "net", "k"))
		soon("delete, to be remembered for 1800 s", func() bool {
			return p.got("08 02 12 16  08 03  10 0c  1a 02 7573  22 03 6e6574  2a 01 74  32 01 6b  40 880e")
		})

		us := p.members.Members()[slices.IndexFunc(p.members.Members(), func(n *memberlist.Node) bool { return n.Name == "us" })]
		update := message.TableEvent{Action: message.Update, Time: 20, Node: "them", Network: "net", Table: "t", Key: "theirs", Value: []byte("2")}
		must(t, p.members.SendBestEffort(us, message.Compound{Messages: [][]byte{update.Encode()}}.Encode()))
		soon("their update", func() bool { return contents(db, "t") == "net theirs=2 of them" })

		p.mu.Lock()
		before := p.answers
		p.entries = append(p.entries, message.TableEvent{
			Action: message.Create, Time: 30, Node: "them", Network: "net", Table: "t", Key: "never told", Value: []byte("3"),
		})
		p.mu.Unlock()
		within(t, 40*time.Second, "the next bulk sync", func() bool { return db.Count("t") == 2 })
		must(t, db.LeaveNetwork("net"))
		soon("they know that we left", func() bool { return p.got("08 01 12 0d  08 02  10 05  1a 02 7573  22 03 6e6574") })
		p.mu.Lock()
		if p.answers != before+1 || p.digests != 0 {
			t.Errorf("%d bulk syncs, want %d, and %d digests, want none", p.answers, before+1, p.digests)
		}
		p.mu.Unlock()
		must(t, p.members.Shutdown())
		within(t, 30*time.Second, "they have failed", func() bool { return len(db.ClusterPeers()) == 1 })
	})
}

// key is one for AES-128.
func key(fill byte) []byte { return slices.Repeat([]byte{fill}, 16) }

func TestWrongKey(t *testing.T) {
	const secret = "a-value-that-nobody-outside-may-see"
	for name, keys := range map[string][][]byte{"another key": {key(2)}, "no key": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachines(t, 0, nil)
				seen := &sniffer{text: secret}
				m.lan.tap = seen.look
				m.withKeys(key(1))
				for i := range 3 {
					m.start(i, fmt.Sprintf("node-%d", i))
				}
				defer m.close()
				m.joinAll("net")
				m.complete(10*time.Second, "net")
				must(t, m.dbs[0].CreateEntry("t", "net", "k", []byte(secret)))

				p := newPlain(t, "outsider", m.lan.plug(9), keys...)
				if n, err := p.members.Join([]string{"10.0.0.1:7946", "10.0.0.2:7946"}); err == nil {
					t.Errorf("the outsider joined %d nodes", n)
				}
				forged := message.TableEvent{Action: message.Create, Time: 50, Node: "node-1", Network: "net", Table: "t", Key: "forged"}
				for i := range 3 {
					to := memberlist.Address{Addr: fmt.Sprintf("10.0.0.%d:7946", i+1), Name: fmt.Sprintf("node-%d", i)}
					must(t, p.members.SendToAddress(to, forged.Encode()))
				}
				m.withKeys(keys...)
				other := m.startAlone(8, "other")
				if err := other.Join(t.Context(), []string{"10.0.0.1"}); err == nil {
					t.Error("a database with the wrong key joined")
				}
				must(t, other.JoinNetwork(t.Context(), "net"))
				time.Sleep(40 * time.Second)
				p.mu.Lock()
				if other.Count("t") != 0 || len(p.received) != 0 {
					t.Errorf("outsiders have %d entries and %d messages", other.Count("t"), len(p.received))
				}
				p.mu.Unlock()
				if s := m.dbs[0].Status(); s.Errors == 0 || !strings.Contains(s.LastError, "crypt") {
					t.Errorf("of %d errors the last one is %q", s.Errors, s.LastError)
				}
				delete(m.dbs, 8)
				for _, db := range m.dbs {
					if len(db.ClusterPeers()) != 3 || contents(db, "t") != "net k="+secret+" of node-0" {
						t.Errorf("%s has %v, and %q", db.NodeID(), db.ClusterPeers(), contents(db, "t"))
					}
				}
				if found, looked := seen.result(); found || !looked {
					t.Error("the value was sent in the clear")
				}
				other.Close()
				must(t, p.members.Shutdown())
			})
		})
	}
}

// sniffer looks for a text in what is sent.
type sniffer struct {
	text string

	mu            sync.Mutex
	looked, found bool
}

func (s *sniffer) look(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = true
	s.found = s.found || strings.Contains(string(data), s.text)
}

func (s *sniffer) result() (found, looked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found, s.looked
}

func TestSnifferFindsPlainText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachines(t, 0, nil)
		seen := &sniffer{text: "in the clear"}
		m.lan.tap = seen.look
		m.start(0, "a")
		m.start(1, "b")
		m.joinAll("net")
		m.complete(10*time.Second, "net")
		must(t, m.dbs[0].CreateEntry("t", "net", "k", []byte("in the clear")))
		within(t, time.Second, "it is there", func() bool { return m.know("t", 1) })
		if found, _ := seen.result(); !found {
			t.Error("the sniffer does not work")
		}
		m.close()
	})
}

func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachines(t, 0, nil)
		m.withKeys(key(1), key(2), key(3))
		for i := range 3 {
			m.start(i, fmt.Sprintf("node-%d", i))
		}
		defer m.close()
		m.joinAll("net")
		each := func(do func(number int) error) {
			t.Helper()
			for i := range m.dbs {
				must(t, do(i))
			}
			must(t, m.dbs[0].CreateEntry("t", "net", fmt.Sprint(time.Now().UnixNano()), nil))
			count := m.dbs[0].Count("t")
			within(t, time.Second, "an entry is everywhere", func() bool { return m.know("t", count) })
			time.Sleep(10 * time.Second)
		}
		each(func(i int) error { return m.dbs[i].SetKey(key(4)) })
		each(func(i int) error { return m.dbs[i].SetPrimaryKey(key(4)) })
		each(func(i int) error { return m.dbs[i].RemoveKey(key(1)) })
		each(func(i int) error { return m.dbs[i].RemoveKey(key(2)) })
		each(func(i int) error { return m.dbs[i].RemoveKey(key(9)) }) // which is not there
		if err := m.dbs[0].RemoveKey(key(4)); !errors.Is(err, forbidden) {
			t.Errorf("removing the primary key: %v", err)
		}
		if err := m.dbs[0].SetPrimaryKey(key(1)); !errors.Is(err, notFound) {
			t.Errorf("a removed key as the primary one: %v", err)
		}
		if err := m.dbs[0].SetKey([]byte("short")); !errors.Is(err, invalid) {
			t.Errorf("a short key: %v", err)
		}
		m.complete(10*time.Second, "net")
	})
}
