package resolver_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

// load has clients send queries one after the other, each by a socket of its own, and
// waits for all answers. The name of the n-th query may depend on n.
func load(b *testing.B, address string, clients int, name func(n int64) string) {
	b.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range clients {
		group.Go(func() {
			conn, err := net.Dial("udp4", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			query, err := question(name(0), dns.TypeA).Pack()
			if err != nil {
				b.Error(err)
				return
			}
			answer := make([]byte, 4096)
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				// The first label may change, but not in length.
				label, _, _ := strings.Cut(name(n), ".")
				copy(query[13:], label)
				binary.BigEndian.PutUint16(query, uint16(n))
				if !exchangeBytes(b, conn, query, answer) {
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}

// exchangeBytes asks again when a datagram is lost, which happens to full sockets.
func exchangeBytes(b *testing.B, conn net.Conn, query, answer []byte) bool {
	for range 10 {
		_, _ = conn.Write(query)
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := conn.Read(answer)
		if err == nil && n > 12 && answer[3]&15 == dns.RcodeSuccess {
			return true
		}
	}
	b.Error("no answer")
	return false
}

func constant(name string) func(int64) string { return func(int64) string { return name } }

// BenchmarkServer measures how many answers clients get over the loopback; the yardstick
// is a server of miekg/dns that does next to nothing.
func BenchmarkServer(b *testing.B) {
	names := resolver.NewView(many("own", 3), many("one", 1000), many("two", 1000), many("three", 1000))
	up := quick(b)
	for _, clients := range []int{1, 8, 64} {
		f := forwarder(b, resolver.ForwarderOptions{})
		o := resolver.Options{View: fixed(names), Forwarder: f, Upstreams: through(resolver.Upstream{Address: up})}
		b.Run(fmt.Sprintf("yardstick/clients=%d", clients), func(b *testing.B) {
			load(b, yardstick(b), clients, constant("container500.two"))
		})
		b.Run(fmt.Sprintf("local/clients=%d", clients), func(b *testing.B) {
			load(b, serve(b, o).address, clients, constant("container500.two"))
		})
		b.Run(fmt.Sprintf("cached/clients=%d", clients), func(b *testing.B) {
			load(b, serve(b, o).address, clients, constant("www.example.com"))
		})
		b.Run(fmt.Sprintf("uncached/clients=%d", clients), func(b *testing.B) {
			o.Forwarder = forwarder(b, resolver.ForwarderOptions{CacheSize: -1})
			load(b, serve(b, o).address, clients, func(n int64) string { return fmt.Sprintf("w%010d.com", n) })
		})
	}
}

// yardstick starts a server of miekg/dns with one fixed answer.
func yardstick(b *testing.B) string {
	udp, tcp := listen(b)
	_ = tcp.Close()
	answer := record(b, "container500.two. 1 IN A 10.0.0.1")
	server := &dns.Server{PacketConn: udp, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		r := new(dns.Msg).SetReply(m)
		r.Answer = append(r.Answer, answer)
		_ = w.WriteMsg(r)
	})}
	started, done := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { defer close(done); _ = server.ActivateAndServe() }()
	<-started
	b.Cleanup(func() { _ = server.Shutdown(); <-done })
	return udp.LocalAddr().String()
}

// quick is a server outside that takes as little as can be: it gives each question back
// with one address.
func quick(b *testing.B) (address netip.AddrPort) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			msg := buffer[:n]
			msg[2], msg[3] = 0x81, 0x80
			end := 12
			for msg[end] != 0 {
				end += 1 + int(msg[end])
			}
			msg = append(msg[:end+5], 0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 1)
			msg[7], msg[11] = 1, 0
			_, _ = conn.WriteToUDPAddrPort(msg, from)
		}
	}()
	b.Cleanup(func() { _ = conn.Close(); <-done })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// BenchmarkNames measures what a change of a network with a thousand containers costs, what
// a view of three of them does, and a question.
func BenchmarkNames(b *testing.B) {
	one, two, three := many("one", 1000), many("two", 1000), many("three", 1000)
	b.Run("network", func(b *testing.B) {
		b.ReportAllocs()
		records := manyRecords("one", 1000)
		for b.Loop() {
			resolver.NewNames(records, nil, nil)
		}
	})
	b.Run("view", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			resolver.NewView(nil, one, two, three)
		}
	})
	view := resolver.NewView(nil, one, two, three)
	for name, known := range map[string]string{"hit": "container500.three", "miss": "www.example.com"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				view.Lookup(known)
			}
		})
	}
}
