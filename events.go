package libnetwork

import (
	"context"
	"iter"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/journal"
)

// rememberedEvents is how many events there are for a reader that comes late: some minutes
// of a busy host, in about a megabyte.
const rememberedEvents = 4096

func newEvents() *journal.Log[Event] {
	return journal.New[Event](rememberedEvents, uint64(time.Now().UnixMicro()))
}

func (c *controller) Events(ctx context.Context, after uint64) iter.Seq[Event] {
	return c.events.Read(ctx, after, func(last uint64) Event {
		return Event{Sequence: last, Time: time.Now(), Type: ControllerEvent, Action: EventMissed}
	})
}

// tell adds an event; its number and time are filled in.
func (c *controller) tell(event Event) {
	c.events.Add(func(number uint64) Event {
		event.Sequence, event.Time = number, time.Now()
		return event
	})
}

func (n *network) tell(action EventAction) {
	rec := n.record.Load()
	n.c.tell(Event{Type: NetworkEvent, Action: action, ID: rec.ID, Name: rec.Name, Network: rec.Name, NetworkID: rec.ID})
}

// tell adds an event of the endpoint; sb is the sandbox that it joined or left, or nil.
func (ep *endpoint) tell(action EventAction, sb *sandbox) {
	rec := ep.record.Load()
	event := Event{
		Type: EndpointEvent, Action: action, ID: rec.ID, Name: rec.Name,
		Network: ep.n.Name(), NetworkID: ep.n.ID(),
	}
	if sb != nil {
		event.SandboxID, event.Container = sb.ID(), sb.ContainerID()
	}
	ep.n.c.tell(event)
}

func (sb *sandbox) tell(action EventAction) {
	rec := sb.record.Load()
	sb.c.tell(Event{
		Type: SandboxEvent, Action: action, ID: rec.ID, Name: rec.ContainerID,
		SandboxID: rec.ID, Container: rec.ContainerID,
	})
}

// begin starts to count an operation, which ends when what it returns is called, deferred,
// with the operation's error.
func (c *controller) begin(name string) (end func(*error)) {
	start := time.Now()
	return func(err *error) {
		var kind cnm.Kind
		if *err != nil {
			kind = cnm.KindOf(*err)
		}
		c.tally.Add(name, time.Since(start), *err != nil, kind)
	}
}
