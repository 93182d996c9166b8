package proxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/portmap/proxy"
)

const patience = 10 * time.Second

// listenTCP listens on a free port and serves each connection with fn, which owns it.
func listenTCP(t testing.TB, address string, fn func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { fn(conn.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); group.Wait() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// startTCP starts a proxy for the target and returns where it listens.
func startTCP(t testing.TB, target netip.AddrPort, o proxy.Options) (*proxy.Proxy, string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := proxy.Start(proxy.Listener{TCP: l.(*net.TCPListener)}, target, o)
	t.Cleanup(func() { _ = p.Close() })
	return p, l.Addr().String()
}

func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// wantReset connects, and wants to hear that the target cannot be reached. The reset may
// come as early as the connection.
func wantReset(t testing.TB, address string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err == nil {
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func random(n int) []byte {
	data := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(data)
	return data
}

// reversed answers with what it got, after it has got all: so it sees the half-close.
func reversed(conn *net.TCPConn) {
	defer func() { _ = conn.Close() }()
	data, err := io.ReadAll(conn)
	if err != nil {
		return
	}
	for i, j := 0, len(data)-1; i < j; i, j = i+1, j-1 {
		data[i], data[j] = data[j], data[i]
	}
	_, _ = conn.Write(data)
}

func TestTCPHalfClose(t *testing.T) {
	for _, target := range []string{"127.0.0.1:0", "[::1]:0"} {
		p, address := startTCP(t, listenTCP(t, target, reversed), proxy.Options{})
		conn := dial(t, "tcp", address).(*net.TCPConn)
		sent := random(5 << 20)
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
			got[i], got[j] = got[j], got[i]
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("target %s: got %d bytes back, other than the %d sent", target, len(got), len(sent))
		}
		eventually(t, "the connection ends", func() bool { return p.Statistics().Open == 0 })
		want := proxy.Statistics{Total: 1, Received: int64(len(sent)), Sent: int64(len(sent))}
		if got := p.Statistics(); got != want {
			t.Errorf("statistics %+v, want %+v", got, want)
		}
	}
}

func TestTCPManyAtOnce(t *testing.T) {
	_, address := startTCP(t, listenTCP(t, "127.0.0.1:0", reversed), proxy.Options{})
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = conn.Write([]byte("abc"))
			_ = conn.(*net.TCPConn).CloseWrite()
			if got, err := io.ReadAll(conn); string(got) != "cba" {
				t.Errorf("got %q, error %v", got, err)
			}
		})
	}
	group.Wait()
}

func TestTCPTargetRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := l.Addr().(*net.TCPAddr).AddrPort()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p, address := startTCP(t, nowhere, proxy.Options{})
	wantReset(t, address)
	if got := p.Statistics(); got.DialErrors != 1 || got.Total != 1 {
		t.Errorf("statistics %+v, want one connection and one error", got)
	}
}

func TestTCPTargetIsSlow(t *testing.T) {
	// A dialer that never gets anywhere stands for a container that drops everything.
	silent := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, address := startTCP(t, netip.MustParseAddrPort("192.0.2.1:1"), proxy.Options{Dial: silent, DialTimeout: 20 * time.Millisecond})
	wantReset(t, address)
}

func TestTCPTargetDies(t *testing.T) {
	target := listenTCP(t, "127.0.0.1:0", func(conn *net.TCPConn) {
		_, _ = conn.Write([]byte("half of"))
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.SetLinger(0)
		_ = conn.Close()
	})
	_, address := startTCP(t, target, proxy.Options{})
	conn := dial(t, "tcp", address)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q and error %v, want a reset: an orderly end would look complete", got, err)
	}
}

func TestCloseEndsConnections(t *testing.T) {
	before := runtime.NumGoroutine()
	released := make(chan struct{})
	target := listenTCP(t, "127.0.0.1:0", func(conn *net.TCPConn) {
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
		<-released
	})
	p, address := startTCP(t, target, proxy.Options{})
	var conns []net.Conn
	for range 10 {
		conns = append(conns, dial(t, "tcp", address))
	}
	eventually(t, "all are open", func() bool { return p.Statistics().Open == 10 })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, conn := range conns {
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read after Close gave %v", err)
		}
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the port still takes connections")
	}
	if err := p.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	close(released)
	// What stays is the target's listener, till the end of the test.
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before+1 })
}

func TestAcceptAfterTrouble(t *testing.T) {
	// The dialer's first connection fails: the proxy must take the next one.
	first := true
	flaky := func(ctx context.Context, network, address string) (net.Conn, error) {
		if first {
			first = false
			return nil, errors.New("no descriptors left")
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	_, address := startTCP(t, listenTCP(t, "127.0.0.1:0", reversed), proxy.Options{Dial: flaky})
	wantReset(t, address)
	conn := dial(t, "tcp", address).(*net.TCPConn)
	_, _ = conn.Write([]byte("ab"))
	_ = conn.CloseWrite()
	if got, err := io.ReadAll(conn); string(got) != "ba" {
		t.Errorf("got %q, error %v", got, err)
	}
}

func BenchmarkTCP(b *testing.B) {
	const chunk = 1 << 20
	for name, streams := range map[string]int{"streams=1": 1, "streams=8": 8} {
		b.Run(name, func(b *testing.B) {
			target := listenTCP(b, "127.0.0.1:0", func(conn *net.TCPConn) {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			})
			_, address := startTCP(b, target, proxy.Options{})
			data := random(chunk)
			b.SetBytes(chunk)
			b.ResetTimer()
			var group sync.WaitGroup
			for i := range streams {
				group.Go(func() {
					conn, err := net.Dial("tcp", address)
					if err != nil {
						b.Error(err)
						return
					}
					for n := i; n < b.N; n += streams {
						_, _ = conn.Write(data)
					}
					_ = conn.(*net.TCPConn).CloseWrite()
					_, _ = io.Copy(io.Discard, conn) // until the target has all
					_ = conn.Close()
				})
			}
			group.Wait()
		})
	}
}
