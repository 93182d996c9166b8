package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/hangup"
)

// Bounds of what a session keeps and takes.
const (
	mostConnections = 64
	idleConnections = 4
	idleTime        = time.Minute
	longestHeader   = 64 << 10 // bytes
	mostTypes       = 32
	longestType     = 128 // bytes
)

// session is one activation of a plugin, with the connections that were made since. It
// ends when the plugin restarts: when one of them breaks, or another socket is there.
type session struct {
	plugin  *Plugin
	source  source
	address address
	// ready is closed once the plugin was activated, or was not, for the reason in err.
	ready chan struct{}
	err   error
	// gaveUp says that it was the caller who activates that had no more time.
	gaveUp     bool
	implements []string
	transport  *http.Transport
	// lost says that the plugin has closed a connection.
	lost atomic.Bool

	mu          sync.Mutex            // guards what follows
	socket      fs.FileInfo           // of the first connection; nil for tcp
	connections map[*watchedConn]bool // those that are open
}

// errRestarted is for a connection that would lead to another process than before.
var errRestarted = errors.New("the plugin has restarted")

// unsent is an error from before the request was on its way.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// session returns an activated session: the current one if it is still good, or a new
// one. One caller activates, the others wait for it.
func (p *Plugin) session(ctx context.Context) (*session, error) {
	for {
		found, err := p.registry.locate(p.name)
		if err != nil {
			return nil, unsent{err}
		}
		p.mu.Lock()
		s := p.current
		old := s
		mine := s == nil || !s.good(found)
		if mine {
			s = &session{plugin: p, source: found, ready: make(chan struct{}), connections: make(map[*watchedConn]bool)}
			p.current = s
		}
		p.mu.Unlock()
		if mine {
			if old != nil {
				old.retire()
			}
			s.start(ctx)
			return s.result()
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, unsent{ended(ctx)}
		}
		if !s.gaveUp {
			return s.result()
		}
	}
}

// good reports whether the plugin that was activated is still the one that is found. It
// looks at the connections, too: what is sent on one that the plugin has closed is lost,
// and nobody knows then whether it was read.
func (s *session) good(found source) bool {
	if s.lost.Load() || !s.source.same(found) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connections {
		if hangup.Seen(c.Conn) {
			return false
		}
	}
	return true
}

// start activates the plugin.
func (s *session) start(ctx context.Context) {
	if s.err = s.activate(ctx); s.err != nil {
		s.gaveUp = ctx.Err() != nil
		s.plugin.forget(s)
	} else {
		s.plugin.activations.Add(1)
	}
	close(s.ready)
	if !s.plugin.has(s) {
		s.retire()
	}
}

func (s *session) result() (*session, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s, nil
}

func (s *session) activate(ctx context.Context) error {
	var err error
	if s.address, err = s.source.address(); err != nil {
		return unsent{err}
	}
	s.transport = &http.Transport{
		DialContext: s.dial, DialTLSContext: s.dial,
		DisableCompression: true, MaxResponseHeaderBytes: longestHeader,
		MaxConnsPerHost: mostConnections, MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: idleTime,
	}
	var reply struct{ Implements []string }
	if err := s.exchange(ctx, activateMethod, nil, &reply); err != nil {
		return unsent{fmt.Errorf("%s: %w", activateMethod, err)}
	}
	if len(reply.Implements) > mostTypes || slices.ContainsFunc(reply.Implements, func(t string) bool { return len(t) > longestType }) {
		return unsent{cnm.E(activateMethod, cnm.Internal, fmt.Errorf("the answer names more than %d types, or one longer than %d bytes", mostTypes, longestType))}
	}
	s.implements = reply.Implements
	return nil
}

// require refuses a type that the plugin does not implement.
func (s *session) require(implements string) error {
	if slices.Contains(s.implements, implements) {
		return nil
	}
	return unsent{cnm.E("", cnm.Unsupported, fmt.Errorf("is no %s: it says that it implements %q", implements, s.implements))}
}

// dial connects, and encrypts if the address says so.
func (s *session) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	// A connection is made in the background, even when the call that needed it has gone.
	r := s.plugin.registry
	ctx, cancel := context.WithTimeout(ctx, r.options.CallTimeout)
	defer cancel()
	defer context.AfterFunc(r.life, cancel)()
	at := s.address.at
	if s.address.network == "unix" {
		resolved, err := s.checkSocket()
		if err != nil {
			return nil, unsent{err}
		}
		at = resolved
	}
	var dialer net.Dialer
	plain, err := dialer.DialContext(ctx, s.address.network, at)
	if errors.Is(err, fs.ErrPermission) {
		err = cnm.E("", cnm.Forbidden, fmt.Errorf("%w; run as root, or in the group of the socket", err))
	}
	if err != nil {
		return nil, unsent{err}
	}
	watched := &watchedConn{Conn: plain, session: s}
	s.mu.Lock()
	s.connections[watched] = true
	s.mu.Unlock()
	if s.address.tls == nil {
		return watched, nil
	}
	encrypted := tls.Client(watched, s.address.tls)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = watched.Close()
		return nil, unsent{err}
	}
	return encrypted, nil
}

// checkSocket looks at the socket each time that it is used: another process may have
// put another one there.
func (s *session) checkSocket() (string, error) {
	resolved, info, err := trusted(s.address.at, fs.ModeSocket)
	if errors.Is(err, cnm.NotFound) {
		return "", cnm.E("", cnm.Unavailable, err) // it is configured, and not there yet
	}
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket == nil {
		s.socket = info
	}
	if !sameFile(s.socket, info) {
		s.lost.Store(true)
		return "", errRestarted
	}
	return resolved, nil
}

// retire drops the connections that nobody uses, and those in use when they are free. A
// session that is being activated retires itself.
func (s *session) retire() {
	select {
	case <-s.ready:
		if s.transport != nil {
			s.transport.CloseIdleConnections()
		}
	default:
	}
}

// watchedConn tells its session when the plugin closes it.
type watchedConn struct {
	net.Conn
	session *session
	closed  atomic.Bool // by us
}

// Read implements net.Conn.
func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	var timeout net.Error
	if err != nil && !c.closed.Load() && (!errors.As(err, &timeout) || !timeout.Timeout()) {
		c.session.lost.Store(true)
	}
	return n, err
}

// Close implements net.Conn.
func (c *watchedConn) Close() error {
	c.closed.Store(true)
	c.session.mu.Lock()
	delete(c.session.connections, c)
	c.session.mu.Unlock()
	return c.Conn.Close()
}

// typeOf returns the type that a method belongs to.
func typeOf(method string) string {
	before, _, _ := strings.Cut(method, ".")
	return before
}
