package libnetwork_test

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
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

// damages are what somebody else may do to the packet filter, as command lines; TABLE
// stands for our table of nftables, PREFIX for what our chains of iptables start with.
func damages(backend string) []string {
	if backend == config.FirewallNFTables {
		return []string{
			"nft flush ruleset", "nft delete table TABLE", "nft flush table TABLE",
			"nft flush chain TABLE prerouting", "nft flush map TABLE anyport4",
		}
	}
	program := backend
	if backend == config.FirewallIPTablesNFT {
		program = "iptables-nft"
	}
	return []string{
		program + " --flush", program + " --table nat --flush", program + " --table raw --flush",
		program + " --delete FORWARD 1", program + " --flush PREFIXIN", program + " --table nat --delete PREFIXPUB-ANY 2",
	}
}

// TestForeignFlush wants what is ours in the packet filter back within a second after
// somebody else has removed it, whatever they removed, and open connections to go on.
func TestForeignFlush(t *testing.T) {
	for _, backend := range []string{config.FirewallNFTables, config.FirewallIPTablesNFT, config.FirewallIPTablesLegacy} {
		t.Run(backend, func(t *testing.T) { flushByOthers(t, backend) })
	}
}

func flushByOthers(t *testing.T, backend string) {
	l := newLan(t)
	c := l.open(t, config.OptionFirewallBackend(backend))
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	sb, _ := published(t, c, n, "web", tcp(80, 8080), tcp(7, 7007))
	echo(t, sb.Key(), 7)
	echo(t, l.Remote, 7)
	in, out := talk(t, l.Neighbor, kerneltest.HostIPv4+":7007"), talk(t, sb.Key(), kerneltest.RemoteIPv4+":7")
	in.say(t, "before")
	out.say(t, "before")

	names := strings.NewReplacer("TABLE", "inet libnetwork-"+c.ID()[:12], "PREFIX", "LN-"+c.ID()[:12]+".")
	rules := func() string { return withoutCounters(run(t, l.Host, "nft", "list", "ruleset")) }
	if backend != config.FirewallNFTables {
		rules = func() string { return byChain(withoutCounters(run(t, l.Host, backend+"-save"))) }
	}
	want := rules()
	for _, damage := range damages(backend) {
		words := strings.Fields(names.Replace(damage))
		run(t, l.Host, words[0], words[1:]...)
		begin := time.Now()
		got := rules()
		for got != want && time.Since(begin) < time.Second {
			got = rules()
		}
		t.Logf("%s: mended after %v", damage, time.Since(begin).Round(time.Millisecond))
		if got != want {
			t.Errorf("%s: after a second (-want +got):\n%s", damage, cmp.Diff(want, got))
		}
		in.say(t, damage)
		out.say(t, damage)
		wantAnswer(t, l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", "web "+kerneltest.NeighborIPv4)
	}
	ok(t, sb.Delete())
	ok(t, n.Delete())
}

var (
	counters = regexp.MustCompile(`counter packets \d+ bytes \d+|\[\d+:\d+\]`)
	remarks  = regexp.MustCompile(`(?m)^#.*\n`)
)

// withoutCounters takes out of a picture of the packet filter what traffic and time
// change.
func withoutCounters(text string) string {
	return remarks.ReplaceAllString(counters.ReplaceAllString(text, ""), "")
}

// byChain sorts what iptables-save prints by chains, whose order tells when they were made.
func byChain(text string) string {
	chain := func(line string) string {
		words := strings.Fields(line)
		return strings.Join(words[:min(2, len(words))], " ")
	}
	return strings.Join(slices.SortedStableFunc(strings.Lines(text), func(a, b string) int {
		return strings.Compare(chain(a), chain(b))
	}), "")
}
