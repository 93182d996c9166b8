package resolver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What zero values of [ForwarderOptions] stand for.
const (
	defaultCacheSize   = 10_000
	defaultCacheBytes  = 8 << 20
	defaultMaxTTL      = time.Hour
	defaultTimeout     = 2 * time.Second
	defaultAttempts    = 2
	defaultDeadline    = 4500 * time.Millisecond
	defaultMaxInFlight = 4096
	defaultMaxSockets  = 1024
)

var errClosed = errors.New("resolver is closed")

// Upstream is a name server outside, and where it is asked from.
type Upstream struct {
	// Address is the server's, with its port.
	Address netip.AddrPort
	// Dial connects to Address; the network is udp or tcp. Nil stands for a net.Dialer.
	// It must heed the context.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Key names the place that Dial connects from, as different network namespaces get
	// different answers from one address. Upstreams of the same Key and Address share
	// sockets and answers, so Dial must be equivalent for them. Who has a say in a
	// namespace can forge the answers that come in there: no two containers should have
	// a key in common, but for what is asked from the host.
	Key string
}

// ForwarderOptions tune a forwarder. The zero value serves.
type ForwarderOptions struct {
	// CacheSize is how many answers are kept; 0 stands for 10000, and less than 0 for
	// none at all.
	CacheSize int
	// CacheBytes bounds the memory of the answers kept; 0 stands for 8 MiB. One that
	// takes more than some hundredth of it is not kept.
	CacheBytes int
	// MaxTTL bounds how long an answer is kept, whatever it says; 0 stands for an hour.
	MaxTTL time.Duration
	// Timeout is how long an upstream may take for an answer, each time; 0 stands for 2
	// seconds.
	Timeout time.Duration
	// Attempts is how often an upstream that does not answer is asked, after all the
	// others have been; 0 stands for 2.
	Attempts int
	// Deadline bounds all attempts for a question; 0 stands for 4.5 seconds: most clients
	// wait for 5 (resolv.conf(5), timeout), and shall hear why there is no answer.
	Deadline time.Duration
	// MaxInFlight bounds the different questions that are under way at a time; 0 stands
	// for 4096. Each takes a goroutine and a few KiB. More of them fail.
	MaxInFlight int
	// MaxSockets bounds the sockets to all upstreams; 0 stands for 1024.
	MaxSockets int
	// Log is told what fails; nil stands for none.
	Log *slog.Logger
}

// ForwarderStatistics count since NewForwarder, but for what there is now.
type ForwarderStatistics struct {
	// Asked counts the questions put to upstreams; Shared those that joined an equal one
	// that was under way.
	Asked, Shared int64
	// Sent counts messages to upstreams: more than Asked, as some ask again.
	Sent int64
	// Timeouts counts tries without an answer, Errors those with a network error or an
	// answer that made no sense.
	Timeouts, Errors int64
	// Strays counts messages that answered no question under way: they were late, or
	// forged.
	Strays int64
	// Failed counts questions that no upstream answered, or all refused, Limited those
	// that were not put as there were too many.
	Failed, Limited int64
	// Hits and Misses count what was looked for among the answers kept, Evicted those
	// that made room for others.
	Hits, Misses, Evicted int64
	// Entries and Bytes are the answers kept now, and about their memory.
	Entries, Bytes int
	// InFlight are the questions under way, and Sockets the sockets open, now.
	InFlight, Sockets int64
}

// Forwarder asks upstreams for all containers of a host.
type Forwarder struct {
	options ForwarderOptions
	cache   *cache

	ctx    context.Context // done when the forwarder is to end
	cancel context.CancelFunc
	group  sync.WaitGroup // all goroutines

	mu      sync.Mutex // guards what follows; nothing is sent or received under it
	closed  bool
	flights map[string]*flight
	peers   map[peerKey]*peer

	asked, shared, sent, timeouts, errors, strays atomic.Int64
	failed, limited, hits, misses                 atomic.Int64
	inFlight, sockets                             atomic.Int64
}

// NewForwarder returns a forwarder. Nothing runs before it is asked.
func NewForwarder(o ForwarderOptions) *Forwarder {
	setDefault(&o.CacheSize, defaultCacheSize)
	setDefault(&o.CacheBytes, defaultCacheBytes)
	setDefault(&o.MaxTTL, defaultMaxTTL)
	setDefault(&o.Timeout, defaultTimeout)
	setDefault(&o.Attempts, defaultAttempts)
	setDefault(&o.Deadline, defaultDeadline)
	setDefault(&o.MaxInFlight, defaultMaxInFlight)
	setDefault(&o.MaxSockets, defaultMaxSockets)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Forwarder{options: o, flights: make(map[string]*flight), peers: make(map[peerKey]*peer)}
	if o.CacheSize > 0 {
		f.cache = newCache(o.CacheSize, o.CacheBytes)
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

func setDefault[T int | time.Duration](value *T, standard T) {
	if *value == 0 {
		*value = standard
	}
}

// Close ends the forwarder, its sockets and the questions under way, and waits for that.
// Servers that use it fail what they would ask. Closing it again does nothing. The error
// is always nil.
func (f *Forwarder) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.forget(func(peerKey) bool { return true }, errClosed)
	f.group.Wait()
	return nil
}

// Forget closes the sockets of all upstreams with a Key, and fails what is asked by them.
// Open sockets keep a network namespace alive, so it is to be called when that shall go,
// after the servers that ask from there were closed. Without it sockets are closed after
// 10 to 20 seconds without a question.
func (f *Forwarder) Forget(key string) {
	f.forget(func(k peerKey) bool { return k.key == key }, errClosed)
}

func (f *Forwarder) forget(which func(peerKey) bool, why error) {
	var gone []*peer
	f.mu.Lock()
	for key, p := range f.peers {
		if which(key) {
			gone = append(gone, p)
			delete(f.peers, key)
		}
	}
	f.mu.Unlock()
	for _, p := range gone {
		p.close(why)
	}
}

// Statistics returns the counts so far.
func (f *Forwarder) Statistics() ForwarderStatistics {
	s := ForwarderStatistics{
		Asked: f.asked.Load(), Shared: f.shared.Load(), Sent: f.sent.Load(),
		Timeouts: f.timeouts.Load(), Errors: f.errors.Load(), Strays: f.strays.Load(),
		Failed: f.failed.Load(), Limited: f.limited.Load(),
		Hits: f.hits.Load(), Misses: f.misses.Load(),
		InFlight: f.inFlight.Load(), Sockets: f.sockets.Load(),
	}
	s.Entries, s.Bytes = f.cache.usage()
	if f.cache != nil {
		s.Evicted = f.cache.evicted.Load()
	}
	return s
}

// spawn runs fn in a goroutine that Close waits for, unless the forwarder is closed.
func (f *Forwarder) spawn(fn func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.group.Go(fn)
	return true
}

// peer returns the state of an upstream.
func (f *Forwarder) peer(u Upstream) *peer {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := peerKey{key: u.Key, address: u.Address}
	p := f.peers[key]
	if p == nil {
		if len(f.peers) >= peersKept {
			for key, p := range f.peers {
				if p.prune() {
					delete(f.peers, key)
				}
			}
		}
		p = newPeer(f, u.Address)
		f.peers[key] = p
	}
	return p
}

// cached returns an answer that is kept, or nil.
func (f *Forwarder) cached(key []byte, now time.Time) *answer {
	if f.cache == nil {
		return nil
	}
	a := f.cache.get(key, now)
	if a == nil {
		f.misses.Add(1)
	} else {
		f.hits.Add(1)
	}
	return a
}
