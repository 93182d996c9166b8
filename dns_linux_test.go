package libnetwork_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

const (
	embedded = "127.0.0.11:53"
	// patience is that of libc (resolv.conf(5), timeout), and a bit.
	patience = 6 * time.Second
)

// query asks the embedded DNS server of a container once.
func query(namespace, network, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	var answer *dns.Msg
	err := kerneltest.Do(namespace, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		client := &dns.Client{Net: network, Timeout: patience}
		conn, err := client.DialContext(ctx, embedded)
		if err != nil {
			return err
		}
		defer conn.Close() //nolint:errcheck // nothing to lose
		answer, _, err = client.ExchangeWithConnContext(ctx, question, conn)
		return err
	})
	return answer, err
}

// lookUp returns the data of the answers, sorted, or how the server says that there are
// none.
func lookUp(t testing.TB, namespace, name string, kind uint16) string {
	t.Helper()
	var both [2]string
	for i, network := range []string{"udp", "tcp"} {
		answer, err := query(namespace, network, name, kind)
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, rr := range answer.Answer {
			out = append(out, strings.TrimSpace(strings.TrimPrefix(rr.String(), rr.Header().String())))
		}
		slices.Sort(out)
		if both[i] = strings.Join(out, " "); both[i] == "" {
			both[i] = dns.RcodeToString[answer.Rcode]
		}
	}
	if both[0] != both[1] {
		t.Errorf("%s: by UDP %q, by TCP %q", name, both[0], both[1])
	}
	return both[0]
}

func wantNames(t testing.TB, sb libnetwork.Sandbox, kind uint16, want map[string]string) {
	t.Helper()
	for name, data := range want {
		if got := lookUp(t, sb.Key(), name, kind); got != data {
			t.Errorf("%s asks for %s %s: %q, want %q", sb.ContainerID(), dns.TypeToString[kind], name, got, data)
		}
	}
}

// Containers find each other by all their names, and only those that are in a network with
// them, from joining to leaving.
func TestNames(t *testing.T) {
	for _, backend := range []string{config.FirewallNFTables, config.FirewallIPTablesNFT, config.FirewallIPTablesLegacy} {
		t.Run(backend, func(t *testing.T) { containersFindEachOther(t, backend) })
	}
}

func containersFindEachOther(t *testing.T, backend string) {
	l := newLan(t)
	c := l.open(t, config.OptionFirewallBackend(backend))
	front := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", "", libnetwork.NetworkOptionEnableIPv6(true)))
	back := must[libnetwork.Network](t)(c.NewNetwork("bridge", "back", ""))
	join := func(sb libnetwork.Sandbox, n libnetwork.Network, name string, options ...libnetwork.EndpointOption) (libnetwork.Endpoint, string) {
		ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint(name, options...))
		ok(t, ep.Join(sb))
		return ep, address(ep).String()
	}
	web := must[libnetwork.Sandbox](t)(c.NewSandbox("0123456789abcdef"))
	db := must[libnetwork.Sandbox](t)(c.NewSandbox("fedcba9876543210"))
	lonely := must[libnetwork.Sandbox](t)(c.NewSandbox("lonely"))
	webEP, web4 := join(web, front, "web", libnetwork.CreateOptionMyAlias("www"), libnetwork.CreateOptionAlias("db", "database"))
	dbEP, db4 := join(db, front, "db")
	_, other4 := join(db, back, "db")
	_, lonely4 := join(lonely, back, "lonely")
	web6 := prefixOf(webEP.Info().Iface().AddressIPv6()).Addr().String()

	wantNames(t, web, dns.TypeA, map[string]string{
		"db": db4, "db.front": db4, "DB": db4, "fedcba987654": db4, "fedcba987654.front": db4, "database": db4,
		"web": web4, "www": web4, "www.front": web4, "0123456789ab": web4,
		"lonely": "SERVFAIL", "db.back": "SERVFAIL", // nobody here, and nobody to ask
	})
	wantNames(t, db, dns.TypeA, map[string]string{"www": web4, "lonely": lonely4, "database": "SERVFAIL", "db.back": other4, "db.front": db4})
	wantNames(t, lonely, dns.TypeA, map[string]string{"db": other4, "web": "SERVFAIL"})
	wantNames(t, web, dns.TypeAAAA, map[string]string{"web": web6})
	wantNames(t, lonely, dns.TypeAAAA, map[string]string{"lonely": "NOERROR"})
	wantNames(t, web, dns.TypeMX, map[string]string{"db": "NOERROR"})
	reverse := must[string](t)(dns.ReverseAddr(db4))
	reverse6 := must[string](t)(dns.ReverseAddr(web6))
	unknown := must[string](t)(dns.ReverseAddr(address(dbEP).Next().Next().Next().String()))
	wantNames(t, web, dns.TypePTR, map[string]string{reverse: "db.front.", reverse6: "web.front.", unknown: "NXDOMAIN"})

	if content := string(must[[]byte](t)(os.ReadFile(l.run + "/sandboxes/" + c.ID()[:12] + "/" + web.ID() + "/resolv.conf"))); !strings.Contains(content, "nameserver 127.0.0.11\n") {
		t.Errorf("resolv.conf does not name the server:\n%s", content)
	}
	ok(t, dbEP.Leave(db))
	wantNames(t, web, dns.TypeA, map[string]string{"db": "SERVFAIL", "database": "SERVFAIL", "web": web4})

	c.Stop()
	c = l.open(t, config.OptionFirewallBackend(backend))
	wantNames(t, lonely, dns.TypeA, map[string]string{"db": other4, "lonely": lonely4})
	empty(t, c)
}

// A container's own server on port 53, at all addresses, and ours do not disturb each
// other.
func TestContainersOwnServer(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", ""))
	sb := must[libnetwork.Sandbox](t)(attach(n, c, "web"))
	kerneltest.Serve(t, sb.Key(), "own", 53)
	wantAnswer(t, sb.Key(), "udp", "127.0.0.1:53", "own 127.0.0.1")
	if got := lookUp(t, sb.Key(), "web", dns.TypeA); netip.MustParseAddr(got) == (netip.Addr{}) {
		t.Errorf("answer %q", got)
	}
	empty(t, c)
}

// A hundred thousand questions while containers come and go a thousand times a minute: who
// stays is always found, and who is found is the right one.
func TestNamesUnderChurn(t *testing.T) {
	const (
		clients, questions = 4, 25_000
		pause              = 40 * time.Millisecond // between a container and the next
	)
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", "", libnetwork.NetworkOptionIpam("", "",
		[]*libnetwork.IpamConf{{PreferredPool: "10.20.0.0/24", Gateway: "10.20.0.1"}}, nil, nil)))
	asker := must[libnetwork.Sandbox](t)(attach(n, c, "asker"))
	fixed := lookUp(t, asker.Key(), "asker", dns.TypeA)
	moving := netip.MustParseAddr("10.20.0.77").String()
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	moves := 0
	group.Go(func() {
		for ctx.Err() == nil {
			sb, err := c.NewSandbox("mover")
			if err == nil {
				var ep libnetwork.Endpoint
				ep, err = n.CreateEndpoint("mover", libnetwork.CreateOptionIpam(net.ParseIP(moving), nil, nil, nil))
				if err == nil {
					err = ep.Join(sb)
				}
				if err == nil {
					err = sb.Delete()
				}
			}
			if err != nil {
				t.Error(err)
				return
			}
			moves++
			time.Sleep(pause)
		}
	})
	var wrong atomic.Int64
	var asking sync.WaitGroup
	begin := time.Now()
	for range clients {
		asking.Go(func() {
			wrong.Add(askMany(t, asker.Key(), questions, map[string][]string{"asker.": {fixed}, "mover.": {moving, ""}}))
		})
	}
	asking.Wait()
	took := time.Since(begin)
	stop()
	group.Wait()
	t.Logf("%d questions in %v, while a container came and went %d times", clients*questions, took.Round(time.Millisecond), moves)
	if wrong.Load() > 0 {
		t.Errorf("%d wrong answers", wrong.Load())
	}
	empty(t, c)
}

// askMany asks for the names in turn, over one socket, and counts answers that are none of
// those that may be; "" is SERVFAIL.
func askMany(t *testing.T, namespace string, count int, may map[string][]string) (wrong int64) {
	var conn *dns.Conn
	err := kerneltest.Do(namespace, func() (err error) {
		conn, err = dns.Dial("udp", embedded)
		return err
	})
	if err != nil {
		t.Error(err)
		return 1
	}
	defer conn.Close() //nolint:errcheck // nothing to lose
	names := slices.Sorted(maps.Keys(may))
	for i := range count {
		name := names[i%len(names)]
		question := new(dns.Msg).SetQuestion(name, dns.TypeA)
		_ = conn.SetDeadline(time.Now().Add(patience))
		err := conn.WriteMsg(question)
		var answer *dns.Msg
		if err == nil {
			answer, err = conn.ReadMsg()
		}
		got := ""
		switch {
		case err != nil || answer.Id != question.Id:
			got = fmt.Sprint("no answer: ", err)
		case len(answer.Answer) == 1:
			got = answer.Answer[0].(*dns.A).A.String()
		case answer.Rcode != dns.RcodeServerFailure:
			got = answer.String()
		}
		if !slices.Contains(may[name], got) {
			if wrong++; wrong < 4 {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
	return wrong
}

// A name is there when joining has returned, and gone when leaving has: each time.
func TestNamesComeAndGo(t *testing.T) {
	l := newLan(t)
	c := l.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "front", ""))
	asker := must[libnetwork.Sandbox](t)(attach(n, c, "asker"))
	for i := range 100 {
		name := fmt.Sprint("name", i%3)
		sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name))
		ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint(name))
		ok(t, ep.Join(sb))
		wantNames(t, asker, dns.TypeA, map[string]string{name: address(ep).String()})
		ok(t, sb.Delete())
		wantNames(t, asker, dns.TypeA, map[string]string{name: "SERVFAIL"})
	}
	empty(t, c)
}
