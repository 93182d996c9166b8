package server_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/api/server"
)

// bodyRoutes are the routes of the document that change something; those that take a body
// are true.
func bodyRoutes(t *testing.T) map[string]bool {
	t.Helper()
	routes, bodies := make(map[string]bool), 0
	for path, operations := range documentPaths(t) {
		for method, operation := range operations {
			if method == "get" {
				continue
			}
			_, takes := operation.(map[string]any)["requestBody"]
			routes[strings.ToUpper(method)+" "+path] = takes
			if takes {
				bodies++
			}
		}
	}
	if bodies < 8 {
		t.Fatalf("the document has %d operations with bodies only", bodies)
	}
	return routes
}

// TestEveryDoorIsShut: each route that changes something refuses what a web page of others
// sends, and each with a body one that is too large or of another type; and then nothing has
// changed. All goes over a socket, as real clients do.
func TestEveryDoorIsShut(t *testing.T) {
	d := newDaemon(t)
	startFuzzed(t, d)
	t.Cleanup(func() { endFuzzed(t, d) })
	client := d.serve(t)
	large := `{"name":"x","` + strings.Repeat("x", 1<<20) + `":1}`
	refusals := []struct {
		name, value, body string
		status            int
		needsBody         bool
	}{
		{"Origin", "http://evil.example", anyBody, http.StatusForbidden, false},
		{"Origin", "null", anyBody, http.StatusForbidden, false},
		{"Origin", "http://localhost.evil.example", anyBody, http.StatusForbidden, false},
		{"Sec-Fetch-Site", "cross-site", anyBody, http.StatusForbidden, false},
		{"Sec-Fetch-Site", "same-site", anyBody, http.StatusForbidden, false},
		{"Content-Type", "text/plain", anyBody, http.StatusUnsupportedMediaType, true},
		{"Content-Type", "application/x-www-form-urlencoded", anyBody, http.StatusUnsupportedMediaType, true},
		{"Content-Type", "multipart/form-data; boundary=x", anyBody, http.StatusUnsupportedMediaType, true},
		{"Content-Type", "application/json;;", anyBody, http.StatusUnsupportedMediaType, true},
		{"Content-Type", "application/json", large, http.StatusRequestEntityTooLarge, true},
		{"X-None", "", large, http.StatusRequestEntityTooLarge, true},
	}
	before := countRecords(d)
	for route, takesBody := range bodyRoutes(t) {
		method, pattern, _ := strings.Cut(route, " ")
		path := fillPattern(pattern, "usual", "e", "c")
		for _, refusal := range refusals {
			if refusal.needsBody && !takesBody {
				continue
			}
			req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(refusal.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(refusal.name, refusal.value)
			answer, err := client.Do(req)
			if err != nil {
				t.Errorf("%s: %s %q: %v", route, refusal.name, refusal.value, err)
				continue
			}
			text, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != refusal.status || err != nil || len(text) == 0 {
				t.Errorf("%s: %s %q: got %d %q %v, want %d", route, refusal.name, refusal.value, answer.StatusCode, text, err, refusal.status)
			}
		}
	}
	if after := countRecords(d); after != before {
		t.Errorf("there are %d networks, endpoints and sandboxes, and there were %d", after, before)
	}
}

// TestBodyOfTheLargestSize: a body of 1 MiB is taken, and one of a byte more is not.
func TestBodyOfTheLargestSize(t *testing.T) {
	d := newDaemon(t)
	t.Cleanup(func() { endFuzzed(t, d) })
	const head, tail = `{"name":"large","ignored":"`, `"}`
	full := head + strings.Repeat("x", 1<<20-len(head)-len(tail)) + tail
	if answer := d.ask("POST", "/networks", strings.Replace(full, "xx", "xxx", 1)); answer.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d bytes: got %d %s", len(full)+1, answer.Code, answer.Body)
	}
	if answer := d.ask("POST", "/networks", full); answer.Code != http.StatusCreated {
		t.Errorf("%d bytes: got %d %s", len(full), answer.Code, answer.Body)
	}
}

// TestGuardShutsEveryDoor: by a name that is not the daemon's nothing is reached, nor changed.
func TestGuardShutsEveryDoor(t *testing.T) {
	d := newDaemon(t)
	startFuzzed(t, d)
	t.Cleanup(func() { endFuzzed(t, d) })
	guarded := server.Guard(d.handler)
	for path, operations := range documentPaths(t) {
		for method := range operations {
			req, err := http.NewRequest(strings.ToUpper(method), "http://evil.example"+fillPattern(path, "usual", "e", "c"), strings.NewReader(anyBody))
			if err != nil {
				t.Fatal(err)
			}
			recorder := &codeRecorder{header: make(http.Header)}
			guarded.ServeHTTP(recorder, req)
			if recorder.code != http.StatusForbidden || !strings.Contains(recorder.text.String(), "evil.example") {
				t.Errorf("%s %s: got %d %s", method, path, recorder.code, recorder.text.String())
			}
		}
	}
}

// TestRepairStreamsEachObject: a line for each object as it is looked at, which count up to
// the total, and the report in the last one; a dry run tells the same.
func TestRepairStreamsEachObject(t *testing.T) {
	d := newDaemon(t)
	startFuzzed(t, d)
	t.Cleanup(func() { endFuzzed(t, d) })
	client := d.serve(t)
	for _, query := range []string{"", "?dry-run=true"} {
		req, err := http.NewRequest(http.MethodPost, "http://localhost/repair"+query, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/x-ndjson")
		answer, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // read only
		if kind := answer.Header.Get("Content-Type"); kind != "application/x-ndjson" {
			t.Errorf("the type is %q", kind)
		}
		var lines []api.RepairProgress
		for scanner := bufio.NewScanner(answer.Body); scanner.Scan(); {
			var line api.RepairProgress
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Fatalf("%q: %v", scanner.Text(), err)
			}
			lines = append(lines, line)
		}
		if len(lines) < 3 {
			t.Fatalf("got %+v", lines)
		}
		last := lines[len(lines)-1]
		for i, line := range lines[:len(lines)-1] {
			if line.Done != i+1 || line.Total != last.Total || line.Subject == "" || line.Report != nil {
				t.Errorf("line %d: %+v", i, line)
			}
		}
		if last.Report == nil || last.Error != nil || last.Done != last.Total || last.Report.DryRun != (query != "") {
			t.Errorf("the last line: %+v", last)
		}
	}
}
