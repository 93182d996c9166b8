package conntrack_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/conntrack"
)

// TestKernelAgreesWithReference has the kernel judge, with its filters and by name.
func TestKernelAgreesWithReference(t *testing.T) {
	s := newScratch(t)
	ages := []conntrack.Age{conntrack.Present, conntrack.Old, conntrack.Ancient}
	rapid.Check(t, func(t *rapid.T) {
		publications, addresses, flows := conntrack.DrawPublications(t), conntrack.DrawAddresses(t), conntrack.DrawFlows(t, 20)
		s.wire.Age = rapid.SampledFrom(ages).Draw(t, "age of the kernel")
		var texts []string
		for i, f := range flows {
			if f.Protocol.String() == "sctp" && f.Led != f.Sent {
				// The program does not translate its port.
				f.Led = netip.AddrPortFrom(f.Led.Addr(), f.Sent.Port())
			}
			flows[i] = f
			texts = append(texts, f.String())
		}
		s.insert(texts...)
		var gone func(conntrack.Flow) bool
		var n int
		var err error
		switch call := rapid.SampledFrom([]string{"Removed", "Added", "Released"}).Draw(t, "call"); call {
		case "Removed":
			gone = func(f conntrack.Flow) bool { return f.Removed(publications) }
			n, err = s.conn.Removed(context.Background(), publications)
		case "Added":
			gone = func(f conntrack.Flow) bool { return f.Added(publications, conntrack.IsLocal) }
			n, err = s.conn.Added(context.Background(), publications, conntrack.IsLocal)
		case "Released":
			gone = func(f conntrack.Flow) bool { return f.Released(addresses) }
			n, err = s.conn.Released(context.Background(), addresses)
		}
		left, want := s.marks(), 0
		for i, f := range flows {
			if left[i+1] == gone(f) {
				t.Errorf("%s: is there: %v, want %v", f, left[i+1], !gone(f))
			}
			if gone(f) {
				want++
			}
		}
		if err != nil || n != want {
			t.Errorf("says that %d were deleted, error %v, want %d", n, err, want)
		}
	})
}

func TestWalksAreFew(t *testing.T) {
	port := func(n int) conntrack.Publication {
		return parse(t, fmt.Sprintf("tcp 0.0.0.0:%d to 172.18.0.2:%d", n, n))
	}
	var ports []conntrack.Publication
	var addresses []string
	for n := range 1000 {
		ports = append(ports, port(n+1))
		addresses = append(addresses, fmt.Sprintf("10.0.%d.%d", n/250, n%250+1))
	}
	dual := []conntrack.Publication{parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53"), parse(t, "udp [::]:53 to [fd00::2]:53")}
	one := []string{"udp 198.51.100.9:1000 to 192.0.2.1:53"}
	type asked = conntrack.Asked
	for _, test := range []struct {
		name    string
		call    call
		entries []string
		want    asked
	}{
		{"nothing removed", removed(), one, asked{}},
		{"nothing released", released(), one, asked{}},
		{"TCP added", added(ports...), one, asked{}},
		{"removed from an empty table", removed(ports...), nil, asked{Sends: 1}},
		{"added to an empty table", added(dual...), nil, asked{Sends: 1}},
		{"released from an empty table", released(addresses...), nil, asked{Sends: 1}},
		{"one port removed", removed(ports[0]), one, asked{Sends: 4, Filtered: 1}},
		{"a few ports removed", removed(ports[:10]...), one, asked{Sends: 4, Filtered: 10}},
		{"many ports removed", removed(ports...), one, asked{Sends: 2, Dumps: 1}},
		{"a range removed", removed(parse(t, "udp 0.0.0.0:1-1000 to 172.18.0.2:1")), one, asked{Sends: 2, Dumps: 1}},
		{"two families removed", removed(dual...), one, asked{Sends: 5, Filtered: 1, Dumps: 1}},
		{"two families added", added(dual...), one, asked{Sends: 4, Dumps: 2, Named: 1}},
		{"one address released", released("172.18.0.2"), one, asked{Sends: 4, Filtered: 2}},
		{"addresses released", released(append(addresses, "fd00::2", "fd00::3")...), one, asked{Sends: 3, Dumps: 2}},
	} {
		s := newScratch(t)
		s.insert(test.entries...)
		_, err := test.call(t.Context(), s.conn)
		if diff := cmp.Diff(test.want, s.wire.Asked()); diff != "" || err != nil {
			t.Errorf("%s: error %v, asked (-want +got):\n%s", test.name, err, diff)
		}
	}
}

// TestLargeTablesAreWalkedOnce has so many entries that one dump costs as much as two
// deletions with a filter.
func TestLargeTablesAreWalkedOnce(t *testing.T) {
	s := newScratch(t)
	s.insert(many(20000)...)
	ports := []conntrack.Publication{parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53"), parse(t, "udp 0.0.0.0:54 to 172.18.0.2:53")}
	for want, call := range map[conntrack.Asked]call{
		{Sends: 4, Filtered: 1}: removed(ports[0]),
		{Sends: 2, Dumps: 1}:    removed(ports...),
	} {
		_, err := call(t.Context(), s.conn)
		if diff := cmp.Diff(want, s.wire.Asked()); diff != "" || err != nil {
			t.Errorf("error %v, asked (-want +got):\n%s", err, diff)
		}
	}
	// All at once, in many batches.
	n, err := s.conn.Removed(t.Context(), []conntrack.Publication{parse(t, "udp 0.0.0.0:1-65535 to 172.18.0.9:1")})
	if count, countErr := s.conn.Count(t.Context()); n != 20000 || err != nil || count != 0 || countErr != nil {
		t.Errorf("deleted %d, %v; left %d, %v", n, err, count, countErr)
	}
}

// many returns entries of other publications.
func many(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("udp 10.%d.%d.1:1000 to 192.0.2.1:99 at 172.18.0.9:99", i/250, i%250))
	}
	return out
}

func TestCount(t *testing.T) {
	s := newScratch(t)
	for _, want := range []int{0, 3} {
		if want > 0 {
			s.insert(many(want)...)
		}
		if got, err := s.conn.Count(t.Context()); got != want || err != nil {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	// What is in other namespaces does not count.
	if got, err := newScratch(t).conn.Count(t.Context()); got != 0 || err != nil {
		t.Errorf("elsewhere: got %d, %v", got, err)
	}
}

func TestOtherNamespacesStay(t *testing.T) {
	s, other := newScratch(t), newScratch(t)
	entries := []string{"udp 198.51.100.9:1000 to 192.0.2.1:53 at 172.18.0.2:53", "udp 198.51.100.9:1001 to 192.0.2.1:53"}
	s.insert(entries...)
	other.insert(entries...)
	p := parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53")
	for want, call := range []call{removed(p), added(p), released("172.18.0.2")} {
		_, err := call(t.Context(), s.conn)
		check(t, err)
		if got := len(other.marks()); got != 2 {
			t.Errorf("call %d: %d entries elsewhere, want 2", want, got)
		}
	}
	if got := s.marks(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestNonsenseDeletesNothing(t *testing.T) {
	s := newScratch(t)
	s.insert("udp 198.51.100.9:1000 to 192.0.2.1:53 at 172.18.0.2:53", "udp 198.51.100.9:1001 to 192.0.2.1:53")
	good, bad := parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53"), conntrack.Publication{Protocol: 6, HostPort: 80}
	for says, call := range map[string]call{
		"conntrack: forget connections of removed ports: publication of port 80: target":                   removed(good, bad),
		"conntrack: forget connections from before ports were added: publication of port 80: target":       added(good, bad),
		`conntrack: forget connections of released addresses: address "0.0.0.0": want that of a container`: released("172.18.0.2", "0.0.0.0"),
	} {
		n, err := call(t.Context(), s.conn)
		if n != 0 || !errors.Is(err, cnm.Invalid) || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("deleted %d, error %v, want it to be invalid and to begin with %q", n, err, says)
		}
	}
	if asked := s.wire.Asked(); asked != (conntrack.Asked{}) {
		t.Errorf("the kernel was asked: %+v", asked)
	}
}

// TestTrouble has answers changed on their way, and a call that counts, dumps and deletes.
func TestTrouble(t *testing.T) {
	type trouble = conntrack.Trouble
	fine, lost, interrupted := trouble(conntrack.Fine), conntrack.Loses(unix.ENOBUFS), trouble(conntrack.Interrupted)
	for name, test := range map[string]struct {
		kind             uint16
		trouble          []trouble
		dumps, deletions int
		want             error // nil if it works in the end
	}{
		"interrupted":          {conntrack.Dump, []trouble{interrupted, fine, fine, interrupted}, 3, 1, nil},
		"interrupted at last":  {conntrack.Dump, []trouble{fine, interrupted}, 2, 1, nil},
		"interrupted for ever": {conntrack.Dump, repeat(interrupted, 100), 20, 0, cnm.Conflict},
		"lost":                 {conntrack.Dump, []trouble{lost}, 2, 1, nil},
		"end lost":             {conntrack.Dump, []trouble{fine, conntrack.Loses(unix.EAGAIN)}, 2, 1, nil},
		"woken up":             {conntrack.Dump, []trouble{conntrack.WokenUp, fine, conntrack.WokenUp}, 1, 1, nil},
		"out of memory":        {conntrack.Dump, []trouble{conntrack.Refuses(unix.ENOMEM)}, 1, 0, cnm.Exhausted},
		"socket broken":        {conntrack.Dump, []trouble{conntrack.Loses(unix.EIO)}, 1, 0, unix.EIO},
		"cut off":              {conntrack.Dump, []trouble{conntrack.CutOff}, 1, 0, cnm.Internal},
		"too large":            {conntrack.Dump, []trouble{conntrack.TooLarge}, 1, 0, cnm.Internal},
		"count lost":           {conntrack.Count, []trouble{lost}, 1, 1, nil},
		"no count":             {conntrack.Count, []trouble{conntrack.Refuses(unix.EPERM)}, 0, 0, cnm.Forbidden},
		"no subsystem":         {conntrack.Count, []trouble{conntrack.Refuses(unix.EINVAL)}, 0, 0, cnm.Unsupported},
		"deletion lost":        {conntrack.Delete, []trouble{lost}, 1, 2, nil},
		"no deletion":          {conntrack.Delete, []trouble{conntrack.Refuses(unix.EPERM)}, 1, 1, cnm.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScratch(t)
			s.insert("udp 198.51.100.9:1000 to 192.0.2.1:53", "udp 198.51.100.9:1001 to 192.0.2.1:54")
			s.wire.Trouble(test.kind, test.trouble...)
			_, err := added(parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53"))(t.Context(), s.conn)
			asked := s.wire.Asked()
			if !errors.Is(err, test.want) || asked.Dumps != test.dumps {
				t.Errorf("error %v after %d dumps, want %v after %d", err, asked.Dumps, test.want, test.dumps)
			}
			if asked.Named != test.deletions {
				t.Errorf("%d deletions, want %d", asked.Named, test.deletions)
			}
			if left := s.marks(); test.want == nil && left[1] || !left[2] {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestDumpBrokenOff breaks off dumps of a table that takes the kernel more than a hundred
// answers. It begins no other before it has given them all.
func TestDumpBrokenOff(t *testing.T) {
	s := newScratch(t)
	s.wire.Age = conntrack.Ancient
	s.insert(many(20000)...)
	none, all := removed(parse(t, "udp 0.0.0.0:53 to 172.18.0.9:53")), removed(parse(t, "udp 0.0.0.0:99 to 172.18.0.9:99"))
	s.wire.Trouble(conntrack.Dump, conntrack.Fine, conntrack.Silent, conntrack.Silent)
	if n, err := none(t.Context(), s.conn); n != 0 || err != nil {
		t.Errorf("the kernel stopped: deleted %d, error %v", n, err)
	}
	if asked := s.wire.Asked(); asked.Dumps != 3 {
		t.Errorf("%d dumps, want one that is refused between two others", asked.Dumps)
	}
	s.wire.Trouble(conntrack.Dump, conntrack.Fine, conntrack.Loses(unix.EIO))
	if n, err := none(t.Context(), s.conn); n != 0 || !errors.Is(err, unix.EIO) {
		t.Errorf("we stopped: deleted %d, error %v", n, err)
	}
	if n, err := all(t.Context(), s.conn); n != 20000 || err != nil {
		t.Errorf("the next: deleted %d, error %v", n, err)
	}
	if count, err := s.conn.Count(t.Context()); count != 0 || err != nil {
		t.Errorf("%d are left, error %v", count, err)
	}
}

// TestGoneAlready has the entry go between the dump and the deletion.
func TestGoneAlready(t *testing.T) {
	s := newScratch(t)
	s.insert("udp 198.51.100.9:1000 to 192.0.2.1:53", "udp 198.51.100.9:1001 to 192.0.2.1:53")
	n, err := s.conn.Added(t.Context(), []conntrack.Publication{parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53")}, func(netip.Addr) bool {
		if s.marks()[1] {
			run(t, s.namespace, "", "conntrack", "-D", "-m", "1")
		}
		return true
	})
	if n != 1 || err != nil || len(s.marks()) != 0 {
		t.Errorf("deleted %d, error %v, left %v", n, err, s.marks())
	}
}

func TestTroubleWithFilters(t *testing.T) {
	for name, test := range map[string]struct {
		trouble conntrack.Trouble
		dumps   int
		want    error
	}{
		"lost":      {conntrack.Loses(unix.ENOBUFS), 0, nil},
		"unknown":   {conntrack.Refuses(unix.EOPNOTSUPP), 1, nil},
		"forbidden": {conntrack.Refuses(unix.EPERM), 0, cnm.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScratch(t)
			s.insert("udp 198.51.100.9:1000 to 192.0.2.1:53 at 172.18.0.2:53", "udp 198.51.100.9:1001 to 192.0.2.1:54")
			s.wire.Trouble(conntrack.Delete, test.trouble)
			_, err := removed(parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53"))(t.Context(), s.conn)
			if asked := s.wire.Asked(); !errors.Is(err, test.want) || asked.Dumps != test.dumps {
				t.Errorf("error %v after %d dumps, want %v after %d", err, asked.Dumps, test.want, test.dumps)
			}
			if left := s.marks(); test.want == nil && left[1] || !left[2] {
				t.Errorf("left %v", left)
			}
		})
	}
}

func repeat[T any](what T, times int) (out []T) {
	for range times {
		out = append(out, what)
	}
	return out
}

func TestClosed(t *testing.T) {
	s := newScratch(t)
	check(t, s.conn.Close())
	check(t, s.conn.Close())
	p := parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53")
	for i, call := range []call{removed(p), added(p), released("172.18.0.2"), func(ctx context.Context, c *conntrack.Conn) (int, error) { return c.Count(ctx) }} {
		if _, err := call(t.Context(), s.conn); !errors.Is(err, cnm.Unavailable) {
			t.Errorf("call %d: error %v, want unavailable", i, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	s := newScratch(t)
	s.insert(many(10)...)
	ctx, cancel := context.WithCancel(t.Context())
	p := parse(t, "udp 192.0.2.1:99 to 172.18.0.9:99")
	// It is over while the entries are read, before the first is deleted.
	n, err := s.conn.Added(ctx, []conntrack.Publication{parse(t, "udp 0.0.0.0:99 to 172.18.0.2:99")}, func(netip.Addr) bool { cancel(); return true })
	if n != 0 || !errors.Is(err, cnm.Timeout) || !errors.Is(err, context.Canceled) {
		t.Errorf("deleted %d, error %v", n, err)
	}
	if n, err := s.conn.Removed(ctx, []conntrack.Publication{p}); n != 0 || !errors.Is(err, cnm.Timeout) {
		t.Errorf("deleted %d, error %v", n, err)
	}
	if got := len(s.marks()); got != 10 {
		t.Errorf("%d entries are left", got)
	}
}

// TestManyAtOnce uses one Conn from everywhere, and others beside it.
func TestManyAtOnce(t *testing.T) {
	s := newScratch(t)
	var entries []string
	for i := range 1000 {
		entries = append(entries, fmt.Sprintf("udp 10.0.%d.%d:1000 to 192.0.2.1:%d at 172.18.0.2:53", i/250, i%250, 1+i%100))
	}
	s.insert(entries...)
	var group sync.WaitGroup
	var total atomic.Int64
	sctp := parse(t, "sctp 0.0.0.0:1 to 172.18.0.2:1") // with which it takes a dump
	for worker := range 10 {
		conn := s.conn
		if worker >= 5 {
			conn = s.dial()
		}
		var calls []call
		for port := range 10 {
			calls = append(calls, removed(parse(t, fmt.Sprintf("udp 0.0.0.0:%d to 172.18.0.2:53", 10*worker+port+1)), sctp))
		}
		group.Go(func() {
			for _, call := range calls {
				n, err := call(t.Context(), conn)
				if err != nil {
					t.Error(err)
				}
				total.Add(int64(n))
			}
		})
	}
	group.Wait()
	if left := s.marks(); total.Load() != 1000 || len(left) != 0 {
		t.Errorf("deleted %d, left %d", total.Load(), len(left))
	}
}

func TestNothingLeaks(t *testing.T) {
	s := newScratch(t)
	s.insert(many(10)...)
	use := func() {
		c := s.dial()
		for _, call := range []call{removed(parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53")), added(parse(t, "udp [::]:53 to [fd00::2]:53")), released("fd00::2")} {
			_, err := call(t.Context(), c)
			check(t, err)
		}
		check(t, c.Close())
	}
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		check(t, err)
		return len(entries)
	}
	use()
	files, routines := descriptors(), runtime.NumGoroutine()
	for range 20 {
		use()
	}
	if got := descriptors(); got > files {
		t.Errorf("%d descriptors, were %d", got, files)
	}
	if got := runtime.NumGoroutine(); got > routines {
		t.Errorf("%d goroutines, were %d", got, routines)
	}
}
