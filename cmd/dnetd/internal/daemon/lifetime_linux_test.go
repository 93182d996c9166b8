package daemon

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api/server"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/process"
)

// mortals is a controller with sandboxes that tell when they are deleted.
type mortals struct {
	libnetwork.NetworkController
	libnetwork.Inspector
	deleted chan string
	// failures are errors that deletions give before they succeed.
	failures chan error
	records  libnetwork.Records
}

func (m *mortals) SandboxByID(id string) (libnetwork.Sandbox, error) {
	return mortal{m: m, id: id}, nil
}

func (m *mortals) Records() libnetwork.Records { return m.records }

func (m *mortals) Events(ctx context.Context, _ uint64) iter.Seq[libnetwork.Event] {
	return func(func(libnetwork.Event) bool) { <-ctx.Done() }
}

type mortal struct {
	libnetwork.Sandbox
	m  *mortals
	id string
}

func (s mortal) ContainerID() string { return s.id }

func (s mortal) DeleteContext(context.Context) error {
	select {
	case err := <-s.m.failures:
		return err
	default:
	}
	s.m.deleted <- s.id
	return nil
}

func newMortals(t *testing.T) (*mortals, *lifetimes) {
	t.Helper()
	m := &mortals{deleted: make(chan string, 10), failures: make(chan error, 10)}
	l := newLifetimes(t.Context(), m, m, slog.New(slog.DiscardHandler))
	t.Cleanup(l.stop)
	return m, l
}

func (m *mortals) want(t *testing.T, id string) {
	t.Helper()
	select {
	case got := <-m.deleted:
		if got != id {
			t.Errorf("deleted %q, want %q", got, id)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("%q was not deleted", id)
	}
}

func (m *mortals) wantNone(t *testing.T) {
	t.Helper()
	select {
	case got := <-m.deleted:
		t.Errorf("deleted %q, whose owner lives", got)
	case <-time.After(50 * time.Millisecond):
	}
}

func ownerOf(t *testing.T, pid int) server.Owner {
	t.Helper()
	p, err := process.Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // nothing was written
	return server.Owner{PID: p.PID, Start: p.Start}
}

// TestOwnerWhoseNumberIsUsedAgain: another process with the number is not the owner.
func TestOwnerWhoseNumberIsUsedAgain(t *testing.T) {
	m, l := newMortals(t)
	self := ownerOf(t, os.Getpid())
	if err := l.Follow("lives", self); err != nil {
		t.Fatal(err)
	}
	m.wantNone(t)
	if err := l.Follow("dead", server.Owner{PID: self.PID, Start: self.Start - 1}); err != nil {
		t.Fatal(err)
	}
	m.want(t, "dead")
	m.wantNone(t)
}

// TestRestoreFollowsWhatIsRecorded: labels as they are after a restart, from JSON.
func TestRestoreFollowsWhatIsRecorded(t *testing.T) {
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	owner := ownerOf(t, command.Process.Pid)
	m, l := newMortals(t)
	labels := func(o server.Owner) map[string]any {
		return map[string]any{
			server.LabelLifetime: "process", server.LabelOwnerPID: strconv.Itoa(o.PID), server.LabelOwnerStart: strconv.FormatUint(o.Start, 10),
		}
	}
	if parsed, ok := server.OwnerOf(labels(owner)); !ok || parsed != owner {
		t.Fatalf("the labels say %+v, want %+v", parsed, owner)
	}
	m.records.Sandboxes = []*cnm.Sandbox{{ID: "free"}, {ID: "bound", Labels: labels(owner)}}
	l.restore()
	m.wantNone(t)
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	m.want(t, "bound")
}

// TestDeletionIsTriedAgain: the sandbox of a process that has gone does not stay because
// the disk was full at that moment.
func TestDeletionIsTriedAgain(t *testing.T) {
	m, l := newMortals(t)
	m.failures <- cnm.E("delete", cnm.Exhausted, errors.New("no space"))
	if err := l.Follow("dead", server.Owner{PID: os.Getpid(), Start: 1}); err != nil {
		t.Fatal(err)
	}
	m.want(t, "dead")
}

// TestFollowingLeavesNothing, also if no event tells that the sandbox has gone.
func TestFollowingLeavesNothing(t *testing.T) {
	m, l := newMortals(t)
	if err := l.Follow("dead", server.Owner{PID: os.Getpid(), Start: 1}); err != nil {
		t.Fatal(err)
	}
	m.want(t, "dead")
	l.stop()
	if len(l.followed) != 0 {
		t.Errorf("still followed: %d", len(l.followed))
	}
}

func TestStopEndsFollowing(t *testing.T) {
	m, l := newMortals(t)
	for _, id := range []string{"a", "b"} {
		if err := l.Follow(id, ownerOf(t, os.Getpid())); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() { l.stop(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("the following goes on")
	}
	m.wantNone(t)
}

func TestOwnerNeedsAUnixSocket(t *testing.T) {
	_, l := newMortals(t)
	for _, pid := range []int{0, os.Getpid()} {
		if _, err := l.Owner(t.Context(), pid); !errors.Is(err, cnm.Unsupported) {
			t.Errorf("%d: got %v", pid, err)
		}
	}
}

// TestOwnerIsWhoAsksOrIsNamed.
func TestOwnerIsWhoAsksOrIsNamed(t *testing.T) {
	_, l := newMortals(t)
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing to lose
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // nothing to lose
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing to lose
	ctx := context.WithValue(t.Context(), connectionKey{}, conn)
	for asked, want := range map[int]int{0: os.Getpid(), os.Getppid(): os.Getppid()} {
		if owner, err := l.Owner(ctx, asked); err != nil || owner != ownerOf(t, want) {
			t.Errorf("%d: %+v, %v", asked, owner, err)
		}
	}
	if _, err := l.Owner(ctx, 1<<30); !errors.Is(err, cnm.NotFound) {
		t.Errorf("one that there is not: %v", err)
	}
}
