package libnetwork_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// run runs a program in a namespace and returns what it prints.
func run(t testing.TB, namespace, name string, args ...string) string {
	t.Helper()
	var out []byte
	err := kerneltest.Do(namespace, func() (err error) {
		out, err = exec.Command(name, args...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// echo answers lines on a port of a namespace until the test ends.
func echo(t testing.TB, namespace string, port uint16) {
	t.Helper()
	var listener net.Listener
	err := kerneltest.Do(namespace, func() (err error) {
		listener, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					if _, err := fmt.Fprintln(conn, lines.Text()); err != nil {
						return
					}
				}
			}()
		}
	}()
}

// talker is a connection that is asked something now and then.
type talker struct {
	conn  net.Conn
	lines *bufio.Scanner
}

func talk(t testing.TB, from, address string) *talker {
	t.Helper()
	var conn net.Conn
	err := kerneltest.Do(from, func() (err error) {
		conn, err = net.DialTimeout("tcp", address, soon)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &talker{conn, bufio.NewScanner(conn)}
}

func (c *talker) say(t testing.TB, text string) {
	t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(soon))
	if _, err := fmt.Fprintln(c.conn, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !c.lines.Scan() || c.lines.Text() != text {
		t.Fatalf("%s: answer %q, error %v", text, c.lines.Text(), c.lines.Err())
	}
}

// TestForeignFlush wants what is ours in the packet filter back within a second after
// somebody else has removed it, whatever they removed, and open connections to go on.
func TestForeignFlush(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	sb, _ := published(t, c, n, "web", tcp(80, 8080), tcp(7, 7007))
	echo(t, sb.Key(), 7)
	echo(t, l.Remote, 7)
	in, out := talk(t, l.Neighbor, kerneltest.HostIPv4+":7007"), talk(t, sb.Key(), kerneltest.RemoteIPv4+":7")
	in.say(t, "before")
	out.say(t, "before")

	table := strings.TrimSpace(strings.TrimPrefix(run(t, l.Host, "nft", "list", "tables"), "table "))
	rules := func() string { return run(t, l.Host, "nft", "list ruleset") }
	want := rules()
	for _, damage := range []string{
		"flush ruleset",
		"delete table " + table,
		"flush table " + table,
		"flush chain " + table + " prerouting",
		"flush map " + table + " anyport4",
	} {
		run(t, l.Host, "nft", damage)
		begin := time.Now()
		for time.Since(begin) < time.Second {
			if rules() == want {
				break
			}
		}
		t.Logf("%s: mended after %v", damage, time.Since(begin).Round(time.Millisecond))
		if got := rules(); got != want {
			t.Errorf("%s: after a second there is\n%s\nwant\n%s", damage, got, want)
		}
		in.say(t, damage)
		out.say(t, damage)
		wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "web "+kerneltest.NeighborIPv4)
	}
	if err := errors.Join(sb.Delete(), n.Delete()); err != nil {
		t.Fatal(err)
	}
}
