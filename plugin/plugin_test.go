package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/plugintest"
)

// impatience is for what has no end; what has one gets patience, on a busy machine.
const (
	impatience = time.Second
	patience   = 20 * time.Second
)

func registry(t *testing.T, p *plugintest.Plugin) *plugin.Registry {
	t.Helper()
	return registryFor(t, p, patience)
}

// registryFor is as patient as that with a plugin that does not answer, or is not there.
func registryFor(t *testing.T, p *plugintest.Plugin, limit time.Duration) *plugin.Registry {
	t.Helper()
	r := plugin.New(plugin.Options{SocketFolders: []string{p.Folder}, SpecFolders: []string{p.Folder}, CallTimeout: limit, RetryFor: limit})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func get(t *testing.T, p *plugintest.Plugin) *plugin.Plugin {
	t.Helper()
	return getFor(t, p, patience)
}

func getFor(t *testing.T, p *plugintest.Plugin, limit time.Duration) *plugin.Plugin {
	t.Helper()
	found, err := registryFor(t, p, limit).Get(t.Context(), p.Name, "NetworkDriver")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// reply is what the tests read of an answer.
type reply struct {
	Text  string
	Items []string
}

func TestAnswers(t *testing.T) {
	const method = "NetworkDriver.Join"
	p := plugintest.Start(t, "p", "NetworkDriver")
	found := get(t, p)
	for name, test := range map[string]struct {
		status int
		answer string
		want   reply
		kind   cnm.Kind // empty: no error
		says   string
		maybe  bool // it may have happened
	}{
		"all":           {200, `{"Text":"a","Items":["b"],"Unknown":{"x":1}}`, reply{"a", []string{"b"}}, "", "", false},
		"other case":    {200, `{"text":"a"}`, reply{Text: "a"}, "", "", false},
		"nothing":       {200, `{}`, reply{}, "", "", false},
		"no object":     {200, ``, reply{}, "", "", false},
		"blank":         {200, " \n", reply{}, "", "", false},
		"null":          {200, "null\n", reply{}, "", "", false},
		"no content":    {204, ``, reply{}, "", "", false},
		"no error":      {200, `{"Err":"","Error":null,"Text":"a"}`, reply{Text: "a"}, "", "", false},
		"Err":           {200, `{"Err":"no such\nnetwork"}`, reply{}, cnm.Internal, `plugin "p": NetworkDriver.Join: the plugin says "no such\nnetwork"`, false},
		"Error":         {200, `{"Error":"no pool","Text":"a"}`, reply{}, cnm.Internal, `the plugin says "no pool"`, false},
		"Err 500":       {500, `{"Err":"broken"}`, reply{}, cnm.Internal, `the plugin says "broken"`, false},
		"Error 400":     {400, `{"Error":"bad"}`, reply{}, cnm.Invalid, `the plugin says "bad"`, false},
		"text 503":      {503, "come again", reply{}, cnm.Unavailable, `the plugin says "come again"`, false},
		"nothing 500":   {500, ``, reply{}, cnm.Internal, `status 500`, false},
		"elsewhere":     {302, ``, reply{}, cnm.Internal, `status 302`, false},
		"forbidden":     {403, `{"Err":"no"}`, reply{}, cnm.Forbidden, `"no"`, false},
		"conflict":      {409, `{"Err":"no"}`, reply{}, cnm.Exists, `"no"`, false},
		"501":           {501, `{"Err":"no"}`, reply{}, cnm.Unsupported, `"no"`, false},
		"no method":     {404, `page not found`, reply{}, cnm.Unsupported, `the plugin has no such method`, false},
		"a page":        {200, `<html>`, reply{}, cnm.Internal, `does not keep to the protocol`, true},
		"a list":        {200, `[]`, reply{}, cnm.Internal, `no JSON object`, true},
		"half":          {200, `{"Text":"a"`, reply{}, cnm.Internal, `cannot be read`, true},
		"two":           {200, `{"Text":"a"}{"Text":"b"}`, reply{}, cnm.Internal, `cannot be read`, true},
		"other type":    {200, `{"Text":1}`, reply{}, cnm.Internal, `cannot be read`, true},
		"Err no text":   {200, `{"Err":{}}`, reply{}, cnm.Internal, `cannot be read`, true},
		"deep":          {200, `{"Items":` + strings.Repeat("[", 2000) + `}`, reply{}, cnm.Internal, `cannot be read`, true},
		"longest":       {200, `{"Text":"` + strings.Repeat("x", 1<<20-11) + `"}`, reply{Text: strings.Repeat("x", 1<<20-11)}, "", "", false},
		"too long":      {200, `{"Text":"` + strings.Repeat("x", 1<<20-10) + `"}`, reply{}, cnm.Internal, `longer than 1048576 bytes`, true},
		"long words":    {500, `{"Err":"` + strings.Repeat("x", 1000) + `"}`, reply{}, cnm.Internal, strings.Repeat("x", 512) + `..."`, false},
		"not UTF-8 500": {500, "\xff\xfe", reply{}, cnm.Internal, `the plugin says "?"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			p.AnswerStatus(method, test.status, test.answer)
			var got reply
			err := found.Call(t.Context(), method, map[string]string{"NetworkID": "n"}, &got)
			if test.kind == "" {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Error(diff)
				}
				return
			}
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 700 {
				t.Errorf("error %v, want kind %q and the words %q", err, test.kind, test.says)
			}
			if plugin.MayHaveHappened(err) != test.maybe {
				t.Errorf("may have happened: %v", !test.maybe)
			}
			var answered *plugin.Error
			if is := errors.Is(err, plugin.NotImplemented); is != (test.status == 404) || errors.As(err, &answered) == (is || test.maybe) {
				t.Errorf("not implemented: %v, an answer: %v", is, answered)
			}
		})
	}
	p.Answer(method, `{"Err":"no"}`)
	if err := found.Call(t.Context(), method, nil, nil); err == nil {
		t.Error("an answer that nobody reads was not looked at")
	}
}

func TestRequest(t *testing.T) {
	p := plugintest.Start(t, "p", "IpamDriver", "NetworkDriver")
	p.Answer("NetworkDriver.Leave", "{}")
	found := get(t, p)
	for _, request := range []any{nil, struct{ NetworkID string }{"n"}} {
		if err := found.Call(t.Context(), "NetworkDriver.Leave", request, nil); err != nil {
			t.Fatal(err)
		}
	}
	call := plugintest.Call{Method: "NetworkDriver.Leave", Host: "plugin.moby.localhost", Accept: "application/vnd.docker.plugins.v1.2+json"}
	with := call
	with.Body = `{"NetworkID":"n"}`
	if diff := cmp.Diff([]plugintest.Call{call, with}, p.Calls()); diff != "" {
		t.Error(diff)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	const method = "NetworkDriver.Join"
	p := plugintest.Start(t, "p", "NetworkDriver")
	found := getFor(t, p, impatience)

	p.Hang(method)
	start := time.Now()
	err := found.Call(t.Context(), method, nil, nil)
	if took := time.Since(start); !errors.Is(err, cnm.Timeout) || !plugin.MayHaveHappened(err) || !strings.Contains(err.Error(), "no answer within 1s") || took > 5*time.Second {
		t.Errorf("after %s: error %v", took, err)
	}
	p.Handle(method, func(w http.ResponseWriter, _ plugintest.Call) {
		for { // a byte now and then, for ever
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	if err := found.Call(t.Context(), method, nil, nil); !errors.Is(err, cnm.Timeout) {
		t.Errorf("drop by drop: error %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	entered := make(chan struct{})
	p.Handle(method, func(_ http.ResponseWriter, _ plugintest.Call) {
		close(entered)
		cancel()
		<-t.Context().Done()
	})
	if err := get(t, p).Call(ctx, method, nil, nil); !errors.Is(err, cnm.Timeout) || !errors.Is(err, context.Canceled) || !plugin.MayHaveHappened(err) {
		t.Errorf("the caller has gone: error %v", err)
	}
	<-entered

	p.Break(method)
	p.Calls()
	if err := found.Call(t.Context(), method, nil, nil); !errors.Is(err, cnm.Unavailable) || !plugin.MayHaveHappened(err) {
		t.Errorf("a broken connection: error %v", err)
	}
	if got := p.Methods(); len(got) != 1 {
		t.Errorf("what may have happened was asked for again: %q", got)
	}
	if err := found.Repeat(t.Context(), method, nil, nil); !errors.Is(err, cnm.Unavailable) || !plugin.MayHaveHappened(err) {
		t.Errorf("broken again and again: error %v", err)
	}
	if got := p.Methods(); len(got) < 2 {
		t.Errorf("what can be repeated was not: %q", got)
	}
}

// The plugin goes away, is another process with other abilities, and comes back.
func TestRestart(t *testing.T) {
	t.Parallel()
	const method = "NetworkDriver.Leave"
	p := plugintest.Start(t, "p", "NetworkDriver")
	p.Answer(method, "{}")
	found, impatient := get(t, p), getFor(t, p, impatience)
	for range 5 {
		if err := found.Call(t.Context(), method, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if found.Activations() != 1 {
		t.Errorf("activated %d times", found.Activations())
	}
	p.Restart()
	if err := found.Call(t.Context(), method, nil, nil); err != nil || found.Activations() != 2 {
		t.Errorf("after a restart: error %v, %d activations", err, found.Activations())
	}

	p.Stop()
	err := impatient.Call(t.Context(), method, nil, nil)
	if !errors.Is(err, cnm.Unavailable) || plugin.MayHaveHappened(err) || !strings.Contains(err.Error(), "cannot be reached for 1s; is it running?") {
		t.Errorf("while it is away: error %v", err)
	}

	timer := time.AfterFunc(impatience/4, p.Start)
	defer timer.Stop()
	if err := found.Call(t.Context(), method, nil, nil); err != nil {
		t.Errorf("while it starts: %v", err)
	}

	p.Answer("Plugin.Activate", `{"Implements":["VolumeDriver"]}`)
	p.Restart()
	if err := found.Call(t.Context(), method, nil, nil); !errors.Is(err, cnm.Unsupported) || plugin.MayHaveHappened(err) || !strings.Contains(err.Error(), `["VolumeDriver"]`) {
		t.Errorf("another plugin in its place: error %v", err)
	}
}

// The plugin restarts with the request in its hands.
func TestRestartInMidFlight(t *testing.T) {
	const method = "NetworkDriver.DeleteEndpoint"
	p := plugintest.Start(t, "p", "NetworkDriver")
	found := get(t, p)
	restarted := make(chan struct{})
	var once sync.Once
	p.Handle(method, func(w http.ResponseWriter, _ plugintest.Call) {
		first := false
		once.Do(func() { first = true })
		if !first {
			_, _ = io.WriteString(w, `{"Text":"done"}`)
			return
		}
		go func() {
			defer close(restarted)
			p.Restart()
		}()
		<-restarted
	})
	var got reply
	if err := found.Repeat(t.Context(), method, nil, &got); err != nil || got.Text != "done" {
		t.Errorf("got %+v, error %v", got, err)
	}
	<-restarted
	if found.Activations() != 2 {
		t.Errorf("activated %d times", found.Activations())
	}
}

func TestSlowStart(t *testing.T) {
	t.Parallel()
	p := plugintest.New(t, "p", "NetworkDriver")
	r := registry(t, p)
	start := time.Now()
	if _, err := r.Get(t.Context(), "p", "NetworkDriver"); !errors.Is(err, cnm.NotFound) || time.Since(start) > patience/2 {
		t.Errorf("after %s: error %v", time.Since(start), err)
	}
	if _, err := registryFor(t, p, impatience).Wait(t.Context(), "p", "NetworkDriver"); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("error %v", err)
	}
	timer := time.AfterFunc(impatience/4, p.Start)
	defer timer.Stop()
	if _, err := r.Wait(t.Context(), "p", "NetworkDriver"); err != nil {
		t.Error(err)
	}

	// A socket that nobody listens at was left behind; then somebody does.
	p.Stop()
	old, err := os.Create(filepath.Join(p.Folder, "q.spec"))
	if err == nil {
		_, err = fmt.Fprintf(old, "unix://%s\n", p.Socket())
	}
	if err == nil {
		err = old.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	timer = time.AfterFunc(impatience/4, p.Start)
	defer timer.Stop()
	if _, err := r.Get(t.Context(), "q", "NetworkDriver"); err != nil {
		t.Error(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	start = time.Now()
	if _, err := r.Wait(ctx, "nobody", "NetworkDriver"); !errors.Is(err, cnm.Timeout) || time.Since(start) > patience {
		t.Errorf("after %s: error %v", time.Since(start), err)
	}
}

func TestActivation(t *testing.T) {
	t.Parallel()
	p := plugintest.Start(t, "p", "NetworkDriver")
	r, impatient := registry(t, p), registryFor(t, p, impatience)
	for name, test := range map[string]struct {
		answer func()
		kind   cnm.Kind
		says   string
	}{
		"another type": {func() { p.Answer("Plugin.Activate", `{"Implements":["NetworkDriver"]}`) }, cnm.Unsupported, `is no IpamDriver: it says that it implements ["NetworkDriver"]`},
		"an error":     {func() { p.Answer("Plugin.Activate", `{"Err":"not today"}`) }, cnm.Internal, `Plugin.Activate: the plugin says "not today"`},
		"no plugin":    {func() { p.AnswerStatus("Plugin.Activate", 404, ``) }, cnm.Unsupported, `no such method`},
		"garbage":      {func() { p.Answer("Plugin.Activate", `hello`) }, cnm.Internal, `protocol`},
		"too many": {func() {
			p.Answer("Plugin.Activate", `{"Implements":["IpamDriver"`+strings.Repeat(`,"x"`, 32)+`]}`)
		}, cnm.Internal, "more than 32 types"},
		"too long": {func() { p.Answer("Plugin.Activate", `{"Implements":["`+strings.Repeat("x", 129)+`"]}`) }, cnm.Internal, "128 bytes"},
		"hangs":    {func() { p.Hang("Plugin.Activate") }, cnm.Timeout, "no answer within"},
		"breaks":   {func() { p.Break("Plugin.Activate") }, cnm.Unavailable, "cannot be reached for"},
	} {
		t.Run(name, func(t *testing.T) {
			test.answer()
			p.Restart()
			from := r
			if test.kind == cnm.Timeout || test.kind == cnm.Unavailable {
				from = impatient
			}
			_, err := from.Get(t.Context(), "p", "IpamDriver")
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(err.Error(), `plugin "p": `) {
				t.Errorf("error %v, want kind %q and the words %q", err, test.kind, test.says)
			}
			if plugin.MayHaveHappened(err) {
				t.Error("an activation changes nothing")
			}
		})
	}
}

func TestSettled(t *testing.T) {
	cause := cnm.E("join", cnm.Timeout, errors.New("no answer"))
	if plugin.Settled(nil) != nil || plugin.Unsettled(nil) != nil {
		t.Error("nil does not stay nil")
	}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{cause, false}, {plugin.Unsettled(cause), true}, {fmt.Errorf("x: %w", plugin.Unsettled(cause)), true}, {cnm.Wrap("x", plugin.Unsettled(cause)), true},
		{plugin.Settled(plugin.Unsettled(cause)), false}, {fmt.Errorf("x: %w", plugin.Settled(plugin.Unsettled(cause))), false}, {nil, false},
	} {
		if got := plugin.MayHaveHappened(test.err); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
		if test.err != nil && !errors.Is(test.err, cnm.Timeout) {
			t.Errorf("%v: has lost its kind", test.err)
		}
	}
}
