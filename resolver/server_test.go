package resolver_test

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork/resolver"
)

func TestForwardedOnceAndKept(t *testing.T) {
	noLeaks(t)
	up := outside(t, answers(t, "example.com. 60 IN A 192.0.2.1"))
	f := forwarder(t, resolver.ForwarderOptions{})
	s := serve(t, resolver.Options{View: fixed(nil), Forwarder: f, Upstreams: through(up.upstream())})
	for _, network := range []string{"udp", "tcp", "udp"} {
		got := s.exchange(t, network, question("example.com", dns.TypeA))
		if len(got.Answer) != 1 || got.Rcode != dns.RcodeSuccess || got.Authoritative || !got.RecursionAvailable {
			t.Errorf("by %s: %v", network, got)
		}
	}
	if got := up.udp.Load() + up.tcp.Load(); got != 1 {
		t.Errorf("the server outside was asked %d times, want once", got)
	}
	if got := s.Statistics(); got != (resolver.Statistics{Cached: 2, Forwarded: 1}) && got.Connections != 1 {
		t.Errorf("statistics %+v", got)
	}
}
