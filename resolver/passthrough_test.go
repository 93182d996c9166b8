package resolver_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

// recorder is a server outside that remembers what it was asked, byte by byte, and answers
// with what reply makes of the right answer.
type recorder struct {
	mu    sync.Mutex
	asked [][]byte
	reply func(query *dns.Msg) []byte
}

// start has the recorder listen; UDP only.
func (r *recorder) start(t testing.TB) resolver.Upstream {
	t.Helper()
	udp, tcp := listen(t)
	_ = tcp.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			r.mu.Lock()
			r.asked = append(r.asked, bytes.Clone(buffer[:n]))
			r.mu.Unlock()
			m := new(dns.Msg)
			if err := m.Unpack(buffer[:n]); err != nil {
				t.Errorf("asked %x: %v", buffer[:n], err)
			}
			_, _ = udp.WriteTo(r.reply(m), from)
		}
	}()
	t.Cleanup(func() { _ = udp.Close(); <-done })
	return resolver.Upstream{Address: addrPort(udp.LocalAddr())}
}

// last returns what was asked last, and how much there was.
func (r *recorder) last() ([]byte, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[len(r.asked)-1], len(r.asked)
}

// strange are records of all sorts, with names that are compressed, and some that are not
// known to anybody.
func strange(t testing.TB) []dns.RR {
	var out []dns.RR
	for _, text := range []string{
		"a.example.com. 300 IN CNAME b.example.com.",
		"b.example.com. 30 IN CNAME c.example.com.",
		"c.example.com. 300 IN A 192.0.2.1",
		"c.example.com. 300 IN RRSIG A 13 3 300 20300101000000 20200101000000 1 example.com. YWJjZA==",
		"c.example.com. 300 IN MX 10 mail.example.com.",
		"c.example.com. 300 IN TYPE65280 \\# 4 0a000001",
		"c.example.com. 300 IN HTTPS 1 . alpn=h2 key65000=abc",
		"c.example.com. 300 CH TXT \"\\000\\255\"",
		"c.example.com. 2147483647 IN NAPTR 1 2 \"s\" \"x\" \"!a!b!\" .",
	} {
		out = append(out, record(t, text))
	}
	return out
}

func TestAnswersStayAsTheyAre(t *testing.T) {
	compose := func(m *dns.Msg, opt bool) []byte {
		r := new(dns.Msg).SetReply(m)
		r.Compress, r.Authoritative, r.RecursionAvailable, r.AuthenticatedData, r.Zero = true, true, true, true, true
		r.Answer = strange(t)
		r.Ns = []dns.RR{record(t, "example.com. 900 IN NS ns.example.com.")}
		r.Extra = []dns.RR{record(t, "ns.example.com. 900 IN A 192.0.2.53")}
		if opt {
			r.SetEdns0(4096, true)
			r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 3, ExtraText: "stale"}}
		}
		raw, err := r.Pack()
		if err != nil {
			t.Error(err)
		}
		return raw
	}
	for _, opt := range []bool{false, true} {
		up := &recorder{reply: func(m *dns.Msg) []byte { return compose(m, opt) }}
		s := serve(t, resolver.Options{View: fixed(nil), Forwarder: forwarder(t, resolver.ForwarderOptions{}), Upstreams: through(up.start(t))})
		for i := range 2 { // forwarded, and from the cache
			ask := question("A.eXample.com", dns.TypeA)
			ask.CheckingDisabled = true
			query, err := ask.Pack()
			if err != nil {
				t.Fatal(err)
			}
			want := compose(ask, false)
			if got := s.raw(t, query, patience); !bytes.Equal(got, want) {
				t.Errorf("OPT %t, answer %d:\n got %x\nwant %x", opt, i, got, want)
			}
			got := s.exchange(t, "udp", ask.Copy().SetEdns0(1232, false)).IsEdns0()
			if got == nil || got.UDPSize() != 1232 || opt != (len(got.Option) == 1) || opt != got.Do() {
				t.Errorf("OPT %t, answer %d: with EDNS %v", opt, i, got)
			}
		}
		if _, n := up.last(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
	}
}

// TestOPTInTheMiddle has records after the OPT record. They are additional and may go, as
// the names in them may point to what moves.
func TestOPTInTheMiddle(t *testing.T) {
	up := &recorder{reply: func(m *dns.Msg) []byte {
		r := new(dns.Msg).SetReply(m)
		r.Compress = true
		r.Answer = []dns.RR{record(t, "example.com. 60 IN NS a.example.com.")}
		r.Extra = []dns.RR{record(t, "a.example.com. 60 IN A 192.0.2.1")}
		r.SetEdns0(4096, false)
		r.Extra = append(r.Extra, record(t, "b.example.org. 60 IN A 192.0.2.1"), record(t, "c.example.org. 60 IN A 192.0.2.1"))
		raw, _ := r.Pack()
		return raw
	}}
	s := serve(t, resolver.Options{View: fixed(nil), Forwarder: forwarder(t, resolver.ForwarderOptions{}), Upstreams: through(up.start(t))})
	const want = "NOERROR rd | example.com. 60 IN NS a.example.com.; | | a.example.com. 60 IN A 192.0.2.1;"
	for range 2 {
		if got := summary(s.ask(t, "example.com", dns.TypeNS)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got := summary(s.exchange(t, "udp", question("example.com", dns.TypeNS).SetEdns0(1232, false))); got != want+" OPT" {
			t.Errorf("with EDNS: got %s", got)
		}
	}
}

// TestQuestionsOutside looks at what servers outside get to see.
func TestQuestionsOutside(t *testing.T) {
	up := &recorder{reply: func(m *dns.Msg) []byte {
		raw, _ := new(dns.Msg).SetReply(m).Pack()
		return raw
	}}
	s := serve(t, resolver.Options{View: fixed(small()), Forwarder: forwarder(t, resolver.ForwarderOptions{}), Upstreams: through(up.start(t))})
	option := func(m *dns.Msg, options ...dns.EDNS0) {
		m.SetEdns0(1400, false)
		m.IsEdns0().Option = options
	}
	cookie := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}
	subnet := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}
	for _, test := range []struct {
		name   string
		change func(*dns.Msg)
		// verbatim messages go as they came; of others is the OPT record ours.
		verbatim bool
	}{
		{"plain", func(*dns.Msg) {}, false},
		{"case", func(m *dns.Msg) { m.Question[0].Name = "WWW.Example.com." }, false},
		{"unknown type", func(m *dns.Msg) { m.Question[0].Qtype = 65281 }, false},
		{"root", func(m *dns.Msg) { m.Question[0].Name = "." }, false},
		{"single label", func(m *dns.Msg) { m.Question[0].Name = "intranet." }, false},
		{"escapes", func(m *dns.Msg) { m.Question[0].Name = "a\\.b\\000c.example.com." }, false},
		{"longest", func(m *dns.Msg) { m.Question[0].Name = strings.Repeat("a.", 127) }, false},
		{"no recursion", func(m *dns.Msg) { m.RecursionDesired = false }, false},
		{"bits", func(m *dns.Msg) { m.AuthenticatedData, m.CheckingDisabled = true, true }, false},
		{"DO", func(m *dns.Msg) { m.SetEdns0(4096, true) }, false},
		{"between neighbours", func(m *dns.Msg) {
			option(m, cookie, &dns.EDNS0_PADDING{Padding: make([]byte, 9)}, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
		}, false},
		{"subnet", func(m *dns.Msg) { option(m, subnet, cookie) }, true},
		{"name server ID", func(m *dns.Msg) { option(m, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}) }, true},
		{"unknown option", func(m *dns.Msg) { option(m, &dns.EDNS0_LOCAL{Code: 65001, Data: []byte{1, 2}}) }, true},
		{"signature", func(m *dns.Msg) { m.SetTsig("key.example.", dns.HmacSHA256, 300, 1) }, true},
		{"more records", func(m *dns.Msg) { m.Ns = []dns.RR{record(t, "example.com. 1 IN SOA a. b. 1 2 3 4 5")} }, true},
	} {
		m := question("www.example.com", dns.TypeA)
		test.change(m)
		query, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		answer := new(dns.Msg)
		if err := answer.Unpack(s.raw(t, query, patience)); err != nil || answer.Id != m.Id || answer.Question[0] != m.Question[0] {
			t.Errorf("%s: answer %v, error %v", test.name, answer, err)
		}
		got, _ := up.last()
		if id := binary.BigEndian.Uint16(got); id == m.Id {
			t.Errorf("%s: has the client's ID", test.name)
		}
		want := query
		if !test.verbatim {
			do := m.IsEdns0() != nil && m.IsEdns0().Do()
			m.Extra = nil
			if want, err = m.SetEdns0(1232, do).Pack(); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want[2:], got[2:]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestSpecialIsNotShared asks what may have another answer for each client.
func TestSpecialIsNotShared(t *testing.T) {
	up := &recorder{reply: func(m *dns.Msg) []byte {
		r := new(dns.Msg).SetReply(m)
		r.Answer = []dns.RR{record(t, "example.com. 60 IN A 192.0.2.1")}
		r.Extra = slices.Clone(m.Extra) // the OPT record as it came
		raw, _ := r.Pack()
		return raw
	}}
	f := forwarder(t, resolver.ForwarderOptions{})
	s := serve(t, resolver.Options{View: fixed(small()), Forwarder: f, Upstreams: through(up.start(t))})
	for i := range 2 {
		m := question("example.com", dns.TypeA).SetEdns0(1300, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte{byte(i)}}}
		got := s.exchange(t, "udp", m)
		if diff := cmp.Diff(m.IsEdns0().String(), got.IsEdns0().String()); diff != "" {
			t.Errorf("OPT record (-want +got):\n%s", diff)
		}
	}
	// A name of a container is not told outside for that.
	m := question("web", dns.TypeA).SetEdns0(1300, true)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
	if got := summary(s.exchange(t, "udp", m)); got != "NOERROR aa rd ra | web. 1 IN A 10.0.0.2; | | OPT" {
		t.Errorf("container: %s", got)
	}
	if got := f.Statistics(); got.Asked != 2 || got.Entries != 0 {
		t.Errorf("statistics %+v", got)
	}
}
