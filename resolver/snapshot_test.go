package resolver_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

// generation is a view in which every address tells which one it is of.
func generation(n int) *resolver.View {
	list := func(layer int) []netip.Addr {
		var out []netip.Addr
		for i := range 4 {
			out = append(out, netip.AddrFrom4([4]byte{10, byte(layer), byte(n), byte(i)}))
		}
		return out
	}
	one := resolver.NewNames([]resolver.Record{{Name: "a", Addrs: list(1)}, {Name: "b", Addrs: list(1)}},
		[]resolver.Service{{Name: "s", Port: "p", Proto: "tcp", Number: uint16(n), Targets: []string{"a", "b", "c"}}}, nil)
	two := resolver.NewNames([]resolver.Record{{Name: "c", Addrs: list(2)}}, nil, nil)
	return resolver.NewView(nil, one, two)
}

// generations returns those that an answer is of.
func generations(m *dns.Msg) map[byte]bool {
	out := map[byte]bool{}
	for _, rr := range append(m.Answer, m.Extra...) {
		switch rr := rr.(type) {
		case *dns.A:
			out[rr.A.To4()[2]] = true
		case *dns.SRV:
			out[byte(rr.Port)] = true
		}
	}
	return out
}

// TestAnswersAreOfOneSnapshot asks while views and upstreams change.
func TestAnswersAreOfOneSnapshot(t *testing.T) {
	noLeaks(t)
	var view atomic.Pointer[resolver.View]
	var upstreams atomic.Pointer[[]resolver.Upstream]
	view.Store(generation(0))
	up := outside(t, good(t))
	lists := []*[]resolver.Upstream{{}, {up.upstream()}, {up.upstream(), up.upstream()}}
	upstreams.Store(lists[0])
	f := forwarder(t, resolver.ForwarderOptions{})
	s := serve(t, resolver.Options{View: view.Load, Forwarder: f, Upstreams: func() []resolver.Upstream { return *upstreams.Load() }})
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				view.Store(generation(n % 256))
				upstreams.Store(lists[n%len(lists)])
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	var asked sync.WaitGroup
	end := time.Now().Add(500 * time.Millisecond)
	for client := range 4 {
		asked.Go(func() {
			c := dns.Client{Net: []string{"udp", "tcp"}[client%2], Timeout: patience}
			conn, err := c.Dial(s.address)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			for i := 0; time.Now().Before(end); i++ {
				m := question([]string{"a", "c", "_p._tcp.s", "example.com"}[i%4], []uint16{dns.TypeA, dns.TypeA, dns.TypeSRV, dns.TypeA}[i%4])
				got, _, err := c.ExchangeWithConn(m, conn)
				if err != nil {
					t.Error(err)
					return
				}
				want := []string{"4 0", "4 0", "3 12", "1 0"}[i%4]
				if counts := fmt.Sprint(len(got.Answer), " ", len(got.Extra)); counts != want && got.Rcode == dns.RcodeSuccess || i%4 < 3 && len(generations(got)) != 1 {
					t.Errorf("%s: got %v", m.Question[0].Name, got)
				}
			}
		})
	}
	asked.Wait()
	close(stop)
	group.Wait()
	if got := s.Statistics(); got.Local == 0 || got.Malformed+got.Limited+got.Refused != 0 {
		t.Errorf("statistics %+v", got)
	}
}
