package portmap_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/portmap"
)

const (
	tcp  = uint8(netstate.TCP)
	udp  = uint8(netstate.UDP)
	sctp = uint8(netstate.SCTP)
)

var (
	any4      = netip.IPv4Unspecified()
	any6      = netip.IPv6Unspecified()
	loopback  = netip.MustParseAddr("127.0.0.1")
	container = netip.MustParseAddr("172.17.0.2")
)

// fixture is a mapper on a host of its own.
type fixture struct {
	*portmap.Mapper
	path string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	path := kerneltest.NewNamespace(t)
	host, err := kernel.Open(kernel.Options{HostNamespace: path, Instance: "ports"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return fixture{portmap.New(host.Ports(), slog.New(slog.DiscardHandler)), path}
}

// reserve takes ports till the end of the test.
func (f fixture) reserve(holder string, groups ...[]cnm.PortBinding) (*portmap.Reservation, error) {
	return f.Reserve(context.Background(), portmap.Holder{ID: holder, Name: fmt.Sprintf("endpoint %q", holder)}, groups)
}

func (f fixture) must(t *testing.T, holder string, groups ...[]cnm.PortBinding) *portmap.Reservation {
	t.Helper()
	r, err := f.reserve(holder, groups...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	return r
}

// listen takes a port of the host as another program would.
func (f fixture) listen(t *testing.T, network, address string) error {
	t.Helper()
	return kerneltest.Do(f.path, func() error {
		if strings.HasPrefix(network, "udp") {
			conn, err := net.ListenPacket(network, address)
			if err == nil {
				t.Cleanup(func() { _ = conn.Close() })
			}
			return err
		}
		l, err := net.Listen(network, address)
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		return err
	})
}

func binding(protocol uint8, host netip.Addr, port uint16) cnm.PortBinding {
	return cnm.PortBinding{Protocol: protocol, Port: 80, IP: container, HostIP: host, HostPort: port}
}

func ports(r *portmap.Reservation) []uint16 {
	var out []uint16
	for _, b := range r.Bindings() {
		out = append(out, b.HostPort)
	}
	return out
}

// TestPortsAreHeld wants that nobody else on the host can take a port, that nothing is
// answered on it, and that it is free afterwards.
func TestPortsAreHeld(t *testing.T) {
	f := newFixture(t)
	r := f.must(t, "web", []cnm.PortBinding{binding(tcp, any4, 8080), binding(tcp, any6, 8080)}, []cnm.PortBinding{binding(udp, loopback, 53)})
	if got, want := ports(r), []uint16{8080, 8080, 53}; !slices.Equal(got, want) {
		t.Errorf("granted %d, want %d", got, want)
	}
	busy := [][2]string{{"tcp4", "0.0.0.0:8080"}, {"tcp4", "127.0.0.1:8080"}, {"tcp6", "[::]:8080"}, {"udp4", "127.0.0.1:53"}, {"udp4", "0.0.0.0:53"}}
	for _, b := range busy {
		if err := f.listen(t, b[0], b[1]); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s %s could be taken, error %v", b[0], b[1], err)
		}
	}
	if err := f.listen(t, "udp4", "0.0.0.0:8080"); err != nil {
		t.Errorf("the port is not reserved for UDP, but: %v", err)
	}
	if answer, err := kerneltest.Ask(f.path, "tcp", "127.0.0.1:8080", time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("answer %q, error %v, want a refusal", answer, err)
	}
	r.Release()
	r.Release()
	for _, b := range busy[2:4] {
		if err := f.listen(t, b[0], b[1]); err != nil {
			t.Errorf("%s %s is not free after Release: %v", b[0], b[1], err)
		}
	}
}

// TestConflictsNameTheHolder asks for ports that others have.
func TestConflictsNameTheHolder(t *testing.T) {
	f := newFixture(t)
	f.must(t, "web", []cnm.PortBinding{binding(tcp, any4, 80)})
	rangeOf := func(host netip.Addr, port uint16, count int) cnm.PortBinding {
		b := binding(tcp, host, port)
		b.PortEnd = b.Port + uint16(count-1)
		return b
	}
	f.must(t, "wide", []cnm.PortBinding{rangeOf(any4, 20000, 10000)})
	if err := f.listen(t, "tcp4", "127.0.0.1:81"); err != nil {
		t.Fatal(err)
	}
	if err := f.listen(t, "tcp", "[::]:1500"); err != nil { // of both families
		t.Fatal(err)
	}
	self := fmt.Sprintf("(pid %d)", os.Getpid())
	for name, test := range map[string]struct {
		asked cnm.PortBinding
		says  string
	}{
		"same":                 {binding(tcp, any4, 80), `in use by endpoint "web"`},
		"one address":          {binding(tcp, loopback, 80), `tcp port 127.0.0.1:80: in use by endpoint "web"`},
		"range over it":        {rangeOf(any4, 75, 10), `in use by endpoint "web"`},
		"in a wide range":      {binding(tcp, loopback, 29999), `in use by endpoint "wide"`},
		"wide over wide":       {rangeOf(any4, 29999, 1000), `in use by endpoint "wide"`},
		"another program":      {binding(tcp, any4, 81), self},
		"wide over a program":  {rangeOf(any4, 81, 300), "port 81 is in use"},
		"wide over both":       {rangeOf(any4, 1400, 300), "port 1500 is in use"},
		"range over a program": {rangeOf(any4, 81, 3), self},
	} {
		r, err := f.reserve("late", []cnm.PortBinding{test.asked})
		if !errors.Is(err, cnm.Exists) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: error %v, want one that exists and says %q", name, err, test.says)
		}
		if err == nil {
			r.Release()
		}
	}
	for name, free := range map[string]cnm.PortBinding{
		"other family":   binding(tcp, any6, 80),
		"other protocol": binding(udp, any4, 80),
		"behind":         binding(tcp, any4, 30000),
	} {
		if r, err := f.reserve("late", []cnm.PortBinding{free}); err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			r.Release()
		}
	}
}

// TestAllOrNothing wants that a request of which the last part fails holds nothing.
func TestAllOrNothing(t *testing.T) {
	f := newFixture(t)
	f.must(t, "web", []cnm.PortBinding{binding(tcp, any6, 80)})
	_, err := f.reserve("late", []cnm.PortBinding{binding(udp, any4, 53)}, []cnm.PortBinding{binding(tcp, any4, 80), binding(tcp, any6, 80)})
	if !errors.Is(err, cnm.Exists) {
		t.Fatalf("error %v, want that it exists", err)
	}
	f.must(t, "next", []cnm.PortBinding{binding(udp, any4, 53)}, []cnm.PortBinding{binding(tcp, any4, 80)})
	if _, err := f.reserve("late", []cnm.PortBinding{binding(tcp, netip.MustParseAddr("203.0.113.7"), 81)}); !errors.Is(err, cnm.Invalid) {
		t.Errorf("an address that is not the host's: %v", err)
	}
}

// TestRangeToChooseFrom wants the first free port of those that are given.
func TestRangeToChooseFrom(t *testing.T) {
	f := newFixture(t)
	asked := binding(tcp, any4, 9000)
	asked.HostPortEnd = 9002
	for i, want := range []uint16{9000, 9001, 9002} {
		if got := ports(f.must(t, fmt.Sprint("web", i), []cnm.PortBinding{asked})); got[0] != want {
			t.Errorf("granted %d, want %d", got, want)
		}
	}
	_, err := f.reserve("late", []cnm.PortBinding{asked})
	if !errors.Is(err, cnm.Exhausted) || !strings.Contains(err.Error(), "from 9000 to 9002") {
		t.Errorf("error %v, want that 9000 to 9002 are exhausted", err)
	}
}

// TestDynamicPorts wants ports of the host's own range, the same for both families, and
// none that is reserved.
func TestDynamicPorts(t *testing.T) {
	f := newFixture(t)
	set := func(key, value string) {
		t.Helper()
		err := kerneltest.Do(f.path, func() error {
			return os.WriteFile("/proc/sys/net/ipv4/"+key, []byte(value), 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	set("ip_local_port_range", "40000 40009")
	set("ip_local_reserved_ports", "40002-40003,40007")
	if err := f.listen(t, "tcp6", "[::]:40001"); err != nil {
		t.Fatal(err)
	}
	both := []cnm.PortBinding{binding(tcp, any4, 0), binding(tcp, any6, 0)}
	var got []uint16
	for i := range 6 {
		granted := ports(f.must(t, fmt.Sprint("web", i), both))
		if granted[0] != granted[1] {
			t.Errorf("granted %d, want one for both families", granted)
		}
		got = append(got, granted[0])
	}
	if want := []uint16{40000, 40004, 40005, 40006, 40008, 40009}; !slices.Equal(got, want) {
		t.Errorf("granted %d, want %d", got, want)
	}
	if _, err := f.reserve("late", both); !errors.Is(err, cnm.Exhausted) {
		t.Errorf("error %v, want that all are exhausted", err)
	}
	row := binding(udp, any4, 0)
	row.PortEnd = row.Port + 2
	if got := ports(f.must(t, "row", []cnm.PortBinding{row})); got[0] != 40004 {
		t.Errorf("granted three in a row from %d, want 40004: 40002, 40003 and 40007 are reserved", got)
	}
}

// TestReleasedPortsRest wants that a port which was given up is not the next one granted.
func TestReleasedPortsRest(t *testing.T) {
	f := newFixture(t)
	dynamic := []cnm.PortBinding{binding(tcp, any4, 0)}
	first := f.must(t, "one", dynamic)
	first.Release()
	if second := f.must(t, "two", dynamic); ports(second)[0] == ports(first)[0] {
		t.Errorf("port %d was granted again at once", ports(first)[0])
	}
}

// TestHandOver moves ports from one reservation to the next, without a moment in which
// they are free.
func TestHandOver(t *testing.T) {
	f := newFixture(t)
	asked := []cnm.PortBinding{binding(tcp, any4, 80)}
	old := f.must(t, "sandbox", asked)
	fresh := f.must(t, "sandbox", asked)
	old.Release()
	if err := f.listen(t, "tcp4", "0.0.0.0:80"); err == nil {
		t.Error("the port was free after the first of two reservations was released")
	}
	fresh.Release()
	if err := f.listen(t, "tcp4", "0.0.0.0:80"); err != nil {
		t.Error(err)
	}
}

// TestWithoutSockets reserves ports of a protocol that the kernel may lack.
func TestWithoutSockets(t *testing.T) {
	f := newFixture(t)
	f.must(t, "one", []cnm.PortBinding{binding(sctp, any4, 80)})
	if _, err := f.reserve("two", []cnm.PortBinding{binding(sctp, any4, 80)}); !errors.Is(err, cnm.Exists) {
		t.Errorf("error %v, want that it exists", err)
	}
	// What takes no port of the host needs none.
	f.must(t, "routed", []cnm.PortBinding{{Protocol: tcp, Port: 80, IP: container}})
}

// TestServe wants that ports with a proxy answer from Serve on, also when they are handed
// over, and that the others never do.
func TestServe(t *testing.T) {
	f := newFixture(t)
	kerneltest.Serve(t, f.path, "target", 9999)
	asked := func(protocol uint8) []cnm.PortBinding {
		b := cnm.PortBinding{Protocol: protocol, Port: 9999, IP: loopback, HostIP: any4, HostPort: 80, Proxy: true}
		b6 := b
		b6.HostIP = any6
		return []cnm.PortBinding{b, b6}
	}
	check := func(answers bool) {
		t.Helper()
		for _, network := range []string{"tcp", "udp"} {
			for _, address := range []string{"127.0.0.1:80", "[::1]:80"} {
				answer, err := kerneltest.Ask(f.path, network, address, 500*time.Millisecond)
				if answers && answer != "target 127.0.0.1" || !answers && err == nil {
					t.Errorf("%s to %s: %q, error %v", network, address, answer, err)
				}
			}
		}
	}
	r := f.must(t, "sandbox", asked(tcp), asked(udp))
	check(false)
	if err := r.Serve(); err != nil {
		t.Fatal(err)
	}
	check(true)
	next := f.must(t, "sandbox", asked(tcp), asked(udp))
	if err := next.Serve(); err != nil {
		t.Fatal(err)
	}
	r.Release()
	check(true)
	next.Release()
	check(false)
}
