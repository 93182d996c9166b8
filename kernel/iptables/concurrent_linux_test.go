package iptables_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/netstate"
)

// TestOthersAtTheSameTime changes rules of others, in the same tables and chains, as fast
// as it goes.
func TestOthersAtTheSameTime(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.foreign()
		before := s.saved()
		var others sync.WaitGroup
		stop := make(chan struct{})
		for n := range 2 {
			others.Go(func() {
				chain := fmt.Sprint("OTHER-", n)
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					text := fmt.Sprintf("*nat\n:%s - [0:0]\n-A PREROUTING -j %[1]s\n-A %[1]s -p tcp -m tcp --dport %d -j RETURN\n-F %[1]s\n-D PREROUTING -j %[1]s\n-X %[1]s\nCOMMIT\n"+
						"*filter\n:%[1]s - [0:0]\n-I FORWARD -j %[1]s\nCOMMIT\n*filter\n-D FORWARD -j %[1]s\n-X %[1]s\nCOMMIT\n", chain, i%1000+1)
					if _, err := s.try(text, "iptables-restore", "--noflush", "--wait"); err != nil && !strings.Contains(err.Error(), "unavailable") {
						t.Errorf("the other: %v", err)
						return
					}
				}
			})
		}
		for i := range 6 {
			owner := fmt.Sprint("endpoint/", i)
			s.apply(changes(netstate.Add, owner, ports(i+1, 1)...))
			if i > 0 {
				s.apply(changes(netstate.Remove, fmt.Sprint("endpoint/", i-1), ports(i, 1)...))
			}
			if diff := cmp.Diff(owned(owner, ports(i+1, 1)), s.observed()); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
		}
		s.apply(changes(netstate.Remove, "endpoint/5", ports(6, 1)...))
		close(stop)
		others.Wait()
		if diff := cmp.Diff(before, s.saved()); diff != "" {
			t.Errorf("left behind (-want +got):\n%s", diff)
		}
	})
}

// TestBusy has programs that fail as they do when somebody else was faster, and then not.
func TestBusy(t *testing.T) {
	eachAlone(t, func(t *testing.T, variant string) {
		folder := t.TempDir()
		fail := func(name string, times int, complaint string) {
			script := fmt.Sprintf("#!/bin/sh\necho >>$0.calls\nif [ $(wc -l <$0.calls) -le %d ]; then echo %q >&2; exit 4; fi\nexec /usr/sbin/%s \"$@\"\n", times, complaint, name)
			path := filepath.Join(folder, name)
			if err := errors.Join(os.RemoveAll(path+".calls"), os.WriteFile(path, []byte(script), 0o755)); err != nil {
				t.Fatal(err)
			}
		}
		restore, save := "iptables-"+variant+"-restore", "iptables-"+variant+"-save"
		t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
		const busy = "iptables: Resource temporarily unavailable."
		fail(restore, 3, busy)
		fail(save, 2, busy)
		s := newScratch(t, variant)
		s.apply(changes(netstate.Add, "network/1", ports(1, 2)...))
		fail(restore, 1, "iptables-restore: line 4 failed: Device or resource busy.")
		s.apply(changes(netstate.Remove, "network/1", ports(1, 1)...))
		fail(save, 1, busy)
		if diff := cmp.Diff(owned("network/1", ports(2, 1)), s.observed()); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
		fail(restore, 100, busy)
		if err := s.filter.Apply(context.Background(), changes(netstate.Add, "network/1", ports(3, 1)...)); !errors.Is(err, cnm.Conflict) {
			t.Errorf("always: got %v, want %v", err, cnm.Conflict)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := s.filter.Apply(ctx, changes(netstate.Add, "network/1", ports(3, 1)...)); err == nil {
			t.Error("no error although the time was over")
		}
		fail(restore, 1, "Another app is currently holding the xtables lock. Stopped waiting after 30s.")
		if err := s.filter.Apply(context.Background(), changes(netstate.Add, "network/1", ports(3, 1)...)); !errors.Is(err, cnm.Unavailable) {
			t.Errorf("locked: got %v, want %v", err, cnm.Unavailable)
		}
		if err := s.filter.Delete(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestTwoAtOnce has two instances on a host, and two goroutines with each.
func TestTwoAtOnce(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		s := newScratch(t, variant)
		s.foreign()
		before := s.saved()
		// The names of these start alike.
		filters := []*iptables.Filter{s.open(iptables.Options{Instance: "short"}), s.open(iptables.Options{Instance: "short-2"})}
		work := func(verb netstate.Verb) {
			var workers sync.WaitGroup
			for n := range 4 {
				workers.Go(func() {
					for i := range 5 {
						err := filters[n%2].Apply(context.Background(), changes(verb, fmt.Sprint("endpoint/", n), ports(100*n+i+1, 1)...))
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			workers.Wait()
		}
		work(netstate.Add)
		for n := range filters {
			s.filter = filters[n]
			want := append(owned(fmt.Sprint("endpoint/", n), ports(100*n+1, 5)), owned(fmt.Sprint("endpoint/", n+2), ports(100*n+201, 5))...)
			if diff := cmp.Diff(want, s.observed()); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
		}
		work(netstate.Remove)
		if diff := cmp.Diff(before, s.saved()); diff != "" {
			t.Errorf("left behind (-want +got):\n%s", diff)
		}
	})
}

// TestLock holds what the older interface's programs wait for.
func TestLock(t *testing.T) {
	s := newScratch(t, iptables.VariantLegacy)
	s.apply(changes(netstate.Add, "endpoint/1", ports(1, 1)...))
	lock, err := os.OpenFile("/run/xtables.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() //nolint:errcheck // nothing was written
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.filter.Apply(ctx, changes(netstate.Add, "endpoint/1", ports(2, 1)...)); !errors.Is(err, cnm.Timeout) {
		t.Errorf("while it is held: got %v, want %v", err, cnm.Timeout)
	}
	done := make(chan error)
	go func() {
		done <- s.filter.Apply(context.Background(), changes(netstate.Add, "endpoint/1", ports(3, 1)...))
	}()
	select {
	case err := <-done:
		t.Errorf("did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(append(owned("endpoint/1", ports(1, 1)), owned("endpoint/1", ports(3, 1))...), s.observed()); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}
