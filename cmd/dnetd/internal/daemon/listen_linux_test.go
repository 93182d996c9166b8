package daemon

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/libnetwork/cnm"
)

// TestSocketNeverHasAnotherMode looks at the place of the socket all the time while it is
// made and replaced.
func TestSocketNeverHasAnotherMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "s")
	stop, seen := make(chan struct{}), 0
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if info, err := os.Lstat(path); err == nil {
				if seen++; info.Mode() != fs.ModeSocket|socketMode {
					t.Errorf("the socket has mode %s", info.Mode())
					return
				}
			}
		}
	})
	for range 300 {
		l, err := listenUnix(path, os.Getegid())
		if err != nil {
			t.Fatal(err)
		}
		// As after a kill: the file stays, with nobody behind it.
		if err := l.(*unixListener).UnixListener.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	group.Wait()
	if seen == 0 {
		t.Error("the socket was not seen once")
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the socket there are %v, %v", left, err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

func TestSocketIsNotTakenFromTheLiving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := listenUnix(path, os.Getegid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path, os.Getegid()); !errors.Is(err, cnm.Exists) || !strings.Contains(err.Error(), "already running") {
		t.Errorf("got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a closed socket is still there: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path, os.Getegid()); !errors.Is(err, cnm.Exists) || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("over a file: got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
}

// TestSocketOfAnotherStays: who closes takes away only what is its own.
func TestSocketOfAnotherStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := listenUnix(path, os.Getegid())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := listenUnix(path, os.Getegid())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close() //nolint:errcheck // nothing to lose
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the second socket is gone with the first: %v", err)
	}
	_ = conn.Close()
}

func TestNotifyByAnAbstractSocket(t *testing.T) {
	name := "@dnet-test-" + filepath.Base(t.TempDir()) + t.Name()
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close() //nolint:errcheck // read only
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "3000000")
	t.Setenv("WATCHDOG_PID", "1") // somebody else's
	n, err := newNotifier()
	if err != nil {
		t.Fatal(err)
	}
	if n.watchdog != 0 {
		t.Errorf("another process's watchdog is taken for ours: %s", n.watchdog)
	}
	if os.Getenv("NOTIFY_SOCKET") != "" {
		t.Error("children would inherit the socket")
	}
	if err := n.send("READY=1"); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 64)
	got, err := told.Read(buffer)
	if err != nil || string(buffer[:got]) != "READY=1" {
		t.Errorf("got %q, %v", buffer[:got], err)
	}
}
