package kernel_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// TestListen wants what is sent to the address and port to arrive, and processes of the
// container to be able to bind the port themselves.
func TestListen(t *testing.T) {
	const address = "127.0.0.11:53"
	for _, backend := range []string{kernel.NFTables, kernel.IPTablesNFT, kernel.IPTablesLegacy} {
		t.Run(backend, func(t *testing.T) {
			host, err := kernel.Open(kernel.Options{
				HostNamespace: kerneltest.NewNamespace(t), Instance: "listen", Firewall: kernel.FirewallOptions{Backend: backend},
			})
			check(t, err)
			t.Cleanup(func() { check(t, host.Close()) })
			container := kerneltest.NewNamespace(t)
			for _, name := range []string{"first", "second"} { // as after a restart
				packets, streams, err := host.Container().Listen(t.Context(), container, netip.MustParseAddrPort(address))
				check(t, err)
				serve(packets, streams, name)
				for _, network := range []string{"udp", "tcp"} {
					got, err := kerneltest.Ask(container, network, address, time.Second)
					if err != nil || !strings.HasPrefix(got, name) {
						t.Errorf("%s: answer %q, %v; want one of %s", network, got, err, name)
					}
				}
				stop, err := kerneltest.StartServer(container, "own", "0.0.0.0:53")
				check(t, err)
				if got, err := kerneltest.Ask(container, "udp", "127.0.0.1:53", time.Second); err != nil || !strings.HasPrefix(got, "own") {
					t.Errorf("the container's own server: answer %q, %v", got, err)
				}
				if got, err := kerneltest.Ask(container, "udp", address, time.Second); err != nil || !strings.HasPrefix(got, name) {
					t.Errorf("beside the container's own server: answer %q, %v", got, err)
				}
				stop()
				check(t, errors.Join(packets.Close(), streams.Close()))
			}
			conn, err := host.Container().Dial(t.Context(), container, "udp", "127.0.0.1:9")
			check(t, err)
			check(t, conn.Close())
		})
	}
}

// TestListenWithoutFirewall takes the port itself.
func TestListenWithoutFirewall(t *testing.T) {
	host, err := kernel.Open(kernel.Options{
		HostNamespace: kerneltest.NewNamespace(t), Instance: "listen", Firewall: kernel.FirewallOptions{Backend: kernel.NoFirewall},
	})
	check(t, err)
	t.Cleanup(func() { check(t, host.Close()) })
	container := kerneltest.NewNamespace(t)
	packets, streams, err := host.Container().Listen(t.Context(), container, netip.MustParseAddrPort("127.0.0.11:53"))
	check(t, err)
	serve(packets, streams, "direct")
	if got, err := kerneltest.Ask(container, "tcp", "127.0.0.11:53", time.Second); err != nil || got != "direct" {
		t.Errorf("answer %q, %v", got, err)
	}
	check(t, errors.Join(packets.Close(), streams.Close()))
	for _, wrong := range []string{"192.0.2.1:53", "[::1]:53"} {
		if _, _, err := host.Container().Listen(t.Context(), container, netip.MustParseAddrPort(wrong)); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: error %v, want invalid", wrong, err)
		}
	}
}

// serve answers everybody until the sockets are closed.
func serve(packets net.PacketConn, streams net.Listener, name string) {
	go func() {
		buffer := make([]byte, 100)
		for {
			_, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = packets.WriteTo([]byte(name), from)
		}
	}()
	go func() {
		for {
			conn, err := streams.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name)
			_ = conn.Close()
		}
	}()
}

// BenchmarkListen takes the address in a new namespace.
func BenchmarkListen(b *testing.B) {
	host, err := kernel.Open(kernel.Options{HostNamespace: kerneltest.NewNamespace(b), Instance: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	folder := b.TempDir()
	var total time.Duration
	for b.Loop() {
		path := filepath.Join(folder, "ns")
		if err := host.Namespaces().Create(b.Context(), path); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		packets, streams, err := host.Container().Listen(b.Context(), path, netip.MustParseAddrPort("127.0.0.11:53"))
		if err != nil {
			b.Fatal(err)
		}
		total += time.Since(begin)
		_, _ = packets.Close(), streams.Close()
		_ = host.Namespaces().Delete(b.Context(), path)
	}
	b.ReportMetric(total.Seconds()*1e6/float64(b.N), "us/listen")
	_ = host.Close()
}
