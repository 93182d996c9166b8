package iptables_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

// container makes a namespace behind a link of the host that stands for a bridge.
func container(t *testing.T, host string, number int) (namespace, link string) {
	t.Helper()
	s := &scratch{t: t, namespace: host}
	namespace, link = kerneltest.NewNamespace(t), fmt.Sprintf("br-%d", number)
	inside := &scratch{t: t, namespace: namespace}
	v4, v6 := fmt.Sprintf("10.9.%d", number), fmt.Sprintf("fd09:%d:", number)
	s.run("ip link add "+link+" type veth peer name eth0 netns "+namespace,
		"ip addr add "+v4+".1/24 dev "+link, "ip addr add "+v6+":1/64 dev "+link+" nodad", "ip link set "+link+" up")
	inside.run("ip addr add "+v4+".2/24 dev eth0", "ip addr add "+v6+":2/64 dev eth0 nodad", "ip link set eth0 up",
		"ip route add default via "+v4+".1", "ip route add default via "+v6+":1")
	kerneltest.Serve(t, namespace, link, 80)
	return namespace, link
}

// TestPackets has two networks with a container each, on a host with a neighbour.
func TestPackets(t *testing.T) {
	each(t, func(t *testing.T, variant string) {
		lan := kerneltest.NewLan(t)
		s := &scratch{t: t, namespace: lan.Host, variant: variant}
		s.filter = s.open(iptables.Options{Instance: instance})
		err := s.do(func() error {
			for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
				if err := os.WriteFile("/proc/thread-self/root/proc/sys/net/"+key, []byte("1"), 0o644); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		one, _ := container(t, lan.Host, 1)
		two, _ := container(t, lan.Host, 2)
		kerneltest.Serve(t, lan.Neighbor, "neighbour", 80)
		lan.Expose(t, netip.MustParsePrefix("10.9.0.0/16"))
		lan.Expose(t, netip.MustParsePrefix("fd09::/16"))
		var records netstate.Changes
		for n := 1; n <= 2; n++ {
			records = append(records, changes(netstate.Add, fmt.Sprint("network/", n), parse(t,
				fmt.Sprintf("inbound ipv4 br-%d published", n), fmt.Sprintf("inbound ipv6 br-%d published", n),
				fmt.Sprintf("masquerade 10.9.%d.0/24", n), fmt.Sprintf("masquerade fd09:%d::/64", n),
				fmt.Sprintf("hairpin 10.9.%d.0/24 on br-%d", n, n), fmt.Sprintf("hairpin fd09:%d::/64 on br-%d", n, n))...)...)
		}
		for _, protocol := range []string{"tcp", "udp"} {
			records = append(records, changes(netstate.Add, "endpoint/1", parse(t,
				"publish "+protocol+" 0.0.0.0:8080 to 10.9.1.2:80", "publish "+protocol+" [::]:8080 to [fd09:1::2]:80",
				"publish "+protocol+" 0.0.0.0:70-80 to 10.9.1.2:70", "publish "+protocol+" [::]:70-80 to [fd09:1::2]:70",
				"publish "+protocol+" 0.0.0.0:75 to 10.9.2.2:80")...)...)
		}
		s.apply(records)
		s.expect(lan, one, two)
		// What others flushed lets in everything, until it is put back.
		s.run("iptables -F", "ip6tables -F")
		if got := ask(one, "tcp", "10.9.2.2:80", time.Second); got != "br-2 10.9.2.1" {
			t.Errorf("after a flush: %q", got)
		}
		s.observed()
		s.apply(records)
		if got := ask(one, "tcp", "10.9.2.2:80", silence); got != "" {
			t.Errorf("after the repair: %q", got)
		}
		// The operators' word comes first, and counts.
		s.run("iptables -N DOCKER-USER", "iptables -A DOCKER-USER -p tcp -m conntrack --ctorigdstport 8080 -j REJECT")
		s.apply(changes(netstate.Add, "endpoint/2", ports(9999, 1)...))
		if got := ask(lan.Neighbor, "tcp", kerneltest.HostIPv4+":8080", silence); got != "" {
			t.Errorf("what the operators reject: %q", got)
		}
		if got := ask(lan.Neighbor, "tcp", kerneltest.HostIPv4+":80", time.Second); got != "br-1 "+kerneltest.NeighborIPv4 {
			t.Errorf("what the operators do not reject: %q", got)
		}
		if err := s.filter.Delete(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// silence is how long to wait for an answer that shall not come.
const silence = 150 * time.Millisecond

func ask(namespace, network, address string, limit time.Duration) string {
	answer, err := kerneltest.Ask(namespace, network, address, limit)
	if err != nil {
		return ""
	}
	return answer
}

// expect tries each way with each protocol: who answers, and whom the server sees.
func (s *scratch) expect(lan *kerneltest.Lan, one, two string) {
	s.t.Helper()
	var probes sync.WaitGroup
	for _, c := range []struct{ what, from, four, six, want string }{
		{"published", lan.Neighbor, kerneltest.HostIPv4 + ":8080", "[" + kerneltest.HostIPv6 + "]:8080", "br-1 " + kerneltest.NeighborIPv4 + "|br-1 " + kerneltest.NeighborIPv6},
		{"published in a range", lan.Remote, kerneltest.HostIPv4 + ":80", "[" + kerneltest.HostIPv6 + "]:80", "br-1 " + kerneltest.RemoteIPv4 + "|br-1 " + kerneltest.RemoteIPv6},
		{"one port of a range", lan.Neighbor, kerneltest.HostIPv4 + ":75", "", "br-2 " + kerneltest.NeighborIPv4 + "|"},
		{"published, from the other network", two, kerneltest.HostIPv4 + ":8080", "[" + kerneltest.HostIPv6 + "]:8080", "br-1 10.9.1.1|br-1 fd09:1::1"},
		{"published, from itself", one, kerneltest.HostIPv4 + ":8080", "[" + kerneltest.HostIPv6 + "]:8080", "br-1 10.9.1.1|br-1 fd09:1::1"},
		{"published, from the host", lan.Host, kerneltest.HostIPv4 + ":8080", "[" + kerneltest.HostIPv6 + "]:8080", "br-1 " + kerneltest.HostIPv4 + "|br-1 " + kerneltest.HostIPv6},
		{"masqueraded", one, kerneltest.NeighborIPv4 + ":80", "[" + kerneltest.NeighborIPv6 + "]:80", "neighbour " + kerneltest.HostIPv4 + "|neighbour " + kerneltest.HostIPv6},
		{"not published, from outside", lan.Neighbor, "10.9.1.2:80", "[fd09:1::2]:80", "|"},
		{"not published, from the other network", two, "10.9.1.2:80", "[fd09:1::2]:80", "|"},
	} {
		limit := 5 * time.Second
		if !strings.Contains(c.want, "br") {
			limit = silence
		}
		for _, network := range []string{"tcp", "udp"} {
			probes.Go(func() {
				got := ask(c.from, network, c.four, limit) + "|"
				if c.six != "" {
					got += ask(c.from, network, c.six, limit)
				}
				if got != c.want {
					s.t.Errorf("%s, by %s: got %q, want %q", c.what, network, got, c.want)
				}
			})
		}
	}
	probes.Wait()
}
