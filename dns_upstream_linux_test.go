package libnetwork_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// lookedUp, in the environment, makes this binary look up a name as Go programs do, say
// what was found, and end.
const lookedUp = "LIBNETWORK_LOOK_UP"

func lookUpAndEnd(name string) error {
	resolver := net.Resolver{PreferGo: true}
	addresses, err := resolver.LookupHost(context.Background(), name)
	fmt.Println(strings.Join(addresses, " "))
	return err
}

// startDNSMasq runs a name server of another make, which knows the domain example.
func startDNSMasq(t testing.TB, namespace string) {
	t.Helper()
	big := "--txt-record=big.example"
	for i := range 20 {
		big += "," + strings.Repeat(string(rune('a'+i)), 200)
	}
	command := exec.Command("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
		"--pid-file=", "--bind-interfaces", "--listen-address="+kerneltest.NeighborIPv4+","+kerneltest.NeighborIPv6, "--local=/example/",
		"--host-record=outside.example,203.0.113.5,2001:db8:5::5", "--cname=alias.example,outside.example", "--cname=chain.example,alias.example",
		"--srv-host=_http._tcp.example,outside.example,8080,1,2", "--ptr-record=5.113.0.203.in-addr.arpa,outside.example",
		"--local-ttl=60", "--neg-ttl=60", big)
	var complaints strings.Builder
	command.Stderr = &complaints
	ok(t, kerneltest.Do(namespace, command.Start))
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it says that it was killed
	})
	for end := time.Now().Add(soon); ; {
		if _, err := kerneltest.Ask(namespace, "tcp", kerneltest.NeighborIPv4+":53", 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "refused") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("dnsmasq does not listen: %s", complaints.String())
		}
	}
}

// What no container is called is asked outside: of a server of another make, as dig asks.
func TestForwarding(t *testing.T) {
	l := newLan(t)
	startDNSMasq(t, l.Neighbor)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("web", libnetwork.OptionDNS(kerneltest.NeighborIPv4)))
	ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint("web")).Join(sb))
	dig := func(args ...string) string {
		return run(t, sb.Key(), "dig", append([]string{"@127.0.0.11", "+time=3", "+tries=1"}, args...)...)
	}
	for question, want := range map[string]string{
		"outside.example A":               "203.0.113.5",
		"outside.example AAAA":            "2001:db8:5::5",
		"chain.example A":                 "alias.example. outside.example. 203.0.113.5",
		"_http._tcp.example SRV":          "1 2 8080 outside.example.",
		"5.113.0.203.in-addr.arpa PTR":    "outside.example.",
		"outside.example A +tcp":          "203.0.113.5",
		"OutSide.eXample A":               "203.0.113.5",
		"web.front A":                     strings.TrimSpace(dig("+short", "web")),
		"web.front A +noedns":             strings.TrimSpace(dig("+short", "web")),
		"outside.example TYPE65 +noedns":  "",
		"version.bind CH TXT +nocookie":   "",
		"outside.example A +dnssec +cd":   "203.0.113.5",
		"outside.example A +bufsize=4096": "203.0.113.5",
	} {
		if got := strings.Join(strings.Fields(dig(append([]string{"+short"}, strings.Fields(question)...)...)), " "); got != want {
			t.Errorf("dig %s: %q, want %q", question, got, want)
		}
	}
	for question, status := range map[string]string{
		"nobody.example A": "NXDOMAIN", "outside.example MX": "NOERROR", "elsewhere.test A": "REFUSED",
		"version.bind CH TXT": "REFUSED",
	} {
		if got := dig(strings.Fields(question)...); !strings.Contains(got, "status: "+status+",") {
			t.Errorf("dig %s: want %s, got\n%s", question, status, got)
		}
	}
	if got := dig("big.example", "TXT", "+ignore", "+bufsize=1232"); !strings.Contains(got, " tc ") {
		t.Errorf("4,000 bytes by UDP: want them truncated, got\n%s", got)
	}
	if got := dig("big.example", "TXT"); strings.Count(got, "tttttttttt") == 0 || !strings.Contains(got, "status: NOERROR") {
		t.Errorf("4,000 bytes: want all of them, by TCP, got\n%s", got)
	}
	if got := sb.ResolverStatistics(); got.Local == 0 || got.Cached == 0 || got.Forwarded == 0 || got.Refused == 0 || got.Waiting != 0 {
		t.Errorf("counted %+v", got)
	}
	empty(t, c)
}

// Servers that do not answer, or late, do not keep the others from it. When none answers
// the client is told in time.
func TestNameServersThatFail(t *testing.T) {
	l := newLan(t)
	startDNSMasq(t, l.Neighbor)
	slow := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		time.Sleep(time.Second)
		rr, _ := dns.NewRR("slow.example. 60 IN A 203.0.113.6")
		answer := new(dns.Msg).SetReply(question)
		answer.Answer = []dns.RR{rr}
		_ = w.WriteMsg(answer)
	})
	var packets net.PacketConn
	ok(t, kerneltest.Do(l.Remote, func() (err error) {
		packets, err = net.ListenPacket("udp", kerneltest.RemoteIPv4+":53")
		return err
	}))
	server := &dns.Server{PacketConn: packets, Handler: slow}
	go func() { _ = server.ActivateAndServe() }()
	defer server.Shutdown() //nolint:errcheck // nothing is left to be answered
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", ""))
	internal := must[libnetwork.Network](t)(c.NewNetwork("bridge", "inside", "", libnetwork.NetworkOptionInternalNetwork()))
	const nobody = "192.0.2.77"
	for i, test := range []struct {
		network     libnetwork.Network
		servers     []string
		name, want  string
		least, most time.Duration
	}{
		{n, []string{nobody, kerneltest.NeighborIPv4}, "outside.example", "203.0.113.5", time.Second, 4 * time.Second},
		{n, []string{kerneltest.RemoteIPv4}, "slow.example", "203.0.113.6", 900 * time.Millisecond, 5 * time.Second},
		{n, []string{nobody}, "outside.example", "SERVFAIL", time.Second, 5 * time.Second},
		{internal, []string{kerneltest.NeighborIPv4}, "outside.example", "SERVFAIL", 0, time.Second},
	} {
		name := fmt.Sprint("client", i)
		var options []libnetwork.SandboxOption
		for _, server := range test.servers {
			options = append(options, libnetwork.OptionDNS(server))
		}
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name, options...))
		ok(t, must[libnetwork.Endpoint](t)(test.network.CreateEndpoint(name)).Join(sb))
		begin := time.Now()
		answer, err := query(sb.Key(), "udp", test.name, dns.TypeA)
		got := dns.RcodeToString[answerCode(answer)]
		if err == nil && len(answer.Answer) > 0 {
			got = answer.Answer[0].(*dns.A).A.String()
		}
		if took := time.Since(begin); got != test.want || took < test.least || took > test.most {
			t.Errorf("%s with %s: %q after %v, error %v; want %q", test.name, test.servers, got, took, err, test.want)
		}
	}
	empty(t, c)
}

func answerCode(m *dns.Msg) int {
	if m == nil {
		return -1
	}
	return m.Rcode
}

// A container that was given no servers asks those of its endpoint, and if there are none,
// those of its network.
func TestNameServersOfANetwork(t *testing.T) {
	l := newLan(t)
	startDNSMasq(t, l.Neighbor)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", "", libnetwork.NetworkOptionDNS(kerneltest.NeighborIPv4)))
	other := must[libnetwork.Network](t)(c.NewNetwork("bridge", "other", "", libnetwork.NetworkOptionDNS("192.0.2.77")))
	for name, ep := range map[string]libnetwork.Endpoint{
		"of-network":  must[libnetwork.Endpoint](t)(n.CreateEndpoint("of-network")),
		"of-endpoint": must[libnetwork.Endpoint](t)(other.CreateEndpoint("of-endpoint", libnetwork.CreateOptionDNS([]string{kerneltest.NeighborIPv4}))),
	} {
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name))
		ok(t, ep.Join(sb))
		wantNames(t, sb, dns.TypeA, map[string]string{"outside.example": "203.0.113.5"})
	}
	empty(t, c)
}

// A server on the host's loopback, as systemd-resolved's, is asked there, and not on the
// container's.
func TestNameServerOnTheHostsLoopback(t *testing.T) {
	l := newLan(t)
	var packets net.PacketConn
	ok(t, kerneltest.Do(l.Host, func() (err error) {
		packets, err = net.ListenPacket("udp", "127.0.0.53:53")
		return err
	}))
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		rr, _ := dns.NewRR("host.example. 60 IN A 203.0.113.7")
		answer := new(dns.Msg).SetReply(question)
		answer.Answer = []dns.RR{rr}
		_ = w.WriteMsg(answer)
	})}
	go func() { _ = server.ActivateAndServe() }()
	defer server.Shutdown() //nolint:errcheck // nothing is left to be answered
	origin := t.TempDir() + "/resolv.conf"
	ok(t, os.WriteFile(origin, []byte("nameserver 127.0.0.53\n"), 0o600))
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", ""))
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("web", libnetwork.OptionOriginResolvConfPath(origin)))
	ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint("web")).Join(sb))
	if got := run(t, sb.Key(), "dig", "@127.0.0.11", "+short", "host.example"); strings.TrimSpace(got) != "203.0.113.7" {
		t.Errorf("answer %q", got)
	}
	empty(t, c)
}

// What the host has asked for one container it does not ask again for another; what came in
// by a container's own namespace, which it may have forged, is for nobody else.
func TestAnswersAreSharedIfTheHostAsked(t *testing.T) {
	l := newLan(t)
	var asked atomic.Int64
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		asked.Add(1)
		rr, _ := dns.NewRR("outside.example. 60 IN A 203.0.113.8")
		answer := new(dns.Msg).SetReply(question)
		answer.Answer = []dns.RR{rr}
		_ = w.WriteMsg(answer)
	})
	for namespace, address := range map[string]string{l.Neighbor: kerneltest.NeighborIPv4 + ":53", l.Host: "127.0.0.53:53"} {
		var packets net.PacketConn
		ok(t, kerneltest.Do(namespace, func() (err error) {
			packets, err = net.ListenPacket("udp", address)
			return err
		}))
		server := &dns.Server{PacketConn: packets, Handler: handler}
		go func() { _ = server.ActivateAndServe() }()
		defer server.Shutdown() //nolint:errcheck // nothing is left to be answered
	}
	origin := t.TempDir() + "/resolv.conf"
	ok(t, os.WriteFile(origin, []byte("nameserver 127.0.0.53\n"), 0o600))
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", ""))
	for i, test := range []struct {
		option libnetwork.SandboxOption
		asked  int64
	}{
		{libnetwork.OptionOriginResolvConfPath(origin), 1}, {libnetwork.OptionOriginResolvConfPath(origin), 1},
		{libnetwork.OptionDNS(kerneltest.NeighborIPv4), 2}, {libnetwork.OptionDNS(kerneltest.NeighborIPv4), 3},
	} {
		name := fmt.Sprint("client", i)
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name, test.option))
		ok(t, must[libnetwork.Endpoint](t)(n.CreateEndpoint(name)).Join(sb))
		wantNames(t, sb, dns.TypeA, map[string]string{"outside.example": "203.0.113.8"})
		if got := asked.Load(); got != test.asked {
			t.Errorf("%s: the servers were asked %d times by now, want %d", name, got, test.asked)
		}
	}
	empty(t, c)
}

// glibc, busybox and Go find containers and what is outside by the files that the sandbox
// has, unchanged.
func TestLibraries(t *testing.T) {
	l := newLan(t)
	startDNSMasq(t, l.Neighbor)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", ""))
	must[libnetwork.Sandbox](t)(attach(n, c, "db"))
	folder := t.TempDir()
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox("web", libnetwork.OptionDNS(kerneltest.NeighborIPv4), libnetwork.OptionDNSSearch("example"),
		libnetwork.OptionHostname("web"), libnetwork.OptionExtraHost("host.internal", "host-gateway"), libnetwork.OptionHostsPath(folder+"/hosts"), libnetwork.OptionResolvConfPath(folder+"/resolv.conf")))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("web"))
	ok(t, ep.Join(sb))
	db := lookUp(t, sb.Key(), "db", dns.TypeA)
	for name, want := range map[string]string{"db": db, "db.front": db, "outside.example": "203.0.113.5", "outside": "203.0.113.5", "web": address(ep).String(), "host.internal": gateway(ep)} {
		for library, command := range map[string]string{
			"glibc": "getent ahostsv4 " + name, "busybox": "busybox nslookup " + name + ".", "go": lookedUp + "=" + name + " /proc/self/exe",
		} {
			if library == "busybox" && (name == "web" || name == "outside" || name == "host.internal") {
				continue // its nslookup looks into no hosts file, and tries search domains first
			}
			command = strings.Replace(command, "/proc/self/exe", fmt.Sprintf("/proc/%d/exe", os.Getpid()), 1)
			got := run(t, sb.Key(), "unshare", "--mount", "sh", "-ec", fmt.Sprintf(
				"mount --bind %s/resolv.conf /etc/resolv.conf; mount --bind %s/hosts /etc/hosts; %s", folder, folder, command))
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s: want %s, got\n%s", library, name, want, got)
			}
		}
	}
	empty(t, c)
}
