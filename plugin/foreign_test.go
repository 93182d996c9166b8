package plugin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
)

// engine finds plugins for us, and is their client.
type engine struct {
	asked []string
	wait  chan struct{}
}

func (e *engine) find(name, implements string) (plugin.Client, error) {
	if name != "mesh" {
		return nil, errors.New("not installed")
	}
	e.asked = append(e.asked, implements)
	return e, nil
}

func (e *engine) Call(method string, args, ret any) error {
	e.asked = append(e.asked, method)
	switch method {
	case "NetworkDriver.Leave":
		return errors.New("will not")
	case "NetworkDriver.Join":
		<-e.wait
	}
	return json.Unmarshal([]byte(`{"Scope":"local"}`), ret)
}

func TestPluginsThatSomebodyElseFinds(t *testing.T) {
	e := &engine{wait: make(chan struct{})}
	r := plugin.New(plugin.Options{Find: e.find, CallTimeout: 50 * time.Millisecond})
	if _, err := r.Get(t.Context(), "other", "NetworkDriver"); !errors.Is(err, cnm.NotFound) || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("one that is not there: %v", err)
	}
	p, err := r.Wait(t.Context(), "mesh", "NetworkDriver")
	if err != nil {
		t.Fatal(err)
	}
	var reply struct{ Scope string }
	if err := p.Repeat(t.Context(), "NetworkDriver.GetCapabilities", nil, &reply); err != nil || reply.Scope != "local" {
		t.Errorf("%+v, %v", reply, err)
	}
	var answered *plugin.Error
	if err := p.Call(t.Context(), "NetworkDriver.Leave", nil, nil); !errors.As(err, &answered) || answered.Text != "will not" || plugin.MayHaveHappened(err) {
		t.Errorf("an error: %v", err)
	}
	if err := p.Call(t.Context(), "NetworkDriver.Join", nil, nil); !errors.Is(err, cnm.Timeout) || !plugin.MayHaveHappened(err) {
		t.Errorf("no answer: %v", err)
	}
	close(e.wait)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Call(t.Context(), "NetworkDriver.Leave", nil, nil); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
	want := "NetworkDriver NetworkDriver.GetCapabilities NetworkDriver.Leave NetworkDriver.Join"
	if got := strings.Join(e.asked, " "); got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

// slow is a context that is asked for its deadline when a call has started, and goes on
// when it is told to: so the answer is there, and all has ended, before the caller looks.
type slow struct {
	context.Context
	asked func()
}

func (s slow) Deadline() (time.Time, bool) {
	s.asked()
	return s.Context.Deadline()
}

// What was answered is an answer, also if the call has ended otherwise when the caller comes
// to look.
func TestAnsweredIsNotInterrupted(t *testing.T) {
	for range 32 { // the caller chooses by chance between what is true at the same time
		e := &engine{}
		r := plugin.New(plugin.Options{Find: e.find, CallTimeout: patience})
		p, err := r.Get(t.Context(), "mesh", "NetworkDriver")
		if err != nil {
			t.Fatal(err)
		}
		var reply struct{ Scope string }
		ctx := slow{t.Context(), func() {
			if err := r.Close(); err != nil { // it has waited for the client's answer
				t.Error(err)
			}
		}}
		if err := p.Call(ctx, "NetworkDriver.GetCapabilities", nil, &reply); err != nil || reply.Scope != "local" {
			t.Fatalf("answered in time: %+v, %v", reply, err)
		}
	}
}

// scripted is an engine whose client and search do as the test says.
type scripted struct{ find, call func() error }

func (s scripted) Call(string, any, any) error { return s.call() }

func (s scripted) options(limit time.Duration) plugin.Options {
	return plugin.Options{CallTimeout: limit, Find: func(string, string) (plugin.Client, error) { return s, s.find() }}
}

// Only what the plugin says is a refusal: what a client says of the way to the plugin leaves
// open what has happened, and is tried again by who has something to say.
func TestErrorsOfForeignClients(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", errors.New("connection refused"))}
	read := &net.OpError{Op: "read", Net: "unix", Err: errors.New("connection reset by peer")}
	late := &net.OpError{Op: "read", Net: "unix", Err: os.ErrDeadlineExceeded}
	around := func(err error) error {
		return &url.Error{Op: "Post", URL: "http://plugin/NetworkDriver.Leave", Err: err}
	}
	for name, test := range map[string]struct {
		err          error
		kind         cnm.Kind
		maybe, words bool // it may have happened; it is the plugin's answer
	}{
		"words":        {errors.New("NetworkDriver.Leave: no such endpoint"), cnm.Internal, false, true},
		"not running":  {around(dial), cnm.Unavailable, false, false},
		"broken":       {around(read), cnm.Unavailable, true, false},
		"closed early": {around(io.EOF), cnm.Unavailable, true, false},
		"half":         {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), cnm.Unavailable, true, false},
		"late":         {around(late), cnm.Timeout, true, false},
		"too late":     {fmt.Errorf("call: %w", context.DeadlineExceeded), cnm.Timeout, true, false},
		"garbage":      {json.Unmarshal([]byte("<html>"), new(any)), cnm.Internal, true, false},
		"other type":   {json.Unmarshal([]byte(`"x"`), new(int)), cnm.Internal, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := scripted{find: func() error { return nil }, call: func() error { return test.err }}
			r := plugin.New(s.options(patience))
			defer r.Close() //nolint:errcheck // no call is left
			p, err := r.Get(t.Context(), "mesh", "NetworkDriver")
			if err != nil {
				t.Fatal(err)
			}
			err = p.Call(t.Context(), "NetworkDriver.Leave", nil, nil)
			var answered *plugin.Error
			if !errors.Is(err, test.kind) || plugin.MayHaveHappened(err) != test.maybe || errors.As(err, &answered) != test.words || errors.Is(err, plugin.NotImplemented) {
				t.Errorf("error %v (%T), want kind %q, may have happened: %v, the plugin's words: %v", err, err, test.kind, test.maybe, test.words)
			}
		})
	}
	s := scripted{find: func() error { return nil }, call: func() error { return errors.New("NetworkDriver.X: 404 page not found\n") }}
	r := plugin.New(s.options(patience))
	defer r.Close() //nolint:errcheck // no call is left
	p, err := r.Get(t.Context(), "mesh", "NetworkDriver")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Call(t.Context(), "NetworkDriver.X", nil, nil); !errors.Is(err, plugin.NotImplemented) || !errors.Is(err, cnm.Unsupported) {
		t.Errorf("a method that the plugin does not have: %v", err)
	}
}

// A search and a client that never return hold up neither their callers nor the end.
func TestForeignThatHangs(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	hangs := func() error { <-hang; return nil }
	fine := func() error { return nil }
	r := plugin.New(scripted{find: hangs, call: fine}.options(impatience / 20))
	if _, err := r.Get(t.Context(), "mesh", "NetworkDriver"); !errors.Is(err, cnm.Timeout) || !strings.HasPrefix(err.Error(), `plugin "mesh": `) {
		t.Errorf("a search without end: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Get(ctx, "mesh", "NetworkDriver"); !errors.Is(err, cnm.Timeout) || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone: %v", err)
	}
	if err := r.Close(); !errors.Is(err, cnm.Timeout) || !strings.Contains(err.Error(), "left behind") {
		t.Errorf("close: %v", err)
	}

	s := scripted{find: func() error { return errors.New("not yet") }}
	r = plugin.New(s.options(patience))
	if _, err := r.Wait(t.Context(), "mesh", "NetworkDriver"); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("one that must be there, and is not yet: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A call under way when the registry is closed says so.
func TestForeignClosed(t *testing.T) {
	entered, hang := make(chan struct{}), make(chan struct{})
	s := scripted{find: func() error { return nil }, call: func() error { close(entered); <-hang; return nil }}
	r := plugin.New(s.options(patience))
	p, err := r.Get(t.Context(), "mesh", "NetworkDriver")
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() { failed <- p.Call(t.Context(), "NetworkDriver.Join", nil, nil) }()
	<-entered
	closed := make(chan error)
	go func() { closed <- r.Close() }()
	if err := <-failed; !errors.Is(err, cnm.Unavailable) || !plugin.MayHaveHappened(err) || !strings.Contains(err.Error(), "closed") {
		t.Errorf("error %v", err)
	}
	close(hang)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
