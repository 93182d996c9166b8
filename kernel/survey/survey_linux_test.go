package survey_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/survey"
	"github.com/docker/libnetwork/netstate"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sh(t testing.TB, namespace, script string) {
	t.Helper()
	check(t, kerneltest.Do(namespace, func() error {
		if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}))
}

func take(t testing.TB, o survey.Options) *survey.Report {
	t.Helper()
	report, err := survey.Take(t.Context(), o)
	check(t, err)
	for _, err := range report.Errors {
		t.Error(err)
	}
	return report
}

func TestTakeAnEmptyNamespace(t *testing.T) {
	host := kerneltest.NewNamespace(t)
	r := take(t, survey.Options{HostNamespace: host, Folders: []string{"/run"}, Sysctls: []string{"net/ipv4/ip_forward", "net/nosuch/key"}})
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	check(t, err)
	if r.Release != strings.TrimSpace(string(release)) {
		t.Errorf("release %q, want %q", r.Release, release)
	}
	if len(r.Host.Links) != 1 || !r.Host.Links[0].Loop || len(r.Host.Routes) != 0 || len(r.Chains) != 0 || len(r.Sockets) != 0 || len(r.Hints) != 0 {
		t.Errorf("an empty namespace has %+v, %v, %v", r.Host, r.Chains, r.Sockets)
	}
	if len(r.Sysctls) != 1 || r.Sysctls["net/ipv4/ip_forward"] != "0" {
		t.Errorf("sysctls %v", r.Sysctls)
	}
	if len(r.Folders) != 1 || r.Folders[0].Kind != "tmpfs" || r.Folders[0].Size == 0 {
		t.Errorf("folders %+v", r.Folders)
	}
	if r.Programs["nft"] == "" || r.MaxConnections == 0 {
		t.Errorf("programs %v, at most %d connections", r.Programs, r.MaxConnections)
	}
	for _, a := range r.Abilities {
		// This is what the kernels have that the tests of the packet filter need.
		if !a.Present && a.Module != "br_netfilter" || a.Present != (a.Reason == "") {
			t.Errorf("%+v", a)
		}
	}
}

// Nothing is left of what was tried.
func TestTakeLeavesNothing(t *testing.T) {
	host := kerneltest.NewNamespace(t)
	machine, err := kernel.Open(kernel.Options{HostNamespace: host, Instance: "test"})
	check(t, err)
	defer machine.Close() //nolint:errcheck // read only
	before := kerneltest.Snapshot(t, machine)
	port := survey.Port{Protocol: netstate.TCP, Address: netip.MustParseAddrPort("127.0.0.1:7000")}
	for range 3 {
		if r := take(t, survey.Options{HostNamespace: host, Ports: []survey.Port{port}}); !slices.Equal(r.Free, []survey.Port{port}) {
			t.Errorf("free ports %v", r.Free)
		}
	}
	if after := kerneltest.Snapshot(t, machine); after != before {
		t.Errorf("from\n%s\nto\n%s", before, after)
	}
	out, err := survey.Run(t.Context(), host, "nft", "list", "ruleset")
	check(t, err)
	if len(out) > 0 {
		t.Errorf("rules are left:\n%s", out)
	}
}

func TestSpace(t *testing.T) {
	lan := kerneltest.NewLan(t)
	sh(t, lan.Host, "ip link add br9 type bridge; ip link set br9 alias 'somebody'; ip link add v1 type veth peer name v2; ip link set v1 master br9 mtu 1300; "+
		"ip route add default via "+kerneltest.NeighborIPv4+" metric 7")
	check(t, kerneltest.Ping(lan.Host, netip.MustParseAddr(kerneltest.NeighborIPv4)))
	s, err := survey.Look(t.Context(), lan.Host)
	check(t, err)
	uplink, _ := s.Link(kerneltest.LanLink)
	port, _ := s.Link("v1")
	bridge, _ := s.Link("br9")
	if !uplink.Up || uplink.Kind != "veth" || !slices.Contains(uplink.Addresses, netip.MustParsePrefix(kerneltest.HostIPv4+"/24")) {
		t.Errorf("%+v", uplink)
	}
	if port.Master != "br9" || port.MTU != 1300 || port.Up || bridge.Kind != "bridge" || bridge.Alias != "somebody" {
		t.Errorf("%+v, %+v", port, bridge)
	}
	known := func(n survey.Neighbor) bool {
		return n.Address.String() == kerneltest.NeighborIPv4 && n.Link == kerneltest.LanLink && n.MAC != "" && n.State != "NONE"
	}
	if !slices.ContainsFunc(s.Neighbors, known) {
		t.Errorf("neighbours %+v", s.Neighbors)
	}
	for address, want := range map[string]survey.Route{
		kerneltest.RemoteIPv4:   {Destination: netip.MustParsePrefix("198.51.100.0/24"), Gateway: netip.MustParseAddr(kerneltest.NeighborIPv4), Link: kerneltest.LanLink},
		kerneltest.NeighborIPv4: {Destination: netip.MustParsePrefix("192.0.2.0/24"), Link: kerneltest.LanLink},
		"203.0.113.1":           {Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(kerneltest.NeighborIPv4), Link: kerneltest.LanLink, Metric: 7},
	} {
		if got, _ := s.Way(netip.MustParseAddr(address)); got != want {
			t.Errorf("the way to %s is %+v, want %+v", address, got, want)
		}
	}
	if _, found := s.Way(netip.MustParseAddr("2001:db8:9::1")); found {
		t.Error("there is a way to where none is")
	}
	if !s.Local(netip.MustParseAddr(kerneltest.HostIPv6)) || !s.Local(netip.MustParseAddr("127.1.2.3")) || s.Local(netip.MustParseAddr(kerneltest.NeighborIPv4)) {
		t.Error("local addresses")
	}
}

func TestChains(t *testing.T) {
	host := kerneltest.NewNamespace(t)
	sh(t, host, `
		nft 'table inet one { chain drops { type filter hook forward priority 5; policy drop; }; }'
		nft 'table ip6 two { chain rejects { type filter hook input priority 0; tcp dport 1 accept; counter reject; }; }'
		nft 'table ip three { chain open { type filter hook forward priority 0; ip saddr 192.0.2.1 drop; }; }'
		iptables-legacy -P FORWARD DROP; iptables-legacy -N ufw-user-forward; iptables-legacy -A INPUT -j DROP
		iptables-legacy -N DOCKER-USER; iptables-legacy -A DOCKER-USER -s 192.0.2.1 -j DROP; iptables-legacy -A DOCKER-USER -j RETURN
		iptables -N DOCKER-USER; iptables -A DOCKER-USER -p tcp --dport 1 -j DROP; iptables -A DOCKER-USER -j RETURN`)
	r := take(t, survey.Options{HostNamespace: host})
	drops := make(map[string]bool)
	for _, c := range r.Chains {
		drops[fmt.Sprintf("%s %s %s %s", c.Family, c.Table, c.Name, c.Hook)] = c.Drops
		if c.Drops != (c.Why != "") {
			t.Errorf("%+v", c)
		}
		if c.Name == "drops" && c.Priority != 5 {
			t.Errorf("%+v: priority", c)
		}
	}
	for name, want := range map[string]bool{
		"inet one drops forward": true, "ip6 two rejects input": true, "ip three open forward": false,
		"ip filter (legacy) FORWARD forward": true, "ip filter (legacy) INPUT input": true, "ip filter (legacy) OUTPUT output": false,
	} {
		if got, found := drops[name]; !found || got != want {
			t.Errorf("%s: %v, %v; want %v", name, got, found, want)
		}
	}
	if r.UserRules != 2 || !slices.Contains(r.Hints, "ufw") {
		t.Errorf("%d rules of users, hints %v", r.UserRules, r.Hints)
	}
}

func TestSocketsAndFree(t *testing.T) {
	host := kerneltest.NewNamespace(t)
	stop, err := kerneltest.StartServer(host, "x", "127.0.0.1:7000")
	check(t, err)
	defer stop()
	at := func(p netstate.Protocol, text string) survey.Port {
		return survey.Port{Protocol: p, Address: netip.MustParseAddrPort(text)}
	}
	r := take(t, survey.Options{HostNamespace: host, Ports: []survey.Port{
		at(netstate.TCP, "127.0.0.1:7000"), at(netstate.UDP, "0.0.0.0:7000"), at(netstate.TCP, "0.0.0.0:7001"), at(netstate.TCP, "192.0.2.7:7001"),
	}})
	if want := []survey.Port{at(netstate.TCP, "0.0.0.0:7001")}; !slices.Equal(r.Free, want) {
		t.Errorf("free %v, want %v", r.Free, want)
	}
	for _, p := range []survey.Port{at(netstate.TCP, "127.0.0.1:7000"), at(netstate.UDP, "127.0.0.1:7000")} {
		if !slices.Contains(r.Sockets, p) {
			t.Errorf("sockets %v, without %v", r.Sockets, p)
		}
	}
}

func TestRulesOfOurs(t *testing.T) {
	host := kerneltest.NewNamespace(t)
	if text, err := survey.Rules(t.Context(), host); text != "" || err != nil {
		t.Errorf("before: %q, %v", text, err)
	}
	machine, err := kernel.Open(kernel.Options{HostNamespace: host, Instance: "test"})
	check(t, err)
	defer machine.Close() //nolint:errcheck // what it made goes with the namespace
	intent := netstate.Intent{Kind: netstate.Masquerade, Prefix: netip.MustParsePrefix("172.18.0.0/16")}
	check(t, machine.Apply(t.Context(), netstate.Changes{{Verb: netstate.Add, Owner: "network/x", Object: intent}}))
	text, err := survey.Rules(t.Context(), host)
	check(t, err)
	for _, want := range []string{"table inet libnetwork-test", "chain forward", "network/x: masquerade 172.18.0.0/16"} {
		if !strings.Contains(text, want) {
			t.Errorf("without %q:\n%s", want, text)
		}
	}
}

func TestErrors(t *testing.T) {
	kerneltest.RequireRoot(t)
	missing := filepath.Join(t.TempDir(), "nothing")
	if _, err := survey.Take(t.Context(), survey.Options{HostNamespace: missing}); !errors.Is(err, cnm.NotFound) {
		t.Errorf("error %v", err)
	}
	host := kerneltest.NewNamespace(t)
	file := "/proc/self/comm/below" // of a file that is no folder
	r, err := survey.Take(t.Context(), survey.Options{HostNamespace: host, Folders: []string{missing, file, "/run"}, Bus: "carrier pigeon"})
	check(t, err)
	if len(r.Errors) != 2 || len(r.Folders) != 1 || !strings.Contains(errors.Join(r.Errors...).Error(), file) {
		t.Errorf("%v, %v", r.Errors, r.Folders)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := survey.Run(ctx, host, "sleep", "10"); !errors.Is(err, cnm.Timeout) {
		t.Errorf("error %v", err)
	}
	if _, err := survey.Run(t.Context(), host, "sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("error %v", err)
	}
}

func TestFirewalldOnTheBus(t *testing.T) {
	host := kerneltest.NewNamespace(t)
	address := "unix:path=" + filepath.Join(t.TempDir(), "bus")
	if r := take(t, survey.Options{HostNamespace: host, Bus: address}); r.Firewalld {
		t.Error("there is no bus, and a firewalld on it")
	}
	daemon := exec.Command("dbus-daemon", "--session", "--nofork", "--address="+address)
	check(t, daemon.Start())
	defer func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	}()
	var bus *dbus.Conn
	for deadline := time.Now().Add(5 * time.Second); bus == nil; {
		var err error
		if bus, err = dbus.Connect(address); err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	defer bus.Close() //nolint:errcheck // read only
	if r := take(t, survey.Options{HostNamespace: host, Bus: address}); r.Firewalld {
		t.Error("nobody has the name, and there is a firewalld")
	}
	_, err := bus.RequestName("org.fedoraproject.FirewallD1", dbus.NameFlagDoNotQueue)
	check(t, err)
	if r := take(t, survey.Options{HostNamespace: host, Bus: address}); !r.Firewalld {
		t.Error("the name is not seen")
	}
}
