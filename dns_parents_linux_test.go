package libnetwork_test

import (
	"net"
	"testing"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// serveNames answers every question for an IPv4 address with 203.0.113.5, from the far
// machine.
func (w *wire) serveNames(t *testing.T) {
	t.Helper()
	var packets net.PacketConn
	ok(t, kerneltest.Do(w.far, func() (err error) {
		packets, err = net.ListenPacket("udp4", farIPv4+":53")
		return err
	}))
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(out dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg).SetReply(question)
		record, err := dns.NewRR(question.Question[0].Name + " 60 IN A 203.0.113.5")
		if err == nil {
			answer.Answer = append(answer.Answer, record)
		}
		_ = out.WriteMsg(answer)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ActivateAndServe() // it ends with the socket
	}()
	t.Cleanup(func() {
		_ = packets.Close()
		<-done
	})
}

// A network on a parent leads to name servers there, unless it is internal; one without a
// parent is.
func TestNamesOutsideOfAParent(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan)
	w := newWire(t)
	w.serveNames(t)
	c := w.open(t)
	ask := func(name, want string, options ...libnetwork.NetworkOption) {
		t.Helper()
		n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", name, "", append(onWire("parent=phys0"), options...)...))
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name, libnetwork.OptionDNS(farIPv4)))
		ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint(name)).Join(sb))
		ping(t, sb, address(n.Endpoints()[0]))
		wantNames(t, sb, dns.TypeA, map[string]string{"outside.example": want, name: address(n.Endpoints()[0]).String()})
		empty(t, c)
	}
	ask("open", "203.0.113.5")
	ask("inside", "SERVFAIL", libnetwork.NetworkOptionInternalNetwork())
}

func TestNamesWithoutParent(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan, kerneltest.FeatureDummy)
	w := newWire(t)
	c := w.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("macvlan", "alone", "", onWire()...))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("a", libnetwork.OptionDNS(farIPv4)))
	ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint("a")).Join(sb))
	wantNames(t, sb, dns.TypeA, map[string]string{"outside.example": "SERVFAIL", "a": address(n.Endpoints()[0]).String()})
	empty(t, c)
}
