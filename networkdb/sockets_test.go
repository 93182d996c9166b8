package networkdb

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestSockets(t *testing.T) {
	a, err := listen("127.77.6.1", 17946)
	if err != nil {
		t.Fatal(err)
	}
	b, err := listen("127.77.6.2", 17946)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.WriteTo([]byte("packet"), "127.77.6.2:17946"); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-b.PacketCh():
		if string(p.Buf) != "packet" || p.From.String() != "127.77.6.1:17946" || cap(p.Buf) > 64 {
			t.Errorf("%q of %d bytes from %s", p.Buf, cap(p.Buf), p.From)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no packet")
	}
	near, err := a.DialTimeout("127.77.6.2:17946", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(near, "stream"); err != nil {
		t.Fatal(err)
	}
	if err := near.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case far := <-b.StreamCh():
		if got, err := io.ReadAll(far); err != nil || string(got) != "stream" {
			t.Errorf("%q, %v", got, err)
		}
		_ = far.Close()
	case <-time.After(5 * time.Second):
		t.Fatal("no stream")
	}
	if _, err := a.WriteTo(nil, "somewhere:1"); err == nil {
		t.Error("a name was taken for an address")
	}
	// Nobody reads any more: what is under way must not hold up the end.
	if _, err := a.WriteTo([]byte("late"), "127.77.6.2:17946"); err != nil {
		t.Fatal(err)
	}
	late, err := a.DialTimeout("127.77.6.2:17946", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close() //nolint:errcheck // it is of no use
	for _, s := range []*sockets{a, b, a} {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.DialTimeout("127.77.6.2:17946", time.Minute); err == nil {
		t.Error("a stream begins after the end")
	}
}

func TestAddressToAdvertise(t *testing.T) {
	s, err := listen("127.77.6.3", 17946)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown() //nolint:errcheck // nothing was sent
	for given, want := range map[string]string{"": "127.77.6.3", "192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1"} {
		if ip, port, err := s.FinalAdvertiseAddr(given, 99); err != nil || ip.String() != want || port != 99 {
			t.Errorf("%q: %s, %d, %v", given, ip, port, err)
		}
	}
	prefix := func(text string) net.Addr {
		ip, n, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		n.IP = ip
		return n
	}
	all := []net.Addr{prefix("127.0.0.1/8"), prefix("198.51.100.1/24"), prefix("fe80::1/64"), prefix("fd00::1/64"), prefix("10.1.2.3/8")}
	for _, c := range []struct {
		count int
		ipv6  bool
		want  string
	}{{5, false, "10.1.2.3"}, {5, true, "10.1.2.3"}, {4, true, "fd00::1"}, {4, false, "<nil>"}, {0, true, "<nil>"}} {
		if got := privateAddress(all[:c.count], c.ipv6).String(); got != c.want {
			t.Errorf("of %d addresses: %s, want %s", c.count, got, c.want)
		}
	}
}
