package iptables_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/netstate"
)

// TestWhatSomebodyTookIsMadeAgain breaks something in each way, and says how many of the
// intents are not in force then.
func TestWhatSomebodyTookIsMadeAgain(t *testing.T) {
	count := func(keep func(netstate.Intent) bool) int {
		return len(slices.DeleteFunc(all(t), func(i netstate.Intent) bool { return !keep(i) }))
	}
	four := count(func(i netstate.Intent) bool { return !i.Is6() })
	six := count(func(i netstate.Intent) bool {
		return i.Is6() || i.Kind == netstate.Allow || i.Kind == netstate.Separate
	})
	line := func(comment string) string { return ` -m comment --comment "network/1 ` + comment + `" ` }
	crimes := []struct {
		family, text string
		missing      int
	}{
		{"iptables", "*filter\n-F\nCOMMIT\n", four},
		{"iptables", "*nat\n-F\nCOMMIT\n", four},
		{"ip6tables", "*nat\n-F\nCOMMIT\n", six},
		{"iptables", "*raw\n-F\n-X\nCOMMIT\n*filter\n-F\n-X\nCOMMIT\n*nat\n-F\n-X\nCOMMIT\n", four},
		{"iptables", "*filter\n-F FORWARD\nCOMMIT\n", four},
		{"iptables", "*nat\n-D PREROUTING 1\nCOMMIT\n", four},
		{"ip6tables", "*filter\n-D FORWARD 1\nCOMMIT\n", six},
		{"iptables", "*filter\n-F " + prefix + "IN-PUB\nCOMMIT\n", four},
		{"iptables", "*filter\n-D " + prefix + "IN-OPEN 2\nCOMMIT\n", four},
		{"iptables", "*raw\n-F " + prefix + "RAW\nCOMMIT\n", 1},
		{"iptables", "*nat\n-F " + prefix + "PUB-ANY\nCOMMIT\n", 1},
		{"ip6tables", "*nat\n-F " + prefix + "PUB-ANY\nCOMMIT\n", 2},
		{"iptables", "*filter\n-F " + prefix + "ALLOW\nCOMMIT\n", 1},
		{"ip6tables", "*filter\n-D " + prefix + "KEEP -i br-3 -o br-3" + line("separate br-3") + "-j DROP\nCOMMIT\n", 1},
		{"iptables", "*nat\n-D " + prefix + "POST -s 127.0.0.0/8 -o br-1" + line("loopback br-1") + "-j MASQUERADE\nCOMMIT\n", 1},
		{"iptables", "*nat\n-R " + prefix + "PUB-ANY 1" + line("publish tcp 0.0.0.0:8080 to 172.18.0.2:80") + "-j ACCEPT\nCOMMIT\n", 1},
		{"iptables", "*filter\n-A " + prefix + "KEEP" + line("confine ipv4 br-2") + "-j DROP\nCOMMIT\n", 1},
	}
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		before := sorted(s.saved())
		for _, crime := range crimes {
			s.restore(crime.family, crime.text)
			if got := s.observed(); len(got) != len(all(t))-crime.missing {
				t.Errorf("%s: %d are missing, want %d; there are %q", crime.text, len(all(t))-len(got), crime.missing, got)
			}
			s.apply(changes(netstate.Add, "network/1", all(t)...))
			if diff := cmp.Diff(before, sorted(s.saved())); diff != "" {
				t.Fatalf("%s: repaired (-want +got):\n%s", crime.text, diff)
			}
		}
	})
}

// sorted returns the lines of a save in an order of their own, for those whose order does
// not count.
func sorted(text string) []string {
	var out []string
	table := ""
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "*") {
			table = line
		}
		out = append(out, table+line)
	}
	slices.Sort(out)
	return out
}

// TestNoticedOnUse breaks something without an Observe in between. The next change puts it
// back.
func TestNoticedOnUse(t *testing.T) {
	eachAlone(t, func(t *testing.T, variant string) {
		calls := journal(t)
		s := newScratch(t, variant)
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		for _, crime := range []string{
			"*nat\n-F\nCOMMIT\n", "*nat\n-F\n-X\nCOMMIT\n*filter\n-F\n-X\nCOMMIT\n", "*nat\n-D PREROUTING 1\nCOMMIT\n",
			"*filter\n-D " + prefix + "KEEP 1\nCOMMIT\n", "*filter\n:DOCKER-USER - [0:0]\nCOMMIT\n",
		} {
			calls()
			s.restore("iptables", crime)
			s.apply(changes(netstate.Add, "network/1", ports(99, 1)...))
			s.apply(changes(netstate.Add, "network/1", ports(100, 1)...))
			if got := strings.Join(calls(), " "); got != "iptables-save iptables-restore iptables-restore" {
				t.Errorf("%s: calls: %s", crime, got)
			}
			want := slices.Sorted(slices.Values(owned("network/1", append(all(t), ports(99, 2)...))))
			if diff := cmp.Diff(want, slices.Sorted(slices.Values(s.observed()))); diff != "" {
				t.Errorf("%s: after an addition (-want +got):\n%s", crime, diff)
			}
			s.restore("iptables", "*nat\n-F\nCOMMIT\n")
			s.apply(changes(netstate.Remove, "network/1", ports(99, 2)...))
			if diff := cmp.Diff(owned("network/1", all(t)), s.observed()); diff != "" {
				t.Errorf("%s: after a removal (-want +got):\n%s", crime, diff)
			}
		}
	})
}

// TestWhatIsNotWishedGoes has half an intent, of which only Observe could tell that nobody
// wishes it.
func TestWhatIsNotWishedGoes(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		rest := parse(t, "confine ipv4 br-1", "loopback br-1")
		s.apply(changes(netstate.Add, "network/1", rest[0]))
		before := s.saved("iptables")
		s.apply(changes(netstate.Add, "network/2", parse(t, "allow br-2 to br-2", "loopback br-2", "publish tcp 0.0.0.0:80 to 172.18.0.2:80")...))
		s.run("ip6tables -F", "ip6tables -X", "ip6tables -t nat -F", "ip6tables -t nat -X", "iptables -t raw -F "+prefix+"RAW", "iptables -t nat -F "+prefix+"PUB-ANY")
		if diff := cmp.Diff(owned("network/1", rest[:1]), s.observed()); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
		s.apply(changes(netstate.Add, "network/1", rest[1]), changes(netstate.Remove, "network/1", rest[1]))
		if diff := cmp.Diff(before, s.saved("iptables")); diff != "" {
			t.Errorf("left behind (-want +got):\n%s", diff)
		}
	})
}

// TestRemovalAfterFlush leaves nothing, although there is nothing whole to remove from.
func TestRemovalAfterFlush(t *testing.T) {
	for _, crime := range []string{"*filter\n-F\nCOMMIT\n", "*filter\n-F\nCOMMIT\n*nat\n-F\nCOMMIT\n*raw\n-F\nCOMMIT\n"} {
		each(t, func(t *testing.T, variant string) {
			s := newScratch(t, variant)
			s.foreign()
			s.restore("iptables", crime)
			before := s.saved()
			s.apply(changes(netstate.Add, "network/1", all(t)...))
			s.restore("iptables", crime)
			s.apply(changes(netstate.Remove, "network/1", all(t)[:4]...), changes(netstate.Remove, "network/1", all(t)...))
			if diff := cmp.Diff(before, s.saved()); diff != "" {
				t.Errorf("left behind (-want +got):\n%s", diff)
			}
		})
	}
}

// forward returns what is called from the chain FORWARD, in order.
func (s *scratch) forward() []string {
	s.t.Helper()
	var out []string
	for line := range strings.Lines(s.saved()) {
		if rule, ok := strings.CutPrefix(line, "-A FORWARD "); ok {
			_, target, _ := strings.Cut(strings.TrimSpace(rule), "-j ")
			out = append(out, target)
		}
	}
	return out
}

// TestOperatorsComeFirst has their chain there before, and made later.
func TestOperatorsComeFirst(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		ours, user := prefix+"FWD", "DOCKER-USER"
		expect := func(what string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, s.forward()); diff != "" {
				t.Errorf("%s: order (-want +got):\n%s", what, diff)
			}
		}
		s.run("iptables -A FORWARD -j ACCEPT")
		add, remove := changes(netstate.Add, "network/1", all(t)...), changes(netstate.Remove, "network/1", all(t)...)
		s.apply(add)
		expect("without", ours, "ACCEPT", ours)
		if diff := cmp.Diff(owned("network/1", all(t)), s.observed()); diff != "" {
			t.Errorf("observed without (-want +got):\n%s", diff)
		}
		s.run("iptables -N DOCKER-USER", "iptables -A DOCKER-USER -i eth9 -j DROP")
		if got := s.observed(); slices.Contains(got, "network/1 loopback br-1") {
			t.Errorf("in force, although the operators come last: %q", got)
		}
		s.apply(add)
		expect("made later", user, ours, "ACCEPT", ours)
		if diff := cmp.Diff(owned("network/1", all(t)), s.observed()); diff != "" {
			t.Errorf("observed with (-want +got):\n%s", diff)
		}
		// Made while nothing is in force, without an Observe.
		s.apply(remove)
		expect("removed", "ACCEPT")
		s.run("ip6tables -N DOCKER-USER")
		s.apply(add)
		expect("there before", user, ours, "ACCEPT", user, ours)
		// Behind us is too late; before us is good, whoever leads there.
		s.run("iptables -D FORWARD 1", "iptables -A FORWARD -j DOCKER-USER")
		if got := s.observed(); slices.Contains(got, "network/1 loopback br-1") {
			t.Errorf("in force, although the operators come last: %q", got)
		}
		s.apply(add)
		expect("too late", user, ours, "ACCEPT", user, user, ours)
		// Gone, with what leads there.
		s.run("iptables -F FORWARD", "iptables -F DOCKER-USER", "iptables -X DOCKER-USER")
		if got := s.observed(); slices.Contains(got, "network/1 loopback br-1") {
			t.Errorf("in force, although nothing leads there: %q", got)
		}
		s.apply(add)
		expect("gone", ours, user, ours)
	})
}
