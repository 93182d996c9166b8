package plugin_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/plugintest"
)

// Many callers at once activate the plugin once; one that gives up takes nobody along.
func TestConcurrentCalls(t *testing.T) {
	p := plugintest.Start(t, "p", "NetworkDriver")
	p.Answer("NetworkDriver.Leave", "{}")
	activations := make(chan struct{}, 100)
	hold := make(chan struct{})
	p.Handle("Plugin.Activate", func(w http.ResponseWriter, _ plugintest.Call) {
		activations <- struct{}{}
		<-hold
		_, _ = io.WriteString(w, `{"Implements":["NetworkDriver"]}`)
	})
	r := plugin.New(plugin.Options{SocketFolders: []string{p.Folder}, RetryFor: time.Minute, CallTimeout: time.Minute})
	defer r.Close() //nolint:errcheck // it returns none
	impatient, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := r.Get(impatient, "p", "NetworkDriver")
		gone <- err
	}()
	<-activations
	cancel()
	if err := <-gone; !errors.Is(err, cnm.Timeout) {
		t.Errorf("error %v", err)
	}
	close(hold)

	found, err := r.Get(t.Context(), "p", "NetworkDriver")
	if err != nil {
		t.Fatal(err)
	}
	p.Restart()
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if err := found.Call(t.Context(), "NetworkDriver.Leave", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if found.Activations() != 2 {
		t.Errorf("activated %d times", found.Activations())
	}
}

// A plugin that restarts where it was is activated again, by TCP as well: there is no file
// that would tell.
func TestRestartOnTCP(t *testing.T) {
	p := plugintest.New(t, "p", "NetworkDriver")
	p.Answer("NetworkDriver.Leave", "{}")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.Serve(listener)
	write(t, filepath.Join(p.Folder, "p.spec"), "tcp://"+listener.Addr().String())
	found := get(t, p)
	for want := range uint64(3) {
		if want > 0 {
			p.Stop()
			if listener, err = net.Listen("tcp", listener.Addr().String()); err != nil {
				t.Fatal(err)
			}
			p.Serve(listener)
		}
		for range 2 {
			if err := found.Call(t.Context(), "NetworkDriver.Leave", nil, nil); err != nil || found.Activations() != want+1 {
				t.Errorf("error %v, activated %d times, want %d", err, found.Activations(), want+1)
			}
		}
	}
}

// Another process takes the socket while the first one still has a connection: it is not
// called before it is activated.
func TestSocketTaken(t *testing.T) {
	first := plugintest.Start(t, "p", "NetworkDriver")
	write(t, filepath.Join(first.Folder, "specs", "p.spec"), "unix://"+first.Socket())
	first.Hang("NetworkDriver.Join")
	r := plugin.New(plugin.Options{SocketFolders: []string{filepath.Join(first.Folder, "none")}, SpecFolders: []string{filepath.Join(first.Folder, "specs")}})
	defer r.Close() //nolint:errcheck // it returns none
	found, err := r.Get(t.Context(), "p", "NetworkDriver")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() {
		if err := found.Call(ctx, "NetworkDriver.Join", nil, nil); !errors.Is(err, cnm.Timeout) {
			t.Errorf("error %v", err)
		}
	})
	for len(first.Calls()) == 0 {
		time.Sleep(time.Millisecond)
	}
	second := plugintest.New(t, "p", "NetworkDriver")
	second.Answer("NetworkDriver.Leave", "{}")
	second.Folder = first.Folder
	if err := os.Remove(first.Socket()); err != nil {
		t.Fatal(err)
	}
	second.Start()
	if err := found.Call(t.Context(), "NetworkDriver.Leave", nil, nil); err != nil || found.Activations() != 2 {
		t.Errorf("error %v, activated %d times", err, found.Activations())
	}
	if got := first.Methods(); len(got) != 0 {
		t.Errorf("the first was asked for %q", got)
	}
	cancel()
	busy.Wait()
}

// Servers that close the connection after each answer, as those of HTTP/1.0 do, are
// activated for each.
func TestOldServer(t *testing.T) {
	p := plugintest.New(t, "p", "NetworkDriver")
	listener, err := net.Listen("unix", p.Socket())
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			request, err := http.ReadRequest(bufio.NewReader(conn))
			answer := `{"Text":"done"}`
			if err == nil && request.URL.Path == "/Plugin.Activate" {
				answer = `{"Implements":["NetworkDriver"]}`
			}
			_, _ = io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\n"+answer)
			_ = conn.Close()
		}
	})
	found := get(t, p)
	for range 3 {
		var got reply
		if err := found.Call(t.Context(), "NetworkDriver.Join", map[string]string{"a": "b"}, &got); err != nil || got.Text != "done" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	server.Wait()
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	p := plugintest.Start(t, "p", "NetworkDriver")
	p.Hang("NetworkDriver.Join")
	r := plugin.New(plugin.Options{SocketFolders: []string{p.Folder}, CallTimeout: time.Minute})
	found, err := r.Get(t.Context(), "p", "NetworkDriver")
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() { failed <- found.Call(t.Context(), "NetworkDriver.Join", nil, nil) }()
	for len(p.Calls()) == 0 {
		time.Sleep(time.Millisecond)
	}
	closing := make(chan error)
	go func() { closing <- r.Close() }()
	if err := <-failed; !errors.Is(err, cnm.Unavailable) || !plugin.MayHaveHappened(err) {
		t.Errorf("a call when the registry was closed: error %v", err)
	}
	if err := <-closing; err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := found.Call(t.Context(), "NetworkDriver.Join", nil, nil); !errors.Is(err, cnm.Unavailable) || plugin.MayHaveHappened(err) {
		t.Errorf("a call afterwards: error %v", err)
	}
	if _, err := r.Get(t.Context(), "p", "NetworkDriver"); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("get: error %v", err)
	}
	if _, err := r.Names(t.Context()); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("names: error %v", err)
	}
	p.Stop()
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
	}
}
