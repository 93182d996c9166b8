package resolver_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

// hasty are options for servers that never answer.
func hasty() resolver.ForwarderOptions {
	return resolver.ForwarderOptions{Timeout: 150 * time.Millisecond, Attempts: 2, Deadline: 5 * time.Second}
}

// good answers as a server should, with an address that tells that it did.
func good(t testing.TB) dns.HandlerFunc { return answers(t, "example.com. 60 IN A 192.0.2.1") }

const goodAnswer = "NOERROR rd ra | example.com. 60 IN A 192.0.2.1;"

// silent never answers.
func silent(dns.ResponseWriter, *dns.Msg) {}

// forged answers first with what change makes of the right answer.
func forged(t testing.TB, change func(*dns.Msg), thenRight bool) dns.HandlerFunc {
	return func(w dns.ResponseWriter, m *dns.Msg) {
		r := new(dns.Msg).SetReply(m)
		r.Answer = []dns.RR{record(t, "example.com. 60 IN A 198.51.100.66")}
		change(r)
		_ = w.WriteMsg(r)
		if thenRight {
			good(t)(w, m)
		}
	}
}

// rawReply answers with the bytes that change makes of the right answer.
func rawReply(t testing.TB, change func([]byte) []byte) dns.HandlerFunc {
	return func(w dns.ResponseWriter, m *dns.Msg) {
		r := new(dns.Msg).SetReply(m)
		r.Answer = []dns.RR{record(t, "example.com. 60 IN A 198.51.100.66")}
		raw, err := r.Pack()
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(change(raw))
	}
}

// closedPort is an address where nobody listens.
func closedPort(t testing.TB) netip.AddrPort {
	udp, tcp := listen(t)
	_, _ = udp.Close(), tcp.Close()
	return addrPort(udp.LocalAddr())
}

// TestUpstreams has a list of servers for each case, which are asked in turn.
func TestUpstreams(t *testing.T) {
	ede := func(w dns.ResponseWriter, m *dns.Msg) {
		r := new(dns.Msg).SetRcode(m, dns.RcodeServerFailure)
		r.SetEdns0(1232, false)
		r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus, ExtraText: "bogus"}}
		_ = w.WriteMsg(r)
	}
	noEDNS := func(code int) dns.HandlerFunc {
		return func(w dns.ResponseWriter, m *dns.Msg) {
			if m.IsEdns0() == nil {
				good(t)(w, m)
				return
			}
			_ = w.WriteMsg(&dns.Msg{MsgHdr: dns.MsgHdr{Id: m.Id, Response: true, Rcode: code}})
		}
	}
	down := resolver.Upstream{Address: closedPort(t)}
	const failed = "SERVFAIL rd ra | | | OPT"
	for _, test := range []struct {
		name    string
		servers []any // handlers, or an upstream
		want    string
		ede     string // part of the text
		asked   []int64
	}{
		{"good", []any{good(t)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"down", []any{down, good(t)}, goodAnswer + " | | OPT", "", []int64{0, 1}},
		{"silent", []any{silent, good(t)}, goodAnswer + " | | OPT", "", []int64{1, 1}},
		{"no route", []any{resolver.Upstream{Address: down.Address, Dial: nowhere}, good(t)}, goodAnswer + " | | OPT", "", []int64{0, 1}},
		{"all down", []any{down}, failed, down.Address.String(), nil},
		{"all silent", []any{silent, silent}, failed, "timeout", []int64{2, 2}},
		{"all unreachable", []any{resolver.Upstream{Address: down.Address, Dial: nowhere}}, failed, down.Address.String() + ": network is unreachable", nil},
		{"wrong ID", []any{forged(t, func(m *dns.Msg) { m.Id ^= 1 }, true)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"wrong name", []any{forged(t, func(m *dns.Msg) { m.Question[0].Name = "example.org." }, true)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"longer name", []any{forged(t, func(m *dns.Msg) { m.Question[0].Name = "www.example.com." }, true)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"wrong type", []any{forged(t, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }, true)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"wrong class", []any{forged(t, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, true)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"a question", []any{forged(t, func(m *dns.Msg) { m.Response = false }, true)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"other operation", []any{forged(t, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, true)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"no question", []any{forged(t, func(m *dns.Msg) { m.Question = nil }, true)}, goodAnswer + " | | OPT", "", []int64{1}},
		{"only wrong IDs", []any{forged(t, func(m *dns.Msg) { m.Id ^= 1 }, false)}, failed, "timeout", []int64{2}},
		{"no records where they should be", []any{rawReply(t, func(raw []byte) []byte { return raw[:len(raw)-2] }), good(t)}, goodAnswer + " | | OPT", "", []int64{1, 1}},
		{"too short", []any{rawReply(t, func(raw []byte) []byte { return raw[:11] }), good(t)}, goodAnswer + " | | OPT", "", []int64{1, 1}},
		{"SERVFAIL", []any{rcode(dns.RcodeServerFailure), good(t)}, goodAnswer + " | | OPT", "", []int64{1, 1}},
		{"REFUSED", []any{rcode(dns.RcodeRefused), good(t)}, goodAnswer + " | | OPT", "", []int64{1, 1}},
		{"all SERVFAIL", []any{rcode(dns.RcodeRefused), ede}, "SERVFAIL rd | | | OPT", "bogus", []int64{1, 1}},
		{"all REFUSED", []any{ede, rcode(dns.RcodeRefused)}, "REFUSED rd | | | OPT", "", []int64{1, 1}},
		{"REFUSED or silent", []any{rcode(dns.RcodeRefused), silent}, "REFUSED rd | | | OPT", "", []int64{1, 2}},
		{"NXDOMAIN", []any{rcode(dns.RcodeNameError), good(t)}, "NXDOMAIN rd | | | OPT", "", []int64{1, 0}},
		{"no data", []any{rcode(dns.RcodeSuccess), good(t)}, "NOERROR rd | | | OPT", "", []int64{1, 0}},
		{"other code", []any{rcode(dns.RcodeYXDomain), good(t)}, "YXDOMAIN rd | | | OPT", "", []int64{1, 0}},
		{"no EDNS", []any{noEDNS(dns.RcodeFormatError)}, goodAnswer + " | | OPT", "", []int64{2}},
		{"EDNS not implemented", []any{noEDNS(dns.RcodeNotImplemented)}, goodAnswer + " | | OPT", "", []int64{2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var list []resolver.Upstream
			var fakes []*fake
			for _, server := range test.servers {
				up, ok := server.(resolver.Upstream)
				f := new(fake)
				if !ok {
					handler, ok := server.(dns.HandlerFunc)
					if !ok {
						handler = server.(func(dns.ResponseWriter, *dns.Msg))
					}
					f = outside(t, handler)
					up = f.upstream()
				}
				fakes = append(fakes, f)
				list = append(list, up)
			}
			s := serve(t, resolver.Options{View: fixed(nil), Forwarder: forwarder(t, hasty()), Upstreams: through(list...)})
			got := s.exchange(t, "udp", question("example.com", dns.TypeA).SetEdns0(1232, false))
			if summary(got) != test.want {
				t.Errorf("got %s, want %s", summary(got), test.want)
			}
			if opt := got.IsEdns0(); opt != nil && !strings.Contains(fmt.Sprint(opt), test.ede) {
				t.Errorf("the client is told %v, want %q", opt, test.ede)
			}
			for i, want := range test.asked {
				if got := fakes[i].udp.Load(); got != want {
					t.Errorf("server %d was asked %d times, want %d", i, got, want)
				}
			}
			// Without EDNS there is no OPT record; the rest is the same, and kept.
			got = s.ask(t, "example.com", dns.TypeA)
			if want := strings.TrimRight(strings.TrimSuffix(test.want, "OPT"), " |"); summary(got) != want {
				t.Errorf("without EDNS: got %s, want %s", summary(got), want)
			}
		})
	}
}

// TestTruncated asks a server whose answers do not fit into datagrams.
func TestTruncated(t *testing.T) {
	var texts []string
	for i := range 40 {
		texts = append(texts, fmt.Sprintf("example.com. 60 IN TXT %q", strings.Repeat(fmt.Sprint(i%10), 200)))
	}
	whole := answers(t, texts...)
	cut := func(w dns.ResponseWriter, m *dns.Msg) {
		r := new(dns.Msg).SetReply(m)
		r.Truncated, r.RecursionAvailable = true, true
		r.Answer = []dns.RR{record(t, texts[0])}
		_ = w.WriteMsg(r)
	}
	byTCP := func(tcp dns.HandlerFunc) dns.HandlerFunc {
		return func(w dns.ResponseWriter, m *dns.Msg) {
			if _, ok := w.RemoteAddr().(*net.TCPAddr); ok {
				tcp(w, m)
			} else {
				cut(w, m)
			}
		}
	}
	broken := outside(t, byTCP(func(w dns.ResponseWriter, _ *dns.Msg) { _ = w.Close() }))
	fine := outside(t, byTCP(whole))
	still := outside(t, cut)
	huge := outside(t, func(w dns.ResponseWriter, m *dns.Msg) { whole(w, m) }) // by UDP, whatever we take
	for _, test := range []struct {
		name     string
		list     []*fake
		udp, tcp string // for the client, without records
		many     bool
	}{
		{"TCP", []*fake{fine}, "NOERROR tc rd ra", "NOERROR rd ra", true},
		{"TCP of the next", []*fake{broken, fine}, "NOERROR tc rd ra", "NOERROR rd ra", true},
		{"TCP broken", []*fake{broken}, "NOERROR tc rd ra", "SERVFAIL rd ra", false},
		{"cut by TCP too", []*fake{still}, "NOERROR tc rd ra", "SERVFAIL rd ra", false},
		{"more than was asked for", []*fake{huge}, "NOERROR tc rd ra", "NOERROR rd ra", true},
	} {
		var list []resolver.Upstream
		for _, f := range test.list {
			list = append(list, f.upstream())
		}
		f := forwarder(t, hasty())
		s := serve(t, resolver.Options{View: fixed(nil), Forwarder: f, Upstreams: through(list...)})
		for range 2 {
			got := s.ask(t, "example.com", dns.TypeTXT)
			if head, _, _ := strings.Cut(summary(got), " |"); head != test.udp || test.many && len(got.Answer) != 2 {
				t.Errorf("%s, by UDP: %s with %d records, want %s with two", test.name, head, len(got.Answer), test.udp)
			}
			got = s.exchange(t, "tcp", question("example.com", dns.TypeTXT))
			if head, _, _ := strings.Cut(summary(got), " |"); head != test.tcp || test.many && len(got.Answer) != len(texts) {
				t.Errorf("%s, by TCP: %s with %d records, want %s with all", test.name, head, len(got.Answer), test.tcp)
			}
			got = s.exchange(t, "udp", question("example.com", dns.TypeTXT).SetEdns0(1500, false))
			if got.Compress = true; test.many && (len(got.Answer) != 6 || !got.Truncated || got.Len() > 1500 || got.IsEdns0() == nil) {
				t.Errorf("%s, with EDNS: %d records in %d bytes, want 6 and an OPT record", test.name, len(got.Answer), got.Len())
			}
			got = s.exchange(t, "udp", question("example.com", dns.TypeTXT).SetEdns0(16384, false))
			if test.many && (len(got.Answer) != len(texts) || got.Truncated) {
				t.Errorf("%s, with EDNS for all: %s", test.name, summary(got))
			}
		}
		if got := f.Statistics(); test.many && got.Asked != 1 || !test.many && got.Entries != 0 {
			t.Errorf("%s: statistics %+v: want a whole answer kept, and no other", test.name, got)
		}
	}
}

// TestHealth asks until a server that is silent is passed over, and later finds it back.
func TestHealth(t *testing.T) {
	var mute atomic.Bool
	mute.Store(true)
	first := outside(t, func(w dns.ResponseWriter, m *dns.Msg) {
		if !mute.Load() {
			good(t)(w, m)
		}
	})
	second := outside(t, good(t))
	o := hasty()
	o.CacheSize, o.Timeout = -1, 50*time.Millisecond
	s := serve(t, resolver.Options{View: fixed(nil), Forwarder: forwarder(t, o), Upstreams: through(first.upstream(), second.upstream())})
	for range 20 {
		s.ask(t, "example.com", dns.TypeA)
	}
	if a, b := first.udp.Load(), second.udp.Load(); a > 3 || b != 20 {
		t.Errorf("the silent server was asked %d times, the other one %d: want at most 3, and 20", a, b)
	}
	mute.Store(false)
	eventually(t, "the first server is asked again", func() bool {
		s.ask(t, "example.com", dns.TypeA)
		return first.udp.Load() > 10
	})
}

func TestSingleFlight(t *testing.T) {
	const clients = 50
	release := make(chan struct{})
	up := outside(t, func(w dns.ResponseWriter, m *dns.Msg) {
		<-release
		good(t)(w, m)
	})
	f := forwarder(t, resolver.ForwarderOptions{})
	var group sync.WaitGroup
	var servers []served
	for range 2 { // sandboxes
		servers = append(servers, serve(t, resolver.Options{View: fixed(nil), Forwarder: f, Upstreams: through(up.upstream())}))
	}
	ask := func(s served, change func(*dns.Msg)) {
		group.Go(func() {
			m := question("example.com", dns.TypeA)
			change(m)
			m.Question[0].Name = []string{"example.com.", "EXAMPLE.com."}[m.Id%2]
			client := dns.Client{Timeout: patience}
			got, _, err := client.Exchange(m, s.address)
			if err != nil || len(got.Answer) != 1 || got.Question[0].Name != m.Question[0].Name {
				t.Errorf("answer %v, error %v", got, err)
			}
		})
	}
	for i := range clients {
		ask(servers[i%2], func(*dns.Msg) {})
	}
	eventually(t, "all wait", func() bool { return f.Statistics().Shared == clients-1 })
	// What differs in what it asks for is asked apart.
	ask(servers[0], func(m *dns.Msg) { m.CheckingDisabled = true })
	ask(servers[0], func(m *dns.Msg) { m.AuthenticatedData = true })
	ask(servers[0], func(m *dns.Msg) { m.RecursionDesired = false })
	ask(servers[0], func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA })
	ask(servers[0], func(m *dns.Msg) { m.SetEdns0(1232, true) })
	eventually(t, "the others are asked", func() bool { return up.udp.Load() == 6 })
	close(release)
	group.Wait()
	if got := f.Statistics(); got.Asked != 6 || got.Entries != 5 || got.InFlight != 0 {
		t.Errorf("statistics %+v: want all but the AAAA without data kept", got)
	}
}

// TestKeysAreApart has two containers with one address of a server, at different places.
func TestKeysAreApart(t *testing.T) {
	one, two := outside(t, answers(t, "example.com. 60 IN A 192.0.2.1")), outside(t, answers(t, "example.com. 60 IN A 192.0.2.2"))
	f := forwarder(t, resolver.ForwarderOptions{})
	for range 2 {
		for i, up := range []*fake{one, two} {
			place := resolver.Upstream{
				Address: netip.MustParseAddrPort("192.0.2.53:53"), Key: fmt.Sprint("namespace ", i),
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					if address != "192.0.2.53:53" {
						t.Errorf("dials %s", address)
					}
					return new(net.Dialer).DialContext(ctx, network, up.address.String())
				},
			}
			s := serve(t, resolver.Options{View: fixed(nil), Forwarder: f, Upstreams: through(place)})
			if got := s.ask(t, "example.com", dns.TypeA); !strings.Contains(summary(got), fmt.Sprintf("192.0.2.%d;", i+1)) {
				t.Errorf("container %d gets %s", i, summary(got))
			}
		}
	}
	if one.udp.Load() != 1 || two.udp.Load() != 1 {
		t.Errorf("the servers were asked %d and %d times, want once each", one.udp.Load(), two.udp.Load())
	}
	f.Forget("namespace 0")
	eventually(t, "its socket is closed", func() bool { return f.Statistics().Sockets == 1 })
}
