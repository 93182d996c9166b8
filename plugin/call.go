package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// activateMethod starts the conversation with a plugin.
const activateMethod = "Plugin.Activate"

// mediaType is that of version 1.2 of the protocol. What the plugin says about its
// answers is not looked at: several values are in use.
const mediaType = "application/vnd.docker.plugins.v1.2+json"

// Plugin is a plugin that was found. It is safe for concurrent use, and stays good when
// the program behind it restarts. Registry.Get makes one.
type Plugin struct {
	registry    *Registry
	name        string
	activations atomic.Uint64

	mu      sync.Mutex // guards what follows
	current *session   // nil if there is none
	// client, if it is not nil, is what somebody else talks to the plugin with.
	client Client
}

// Name returns the name that the plugin was found by.
func (p *Plugin) Name() string { return p.name }

// Activations counts how often the plugin was activated. It changes when the plugin has
// restarted, and what was asked of it before may not hold any more.
func (p *Plugin) Activations() uint64 { return p.activations.Load() }

// forget drops a session if it is the current one; nil stands for that.
func (p *Plugin) forget(s *session) {
	p.mu.Lock()
	current := p.current
	if s == nil || s == current {
		p.current = nil
	}
	p.mu.Unlock()
	if s == nil && current != nil {
		current.retire()
	}
}

// has reports whether it is the current session.
func (p *Plugin) has(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current == s
}

// Call asks the plugin for one method, such as NetworkDriver.Join. The request is sent
// as JSON, nil as no body. The reply, a pointer or nil, is filled from the answer, whose
// fields may all be absent.
//
// A plugin that cannot be connected to is tried again, for as long as the options allow,
// and is then Unavailable. What was sent is never sent again: if the connection breaks
// before the answer (Unavailable), if the answer does not come in time (Timeout) or makes
// no sense (Internal), MayHaveHappened is true of the error. What the plugin answers as
// an error is an *Error. That it has no such method is NotImplemented.
func (p *Plugin) Call(ctx context.Context, method string, request, reply any) error {
	return p.call(ctx, method, request, reply, false)
}

// Repeat is Call for methods that do no harm when they are done twice: it asks again if
// the plugin restarts before it has answered.
func (p *Plugin) Repeat(ctx context.Context, method string, request, reply any) error {
	return p.call(ctx, method, request, reply, true)
}

func (p *Plugin) call(ctx context.Context, method string, request, reply any, repeat bool) error {
	op := fmt.Sprintf("plugin %q", p.name)
	p.mu.Lock()
	client := p.client
	p.mu.Unlock()
	if client != nil {
		return cnm.Wrap(op, cnm.Wrap(method, p.callForeign(ctx, client, method, request, reply)))
	}
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return cnm.E(op, cnm.Internal, fmt.Errorf("%s: %w", method, err))
		}
	}
	ctx, done, err := p.registry.begin(ctx)
	if err != nil {
		return cnm.Wrap(op, unsent{err})
	}
	defer done()
	err = p.retry(ctx, true, repeat, func() error {
		s, err := p.session(ctx)
		if err == nil {
			err = s.require(typeOf(method))
		}
		if err != nil {
			return err
		}
		return s.exchange(ctx, method, body, reply)
	})
	if err != nil {
		return cnm.E(op, cnm.KindOf(err), fmt.Errorf("%s: %w", method, err))
	}
	return nil
}

// exchange sends one request and reads the answer.
func (s *session) exchange(ctx context.Context, method string, body []byte, reply any) error {
	limit := s.plugin.registry.options.CallTimeout
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(timed, http.MethodPost, s.url(method), bytes.NewReader(body))
	if err != nil {
		return unsent{cnm.E("", cnm.Internal, err)}
	}
	request.Host = s.address.host()
	request.Header.Set("Accept", mediaType)
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("User-Agent", "libnetwork")
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		return s.failure(ctx, timed, err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	answer, err := io.ReadAll(io.LimitReader(response.Body, longestReply+1))
	if err != nil {
		return s.failure(ctx, timed, err)
	}
	if len(answer) > longestReply {
		return garbage("the answer is longer than %d bytes", longestReply)
	}
	return decode(response.StatusCode, answer, reply)
}

func (s *session) url(method string) string {
	scheme := "http"
	if s.address.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + s.address.host() + "/" + method
}

// failure says what became of an exchange that has no answer.
func (s *session) failure(ctx, timed context.Context, err error) error {
	var early unsent
	sent := !errors.As(err, &early)
	switch {
	case ctx.Err() != nil:
		err = Unsettled(ended(ctx))
	case timed.Err() != nil:
		err = Unsettled(cnm.E("", cnm.Timeout, fmt.Errorf("no answer within %s", s.plugin.registry.options.CallTimeout)))
	case isCertificate(err):
		sent = false
		err = cnm.E("", cnm.Forbidden, fmt.Errorf("%s and we do not show each other who we are as the configuration wants it: %w", s.address.at, err))
	case sent:
		s.lost.Store(true)
		err = broken{Unsettled(cnm.E("", cnm.Unavailable, fmt.Errorf("the connection broke before the answer: %w", err)))}
	case isKnown(early.error):
		err = early.error
	default:
		s.lost.Store(true)
		err = cnm.E("", cnm.Unavailable, early.error)
	}
	if sent {
		return err
	}
	return unsent{err}
}

// isKnown reports whether an error has a kind of its own already.
func isKnown(err error) bool {
	var known *cnm.Error
	return errors.As(err, &known)
}

// ended says why a context has ended.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if isKnown(cause) {
		return cause
	}
	return cnm.E("", cnm.Timeout, cause)
}

// The waiting between two attempts: it doubles.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 4 * time.Second
)

// retry runs attempt until it succeeds, fails for good, or the time is over. With missing
// it also waits for a plugin without a file, with repeat for one that broke off.
func (p *Plugin) retry(ctx context.Context, missing, repeat bool, attempt func() error) error {
	limit := p.registry.options.RetryFor
	until := time.Now().Add(limit)
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := attempt()
		var early unsent
		again := errors.As(err, &early) && (errors.Is(err, cnm.Unavailable) || errors.Is(err, errRestarted) || missing && errors.Is(err, cnm.NotFound)) ||
			repeat && errors.As(err, new(broken))
		left := time.Until(until)
		if !again || limit == 0 {
			return err
		}
		if left <= 0 && !errors.As(err, &early) { // it may have happened
			return cnm.E("", cnm.Unavailable, fmt.Errorf("breaks off again and again for %s: %w", limit, err))
		}
		if left <= 0 {
			return unsent{cnm.E("", cnm.Unavailable, fmt.Errorf("cannot be reached for %s; is it running? %w", limit, err))}
		}
		timer := time.NewTimer(min(wait, left))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if errors.Is(err, context.Cause(ctx)) {
				return err
			}
			return unsent{cnm.E("", cnm.KindOf(ended(ctx)), fmt.Errorf("%w; %w", ended(ctx), err))}
		}
	}
}
