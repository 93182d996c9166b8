package diagnostic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb"
)

// maxQuery bounds a request's query, in bytes: a value of the greatest length, with every
// byte escaped, and the rest.
const maxQuery = 3*networkdb.MaxValueLength + 8192

// Entry is an entry of a table in answers.
type Entry struct {
	Network string `json:"nid"`
	Table   string `json:"tname"`
	Key     string `json:"key"`
	// Value is in base64. Text is the same as it is, if it is UTF-8.
	Value []byte `json:"value"`
	Text  string `json:"text,omitempty"`
	Owner string `json:"owner"`
}

// Event is a line of the answer to watchtable.
type Event struct {
	// Type is "create", "update" or "delete".
	Type string `json:"type"`
	Entry
	Time time.Time `json:"time"`
}

// Peer is a node in answers.
type Peer struct {
	Name string `json:"name"`
	IP   string `json:"ip"`
}

// command is what a path does. Its result is written as JSON, unless it is a stream.
type command struct {
	path, use string
	// changes makes it need POST.
	changes bool
	run     func(*http.Request) (any, error)
	stream  func(http.ResponseWriter, *http.Request) error
}

// server answers for one database.
type server struct {
	db       *networkdb.NetworkDB
	commands []command
}

// Handler returns the commands for a database. Paths are as in 2017; what changes
// something wants POST.
func Handler(db *networkdb.NetworkDB) http.Handler {
	s := &server{db: db}
	s.commands = s.table()
	mux := http.NewServeMux()
	for _, c := range s.commands {
		method := http.MethodGet
		if c.changes {
			method = http.MethodPost
		}
		mux.HandleFunc(method+" "+c.path, func(w http.ResponseWriter, r *http.Request) { s.serve(c, w, r) })
	}
	return guard(mux)
}

func (s *server) table() []command {
	return []command{
		{path: "/{$}", use: "this list", run: s.help},
		{path: "/help", use: "this list", run: s.help},
		{path: "/ready", use: "answers when the database is there", run: func(*http.Request) (any, error) { return map[string]bool{"ready": true}, nil }},
		{path: "/status", use: "the whole picture: nodes, networks, queues, lag, counters", run: func(*http.Request) (any, error) { return s.db.Status(), nil }},
		{path: "/join", use: "?members=ADDRESS,...: join the cluster of these nodes", changes: true, run: s.join},
		{path: "/clusterpeers", use: "the active nodes of the cluster", run: func(*http.Request) (any, error) { return peers(s.db.ClusterPeers()), nil }},
		{path: "/networkpeers", use: "?nid=NETWORK: the active nodes that joined it", run: s.networkPeers},
		{path: "/networkstats", use: "?nid=NETWORK: its entries, queue and lag", run: s.networkStats},
		{path: "/joinnetwork", use: "?nid=NETWORK: join it", changes: true, run: s.joinNetwork},
		{path: "/leavenetwork", use: "?nid=NETWORK: leave it", changes: true, run: s.leaveNetwork},
		{path: "/createentry", use: "?nid=NETWORK&tname=TABLE&key=KEY&value=VALUE", changes: true, run: s.change(s.db.CreateEntry)},
		{path: "/updateentry", use: "?nid=NETWORK&tname=TABLE&key=KEY&value=VALUE", changes: true, run: s.change(s.db.UpdateEntry)},
		{path: "/deleteentry", use: "?nid=NETWORK&tname=TABLE&key=KEY", changes: true, run: s.change(
			func(table, network, key string, _ []byte) error { return s.db.DeleteEntry(table, network, key) })},
		{path: "/getentry", use: "?nid=NETWORK&tname=TABLE&key=KEY", run: s.getEntry},
		{path: "/gettable", use: "?nid=NETWORK&tname=TABLE: all entries", run: s.getTable},
		{path: "/watchtable", use: "?nid=NETWORK&tname=TABLE&key=KEY: a line for each event, until you end it; what is left out matches all", stream: s.watch},
	}
}

// guard keeps out who is not on this machine, and web pages.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const op = "diagnose"
		switch {
		case !isLoopback(r.RemoteAddr):
			fail(w, cnm.E(op, cnm.Forbidden, errors.New("only from this machine")))
		case r.Header.Get("Origin") != "" || !isLocalName(r.Host):
			fail(w, cnm.E(op, cnm.Forbidden, errors.New("not for web pages: use curl, and localhost")))
		case len(r.URL.RawQuery) > maxQuery:
			fail(w, cnm.E(op, cnm.Invalid, fmt.Errorf("the query is longer than %d bytes", maxQuery)))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func isLoopback(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && address.IsLoopback()
}

func (s *server) serve(c command, w http.ResponseWriter, r *http.Request) {
	if c.stream != nil {
		if err := c.stream(w, r); err != nil {
			fail(w, err)
		}
		return
	}
	answer, err := c.run(r)
	if err != nil {
		fail(w, err)
		return
	}
	write(w, http.StatusOK, answer)
}

func write(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(answer) // whoever asked is gone
}

func fail(w http.ResponseWriter, err error) {
	kind := cnm.KindOf(err)
	status := http.StatusInternalServerError
	switch kind {
	case cnm.Invalid:
		status = http.StatusBadRequest
	case cnm.NotFound:
		status = http.StatusNotFound
	case cnm.Exists, cnm.Conflict:
		status = http.StatusConflict
	case cnm.Forbidden:
		status = http.StatusForbidden
	case cnm.Exhausted, cnm.Unavailable:
		status = http.StatusServiceUnavailable
	case cnm.Timeout:
		status = http.StatusGatewayTimeout
	case cnm.Unsupported, cnm.Internal:
	}
	write(w, status, map[string]string{"error": err.Error(), "kind": string(kind)})
}

// parameters returns query parameters, which must be there, in the order of their names.
func parameters(r *http.Request, names ...string) ([]string, error) {
	query := r.URL.Query()
	values := make([]string, len(names))
	for i, name := range names {
		if values[i] = query.Get(name); values[i] == "" {
			return nil, cnm.E("diagnose", cnm.Invalid, fmt.Errorf("parameter %q is missing", name))
		}
	}
	return values, nil
}

func (s *server) help(*http.Request) (any, error) {
	uses := map[string]string{}
	for _, c := range s.commands {
		method := http.MethodGet
		if c.changes {
			method = http.MethodPost
		}
		uses[method+" "+strings.TrimSuffix(c.path, "{$}")] = c.use
	}
	return uses, nil
}

// done is the answer of what has none.
func done(err error) (any, error) { return map[string]bool{"done": err == nil}, err }

func (s *server) join(r *http.Request) (any, error) {
	p, err := parameters(r, "members")
	if err != nil {
		return nil, err
	}
	return done(s.db.Join(r.Context(), strings.Split(p[0], ",")))
}

func (s *server) networkPeers(r *http.Request) (any, error) {
	p, err := parameters(r, "nid")
	if err != nil {
		return nil, err
	}
	return peers(s.db.Peers(p[0])), nil
}

func (s *server) networkStats(r *http.Request) (any, error) {
	p, err := parameters(r, "nid")
	if err != nil {
		return nil, err
	}
	for _, n := range s.db.Status().Networks {
		if n.ID == p[0] {
			return n, nil
		}
	}
	return nil, cnm.E(fmt.Sprintf("network %q", p[0]), cnm.NotFound, nil)
}

func peers(infos []networkdb.PeerInfo) []Peer {
	list := make([]Peer, len(infos))
	for i, p := range infos {
		list[i] = Peer(p)
	}
	return list
}

func (s *server) joinNetwork(r *http.Request) (any, error) {
	p, err := parameters(r, "nid")
	if err != nil {
		return nil, err
	}
	return done(s.db.JoinNetwork(r.Context(), p[0]))
}

func (s *server) leaveNetwork(r *http.Request) (any, error) {
	p, err := parameters(r, "nid")
	if err != nil {
		return nil, err
	}
	return done(s.db.LeaveNetwork(p[0]))
}

func (s *server) change(fn func(table, network, key string, value []byte) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		p, err := parameters(r, "tname", "nid", "key")
		if err != nil {
			return nil, err
		}
		return done(fn(p[0], p[1], p[2], []byte(r.URL.Query().Get("value"))))
	}
}

func (s *server) getEntry(r *http.Request) (any, error) {
	p, err := parameters(r, "tname", "nid", "key")
	if err != nil {
		return nil, err
	}
	e, err := s.db.FindEntry(p[0], p[1], p[2])
	if err != nil {
		return nil, err
	}
	return entryOf(e), nil
}

func entryOf(e networkdb.Entry) Entry {
	return Entry{Network: e.NetworkID, Table: e.Table, Key: e.Key, Value: e.Value, Text: text(e.Value), Owner: e.Owner}
}

func text(value []byte) string {
	if utf8.Valid(value) {
		return string(value)
	}
	return ""
}

func (s *server) getTable(r *http.Request) (any, error) {
	p, err := parameters(r, "tname", "nid")
	if err != nil {
		return nil, err
	}
	list := []Entry{}
	s.db.WalkTable(p[0], func(e networkdb.Entry) bool {
		if e.NetworkID == p[1] {
			list = append(list, entryOf(e))
		}
		return false
	})
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// watch writes a line of JSON for each event, until the client goes or the database ends.
func (s *server) watch(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	control := http.NewResponseController(w)
	// A server's write timeout is for answers that end.
	_ = control.SetWriteDeadline(time.Time{})
	events, cancel := s.db.Watch(query.Get("tname"), query.Get("nid"), query.Get("key"))
	defer cancel()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	if err := control.Flush(); err != nil {
		return nil //nolint:nilerr // the client is gone
	}
	encoder := json.NewEncoder(w)
	for {
		select {
		case <-r.Context().Done():
			return nil
		case e, ok := <-events:
			if !ok || encoder.Encode(line(e)) != nil || control.Flush() != nil {
				return nil
			}
		}
	}
}

func line(event networkdb.Event) Event {
	network, table, key := event.Subject()
	out := Event{Entry: Entry{Network: network, Table: table, Key: key}, Time: time.Now()}
	switch e := event.(type) {
	case networkdb.CreateEvent:
		out.Type, out.Value, out.Owner = "create", e.Value, e.Owner
	case networkdb.UpdateEvent:
		out.Type, out.Value, out.Owner = "update", e.Value, e.Owner
	case networkdb.DeleteEvent:
		out.Type, out.Value, out.Owner = "delete", e.Value, e.Owner
	}
	out.Text = text(out.Value)
	return out
}
