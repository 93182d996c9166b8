package networkdb

import (
	"testing"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb/message"
)

// nobody takes everything.
type nobody struct{}

func (nobody) SendBestEffort(*memberlist.Node, []byte) error { return nil }
func (nobody) SendReliable(*memberlist.Node, []byte) error   { return nil }

// FuzzReceive sends anything to a database, as whoever has the key can: it must not
// panic, nor block, nor change what is the node's own, nor keep more than it may.
func FuzzReceive(f *testing.F) {
	create := message.TableEvent{Action: message.Create, Time: 7, Node: "a", Network: "net", Table: "t", Key: "k", Value: []byte("v")}
	forged := create
	forged.Node = "self"
	for _, seed := range [][]byte{
		nil,
		create.Encode(),
		forged.Encode(),
		message.NodeEvent{Presence: message.Leave, Time: 9, Node: "self"}.Encode(),
		message.NetworkEvent{Presence: message.Leave, Time: 9, Node: "self", Network: "net"}.Encode(),
		message.PushPull{Time: 1 << 39, Node: "a", Networks: []message.NetworkEntry{{Network: "net", Node: "a", Time: 5}}}.Encode(),
		message.Compound{Messages: [][]byte{create.Encode(), message.Compound{Messages: [][]byte{forged.Encode()}}.Encode()}}.Encode(),
		message.BulkSync{Time: 3, Unsolicited: true, Node: "a", Networks: []string{"net"}, Payload: message.Compound{Messages: [][]byte{create.Encode()}}.Encode()}.Encode(),
		message.BulkSync{Node: "a", Payload: []byte{0xff}}.Encode(),
	} {
		f.Add(seed)
	}
	for step := message.Step(0); step < 6; step++ {
		f.Add(message.Compound{Digest: &message.Digest{Step: step, Node: "a", SendAttachments: true, Networks: []message.NetworkDigest{
			{Network: "net", Sum: 3, Owners: []message.OwnerDigest{
				{Node: "a", Sum: 4, Entries: []message.Summary{{Key: 1, Time: 2, Sum: 3}}, Want: []uint64{1}}, {Node: "self", Sum: 1},
			}},
		}}}.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, l := deaf(t)
		n := l.networks["net"]
		l.setOwn(n, entryID{"t", "mine"}, []byte("v"), message.Create, l.now)
		d.receive(data)
		d.receive(data)
		l.want("mine", "v")
		if !n.attached("self") || l.nodes["self"].standing() != active {
			t.Error("the node was talked out of where it is")
		}
		if l.bytes > 1<<20 {
			t.Errorf("%d bytes are held", l.bytes)
		}
		l.reap(l.now.Add(l.config.NodeTime * 2))
		held, bytes := 0, 0
		for _, h := range n.holdings {
			var sum uint64
			for _, e := range h.entries {
				held++
				bytes += e.size()
				sum += e.sum
			}
			if sum != h.sum {
				t.Errorf("the sum is %d, and of its parts %d", h.sum, sum)
			}
		}
		if bytes != l.bytes {
			t.Errorf("%d entries have %d bytes, %d were counted", held, bytes, l.bytes)
		}
	})
}
