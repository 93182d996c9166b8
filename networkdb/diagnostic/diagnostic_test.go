package diagnostic_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/networkdb"
	"github.com/docker/libnetwork/networkdb/diagnostic"
)

// island is the transport of a node that is alone.
type island struct{}

func (island) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IPv4(192, 0, 2, 1), 7946, nil
}
func (island) WriteTo([]byte, string) (time.Time, error) { return time.Now(), nil }
func (island) PacketCh() <-chan *memberlist.Packet       { return nil }
func (island) DialTimeout(to string, _ time.Duration) (net.Conn, error) {
	return nil, fmt.Errorf("dial %s: this is an island", to)
}
func (island) StreamCh() <-chan net.Conn { return nil }
func (island) Shutdown() error           { return nil }

func newServer(t *testing.T) (*networkdb.NetworkDB, *httptest.Server) {
	t.Helper()
	db, err := networkdb.New(networkdb.Config{NodeID: "node-1", Transport: island{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	server := httptest.NewServer(diagnostic.Handler(db))
	t.Cleanup(server.Close)
	return db, server
}

func ask(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it has been read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestCommands(t *testing.T) {
	_, server := newServer(t)
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/", 200, "POST /createentry"},
		{"GET", "/help", 200, "GET /watchtable"},
		{"GET", "/ready", 200, `"ready": true`},
		{"GET", "/clusterpeers", 200, `"ip": "192.0.2.1"`},
		{"POST", "/joinnetwork", 400, `parameter \"nid\" is missing`},
		{"GET", "/joinnetwork?nid=net", 405, ""},
		{"POST", "/createentry?nid=net&tname=t&key=k&value=v", 403, "has not joined the network"},
		{"GET", "/networkstats?nid=net", 404, `network \"net\": not found`},
		{"POST", "/joinnetwork?nid=net", 200, `"done": true`},
		{"GET", "/networkpeers?nid=net", 200, `"name": "node-1"`},
		{"GET", "/networkpeers?nid=other", 200, "[]"},
		{"GET", "/gettable?nid=net&tname=t", 200, "[]"},
		{"POST", "/createentry?nid=net&tname=t&key=k&value=a%20b", 200, `"done": true`},
		{"POST", "/createentry?nid=net&tname=t&key=k&value=v", 409, "already exists"},
		{"GET", "/getentry?nid=net&tname=t&key=k", 200, `"text": "a b"`},
		{"GET", "/getentry?nid=net&tname=t&key=k", 200, `"value": "YSBi"`},
		{"GET", "/getentry?nid=net&tname=t&key=k", 200, `"owner": "node-1"`},
		{"POST", "/updateentry?nid=net&tname=t&key=k&value=c", 200, `"done": true`},
		{"GET", "/gettable?nid=net&tname=t", 200, `"text": "c"`},
		{"GET", "/networkstats?nid=net", 200, `"t": 1`},
		{"GET", "/status", 200, `"standing": "active"`},
		{"POST", "/deleteentry?nid=net&tname=t&key=k", 200, `"done": true`},
		{"POST", "/deleteentry?nid=net&tname=t&key=k", 404, `"kind": "not found"`},
		{"GET", "/networkstats?nid=net", 200, `"tombstones": 1`},
		{"POST", "/join?members=192.0.2.9", 503, "this is an island"},
		{"POST", "/leavenetwork?nid=net", 200, `"done": true`},
		{"POST", "/leavenetwork?nid=net", 404, "has not joined"},
		{"GET", "/nothing", 404, ""},
	} {
		status, body := ask(t, c.method, server.URL+c.path)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: %d %s, want %d and %q", c.method, c.path, status, body, c.status, c.says)
		}
	}
}

func TestWatch(t *testing.T) {
	db, server := newServer(t)
	if err := db.JoinNetwork(t.Context(), "net"); err != nil {
		t.Fatal(err)
	}
	if err := db.CreateEntry("t", "net", "before", []byte{0xff}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/watchtable?nid=net&tname=t", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is ended by the context
	lines := bufio.NewScanner(response.Body)
	for i, change := range []struct {
		do   func() error
		want string
	}{
		{func() error { return nil }, "create before  node-1"},
		{func() error { return db.CreateEntry("t", "net", "k", []byte("one")) }, "create k one node-1"},
		{func() error { return db.UpdateEntry("t", "net", "k", []byte("two")) }, "update k two node-1"},
		{func() error { return db.DeleteEntry("t", "net", "k") }, "delete k two node-1"},
	} {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() {
			t.Fatalf("line %d: %v", i, lines.Err())
		}
		var e diagnostic.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(e.Type, " ", e.Key, " ", e.Text, " ", e.Owner); got != change.want {
			t.Errorf("got %q, want %q", got, change.want)
		}
	}
	db.Close() // ends the stream
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after the end: %q, %v", lines.Text(), lines.Err())
	}
}

func TestStrangersAreKeptOut(t *testing.T) {
	db, _ := newServer(t)
	handler := diagnostic.Handler(db)
	for _, c := range []struct {
		remote, host, origin string
		status               int
	}{
		{"127.0.0.1:1", "localhost:2000", "", 200},
		{"[::1]:1", "[::1]:2000", "", 200},
		{"[::ffff:127.0.0.1]:1", "127.0.0.1", "", 200},
		{"192.0.2.7:1", "localhost", "", 403},
		{"@", "localhost", "", 403},
		{"127.0.0.1:1", "rebound.example:2000", "", 403},
		{"127.0.0.1:1", "localhost:2000", "http://page.example", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "/ready", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("from %s to %s, origin %q: %d, want %d", c.remote, c.host, c.origin, w.Code, c.status)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/ready?"+strings.Repeat("x", 1<<20), nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("a long query: %d", w.Code)
	}
}
