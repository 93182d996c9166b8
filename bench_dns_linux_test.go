package libnetwork_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// BenchmarkDNS has dnsperf ask in a container: an empty server of the library that ours is
// made with, for what the machine can do; the embedded one for a container's name; for a
// name outside that is kept; and for names outside that are not, of another server.
func BenchmarkDNS(b *testing.B) {
	if _, err := exec.LookPath("dnsperf"); errors.Is(err, exec.ErrNotFound) {
		b.Skip("needs dnsperf: apt-get install dnsperf")
	}
	l := newLan(b)
	c := l.open(b, config.OptionAnnounce(0, 0))
	n := must[libnetwork.Network](b)(c.NewNetwork("bridge", "front", ""))
	sb := must[libnetwork.Sandbox](b)(c.NewSandbox("web", libnetwork.OptionDNS(kerneltest.NeighborIPv4)))
	ok(b, must[libnetwork.Endpoint](b)(n.CreateEndpoint("web")).Join(sb))
	answerAll(b, sb.Key(), "127.0.0.1:53", 60)
	answerAll(b, l.Neighbor, kerneltest.NeighborIPv4+":53", 60)
	folder := b.TempDir()
	file := func(name string, lines ...string) string {
		ok(b, os.WriteFile(folder+"/"+name, []byte(strings.Join(lines, " A\n")+" A\n"), 0o600))
		return folder + "/" + name
	}
	var fresh []string
	for i := range 400_000 {
		fresh = append(fresh, "name"+strconv.Itoa(i)+".example")
	}
	for _, shape := range []struct{ name, server, file string }{
		{"empty", "127.0.0.1", file("empty", "web")}, {"local", "127.0.0.11", file("local", "web")},
		{"cached", "127.0.0.11", file("cached", "outside.example")}, {"forwarded", "127.0.0.11", file("forwarded", fresh...)},
	} {
		for _, clients := range []string{"1", "8", "64"} {
			b.Run(shape.name+"/clients="+clients, func(b *testing.B) {
				var rate, latency float64
				for b.Loop() {
					out := run(b, sb.Key(), "dnsperf", "-s", shape.server, "-d", shape.file, "-c", clients, "-q", "100", "-l", "2")
					rate += number(b, out, `Queries per second: +([0-9.]+)`)
					latency += number(b, out, `Average Latency \(s\): +([0-9.]+)`)
				}
				b.ReportMetric(rate/float64(b.N), "q/s")
				b.ReportMetric(latency/float64(b.N)*1e6, "us")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
	empty(b, c)
}

func number(b *testing.B, text, pattern string) float64 {
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		b.Fatalf("no %q in\n%s", pattern, text)
	}
	return must[float64](b)(strconv.ParseFloat(found[1], 64))
}

// answerAll answers each question with an address, until the benchmark ends.
func answerAll(b *testing.B, namespace, address string, ttl uint32) {
	b.Helper()
	var packets net.PacketConn
	ok(b, kerneltest.Do(namespace, func() (err error) {
		packets, err = net.ListenPacket("udp", address)
		return err
	}))
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg).SetReply(question)
		answer.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: question.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl},
			A:   net.IPv4(203, 0, 113, 9),
		}}
		_ = w.WriteMsg(answer)
	})}
	go func() { _ = server.ActivateAndServe() }()
	b.Cleanup(func() { _ = server.Shutdown() })
}
