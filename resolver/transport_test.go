package resolver_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

// dialTCP connects to a server.
func (s served) dialTCP(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// framed is a query with its length before it.
func framed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	raw, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
}

// next reads an answer.
func next(t testing.TB, conn net.Conn) *dns.Msg {
	t.Helper()
	got, err := (&dns.Conn{Conn: conn}).ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestPipeline sends several queries at once: what waits for a server outside holds
// nothing up.
func TestPipeline(t *testing.T) {
	noLeaks(t)
	release := make(chan struct{})
	up := outside(t, func(w dns.ResponseWriter, m *dns.Msg) {
		<-release
		good(t)(w, m)
	})
	s := serve(t, resolver.Options{View: fixed(small()), Forwarder: forwarder(t, resolver.ForwarderOptions{}), Upstreams: through(up.upstream())})
	conn := s.dialTCP(t)
	first, second := question("example.com", dns.TypeA), question("web", dns.TypeA)
	// In pieces, as the network may make them.
	for _, b := range append(framed(t, first), framed(t, second)...) {
		if _, err := conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if got := next(t, conn); got.Id != second.Id || len(got.Answer) != 1 {
		t.Errorf("first came %v, want what is local", got)
	}
	// Who has no more to ask still gets the answer.
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	close(release)
	if got := next(t, conn); got.Id != first.Id || summary(got) != goodAnswer {
		t.Errorf("then came %v", got)
	}
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("then came %d bytes, error %v, want the end", n, err)
	}
	eventually(t, "the connection ends", func() bool { return s.Statistics().Connections == 0 })
}

// TestManyInPipeline sends more than may wait, all in one go.
func TestManyInPipeline(t *testing.T) {
	const queries = 200
	up := outside(t, good(t))
	s := serve(t, resolver.Options{View: fixed(small()), Forwarder: forwarder(t, resolver.ForwarderOptions{CacheSize: -1}), Upstreams: through(up.upstream())})
	conn := s.dialTCP(t)
	waiting := map[uint16]bool{}
	var all []byte
	for i := range queries {
		m := question("example.com", dns.TypeA)
		m.Id = uint16(i)
		waiting[m.Id] = true
		all = append(all, framed(t, m)...)
	}
	if _, err := conn.Write(all); err != nil {
		t.Fatal(err)
	}
	for range queries {
		got := next(t, conn)
		if !waiting[got.Id] || summary(got) != goodAnswer {
			t.Errorf("got %v", got)
		}
		delete(waiting, got.Id)
	}
}

func TestBadFrames(t *testing.T) {
	s := serve(t, resolver.Options{View: fixed(small())})
	for name, frame := range map[string][]byte{
		"no length":  {},
		"half":       {0},
		"no message": {0, 0},
		"no header":  append([]byte{0, 11}, make([]byte, 11)...),
		"too long":   append([]byte{0xFF, 0xFF}, make([]byte, 100)...),
		"cut":        framed(t, question("web", dns.TypeA))[:20],
	} {
		conn := s.dialTCP(t)
		if _, err := conn.Write(append(framed(t, question("web", dns.TypeA)), frame...)); err != nil {
			t.Fatal(err)
		}
		if got := next(t, conn); len(got.Answer) != 1 {
			t.Errorf("%s: the query before gets %v", name, got)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %d bytes, error %v, want the end", name, n, err)
		}
	}
	if got := s.Statistics(); got.Malformed != 3 || got.Local != 6 {
		t.Errorf("statistics %+v", got)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	noLeaks(t)
	s := serve(t, resolver.Options{View: fixed(small()), MaxConnections: 3})
	var conns []net.Conn
	for range 3 {
		conn := s.dialTCP(t)
		if _, err := conn.Write(framed(t, question("web", dns.TypeA))); err != nil {
			t.Fatal(err)
		}
		next(t, conn)
		conns = append(conns, conn)
	}
	if n, err := s.dialTCP(t).Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one too many: %d bytes, error %v, want the end", n, err)
	}
	if got := s.Statistics(); got.Connections != 3 || got.Limited != 1 {
		t.Errorf("statistics %+v", got)
	}
	_ = conns[0].Close()
	eventually(t, "there is room again", func() bool { return s.Statistics().Connections == 2 })
	conn := s.dialTCP(t)
	if _, err := conn.Write(framed(t, question("web", dns.TypeA))); err != nil {
		t.Fatal(err)
	}
	next(t, conn)
	_ = s.Close()
	if n, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after Close: %d bytes, error %v, want the end", n, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// TestSlowClient asks for much and reads nothing: it must not get in the way of others,
// nor keep the server from ending.
func TestSlowClient(t *testing.T) {
	noLeaks(t)
	var names []resolver.Record
	for i := range 3000 {
		names = append(names, resolver.Record{Name: "big", Addrs: addrs(fmt.Sprintf("10.0.%d.%d", i>>8, i&255))})
	}
	s := serve(t, resolver.Options{View: fixed(resolver.NewView(resolver.NewNames(names, nil, nil)))})
	slow := s.dialTCP(t)
	query := bytes.Repeat(framed(t, question("big", dns.TypeA)), 100)
	_ = slow.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	for { // until nothing goes any more
		if _, err := slow.Write(query); err != nil {
			break
		}
	}
	if got := s.exchange(t, "tcp", question("big", dns.TypeA)); len(got.Answer) != 3000 {
		t.Errorf("another client gets %d addresses", len(got.Answer))
	}
	_ = s.Close()
}

// TestTCPOutsideIsReused has one connection serve several questions, and a new one when
// the server outside has closed it.
func TestTCPOutsideIsReused(t *testing.T) {
	noLeaks(t)
	var accepted atomic.Int64
	udp, tcp := listen(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	group.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			group.Go(func() {
				defer func() { _ = conn.Close() }()
				for {
					c := &dns.Conn{Conn: conn}
					m, err := c.ReadMsg()
					if err != nil || c.WriteMsg(replies(t, 0, "example.com. 60 IN A 192.0.2.1")(m)) != nil {
						return
					}
				}
			})
		}
	})
	group.Go(func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			buffer[2] |= 0x82 // an answer, cut
			_, _ = udp.WriteTo(buffer[:n], from)
		}
	})
	t.Cleanup(func() {
		_, _ = udp.Close(), tcp.Close()
		group.Wait()
	})
	f := forwarder(t, resolver.ForwarderOptions{CacheSize: -1})
	s := serve(t, resolver.Options{View: fixed(nil), Forwarder: f, Upstreams: through(resolver.Upstream{Address: addrPort(udp.LocalAddr())})})
	ask := func() {
		t.Helper()
		if got := s.ask(t, "example.com", dns.TypeA); !strings.HasPrefix(summary(got), "NOERROR rd | example.com.") {
			t.Errorf("got %s", summary(got))
		}
	}
	for range 10 {
		ask()
	}
	if got := accepted.Load(); got != 1 {
		t.Errorf("%d connections for 10 questions in a row, want 1", got)
	}
	mu.Lock()
	_ = conns[0].Close()
	mu.Unlock()
	for range 10 {
		ask()
	}
	if got := accepted.Load(); got != 2 {
		t.Errorf("%d connections, want one more after the first was closed", got)
	}
	var many sync.WaitGroup
	for i := range 100 {
		many.Go(func() {
			client := dns.Client{Timeout: patience}
			if got, _, err := client.Exchange(question("example.com", uint16(256+i)), s.address); err != nil || len(got.Answer) != 1 {
				t.Errorf("got %v, error %v", got, err)
			}
		})
	}
	many.Wait()
	if got := accepted.Load(); got > 4 {
		t.Errorf("%d connections, want several questions on each", got)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	noLeaks(t)
	release := make(chan struct{})
	up := outside(t, func(w dns.ResponseWriter, m *dns.Msg) {
		<-release
		_ = w.WriteMsg(new(dns.Msg).SetReply(m))
	})
	f := forwarder(t, resolver.ForwarderOptions{MaxInFlight: 6})
	options := resolver.Options{View: fixed(small()), Forwarder: f, Upstreams: through(up.upstream()), MaxConcurrent: 4}
	one, two := serve(t, options), serve(t, options)
	var group sync.WaitGroup
	ask := func(s served, kind uint16, want string) {
		group.Go(func() {
			client := dns.Client{Timeout: patience}
			m := question("example.com", kind).SetEdns0(1232, false)
			if got, _, err := client.Exchange(m, s.address); err != nil || !strings.HasPrefix(summary(got), want) {
				t.Errorf("got %v, error %v, want %s", got, err, want)
			}
		})
	}
	for i := range 4 {
		ask(one, uint16(256+i), "NOERROR")
	}
	eventually(t, "one is full", func() bool { return one.Statistics().Waiting == 4 })
	got := one.exchange(t, "udp", question("example.com", 300).SetEdns0(1232, false))
	if summary(got) != "SERVFAIL rd ra | | | OPT" || !strings.Contains(fmt.Sprint(got.IsEdns0()), "too many queries") {
		t.Errorf("one too many gets %v", got)
	}
	if got := one.ask(t, "web", dns.TypeA); len(got.Answer) != 1 {
		t.Errorf("what is local gets %v", got)
	}
	// Another container has room, until the host has none.
	ask(two, 400, "NOERROR")
	ask(two, 401, "NOERROR")
	eventually(t, "the host is full", func() bool { return f.Statistics().InFlight == 6 })
	if got := two.ask(t, "example.com", 402); got.Rcode != dns.RcodeServerFailure {
		t.Errorf("one too many for the host gets %v", got)
	}
	ask(two, 400, "NOERROR") // joins
	eventually(t, "it has joined", func() bool { return f.Statistics().Shared == 1 })
	close(release)
	group.Wait()
	if a, b, c := one.Statistics(), two.Statistics(), f.Statistics(); a.Limited != 1 || a.Forwarded != 4 || a.Waiting != 0 || b.Limited != 1 || b.Forwarded != 3 || c.Limited != 1 {
		t.Errorf("statistics %+v\n%+v\n%+v", a, b, c)
	}
}

// TestCloseWhileWaiting ends a server, or the forwarder, with questions under way.
func TestCloseWhileWaiting(t *testing.T) {
	noLeaks(t)
	up := outside(t, silent)
	for _, forwarderFirst := range []bool{false, true} {
		f := resolver.NewForwarder(resolver.ForwarderOptions{})
		s := serve(t, resolver.Options{View: fixed(nil), Forwarder: f, Upstreams: through(up.upstream())})
		conn := s.dialTCP(t)
		for i := range 3 {
			if _, err := conn.Write(framed(t, question("example.com", uint16(256+i)))); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "they wait", func() bool { return s.Statistics().Waiting == 3 })
		start := time.Now()
		if forwarderFirst {
			_ = f.Close()
			if got := next(t, conn); got.Rcode != dns.RcodeServerFailure {
				t.Errorf("got %v", got)
			}
			if got := s.ask(t, "example.com", dns.TypeA); got.Rcode != dns.RcodeServerFailure {
				t.Errorf("without a forwarder: %v", got)
			}
			_ = s.Close()
		} else {
			_ = s.Close()
			_ = f.Close()
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		if got := f.Statistics(); got.InFlight != 0 || got.Sockets != 0 {
			t.Errorf("statistics %+v", got)
		}
	}
}

// flaky fails now and then, as sockets do when memory or descriptors are short.
type flaky struct {
	net.PacketConn
	net.Listener
	calls atomic.Int64
}

var errShort = errors.New("no memory")

func (f *flaky) fail() bool { return f.calls.Add(1)%2 == 1 }

func (f *flaky) ReadFrom(buffer []byte) (int, net.Addr, error) {
	if f.fail() {
		return 0, nil, errShort
	}
	return f.PacketConn.ReadFrom(buffer)
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.fail() {
		return nil, errShort
	}
	return f.Listener.Accept()
}

// flakyPackets and flakyListener are one side of it each.
type (
	flakyPackets  struct{ *flaky }
	flakyListener struct{ *flaky }
)

func (f flakyPackets) Close() error        { return f.PacketConn.Close() }
func (f flakyListener) Close() error       { return f.Listener.Close() }
func (f flakyListener) Addr() net.Addr     { return f.Listener.Addr() }
func (f flakyPackets) LocalAddr() net.Addr { return f.PacketConn.LocalAddr() }

func TestTroubleOfSocketsPasses(t *testing.T) {
	noLeaks(t)
	udp, tcp := listen(t)
	s := served{resolver.Serve(flakyPackets{&flaky{PacketConn: udp}}, flakyListener{&flaky{Listener: tcp}}, resolver.Options{View: fixed(small())}), tcp.Addr().String()}
	for range 3 {
		for _, network := range []string{"udp", "tcp"} {
			if got := s.exchange(t, network, question("web", dns.TypeA)); len(got.Answer) != 1 {
				t.Errorf("by %s: %v", network, got)
			}
		}
	}
	_ = s.Close()
}
