package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
)

// TestIDIsGivenBackOnce has a question end whose ID another one has by then.
func TestIDIsGivenBackOnce(t *testing.T) {
	l := &line{peer: newPeer(NewForwarder(ForwarderOptions{}), netip.AddrPort{}), pending: map[uint16]*exchange{}}
	first, second := new(exchange), new(exchange)
	if err := l.begin(first); err != nil {
		t.Fatal(err)
	}
	delete(l.pending, first.id) // as an answer does
	second.id = first.id
	l.pending[second.id] = second
	l.end(first)
	if l.pending[second.id] != second {
		t.Error("the second question is forgotten with the first")
	}
}

// TestPeersOutOfUseAreForgotten knows more upstreams than are kept. Who still holds one of
// those that are forgotten must not open a socket there, which nobody would close.
func TestPeersOutOfUseAreForgotten(t *testing.T) {
	f := NewForwarder(ForwarderOptions{})
	defer func() { _ = f.Close() }()
	var ends []net.Conn
	upstream := func(i int) Upstream {
		return Upstream{Key: fmt.Sprint(i), Dial: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			ends = append(ends, there)
			return here, nil
		}}
	}
	used, idle := f.peer(upstream(0)), f.peer(upstream(1))
	if _, _, err := used.line(t.Context(), upstream(0), false); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * peersKept {
		f.peer(upstream(i))
	}
	if got := len(f.peers); got > peersKept+1 {
		t.Errorf("%d upstreams are known, want about %d", got, peersKept)
	}
	if f.peer(upstream(0)) != used {
		t.Error("one with a socket is forgotten")
	}
	if _, _, err := idle.line(t.Context(), upstream(1), false); !errors.Is(err, errPruned) {
		t.Errorf("one that is forgotten gives a socket, error %v", err)
	}
	if got := f.sockets.Load(); got != 1 {
		t.Errorf("%d sockets, want 1", got)
	}
	f.Forget("0")
	if _, _, err := used.line(t.Context(), upstream(0), true); !errors.Is(err, errClosed) {
		t.Errorf("one whose place is gone gives a socket, error %v", err)
	}
	if got := f.sockets.Load(); got != 0 {
		t.Errorf("%d sockets, want none", got)
	}
	for _, end := range ends {
		_ = end.Close()
	}
}

// TestSocketsAreBounded has two upstreams and one socket. That there is none for the
// second is not its fault.
func TestSocketsAreBounded(t *testing.T) {
	f := NewForwarder(ForwarderOptions{MaxSockets: 1})
	defer func() { _ = f.Close() }()
	dial := func(context.Context, string, string) (net.Conn, error) {
		here, _ := net.Pipe()
		return here, nil
	}
	one, two := Upstream{Key: "1", Dial: dial}, Upstream{Key: "2", Dial: dial}
	if _, _, err := f.peer(one).line(t.Context(), one, false); err != nil {
		t.Fatal(err)
	}
	q := new(query)
	q.question = append(q.questionBuffer[:0], 1, 'a', 0, 0, 1, 0, 1)
	for range 2 * peerFailures {
		fl := f.ask(nil, q, []Upstream{two})
		<-fl.done
		if !fl.answer.failed {
			t.Errorf("answer %x without a socket", fl.answer.wire)
		}
	}
	if !f.peer(two).healthy() {
		t.Error("the second upstream counts as one that does not answer")
	}
	f.Forget("1")
	if _, _, err := f.peer(two).line(t.Context(), two, false); err != nil {
		t.Errorf("with a socket left: %v", err)
	}
}
