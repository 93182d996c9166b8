package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/api/server"
	"github.com/docker/libnetwork/config"
)

// stalled sends a request by a socket with small buffers and reads nothing of the answer.
func stalled(t *testing.T, address, head string) {
	t.Helper()
	conn, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.(*net.UnixConn).SetReadBuffer(1); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
}

// address is that of the socket behind a client.
func address(t *testing.T, client *http.Client) string {
	t.Helper()
	conn, err := client.Transport.(*http.Transport).DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	return conn.RemoteAddr().String()
}

// talkative is an inspector whose repair says more than any buffer takes, and ends early if
// its context does.
type talkative struct {
	libnetwork.Inspector
	steps int
	ended chan error
}

func (i talkative) Mend(ctx context.Context, options libnetwork.MendOptions) ([]libnetwork.Difference, error) {
	for n := range i.steps {
		if err := ctx.Err(); err != nil {
			i.ended <- err
			return nil, err
		}
		options.Progress(n+1, i.steps, strings.Repeat("subject ", 200))
	}
	i.ended <- nil
	return nil, nil
}

// TestRepairWaitsForNoClient: the controller's locks are held while a repair tells how far
// it is, so a client that reads nothing must not hold it up, nor one that goes away end it.
func TestRepairWaitsForNoClient(t *testing.T) {
	const head = "POST /repair HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n"
	for _, leaves := range []bool{false, true} {
		t.Run(fmt.Sprintf("leaves=%v", leaves), func(t *testing.T) {
			d := newDaemon(t)
			inspector := talkative{d.controller.(libnetwork.Inspector), 10_000, make(chan error, 1)}
			d.handler.Inspector = inspector
			socket := address(t, d.serve(t))
			if leaves {
				conn, err := net.Dial("unix", socket)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(conn, head); err != nil {
					t.Fatal(err)
				}
				if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
			} else {
				stalled(t, socket, head)
			}
			select {
			case err := <-inspector.ended:
				if err != nil {
					t.Errorf("the repair ended with %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Error("the repair waits for the client")
			}
		})
	}
}

// readEvents reads the stream until it has seen the named event so many times.
func readEvents(client *http.Client, name string, number int) error {
	req, err := http.NewRequest("GET", "http://localhost/events?after=0", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	count := 0
	for lines := bufio.NewScanner(answer.Body); count < number && lines.Scan(); {
		if lines.Text() == "event: "+name {
			count++
		}
	}
	if count < number {
		return fmt.Errorf("%d events %q, want %d", count, name, number)
	}
	return nil
}

// TestEventsWaitForNoClient: one that reads nothing slows neither operations nor readers.
func TestEventsWaitForNoClient(t *testing.T) {
	d := newDaemon(t)
	client := d.serve(t)
	socket := address(t, client)
	for range 20 {
		stalled(t, socket, "GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	const number = 300
	start := time.Now()
	for i := range number {
		if answer := d.ask("POST", "/sandboxes", fmt.Sprintf(`{"container_id":"c%d","use_external_key":true}`, i)); answer.Code != 201 {
			t.Fatal(answer.Body)
		}
	}
	took := time.Since(start)
	read := make(chan error, 1)
	go func() { read <- readEvents(client, "sandbox.create", number) }()
	select {
	case err := <-read:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the reader waits for those that do not read")
	}
	if took > 20*time.Second {
		t.Errorf("%d operations took %s", number, took)
	}
	t.Logf("%d operations beside 20 clients that read nothing: %s", number, took)
}

// TestSlowAnswerArrives: what takes longer to make than a client may take to read it.
func TestSlowAnswerArrives(t *testing.T) {
	d := newDaemon(t)
	const limit = 200 * time.Millisecond
	d.handler.SetWriteTime(limit)
	d.handler.Doctor = func(context.Context) ([]api.Finding, error) {
		time.Sleep(2 * limit)
		return []api.Finding{{Check: "slow", Level: api.LevelOK}}, nil
	}
	d.handler.Dump = func(_ context.Context, to io.Writer) error {
		for range 4 {
			time.Sleep(limit * 2 / 3)
			if _, err := to.Write([]byte(strings.Repeat("x", 8192))); err != nil {
				return err
			}
		}
		return nil
	}
	client := d.serve(t)
	for path, size := range map[string]int{"/doctor": 20, "/debug/bundle": 4 * 8192} {
		if code, text, err := request(client, "GET", path, ""); err != nil || code != 200 || len(text) < size {
			t.Errorf("%s: %d, %d bytes, %v", path, code, len(text), err)
		}
	}
}

// TestManyPortsAreRefused: a body far below the limit must not become gigabytes.
func TestManyPortsAreRefused(t *testing.T) {
	d := newDaemon(t)
	d.ask("POST", "/networks", `{"name":"usual"}`)
	d.ask("POST", "/sandboxes", `{"container_id":"c"}`)
	all := strings.TrimSuffix(strings.Repeat(`{"container_port":1,"container_port_end":65535},`, 200), ",")
	for path, body := range map[string]string{
		"/networks/usual/endpoints": `{"name":"e","ports":[` + all + `]}`,
		"/networks/usual/connect":   `{"container":"c","ports":[` + all + `]}`,
		"/sandboxes":                `{"container_id":"x","ports":[` + all + `]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		answer := d.ask("POST", path, body)
		runtime.ReadMemStats(&after)
		used := (after.TotalAlloc - before.TotalAlloc) >> 20
		if answer.Code != 400 || !strings.Contains(answer.Body.String(), "ports") || used > 64 {
			t.Errorf("%s: a body of %d bytes took %d MB and %s, and was answered with %d %.200s", path, len(body), used, time.Since(start), answer.Code, answer.Body)
		}
	}
}

// TestUnhealthyIsDocumented: the answer of a daemon that is not well is in the document.
func TestUnhealthyIsDocumented(t *testing.T) {
	d := newDaemon(t)
	d.handler.Health = func(context.Context) api.Health { return api.Health{Problems: []string{"the store is full"}} }
	document := decodedDocument(t)
	_, health := operationOf(document, "GET", "/health")
	answer := d.ask("GET", "/health", "", "Accept: application/json")
	if err := checkAnswer(document, health, answer); answer.Code != 503 || err != nil {
		t.Errorf("%d %s: %v", answer.Code, answer.Body, err)
	}
	_, repair := operationOf(document, "POST", "/repair")
	answer = d.ask("POST", "/repair", "", "Accept: application/x-ndjson")
	if err := checkAnswer(document, repair, answer); err != nil {
		t.Error(err)
	}
}

// driverless is a controller without a default driver.
type driverless struct{ libnetwork.NetworkController }

func (driverless) Config() config.Config { return config.Config{} }

// TestNothingBehind: a daemon without the functions says so, and does not fall over.
func TestNothingBehind(t *testing.T) {
	d := newDaemon(t)
	bare := &daemon{handler: server.New(server.Options{Controller: driverless{d.controller}, Inspector: d.controller.(libnetwork.Inspector)})}
	for _, path := range []string{"/doctor", "/why?from=a&to=b", "/health", "/metrics", "/debug/bundle", "/debug/state"} {
		if answer := bare.ask("GET", path, ""); answer.Code != http.StatusNotImplemented {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	for body, want := range map[string]int{
		`{"container_id":"x","lifetime":"process"}`: 501,
		`{"container_id":"x","lifetime":"forever"}`: 400,
	} {
		if answer := bare.ask("POST", "/sandboxes", body); answer.Code != want {
			t.Errorf("%s: %d %s", body, answer.Code, answer.Body)
		}
	}
	if answer := bare.ask("POST", "/networks", `{"name":"x"}`); answer.Code != 400 || !strings.Contains(answer.Body.String(), "no default driver") {
		t.Errorf("no default driver: %d %s", answer.Code, answer.Body)
	}
	if answer := bare.ask("POST", "/services", `{"name":"x"}`); answer.Code != 400 || !strings.Contains(answer.Body.String(), "no default network") {
		t.Errorf("no default network: %d %s", answer.Code, answer.Body)
	}
}

// TestAFailedFollowerTakesTheSandboxBack: nobody would delete it.
func TestAFailedFollowerTakesTheSandboxBack(t *testing.T) {
	d := newDaemon(t)
	d.owners.followed = nil
	answer := d.ask("POST", "/sandboxes", `{"container_id":"x","lifetime":"process"}`)
	if answer.Code < 400 || len(d.controller.Sandboxes()) > 0 {
		t.Errorf("%d %s; %d sandboxes", answer.Code, answer.Body, len(d.controller.Sandboxes()))
	}
}

// hungUp is the context of a client that hangs up as soon as an endpoint has joined.
type hungUp struct {
	context.Context

	inspector libnetwork.Inspector
}

func (h hungUp) Err() error {
	for _, e := range h.inspector.Records().Endpoints {
		if e.SandboxID != "" {
			return context.Canceled
		}
	}
	return nil
}

// TestConnectForNobody: whoever asked is gone, and what was made with him.
func TestConnectForNobody(t *testing.T) {
	d := newDaemon(t)
	if answer := d.ask("POST", "/networks", `{"name":"web"}`); answer.Code != http.StatusCreated {
		t.Fatal(answer.Body)
	}
	req := httptest.NewRequest("POST", "/networks/web/connect", strings.NewReader(`{"sandbox":{"container_id":"one"}}`))
	req.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, req.WithContext(hungUp{req.Context(), d.controller.(libnetwork.Inspector)}))
	left := d.controller.(libnetwork.Inspector).Records()
	if answer.Code != http.StatusRequestTimeout || len(left.Endpoints)+len(left.Sandboxes) > 0 {
		t.Errorf("%d %s; %d endpoints and %d sandboxes", answer.Code, answer.Body, len(left.Endpoints), len(left.Sandboxes))
	}
}
