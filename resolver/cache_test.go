package resolver_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

// memory is a socket without a network, for tests in a bubble with a clock of its own.
type memory struct {
	in, out chan []byte
	closed  chan struct{}
	once    sync.Once
}

func newMemory() *memory {
	return &memory{in: make(chan []byte), out: make(chan []byte, 1), closed: make(chan struct{})}
}

func (m *memory) ReadFrom(buffer []byte) (int, net.Addr, error) {
	select {
	case msg := <-m.in:
		return copy(buffer, msg), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, nil
	case <-m.closed:
		return 0, nil, net.ErrClosed
	}
}

func (m *memory) WriteTo(msg []byte, _ net.Addr) (int, error) {
	m.out <- append([]byte(nil), msg...)
	return len(msg), nil
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (m *memory) SetDeadline(time.Time) error      { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

// exchange asks and returns the answer.
func (m *memory) exchange(t testing.TB, q *dns.Msg) *dns.Msg {
	t.Helper()
	raw, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m.in <- raw
	answer := new(dns.Msg)
	if err := answer.Unpack(<-m.out); err != nil {
		t.Fatal(err)
	}
	return answer
}

// piped is an upstream without a network: reply answers what is asked, nil not at all.
type piped struct {
	group sync.WaitGroup
	asked atomic.Int64
	dials atomic.Int64
	reply func(*dns.Msg) *dns.Msg
}

func (p *piped) dial(context.Context, string, string) (net.Conn, error) {
	p.dials.Add(1)
	here, there := net.Pipe()
	p.group.Go(func() {
		defer func() { _ = there.Close() }()
		buffer := make([]byte, 4096)
		for {
			n, err := there.Read(buffer)
			if err != nil {
				return
			}
			p.asked.Add(1)
			m := new(dns.Msg)
			if m.Unpack(buffer[:n]) != nil {
				return
			}
			if r := p.reply(m); r != nil {
				raw, _ := r.Pack()
				if _, err := there.Write(raw); err != nil {
					return
				}
			}
		}
	})
	return here, nil
}

// bubble runs fn with a server whose one upstream is piped, where time passes at once.
func bubble(t *testing.T, o resolver.ForwarderOptions, reply func(*dns.Msg) *dns.Msg, fn func(*testing.T, *memory, *piped, *resolver.Forwarder)) {
	synctest.Test(t, func(t *testing.T) {
		up := &piped{reply: reply}
		socket := newMemory()
		f := resolver.NewForwarder(o)
		s := resolver.Serve(socket, nil, resolver.Options{
			View: fixed(nil), Forwarder: f, Upstreams: through(resolver.Upstream{Dial: up.dial}),
		})
		fn(t, socket, up, f)
		_, _ = s.Close(), f.Close()
		up.group.Wait()
	})
}

// replies composes an answer out of records for the three sections.
func replies(t testing.TB, rcode int, sections ...string) func(*dns.Msg) *dns.Msg {
	t.Helper()
	var lists [3][]dns.RR
	for i, text := range sections {
		for line := range strings.Lines(text) {
			lists[i] = append(lists[i], record(t, line))
		}
	}
	return func(m *dns.Msg) *dns.Msg {
		r := new(dns.Msg).SetRcode(m, rcode)
		r.Answer, r.Ns, r.Extra = lists[0], lists[1], lists[2]
		return r
	}
}

// TestKept tells how long answers are kept: those of RFC 2308 among them.
func TestKept(t *testing.T) {
	const soa = "example.com. %d IN SOA ns. root. 1 2 3 4 %d"
	for _, test := range []struct {
		name  string
		reply func(*dns.Msg) *dns.Msg
		want  time.Duration
	}{
		{"one record", replies(t, 0, "example.com. 60 IN A 192.0.2.1"), time.Minute},
		{"the least of several", replies(t, 0, "example.com. 60 IN CNAME a.example.\na.example. 10 IN A 192.0.2.1", "example. 20 IN NS b."), 10 * time.Second},
		{"the least elsewhere", replies(t, 0, "example.com. 60 IN A 192.0.2.1", "example. 30 IN NS b.", "b. 5 IN A 192.0.2.2"), 5 * time.Second},
		{"longer than allowed", replies(t, 0, "example.com. 86400 IN A 192.0.2.1"), 10 * time.Minute},
		{"for no time", replies(t, 0, "example.com. 0 IN A 192.0.2.1"), 0},
		{"for ever and a day", replies(t, 0, "example.com. 2147483648 IN A 192.0.2.1"), 0},
		{"no such name", replies(t, dns.RcodeNameError, "", fmt.Sprintf(soa, 300, 60)), time.Minute},
		{"no such name, by the record's time", replies(t, dns.RcodeNameError, "", fmt.Sprintf(soa, 30, 60)), 30 * time.Second},
		{"no such name, without SOA", replies(t, dns.RcodeNameError), 0},
		{"no data", replies(t, 0, "", fmt.Sprintf(soa, 300, 60)), time.Minute},
		{"no data, without SOA", replies(t, 0, "", "example.com. 60 IN NS b."), 0},
		{"SOA elsewhere", replies(t, 0, "", "", fmt.Sprintf(soa, 300, 60)), 0},
		{"alias of nothing", replies(t, 0, "example.com. 20 IN CNAME a.example.", fmt.Sprintf(soa, 300, 60)), 20 * time.Second},
		{"alias of no name, without SOA", replies(t, dns.RcodeNameError, "example.com. 20 IN CNAME a.example."), 0},
		{"SERVFAIL", replies(t, dns.RcodeServerFailure), time.Second},
		{"REFUSED", replies(t, dns.RcodeRefused), time.Second},
		{"silence", func(*dns.Msg) *dns.Msg { return nil }, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := resolver.ForwarderOptions{MaxTTL: 10 * time.Minute, Attempts: 1}
			bubble(t, o, test.reply, func(t *testing.T, socket *memory, up *piped, f *resolver.Forwarder) {
				q := question("example.com", dns.TypeA)
				first := summary(socket.exchange(t, q))
				if test.want > 0 {
					time.Sleep(test.want - time.Millisecond)
					socket.exchange(t, q)
				}
				if got := up.asked.Load(); got != 1 {
					t.Errorf("asked %d times before %v, want once", got, test.want)
				}
				time.Sleep(2 * time.Millisecond)
				if again := summary(socket.exchange(t, q)); again != first {
					t.Errorf("at the end: %s, want %s", again, first)
				}
				if got := up.asked.Load(); got != 2 {
					t.Errorf("asked %d times after %v, want twice", got, test.want)
				}
				if got := f.Statistics(); test.want == 0 && got.Entries != 0 {
					t.Errorf("statistics %+v, want nothing kept", got)
				}
			})
		})
	}
}

func TestTimesAge(t *testing.T) {
	reply := replies(t, 0, "example.com. 60 IN CNAME a.example.\na.example. 100 IN A 192.0.2.1")
	bubble(t, resolver.ForwarderOptions{}, reply, func(t *testing.T, socket *memory, _ *piped, _ *resolver.Forwarder) {
		q := question("example.com", dns.TypeA)
		for _, age := range []uint32{0, 1, 30, 59} {
			got := socket.exchange(t, q)
			if a, b := got.Answer[0].Header().Ttl, got.Answer[1].Header().Ttl; a != 60-age || b != 100-age {
				t.Errorf("after %d seconds: %d and %d left", age, a, b)
			}
			time.Sleep([]time.Duration{0: time.Second, 1: 29 * time.Second, 30: 29*time.Second + 900*time.Millisecond, 59: 0}[age])
		}
	})
}

func TestSilenceHasAnEnd(t *testing.T) {
	o := resolver.ForwarderOptions{Attempts: 100}
	bubble(t, o, func(*dns.Msg) *dns.Msg { return nil }, func(t *testing.T, socket *memory, up *piped, _ *resolver.Forwarder) {
		start := time.Now()
		got := socket.exchange(t, question("example.com", dns.TypeA).SetEdns0(1232, false))
		if took := time.Since(start); got.Rcode != dns.RcodeServerFailure || took != 4500*time.Millisecond {
			t.Errorf("answer %s after %v, want SERVFAIL before clients give up, at 5 s", summary(got), took)
		}
		if got := up.asked.Load(); got != 3 {
			t.Errorf("asked %d times, want at 0, 2 and 4 s", got)
		}
	})
}

// TestSocketsChange counts sockets: a port is for some questions and seconds only, and an
// idle one is closed.
func TestSocketsChange(t *testing.T) {
	reply := replies(t, 0, "example.com. 60 IN A 192.0.2.1")
	bubble(t, resolver.ForwarderOptions{CacheSize: -1}, reply, func(t *testing.T, socket *memory, up *piped, f *resolver.Forwarder) {
		ask := func(n int) {
			for range n {
				socket.exchange(t, question("example.com", dns.TypeA))
			}
		}
		ask(64)
		if got := up.dials.Load(); got != 1 {
			t.Errorf("%d sockets for 64 questions in a row, want 1", got)
		}
		ask(1)
		if got := up.dials.Load(); got != 2 {
			t.Errorf("%d sockets for 65 questions, want 2", got)
		}
		time.Sleep(5 * time.Second)
		ask(1)
		synctest.Wait()
		if got := f.Statistics().Sockets; up.dials.Load() != 3 || got != 1 {
			t.Errorf("%d sockets after 5 seconds, %d open, want 3 and 1", up.dials.Load(), got)
		}
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if got := f.Statistics().Sockets; got != 0 {
			t.Errorf("%d sockets open after a while, want none", got)
		}
	})
}

// TestCacheIsBounded fills it, by number and by bytes, and has what is used stay.
func TestCacheIsBounded(t *testing.T) {
	text := strings.Repeat("x", 200)
	reply := func(m *dns.Msg) *dns.Msg {
		r := new(dns.Msg).SetReply(m)
		r.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 3600}, Txt: []string{text, text}}}
		return r
	}
	for _, test := range []struct {
		name    string
		options resolver.ForwarderOptions
	}{
		{"entries", resolver.ForwarderOptions{CacheSize: 20}},
		{"bytes", resolver.ForwarderOptions{CacheSize: 60, CacheBytes: 20 << 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, test.options, reply, func(t *testing.T, socket *memory, up *piped, f *resolver.Forwarder) {
				for i := range 200 {
					socket.exchange(t, question(fmt.Sprintf("name%d.example", i), dns.TypeTXT))
					socket.exchange(t, question("favourite.example", dns.TypeTXT))
				}
				got := f.Statistics()
				if got.Entries < 15 || got.Entries > 30 || got.Bytes > 20<<10 || got.Evicted != up.asked.Load()-int64(got.Entries) {
					t.Errorf("statistics %+v", got)
				}
				if got := up.asked.Load(); got != 201 {
					t.Errorf("asked %d times, want 201: once for what is used all the time", got)
				}
			})
		})
	}
}
