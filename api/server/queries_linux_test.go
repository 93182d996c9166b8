package server_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api/server"
)

// anyBody fits each route that wants one: fields of others are ignored. What it makes is in
// the network "usual", or named "x".
const anyBody = `{"name":"x","container":"c","container_id":"x","sandbox_id":"c","key":"/nowhere"}`

// documentPaths are the operations of the document, by path and method.
func documentPaths(t testing.TB) map[string]map[string]any {
	t.Helper()
	text, err := json.Marshal(server.Document("1.2.3"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.Paths
}

// everyRoute returns the routes of the document, each as method and pattern.
func everyRoute(f *testing.F) []string {
	f.Helper()
	var out []string
	for path, operations := range documentPaths(f) {
		for method := range operations {
			out = append(out, strings.ToUpper(method)+" "+path)
		}
	}
	if len(out) < 30 {
		f.Fatalf("the document has %d operations only", len(out))
	}
	slices.Sort(out)
	return out
}

// fillPattern puts the ids into a route's path, one after the other.
func fillPattern(pattern string, ids ...string) string {
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") && len(ids) > 0 {
			parts[i], ids = url.PathEscape(ids[0]), ids[1:]
		}
	}
	return strings.Join(parts, "/")
}

// startFuzzed makes what requests can be about: the network "usual" with the endpoint "e",
// and the sandbox "c".
func startFuzzed(t testing.TB, d *daemon) {
	t.Helper()
	for _, step := range [][2]string{
		{"/networks", `{"name":"usual"}`}, {"/networks/usual/endpoints", `{"name":"e"}`}, {"/sandboxes", `{"container_id":"c"}`},
	} {
		if answer := d.ask("POST", step[0], step[1]); answer.Code != http.StatusCreated {
			t.Fatalf("%s: %d %s", step[0], answer.Code, answer.Body)
		}
	}
}

// endFuzzed deletes all that there is.
func endFuzzed(t testing.TB, d *daemon) {
	t.Helper()
	for _, sb := range d.controller.Sandboxes() {
		if err := sb.Delete(); err != nil {
			t.Errorf("sandbox %q: %v", sb.ContainerID(), err)
		}
	}
	for _, n := range d.controller.Networks() {
		for _, ep := range n.Endpoints() {
			if err := ep.Delete(true); err != nil {
				t.Errorf("endpoint %q: %v", ep.Name(), err)
			}
		}
		if n.Type() != "host" && n.Type() != "null" {
			if err := n.Delete(); err != nil {
				t.Errorf("network %q: %v", n.Name(), err)
			}
		}
	}
}

// countRecords counts networks, endpoints and sandboxes.
func countRecords(d *daemon) [3]int {
	records := d.controller.(libnetwork.Inspector).Records()
	return [3]int{len(records.Networks), len(records.Endpoints), len(records.Sandboxes)}
}

// FuzzQueries: whatever the ids in the path and the query of a route, the answer is a
// success or an error of the caller's which has changed nothing. A route is a number, so that each is one that is there.
func FuzzQueries(f *testing.F) {
	known := everyRoute(f)
	for i := range known {
		route := uint8(i)
		f.Add(route, "usual", "e", "")
		f.Add(route, "e", "c", "")
		f.Add(route, "c", "", "name=e")
		f.Add(route, "e.usual", "c", "force=true")
		f.Add(route, "..", "%", "label=a=b&label=&name=%00")
		f.Add(route, "\x00", "a/b", "after=18446744073709551615&type=x&from=c&to=e&port=80&protocol=udp")
		f.Add(route, strings.Repeat("x", 300), "é", "dry-run=perhaps;force=1&partial-id=%zz")
	}
	d := newDaemon(f)
	f.Cleanup(func() { endFuzzed(f, d) })
	startFuzzed(f, d)
	whole := countRecords(d)
	f.Fuzz(func(t *testing.T, number uint8, first, second, query string) {
		route := known[int(number)%len(known)]
		method, pattern, _ := strings.Cut(route, " ")
		body := ""
		if method == http.MethodPost {
			body = anyBody
		}
		req, err := http.NewRequest(method, "http://localhost"+fillPattern(pattern, first, second), strings.NewReader(body))
		if err != nil {
			return
		}
		req.URL.RawQuery = query
		if pattern == "/events" { // it ends when the client goes, which this one does at once
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			req = req.WithContext(ctx)
		}
		recorder := &codeRecorder{header: make(http.Header)}
		d.handler.ServeHTTP(recorder, req)
		if recorder.code == http.StatusInternalServerError {
			t.Errorf("%s %q %q ?%s: %d %s", route, first, second, query, recorder.code, recorder.text.String())
		}
		switch changed := countRecords(d) != whole; {
		case recorder.code >= 300 && changed:
			t.Errorf("%s %q %q ?%s: was refused with %d %s, and changed something", route, first, second, query, recorder.code, recorder.text.String())
			fallthrough
		case method != http.MethodGet && recorder.code < 300:
			endFuzzed(t, d)
			startFuzzed(t, d)
		}
	})
}

// TestEveryRouteIsReached keeps FuzzQueries true: paths made of patterns reach their routes.
func TestEveryRouteIsReached(t *testing.T) {
	d := newDaemon(t)
	startFuzzed(t, d)
	t.Cleanup(func() { endFuzzed(t, d) })
	ids := map[string][]string{
		"/networks": {"usual", "e", "c"}, "/services": {"e", "c"}, "/endpoints": {"e"}, "/sandboxes": {"c"},
	}
	paths := documentPaths(t)
	for _, pattern := range slices.Sorted(maps.Keys(paths)) {
		if _, ok := paths[pattern]["get"]; !ok || pattern == "/events" {
			continue
		}
		path := fillPattern(pattern, ids["/"+strings.Split(pattern, "/")[1]]...)
		for _, suffix := range map[string][]string{"/why": {"?from=c&to=e"}, "/sandboxes/{sandbox}/resolve": {"?name=e"}}[pattern] {
			path += suffix
		}
		get, head := d.ask(http.MethodGet, path, ""), d.ask(http.MethodHead, path, "")
		if get.Code != http.StatusOK || head.Code != http.StatusOK {
			t.Errorf("%s: GET %d, HEAD %d: %s", path, get.Code, head.Code, get.Body)
		}
		if kind := get.Header().Get("Content-Type"); head.Header().Get("Content-Type") != kind {
			t.Errorf("%s: HEAD is of type %q, GET of %q", path, head.Header().Get("Content-Type"), kind)
		}
	}
}
