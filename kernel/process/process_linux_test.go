package process

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
)

func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	command := exec.Command("sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command
}

func TestWaitReturnsWhenTheProcessIsKilled(t *testing.T) {
	command := sleeper(t)
	p, err := Open(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // nothing was written
	if p.PID != command.Process.Pid || p.Start == 0 {
		t.Errorf("got %+v", p)
	}
	done := make(chan error, 1)
	go func() { done <- p.Wait(t.Context()) }()
	select {
	case err := <-done:
		t.Fatalf("the wait was over while the process lived: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := command.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the process is dead, and the wait goes on")
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Errorf("a second wait: %v", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	p, err := Open(sleeper(t).Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // nothing was written
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestOpenWhatHasEnded(t *testing.T) {
	command := exec.Command("true")
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{command.Process.Pid, -1, 0} {
		if _, err := Open(pid); !errors.Is(err, cnm.NotFound) {
			t.Errorf("%d: got %v", pid, err)
		}
	}
}

func TestPeerIsWhoConnected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing to lose
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // nothing to lose
	server, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // nothing to lose
	p, err := Peer(server)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // nothing was written
	self, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close() //nolint:errcheck // nothing was written
	if p.PID != self.PID || p.Start != self.Start {
		t.Errorf("got %+v, want %+v", p, self)
	}
	if user, err := PeerUser(server); err != nil || user != os.Geteuid() {
		t.Errorf("user %d, %v", user, err)
	}
}

func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	if pid, _, err := LockHolder(path); pid != 0 || err != nil {
		t.Errorf("before: %d, %v", pid, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if pid, name, err := LockHolder(path); pid != os.Getpid() || name == "" || err != nil {
		t.Errorf("got %d, %q, %v", pid, name, err)
	}
}

func TestMonotonicGoesOn(t *testing.T) {
	first, err := Monotonic()
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := Monotonic(); first <= 0 || second < first {
		t.Errorf("%v, then %v", first, second)
	}
}

func FuzzParseStart(f *testing.F) {
	f.Add("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20")
	f.Add("")
	f.Add("1 (x")
	f.Fuzz(func(t *testing.T, stat string) {
		if start, err := parseStart(stat); err != nil && start != 0 && !strings.Contains(err.Error(), "range") {
			t.Errorf("%d and %v", start, err)
		}
	})
}

func TestParseStart(t *testing.T) {
	start, err := parseStart("1 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20")
	if start != 4711 || err != nil {
		t.Errorf("got %d, %v", start, err)
	}
}
