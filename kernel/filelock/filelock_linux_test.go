package filelock_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/filelock"
)

// holder, in the environment, has the test binary hold the lock of a file until it is killed.
const holder = "LIBNETWORK_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holder); path != "" {
		if _, err := filelock.Acquire(context.Background(), path); err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString("held\n")
		time.Sleep(time.Minute) // it is killed before
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func acquire(t *testing.T, path string) *filelock.Lock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := filelock.Acquire(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// busy fails unless the lock is somebody else's.
func busy(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := filelock.Acquire(ctx, path); !errors.Is(err, cnm.Timeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want an end of waiting", err)
	}
}

func release(t *testing.T, l *filelock.Lock) {
	t.Helper()
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}

// TestGivenUp: who has given up waiting does not get the lock later and keep it.
func TestGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l := acquire(t, path)
	for range 3 {
		busy(t, path)
	}
	waiting := make(chan *filelock.Lock)
	go func() { waiting <- acquire(t, path) }()
	release(t, l)
	l = <-waiting
	busy(t, path)
	release(t, l)
	release(t, acquire(t, path))
}

// TestKilled: the lock of a process that is killed is free.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), holder+"="+path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill := func() {
		if !killed {
			_, _ = c.Process.Kill(), c.Wait()
		}
		killed = true
	}
	defer kill()
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	busy(t, path)
	kill()
	release(t, acquire(t, path))
}

func TestCannot(t *testing.T) {
	if _, err := filelock.Acquire(t.Context(), filepath.Join(t.TempDir(), "none", "lock")); !errors.Is(err, cnm.NotFound) {
		t.Errorf("got %v", err)
	}
}
