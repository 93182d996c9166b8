package message

// Type says what a Gossip message carries.
type Type int32

// The types of a gossip message, with their numbers on the wire.
const (
	TypeInvalid      Type = 0
	TypeNetworkEvent Type = 1
	TypeTableEvent   Type = 2
	TypePushPull     Type = 3
	TypeBulkSync     Type = 4
	TypeCompound     Type = 5
	TypeNodeEvent    Type = 6
)

// String names the type as in "table event".
func (t Type) String() string {
	switch t {
	case TypeNetworkEvent:
		return "network event"
	case TypeTableEvent:
		return "table event"
	case TypePushPull:
		return "push-pull"
	case TypeBulkSync:
		return "bulk sync"
	case TypeCompound:
		return "compound"
	case TypeNodeEvent:
		return "node event"
	case TypeInvalid:
	}
	return "invalid"
}

// Presence says, in events about nodes and networks, which way somebody went.
type Presence int32

// The two ways, with their numbers on the wire.
const (
	Join  Presence = 1
	Leave Presence = 2
)

// Action says what happened to a table entry.
type Action int32

// What can happen, with its number on the wire.
const (
	Create Action = 1
	Update Action = 2
	Delete Action = 3
)

// NodeEvent tells that a node joined or left the cluster.
type NodeEvent struct {
	Presence Presence
	// Time is by the Lamport clock for nodes and networks.
	Time uint64
	Node string
}

// NetworkEvent tells that a node was attached to a network, or detached from it.
type NetworkEvent struct {
	Presence Presence
	// Time is by the Lamport clock for nodes and networks.
	Time    uint64
	Node    string
	Network string
}

// NetworkEntry is what a node knows of another one's attachment to a network.
type NetworkEntry struct {
	Network string
	// Time is that of the event which made it so.
	Time uint64
	Node string
	// Leaving tells that the node left the network at Time.
	Leaving bool
}

// PushPull is all that a node knows of who is attached to what.
type PushPull struct {
	// Time is the sender's clock for nodes and networks.
	Time     uint64
	Networks []NetworkEntry
	// Node is the sender; nodes of 2017 leave it empty.
	Node string
}

// TableEvent tells what an entry of a table became. Only the owner of the entry makes
// such events; all nodes pass them on.
type TableEvent struct {
	Action Action
	// Time is by the Lamport clock for tables.
	Time uint64
	// Node is the owner.
	Node    string
	Network string
	Table   string
	Key     string
	Value   []byte
	// Residual is, in deletions, how many seconds more the deletion is to be
	// remembered; zero means the receiver's full time. Nodes of 2017 leave it out.
	Residual int32
}

// BulkSync carries all entries of the networks that two nodes share.
type BulkSync struct {
	// Time is the sender's clock for tables.
	Time uint64
	// Unsolicited asks for an answer, which has false here.
	Unsolicited bool
	Node        string
	Networks    []string
	// Payload is an encoded Gossip message: a compound of table events.
	Payload []byte
}

// Compound is several encoded Gossip messages in one.
type Compound struct {
	Messages [][]byte
	// Digest is nil in messages of other implementations, who skip it in ours.
	Digest *Digest
}

// Step is a position in the conversation about differences, see [Digest].
type Step uint64

// The steps of the conversation, in their order.
const (
	// Offer gives one sum for each network, and those for all nodes and attachments.
	Offer Step = 1
	// Owners gives, for networks whose sum differed, one sum for each owner.
	Owners Step = 2
	// Entries gives, for owners whose sum differed, a summary of each entry.
	Entries Step = 3
	// Want lists the entries that the sender lacks.
	Want Step = 4
	// Agreed lists, for who asked with Confirm, the networks whose sum was equal.
	Agreed Step = 5
)

// Digest lets two nodes find out which entries one of them lacks, without sending those
// that both have. Whoever gets a step answers with the next one, about that in which
// the two differ, and with the events that the other lacks.
type Digest struct {
	Step Step
	Node string
	// Members and Attachments are, in an Offer, sums over the active nodes and over what
	// they are attached to.
	Members, Attachments uint64
	// SendAttachments asks for a PushPull message.
	SendAttachments bool
	// Confirm, in an Offer, asks to be told also what is equal.
	Confirm  bool
	Networks []NetworkDigest
}

// NetworkDigest is the part of a Digest about one network.
type NetworkDigest struct {
	Network string
	// Sum is, in an Offer, the sum over the network's entries.
	Sum    uint64
	Owners []OwnerDigest
}

// OwnerDigest is the part about entries of one owner.
type OwnerDigest struct {
	Node string
	// Sum is that of the owner's entries, in the step Owners.
	Sum uint64
	// Entries are summaries, in the step Entries.
	Entries []Summary
	// Want has the Key of summaries, in the step Want.
	Want []uint64
}

// Summary stands for one entry.
type Summary struct {
	// Key is a hash of the table and the key.
	Key uint64
	// Time is that of the entry.
	Time uint64
	// Sum is a hash of the whole entry; zero if it is deleted.
	Sum uint64
}
