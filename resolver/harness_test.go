package resolver_test

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

const patience = 10 * time.Second

// listen returns a socket and a listener on one free port of the loopback.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.ListenPacket("udp4", l.Addr().String())
		if err == nil {
			return conn, l
		}
		_ = l.Close() // somebody has the port for UDP
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// served is a server and where it is.
type served struct {
	*resolver.Server
	address string
}

// serve starts a server on the loopback.
func serve(t testing.TB, o resolver.Options) served {
	t.Helper()
	udp, tcp := listen(t)
	s := served{resolver.Serve(udp, tcp, o), tcp.Addr().String()}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// forwarder starts one that ends with the test.
func forwarder(t testing.TB, o resolver.ForwarderOptions) *resolver.Forwarder {
	t.Helper()
	f := resolver.NewForwarder(o)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func fixed(v *resolver.View) func() *resolver.View { return func() *resolver.View { return v } }

func through(list ...resolver.Upstream) func() []resolver.Upstream {
	return func() []resolver.Upstream { return list }
}

// question is a query as most clients send it.
func question(name string, kind uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
}

// exchange sends a query and returns the answer.
func (s served) exchange(t testing.TB, network string, m *dns.Msg) *dns.Msg {
	t.Helper()
	client := dns.Client{Net: network, Timeout: patience, UDPSize: dns.MaxMsgSize}
	answer, _, err := client.Exchange(m, s.address)
	if err != nil {
		t.Fatalf("%s by %s: %v", m.Question[0].String(), network, err)
	}
	return answer
}

func (s served) ask(t testing.TB, name string, kind uint16) *dns.Msg {
	t.Helper()
	return s.exchange(t, "udp", question(name, kind))
}

// raw sends bytes by UDP and returns the answer, or nil if there is none within a while.
func (s served) raw(t testing.TB, msg []byte, wait time.Duration) []byte {
	t.Helper()
	conn, err := net.Dial("udp4", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(msg); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	answer := make([]byte, dns.MaxMsgSize)
	n, err := conn.Read(answer)
	if err != nil {
		return nil
	}
	return answer[:n]
}

// fake is a name server outside.
type fake struct {
	address netip.AddrPort
	udp     atomic.Int64 // questions so far
	tcp     atomic.Int64
}

// outside starts a name server that answers as the handler does.
func outside(t testing.TB, handler dns.HandlerFunc) *fake {
	t.Helper()
	udp, tcp := listen(t)
	f := &fake{address: addrPort(udp.LocalAddr())}
	counted := func(count *atomic.Int64) dns.Handler {
		return dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
			count.Add(1)
			handler(w, m)
		})
	}
	for _, server := range []*dns.Server{
		{PacketConn: udp, Handler: counted(&f.udp)},
		{Listener: tcp, Handler: counted(&f.tcp)},
	} {
		started, done := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(done); _ = server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = server.Shutdown(); <-done })
	}
	return f
}

func (f *fake) upstream() resolver.Upstream { return resolver.Upstream{Address: f.address} }

// answers returns a handler that answers with records, in the form of zone files.
func answers(t testing.TB, records ...string) dns.HandlerFunc {
	t.Helper()
	var list []dns.RR
	for _, text := range records {
		list = append(list, record(t, text))
	}
	return func(w dns.ResponseWriter, m *dns.Msg) {
		r := new(dns.Msg).SetReply(m)
		r.RecursionAvailable = true
		r.Answer = list
		_ = w.WriteMsg(r)
	}
}

func record(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// rcode returns a handler that answers with a code and nothing else.
func rcode(code int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, m *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(m, code)) }
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.UDPAddr).AddrPort() }

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// noLeaks fails a test that leaves goroutines behind; it is called first, so that its
// check comes last.
func noLeaks(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// nowhere is a dialer that finds nobody.
func nowhere(context.Context, string, string) (net.Conn, error) { return nil, errNowhere }
