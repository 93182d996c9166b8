package resolver_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

var errNowhere = fmt.Errorf("enter /run/secret: %w", syscall.ENETUNREACH)

// summary tells an answer in a line: code, bits, and the records of its sections.
func summary(m *dns.Msg) string {
	out := []string{dns.RcodeToString[m.Rcode]}
	for _, bit := range []struct {
		name string
		set  bool
	}{{"aa", m.Authoritative}, {"tc", m.Truncated}, {"rd", m.RecursionDesired}, {"ra", m.RecursionAvailable}, {"ad", m.AuthenticatedData}, {"cd", m.CheckingDisabled}} {
		if bit.set {
			out = append(out, bit.name)
		}
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		out = append(out, "|")
		for _, rr := range section {
			if rr.Header().Rrtype == dns.TypeOPT {
				out = append(out, "OPT")
				continue
			}
			out = append(out, strings.Join(strings.Fields(rr.String()), " ")+";")
		}
	}
	return strings.TrimRight(strings.Join(out, " "), " |")
}

// small is a view with a little of everything.
func small() *resolver.View {
	private := resolver.NewNames([]resolver.Record{{Name: "alias", Addrs: addrs("10.0.0.2")}}, nil, nil)
	frontend := resolver.NewNames([]resolver.Record{
		{Name: "Web.frontend", Addrs: addrs("10.0.0.2 fd00::2"), Reverse: true},
		{Name: "web", Addrs: addrs("10.0.0.2 fd00::2")},
		{Name: "only4", Addrs: addrs("10.0.0.3")},
		{Name: "only6", Addrs: addrs("fd00::3")},
		{Name: "dev", Addrs: addrs("10.0.0.4")},
	}, []resolver.Service{
		{Name: "web", Port: "http", Proto: "tcp", Number: 80, Targets: []string{"web.frontend", "only4", "elsewhere.example", "web.frontend"}},
	}, prefixes("10.0.0.0/24 fd00::/64"))
	return resolver.NewView(private, frontend)
}

// TestLocal never lets a question out: each must be answered from the view.
func TestLocal(t *testing.T) {
	noLeaks(t)
	up := outside(t, rcode(dns.RcodeRefused))
	s := serve(t, resolver.Options{
		View: fixed(small()), TTL: 1500 * time.Millisecond,
		Forwarder: forwarder(t, resolver.ForwarderOptions{}), Upstreams: through(up.upstream()),
	})
	for _, test := range []struct {
		name string
		kind uint16
		want string
	}{
		{"web", dns.TypeA, "NOERROR aa rd ra | web. 2 IN A 10.0.0.2;"},
		{"wEB", dns.TypeA, "NOERROR aa rd ra | wEB. 2 IN A 10.0.0.2;"},
		{"web", dns.TypeAAAA, "NOERROR aa rd ra | web. 2 IN AAAA fd00::2;"},
		{"web.frontend", dns.TypeA, "NOERROR aa rd ra | web.frontend. 2 IN A 10.0.0.2;"},
		{"alias", dns.TypeA, "NOERROR aa rd ra | alias. 2 IN A 10.0.0.2;"},
		{"only4", dns.TypeAAAA, "NOERROR aa rd ra"},
		{"only6", dns.TypeA, "NOERROR aa rd ra"},
		{"web", dns.TypeMX, "NOERROR aa rd ra"},
		{"web", dns.TypeHTTPS, "NOERROR aa rd ra"},
		{"web", dns.TypeSRV, "NOERROR aa rd ra"},
		{"web", dns.TypePTR, "NOERROR aa rd ra"},
		{"web", 65280, "NOERROR aa rd ra"},
		{"web", dns.TypeANY, `NOERROR aa rd ra | web. 2 IN HINFO "RFC8482" "";`},
		{"2.0.0.10.in-addr.arpa", dns.TypePTR, "NOERROR aa rd ra | 2.0.0.10.in-addr.arpa. 2 IN PTR Web.frontend.;"},
		{"2.0.0.10.IN-ADDR.arpa", dns.TypePTR, "NOERROR aa rd ra | 2.0.0.10.IN-ADDR.arpa. 2 IN PTR Web.frontend.;"},
		{"2.0.0.10.in-addr.arpa", dns.TypeA, "NOERROR aa rd ra"},
		{"2.0.0.10.in-addr.arpa", dns.TypeANY, `NOERROR aa rd ra | 2.0.0.10.in-addr.arpa. 2 IN HINFO "RFC8482" "";`},
		{"9.0.0.10.in-addr.arpa", dns.TypePTR, "NXDOMAIN aa rd ra"},
		{reverse("fd00::2"), dns.TypePTR, "NOERROR aa rd ra | " + reverse("fd00::2") + " 2 IN PTR Web.frontend.;"},
		{reverse("fd00::abcd:9"), dns.TypePTR, "NXDOMAIN aa rd ra"},
		{"_http._tcp.web", dns.TypeA, "NOERROR aa rd ra"},
		{"_http._udp.web", dns.TypeSRV, "NXDOMAIN aa rd ra"},
		{"_acme-challenge.web", dns.TypeTXT, "NXDOMAIN aa rd ra"},
		{"_HTTP._tcp.web", dns.TypeSRV, "NOERROR aa rd ra | " +
			"_HTTP._tcp.web. 2 IN SRV 0 1 80 web.frontend.; _HTTP._tcp.web. 2 IN SRV 0 1 80 only4.; _HTTP._tcp.web. 2 IN SRV 0 1 80 elsewhere.example.; " +
			"_HTTP._tcp.web. 2 IN SRV 0 1 80 web.frontend.; | | web.frontend. 2 IN A 10.0.0.2; web.frontend. 2 IN AAAA fd00::2; only4. 2 IN A 10.0.0.3;"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			got := s.exchange(t, network, question(test.name, test.kind))
			if summary(got) != test.want {
				t.Errorf("%s %s by %s:\n got %s\nwant %s", test.name, dns.TypeToString[test.kind], network, summary(got), test.want)
			}
			if got.Question[0].Name != dns.Fqdn(test.name) {
				t.Errorf("%s comes back as %s", test.name, got.Question[0].Name)
			}
		}
	}
	if got := up.udp.Load() + up.tcp.Load(); got != 0 {
		t.Errorf("%d names of containers went out", got)
	}
	if got := s.Statistics(); got.Local == 0 || got.Cached+got.Forwarded+got.Failed+got.Refused+got.Limited+got.Malformed != 0 {
		t.Errorf("statistics %+v, want local ones only", got)
	}
}

func reverse(addr string) string {
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		panic(err)
	}
	return name
}

// TestNotLocal asks what looks like names of containers, but is not.
func TestNotLocal(t *testing.T) {
	up := outside(t, rcode(dns.RcodeNameError))
	s := serve(t, resolver.Options{
		View: fixed(small()), Forwarder: forwarder(t, resolver.ForwarderOptions{}), Upstreams: through(up.upstream()),
	})
	for i, name := range []string{
		".", "single", "web.example.com", "frontend", "www.dev", "www._tcp.web", "_tcp.dev.example", "web\\.frontend",
		"9.0.1.10.in-addr.arpa", "0.0.10.in-addr.arpa", "1.2.0.0.10.in-addr.arpa", "02.0.0.10.in-addr.arpa",
		"256.0.0.10.in-addr.arpa", "x.0.0.10.in-addr.arpa", "2.0.0.10.in-addr.arpa.example", "1000.0.0.10.in-addr.arpa",
		strings.TrimPrefix(reverse("fd00::2"), "2."), "g" + reverse("fd00::2")[1:], "22" + reverse("fd00::2")[1:],
		reverse("fd00:0:0:1::2"), "ip6.arpa", "in-addr.arpa",
	} {
		if got := s.ask(t, name, dns.TypePTR); summary(got) != "NXDOMAIN rd" {
			t.Errorf("%s: %s", name, summary(got))
		}
		if got := up.udp.Load(); got != int64(i+1) {
			t.Fatalf("%s: the server outside was asked %d times, want %d", name, got, i+1)
		}
	}
}

func TestBits(t *testing.T) {
	set := func(fn func(*dns.Msg)) func(*dns.Msg) { return fn }
	view := fixed(small())
	internal := serve(t, resolver.Options{View: view, TTL: -1})
	external := serve(t, resolver.Options{
		View: view, Forwarder: forwarder(t, resolver.ForwarderOptions{}), Upstreams: through(resolver.Upstream{Dial: nowhere}),
	})
	for _, test := range []struct {
		name   string
		server served
		change func(*dns.Msg)
		want   string
	}{
		{"no recursion", external, set(func(m *dns.Msg) { m.RecursionDesired = false }), "NOERROR aa ra | web. 1 IN A 10.0.0.2;"},
		{"checking disabled", external, set(func(m *dns.Msg) { m.CheckingDisabled = true }), "NOERROR aa rd ra cd | web. 1 IN A 10.0.0.2;"},
		{"authentic data", external, set(func(m *dns.Msg) { m.AuthenticatedData = true }), "NOERROR aa rd ra | web. 1 IN A 10.0.0.2;"},
		{"reserved bit", external, set(func(m *dns.Msg) { m.Zero = true }), "NOERROR aa rd ra | web. 1 IN A 10.0.0.2;"},
		{"EDNS", external, set(func(m *dns.Msg) { m.SetEdns0(4096, true) }), "NOERROR aa rd ra | web. 1 IN A 10.0.0.2; | | OPT"},
		{"internal", internal, set(func(*dns.Msg) {}), "NOERROR aa rd | web. 0 IN A 10.0.0.2;"},
		{"internal, not local", internal, set(func(m *dns.Msg) { m.Question[0].Name = "example.com." }), "SERVFAIL rd"},
		{"chaos", external, set(func(m *dns.Msg) {
			m.Question[0] = dns.Question{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}
		}), "REFUSED rd ra"},
		{"any class", external, set(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }), "REFUSED rd ra"},
		{"transfer", external, set(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }), "REFUSED rd ra"},
		{"transfer of changes", external, set(func(m *dns.Msg) { m.SetIxfr("web.", 1, "a.", "b.") }), "REFUSED rd ra"},
		{"notify", external, set(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), "NOTIMP rd ra"},
		{"update", external, set(func(m *dns.Msg) { m.SetUpdate("web.") }), "NOTIMP rd ra"},
		{"unknown operation", external, set(func(m *dns.Msg) { m.Opcode = 13 }), "NOTIMP rd ra"},
		{"EDNS version 1", external, set(func(m *dns.Msg) { m.SetEdns0(1232, false).IsEdns0().SetVersion(1) }), "BADVERS rd ra | | | OPT"},
	} {
		m := question("web", dns.TypeA)
		test.change(m)
		for _, network := range []string{"udp", "tcp"} {
			got := test.server.exchange(t, network, m)
			if got.Rcode == dns.RcodeBadSig { // the same number
				got.Rcode = dns.RcodeBadVers
			}
			if summary(got) != strings.Replace(test.want, "BADVERS", dns.RcodeToString[dns.RcodeBadVers], 1) {
				t.Errorf("%s by %s:\n got %s\nwant %s", test.name, network, summary(got), test.want)
			}
			if got.Opcode != m.Opcode {
				t.Errorf("%s: operation %d, want %d", test.name, got.Opcode, m.Opcode)
			}
			if opt := got.IsEdns0(); opt != nil && (opt.UDPSize() != 1232 || opt.Version() != 0 || opt.Do() != m.IsEdns0().Do()) {
				t.Errorf("%s: OPT %v", test.name, opt)
			}
		}
	}
	if got := internal.exchange(t, "udp", question("example.com", dns.TypeA).SetEdns0(1232, false)); !strings.Contains(fmt.Sprint(got.IsEdns0()), "no name server outside") {
		t.Errorf("the client is not told why: %v", got.IsEdns0())
	}
}

// TestLocalSizes asks for more addresses than fit.
func TestLocalSizes(t *testing.T) {
	var list []netip.Addr
	for i := range 300 {
		list = append(list, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	var targets []string
	for i := range 20 {
		targets = append(targets, fmt.Sprintf("target%d.with-a-name-that-is-rather-long", i))
	}
	records := []resolver.Record{{Name: "big", Addrs: list}}
	for _, name := range targets {
		records = append(records, resolver.Record{Name: name, Addrs: list[:9]})
	}
	names := resolver.NewNames(records, []resolver.Service{
		{Name: "one", Port: "p", Proto: "tcp", Number: 1, Targets: targets[:1]},
		{Name: "few", Port: "p", Proto: "tcp", Number: 1, Targets: targets[:5]},
		{Name: "all", Port: "p", Proto: "tcp", Number: 1, Targets: targets},
	}, nil)
	s := serve(t, resolver.Options{View: fixed(resolver.NewView(names))})
	for _, test := range []struct {
		name    string
		kind    uint16
		edns    uint16 // 0 is without
		network string
		size    int // the most
		answers int // so many
		tc      bool
	}{
		{"big", dns.TypeA, 0, "udp", 512, (512 - 12 - 9) / 16, true},
		{"big", dns.TypeA, 100, "udp", 512, (512 - 12 - 9 - 11) / 16, true}, // less than 512 is 512
		{"big", dns.TypeA, 600, "udp", 600, (600 - 12 - 9 - 11) / 16, true},
		{"big", dns.TypeA, 4096, "udp", 1232, (1232 - 12 - 9 - 11) / 16, true},
		{"big", dns.TypeA, 0, "tcp", 65535, 300, false},
		{"big", dns.TypeA, 512, "tcp", 65535, 300, false},
		{"_p._tcp.one", dns.TypeSRV, 0, "udp", 512, 1, false},
		{"_p._tcp.few", dns.TypeSRV, 0, "udp", 512, 5, false}, // without all addresses
		{"_p._tcp.all", dns.TypeSRV, 0, "udp", 512, 8, true},
		{"_p._tcp.all", dns.TypeSRV, 0, "tcp", 65535, 20, false},
	} {
		m := question(test.name, test.kind)
		if test.edns > 0 {
			m.SetEdns0(test.edns, false)
		}
		got := s.exchange(t, test.network, m)
		got.Compress = true
		if len(got.Answer) != test.answers || got.Truncated != test.tc || got.Len() > test.size || (got.IsEdns0() != nil) != (test.edns > 0) {
			t.Errorf("%s by %s with EDNS of %d: %d answers, TC %t, %d bytes, want %d, %t, at most %d",
				test.name, test.network, test.edns, len(got.Answer), got.Truncated, got.Len(), test.answers, test.tc, test.size)
		}
		if test.network == "tcp" && test.kind == dns.TypeSRV && len(got.Extra) != 9*len(got.Answer) {
			t.Errorf("%s: %d additional addresses, want all", test.name, len(got.Extra))
		}
	}
}

// TestMalformed sends bytes, and tells what comes back: nothing, or a header.
func TestMalformed(t *testing.T) {
	s := serve(t, resolver.Options{View: fixed(small())})
	pack := func(m *dns.Msg) []byte {
		m.Id = 0xABCD
		raw, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good := pack(question("web", dns.TypeA))
	plain := pack(question("web", dns.TypeA).SetEdns0(1232, false))
	with := func(raw []byte, at int, value ...byte) []byte {
		raw = bytes.Clone(raw)
		copy(raw[at:], value)
		return raw
	}
	option := append(with(plain, len(plain)-2, 0, 4), 0, 3, 0, 9) // longer than its record
	for _, test := range []struct {
		name string
		raw  []byte
		want string // "" for silence
	}{
		{"whole", good, "NOERROR"},
		{"empty", nil, ""},
		{"no header", good[:11], ""},
		{"an answer", with(good, 2, 0x80), ""},
		{"header only", with(good[:12], 4, 0, 0), "FORMERR"},
		{"no question", good[:12], "FORMERR"},
		{"two questions", with(append(bytes.Clone(good), good[12:]...), 4, 0, 2), "FORMERR"},
		{"cut name", good[:14], "FORMERR"},
		{"cut type", good[:len(good)-3], "FORMERR"},
		{"pointer to itself", with(good, 12, 0xC0, 12), "FORMERR"},
		{"pointer to the header", with(good, 12, 0xC0, 0), "FORMERR"},
		{"label of a kind unknown", with(good, 12, 0x43), "FORMERR"},
		{"more", append(bytes.Clone(good), 0), "FORMERR"},
		{"a record that is not there", with(good, 11, 1), "FORMERR"},
		{"two OPT records", with(append(bytes.Clone(plain), plain[len(good):]...), 11, 2), "FORMERR"},
		{"OPT of a name", with(append(bytes.Clone(good), append([]byte{1, 'a'}, plain[len(good):]...)...), 11, 1), "FORMERR"},
		{"OPT as an answer", with(plain, 6, 0, 1, 0, 0, 0, 0), "FORMERR"},
		{"option cut", option, "FORMERR"},
		{"option without length", append(with(plain, len(plain)-2, 0, 2), 0, 3), "FORMERR"},
		{"too long", make([]byte, 5000), "FORMERR"},
		{"name too long", append(append(bytes.Clone(good[:12]), bytes.Repeat(append([]byte{9}, "abcdefghi"...), 26)...), 0, 0, 1, 0, 1), "FORMERR"},
	} {
		wait := patience
		if test.want == "" {
			wait = 50 * time.Millisecond
		}
		raw := s.raw(t, test.raw, wait)
		if raw == nil {
			if test.want != "" {
				t.Errorf("%s: no answer", test.name)
			}
			continue
		}
		got := new(dns.Msg)
		if err := got.Unpack(raw); err != nil {
			t.Errorf("%s: answer %x: %v", test.name, raw, err)
		}
		wantID := uint16(0xABCD)
		if test.name == "too long" {
			wantID = 0
		}
		if dns.RcodeToString[got.Rcode] != test.want || got.Id != wantID || !got.Response {
			t.Errorf("%s: got %v, want %q", test.name, got, test.want)
		}
	}
	if got := s.Statistics(); got.Malformed != 20 || got.Local != 1 {
		t.Errorf("statistics %+v", got)
	}
}

// TestLocalAnswersAreLookups compares each answer with what the view says.
func TestLocalAnswersAreLookups(t *testing.T) {
	view := resolver.NewView(nil, many("one", 50), many("two", 50))
	s := serve(t, resolver.Options{View: fixed(view)})
	for i := range 50 {
		name := fmt.Sprintf("container%d.two", i)
		want, _ := view.Lookup(name)
		got := s.ask(t, name, dns.TypeA)
		if len(got.Answer) != len(want) || !slices.Equal(got.Answer[0].(*dns.A).A.To4(), want[0].AsSlice()) {
			t.Errorf("%s: %v, want %v", name, got.Answer, want)
		}
	}
}
