package hangup_test

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/docker/libnetwork/kernel/hangup"
)

// pair returns both ends of a connection.
func pair(t *testing.T, network, at string) (here, there net.Conn) {
	t.Helper()
	listener, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // both ends are there, or the test has failed
	if here, err = net.Dial(network, listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, end := range []net.Conn{here, there} {
			if err := end.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
	})
	return here, there
}

func TestSeen(t *testing.T) {
	for network, at := range map[string]string{"unix": filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0"} {
		t.Run(network, func(t *testing.T) {
			here, there := pair(t, network, at)
			if hangup.Seen(here) {
				t.Error("seen while both ends are open")
			}
			if _, err := io.WriteString(there, "x"); err != nil {
				t.Fatal(err)
			}
			if err := there.Close(); err != nil {
				t.Fatal(err)
			}
			var b [2]byte
			if n, err := here.Read(b[:]); n != 1 || err != nil || b[0] != 'x' {
				t.Errorf("read %d bytes, %q, %v: something was taken", n, b[:n], err)
			}
			// The end comes behind the byte; a read that finds it has waited for it.
			if _, err := here.Read(b[:]); !errors.Is(err, io.EOF) {
				t.Errorf("read: %v", err)
			}
			if !hangup.Seen(here) {
				t.Error("not seen when the other end is closed")
			}
			if err := here.Close(); err != nil {
				t.Error(err)
			}
			if hangup.Seen(here) {
				t.Error("seen on what is closed here")
			}
		})
	}
}

// A connection that was reset is of no use either, nor does looking need a reader to stop.
func TestReset(t *testing.T) {
	here, there := pair(t, "tcp", "127.0.0.1:0")
	reading := make(chan error)
	go func() {
		_, err := here.Read(make([]byte, 1))
		reading <- err
	}()
	if hangup.Seen(here) {
		t.Error("seen while somebody reads")
	}
	if err := there.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := there.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-reading; err == nil {
		t.Error("a byte came from a connection that was reset")
	}
	if !hangup.Seen(here) {
		t.Error("not seen when the connection was reset")
	}
}

func TestNoSocket(t *testing.T) {
	here, there := net.Pipe()
	if err := there.Close(); err != nil {
		t.Fatal(err)
	}
	if hangup.Seen(here) {
		t.Error("seen on what is no socket")
	}
	if err := here.Close(); err != nil {
		t.Error(err)
	}
}
