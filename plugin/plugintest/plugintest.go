// Package plugintest is a plugin for tests: it serves on a socket in a folder of its own,
// and does as it is told, well or badly.
package plugintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Call is a request that the plugin got.
type Call struct {
	Method string
	// Body is the request as it came; empty if there was none.
	Body string
	// Host and Accept are the headers.
	Host, Accept string
}

// Handler serves one method.
type Handler func(http.ResponseWriter, Call)

// Plugin is a plugin that runs, or was stopped. Start makes one.
type Plugin struct {
	// Folder is where its socket is: for plugin.Options.SocketFolders.
	Folder string
	Name   string

	t        testing.TB
	mu       sync.Mutex // guards what follows
	handlers map[string]Handler
	calls    []Call
	server   *http.Server
	done     chan struct{} // closed when the server has ended
}

// New returns a plugin that has yet to be started. Other methods than Plugin.Activate,
// which names the types, answer 404 until Handle or Answer says otherwise.
func New(t testing.TB, name string, implements ...string) *Plugin {
	t.Helper()
	folder, err := os.MkdirTemp("", "plug") // a test's own may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	p := &Plugin{Folder: folder, Name: name, t: t, handlers: make(map[string]Handler)}
	activate, err := json.Marshal(map[string][]string{"Implements": implements})
	if err != nil {
		t.Fatal(err)
	}
	p.Answer("Plugin.Activate", string(activate))
	t.Cleanup(func() {
		p.Stop()
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Start is New, started.
func Start(t testing.TB, name string, implements ...string) *Plugin {
	t.Helper()
	p := New(t, name, implements...)
	p.Start()
	return p
}

// Socket is the path of the plugin's socket.
func (p *Plugin) Socket() string { return filepath.Join(p.Folder, p.Name+".sock") }

// Start has the plugin listen.
func (p *Plugin) Start() {
	p.t.Helper()
	listener, err := net.Listen("unix", p.Socket())
	if err == nil {
		err = os.Chmod(p.Socket(), 0o600)
	}
	if err != nil {
		p.t.Error(err)
		return
	}
	p.Serve(listener)
}

// Serve has the plugin serve what it is given.
func (p *Plugin) Serve(listener net.Listener) {
	server, done := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}, make(chan struct{})
	p.mu.Lock()
	p.server, p.done = server, done
	p.mu.Unlock()
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.t.Errorf("serve: %v", err)
		}
	}()
}

// Stop breaks all connections, as when the process dies, and removes the socket. It may
// be called by a handler.
func (p *Plugin) Stop() {
	p.mu.Lock()
	server, done := p.server, p.done
	p.server = nil
	p.mu.Unlock()
	if server != nil {
		_ = server.Close()
		<-done
	}
}

// Restart is Stop and Start.
func (p *Plugin) Restart() {
	p.t.Helper()
	p.Stop()
	p.Start()
}

// Handle has a handler serve the method from now on.
func (p *Plugin) Handle(method string, handler Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[method] = handler
}

// Answer has the method answer with the text.
func (p *Plugin) Answer(method, text string) { p.AnswerStatus(method, http.StatusOK, text) }

// AnswerStatus has the method answer with the status and the text.
func (p *Plugin) AnswerStatus(method string, status int, text string) {
	p.Handle(method, func(w http.ResponseWriter, _ Call) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

// Hang has the method not answer before the caller has gone, or the plugin is stopped.
func (p *Plugin) Hang(method string) { p.Handle(method, nil) }

// Break has the method break the connection in place of an answer.
func (p *Plugin) Break(method string) {
	p.Handle(method, func(http.ResponseWriter, Call) { panic(http.ErrAbortHandler) })
}

// ServeHTTP implements http.Handler.
func (p *Plugin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller has gone
	}
	call := Call{
		Method: strings.TrimPrefix(r.URL.Path, "/"), Body: string(bytes.TrimSpace(body)), Host: r.Host, Accept: r.Header.Get("Accept"),
	}
	p.mu.Lock()
	p.calls = append(p.calls, call)
	handler, known := p.handlers[call.Method]
	p.mu.Unlock()
	switch {
	case !known || r.Method != http.MethodPost:
		http.NotFound(w, r)
	case handler == nil:
		<-r.Context().Done()
	default:
		handler(w, call)
	}
}

// Calls returns what was asked since it was last called, without the activations.
func (p *Plugin) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := slices.DeleteFunc(p.calls, func(c Call) bool { return c.Method == "Plugin.Activate" })
	p.calls = nil
	return calls
}

// Methods is Calls without the bodies.
func (p *Plugin) Methods() []string {
	var methods []string
	for _, c := range p.Calls() {
		methods = append(methods, c.Method)
	}
	return methods
}
