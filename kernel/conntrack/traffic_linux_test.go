package conntrack_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/conntrack"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// world is a host on a LAN, with containers that answer with their names on port 53, and
// what is needed to publish ports.
type world struct {
	*scratch
	lan        *kerneltest.Lan
	containers map[string]string // name to namespace
}

// Addresses of containers begin with these and the name, which is a digit.
const (
	container4 = "172.18."
	container6 = "fd00:"
)

func newWorld(t testing.TB) *world {
	t.Helper()
	lan := kerneltest.NewLan(t)
	w := &world{scratch: inNamespace(t, lan.Host), lan: lan, containers: make(map[string]string)}
	run(t, lan.Host, "", "sysctl", "-q", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	for _, name := range []string{"1", "2"} {
		w.containers[name] = kerneltest.NewNamespace(t)
		v4, v6 := container4+name+".", container6+name+"::"
		w.ip(lan.Host,
			"link add c"+name+" type veth peer name eth0 netns "+w.containers[name],
			"addr add "+v4+"1/24 dev c"+name, "addr add "+v6+"1/64 dev c"+name+" nodad", "link set c"+name+" up")
		w.ip(w.containers[name],
			"addr add "+v4+"2/24 dev eth0", "addr add "+v6+"2/64 dev eth0 nodad", "link set eth0 up",
			"route add default via "+v4+"1", "route add default via "+v6+"1")
		kerneltest.Serve(t, w.containers[name], name, 53)
	}
	lan.Expose(t, netip.MustParsePrefix("172.18.0.0/16"))
	lan.Expose(t, netip.MustParsePrefix("fd00::/16"))
	// The kernel tracks connections as soon as a rule asks for their state.
	run(t, lan.Host, `table inet test {
		chain forward { type filter hook forward priority 0; ct state established accept; }
		chain prerouting { type nat hook prerouting priority -100; }
		chain output { type nat hook output priority -100; }
	}`, "nft", "-f", "-")
	return w
}

func (w *world) ip(namespace string, commands ...string) {
	w.t.Helper()
	for _, c := range commands {
		run(w.t, namespace, "", "ip", strings.Fields(c)...)
	}
}

// publish replaces what is published by rules such as "udp dport 53 dnat ip to
// 172.18.1.2:53".
func (w *world) publish(rules ...string) {
	w.t.Helper()
	script := "flush chain inet test prerouting; flush chain inet test output\n"
	for _, rule := range rules {
		script += "add rule inet test prerouting fib daddr type local " + rule + "\nadd rule inet test output fib daddr type local " + rule + "\n"
	}
	run(w.t, w.lan.Host, script, "nft", "-f", "-")
}

// client is one UDP socket, whose address and port stay the same.
type client struct {
	t    testing.TB
	conn net.Conn
}

func (w *world) client(namespace, address string) *client {
	w.t.Helper()
	c := &client{t: w.t}
	check(w.t, kerneltest.Do(namespace, func() (err error) {
		c.conn, err = net.Dial("udp", address)
		return err
	}))
	w.t.Cleanup(func() { check(w.t, c.conn.Close()) })
	return c
}

// ask returns who answers, or "nobody", which the host says by ICMP, or nothing if neither
// happens, as when neighbours are looked for.
func (c *client) ask() string {
	c.t.Helper()
	_, err := c.conn.Write([]byte("?"))
	if err == nil {
		check(c.t, c.conn.SetReadDeadline(time.Now().Add(250*time.Millisecond)))
		buffer := make([]byte, 64)
		var n int
		if n, err = c.conn.Read(buffer); err == nil {
			name, _, _ := strings.Cut(string(buffer[:n]), " ")
			return name
		}
	}
	if strings.Contains(err.Error(), "refused") {
		return "nobody"
	}
	return ""
}

// wants asks until it is answered by who is wanted: what is left of earlier answers does
// not count.
func (c *client) wants(who, when string) {
	c.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	got := c.ask()
	for got != who && time.Now().Before(deadline) {
		got = c.ask()
	}
	if got != who {
		c.t.Errorf("%s: %q answered, want %q", when, got, who)
	}
}

// lines returns those that the program conntrack shows of what the words are in.
func (w *world) lines(words ...string) (out []string) {
	w.t.Helper()
lines:
	for _, line := range strings.Split(strings.TrimSpace(w.list()), "\n") {
		for _, word := range words {
			if !strings.Contains(line+" ", " "+word+" ") {
				continue lines
			}
		}
		out = append(out, line)
	}
	return out
}

// TestClientFromBefore asks for a port, which is published then. One for each address of
// the host, and one for any.
func TestClientFromBefore(t *testing.T) {
	w := newWorld(t)
	local := func(a netip.Addr) bool { return a.String() == kerneltest.HostIPv4 || a.String() == kerneltest.HostIPv6 }
	for _, test := range []struct{ address, publication, rule string }{
		{kerneltest.HostIPv4 + ":5300", "udp 0.0.0.0:5300 to 172.18.1.2:53", "udp dport 5300 dnat ip to 172.18.1.2:53"},
		{kerneltest.HostIPv4 + ":5301", "udp 192.0.2.1:5301 to 172.18.1.2:53", "udp dport 5301 dnat ip to 172.18.1.2:53"},
		{"[" + kerneltest.HostIPv6 + "]:5302", "udp [::]:5302 to [fd00:1::2]:53", "udp dport 5302 dnat ip6 to [fd00:1::2]:53"},
	} {
		before, neighbour := w.client(w.lan.Neighbor, test.address), w.client(w.lan.Remote, test.address)
		through := w.client(w.containers["2"], kerneltest.RemoteIPv4+test.address[strings.LastIndex(test.address, ":"):])
		before.wants("nobody", "before")
		through.wants("nobody", "through the host")
		w.publish(test.rule)
		neighbour.wants("1", "a client that begins now")
		before.wants("nobody", "published, but not forgotten")
		n, err := w.conn.Added(t.Context(), []conntrack.Publication{parse(t, test.publication)}, local)
		if n != 1 || err != nil {
			t.Errorf("deleted %d, error %v\n%s", n, err, w.list())
		}
		before.wants("1", "forgotten")
		neighbour.wants("1", "who came right")
		// Those that are right are kept, and those that pass through.
		n, err = w.conn.Added(t.Context(), []conntrack.Publication{parse(t, test.publication)}, local)
		if n != 0 || err != nil {
			t.Errorf("deleted %d that are right, error %v", n, err)
		}
		if got := w.lines("src=172.18.2.2", "dst="+kerneltest.RemoteIPv4); len(got) == 0 {
			t.Errorf("what passes through is forgotten:\n%s", w.list())
		}
		w.publish()
	}
}

// TestPortMoves is published by one container, and then by another.
func TestPortMoves(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ address, publication, container, rule string }{
		{kerneltest.HostIPv4 + ":5300", "udp 0.0.0.0:5300 to 172.18.1.2:53", "172.18.1.2:53", "udp dport { 5300, 5301 } dnat ip to 172.18.%s.2:53"},
		{"[" + kerneltest.HostIPv6 + "]:5300", "udp [2001:db8:1::1]:5300 to [fd00:1::2]:53", "[fd00:1::2]:53", "udp dport { 5300, 5301 } dnat ip6 to [fd00:%s::2]:53"},
	} {
		w.publish(fmt.Sprintf(test.rule, "1"))
		moves, direct := w.client(w.lan.Neighbor, test.address), w.client(w.lan.Neighbor, test.container)
		stays := w.client(w.lan.Neighbor, strings.Replace(test.address, "5300", "5301", 1))
		host := w.client(w.lan.Host, test.address)
		for _, c := range []*client{moves, stays, direct, host} {
			c.wants("1", "published")
		}
		w.publish(fmt.Sprintf(test.rule, "2"))
		moves.wants("1", "moved, but not forgotten")
		// The client, and the host itself.
		if n, err := w.conn.Removed(t.Context(), []conntrack.Publication{parse(t, test.publication)}); n != 2 || err != nil {
			t.Errorf("deleted %d, error %v\n%s", n, err, w.list())
		}
		moves.wants("2", "forgotten")
		host.wants("2", "forgotten, from the host itself")
		stays.wants("1", "another port of the same container")
		direct.wants("1", "to the container itself")
	}
}

// TestTCP is cut off, that to the other port goes on.
func TestTCP(t *testing.T) {
	w := newWorld(t)
	w.publish("tcp dport { 5300, 5301 } dnat ip to 172.18.1.2:53")
	for _, port := range []string{"5300", "5301"} {
		if _, err := kerneltest.Ask(w.lan.Neighbor, "tcp", kerneltest.HostIPv4+":"+port, 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kerneltest.Ask(w.lan.Neighbor, "tcp", "172.18.1.2:53", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := w.conn.Removed(t.Context(), []conntrack.Publication{parse(t, "tcp 0.0.0.0:5300 to 172.18.1.2:53")}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		words string
		want  int
	}{{"dst=192.0.2.1 dport=5300", 0}, {"dst=192.0.2.1 dport=5301", 1}, {"dst=172.18.1.2 dport=53", 1}} {
		if got := w.lines(strings.Fields(c.words)...); len(got) != c.want {
			t.Errorf("%s: %d entries, want %d\n%s", c.words, len(got), c.want, w.list())
		}
	}
}

// TestContainerLeaves with connections to it and from it.
func TestContainerLeaves(t *testing.T) {
	w := newWorld(t)
	w.publish("udp dport 5300 dnat ip to 172.18.1.2:53", "udp dport 5301 dnat ip to 172.18.2.2:53")
	for _, name := range []string{"1", "2"} {
		w.client(w.containers[name], kerneltest.NeighborIPv4+":9").wants("nobody", "out")
		w.client(w.containers[name], "["+kerneltest.NeighborIPv6+"]:9").wants("nobody", "out")
		w.client(w.lan.Neighbor, container4+name+".2:53").wants(name, "in")
	}
	w.client(w.lan.Neighbor, kerneltest.HostIPv4+":5300").wants("1", "published")
	w.client(w.lan.Neighbor, kerneltest.HostIPv4+":5301").wants("2", "published")
	if _, err := released("172.18.1.2", "fd00:1::2")(t.Context(), w.conn); err != nil {
		t.Error(err)
	}
	for _, address := range []string{"172.18.1.2", "fd00:1::2"} {
		if got := w.lines("src=" + address); len(got) != 0 {
			t.Errorf("left:\n%s", strings.Join(got, "\n"))
		}
	}
	if got := append(w.lines("src=172.18.2.2"), w.lines("src=fd00:2::2")...); len(got) != 4 {
		t.Errorf("of the other container are left:\n%s", strings.Join(got, "\n"))
	}
}

// TestSCTP has an association begin at each of two ports, whose destination port the
// kernel translates too.
func TestSCTP(t *testing.T) {
	w := newWorld(t)
	w.publish("sctp dport { 3868, 3869 } dnat ip to 172.18.1.2:1234")
	for port := uint16(3868); port <= 3869; port++ {
		check(t, kerneltest.Do(w.lan.Neighbor, func() error { return beginSCTP(netip.MustParseAddr(kerneltest.HostIPv4), port) }))
	}
	deadline := time.Now().Add(5 * time.Second)
	for len(w.lines("src=172.18.1.2", "sport=1234")) < 2 {
		if time.Now().After(deadline) {
			t.Fatalf("the kernel did not translate:\n%s", w.list())
		}
		time.Sleep(time.Millisecond)
	}
	n, err := removed(parse(t, "sctp 0.0.0.0:3868 to 172.18.1.2:1234"))(t.Context(), w.conn)
	if n != 1 || err != nil || len(w.lines("dport=3868")) != 0 || len(w.lines("dport=3869")) != 1 {
		t.Errorf("deleted %d, error %v, left:\n%s", n, err, w.list())
	}
}

// beginSCTP sends an INIT chunk (RFC 9260 section 3.3.2).
func beginSCTP(to netip.Addr, port uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing to lose
	packet := binary.BigEndian.AppendUint16(nil, 5000)
	packet = binary.BigEndian.AppendUint16(packet, port)
	packet = append(packet, make([]byte, 8)...)                             // verification tag, checksum
	packet = append(packet, 1, 0, 0, 20)                                    // INIT, its length
	packet = append(packet, 0, 0, 0, 7, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1) // tag, window, streams, sequence
	binary.LittleEndian.PutUint32(packet[8:], crc32.Checksum(packet, crc32.MakeTable(crc32.Castagnoli)))
	return os.NewSyscallError("sendto", unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: to.As4()}))
}

// TestAmongThousandsWithTraffic forgets ports while others are in use and the table
// changes all the time.
func TestAmongThousandsWithTraffic(t *testing.T) {
	w := newWorld(t)
	w.publish("udp dport 5300 dnat ip to 172.18.1.2:53", "udp dport 5301 dnat ip to 172.18.2.2:53")
	const ports, clients = 60, 3000
	var entries []string
	for i := range clients {
		entries = append(entries, fmt.Sprintf("udp 10.0.%d.%d:1000 to 192.0.2.1:%d at 172.18.1.2:%d", i/250, i%250, 1+i%ports, 1+i%ports))
	}
	w.insert(entries...)
	stays := w.client(w.lan.Neighbor, kerneltest.HostIPv4+":5300")
	stays.wants("1", "before")
	var stop atomic.Bool
	done := make(chan int)
	for port, who := range map[int]string{5300: "1", 5301: "2"} {
		go func() {
			asked := 0
			for ; !stop.Load(); asked++ {
				answer, err := kerneltest.Ask(w.lan.Neighbor, "udp", fmt.Sprint(kerneltest.HostIPv4, ":", port), 5*time.Second)
				if err != nil || !strings.HasPrefix(answer, who) {
					t.Errorf("port %d: %q, %v", port, answer, err)
				}
			}
			done <- asked
		}()
	}
	for port := 1; port <= ports/2; port++ {
		w.wire.Age = []conntrack.Age{conntrack.Present, conntrack.Old, conntrack.Ancient}[port%3]
		if _, err := removed(parse(t, fmt.Sprintf("udp 0.0.0.0:%d to 172.18.1.2:%d", port, port)))(t.Context(), w.conn); err != nil {
			t.Error(err)
		}
		if port%10 == 0 {
			stays.wants("1", "meanwhile")
		}
	}
	stop.Store(true)
	if one, other := <-done, <-done; one == 0 || other == 0 {
		t.Errorf("%d and %d clients came meanwhile", one, other)
	}
	left := w.marks()
	for i := range clients {
		if want := i%ports >= ports/2; left[i+1] != want {
			t.Fatalf("%s: is there: %v, want %v", entries[i], left[i+1], want)
		}
	}
}
