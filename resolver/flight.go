package resolver

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// flight is a question under way, for all who ask it.
type flight struct {
	done   chan struct{}
	answer *answer // set when done is closed
}

// upstreamSet is a list of upstreams with what stands for it in keys of the cache.
type upstreamSet struct {
	list []Upstream
	id   [16]byte
}

// newUpstreamSet copies the list.
func newUpstreamSet(list []Upstream) *upstreamSet {
	s := &upstreamSet{list: append([]Upstream(nil), list...)}
	var text []byte
	for _, u := range list {
		text = fmt.Appendf(text, "%q %s\n", u.Key, u.Address)
	}
	sum := sha256.Sum256(text) // so that no two lists have the same
	copy(s.id[:], sum[:])
	return s
}

// is reports whether the set is that of a list.
func (s *upstreamSet) is(list []Upstream) bool {
	if s == nil || len(s.list) != len(list) {
		return false
	}
	for i := range list {
		if s.list[i].Address != list[i].Address || s.list[i].Key != list[i].Key {
			return false
		}
	}
	return true
}

// maxKey is the most bytes that appendKey appends.
const maxKey = 16 + 3 + maxName

// appendKey appends what equal questions to equal upstreams have in common.
func appendKey(out []byte, s *upstreamSet, q *query) []byte {
	out = append(out, s.id[:]...)
	bits := byte(q.flags>>8)&1 | byte(q.flags)&(bitAD|bitCD)
	if q.do {
		bits |= 2
	}
	out = append(out, bits)
	out = binary.BigEndian.AppendUint16(out, q.kind)
	return append(out, q.name...)
}

// ask begins to find an answer, or joins who looks for it already. If key is empty the
// question is asked apart. Nil means that there are too many questions, or that the
// forwarder is closed.
func (f *Forwarder) ask(key []byte, q *query, upstreams []Upstream) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if joined := f.flights[string(key)]; joined != nil {
		f.shared.Add(1)
		return joined
	}
	if f.closed {
		return nil
	}
	if f.inFlight.Load() >= int64(f.options.MaxInFlight) {
		f.limited.Add(1)
		return nil
	}
	fl := &flight{done: make(chan struct{})}
	if len(key) > 0 {
		// The answer may have come since it was looked for.
		if a := f.cache.get(key, time.Now()); a != nil {
			fl.answer = a
			close(fl.done)
			return fl
		}
		f.flights[string(key)] = fl
	}
	f.inFlight.Add(1)
	f.asked.Add(1)
	trip := newTrip(f, q, upstreams)
	name := string(key)
	f.group.Go(func() {
		fl.answer = trip.run()
		if name != "" {
			f.cache.put(name, fl.answer)
			f.mu.Lock()
			delete(f.flights, name)
			f.mu.Unlock()
		}
		f.inFlight.Add(-1)
		close(fl.done)
	})
	return fl
}

// trip asks upstreams until one answers.
type trip struct {
	forwarder *Forwarder
	query     *query // a copy
	upstreams []Upstream
	// framed is the message, with room for its length before it.
	framed []byte
	// plain is set when the message has no OPT record.
	plain bool
	// last is the latest answer that says that there is none, cut one that is not whole.
	last, cut *answer
	errs      []string
}

func newTrip(f *Forwarder, q *query, upstreams []Upstream) *trip {
	t := &trip{forwarder: f, query: new(query), upstreams: upstreams}
	t.query.copyFrom(q)
	t.compose(true)
	return t
}

// compose makes the message: that of the client if it is special, and otherwise one that
// depends on nothing but what is in the key.
func (t *trip) compose(edns bool) {
	q := t.query
	t.framed = append(t.framed[:0], 0, 0)
	if q.raw != nil {
		t.framed = append(t.framed, q.raw...)
		return
	}
	t.plain = !edns
	msg := q.appendReply(make([]byte, 0, headerSize+maxName+4+optSize), 0, 0)
	setFlags(msg, q.flags&(bitRD|bitAD|bitCD))
	if edns {
		msg = appendOPT(msg, ownSize, q.do, 0, nil)
	}
	t.framed = append(t.framed, msg...)
}

// run returns the answer: the first that tells of the name, or that says that there is no
// such name. An upstream that fails or refuses is no reason not to ask the next one, as
// libc does; what the last of them said is the answer if none does better.
func (t *trip) run() *answer {
	f := t.forwarder
	ctx, cancel := context.WithTimeout(f.ctx, f.options.Deadline)
	defer cancel()
	order := t.order()
	for range f.options.Attempts {
		var silent []Upstream
		for _, u := range order {
			a, answered := t.try(ctx, u)
			if a != nil {
				return a
			}
			if !answered {
				silent = append(silent, u)
			}
			if ctx.Err() != nil {
				return t.failure()
			}
		}
		order = silent
	}
	return t.failure()
}

// order returns the upstreams, those last that have not answered lately.
func (t *trip) order() []Upstream {
	if len(t.upstreams) < 2 {
		return t.upstreams
	}
	first := make([]Upstream, 0, len(t.upstreams))
	var last []Upstream
	for _, u := range t.upstreams {
		if t.forwarder.peer(u).healthy() {
			first = append(first, u)
		} else {
			last = append(last, u)
		}
	}
	return append(first, last...)
}

// failure returns the answer that says that there is none.
func (t *trip) failure() *answer {
	t.forwarder.failed.Add(1)
	switch {
	case t.cut != nil:
		return t.cut
	case t.last != nil:
		return t.last
	}
	why := &reason{code: dns.ExtendedErrorCodeNoReachableAuthority, text: "no name server answered: " + strings.Join(t.errs, "; ")}
	const most = 200 // of a datagram of 512 bytes
	why.text = why.text[:min(len(why.text), most)]
	t.forwarder.options.Log.Debug("no name server answers", "name", nameText(t.query.name), "why", why.text)
	return failure(t.query, why)
}

// try asks an upstream. It returns an answer that will do, or whether there was another.
func (t *trip) try(ctx context.Context, u Upstream) (a *answer, answered bool) {
	f := t.forwarder
	ctx, cancel := context.WithTimeout(ctx, f.options.Timeout)
	defer cancel()
	p := f.peer(u)
	a, err := t.talk(ctx, p, u)
	for errors.Is(err, errPruned) && ctx.Err() == nil {
		p = f.peer(u)
		a, err = t.talk(ctx, p, u)
	}
	if err != nil {
		t.note(p, u, err)
		return nil, false
	}
	p.succeeded()
	switch a.rcode {
	case dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeNotImplemented, dns.RcodeFormatError:
		t.last = a
		return nil, true
	}
	a.life = min(a.life, f.options.MaxTTL)
	return a, true
}

// note counts a failure, and tells of the first one of several.
func (t *trip) note(p *peer, u Upstream, err error) {
	f := t.forwarder
	if errors.Is(err, context.DeadlineExceeded) {
		f.timeouts.Add(1)
	} else if f.ctx.Err() == nil {
		f.errors.Add(1)
	}
	ours := errors.Is(err, errSockets) || errors.Is(err, errLineBusy) || errors.Is(err, errClosed)
	if !ours && f.ctx.Err() == nil && p.failed() {
		f.options.Log.Debug("name server does not answer", "server", u.Address, "from", u.Key, "error", err)
	}
	if len(t.errs) < 4 {
		t.errs = append(t.errs, u.Address.String()+": "+forClient(err))
	}
}

// forClient tells a client what went wrong, and nothing of the host: a dialer's error may
// have its paths.
func forClient(err error) string {
	var code syscall.Errno
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &code):
		return code.Error()
	}
	for _, known := range []error{errCut, errMessage, errSockets, errLineBusy} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "cannot be reached"
}

// talk asks by UDP, and by TCP for what a datagram does not hold.
func (t *trip) talk(ctx context.Context, p *peer, u Upstream) (*answer, error) {
	if t.plain {
		t.compose(true)
	}
	a, err := t.exchange(ctx, p, u, false)
	if err != nil {
		return nil, err
	}
	if code := a.rcode; (code == dns.RcodeFormatError || code == dns.RcodeNotImplemented) && t.query.raw == nil {
		// A server that does not know EDNS says so in this way (RFC 6891, section 7).
		t.compose(false)
		if a, err = t.exchange(ctx, p, u, false); err != nil {
			return nil, err
		}
	}
	if !a.truncated() {
		return a, nil
	}
	whole, err := t.exchange(ctx, p, u, true)
	if err != nil || whole.truncated() {
		// A part is better than nothing, if no other upstream has all.
		t.cut = a
		return nil, errors.Join(errCut, err)
	}
	return whole, nil
}

// errCut is why an answer with the TC bit is not enough.
var errCut = errors.New("does not give the whole answer by TCP")

// exchange asks once.
func (t *trip) exchange(ctx context.Context, p *peer, u Upstream, stream bool) (*answer, error) {
	r, err := p.ask(ctx, u, t.framed, t.query.question, stream)
	if err != nil {
		return nil, err
	}
	if r.cut {
		return &answer{wire: t.query.appendReply(nil, bitTC|bitRA, 0), end: headerSize + len(t.query.question)}, nil
	}
	a, err := parseAnswer(r.msg, t.query.question, t.query.raw != nil)
	if err != nil {
		return nil, fmt.Errorf("answer of %s: %w", u.Address, err)
	}
	return a, nil
}
