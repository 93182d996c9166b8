package iptables_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

// foreign makes rules of others before and behind ours, in each table.
func (s *scratch) foreign() {
	s.t.Helper()
	for _, family := range families() {
		s.restore(family, `*raw
-A PREROUTING -i lo -j ACCEPT
COMMIT
*mangle
-A FORWARD -j MARK --set-xmark 0x1/0x1
COMMIT
*nat
:SOMEBODY - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j SOMEBODY
-A POSTROUTING -o eth9 -j MASQUERADE
-A SOMEBODY -p tcp -m tcp --dport 1 -m comment --comment "it's \"quoted\" \\ -j LN-x" -j REDIRECT --to-ports 2
COMMIT
*filter
:DOCKER-USER - [0:0]
:SOMEBODY - [0:0]
-A INPUT -i eth9 -j DROP
-A FORWARD -i eth9 -m comment --comment "endpoint/1 separate br-1" -j SOMEBODY
-A FORWARD -o eth9 -j ACCEPT
-A DOCKER-USER -i eth9 -j DROP
-A DOCKER-USER -j RETURN
-A SOMEBODY -j RETURN
COMMIT
`)
	}
}

func TestEachKindComesAndGoes(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.filter = s.open(iptables.Options{Instance: instance, AcceptMark: 0x10, AcceptMask: 0xf0, LoopbackProxied: true})
		s.foreign()
		before := s.saved()
		intents := all(t)
		s.apply(changes(netstate.Add, "network/1", intents...))
		if diff := cmp.Diff(owned("network/1", intents), s.observed()); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
		here := s.saved()
		s.apply(changes(netstate.Add, "network/1", intents...))
		if diff := cmp.Diff(here, s.saved()); diff != "" {
			t.Errorf("not idempotent:\n%s", diff)
		}
		for i, intent := range intents {
			s.apply(changes(netstate.Remove, "network/1", intent), changes(netstate.Remove, "network/1", intent))
			if i%3 > 0 {
				continue
			}
			if diff := cmp.Diff(owned("network/1", intents[i+1:]), s.observed()); diff != "" {
				t.Fatalf("after the removal of %s (-want +got):\n%s", intent, diff)
			}
		}
		if diff := cmp.Diff(before, s.saved()); diff != "" {
			t.Errorf("left behind (-want +got):\n%s", diff)
		}
	})
}

// TestOneProcessForEachFamily counts what is started. The first change of a family, and
// one after an Observe that found nothing, read what is there.
func TestOneProcessForEachFamily(t *testing.T) {
	eachAlone(t, func(t *testing.T, variant string) {
		calls := journal(t)
		s := newScratch(t, variant)
		expect := func(what string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, calls()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		expect("opening")
		four, six := parse(t, "publish tcp 0.0.0.0:80 to 172.18.0.2:80"), parse(t, "publish tcp [::]:80 to [fd00::2]:80")
		s.apply(changes(netstate.Remove, "endpoint/1", four...))
		expect("removal of nothing", "iptables-save")
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		expect("the first of both families", "iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore")
		s.apply(changes(netstate.Add, "endpoint/1", four...))
		expect("one port", "iptables-restore")
		s.apply(changes(netstate.Add, "endpoint/1", four...))
		expect("the same port")
		s.apply(changes(netstate.Add, "endpoint/1", six...))
		expect("one port of IPv6", "ip6tables-restore")
		s.apply(changes(netstate.Add, "endpoint/2", ports(1000, 100)...))
		expect("100 ports", "iptables-restore")
		s.observed()
		expect("observing", "iptables-save", "ip6tables-save")
		s.apply(slices.Concat(changes(netstate.Remove, "endpoint/1", four...), changes(netstate.Remove, "endpoint/1", six...)))
		expect("removal of both ports", "iptables-restore", "ip6tables-restore")
		if err := s.filter.Delete(context.Background()); err != nil {
			t.Fatal(err)
		}
		expect("deletion", "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore")
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.foreign()
		before := s.saved()
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		s.run("iptables -I INPUT -j "+prefix+"FWD", "iptables -t nat -D POSTROUTING 2")
		for range 2 {
			if err := s.open(iptables.Options{Instance: instance}).Delete(context.Background()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, s.saved()); diff != "" {
				t.Errorf("left behind (-want +got):\n%s", diff)
			}
		}
	})
}

func TestRangeIsOneRule(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.apply(changes(netstate.Add, "endpoint/1", parse(t, "publish tcp 0.0.0.0:20000-29999 to 172.18.0.2:20000")...))
		if got := s.saved(); strings.Count(got, "endpoint/1") != 1 || strings.Count(got, "DNAT --to-destination 172.18.0.2\n") != 1 {
			t.Errorf("not one rule:\n%s", got)
		}
	})
}

func TestAThousandAtOnce(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		before, many := s.saved(), ports(1000, 1000)
		s.apply(changes(netstate.Add, "endpoint/1", many...))
		if got := len(s.observed()); got != len(all(t))+len(many) {
			t.Errorf("%d intents, want %d", got, len(all(t))+len(many))
		}
		s.apply(changes(netstate.Remove, "endpoint/1", many...))
		if diff := cmp.Diff(before, s.saved()); diff != "" {
			t.Errorf("left behind (-want +got):\n%s", diff)
		}
	})
}

// TestAllOrNothing has what contradicts something in force beside what would fit.
func TestAllOrNothing(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		here := parse(t, "inbound ipv4 br-1 published", "masquerade 172.18.0.0/16 as 192.0.2.1",
			"publish tcp 0.0.0.0:80 to 172.18.0.2:80", "publish tcp 192.0.2.1:100-200 to 172.18.0.2:100")
		s.apply(changes(netstate.Add, "network/1", here...))
		before := s.saved()
		for _, text := range []string{
			"inbound ipv4 br-1 nothing", "masquerade 172.18.0.0/16 as 192.0.2.2", "publish tcp 0.0.0.0:80 to 172.18.0.3:80",
			"publish tcp 0.0.0.0:80 to 172.18.0.2:81", "publish tcp 192.0.2.1:200-300 to 172.18.0.2:200", "publish tcp 0.0.0.0:50-100 to 172.18.0.3:50",
		} {
			err := s.filter.Apply(context.Background(), changes(netstate.Add, "network/2", parse(t, "loopback br-2", text)...))
			if !errors.Is(err, cnm.Exists) {
				t.Errorf("%s: got %v, want %v", text, err, cnm.Exists)
			}
		}
		err := s.filter.Apply(context.Background(), changes(netstate.Add, "network/2", parse(t,
			"publish tcp 0.0.0.0:90 to 172.18.0.3:90", "publish tcp 0.0.0.0:90 to 172.18.0.4:90")...))
		if want := `iptables: add publish tcp 0.0.0.0:90 to 172.18.0.4:90: "publish tcp 0.0.0.0:90 to 172.18.0.3:90" is in force, remove that first`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if diff := cmp.Diff(before, s.saved()); diff != "" {
			t.Errorf("something was changed:\n%s", diff)
		}
		// These go together: other addresses, protocols, ports, owners, and what was before.
		s.apply(changes(netstate.Add, "network/2", parse(t, "publish tcp 192.0.2.1:80 to 172.18.0.3:80", "publish udp 0.0.0.0:80 to 172.18.0.3:80",
			"publish tcp 192.0.2.2:150-250 to 172.18.0.3:150", "publish tcp 192.0.2.1:100 to 172.18.0.3:80", "masquerade 172.18.0.0/16")...),
			changes(netstate.Add, "network/3", here...),
			changes(netstate.Remove, "network/3", here...),
			slices.Concat(changes(netstate.Remove, "network/1", here...), changes(netstate.Add, "network/1", parse(t, "inbound ipv4 br-1 nothing",
				"masquerade 172.18.0.0/16 as 192.0.2.2", "publish tcp 0.0.0.0:80 to 172.18.0.3:80", "publish tcp 0.0.0.0:50-100 to 172.18.0.3:50")...)))
		if got := len(s.observed()); got != 9 {
			t.Errorf("%d intents, want 9: %q", got, s.observed())
		}
	})
}

// TestWhatTheProgramRefuses has a table that fits beside one that does not, and one rule
// that fits beside one that does not.
func TestWhatTheProgramRefuses(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.apply(changes(netstate.Add, "network/1", parse(t, "publish tcp 0.0.0.0:80 to 172.18.0.2:80")...))
		before := s.saved()
		err := s.filter.Apply(context.Background(), changes(netstate.Add, "network/2",
			parse(t, "publish tcp 0.0.0.0:81 to 172.18.0.2:80", "masquerade 172.18.0.0/16 as 2001:db8::1")...))
		if err == nil || !strings.Contains(err.Error(), "2001:db8::1") || !strings.Contains(err.Error(), "network/2") {
			t.Errorf("got %v, want an error with the line", err)
		}
		if diff := cmp.Diff(before, s.saved()); diff != "" {
			t.Errorf("something was changed:\n%s", diff)
		}
		s.apply(changes(netstate.Add, "network/2", parse(t, "publish tcp 0.0.0.0:81 to 172.18.0.2:80")...))
	})
}

func TestOtherOptionsMakeAnotherLayout(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.foreign()
		before := s.saved()
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		s.filter = s.open(iptables.Options{Instance: instance, LoopbackProxied: true, AcceptMark: 1, AcceptMask: 1})
		if got := s.observed(); len(got) != 0 {
			t.Fatalf("the old rules pass for the new ones: %q", got)
		}
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		if diff := cmp.Diff(owned("network/1", all(t)), s.observed()); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
		if got := s.saved(); strings.Count(got, "--mark 0x1/0x1 ") != 6 {
			t.Errorf("want the mark in three chains of both families:\n%s", got)
		}
		s.apply(changes(netstate.Remove, "network/1", all(t)...))
		if diff := cmp.Diff(before, s.saved()); diff != "" {
			t.Errorf("left behind (-want +got):\n%s", diff)
		}
	})
}

// TestRefused names what iptables would take for something else, or not take at all.
func TestRefused(t *testing.T) {
	kerneltest.RequireRoot(t)
	calls := journal(t)
	s := newScratch(t, iptables.VariantNFT)
	intent := func(text string) netstate.Change {
		return netstate.Change{Verb: netstate.Add, Owner: "network/1", Object: parse(t, text)[0]}
	}
	refused := []netstate.Change{
		{Verb: netstate.Add, Owner: "network/1", Object: netstate.Sysctl{Key: "a/b"}},
		{Verb: netstate.Write, Owner: "network/1", Object: parse(t, "loopback br-1")[0]},
		{Verb: netstate.Add, Owner: "network/1", Object: netstate.Intent{Kind: "flood", Link: "br-1"}},
		{Verb: netstate.Add, Owner: "network/1", Object: netstate.Intent{Kind: netstate.Loopback, Link: "br-1", Port: 80}},
		{Verb: netstate.Add, Owner: "network/1", Object: netstate.Intent{Kind: netstate.Loopback, Link: "br 1"}},
		intent("publish tcp [fe80::1%eth0]:80 to [fd00::2]:80"),
	}
	for _, link := range []string{"br+", "-br", "!br", `br"`, "br'", `br\`, "br#1", "br;", "brü", "a-name-of-16-char"} {
		refused = append(refused, intent("loopback "+link), intent("allow "+link+" to br-1"))
	}
	for _, owner := range []string{"", "network 1", `network"`, strings.Repeat("x", 240)} {
		refused = append(refused, netstate.Change{Verb: netstate.Add, Owner: owner, Object: parse(t, "loopback br-1")[0]})
	}
	for _, change := range refused {
		if err := s.filter.Apply(context.Background(), netstate.Changes{change}); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s of %q: got %v, want %v", change, change.Owner, err, cnm.Invalid)
		}
	}
	// What cannot be there is gone already.
	if err := s.filter.Apply(context.Background(), changes(netstate.Remove, "network/1", parse(t, "loopback br+")...)); err != nil {
		t.Errorf("removal: %v", err)
	}
	if got := calls(); len(got) > 0 {
		t.Errorf("processes were started: %q", got)
	}
	for _, options := range []iptables.Options{{}, {Instance: "a.b"}, {Instance: strings.Repeat("x", 65)}, {Instance: "x", Variant: "old"}} {
		if _, err := iptables.Open(options); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%+v: got %v, want %v", options, err, cnm.Invalid)
		}
	}
}

// TestOddButGood has the longest of everything, and what looks like a word of iptables.
func TestOddButGood(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.filter = s.open(iptables.Options{Instance: strings.Repeat("i", 64)})
		var want []string
		for i, link := range []string{"a.b-c_d:e@f,g", "12345678901234-", "*", "lo", "x+y", "%s", "DROP", "br!"} {
			owner := fmt.Sprintf("network/%d", i)
			s.apply(changes(netstate.Add, owner, parse(t, "allow "+link+" to "+link)...))
			want = append(want, owner+" allow "+link+" to "+link)
		}
		text := "publish sctp [2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:20000-29999 to [2001:db8:ffff:ffff:ffff:ffff:ffff:fffe]:20000"
		owner := "x" + strings.Repeat("/", 253-len(text)-2)
		s.apply(changes(netstate.Add, owner, parse(t, text)...))
		want = append(want, owner+" "+text)
		if diff := cmp.Diff(want, s.observed()); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
	})
}

// TestPrograms has hosts where some are missing.
func TestPrograms(t *testing.T) {
	kerneltest.RequireRoot(t)
	open := func(variant string) *iptables.Filter {
		filter, err := iptables.Open(iptables.Options{Instance: "x", Variant: variant})
		if err != nil {
			t.Fatal(err)
		}
		return filter
	}
	out, err := exec.Command("iptables", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := iptables.VariantLegacy
	if strings.Contains(string(out), "nf_tables") {
		want = iptables.VariantNFT
	}
	if got := open("").Variant(); got != want {
		t.Errorf("the host's iptables passes for %s, want %s", got, want)
	}
	if got := open(iptables.VariantLegacy).Variant(); got != iptables.VariantLegacy {
		t.Errorf("legacy passes for %s", got)
	}
	// With nothing in their folder, there are none.
	if err := unix.Mount("none", "/usr/sbin", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount("/usr/sbin", 0); err != nil {
			t.Error(err)
		}
	}()
	_, err = iptables.Open(iptables.Options{Instance: "x", Variant: iptables.VariantLegacy})
	if !errors.Is(err, cnm.Unsupported) || !strings.Contains(err.Error(), `"ip6tables-legacy-save" is missing; install`) {
		t.Errorf("got %v, want %v", err, cnm.Unsupported)
	}
	journal(t) // puts programs of that name elsewhere
	for _, suffix := range []string{"save", "restore"} {
		path, err := exec.LookPath("ip6tables-legacy-" + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	filter := open(iptables.VariantLegacy)
	err = filter.Apply(context.Background(), changes(netstate.Add, "network/1", parse(t, "confine ipv6 br-1")...))
	if !errors.Is(err, cnm.Unsupported) {
		t.Errorf("IPv6: got %v, want %v", err, cnm.Unsupported)
	}
	if err := filter.Apply(context.Background(), changes(netstate.Remove, "network/1", parse(t, "confine ipv6 br-1")...)); err != nil {
		t.Errorf("removal of IPv6: %v", err)
	}
}
