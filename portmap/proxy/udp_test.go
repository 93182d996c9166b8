package proxy_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/portmap/proxy"
)

// echoUDP answers datagrams with who sent them, and what.
func echoUDP(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(append([]byte(from.String()+" "), buffer[:n]...), from)
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return conn
}

func addressOf(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// startUDP starts a proxy and returns the port that it listens on.
func startUDP(t testing.TB, network string, at net.IP, target netip.AddrPort, o proxy.Options) (*proxy.Proxy, uint16) {
	t.Helper()
	conn, err := net.ListenUDP(network, &net.UDPAddr{IP: at})
	if err != nil {
		t.Fatal(err)
	}
	p := proxy.Start(proxy.Listener{UDP: conn}, target, o)
	t.Cleanup(func() { _ = p.Close() })
	return p, addressOf(conn).Port()
}

// ask sends a datagram until it is answered, and returns the answer: UDP may lose both.
func ask(t testing.TB, conn net.Conn, question string) (from, said string) {
	t.Helper()
	buffer := make([]byte, 1<<16)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		_, _ = conn.Write([]byte(question))
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := conn.Read(buffer)
		if err != nil {
			continue
		}
		from, said, _ = strings.Cut(string(buffer[:n]), " ")
		return from, said
	}
	t.Fatalf("%s -> %s: no answer within %v", conn.LocalAddr(), conn.RemoteAddr(), patience)
	return "", ""
}

func TestUDPClientsAreTold(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0")
	p, port := startUDP(t, "udp4", net.IPv4(127, 0, 0, 1), addressOf(target), proxy.Options{})
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
	one, two := dial(t, "udp", address), dial(t, "udp", address)
	from1, said1 := ask(t, one, "first")
	from2, said2 := ask(t, two, "second")
	again, _ := ask(t, one, "third")
	if said1 != "first" || said2 != "second" {
		t.Errorf("answers %q and %q", said1, said2)
	}
	if from1 == from2 || again != from1 {
		t.Errorf("the target saw %s, %s and for the first again %s: want a port per client", from1, from2, again)
	}
	if got := p.Statistics(); got.Open != 2 || got.Total != 2 {
		t.Errorf("statistics %+v, want two clients", got)
	}
}

// TestUDPAnswersFromTheAddressUsed asks at an address that is not the one which the route
// back prefers; a connected socket takes no answer from another.
func TestUDPAnswersFromTheAddressUsed(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0")
	for _, test := range []struct {
		network string
		at      net.IP
		ask     string
	}{
		{"udp4", net.IPv4zero, "127.0.0.2"},
		{"udp4", net.IPv4zero, "127.0.0.1"},
		{"udp6", net.IPv6unspecified, "::1"},
		{"udp", net.IPv6unspecified, "::1"},
		{"udp", net.IPv6unspecified, "127.0.0.1"}, // as ::ffff:127.0.0.1
	} {
		_, port := startUDP(t, test.network, test.at, addressOf(target), proxy.Options{})
		conn := dial(t, "udp", netip.AddrPortFrom(netip.MustParseAddr(test.ask), port).String())
		if _, said := ask(t, conn, "hello"); said != "hello" {
			t.Errorf("%s of %s at %s: answer %q", test.ask, test.network, test.at, said)
		}
	}
}

func TestUDPLargestDatagram(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0")
	_, port := startUDP(t, "udp4", net.IPv4(127, 0, 0, 1), addressOf(target), proxy.Options{})
	conn := dial(t, "udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	// The answer names the sender, and must fit in 65507 bytes too.
	sent := string(bytes.Repeat([]byte("x"), 65507-len("127.0.0.1:65535 ")))
	if _, said := ask(t, conn, sent); said != sent {
		t.Errorf("got %d bytes, want %d", len(said), len(sent))
	}
}

// TestUDPTargetRestarts keeps one client socket while the target goes and comes: the
// datagram that nobody takes is answered by an ICMP error, which must end nothing.
func TestUDPTargetRestarts(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0")
	p, port := startUDP(t, "udp4", net.IPv4(127, 0, 0, 1), addressOf(target), proxy.Options{})
	conn := dial(t, "udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	before, _ := ask(t, conn, "first")
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := conn.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		// What the proxy does with the error of one datagram counts for the next.
		time.Sleep(5 * time.Millisecond)
	}
	echoUDP(t, addressOf(target).String())
	if after, said := ask(t, conn, "second"); said != "second" || after != before {
		t.Errorf("answer %q to %s, before to %s", said, after, before)
	}
	if got := p.Statistics(); got.Total != 1 {
		t.Errorf("statistics %+v, want one client", got)
	}
}

func TestUDPClientsGoWhenIdle(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0")
	const idle = 100 * time.Millisecond
	p, port := startUDP(t, "udp4", net.IPv4(127, 0, 0, 1), addressOf(target), proxy.Options{IdleUDP: idle})
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
	conn := dial(t, "udp", address)
	first, _ := ask(t, conn, "first")
	for end := time.Now().Add(3 * idle); time.Now().Before(end); time.Sleep(idle / 10) {
		if again, _ := ask(t, conn, "more"); again != first {
			t.Fatalf("a client that speaks was forgotten: %s, before %s", again, first)
		}
	}
	eventually(t, "the client is forgotten", func() bool { return p.Statistics().Open == 0 })
	if _, said := ask(t, conn, "again"); said != "again" {
		t.Errorf("answer %q after it was forgotten", said)
	}
}

func TestUDPMostSilentClientGoes(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0")
	p, port := startUDP(t, "udp4", net.IPv4(127, 0, 0, 1), addressOf(target), proxy.Options{MaxUDPClients: 2})
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
	one, two, three := dial(t, "udp", address), dial(t, "udp", address), dial(t, "udp", address)
	first, _ := ask(t, one, "a")
	second, _ := ask(t, two, "b")
	if again, _ := ask(t, one, "c"); again != first {
		t.Errorf("the first client is seen as %s, before %s", again, first)
	}
	ask(t, three, "d") // now the second must go
	if again, _ := ask(t, one, "e"); again != first {
		t.Errorf("the client that spoke last was given up")
	}
	if again, _ := ask(t, two, "f"); again == second {
		t.Errorf("the client that was silent for longest was kept")
	}
	if got := p.Statistics(); got.Open != 2 || got.Total != 4 {
		t.Errorf("statistics %+v, want 2 of 4 clients", got)
	}
}

func TestUDPClose(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0")
	p, port := startUDP(t, "udp4", net.IPv4(127, 0, 0, 1), addressOf(target), proxy.Options{})
	at := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}
	conn := dial(t, "udp", at.String())
	ask(t, conn, "a")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := p.Statistics().Open; got != 0 {
		t.Errorf("%d clients after Close", got)
	}
	again, err := net.ListenUDP("udp4", at)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = again.Close()
}

func BenchmarkUDP(b *testing.B) {
	target := echoUDP(b, "127.0.0.1:0")
	_, port := startUDP(b, "udp4", net.IPv4(127, 0, 0, 1), addressOf(target), proxy.Options{})
	conn := dial(b, "udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String())
	for b.Loop() {
		ask(b, conn, "question")
	}
}
