package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/docker/libnetwork/cnm"
)

// Client talks to a plugin that somebody else has found and looks after.
type Client interface {
	// Call sends args as JSON to a method, such as NetworkDriver.Join, and reads the answer
	// into ret.
	Call(method string, args, ret any) error
}

// foreign returns the plugin that whoever embeds us has found.
func (r *Registry) foreign(name, implements string) (*Plugin, error) {
	client, err := r.options.Find(name, implements)
	if err != nil {
		return nil, cnm.E(fmt.Sprintf("plugin %q", name), cnm.NotFound, err)
	}
	p := r.handle(name)
	p.mu.Lock()
	p.client = client
	p.mu.Unlock()
	p.activations.CompareAndSwap(0, 1)
	return r.keep(p)
}

// callForeign asks once, and waits no longer than the options allow: how often such a client
// tries is its own affair. What it returns as an error is taken for the plugin's words, as
// it does not tell one from the other.
func (p *Plugin) callForeign(ctx context.Context, client Client, method string, request, reply any) error {
	ctx, done, err := p.registry.begin(ctx)
	if err != nil {
		return unsent{err}
	}
	type outcome struct {
		answer json.RawMessage
		err    error
	}
	ended := make(chan outcome, 1)
	go func() { // ends with the client's call; Close waits for it
		defer done()
		var o outcome
		o.err = client.Call(method, request, &o.answer)
		ended <- o
	}()
	timed, cancel := context.WithTimeout(ctx, p.registry.options.CallTimeout)
	defer cancel()
	var o outcome
	select {
	case o = <-ended:
	case <-timed.Done():
		// An answered call is done with its context, too: the answer was there before.
		select {
		case o = <-ended:
		default:
			return Unsettled(cnm.E("", cnm.Timeout, fmt.Errorf("no answer within %s: %w", p.registry.options.CallTimeout, timed.Err())))
		}
	}
	if o.err != nil {
		return answeredError(0, o.err.Error())
	}
	return decode(http.StatusOK, o.answer, reply)
}
