package libnetwork_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/types"
)

// inARow are ports of TCP from first on, each published as itself.
func inARow(first, count int) []types.PortBinding {
	out := make([]types.PortBinding, count)
	for i := range out {
		out[i] = tcp(uint16(first+i), uint16(first+i))
	}
	return out
}

// scattered are ports that are no row: each is one of its own for the packet filter.
func scattered(first, count int) []types.PortBinding {
	out := make([]types.PortBinding, count)
	for i := range out {
		out[i] = tcp(uint16(80+i), uint16(first+2*i))
	}
	return out
}

// BenchmarkPublish is what joining and leaving take with ports, on a host with nothing
// else and on one with a thousand networks and five thousand ports. The figures are
// medians.
func BenchmarkPublish(b *testing.B) {
	for _, crowd := range []struct{ networks, ports int }{{0, 0}, {1000, 5000}} {
		c := openController(b, config.OptionInMemoryStore(), config.OptionAnnounce(0, 0),
			config.OptionDefaultAddressPools([]config.AddressPool{{Base: "10.0.0.0/8", Size: 24}}))
		n := crowdedHost(b, c, crowd.networks, crowd.ports)
		for _, shape := range []struct {
			name  string
			ports []types.PortBinding
		}{
			{"ports=0", nil}, {"ports=1", scattered(40000, 1)}, {"ports=10", scattered(40000, 10)},
			{"ports=100", scattered(40000, 100)}, {"range=10000", inARow(40000, 10000)},
		} {
			b.Run(fmt.Sprintf("networks=%d/%s", crowd.networks, shape.name), func(b *testing.B) { benchPublish(b, c, n, shape.ports) })
		}
	}
}

// crowdedHost makes networks with containers that publish ports, and one network more.
func crowdedHost(b *testing.B, c libnetwork.NetworkController, networks, ports int) libnetwork.Network {
	for i := range networks {
		n := must[libnetwork.Network](b)(c.NewNetwork("bridge", fmt.Sprint("crowd", i), ""))
		if each := ports / 100; i < 100 {
			sb := must[libnetwork.Sandbox](b)(c.NewSandbox(n.Name(), libnetwork.OptionPortMapping(scattered(10000+2*each*i, each))))
			ok(b, must[libnetwork.Endpoint](b)(n.CreateEndpoint(n.Name())).Join(sb))
		}
	}
	return must[libnetwork.Network](b)(c.NewNetwork("bridge", "measured", ""))
}

func benchPublish(b *testing.B, c libnetwork.NetworkController, n libnetwork.Network, ports []types.PortBinding) {
	var joins, leaves []time.Duration
	children := childFaults(b)
	for b.Loop() {
		sb := must[libnetwork.Sandbox](b)(c.NewSandbox("measured", libnetwork.OptionPortMapping(ports)))
		ep := must[libnetwork.Endpoint](b)(n.CreateEndpoint("measured"))
		begin := time.Now()
		ok(b, ep.Join(sb))
		joined := time.Now()
		ok(b, ep.Leave(sb))
		joins, leaves = append(joins, joined.Sub(begin)), append(leaves, time.Since(joined))
		ok(b, ep.Delete(false))
		ok(b, sb.Delete())
	}
	median := func(of []time.Duration) float64 {
		slices.Sort(of)
		return of[len(of)/2].Seconds() * 1000
	}
	b.ReportMetric(median(joins), "ms/join")
	b.ReportMetric(median(leaves), "ms/leave")
	b.ReportMetric(0, "ns/op")
	if got := childFaults(b); got != children {
		b.Error("a process was started")
	}
}

// childFaults grows whenever a child process has ended.
func childFaults(t testing.TB) int64 {
	t.Helper()
	var usage syscall.Rusage
	ok(t, syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage))
	return usage.Minflt
}

// BenchmarkThroughput sends by TCP through a published port, and through the one rule
// that an administrator would write by hand for the same.
func BenchmarkThroughput(b *testing.B) {
	const port = 5201
	for _, proxied := range []bool{false, true} {
		l := newLan(b)
		c := l.open(b, config.OptionDriverConfig("bridge", map[string]interface{}{"EnableUserlandProxy": proxied}))
		n := must[libnetwork.Network](b)(c.NewNetwork("bridge", "measured", ""))
		sb, ep := published(b, c, n, "measured", tcp(port, port), udp(port, port))
		server := exec.CommandContext(b.Context(), "iperf3", "--server", "--port", fmt.Sprint(port))
		ok(b, kerneltest.Do(sb.Key(), server.Start))
		byHand := fmt.Sprintf("add table ip hand; add chain ip hand pre { type nat hook prerouting priority -110; }; "+
			"add rule ip hand pre tcp dport %d dnat to %s:%d", port+1, address(ep), port)
		run(b, l.Host, "nft", byHand+fmt.Sprintf("; add rule ip hand pre udp dport %d dnat to %s:%d", port+1, address(ep), port))
		host := kerneltest.HostIPv4
		for _, streams := range []int{1, 8} {
			if proxied {
				b.Run(fmt.Sprintf("proxy/streams=%d", streams), func(b *testing.B) { iperf(b, l.Host, "127.0.0.1", port, streams) })
				continue
			}
			b.Run(fmt.Sprintf("published/streams=%d", streams), func(b *testing.B) { iperf(b, l.Neighbor, host, port, streams) })
			b.Run(fmt.Sprintf("byhand/streams=%d", streams), func(b *testing.B) { iperf(b, l.Neighbor, host, port+1, streams) })
		}
		if proxied {
			b.Run("proxy/udp", func(b *testing.B) {
				iperf(b, l.Host, "127.0.0.1", port, 1, "--udp", "--bitrate", "0", "--length", "1400")
			})
		}
		ok(b, server.Process.Kill())
		_ = server.Wait() // it says that it was killed
		empty(b, c)
	}
}

// iperf reports what arrives, as the median of the runs.
func iperf(b *testing.B, from, host string, port, streams int, more ...string) {
	var rates []float64
	for b.Loop() {
		args := append([]string{"--client", host, "--port", fmt.Sprint(port), "--parallel", fmt.Sprint(streams), "--time", "2", "--json"}, more...)
		var result struct {
			End struct {
				Received struct {
					Rate float64 `json:"bits_per_second"`
					Lost float64 `json:"lost_percent"`
				} `json:"sum_received"`
				Sum struct {
					Rate float64 `json:"bits_per_second"`
					Lost float64 `json:"lost_percent"`
				} `json:"sum"`
			} `json:"end"`
		}
		out := run(b, from, "iperf3", args...)
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		rate := result.End.Received.Rate
		if rate == 0 {
			rate = result.End.Sum.Rate * (1 - result.End.Sum.Lost/100)
		}
		rates = append(rates, rate)
	}
	slices.Sort(rates)
	b.ReportMetric(rates[len(rates)/2]/1e9, "Gbit/s")
	b.ReportMetric(0, "ns/op")
}
