package iptables_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/netstate"
)

// watched is a filter that is watched.
type watched struct {
	*scratch
	told chan struct{}
	end  func()
}

func (s *scratch) watch() *watched {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w := &watched{scratch: s, told: make(chan struct{}, 100)}
	if err := s.filter.Watch(ctx, func() { w.told <- struct{}{} }, func() { close(done) }); err != nil {
		s.t.Fatal(err)
	}
	w.end = func() { cancel(); <-done }
	return w
}

// quiet wants that nothing is told of what was done.
func (w *watched) quiet(what string) {
	w.t.Helper()
	select {
	case <-w.told:
		w.t.Errorf("told of %s", what)
	case <-time.After(350 * time.Millisecond): // the older interface is looked at each 250 ms
	}
}

// hears wants that something is told of what was done.
func (w *watched) hears(what string) {
	w.t.Helper()
	select {
	case <-w.told:
	case <-time.After(5 * time.Second):
		w.t.Fatalf("not told of %s", what)
	}
	for len(w.told) > 0 {
		<-w.told
	}
}

func TestWatchTellsOfOthersOnly(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.foreign()
		early := s.watch()
		defer early.end()
		s.run("iptables -A SOMEBODY -j ACCEPT", "iptables -A FORWARD -j SOMEBODY")
		early.quiet("what was done before anything is ours")
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		w := s.watch()
		s.apply(changes(netstate.Add, "network/1", ports(1, 100)...), changes(netstate.Remove, "network/1", ports(1, 100)...))
		s.run("iptables -t mangle -A PREROUTING -j ACCEPT")
		if variant == iptables.VariantNFT {
			s.run("iptables -N SOMEBODY-ELSE", "iptables -A SOMEBODY-ELSE -j ACCEPT", "iptables -t nat -A SOMEBODY -j ACCEPT", "iptables -F INPUT",
				"iptables -I FORWARD -j ACCEPT", "iptables -F DOCKER-USER")
			s.run("nft add table ip somebody", "nft delete table ip somebody")
		}
		w.quiet("what is ours, or not about us")
		early.quiet("what is ours, or not about us")
		for _, crime := range []string{
			"iptables -t nat -D POSTROUTING 2", "ip6tables -F FORWARD", "iptables -D FORWARD 1", "iptables -t nat -R PREROUTING 1 -i eth9 -j ACCEPT",
			"ip6tables -t nat -F " + prefix + "PUB-ANY", "iptables -F", "iptables -X DOCKER-USER", "iptables -N DOCKER-USER",
		} {
			s.run(crime)
			w.hears(crime)
			early.hears(crime)
		}
		s.observed()
		s.apply(changes(netstate.Add, "network/1", all(t)...))
		w.quiet("the repair")
		w.end()
		s.run("iptables -F")
		early.hears("a flush after the other's end")
		select {
		case <-w.told:
			t.Error("told after the end")
		default:
		}
	})
}

// TestWatchLeavesNothing counts goroutines and descriptors.
func TestWatchLeavesNothing(t *testing.T) {
	eachAlone(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.apply(changes(netstate.Add, "network/1", ports(1, 1)...))
		count := func() [2]int {
			files, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				t.Fatal(err)
			}
			return [2]int{len(files), runtime.NumGoroutine()}
		}
		before := count()
		for range 3 {
			one, two := s.watch(), s.watch()
			one.end()
			two.end()
		}
		// The goroutine that closes a socket ends a moment later.
		deadline := time.Now().Add(5 * time.Second)
		for got := count(); got[0] > before[0] || got[1] > before[1]; got = count() {
			if time.Now().After(deadline) {
				t.Fatalf("%d descriptors and %d goroutines, want %d and %d", got[0], got[1], before[0], before[1])
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// TestPresent looks for what is left, with either variant.
func TestPresent(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		other := iptables.VariantLegacy
		if variant == other {
			other = iptables.VariantNFT
		}
		expect := func(want ...string) {
			t.Helper()
			for _, v := range []string{"", variant, other} {
				var got bool
				err := s.do(func() (err error) {
					got, err = iptables.Present(iptables.Options{Instance: instance, Variant: v})
					return err
				})
				if err != nil || got != slices.Contains(want, "any "+v) {
					t.Errorf("variant %q: %v, %v, want %q", v, got, err, want)
				}
			}
		}
		expect()
		s.foreign()
		s.filter = s.open(iptables.Options{Instance: "somebody"})
		s.apply(changes(netstate.Add, "network/1", ports(1, 1)...))
		expect()
		s.filter = s.open(iptables.Options{Instance: instance})
		s.apply(changes(netstate.Add, "network/1", parse(t, "publish tcp [::]:80 to [fd00::2]:80")...))
		expect("any ", "any "+variant)
		s.run("ip6tables -t nat -F", "ip6tables -t nat -X")
		expect("any ", "any "+variant)
		if err := s.filter.Delete(context.Background()); err != nil {
			t.Fatal(err)
		}
		expect()
		if _, err := iptables.Present(iptables.Options{}); err == nil {
			t.Error("no instance is no error")
		}
	})
}
