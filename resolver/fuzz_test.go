package resolver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fuzzServer is a server without sockets, whose upstream cannot be reached.
func fuzzServer(f *testing.F) *Server {
	f.Helper()
	web := []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")}
	var many []netip.Addr
	for i := range 200 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}))
	}
	names := NewNames([]Record{{Name: "web", Addrs: web, Reverse: true}, {Name: "many", Addrs: many}},
		[]Service{{Name: "web", Port: "http", Proto: "tcp", Number: 80, Targets: []string{"web", "many"}}},
		[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")})
	view := NewView(nil, names)
	forwarder := NewForwarder(ForwarderOptions{Attempts: 1})
	s := Serve(nil, nil, Options{
		View: func() *View { return view }, Forwarder: forwarder,
		Upstreams: func() []Upstream {
			return []Upstream{{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody") }}}
		},
	})
	f.Cleanup(func() { _, _ = s.Close(), forwarder.Close() })
	return s
}

// FuzzQuery has a server answer arbitrary bytes.
func FuzzQuery(f *testing.F) {
	s := fuzzServer(f)
	for _, name := range []string{"web", "WEB", "many", "_http._tcp.web", "_x.web", "2.0.0.10.in-addr.arpa", "9.0.0.10.in-addr.arpa", "example.com", ".",
		"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"} {
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeSRV, dns.TypeANY, 65280} {
			m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
			raw, _ := m.Pack()
			f.Add(raw, false)
			m.SetEdns0(600, true)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
			raw, _ = m.Pack()
			f.Add(raw, true)
		}
	}
	special := new(dns.Msg).SetUpdate("web.")
	special.SetTsig("key.", dns.HmacSHA256, 300, 1)
	raw, _ := special.Pack()
	f.Add(raw, false)
	f.Add(raw[:11], true)
	var q query
	f.Fuzz(func(t *testing.T, msg []byte, stream bool) {
		asked := bytes.Clone(msg)
		answer, wait := s.handle(nil, msg, &q, stream)
		if wait != nil {
			if !s.wait(wait) {
				t.Fatal("the server has ended")
			}
			answer = s.finish(nil, wait.flight.answer, &wait.query, stream, time.Now())
		}
		if !bytes.Equal(asked, msg) {
			t.Errorf("%x was changed to %x", asked, msg)
		}
		if len(msg) < headerSize || msg[2]&0x80 != 0 {
			if answer != nil {
				t.Errorf("answer %x to what is no query", answer)
			}
			return
		}
		checkAnswer(t, msg, answer, &q, stream)
	})
}

// checkAnswer says what holds for each answer, whatever was asked.
func checkAnswer(t *testing.T, msg, answer []byte, q *query, stream bool) {
	var got dns.Msg
	if err := got.Unpack(answer); err != nil {
		t.Fatalf("answer %x: %v", answer, err)
	}
	if !got.Response || got.Id != binary.BigEndian.Uint16(msg) || got.Opcode != int(msg[2]>>3&15) || got.RecursionDesired != (msg[2]&1 != 0) {
		t.Errorf("answer %v to %x", &got, msg)
	}
	if got.AuthenticatedData {
		t.Errorf("answer %v claims to be authentic", &got)
	}
	if !bytes.HasPrefix(answer[headerSize:], q.question) || len(got.Question) == 1 != (len(q.question) > 0) {
		t.Errorf("question %x to %x", answer[headerSize:], msg)
	}
	if (got.IsEdns0() != nil) != q.edns {
		t.Errorf("OPT %v to %x", got.IsEdns0(), msg)
	}
	limit := maxMessage
	if !stream {
		limit = min(max(int(q.size), 512), ownSize)
	}
	if len(answer) > limit {
		t.Errorf("%d bytes to %x, want %d at most", len(answer), msg, limit)
	}
	if got.Rcode == dns.RcodeSuccess && !got.Authoritative {
		t.Errorf("answer %v to %x is nobody's", &got, msg)
	}
}

// FuzzReply has arbitrary bytes come from an upstream, with the question that was asked.
func FuzzReply(f *testing.F) {
	add := func(change func(*dns.Msg)) {
		m := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
		m.Response, m.Compress = true, true
		for _, text := range []string{"www.example.com. 60 IN CNAME web.example.com.", "web.example.com. 30 IN A 192.0.2.1", "web.example.com. 30 IN A 192.0.2.2"} {
			rr, _ := dns.NewRR(text)
			m.Answer = append(m.Answer, rr)
		}
		soa, _ := dns.NewRR("example.com. 60 IN SOA ns. root. 1 2 3 4 5")
		m.Ns = append(m.Ns, soa)
		change(m)
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[2:headerSize], raw[headerSize+21:], uint16(512), uint16(10), true, false)
		f.Add(raw[2:headerSize], raw[headerSize+21:], uint16(100), uint16(0), false, true)
	}
	add(func(*dns.Msg) {})
	add(func(m *dns.Msg) { m.Answer, m.Rcode = nil, dns.RcodeNameError })
	f.Add([]byte{0x80, 0x01, 0, 0, 0, 3, 0, 1, 0, 0}, []byte{}, uint16(512), uint16(0), true, false)
	add(func(m *dns.Msg) { m.SetEdns0(1232, true); m.Extra = append(m.Extra, m.Answer...) })
	add(func(m *dns.Msg) { m.SetTsig("key.", dns.HmacSHA256, 300, 1).SetEdns0(4096, false) })
	add(func(m *dns.Msg) {
		for range 5 {
			m.Answer = append(m.Answer, m.Answer...)
		}
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 1, ExtraText: "long and longer"}}
	})
	asked, _ := new(dns.Msg).SetQuestion("www.Example.com.", dns.TypeA).Pack()
	question := asked[headerSize:]
	f.Fuzz(func(t *testing.T, head, rest []byte, size, age uint16, edns, verbatim bool) {
		if len(head) != headerSize-2 {
			return
		}
		msg := append(append(append([]byte{0, 1}, head...), question...), rest...)
		if counts(msg)[0] == 0 {
			msg = msg[:headerSize]
		}
		if !sameQuestion(msg, question) {
			return
		}
		var was, got dns.Msg
		wasFine := was.Unpack(msg) == nil
		if number := counts(msg); number[1] != len(was.Answer) || number[2] != len(was.Ns) || number[3] != len(was.Extra) {
			wasFine = false // it makes do with fewer records than there should be
		}
		a, err := parseAnswer(msg, question, verbatim)
		if err != nil {
			if wasFine {
				// Our rules for OPT records are stricter.
				for _, rr := range append(append(was.Answer, was.Ns...), was.Extra...) {
					if rr.Header().Rrtype == dns.TypeOPT {
						return
					}
				}
				t.Errorf("%x is refused: %v", msg, err)
			}
			return
		}
		q := query{id: 7, question: question, size: size, edns: edns}
		out := a.appendTo(nil, &q, q.limit(), a.came.Add(time.Duration(age)*time.Second))
		if len(out) > q.limit() {
			t.Errorf("%d bytes of %x, want %d at most", len(out), msg, q.limit())
		}
		if out[0] != 0 || out[1] != 7 || !bytes.HasPrefix(out[headerSize:], question) {
			t.Errorf("answer %x", out)
		}
		if a.life > 0 && (a.truncated() || a.life > time.Duration(1<<31)*time.Second) {
			t.Errorf("%x is kept for %v", msg, a.life)
		}
		off := a.end
		for range counts(out)[1] + counts(out)[2] + counts(out)[3] {
			record, err := recordAt(out, off)
			if err != nil {
				t.Fatalf("%x is from %x: %v", out, msg, err)
			}
			off = record.end
		}
		if off != len(out) {
			t.Errorf("%x has %d bytes of records", out, off)
		}
		// A name may point to what has changed, if somebody means to confuse.
		if err := got.Unpack(out); err != nil {
			return
		}
		if opt := got.IsEdns0(); !verbatim && (opt != nil) != edns {
			t.Errorf("%x has OPT %v, asked %t", out, opt, edns)
		}
		if len(got.Answer) < len(was.Answer) && !got.Truncated && wasFine {
			t.Errorf("%x lacks answers of %x and does not say so", out, msg)
		}
	})
}
