package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Client talks to a plugin that somebody else has found and looks after.
type Client interface {
	// Call sends args as JSON to a method, such as NetworkDriver.Join, and reads the answer
	// into ret.
	Call(method string, args, ret any) error
}

// foreign returns the plugin that whoever embeds us has found. One that must be there, and
// is not yet, is Unavailable: what it has to hear is kept.
func (r *Registry) foreign(ctx context.Context, name, implements string, wait bool) (*Plugin, error) {
	op := fmt.Sprintf("plugin %q", name)
	var client Client
	err := r.outside(ctx, func() (err error) {
		client, err = r.options.Find(name, implements)
		return err
	})
	switch {
	case isInterrupted(err):
		return nil, cnm.Wrap(op, err)
	case err != nil && wait:
		return nil, cnm.E(op, cnm.Unavailable, err)
	case err != nil:
		return nil, cnm.E(op, cnm.NotFound, err)
	}
	p := r.handle(name)
	p.mu.Lock()
	p.client = client
	p.mu.Unlock()
	p.activations.CompareAndSwap(0, 1)
	return r.keep(p)
}

// callForeign asks once, and waits no longer than the options allow: how often such a client
// tries is its own affair.
func (p *Plugin) callForeign(ctx context.Context, client Client, method string, request, reply any) error {
	var answer json.RawMessage
	err := p.registry.outside(ctx, func() error { return client.Call(method, request, &answer) })
	if err != nil {
		return foreignError(err)
	}
	return decode(http.StatusOK, answer, reply)
}

// interrupted is for what somebody else does for us and has not done in time.
type interrupted struct{ error }

func (i interrupted) Unwrap() error { return i.error }

func isInterrupted(err error) bool {
	return errors.As(err, new(interrupted)) || errors.As(err, new(unsent))
}

// outside runs what other code does for us, which knows no context, for as long as the
// options allow. Its own error comes back as it is, ours is interrupted, or unsent if do was
// never run. What do has set is to be read only if it was not interrupted.
func (r *Registry) outside(ctx context.Context, do func() error) error {
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return unsent{err}
	}
	if ctx.Err() != nil {
		done()
		return unsent{ended(ctx)}
	}
	result := make(chan error, 1)
	go func() { // ends with do; Close waits for it
		defer done()
		result <- do()
	}()
	timed, cancel := context.WithTimeout(ctx, r.options.CallTimeout)
	defer cancel()
	select {
	case err := <-result:
		return err
	case <-timed.Done():
	}
	// What was done is done with its context, too: the result was there before.
	select {
	case err := <-result:
		return err
	default:
	}
	if ctx.Err() != nil {
		return interrupted{ended(ctx)}
	}
	return interrupted{cnm.E("", cnm.Timeout, fmt.Errorf("no answer within %s", r.options.CallTimeout))}
}

// notFoundText is what web servers written in Go answer for a path that they do not have
// (http.NotFound): a client that has only words for us has these.
const notFoundText = "404 page not found"

// foreignError says what the error of a client that is not ours means. It may be the
// plugin's words, or about the way to it: then the plugin has not refused anything.
func foreignError(err error) error {
	var opening *net.OpError
	var transport net.Error
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case isInterrupted(err):
		if errors.As(err, new(unsent)) {
			return err
		}
		return Unsettled(err)
	case errors.As(err, &opening) && opening.Op == "dial":
		return unsent{cnm.E("", cnm.Unavailable, err)}
	case errors.As(err, &transport) && transport.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Unsettled(cnm.E("", cnm.Timeout, err))
	case errors.As(err, &transport), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return broken{Unsettled(cnm.E("", cnm.Unavailable, err))}
	case errors.As(err, &syntax), errors.As(err, &kind):
		return garbage("the answer cannot be read: %w", err)
	case strings.Contains(err.Error(), notFoundText):
		return cnm.E("", cnm.Unsupported, fmt.Errorf("%w: %w", NotImplemented, err))
	}
	return answeredError(0, err.Error())
}
