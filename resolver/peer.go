package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds of what is kept of an upstream.
const (
	peerPorts   = 4  // UDP sockets at a time, with those that are used up
	peerStreams = 2  // TCP connections at a time
	peerBusy    = 32 // questions on each line before there is another one
	// peerFailures in a row make an upstream one to ask last, for peerDown: one lost
	// datagram is none's fault, and a server that comes back is soon asked again.
	peerFailures = 2
	peerDown     = 5 * time.Second
	// peersKept is how many upstreams may be known before those out of use are forgotten.
	peersKept = 256
)

// Reasons that are none of an upstream's.
var (
	errSockets = errors.New("too many sockets to name servers")
	errPruned  = errors.New("name server was out of use")
)

// peerKey tells upstreams apart.
type peerKey struct {
	key     string
	address netip.AddrPort
}

// peer is an upstream, with its lines and its health.
type peer struct {
	forwarder *Forwarder
	address   string
	udp, tcp  pool

	mu       sync.Mutex // guards what follows
	failures int        // in a row
	probe    time.Time  // when it is asked first again
}

// pool are lines of one kind.
type pool struct {
	// dial is held by who makes a line: the others wait, as the new one may do for them.
	dial chan struct{}

	mu    sync.Mutex
	lines []*line // with those that are retired
	gone  error   // why there will be no more
}

func newPeer(f *Forwarder, address netip.AddrPort) *peer {
	p := &peer{forwarder: f, address: address.String()}
	p.udp.dial, p.tcp.dial = make(chan struct{}, 1), make(chan struct{}, 1)
	return p
}

func (p *peer) pool(stream bool) *pool {
	if stream {
		return &p.tcp
	}
	return &p.udp
}

// pick returns a line that is not busy, if one is there, and whether there may be another.
func (p *pool) pick(most int) (found *line, more bool) {
	now := time.Now()
	var old []*line
	p.mu.Lock()
	least, start := 0, 0
	if len(p.lines) > 0 {
		start = rand.IntN(len(p.lines))
	}
	for i := range p.lines {
		l := p.lines[(start+i)%len(p.lines)]
		pending, ok := l.load(now)
		if !ok {
			old = append(old, l)
		} else if found == nil || pending < least {
			found, least = l, pending
		}
	}
	more = len(p.lines) < most && (found == nil || least >= peerBusy)
	p.mu.Unlock()
	for _, l := range old {
		l.retire()
	}
	return found, more || found == nil
}

// line returns a line for a question; fresh tells that it was made for it.
func (p *peer) line(ctx context.Context, u Upstream, stream bool) (l *line, fresh bool, err error) {
	pool, most := p.pool(stream), peerPorts
	if stream {
		most = peerStreams
	}
	l, more := pool.pick(most)
	if !more {
		return l, false, nil
	}
	select {
	case pool.dial <- struct{}{}:
	default:
		if l != nil {
			return l, false, nil
		}
		select {
		case pool.dial <- struct{}{}:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	defer func() { <-pool.dial }()
	if l, more = pool.pick(most); !more {
		return l, false, nil
	}
	l, err = p.connect(ctx, u, stream)
	return l, true, err
}

// connect makes a line.
func (p *peer) connect(ctx context.Context, u Upstream, stream bool) (*line, error) {
	f := p.forwarder
	if f.sockets.Add(1) > int64(f.options.MaxSockets) {
		f.sockets.Add(-1)
		return nil, errSockets
	}
	network, dial := "udp", u.Dial
	if stream {
		network = "tcp"
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, p.address)
	if err != nil {
		f.sockets.Add(-1)
		return nil, fmt.Errorf("connect to %s by %s: %w", p.address, network, err)
	}
	now := time.Now()
	l := &line{peer: p, conn: conn, stream: stream, born: now, used: now, pending: make(map[uint16]*exchange)}
	if err := p.pool(stream).add(l); err != nil {
		_ = conn.Close()
		f.sockets.Add(-1)
		return nil, err
	}
	if !f.spawn(l.read) {
		l.close(errClosed)
		return nil, errClosed
	}
	return l, nil
}

// add keeps a line, unless nobody would find it there.
func (p *pool) add(l *line) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone == nil {
		p.lines = append(p.lines, l)
	}
	return p.gone
}

// remove forgets a line that is closed.
func (p *peer) remove(l *line) {
	pool := p.pool(l.stream)
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if i := slices.Index(pool.lines, l); i >= 0 {
		pool.lines = slices.Delete(pool.lines, i, i+1)
		p.forwarder.sockets.Add(-1)
	}
}

// close ends all lines, and lets no more be made.
func (p *peer) close(why error) {
	for _, pool := range []*pool{&p.udp, &p.tcp} {
		pool.mu.Lock()
		pool.gone = why
		lines := slices.Clone(pool.lines)
		pool.mu.Unlock()
		for _, l := range lines {
			l.close(why)
		}
	}
}

// prune lets no more lines be made if there are none, and reports that.
func (p *peer) prune() bool {
	p.udp.mu.Lock()
	defer p.udp.mu.Unlock()
	p.tcp.mu.Lock()
	defer p.tcp.mu.Unlock()
	if len(p.udp.lines)+len(p.tcp.lines) > 0 {
		return false
	}
	p.udp.gone, p.tcp.gone = errPruned, errPruned
	return true
}

// ask sends a question and returns the answer as it came. The message has room for its
// length before it; its ID is set here.
func (p *peer) ask(ctx context.Context, u Upstream, framed, question []byte, stream bool) (reply, error) {
	for {
		l, fresh, err := p.line(ctx, u, stream)
		if err != nil {
			return reply{}, err
		}
		r := l.ask(ctx, framed, question)
		switch {
		case r.err == nil || ctx.Err() != nil:
			return r, r.err
		case errors.Is(r.err, errLineBusy) && !stream:
			// Others have used its port up meanwhile: there will be another one.
		case fresh || errors.Is(r.err, errLineBusy) || errors.Is(r.err, errClosed):
			return r, r.err
		default:
			// A line that was open may have been closed by the other side meanwhile, or
			// be in error for what was sent before (RFC 7766, section 6.2.4).
			l.close(r.err)
		}
	}
}

// ask sends a question by this line and waits for the answer.
func (l *line) ask(ctx context.Context, framed, question []byte) reply {
	answers := make(chan reply, 1)
	e := &exchange{question: question, reply: answers}
	if err := l.begin(e); err != nil {
		return reply{err: err}
	}
	defer l.end(e)
	binary.BigEndian.PutUint16(framed[2:], e.id)
	l.peer.forwarder.sent.Add(1)
	if err := l.send(framed); err != nil {
		return reply{err: err}
	}
	select {
	case r := <-answers:
		return r
	case <-ctx.Done():
		return reply{err: ctx.Err()}
	}
}

// succeeded notes that the upstream answers.
func (p *peer) succeeded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = 0
}

// failed notes that it does not, and reports whether that is news.
func (p *peer) failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
	if p.failures >= peerFailures {
		p.probe = time.Now().Add(peerDown)
	}
	return p.failures == peerFailures
}

// healthy reports whether to ask the upstream in its turn. Of one that is down, a question
// now and then finds out whether it still is.
func (p *peer) healthy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures < peerFailures {
		return true
	}
	now := time.Now()
	if now.Before(p.probe) {
		return false
	}
	p.probe = now.Add(peerDown)
	return true
}
