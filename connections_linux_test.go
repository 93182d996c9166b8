package libnetwork_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// asker is a client that has one UDP socket for its whole life.
type asker struct{ conn net.Conn }

func newAsker(t testing.TB, from, address string) asker {
	t.Helper()
	var a asker
	err := kerneltest.Do(from, func() (err error) {
		a.conn, err = net.Dial("udp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.conn.Close() })
	return a
}

// drain throws away what has been answered up to now.
func (a asker) drain() {
	for err := error(nil); err == nil; {
		_ = a.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err = a.conn.Read(make([]byte, 128))
	}
}

// ask sends, until the limit, again and again, and returns the last answer to what it sent
// last.
func (a asker) ask(limit time.Duration, wanted func(answer string) bool) string {
	answer, buffer := "", make([]byte, 128)
	for end := time.Now().Add(limit); time.Now().Before(end); {
		_, _ = a.conn.Write([]byte("?")) // refused for the last one, perhaps
		_ = a.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := a.conn.Read(buffer); err == nil {
			if answer = string(buffer[:n]); wanted(answer) {
				break
			}
		}
	}
	return answer
}

func (a asker) want(t testing.TB, name string) {
	t.Helper()
	from := func(answer string) bool { return strings.HasPrefix(answer, name+" ") }
	if got := a.ask(time.Second, from); !from(got) {
		t.Errorf("%s: within a second the last answer was %q, want one from %q", a.conn.RemoteAddr(), got, name)
	}
}

// Clients of a service that sends by UDP keep their sockets while it is started, moved to
// another container, and started again, and never stop to ask: the kernel's connection
// stays the same for them, and must not lead to where the service was.
func TestUDPClientsFollow(t *testing.T) {
	for _, b := range backends() {
		l := newLan(t)
		b.prepare(t, l)
		// Without announcements a neighbour that is asked for already is found after a
		// second only, whatever the packet filter does.
		c := l.open(t, config.OptionFirewallBackend(b.name), config.OptionAnnounce(3, 100*time.Millisecond))
		n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", "", libnetwork.NetworkOptionEnableIPv6(true)))
		askers := []asker{
			newAsker(t, l.Neighbor, kerneltest.HostIPv4+":8080"), newAsker(t, l.Remote, kerneltest.HostIPv4+":8080"),
			newAsker(t, l.Neighbor, "["+kerneltest.HostIPv6+"]:8080"), newAsker(t, l.Host, "127.0.0.1:8080"),
		}
		for _, a := range askers {
			a.ask(100*time.Millisecond, func(string) bool { return true }) // before there is anything
		}
		for _, name := range []string{"one", "two"} {
			sb, ep := published(t, c, n, name, udp(80, 8080))
			for _, a := range askers {
				a.want(t, name)
			}
			ok(t, ep.Leave(sb))
			for _, a := range askers {
				a.drain()
				if got := a.ask(100*time.Millisecond, func(string) bool { return true }); got != "" {
					t.Errorf("%+v: %s: nobody is there, but the answer is %q", b, a.conn.RemoteAddr(), got)
				}
			}
			ok(t, ep.Join(sb))
			for _, a := range askers {
				a.want(t, name)
			}
			ok(t, sb.Delete())
		}
		empty(t, c)
	}
}

// What the kernel knows of connections to a port is forgotten with the port, and what it
// knows of a container with that; nothing else is.
func TestConnectionsGoWithThePort(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	stays, _ := published(t, c, n, "stays", tcp(7, 7007))
	echo(t, stays.Key(), 7)
	kept := talk(t, l.Neighbor, kerneltest.HostIPv4+":7007")
	kept.say(t, "before")
	goes, ep := published(t, c, n, "goes", tcp(7, 7008))
	echo(t, goes.Key(), 7)
	talk(t, l.Neighbor, kerneltest.HostIPv4+":7008").say(t, "before")
	echo(t, l.Remote, 7)
	talk(t, goes.Key(), kerneltest.RemoteIPv4+":7").say(t, "out")
	list := func() string { return run(t, l.Host, "conntrack", "--dump") }
	in, out := "dport=7008", "src="+address(ep).String()+" "
	if all := list(); !strings.Contains(all, in) || !strings.Contains(all, out) {
		t.Fatalf("the connections %q and %q are not in the table:\n%s", in, out, all)
	}
	ok(t, ep.Leave(goes))
	for end := time.Now().Add(soon); strings.Contains(list(), in) || strings.Contains(list(), out); {
		if time.Now().After(end) {
			t.Fatalf("the connection is still there:\n%s", list())
		}
	}
	kept.say(t, "after")
	empty(t, c)
}

// What a controller began to forget is forgotten when it has stopped, also if it has done
// nothing else.
func TestStopWaitsForForgetting(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	sb, _ := published(t, c, n, "web", tcp(7, 7007))
	echo(t, sb.Key(), 7)
	talk(t, l.Neighbor, kerneltest.HostIPv4+":7007").say(t, "before")
	c.Stop()
	c = l.open(t)
	ok(t, must[libnetwork.Sandbox](t)(c.SandboxByID(sb.ID())).Delete())
	c.Stop()
	if all := run(t, l.Host, "conntrack", "--dump"); strings.Contains(all, "dport=7007") {
		t.Errorf("the connection is still there:\n%s", all)
	}
	c = l.open(t)
	empty(t, c)
}
