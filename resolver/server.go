package resolver

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// What zero values of [Options] stand for.
const (
	defaultTTL            = time.Second
	defaultMaxConcurrent  = 1024
	defaultMaxConnections = 64
)

// Options tell a server what to answer. View must be given.
type Options struct {
	// View returns what the container sees. It is called once for each query, from
	// several goroutines, and must not block: it is meant to read an atomic pointer.
	View func() *View
	// TTL is the time to live of answers from the view, in whole seconds, rounded up; 0
	// stands for one second, and less than 0 for none. A name may move to another
	// container at any time, and asking again costs a client microseconds.
	TTL time.Duration
	// Upstreams returns the servers to ask for what the view does not have, the first
	// first. It is called for each query as View is; the list must not be changed after
	// it was returned. If it is empty, or nil, nothing is asked outside, and such
	// questions get SERVFAIL: libc then tries its next search domain, which it does not
	// after REFUSED, and only who knows all names may say that there is none.
	Upstreams func() []Upstream
	// Forwarder asks them; it is not closed with the server. Nil stands for no upstreams.
	Forwarder *Forwarder
	// MaxConcurrent bounds the queries that wait for upstreams; 0 stands for 1024. Each
	// takes a goroutine and a few KiB. More get SERVFAIL at once.
	MaxConcurrent int
	// MaxConnections bounds the TCP connections at a time; 0 stands for 64. More are
	// closed at once.
	MaxConnections int
	// Log is told what fails; nil stands for none.
	Log *slog.Logger
}

// Statistics count since Serve, but for what there is now.
type Statistics struct {
	// Local counts answers from the view, Cached those that were kept of upstreams, and
	// Forwarded those that upstreams gave for this query.
	Local, Cached, Forwarded int64
	// Failed counts SERVFAIL for want of an upstream that answers, or of any.
	Failed int64
	// Refused counts what is not done here: other classes, operations and versions of
	// EDNS, and zone transfers.
	Refused int64
	// Limited counts queries and connections beyond the bounds.
	Limited int64
	// Malformed counts messages that are no query, answered with FORMERR or dropped.
	Malformed int64
	// Waiting are the queries that wait for upstreams, and Connections those by TCP, now.
	Waiting, Connections int64
}

// Server answers the queries of one container.
type Server struct {
	options Options
	ttl     uint32
	udp     packets
	set     atomic.Pointer[upstreamSet] // the last one seen

	ctx    context.Context // done when the server is to end
	cancel context.CancelFunc
	group  sync.WaitGroup // all goroutines

	local, cached, forwarded, failed atomic.Int64
	refused, limited, malformed      atomic.Int64
	waiting, connections             atomic.Int64
}

// Serve answers queries until Close. The socket and the listener are the server's from now
// on; either may be nil.
func Serve(udp net.PacketConn, tcp net.Listener, o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.TTL, defaultTTL)
	setDefault(&o.MaxConcurrent, defaultMaxConcurrent)
	setDefault(&o.MaxConnections, defaultMaxConnections)
	s := &Server{options: o, ttl: uint32((max(o.TTL, 0) + time.Second - 1) / time.Second)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if udp != nil {
		s.udp = newPackets(udp)
		context.AfterFunc(s.ctx, func() { _ = udp.Close() })
		s.group.Go(s.serveUDP)
	}
	if tcp != nil {
		context.AfterFunc(s.ctx, func() { _ = tcp.Close() })
		s.group.Go(func() { s.serveTCP(tcp) })
	}
	return s
}

// Close ends the server and its connections, and waits for that. Closing it again does
// nothing. The error is always nil.
func (s *Server) Close() error {
	s.cancel()
	s.group.Wait()
	return nil
}

// Statistics returns the counts so far.
func (s *Server) Statistics() Statistics {
	return Statistics{
		Local: s.local.Load(), Cached: s.cached.Load(), Forwarded: s.forwarded.Load(),
		Failed: s.failed.Load(), Refused: s.refused.Load(), Limited: s.limited.Load(),
		Malformed: s.malformed.Load(),
		Waiting:   s.waiting.Load(), Connections: s.connections.Load(),
	}
}

// pause waits after an error that may last, and reports whether to go on.
func (s *Server) pause() bool {
	// Errors of a listener are the lack of memory or descriptors: trying at once again
	// would take the processor as well.
	const wait = 50 * time.Millisecond
	select {
	case <-s.ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// Reasons for SERVFAIL, for the client.
func whyNoUpstream() *reason {
	return &reason{code: dns.ExtendedErrorCodeNotAuthoritative, text: "no container has this name, and no name server outside is to be asked"}
}

func whyBusy() *reason {
	return &reason{code: dns.ExtendedErrorCodeOther, text: "too many queries at a time"}
}

// handle answers a message that came by UDP or TCP, in the place of out. It returns
// nothing if there is no answer, or none yet: then wait is the way to it.
func (s *Server) handle(out, msg []byte, q *query, stream bool) (answer []byte, wait *waiter) {
	if len(msg) < headerSize || flags(msg)&bitQR != 0 {
		s.malformed.Add(1)
		return nil, nil
	}
	err := q.parse(msg)
	var upstreams []Upstream
	if s.options.Upstreams != nil && s.options.Forwarder != nil {
		upstreams = s.options.Upstreams()
	}
	var ra uint16
	if len(upstreams) > 0 {
		ra = bitRA
	}
	switch {
	case q.flags&opcodeMask != 0:
		s.refused.Add(1)
		return refusal(out, q, ra, dns.RcodeNotImplemented, nil), nil
	case err != nil:
		s.malformed.Add(1)
		return refusal(out, q, ra, dns.RcodeFormatError, nil), nil
	case q.version != 0:
		s.refused.Add(1)
		return refusal(out, q, ra, dns.RcodeBadVers, nil), nil
	case q.class != dns.ClassINET || q.kind == dns.TypeAXFR || q.kind == dns.TypeIXFR:
		s.refused.Add(1)
		return refusal(out, q, ra, dns.RcodeRefused, nil), nil
	}
	limit := maxMessage
	if !stream {
		limit = min(q.limit(), ownSize)
	}
	if out, ok := localAnswer(out, q, s.options.View(), s.ttl, ra, limit); ok {
		s.local.Add(1)
		return out, nil
	}
	if len(upstreams) == 0 {
		s.failed.Add(1)
		return refusal(out, q, ra, dns.RcodeServerFailure, whyNoUpstream()), nil
	}
	return s.outside(out, q, upstreams, stream)
}

// outside answers from what is kept, or begins to ask upstreams.
func (s *Server) outside(out []byte, q *query, upstreams []Upstream, stream bool) ([]byte, *waiter) {
	f := s.options.Forwarder
	var buffer [maxKey]byte
	var key []byte
	if q.raw == nil {
		set := s.set.Load()
		if !set.is(upstreams) {
			set = newUpstreamSet(upstreams)
			s.set.Store(set)
		}
		key = appendKey(buffer[:0], set, q)
		now := time.Now()
		if a := f.cached(key, now); a != nil {
			if a.failed {
				s.failed.Add(1)
			} else {
				s.cached.Add(1)
			}
			return s.finish(out, a, q, stream, now), nil
		}
	}
	if s.waiting.Add(1) > int64(s.options.MaxConcurrent) {
		s.waiting.Add(-1)
		s.limited.Add(1)
		return refusal(out, q, bitRA, dns.RcodeServerFailure, whyBusy()), nil
	}
	fl := f.ask(key, q, upstreams)
	if fl == nil {
		s.waiting.Add(-1)
		s.limited.Add(1)
		return refusal(out, q, bitRA, dns.RcodeServerFailure, whyBusy()), nil
	}
	w := &waiter{flight: fl}
	w.query.copyFrom(q)
	return nil, w
}

// waiter is a query that waits for an answer.
type waiter struct {
	flight *flight
	query  query
}

// wait returns when the answer is there, and false if the server ends before.
func (s *Server) wait(w *waiter) bool {
	defer s.waiting.Add(-1)
	select {
	case <-w.flight.done:
	case <-s.ctx.Done():
		return false
	}
	if w.flight.answer.failed {
		s.failed.Add(1)
	} else {
		s.forwarded.Add(1)
	}
	return true
}

// finish makes the answer to a client of what an upstream said.
func (s *Server) finish(out []byte, a *answer, q *query, stream bool, now time.Time) []byte {
	limit := maxMessage
	if !stream {
		limit = min(q.limit(), maxDatagram)
	} else if a.truncated() {
		// By TCP there is nothing more to try.
		return refusal(out, q, bitRA, dns.RcodeServerFailure, &reason{
			code: dns.ExtendedErrorCodeNetworkError, text: "no name server gives the whole answer",
		})
	}
	return a.appendTo(out, q, limit, now)
}
