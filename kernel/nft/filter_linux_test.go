package nft_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/nft"
	"github.com/docker/libnetwork/netstate"
)

// scratch is a namespace with a filter.
type scratch struct {
	t         testing.TB
	namespace string
	filter    *nft.Filter
}

func newScratch(t testing.TB, options nft.Options) *scratch {
	t.Helper()
	s := &scratch{t: t, namespace: kerneltest.NewNamespace(t)}
	options.Table = "libnetwork-test"
	s.filter = s.open(options)
	return s
}

func (s *scratch) open(options nft.Options) *nft.Filter {
	s.t.Helper()
	var filter *nft.Filter
	err := kerneltest.Do(s.namespace, func() (err error) {
		filter, err = nft.Open(options)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := filter.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return filter
}

// run runs a program in the namespace.
func (s *scratch) run(program string, arguments ...string) string {
	s.t.Helper()
	var out []byte
	err := kerneltest.Do(s.namespace, func() (err error) {
		out, err = exec.Command(program, arguments...).CombinedOutput()
		return err
	})
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

func changes(verb netstate.Verb, owner string, intents ...netstate.Intent) netstate.Changes {
	var out netstate.Changes
	for _, i := range intents {
		out = append(out, netstate.Change{Verb: verb, Owner: owner, Object: i})
	}
	return out
}

func (s *scratch) apply(changes netstate.Changes) {
	s.t.Helper()
	if err := s.filter.Apply(context.Background(), changes); err != nil {
		s.t.Fatal(err)
	}
}

// observed returns the texts of all intents with their owners.
func (s *scratch) observed() []string {
	s.t.Helper()
	parts, err := s.filter.Observe(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, p := range parts {
		for _, i := range p.Intents {
			out = append(out, p.Owner+" "+i.String())
		}
	}
	return out
}

func parse(t testing.TB, texts ...string) []netstate.Intent {
	t.Helper()
	var out []netstate.Intent
	for _, text := range texts {
		i, err := netstate.ParseIntent(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, i)
	}
	return out
}

// all has each kind in each shape.
func all(t testing.TB) []netstate.Intent {
	return parse(t,
		"allow br-1 to br-1", "confine ipv4 br-2", "confine ipv6 br-2",
		"hairpin 172.18.0.0/16 on br-1", "hairpin fd00::/64 on br-1",
		"inbound ipv4 br-1 published", "inbound ipv4 br-2 nothing", "inbound ipv6 br-1 opened", "inbound ipv6 br-2 everything",
		"loopback br-1", "masquerade 172.18.0.0/16", "masquerade 255.0.0.0/8", "masquerade fd00::/64 as 2001:db8::1",
		"open sctp 172.18.0.2:70-80", "open tcp [fd00::2]:80",
		"publish tcp 0.0.0.0:8080 to 172.18.0.2:80", "publish tcp 192.0.2.1:8080 to 172.18.0.3:80",
		"publish tcp [::]:8080 to [fd00::2]:80", "publish udp 0.0.0.0:20000-29999 to 172.18.0.2:20000",
		"publish udp 192.0.2.1:30000-30001 to 172.18.0.2:30000", "publish udp [::1]:20000-29999 to [fd00::2]:20000")
}

func TestEachKindComesAndGoes(t *testing.T) {
	s := newScratch(t, nft.Options{AcceptMark: 0x10, AcceptMask: 0xf0})
	intents := all(t)
	s.apply(changes(netstate.Add, "network/1", intents...))
	var want []string
	for _, i := range intents {
		want = append(want, "network/1 "+i.String())
	}
	if diff := cmp.Diff(want, s.observed()); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	s.apply(changes(netstate.Add, "network/1", intents...))
	for i, intent := range intents {
		s.apply(changes(netstate.Remove, "network/1", intent))
		s.apply(changes(netstate.Remove, "network/1", intent))
		if got := len(s.observed()); got != len(intents)-i-1 {
			t.Fatalf("after the removal of %s: %d intents, want %d", intent, got, len(intents)-i-1)
		}
	}
	if got := s.run("nft", "list", "ruleset"); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}

// TestObstacles wants to be told of what drops packets beside us.
func TestObstacles(t *testing.T) {
	s := newScratch(t, nft.Options{})
	s.apply(changes(netstate.Add, "network/1", all(t)...))
	s.run("nft", `table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }
		table inet in { chain input { type filter hook input priority 0; policy drop; }; }
		table inet fw { chain forward { type filter hook forward priority 0; policy accept; }; }`)
	got, err := s.filter.Obstacles(t.Context())
	if want := []string{`chain "FORWARD" of table "ip filter"`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("obstacles %q, %v; want %q", got, err, want)
	}
}

// TestRangeIsOneElement holds the cost of a range of ten thousand.
func TestRangeIsOneElement(t *testing.T) {
	s := newScratch(t, nft.Options{})
	s.apply(changes(netstate.Add, "endpoint/1", parse(t, "publish tcp 0.0.0.0:20000-29999 to 172.18.0.2:20000")...))
	got := s.run("nft", "list", "map", "inet", "libnetwork-test", "range4")
	if !strings.Contains(got, "tcp . 0.0.0.0/0 . 20000-29999") || strings.Count(got, "endpoint/1") != 1 {
		t.Errorf("not one element:\n%s", got)
	}
}

// TestRulesSayWhatTheyAreFor has the nft program show all rules, those of options too, and
// read what it shows: it takes no comment that is too long.
func TestRulesSayWhatTheyAreFor(t *testing.T) {
	s := newScratch(t, nft.Options{AcceptMark: 0x10, AcceptMask: 0xf0, LoopbackProxied: true})
	s.apply(changes(netstate.Add, "network/1", all(t)...))
	shown := s.run("nft", "list", "table", "inet", "libnetwork-test")
	_, chains, _ := strings.Cut(shown, "chain ")
	rules := 0
	for line := range strings.Lines(chains) {
		line = strings.TrimSpace(line)
		if line == "" || line == "}" || strings.HasPrefix(line, "chain ") || strings.HasPrefix(line, "type ") || strings.HasSuffix(line, " {") {
			continue
		}
		rules++
		if _, comment, _ := strings.Cut(line, ` comment "`); len(comment) < 5 {
			t.Errorf("%q: does not say what it is for", line)
		}
	}
	if rules < 40 {
		t.Errorf("only %d rules were looked at:\n%s", rules, shown)
	}
	file := filepath.Join(t.TempDir(), "shown")
	if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("nft", "flush", "ruleset")
	s.run("nft", "--file", file)
	if diff := cmp.Diff(shown, s.run("nft", "list", "table", "inet", "libnetwork-test")); diff != "" {
		t.Errorf("read by nft, it is another table (-shown +read):\n%s", diff)
	}
}

func TestWhatSomebodyTookIsMadeAgain(t *testing.T) {
	for _, crime := range [][]string{
		{"flush", "ruleset"},
		{"flush", "chain", "inet", "libnetwork-test", "forward"},
		{"flush", "map", "inet", "libnetwork-test", "anyport4"},
		{"delete", "chain", "inet", "libnetwork-test", "raw"},
		{"delete", "table", "inet", "libnetwork-test"},
		// As many rules as before, but another one among them.
		{"flush chain inet libnetwork-test confined; add rule inet libnetwork-test confined accept"},
	} {
		t.Run(strings.Join(crime, " "), func(t *testing.T) {
			s := newScratch(t, nft.Options{})
			s.apply(changes(netstate.Add, "network/1", all(t)...))
			before := s.observed()
			s.run("nft", crime...)
			after := s.observed()
			if len(after) >= len(before) {
				t.Fatalf("nothing is missing")
			}
			s.apply(changes(netstate.Add, "network/1", all(t)...))
			if diff := cmp.Diff(before, s.observed()); diff != "" {
				t.Errorf("repaired (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoticedOnUse takes the table away without an Observe in between.
func TestNoticedOnUse(t *testing.T) {
	s := newScratch(t, nft.Options{})
	s.apply(changes(netstate.Add, "network/1", parse(t, "loopback br-1", "loopback br-2")...))
	s.run("nft", "flush", "ruleset")
	s.apply(changes(netstate.Remove, "network/1", parse(t, "loopback br-1")...))
	s.apply(changes(netstate.Add, "network/1", parse(t, "loopback br-3")...))
	if diff := cmp.Diff([]string{"network/1 loopback br-3"}, s.observed()); diff != "" {
		t.Error(diff)
	}
}

// TestAllOrNothing has an intent that does not fit beside one that would.
func TestAllOrNothing(t *testing.T) {
	s := newScratch(t, nft.Options{})
	s.apply(changes(netstate.Add, "network/1", parse(t, "publish tcp 0.0.0.0:80 to 172.18.0.2:80")...))
	err := s.filter.Apply(context.Background(), changes(netstate.Add, "network/2",
		parse(t, "loopback br-2", "publish tcp 0.0.0.0:80 to 172.18.0.3:80")...))
	if err == nil {
		t.Fatal("one port was published twice")
	}
	if diff := cmp.Diff([]string{"network/1 publish tcp 0.0.0.0:80 to 172.18.0.2:80"}, s.observed()); diff != "" {
		t.Error(diff)
	}
}

func TestOtherOptionsMakeAnotherTable(t *testing.T) {
	s := newScratch(t, nft.Options{})
	s.apply(changes(netstate.Add, "network/1", all(t)...))
	s.filter = s.open(nft.Options{Table: "libnetwork-test", LoopbackProxied: true})
	if got := s.observed(); len(got) != 0 {
		t.Fatalf("the old table passes for the new one: %q", got)
	}
	s.apply(changes(netstate.Add, "network/1", all(t)...))
	if got := len(s.observed()); got != len(all(t)) {
		t.Errorf("%d intents, want %d", got, len(all(t)))
	}
}

func TestForeignTablesStay(t *testing.T) {
	s := newScratch(t, nft.Options{})
	s.run("nft", "add table inet filter; add chain inet filter forward { type filter hook forward priority -5; policy drop; }; add rule inet filter forward accept")
	before := s.run("nft", "-a", "list", "ruleset")
	s.apply(changes(netstate.Add, "network/1", all(t)...))
	s.apply(changes(netstate.Remove, "network/1", all(t)...))
	if diff := cmp.Diff(before, s.run("nft", "-a", "list", "ruleset")); diff != "" {
		t.Error(diff)
	}
}

func TestWatchTellsOfOthersOnly(t *testing.T) {
	s := newScratch(t, nft.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	told, done := make(chan struct{}, 10), make(chan struct{})
	err := kerneltest.Do(s.namespace, func() error {
		return s.filter.Watch(ctx, func() { told <- struct{}{} }, func() { close(done) })
	})
	if err != nil {
		t.Fatal(err)
	}
	s.apply(changes(netstate.Add, "network/1", all(t)...))
	s.run("nft", "add", "table", "ip", "somebody")
	select {
	case <-told:
		t.Error("told of what is ours, or not about us")
	case <-time.After(100 * time.Millisecond):
	}
	s.run("nft", "flush", "ruleset")
	select {
	case <-told:
	case <-time.After(2 * time.Second):
		t.Error("not told of the flush")
	}
	cancel()
	<-done
}

func TestTwoAtOnce(t *testing.T) {
	s := newScratch(t, nft.Options{})
	other := s.open(nft.Options{Table: "libnetwork-other"})
	done := make(chan error)
	for n, filter := range []*nft.Filter{s.filter, other, s.filter, other} {
		go func() {
			var err error
			for i := 0; i < 50 && err == nil; i++ {
				intent := netstate.Intent{
					Kind: netstate.Publish, Protocol: netstate.TCP, Host: netip.IPv4Unspecified(),
					Port: uint16(1000*n + i + 1), PortEnd: uint16(1000*n + i + 1), Target: netip.MustParseAddr("172.18.0.2"), TargetPort: 80,
				}
				err = filter.Apply(context.Background(), changes(netstate.Add, fmt.Sprint("endpoint/", n), intent))
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := len(s.observed()); got != 100 {
		t.Errorf("%d intents, want 100", got)
	}
}

// BenchmarkPublish adds one port beside those that are there.
func BenchmarkPublish(b *testing.B) {
	for _, present := range []int{1, 5000} {
		b.Run(fmt.Sprint("present=", present), func(b *testing.B) {
			s := newScratch(b, nft.Options{})
			var many []netstate.Intent
			for i := range present {
				many = append(many, netstate.Intent{
					Kind: netstate.Publish, Protocol: netstate.TCP, Host: netip.IPv4Unspecified(), Port: uint16(i + 1), PortEnd: uint16(i + 1),
					Target: netip.MustParseAddr("172.18.0.2"), TargetPort: 80,
				})
			}
			s.apply(changes(netstate.Add, "network/1", many...))
			one := parse(b, "publish tcp 0.0.0.0:9000 to 172.18.0.2:80")
			for b.Loop() {
				s.apply(changes(netstate.Add, "endpoint/1", one...))
				s.apply(changes(netstate.Remove, "endpoint/1", one...))
			}
		})
	}
}
