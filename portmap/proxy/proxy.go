// Package proxy relays connections and datagrams of the host's ports to containers, for
// what the packet filter cannot translate: from one IP version to the other, and from
// loopback addresses where that is wanted.
//
// A [Proxy] is a handful of goroutines. TCP is copied by io.Copy between TCP connections,
// which the runtime turns into splice on Linux; the ends are closed one by one as the
// peers close theirs. UDP has a socket per client, so that the container can tell clients
// apart by port, and answers with the address that the client has sent to.
//
// SCTP is not relayed: the standard library has no sockets for it.
package proxy

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What zero values of [Options] stand for. The time is that of nf_conntrack for a UDP
// stream, 120 s (nf_conntrack-sysctl.rst), less a margin: no translation on the way to
// the container ends before the proxy's.
const (
	defaultIdleUDP       = 90 * time.Second
	defaultMaxUDPClients = 1024
	defaultDialTimeout   = 10 * time.Second
)

// Listener is where a proxy takes what it relays. Exactly one of the fields is set.
type Listener struct {
	TCP *net.TCPListener
	UDP *net.UDPConn
}

// Dialer connects to a container. The network is tcp or udp, the address one of IP and
// port.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Options tune a proxy. The zero value serves.
type Options struct {
	// Dial reaches the target; nil stands for a net.Dialer.
	Dial Dialer
	// Log is told what fails; nil stands for none.
	Log *slog.Logger
	// IdleUDP is how long a UDP client may be silent, and not be answered, before it is
	// forgotten; 0 stands for 90 seconds.
	IdleUDP time.Duration
	// MaxUDPClients bounds the UDP clients at a time; 0 stands for 1024. Each has a
	// socket, a goroutine and a buffer of 64 KiB. One more takes the place of that which
	// has been silent for longest.
	MaxUDPClients int
	// DialTimeout bounds how long a connection to the target may take; 0 stands for 10
	// seconds.
	DialTimeout time.Duration
}

// Statistics count since Start.
type Statistics struct {
	// Open is how many connections, or UDP clients, there are now.
	Open int64
	// Total is how many there were, with those.
	Total int64
	// Received counts bytes from clients, Sent those to clients. Those of a TCP
	// connection count when its direction ends.
	Received, Sent int64
	// DialErrors counts connections that the target did not take.
	DialErrors int64
}

// Proxy relays one port.
type Proxy struct {
	target  netip.AddrPort
	options Options

	ctx    context.Context // done when the proxy is to end
	cancel context.CancelFunc
	group  sync.WaitGroup // all goroutines

	open, total, received, sent, dialErrors atomic.Int64
}

// Start relays what the listener gets to the target until Close. The listener is the
// proxy's from now on.
func Start(l Listener, target netip.AddrPort, o Options) *Proxy {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.IdleUDP == 0 {
		o.IdleUDP = defaultIdleUDP
	}
	if o.MaxUDPClients == 0 {
		o.MaxUDPClients = defaultMaxUDPClients
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = defaultDialTimeout
	}
	p := &Proxy{target: target, options: o}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if l.TCP != nil {
		p.options.Log = o.Log.With("port", l.TCP.Addr(), "protocol", "tcp", "target", target)
		context.AfterFunc(p.ctx, func() { _ = l.TCP.Close() })
		p.group.Go(func() { p.serveTCP(l.TCP) })
		return p
	}
	p.options.Log = o.Log.With("port", l.UDP.LocalAddr(), "protocol", "udp", "target", target)
	context.AfterFunc(p.ctx, func() { _ = l.UDP.Close() })
	p.group.Go(func() { newRelay(p, l.UDP).serve() })
	return p
}

// Close ends the proxy and its connections, and waits for that. Closing it again does
// nothing. The error is always nil.
func (p *Proxy) Close() error {
	p.cancel()
	p.group.Wait()
	return nil
}

// Statistics returns the counts so far.
func (p *Proxy) Statistics() Statistics {
	return Statistics{
		Open: p.open.Load(), Total: p.total.Load(),
		Received: p.received.Load(), Sent: p.sent.Load(),
		DialErrors: p.dialErrors.Load(),
	}
}

// dial connects to the target and counts a failure. Clients can cause any number of
// failures, so they are not for the log of every day.
func (p *Proxy) dial(network string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.options.DialTimeout)
	defer cancel()
	conn, err := p.options.Dial(ctx, network, p.target.String())
	if err != nil && p.ctx.Err() == nil {
		p.dialErrors.Add(1)
		p.options.Log.Debug("userland proxy cannot reach the container", "error", err)
	}
	return conn, err
}

// pause waits after an error that may last, and reports whether to go on.
func (p *Proxy) pause() bool {
	// Errors of a listener are the lack of memory or descriptors: trying at once again
	// would take the processor as well.
	const wait = 50 * time.Millisecond
	select {
	case <-p.ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}
