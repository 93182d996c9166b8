package conntrack_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/kernel/conntrack"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scratch is a namespace with a table.
type scratch struct {
	t         testing.TB
	namespace string
	conn      *conntrack.Conn
	wire      *conntrack.Wire
}

func newScratch(t testing.TB) *scratch { return inNamespace(t, kerneltest.NewNamespace(t)) }

func inNamespace(t testing.TB, namespace string) *scratch {
	t.Helper()
	s := &scratch{t: t, namespace: namespace}
	s.conn = s.dial()
	s.wire = conntrack.Interpose(s.conn, conntrack.Present)
	return s
}

func (s *scratch) dial() *conntrack.Conn {
	s.t.Helper()
	var conn *conntrack.Conn
	check(s.t, kerneltest.Do(s.namespace, func() (err error) {
		conn, err = conntrack.Dial()
		return err
	}))
	s.t.Cleanup(func() { check(s.t, conn.Close()) })
	return conn
}

// run runs a program in the namespace, with the input, and returns what it prints.
func run(t testing.TB, namespace, input, program string, arguments ...string) string {
	t.Helper()
	var out, complaint strings.Builder
	err := kerneltest.Do(namespace, func() error {
		command := exec.Command(program, arguments...)
		command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &complaint
		return command.Run()
	})
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(arguments, " "), err, &out, &complaint)
	}
	return out.String()
}

// insert empties the table and fills it. The text of an entry is that of a flow, and then options of the
// program conntrack. Its mark is its place in the list, from 1 on.
func (s *scratch) insert(entries ...string) {
	s.t.Helper()
	var script strings.Builder
	script.WriteString("-F\n")
	for i, text := range entries {
		text, options, _ := strings.Cut(text, " -")
		if options != "" {
			options = "-" + options
		}
		f := conntrack.ParseFlow(text)
		fmt.Fprintf(&script, "-I -t 600 -m %d -p %s -s %s --sport %d -d %s --dport %d %s", i+1, f.Protocol,
			f.Client.Addr(), f.Client.Port(), f.Sent.Addr(), f.Sent.Port(), options)
		switch f.Protocol {
		case netstate.TCP:
			script.WriteString(" --state ESTABLISHED")
		case netstate.SCTP:
			script.WriteString(" --state ESTABLISHED --orig-vtag 1 --reply-vtag 2")
		}
		switch {
		case f.Led == f.Sent:
		case f.Protocol == netstate.SCTP: // whose port the program does not translate
			fmt.Fprintf(&script, " --dst-nat %s", f.Led.Addr())
		default:
			fmt.Fprintf(&script, " --dst-nat %s", f.Led)
		}
		script.WriteString("\n")
	}
	run(s.t, s.namespace, script.String(), "conntrack", "-R", "-")
}

// list is what the program conntrack shows, one entry a line.
func (s *scratch) list() string {
	s.t.Helper()
	return run(s.t, s.namespace, "", "conntrack", "-L", "-o", "extended")
}

// marks returns those of the entries that are left.
func (s *scratch) marks() map[int]bool {
	s.t.Helper()
	marks := make(map[int]bool)
	for _, match := range regexp.MustCompile(`mark=(\d+)`).FindAllStringSubmatch(s.list(), -1) {
		mark, err := strconv.Atoi(match[1])
		check(s.t, err)
		marks[mark] = true
	}
	return marks
}

// call is one of Removed, Added and Released.
type call func(context.Context, *conntrack.Conn) (int, error)

func removed(publications ...conntrack.Publication) call {
	return func(ctx context.Context, c *conntrack.Conn) (int, error) { return c.Removed(ctx, publications) }
}

func added(publications ...conntrack.Publication) call {
	return func(ctx context.Context, c *conntrack.Conn) (int, error) {
		return c.Added(ctx, publications, conntrack.IsLocal)
	}
}

func released(addresses ...string) call {
	var parsed []netip.Addr
	for _, a := range addresses {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return func(ctx context.Context, c *conntrack.Conn) (int, error) { return c.Released(ctx, parsed) }
}

// parse reads a publication as the packet filter has it.
func parse(t testing.TB, text string) conntrack.Publication {
	t.Helper()
	i, err := netstate.ParseIntent("publish " + text)
	check(t, err)
	return conntrack.Publication{
		Protocol: uint8(i.Protocol), HostAddr: i.Host, HostPort: i.Port, HostPortEnd: i.PortEnd, Target: i.Target, TargetPort: i.TargetPort,
	}
}

// forgets fills the table, makes the call, and wants to miss the entries that end with
// "gone" and no others, from a kernel of each age.
func forgets(t *testing.T, call call, entries ...string) {
	t.Helper()
	s := newScratch(t)
	for _, age := range []conntrack.Age{conntrack.Present, conntrack.Old, conntrack.Ancient, conntrack.Wary} {
		var plain, gone, missing []string
		for _, e := range entries {
			text, isGone := strings.CutSuffix(e, " gone")
			plain = append(plain, text)
			if isGone {
				gone = append(gone, text)
			}
		}
		s.insert(plain...)
		s.wire.Age = age
		deleted, err := call(t.Context(), s.conn)
		check(t, err)
		left := s.marks()
		for i, text := range plain {
			if !left[i+1] {
				missing = append(missing, text)
			}
		}
		if diff := cmp.Diff(gone, missing); diff != "" {
			t.Errorf("%s: forgotten (-want +got):\n%s", age, diff)
		}
		if deleted != len(missing) {
			t.Errorf("%s: says that %d were deleted, and it were %d", age, deleted, len(missing))
		}
	}
}
