package networkdb

// Event is a [CreateEvent], an [UpdateEvent] or a [DeleteEvent].
type Event interface {
	// Subject returns which entry the event is about.
	Subject() (network, table, key string)
}

// CreateEvent tells that an entry is shown now: it was created, or its owner came back.
type CreateEvent struct {
	NetworkID, Table, Key string
	Value                 []byte
	// Owner is the node that the entry belongs to.
	Owner string
}

// UpdateEvent tells that an entry has another value or owner.
type UpdateEvent struct {
	NetworkID, Table, Key string
	Value                 []byte
	Owner                 string
	// Previous is the value that the watcher was told before.
	Previous []byte
}

// DeleteEvent tells that an entry is not shown any more: it was deleted, or its owner
// failed or left, or this node left the network.
type DeleteEvent struct {
	NetworkID, Table, Key string
	// Value and Owner are those that the watcher was told last.
	Value []byte
	Owner string
}

// Subject implements Event.
func (e CreateEvent) Subject() (network, table, key string) { return e.NetworkID, e.Table, e.Key }

// Subject implements Event.
func (e UpdateEvent) Subject() (network, table, key string) { return e.NetworkID, e.Table, e.Key }

// Subject implements Event.
func (e DeleteEvent) Subject() (network, table, key string) { return e.NetworkID, e.Table, e.Key }
