package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
)

// over returns a client of a handler.
func over(t *testing.T, handler http.HandlerFunc, options ...client.Option) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New("tcp://"+server.Listener.Addr().String(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAddresses(t *testing.T) {
	for address, valid := range map[string]bool{
		"": true, "unix:///run/x.sock": true, "tcp://": true, "tcp://localhost": true, "tcp://127.0.0.1:1": true,
		"tcp://[::1]:2385": true, "tcp://[::1]": true, "tcp://::1": true, "tcp://:2385": true, "tcp://host/": true,
		"unix://run/x": false, "unix://": false, "tcp://a:b": false, "tcp://a:0": false, "tcp://a:70000": false, "tcp://a:http": false,
		"http://a": false, "/run/x.sock": false, "tcp://a/b": false, "tcp://user@a": false, "tcp://a b": false,
	} {
		_, err := client.New(address)
		if (err == nil) != valid {
			t.Errorf("%q: %v", address, err)
		}
		if err != nil && !errors.Is(err, cnm.Invalid) {
			t.Errorf("%q: kind %s", address, cnm.KindOf(err))
		}
	}
	for address, local := range map[string]bool{"": true, "tcp://": true, "tcp://localhost": true, "tcp://[::1]": true, "tcp://192.0.2.1": false, "tcp://name": false} {
		if c, err := client.New(address); err != nil || c.Local() != local {
			t.Errorf("%q: local %v, %v", address, c.Local(), err)
		}
	}
}

// call is a method with what must arrive at the daemon.
type call struct {
	do   func(context.Context, *client.Client) error
	want string
	// answer is what the daemon says; empty is an empty object.
	answer string
}

func discard[T any](_ T, err error) error { return err }

func calls() []call {
	type ctx = context.Context
	type C = *client.Client
	return []call{
		{func(x ctx, c C) error {
			return discard(c.Networks(x, client.NetworkFilter{Name: "a", Labels: []string{"k=v", "l"}}))
		}, "GET /networks?label=k%3Dv&label=l&name=a", "[]"},
		{func(x ctx, c C) error { return discard(c.Network(x, "a/b c")) }, "GET /networks/a%2Fb%20c", ""},
		{func(x ctx, c C) error { return discard(c.Network(x, "..")) }, "GET /networks/%2E%2E", ""},
		{func(x ctx, c C) error { return discard(c.CreateNetwork(x, api.NetworkCreate{Name: "a"})) }, `POST /networks {"name":"a"}`, `"id"`},
		{func(x ctx, c C) error { return c.DeleteNetwork(x, "a") }, "DELETE /networks/a", ""},
		{func(x ctx, c C) error { return discard(c.PruneNetworks(x, "k=v")) }, "POST /networks/prune?label=k%3Dv", ""},
		{func(x ctx, c C) error { return discard(c.Connect(x, "a", api.NetworkConnect{Container: "c"})) }, `POST /networks/a/connect {"container":"c","name":""}`, ""},
		{func(x ctx, c C) error { return c.Disconnect(x, "a", "c") }, `POST /networks/a/disconnect {"container":"c"}`, ""},
		{func(x ctx, c C) error {
			return discard(c.Endpoints(x, client.EndpointFilter{Network: "a", Container: "c", Labels: []string{"k"}}))
		}, "GET /endpoints?container=c&label=k&network=a", "[]"},
		{func(x ctx, c C) error { return discard(c.Endpoint(x, "e")) }, "GET /endpoints/e", ""},
		{func(x ctx, c C) error { return c.DeleteEndpoint(x, "e", true) }, "DELETE /endpoints/e?force=true", ""},
		{func(x ctx, c C) error { return c.DeleteEndpoint(x, "e", false) }, "DELETE /endpoints/e", ""},
		{func(x ctx, c C) error {
			return discard(c.NetworkEndpoints(x, "a", client.EndpointFilter{PartialID: "1"}))
		}, "GET /networks/a/endpoints?partial-id=1", "[]"},
		{func(x ctx, c C) error { return discard(c.NetworkEndpoint(x, "a", "e")) }, "GET /networks/a/endpoints/e", ""},
		{func(x ctx, c C) error { return discard(c.CreateEndpoint(x, "a", api.EndpointCreate{Name: "e"})) }, `POST /networks/a/endpoints {"name":"e"}`, `"id"`},
		{func(x ctx, c C) error { return c.DeleteNetworkEndpoint(x, "a", "e") }, "DELETE /networks/a/endpoints/e", ""},
		{func(x ctx, c C) error { return discard(c.Join(x, "a", "e", api.EndpointJoin{SandboxID: "s"})) }, `POST /networks/a/endpoints/e/sandboxes {"sandbox_id":"s"}`, `"key"`},
		{func(x ctx, c C) error { return c.Leave(x, "a", "e", "s") }, "DELETE /networks/a/endpoints/e/sandboxes/s", ""},
		{func(x ctx, c C) error { return discard(c.Services(x, client.EndpointFilter{Name: "s"})) }, "GET /services?name=s", "[]"},
		{func(x ctx, c C) error { return discard(c.Service(x, "s")) }, "GET /services/s", ""},
		{func(x ctx, c C) error { return discard(c.CreateService(x, api.ServiceCreate{Network: "a"})) }, `POST /services {"name":"","network_name":"a"}`, `"id"`},
		{func(x ctx, c C) error { return c.DeleteService(x, "s", api.ServiceDelete{Force: true}) }, `DELETE /services/s {"force":true}`, ""},
		{func(x ctx, c C) error { return discard(c.ServiceBackends(x, "s")) }, "GET /services/s/backend", "[]"},
		{func(x ctx, c C) error { return discard(c.AttachService(x, "s", api.EndpointJoin{SandboxID: "b"})) }, `POST /services/s/backend {"sandbox_id":"b"}`, `"key"`},
		{func(x ctx, c C) error { return c.DetachService(x, "s", "b") }, "DELETE /services/s/backend/b", ""},
		{func(x ctx, c C) error { return discard(c.Sandboxes(x, client.SandboxFilter{PartialContainerID: "c"})) }, "GET /sandboxes?partial-container-id=c", "[]"},
		{func(x ctx, c C) error { return discard(c.Sandbox(x, "s")) }, "GET /sandboxes/s", ""},
		{func(x ctx, c C) error { return discard(c.CreateSandbox(x, api.SandboxCreate{ContainerID: "c"})) }, `POST /sandboxes {"container_id":"c"}`, `"id"`},
		{func(x ctx, c C) error { return c.DeleteSandbox(x, "s") }, "DELETE /sandboxes/s", ""},
		{func(x ctx, c C) error { return discard(c.SetSandboxKey(x, "s", "/k")) }, `POST /sandboxes/s/key {"key":"/k"}`, `"key"`},
		{func(x ctx, c C) error { return discard(c.SandboxStatistics(x, "s")) }, "GET /sandboxes/s/statistics", ""},
		{func(x ctx, c C) error { return discard(c.Statistics(x)) }, "GET /statistics", "[]"},
		{func(x ctx, c C) error { return discard(c.Resolve(x, "s", "n")) }, "GET /sandboxes/s/resolve?name=n", ""},
		{func(x ctx, c C) error { return discard(c.Info(x)) }, "GET /info", ""},
		{func(x ctx, c C) error { return discard(c.Version(x)) }, "GET /version", ""},
		{func(x ctx, c C) error { return discard(c.Health(x)) }, "GET /health", ""},
		{func(x ctx, c C) error { return c.Metrics(x, io.Discard) }, "GET /metrics", ""},
		{func(x ctx, c C) error { return discard(c.OpenAPI(x)) }, "GET /openapi.json", ""},
		{func(x ctx, c C) error { return discard(c.Doctor(x)) }, "GET /doctor", "[]"},
		{func(x ctx, c C) error { return discard(c.Explain(x, "a", "b", 80, "udp")) }, "GET /why?from=a&port=80&protocol=udp&to=b", ""},
		{func(x ctx, c C) error { return discard(c.State(x)) }, "GET /debug/state", ""},
		{func(x ctx, c C) error { return c.Goroutines(x, io.Discard) }, "GET /debug/goroutines", ""},
		{func(x ctx, c C) error { return c.Bundle(x, io.Discard) }, "GET /debug/bundle", ""},
		{func(x ctx, c C) error { return discard(c.Repair(x, client.RepairOptions{DryRun: true})) }, "POST /repair?dry-run=true", ""},
	}
}

// TestEveryMethod sends each request and looks at it on the other side; then the daemon
// refuses each, and lets each wait until the context ends.
func TestEveryMethod(t *testing.T) {
	var got, answer string
	c := over(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
		if kind := r.Header.Get("Content-Type"); (len(body) > 0) != (kind == "application/json") {
			t.Errorf("%s: content type %q", got, kind)
		}
		if !strings.Contains(r.Header.Get("Accept"), "application/json") {
			t.Errorf("%s: accepts no errors in JSON", got)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	})
	refusing := over(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not today", http.StatusForbidden) })
	release := make(chan struct{})
	waiting := over(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	for _, one := range calls() {
		answer = one.answer
		if answer == "" {
			answer = "{}"
		}
		if err := one.do(t.Context(), c); err != nil {
			t.Errorf("%s: %v", one.want, err)
		}
		if got != one.want {
			t.Errorf("sent %s\nwant %s", got, one.want)
		}
		var report *api.Error
		if err := one.do(t.Context(), refusing); !errors.As(err, &report) || report.Message != "not today" || cnm.KindOf(err) != cnm.Forbidden {
			t.Errorf("%s, refused: %v of kind %s", one.want, err, cnm.KindOf(err))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := one.do(ctx, waiting); !errors.Is(err, cnm.Timeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, too late: %v of kind %s", one.want, err, cnm.KindOf(err))
		}
		cancel()
	}
}

func TestErrors(t *testing.T) {
	full := &api.Error{Message: "no room", Kind: cnm.Exhausted, Detail: "make room"}
	text, _ := json.Marshal(full)
	for name, it := range map[string]struct {
		status     int
		kind, body string
		want       *api.Error
	}{
		"json":      {503, "application/json; charset=utf-8", string(text), full},
		"text":      {404, "text/plain", "network \"a\" not found\n", &api.Error{Message: `network "a" not found`, Kind: cnm.NotFound}},
		"bad json":  {400, "application/json", "{", &api.Error{Message: "{", Kind: cnm.Invalid}},
		"empty":     {500, "", "", &api.Error{Message: "the daemon answers 500 Internal Server Error, and no more", Kind: cnm.Internal}},
		"too large": {413, "text/plain", "body over 1 MiB", &api.Error{Message: "body over 1 MiB", Kind: cnm.Invalid}},
		"no kind":   {408, "application/json", `{"message":"slow"}`, &api.Error{Message: "slow", Kind: cnm.Timeout}},
	} {
		c := over(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", it.kind)
			w.WriteHeader(it.status)
			_, _ = io.WriteString(w, it.body)
		})
		_, err := c.Info(t.Context())
		var got *api.Error
		if !errors.As(err, &got) {
			t.Errorf("%s: got %v", name, err)
		} else if difference := cmp.Diff(it.want, got); difference != "" {
			t.Errorf("%s: %s", name, difference)
		}
	}
	garbled := over(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if _, err := garbled.Info(t.Context()); !errors.Is(err, cnm.Internal) || !strings.Contains(err.Error(), "cannot read the answer of tcp://") {
		t.Errorf("got %v", err)
	}
	if _, err := garbled.Network(t.Context(), ""); !errors.Is(err, cnm.Invalid) {
		t.Errorf("an empty name: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	c, err := client.New("unix://" + socket)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Info(t.Context())
	var report *api.Error
	want := &api.Error{
		Message: "cannot reach the daemon at unix://" + socket + ": no such file or directory",
		Kind:    cnm.Unavailable, Detail: "is it running? start it with: dnet daemon",
	}
	if !errors.As(err, &report) || *report != *want || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %+v, want %+v", report, want)
	}
	// A daemon that dies within its answer.
	dying := over(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	if _, err := dying.Info(t.Context()); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"version":"x"}`) }))
	defer server.Close()
	address := "tcp://" + server.Listener.Addr().String()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	certificate := server.TLS.Certificates[0].Certificate[0]
	if err := os.WriteFile(authority, pemOf(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	good, err := client.New(address, client.WithTLSFiles(authority, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	if version, err := good.Version(t.Context()); version != "x" || err != nil {
		t.Errorf("%q, %v", version, err)
	}
	good.Close()
	strange, err := client.New(address, client.WithTLSFiles("", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	var report *api.Error
	if _, err := strange.Version(t.Context()); !errors.As(err, &report) || !strings.Contains(report.Detail, "--tlscacert") {
		t.Errorf("a stranger's certificate: %v, %+v", err, report)
	}
	if _, err := client.New(address, client.WithTLSFiles("/nowhere", "", "")); !errors.Is(err, cnm.Invalid) {
		t.Errorf("no file: %v", err)
	}
	if _, err := client.New("", client.WithTLSFiles("", "", "")); !errors.Is(err, cnm.Invalid) {
		t.Errorf("TLS by a Unix socket: %v", err)
	}
	plain := over(t, func(http.ResponseWriter, *http.Request) {}, client.WithTLSFiles("", "", ""))
	if _, err := plain.Version(t.Context()); !errors.As(err, &report) || !strings.Contains(report.Detail, "leave out") {
		t.Errorf("no TLS there: %v, %+v", err, report)
	}
}

func TestCopyTellsWhichSideFailed(t *testing.T) {
	c := over(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(bytes.Repeat([]byte("x"), 10))
	})
	var out bytes.Buffer
	err := c.Bundle(t.Context(), &out)
	var report *api.Error
	if !errors.As(err, &report) || out.Len() != 10 {
		t.Errorf("a short answer: %v after %d bytes", err, out.Len())
	}
	read, write := net.Pipe()
	_, _ = read.Close(), write.Close()
	if err := c.Bundle(t.Context(), write); err == nil || !strings.HasPrefix(err.Error(), "write the answer: ") {
		t.Errorf("a closed pipe: %v", err)
	}
}

func TestRepair(t *testing.T) {
	lines := `{"done":1,"total":2,"subject":"a"}` + "\n" + `{"done":2,"total":2,"subject":"b"}` + "\n"
	ending := `{"report":{"dry_run":false,"differences":[{"subject":"a","changes":["x"]}]}}`
	c := over(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, lines+ending)
	})
	var progress []string
	report, err := c.Repair(t.Context(), client.RepairOptions{Progress: func(p api.RepairProgress) {
		progress = append(progress, fmt.Sprint(p.Done, p.Total, p.Subject))
	}})
	if err != nil || len(report.Differences) != 1 || strings.Join(progress, ",") != "1 2a,2 2b" && strings.Join(progress, ",") != "1 2 a,2 2 b" {
		t.Errorf("%+v, %v, %q", report, err, progress)
	}
	ending = `{"error":{"message":"busy","kind":"conflict"}}`
	if _, err := c.Repair(t.Context(), client.RepairOptions{}); !errors.Is(err, cnm.Conflict) {
		t.Errorf("an error in the stream: %v", err)
	}
	ending = ""
	if _, err := c.Repair(t.Context(), client.RepairOptions{}); !errors.Is(err, cnm.Internal) {
		t.Errorf("a stream without an end: %v", err)
	}
}
