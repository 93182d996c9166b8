package diag_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/types"
)

// town is a machine with containers: web and db in network shop, where web publishes a
// port; lone in the internal network cell; and nowhere in none.
func town(t *testing.T) *patient {
	t.Helper()
	p := newPatient(t)
	db := must[libnetwork.Endpoint](t)(p.network.CreateEndpoint("db", libnetwork.CreateOptionMyAlias("store")))
	check(t, db.Join(must[libnetwork.Sandbox](t)(p.controller.NewSandbox("dbcontainer"))))
	cell := p.machine.network(t, "cell", libnetwork.NetworkOptionInternalNetwork())
	p.attach(t, cell, "lone")
	must[libnetwork.Sandbox](t)(p.controller.NewSandbox("nowhere"))
	kerneltest.Serve(t, p.sandbox.Key(), "web", portWeb)
	return p
}

func TestExplainWords(t *testing.T) {
	p := town(t)
	for _, c := range []struct {
		from, to string
		port     int
		protocol string
		allowed  bool
		words    string // in one of the steps
		rule     string // of one of the steps
	}{
		{"dbcontainer", "web", portWeb, "tcp", true, `answers "web" with`, "allow br-"},
		{"web", "store", 5432, "", true, "no program in it listens", ""},
		{"web", "DB", 5432, "udp", true, `answers "DB"`, ""},
		{"dbcontainer", "wbe", portWeb, "tcp", false, `no container in its networks is called "wbe"`, ""},
		{"dbcontainer", "lone", portWeb, "tcp", false, `is called "lone"`, ""},
		{"host", "dbcont", 5432, "tcp", true, `container "dbcontainer" has the address`, ""},
		{"outside", "web", portWeb, "tcp", false, "sent to the container's own address", "inbound ipv4"},
		{"outside", "host", portPublished, "tcp", true, "published port", "publish tcp 0.0.0.0:8080"},
		{kerneltest.NeighborIPv6, "host", portPublished, "tcp", true, "published port", "publish tcp [::]:8080"},
		{"outside", "host", 22, "tcp", false, "no program listens", ""},
		{"host", "host", portPublished, "tcp", true, "host's loopback", "loopback br-"},
		{"web", "host", portPublished, "tcp", true, "goes back to the network", "hairpin"},
		{"lone", kerneltest.NeighborIPv4, 80, "tcp", false, "internal networks only", ""},
		{"lone", "host", 22, "tcp", false, "no program listens", ""},
		{"nowhere", kerneltest.NeighborIPv4, 80, "tcp", false, "it is in no network", ""},
		{"web", kerneltest.NeighborIPv4, 80, "tcp", true, "hidden behind the host", "masquerade"},
		{"web", "2001:db8:9::1", 80, "tcp", false, "no route to 2001:db8:9::1", ""},
		{"web", "203.0.113.9", 0, "icmp", true, "leaves the host by", ""},
		{"outside", "lone", 80, "tcp", false, "internal", "inbound ipv4"},
		{"web", "172.17.99.99", 80, "tcp", false, "no container of ours has the address", ""},
		{kerneltest.NeighborIPv4, "::1", 80, "tcp", false, "different versions of IP", ""},
		{"outside", "127.0.0.1", portPublished, "tcp", false, "reaches its loopback", ""},
		{"web", "127.0.0.1", 9, "tcp", true, "does not leave it", ""},
	} {
		said, err := diag.Explain(t.Context(), p.options(), c.from, c.to, c.port, c.protocol)
		check(t, err)
		spoken := slices.ContainsFunc(said.Steps, func(s api.Step) bool { return strings.Contains(s.What, c.words) })
		ruled := slices.ContainsFunc(said.Steps, func(s api.Step) bool { return strings.Contains(s.Rule, c.rule) })
		if said.Allowed != c.allowed || !spoken || !ruled {
			t.Errorf("from %s to %s:%d: %v, want %v, the words %q and the rule %q:\n%s", c.from, c.to, c.port, said.Allowed, c.allowed, c.words, c.rule, lines(said))
		}
		if last := said.Steps[len(said.Steps)-1]; !said.Allowed && last.Verdict != "drop" {
			t.Errorf("from %s to %s: dropped, and the last step is %+v", c.from, c.to, last)
		}
	}
}

func TestExplainRefuses(t *testing.T) {
	p := town(t)
	p.attach(t, p.network, "abc1")
	p.attach(t, p.network, "abc2")
	for _, c := range []struct {
		from, to string
		port     int
		protocol string
		kind     cnm.Kind
	}{
		{"nobody", "web", 80, "tcp", cnm.NotFound},
		{"host", "nobody", 80, "tcp", cnm.NotFound},
		{"abc", "web", 80, "tcp", cnm.Invalid},
		{"web", "", 80, "tcp", cnm.Invalid},
		{"web", "outside", 80, "tcp", cnm.Invalid},
		{"web", "db", 0, "tcp", cnm.Invalid},
		{"web", "db", 70000, "tcp", cnm.Invalid},
		{"web", "db", 80, "quic", cnm.Invalid},
		{"web", "db", 80, "icmp", cnm.Invalid},
		{"", "db", 80, "tcp", cnm.NotFound},
	} {
		if _, err := diag.Explain(t.Context(), p.options(), c.from, c.to, c.port, c.protocol); !errors.Is(err, c.kind) {
			t.Errorf("%+v: error %v, want kind %s", c, err, c.kind)
		}
	}
}

// Others have a say: their chains are named, and a host that does not forward is found out.
func TestExplainWhatIsNotOurs(t *testing.T) {
	p := town(t)
	said := func() api.Explanation {
		return must[api.Explanation](t)(diag.Explain(t.Context(), p.options(), "outside", "host", portPublished, "tcp"))
	}
	sh(t, p.host, "nft 'table inet operator { chain theirs { type filter hook forward priority 0; policy drop; }; }'")
	if text := lines(said()); !strings.Contains(text, `chain "theirs"`) {
		t.Errorf("without the chain:\n%s", text)
	}
	check(t, kerneltest.Do(p.host, func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0) }))
	if e := said(); e.Allowed || !strings.Contains(lines(e), "forwards nothing") {
		t.Errorf("without forwarding:\n%s", lines(e))
	}
}

// A published range is one intent, and a port of it keeps its number.
func TestExplainRange(t *testing.T) {
	p := newPatient(t)
	var ports []types.PortBinding
	for port := uint16(20000); port < 20100; port++ {
		ports = append(ports, binding(types.TCP, "", port, port))
	}
	_, ep := p.attach(t, p.network, "range", ports...)
	e := must[api.Explanation](t)(diag.Explain(t.Context(), p.options(), "outside", "host", 20042, "tcp"))
	if want := prefixes(ep)[0].Addr().String() + ":20042"; !e.Allowed || !strings.Contains(lines(e), want) {
		t.Errorf("without %s:\n%s", want, lines(e))
	}
	if e := must[api.Explanation](t)(diag.Explain(t.Context(), p.options(), "outside", "host", 20100, "tcp")); e.Allowed {
		t.Errorf("a port behind the range:\n%s", lines(e))
	}
}
