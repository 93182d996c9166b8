package zookeeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/docker/libnetwork/cnm"
)

// session is a client of ZooKeeper, which connects by itself, again and again, and begins
// another session when its own has expired.
type session struct {
	conn   *zk.Conn
	events <-chan zk.Event

	login    chan struct{} // is held by who logs in, and guards loggedIn
	loggedIn bool

	mu      sync.Mutex // guards what follows
	has     bool       // there is a connection with a session
	changed chan struct{}
	last    error // why the last connection did not become a session; nil if none was tried
}

func (s *session) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = err
}

// trouble says why there is no session.
func (s *session) trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return "no server has answered yet"
	}
	return s.last.Error()
}

// silent is a logger: what goes wrong is in the errors.
type silent struct{}

// Printf implements zk.Logger.
func (silent) Printf(string, ...any) {}

// connection returns the client once it has a session.
func (s *server) connection(ctx context.Context) (*zk.Conn, error) {
	current, err := s.open()
	if err != nil {
		return nil, err
	}
	for {
		has, changed := current.state()
		if has {
			return current.conn, s.login(ctx, current)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, cnm.E(s.name, cnm.Unavailable, fmt.Errorf("no session (%s); check that its servers run and can be reached", current.trouble()))
		}
	}
}

// open returns the session, which is made at the first call. Names of servers are looked
// up then; the rest is done by the client's own goroutine.
func (s *server) open() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != nil {
		return s.session, nil
	}
	out := &session{login: make(chan struct{}, 1), changed: make(chan struct{})}
	conn, events, err := zk.Connect(s.servers, min(max(s.options.Timeout, leastSession), longestSession),
		zk.WithLogger(silent{}), zk.WithLogInfo(false), zk.WithMaxBufferSize(largestMessage),
		zk.WithHostProvider(&hosts{}), zk.WithDialer(func(network, address string, timeout time.Duration) (net.Conn, error) {
			return s.dial(network, address, timeout, out.note)
		}), zk.WithEventCallback(out.event))
	if err != nil {
		return nil, cnm.E(s.name, cnm.Unavailable, err)
	}
	out.conn, out.events = conn, events
	s.session = out
	return out, nil
}

// login says who we are, once: the client repeats it to each server that it connects to.
func (s *server) login(ctx context.Context, current *session) error {
	if s.options.Username == "" {
		return nil
	}
	silent := cnm.E(s.name, cnm.Unavailable, errors.New("no answer to the login; check that its servers run and can be reached"))
	select {
	case current.login <- struct{}{}:
	case <-ctx.Done():
		return silent
	}
	if current.loggedIn {
		<-current.login
		return nil
	}
	done := make(chan error, 1)
	s.calls.Go(func() {
		err := current.conn.AddAuth("digest", []byte(s.options.Username+":"+s.options.Password))
		current.loggedIn = err == nil
		<-current.login
		done <- err
	})
	select {
	case err := <-done:
		return s.wrap(err)
	case <-ctx.Done():
		return silent
	}
}

func (s *server) dial(network, address string, timeout time.Duration, note func(error)) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: timeout}
	var conn net.Conn
	var err error
	if s.options.TLS == nil {
		conn, err = dialer.Dial(network, address)
	} else {
		conn, err = tls.DialWithDialer(dialer, network, address, s.options.TLS)
	}
	if err != nil {
		note(err)
		return nil, err
	}
	return &firstAnswer{Conn: conn, limit: min(max(s.options.Share(), leastAnswer), longestAnswer), note: note}, nil
}

// How long a server that took a connection may take to open the session.
const (
	leastAnswer   = time.Second
	longestAnswer = 5 * time.Second
)

// firstAnswer is a connection that a server must answer soon. The client waits for six
// times the length of a session, and asks no other server meanwhile.
type firstAnswer struct {
	net.Conn
	limit    time.Duration
	note     func(error) // is told why there is no answer
	answered atomic.Bool
}

// Read implements net.Conn.
func (c *firstAnswer) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.answered.Store(true)
	}
	if err != nil && !c.answered.Load() {
		c.note(err)
	}
	return n, err
}

// SetReadDeadline implements net.Conn.
func (c *firstAnswer) SetReadDeadline(t time.Time) error {
	if soon := time.Now().Add(c.limit); !c.answered.Load() && t.After(soon) {
		t = soon
	}
	return c.Conn.SetReadDeadline(t)
}

func (s *session) state() (has bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has, s.changed
}

// event is called by the client.
func (s *session) event(e zk.Event) {
	if e.Type != zk.EventSession {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has = e.State == zk.StateHasSession
	close(s.changed)
	s.changed = make(chan struct{})
}

// close ends the session, and waits for the client's goroutines.
func (s *session) close() {
	s.conn.Close()
	for range s.events { // is closed by the last of them
	}
}

// hosts implements zk.HostProvider. The client's own looks names up once, and not at all
// if that fails; this one leaves it to each connection. And the client waits a second when
// a round begins anew: here each server is tried once before.
type hosts struct {
	mu      sync.Mutex // guards what follows
	servers []string
	tries   int // since a server has answered
	at      int
}

// Init implements zk.HostProvider.
func (h *hosts) Init(servers []string) error {
	if len(servers) == 0 {
		return errors.New("there are no servers")
	}
	h.servers = servers
	return nil
}

// Len implements zk.HostProvider.
func (h *hosts) Len() int { return len(h.servers) }

// Next implements zk.HostProvider.
func (h *hosts) Next() (server string, retryStart bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = (h.at + 1) % len(h.servers)
	h.tries++
	return h.servers[h.at], h.tries > len(h.servers) && (h.tries-1)%len(h.servers) == 0
}

// Connected implements zk.HostProvider.
func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries = 0
}
