package plugin_test

import (
	"encoding/json"
	"errors"
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
