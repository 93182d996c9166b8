package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/api/server"
)

// serve answers at a Unix socket and returns a client for it.
func (d *daemon) serve(t testing.TB) *http.Client {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: d.handler, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener)
	}()
	transport := &http.Transport{MaxIdleConnsPerHost: 300, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", listener.Addr().String())
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = d.handler.Close()
		_ = s.Shutdown(context.Background())
		<-done
	})
	return &http.Client{Transport: transport}
}

// randomOperation returns a request; the names are few, so that clients meet.
func randomOperation(random *rand.Rand) (method, path, body string) {
	network, container := "n"+strconv.Itoa(random.IntN(20)), "c"+strconv.Itoa(random.IntN(100))
	switch random.IntN(12) {
	case 0:
		return "POST", "/networks", fmt.Sprintf(`{"name":%q}`, network)
	case 1:
		return "DELETE", "/networks/" + network, ""
	case 2, 3:
		return "POST", "/sandboxes", fmt.Sprintf(`{"container_id":%q}`, container)
	case 4:
		return "DELETE", "/sandboxes/" + container, ""
	case 5, 6, 7:
		return "POST", "/networks/" + network + "/connect", fmt.Sprintf(`{"container":%q,"ports":[{"container_port":80}]}`, container)
	case 8:
		return "POST", "/networks/" + network + "/disconnect", fmt.Sprintf(`{"container":%q}`, container)
	case 9:
		return "GET", "/networks/" + network, ""
	case 10:
		return "GET", "/sandboxes", ""
	}
	return "GET", "/statistics", ""
}

// TestManyClients: 200 at a time. All errors are the caller's, and nothing is left in the
// end. LOAD is the number of operations, 1,000 if it is not set.
func TestManyClients(t *testing.T) {
	operations, clients := 1000, 200
	if text := os.Getenv("LOAD"); text != "" {
		operations, _ = strconv.Atoi(text)
	}
	d := newDaemon(t)
	client := d.serve(t)
	goroutines := runtime.NumGoroutine()
	var mu sync.Mutex
	var took []time.Duration
	answers := make(map[int]int)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range operations / clients {
				method, path, body := randomOperation(random)
				start := time.Now()
				code, text, err := request(client, method, path, body)
				mu.Lock()
				took = append(took, time.Since(start))
				answers[code]++
				mu.Unlock()
				if err != nil || code != 400 && code != 403 && code != 404 && code >= 300 {
					t.Errorf("%s %s %s: %d %s %v", method, path, body, code, text, err)
				}
			}
		})
	}
	group.Wait()
	slices.Sort(took)
	t.Logf("%d operations by %d clients: p50 %s, p95 %s, most %s; answers by status: %v", len(took), clients,
		took[len(took)/2], took[len(took)*95/100], took[len(took)-1], answers)
	for _, sb := range d.controller.Sandboxes() {
		if err := sb.Delete(); err != nil {
			t.Error(err)
		}
	}
	d.ask("POST", "/networks/prune", "")
	left := d.controller.(libnetwork.Inspector).Records()
	if len(left.Networks)+len(left.Endpoints)+len(left.Sandboxes) > 0 {
		t.Errorf("left: %d networks, %d endpoints, %d sandboxes", len(left.Networks), len(left.Endpoints), len(left.Sandboxes))
	}
	if found, err := d.controller.(libnetwork.Inspector).Mend(t.Context(), libnetwork.MendOptions{DryRun: true}); err != nil || len(found) > 0 {
		t.Errorf("differs from the records: %v %v", found, err)
	}
	client.CloseIdleConnections()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines+5; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%d goroutines, and %d before", runtime.NumGoroutine(), goroutines)
			break
		}
	}
}

func request(client *http.Client, method, path, body string) (int, string, error) {
	req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	answer, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// TestEventStream: a client that comes back misses nothing, and Close ends the stream.
func TestEventStream(t *testing.T) {
	d := newDaemon(t)
	client := d.serve(t)
	var got []api.Event
	read := func(after string, count int) {
		t.Helper()
		req, err := http.NewRequest("GET", "http://localhost/events?type=network", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Last-Event-ID", after)
		answer, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // read only
		lines := bufio.NewScanner(answer.Body)
		for count > 0 && lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var event api.Event
				if err := json.Unmarshal([]byte(text), &event); err != nil {
					t.Fatal(err)
				}
				got, count = append(got, event), count-1
			}
		}
	}
	const number = 20
	for i := range number {
		if answer := d.ask("POST", "/networks", fmt.Sprintf(`{"name":"n%d"}`, i)); answer.Code != 201 {
			t.Fatal(answer.Body)
		}
	}
	read("0", 7)
	read(strconv.FormatUint(got[len(got)-1].Sequence, 10), number-7)
	for i, event := range got {
		if event.Name != "n"+strconv.Itoa(i) || event.Action != "create" || i > 0 && event.Sequence <= got[i-1].Sequence {
			t.Errorf("event %d: %+v", i, event)
		}
	}
	answer, err := client.Get("http://localhost/events") //nolint:bodyclose // it is closed at the end of the test
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil || line != ": events\n" {
		t.Fatalf("the stream begins with %q: %v", line, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, answer.Body)
	}()
	if err := d.handler.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the stream goes on after Close")
	}
}

// TestRepairTellsItsProgress: a line for each object, and the report in the last one.
func TestRepairTellsItsProgress(t *testing.T) {
	d := newDaemon(t)
	d.ask("POST", "/networks", `{"name":"one"}`)
	d.ask("POST", "/sandboxes", `{"container_id":"c1"}`)
	answer := d.ask("POST", "/repair", "", "Accept: application/x-ndjson")
	lines := strings.Split(strings.TrimSpace(answer.Body.String()), "\n")
	var last api.RepairProgress
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 3 || last.Report == nil || last.Done != 2 || last.Total != 2 {
		t.Errorf("got %q", lines)
	}
}

// TestRefusedAtTheDoor: what a web page of others could send, and what is no JSON.
func TestRefusedAtTheDoor(t *testing.T) {
	d := newDaemon(t)
	large := `{"name":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, test := range []struct {
		body, header string
		status       int
	}{
		{`{"name":"a"}`, "Origin: http://evil.example", 403},
		{`{"name":"a"}`, "Origin: null", 403},
		{`{"name":"a"}`, "Sec-Fetch-Site: same-site", 403},
		{`{"name":"a"}`, "Content-Type: application/x-www-form-urlencoded", 415},
		{large, "Content-Type: application/json", 413},
		{`{"name":"a"}`, "Origin: http://example.com", 201}, // the host that httptest asks
	} {
		if answer := d.ask("POST", "/networks", test.body, test.header); answer.Code != test.status {
			t.Errorf("%s: got %d %s, want %d", test.header, answer.Code, answer.Body, test.status)
		}
	}
	if answer := d.ask("HEAD", "/networks", ""); answer.Code != 200 {
		t.Errorf("HEAD: got %d", answer.Code)
	}
}

// bodies are the routes that take one, with a body to begin with.
func bodies() map[string]string {
	return map[string]string{
		"POST /networks":                             `{"name":"f","ipv4_configuration":[{"PreferredPool":"10.1.0.0/16","Gateway":"10.1.0.1","AuxAddresses":{"a":"10.1.0.9"}}],"driver_opts":{"com.docker.network.driver.mtu":"1400"},"network_opts":{"com.docker.network.internal":"true"}}`,
		"POST /networks/usual/endpoints":             `{"name":"x","my_aliases":["a"],"ipv4":"172.17.0.9","mac":"02:00:00:00:00:01","ports":[{"container_port":80,"container_port_end":89,"host_port":8000,"host_port_end":8009}]}`,
		"POST /networks/usual/connect":               `{"container":"c","name":"x","aliases":{"a":"b"},"priority":1}`,
		"POST /networks/usual/disconnect":            `{"container":"c"}`,
		"POST /services":                             `{"name":"s","network_name":"usual"}`,
		"POST /sandboxes":                            `{"container_id":"x","host_name":"h","dns":["192.0.2.1"],"extra_hosts":[{"name":"n","address":"192.0.2.1"}],"port_mapping":[{"Proto":6,"Port":80,"HostPort":8080}],"labels":{"a":[1,2]}}`,
		"POST /sandboxes/c/key":                      `{"key":"/proc/self/ns/net"}`,
		"DELETE /services/e":                         `{"name":"e","force":true}`,
		"POST /services/e/backend":                   `{"sandbox_id":"c","aliases":["a:b"],"priority":2}`,
		"POST /networks/usual/endpoints/e/sandboxes": `{"sandbox_id":"c","aliases":["a:b"]}`,
	}
}

// FuzzBodies: whatever the body, the answer is an error of the caller's or a success. The
// number says which route, so that each input is a request.
func FuzzBodies(f *testing.F) {
	known := bodies()
	routes := slices.Sorted(maps.Keys(known))
	for i, route := range routes {
		which, body := uint8(i), known[route]
		f.Add(which, body)
		f.Add(which, strings.ReplaceAll(body, `"`, ``))
		f.Add(which, strings.ReplaceAll(body, ":", `:[`))
		f.Add(which, strings.ReplaceAll(body, "1", "99999999999"))
		f.Add(which, strings.ReplaceAll(body, `"name":"`, `"name":"\u0000`))
		f.Add(which, "null")
		f.Add(which, "[]")
		f.Add(which, "{}")
	}
	d := newDaemon(f)
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		route := routes[int(which)%len(routes)]
		method, path, _ := strings.Cut(route, " ")
		var in api.SandboxCreate
		if _ = json.Unmarshal([]byte(body), &in); in.HostsPath+in.ResolvConfPath != "" {
			return // what is fuzzed must write no files of this machine
		}
		d.furnish()
		answer := d.ask(method, path, body)
		if answer.Code == http.StatusInternalServerError || answer.Code < 200 {
			t.Errorf("%s %s: %d %s", route, body, answer.Code, answer.Body)
		}
		d.clear(t)
	})
}

// FuzzPaths: whatever is asked for, the answer is an error of the caller's or a success.
func FuzzPaths(f *testing.F) {
	for _, s := range slices.Concat(story(), connectStory(), systemStory()) {
		f.Add(s.method, s.path)
	}
	d := newDaemon(f)
	f.Fuzz(func(t *testing.T, method, path string) {
		req, err := http.NewRequest(method, "http://localhost"+path, http.NoBody)
		if err != nil || !strings.HasPrefix(path, "/") || strings.Contains(path, "events") {
			return
		}
		recorder := &codeRecorder{header: make(http.Header)}
		d.handler.ServeHTTP(recorder, req)
		if recorder.code == http.StatusInternalServerError {
			t.Errorf("%s %q: %s", method, path, recorder.text.String())
		}
	})
}

// codeRecorder remembers a status, and the text of an error.
type codeRecorder struct {
	header http.Header
	code   int
	text   strings.Builder
}

func (r *codeRecorder) Header() http.Header { return r.header }

func (r *codeRecorder) WriteHeader(code int) { r.code = code }

func (r *codeRecorder) Write(text []byte) (int, error) { return r.text.Write(text) }

// TestGuard: names of others are refused, addresses and the loopback are not.
func TestGuard(t *testing.T) {
	d := newDaemon(t)
	guarded := server.Guard(d.handler, "dnet.example")
	for host, status := range map[string]int{
		"localhost:2385": 200, "127.0.0.1": 200, "[::1]:2385": 200, "192.0.2.7:2385": 200, "DNET.example": 200,
		"evil.example": 403, "localhost.evil.example": 403, "": 403,
	} {
		req, err := http.NewRequest("GET", "http://localhost/version", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		recorder := &codeRecorder{header: make(http.Header)}
		guarded.ServeHTTP(recorder, req)
		if recorder.code != status {
			t.Errorf("host %q: got %d, want %d", host, recorder.code, status)
		}
	}
}
