package firewalld_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/firewalld"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

const (
	bridge         = "br-test"
	bridgePrefix   = "10.77.0.1/24"
	containerIP    = "10.77.0.2"
	serverPort     = 8080
	outsideAddress = kerneltest.NeighborIPv4
)

// site is a host with a firewalld, a container behind a bridge, and somebody outside.
type site struct {
	*bus
	lan       *kerneltest.Lan
	container string
	firewall  *process
	tools     string // the path of firewall-cmd
}

func newSite(t testing.TB) *site {
	t.Helper()
	needs(t, "firewalld", "firewalld")
	s := &site{bus: newBus(t), tools: needs(t, "firewall-cmd", "firewalld")}
	s.lan, s.container = kerneltest.NewLan(t), kerneltest.NewNamespace(t)
	host, err := kernel.Open(kernel.Options{HostNamespace: s.lan.Host, Instance: "test"})
	check(t, err)
	t.Cleanup(func() { check(t, host.Close()) })
	check(t, host.Apply(context.Background(), netstate.Diff(nil, s.parts())))
	s.lan.Expose(t, netip.MustParsePrefix(bridgePrefix))
	kerneltest.Serve(t, s.container, "container", serverPort)
	kerneltest.Serve(t, s.lan.Neighbor, "outside", serverPort)
	kerneltest.Serve(t, s.lan.Host, "host", serverPort)
	check(t, os.CopyFS(s.configuration(), os.DirFS("/etc/firewalld")))
	return s
}

func (s *site) configuration() string { return filepath.Join(s.folder, "firewalld") }

func (s *site) parts() []netstate.Part {
	return []netstate.Part{{
		Owner: "network/n",
		Links: []netstate.Link{
			{Name: bridge, Kind: netstate.Bridge},
			{Name: "port", Kind: netstate.Veth, Master: bridge, Peer: netstate.Peer{Namespace: s.container, Name: "eth0"}},
		},
		Addrs:   []netstate.Addr{{Link: bridge, Prefix: netip.MustParsePrefix(bridgePrefix)}},
		Sysctls: []netstate.Sysctl{{Key: "net/ipv4/ip_forward", Value: "1"}},
	}, {
		Owner: "endpoint/e", Namespace: s.container,
		Links:  []netstate.Link{{Name: "eth0", Kind: netstate.Veth}},
		Addrs:  []netstate.Addr{{Link: "eth0", Prefix: netip.MustParsePrefix(containerIP + "/24")}},
		Routes: []netstate.Route{{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParsePrefix(bridgePrefix).Addr(), Link: "eth0"}},
	}}
}

// begin starts firewalld, and waits until it answers.
func (s *site) begin(t testing.TB) {
	t.Helper()
	s.firewall = start(t, s.lan.Host, filepath.Join(s.folder, "firewalld.log"), s.address, needs(t, "firewalld", "firewalld"),
		"--nofork", "--nopid", "--system-config", s.configuration(), "--log-target", "console")
	conn, err := dbus.Connect(s.address)
	check(t, err)
	defer conn.Close() //nolint:errcheck // nothing to lose
	eventually(t, "start of firewalld", func() error {
		return conn.Object(service, object).Call(service+".zone.getZones", dbus.FlagNoAutoStart).Err
	})
}

// command runs firewall-cmd.
func (s *site) command(arguments ...string) (string, error) {
	command := exec.Command(s.tools, arguments...)
	command.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+s.address)
	output, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("firewall-cmd %v: %w: %s", arguments, err, output)
	}
	return strings.TrimSpace(string(output)), err
}

func (s *site) must(t testing.TB, arguments ...string) string {
	t.Helper()
	output, err := s.command(arguments...)
	check(t, err)
	return output
}

// ways are the connections that concern the container.
func (s *site) ways() map[string]func() error {
	ask := func(from, to, name string) func() error {
		return func() error {
			answer, err := kerneltest.Ask(from, "tcp", fmt.Sprintf("%s:%d", to, serverPort), 3*time.Second)
			if err == nil && !strings.HasPrefix(answer, name+" ") {
				err = fmt.Errorf("answer %q", answer)
			}
			return err
		}
	}
	return map[string]func() error{
		"outside to container": ask(s.lan.Neighbor, containerIP, "container"),
		"container to outside": ask(s.container, outsideAddress, "outside"),
		"container to host":    ask(s.container, netip.MustParsePrefix(bridgePrefix).Addr().String(), "host"),
	}
}

// open checks that all ways are open.
func (s *site) open(t testing.TB, when string) {
	t.Helper()
	for way, ask := range s.ways() {
		if err := ask(); err != nil {
			t.Errorf("%s: %s: got %v\n%s", when, way, err, s.firewall.output())
		}
	}
}

// rejected checks that the ways are rejected, and not merely broken: firewalld's answer
// of ICMP arrives as the error of a host that cannot be reached.
func (s *site) rejected(t testing.TB, when string) {
	t.Helper()
	for way, ask := range s.ways() {
		if err := ask(); !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("%s: %s: got %v, want %v", when, way, err, syscall.EHOSTUNREACH)
		}
	}
}

func TestTrafficThroughTheRealOne(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	ctx := context.Background()
	s.begin(t)
	s.rejected(t, "without the client")
	client := open(t, s.bus)
	if !client.Running() {
		t.Error("it runs, but the client says no")
	}
	told(t, client) // of the reload that zone and policy needed
	s.rejected(t, "without the bridge")
	check(t, client.Add(ctx, bridge))
	check(t, client.Add(ctx, bridge))
	s.open(t, "with the bridge")
	s.surviveReloads(t, client)
	s.surviveRestart(t, client)
	s.afterKill(t, client)
	check(t, client.Add(ctx, bridge))
	s.open(t, "with the bridge again")
	check(t, client.Remove(ctx, bridge))
	check(t, client.Remove(ctx, bridge))
	s.rejected(t, "without the bridge again")
}

func (s *site) surviveReloads(t *testing.T, client *firewalld.Client) {
	forget(client)
	for _, how := range [][]string{{"--reload"}, {"--complete-reload"}} {
		s.must(t, how...)
		told(t, client)
		s.open(t, "after "+how[0])
	}
	check(t, s.firewall.Process.Signal(syscall.SIGHUP))
	told(t, client)
	s.open(t, "after SIGHUP")
}

func (s *site) surviveRestart(t *testing.T, client *firewalld.Client) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		forget(client)
		s.firewall.stop(signal)
		eventually(t, "news of the end", func() error {
			if client.Running() {
				return errors.New("the client says that it runs")
			}
			return nil
		})
		s.begin(t)
		told(t, client)
		if !client.Running() {
			t.Error("it runs again, but the client says no")
		}
		s.open(t, "after "+signal.String())
	}
}

// afterKill has a firewalld that started on top of the rules of a killed one, and cannot
// delete all of them. What the error says helps.
func (s *site) afterKill(t *testing.T, client *firewalld.Client) {
	if err := client.Remove(context.Background(), bridge); err != nil {
		wantError(t, err, cnm.Unavailable, bridge, "systemctl restart firewalld")
	}
	s.firewall.stop(syscall.SIGTERM)
	s.begin(t)
	told(t, client)
	s.rejected(t, "after it was forgotten")
}

func TestDormantUntilItStarts(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	client := open(t, s.bus)
	check(t, client.Add(context.Background(), bridge, "other", "gone"))
	check(t, client.Remove(context.Background(), "gone"))
	if client.Running() {
		t.Error("it does not run, but the client says yes")
	}
	s.begin(t)
	told(t, client)
	s.open(t, "after the start")
	if got := s.must(t, "--zone="+firewalld.Zone, "--list-interfaces"); got != bridge+" other" {
		t.Errorf("in the zone: got %q", got)
	}
}

// TestOperator covers what somebody does by hand.
func TestOperator(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	s.begin(t)
	t.Run("changes", s.changes)
	t.Run("deletes", s.deletes)
	t.Run("panics", s.panics)
}

// changes has links put elsewhere, and a zone changed.
func (s *site) changes(t *testing.T) {
	ctx := context.Background()
	check(t, open(t, s.bus).Close())
	s.must(t, "--permanent", "--zone="+firewalld.Zone, "--add-masquerade")
	s.must(t, "--reload")
	s.must(t, "--zone=trusted", "--add-interface=elsewhere")
	client := open(t, s.bus)
	check(t, client.Add(ctx, "elsewhere", bridge))
	if got := s.must(t, "--get-zone-of-interface=elsewhere"); got != firewalld.Zone {
		t.Errorf("elsewhere is in %q", got)
	}
	s.must(t, "--zone="+firewalld.Zone, "--query-masquerade")
	s.must(t, "--zone=trusted", "--change-interface=elsewhere")
	check(t, client.Remove(ctx, "elsewhere"))
	if got := s.must(t, "--get-zone-of-interface=elsewhere"); got != "trusted" {
		t.Errorf("elsewhere is in %q", got)
	}
	if len(client.Reloaded()) != 0 {
		t.Error("nothing was missing, and yet it was reloaded")
	}
	check(t, client.Close())
	if got := s.must(t, "--zone="+firewalld.Zone, "--list-interfaces"); got != bridge {
		t.Errorf("after Close: in the zone: got %q", got)
	}
}

// deletes has zone and policy deleted, and firewalld reloaded.
func (s *site) deletes(t *testing.T) {
	client := open(t, s.bus)
	check(t, client.Add(context.Background(), bridge))
	s.must(t, "--permanent", "--delete-policy="+firewalld.Policy)
	s.must(t, "--permanent", "--delete-zone="+firewalld.Zone)
	forget(client)
	s.must(t, "--reload")
	told(t, client)
	s.open(t, "after the deletion")
}

// panics has firewalld drop everything, and change nothing.
func (s *site) panics(t *testing.T) {
	client := open(t, s.bus)
	check(t, client.Remove(context.Background(), bridge))
	s.must(t, "--panic-on")
	wantError(t, client.Add(context.Background(), bridge), cnm.Unavailable, "panic-off", bridge)
	s.must(t, "--panic-off")
	check(t, client.Add(context.Background(), bridge))
	s.open(t, "after the panic")
}
