package networkdb

import (
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb/message"
)

// delegate is what memberlist calls: with messages from others, for messages to them, and
// when nodes come and go. It may hold locks of its own meanwhile.
type delegate struct {
	db *NetworkDB
}

// NodeMeta implements memberlist.Delegate.
func (delegate) NodeMeta(int) []byte { return []byte(digestMeta) }

// NotifyMsg implements memberlist.Delegate.
func (g delegate) NotifyMsg(data []byte) {
	if g.db.ready.Load() {
		g.db.receive(data)
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (g delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return g.db.broadcasts.GetBroadcasts(overhead, limit)
}

// LocalState implements memberlist.Delegate.
func (g delegate) LocalState(bool) []byte {
	g.db.mu.Lock()
	defer g.db.mu.Unlock()
	return g.db.state.attachments().Encode()
}

// MergeRemoteState implements memberlist.Delegate.
func (g delegate) MergeRemoteState(data []byte, _ bool) {
	kind, _, err := message.Decode(data)
	if err == nil && kind != message.TypePushPull {
		return
	}
	g.NotifyMsg(data)
}

// NotifyJoin implements memberlist.EventDelegate.
func (g delegate) NotifyJoin(member *memberlist.Node) {
	g.db.mu.Lock()
	g.db.state.nodeAlive(member, time.Now())
	g.db.countNodes()
	g.db.mu.Unlock()
	if member.Name != g.db.config.NodeID {
		g.db.returned.add(member.Name)
	}
}

// NotifyLeave implements memberlist.EventDelegate.
func (g delegate) NotifyLeave(member *memberlist.Node) {
	g.db.mu.Lock()
	defer g.db.mu.Unlock()
	g.db.state.nodeDead(member.Name, time.Now())
	g.db.countNodes()
}

// NotifyUpdate implements memberlist.EventDelegate.
func (g delegate) NotifyUpdate(member *memberlist.Node) {
	g.db.mu.Lock()
	defer g.db.mu.Unlock()
	g.db.state.nodeUpdated(member)
}

// countNodes keeps the number of active nodes for memberlist's broadcasts, which ask for
// it while the state may be locked.
func (d *NetworkDB) countNodes() {
	count := 0
	for _, n := range d.state.nodes {
		if n.standing() == active {
			count++
		}
	}
	d.active.Store(int64(count))
}

// broadcast is an event about nodes or networks on its way through memberlist.
type broadcast struct {
	name string
	data []byte
}

// Name implements memberlist.NamedBroadcast.
func (b *broadcast) Name() string { return b.name }

// Invalidates implements memberlist.Broadcast.
func (b *broadcast) Invalidates(other memberlist.Broadcast) bool {
	o, ok := other.(*broadcast)
	return ok && o.name == b.name
}

// Message implements memberlist.Broadcast.
func (b *broadcast) Message() []byte { return b.data }

// Finished implements memberlist.Broadcast.
func (*broadcast) Finished() {}

// logLines turns memberlist's lines, which begin with a level, into records. Most tell what
// this package handles anyway, and anybody can cause some by sending rubbish; errors are
// counted, and the last one is kept for whoever wonders.
type logLines struct{ db *NetworkDB }

// Write implements io.Writer.
func (l logLines) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if rest, ok := strings.CutPrefix(text, "[ERR] memberlist: "); ok {
		l.db.counters.errors.Add(1)
		l.db.counters.lastError.Store(&rest)
	}
	if strings.HasPrefix(text, "[WARN]") {
		l.db.log.Info(text)
	} else {
		l.db.log.Debug(text)
	}
	return len(line), nil
}
