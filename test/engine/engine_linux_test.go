package engine

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// TestEngine has one engine for all scenarios, as each takes a while to start.
func TestEngine(t *testing.T) {
	s := newSite(t)
	for _, scenario := range []struct {
		name string
		run  func(*site)
	}{
		{"Bridge", bridge}, {"Macvlan", macvlan}, {"TwoNetworks", twoNetworks}, {"ManyAtOnce", manyAtOnce},
		{"EngineKilled", engineKilled}, {"LiveRestore", liveRestore}, {"Forgotten", forgotten}, {"Daemon", daemon}, {"Managed", managed},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			outer := s.t
			s.t = t
			defer func() { s.t = outer }()
			before := s.state()
			scenario.run(s)
			if !t.Failed() {
				s.wantState(before)
			}
		})
	}
}

// addressOf returns a container's IPv4 address in a network.
func (s *site) addressOf(container, network string) string {
	s.t.Helper()
	text := s.dockerDo("inspect", "--format", fmt.Sprintf("{{(index .NetworkSettings.Networks %q).IPAddress}}", network), container)
	if _, err := netip.ParseAddr(text); err != nil {
		s.t.Fatalf("container %s has the address %q in %s", container, text, network)
	}
	return text
}

// bridge: both families, static addresses, a published port, and the plugin killed and
// started again under running containers.
func bridge(s *site) {
	const outside, outside6 = kerneltest.HostIPv4 + ":8080", "[" + kerneltest.HostIPv6 + "]:8080"
	s.dockerDo("network", "create", "-d", "dnet", "--ipam-driver", "dnet", "--subnet", "10.50.0.0/24", "--ipv6", "--subnet", "fd50::/64", "web")
	s.run("www", "--network", "web", "--ip", "10.50.0.77", "--ip6", "fd50::77", "--mac-address", "02:00:00:00:00:77", "--publish", "8080:80")
	s.run("other", "--network", "web")
	look := func() {
		s.t.Helper()
		s.ping("other", "10.50.0.77")
		s.ping("other", "fd50::77")
		s.wantWeb(s.Neighbor, outside, "www")
		s.wantWeb(s.Neighbor, outside6, "www")
		s.wantWeb(s.Host, "127.0.0.1:8080", "www")
	}
	look()
	if shown := s.inside("www", "ip", "link", "show", "eth0"); !strings.Contains(shown, "02:00:00:00:00:77") {
		s.t.Errorf("the MAC address is not the one that was asked for:\n%s", shown)
	}
	s.ping("other", kerneltest.NeighborIPv4) // the way out is masqueraded
	if shown := s.inside("other", "ip", "link"); strings.Contains(shown, "eth1") {
		s.t.Errorf("the engine has given a second interface:\n%s", shown)
	}
	s.end(&s.plugin, syscall.SIGKILL)
	look()
	s.startPlugin()
	look()
	s.dockerDo("restart", "www")
	look()
	s.end(&s.plugin, syscall.SIGTERM)
	s.startPlugin()
	s.dockerDo("rm", "--force", "www")
	s.wantNoWeb(s.Neighbor, outside)
	if _, err := s.tryDocker("network", "rm", "web"); err == nil {
		s.t.Error("a network with a container is removed")
	}
	s.dockerDo("rm", "--force", "other")
	s.dockerDo("network", "rm", "web")
}

// macvlan: containers are hosts of their own beside the machine's neighbour.
func macvlan(s *site) {
	s.dockerDo("network", "create", "-d", "dnet", "-o", "driver=macvlan", "-o", "parent="+kerneltest.LanLink,
		"--subnet", "192.0.2.0/24", "--gateway", kerneltest.NeighborIPv4, "--ip-range", "192.0.2.64/27", "--aux-address", "kept=192.0.2.64", "lan")
	s.run("one", "--network", "lan")
	s.run("two", "--network", "lan")
	one := s.addressOf("one", "lan")
	look := func() {
		s.t.Helper()
		s.ping("two", one)
		s.ping("two", kerneltest.RemoteIPv4) // by the gateway, nothing is masqueraded
		s.wantWeb(s.Neighbor, one+":80", "one")
	}
	s.Route(s.t, s.Remote, "192.0.2.0/24", "198.51.100.1", "eth0")
	look()
	s.end(&s.plugin, syscall.SIGKILL)
	s.startPlugin()
	look()
	s.dockerDo("restart", "one")
	look()
	if _, err := s.tryDocker("run", "--network", "lan", "--publish", "8080:80", image, "/bin/busybox", "true"); err == nil || !strings.Contains(err.Error(), "reach them there at their own addresses") {
		s.t.Errorf("a port of a macvlan network: %v", err)
	}
	s.dockerDo("network", "disconnect", "lan", "one")
	s.dockerDo("network", "connect", "--ip", one, "lan", "one")
	look()
	for _, name := range strings.Fields(s.dockerDo("ps", "--all", "--quiet")) {
		s.dockerDo("rm", "--force", name)
	}
	s.dockerDo("network", "rm", "lan")
}

// twoNetworks: an internal one and one with the way out, and the engine's own between.
func twoNetworks(s *site) {
	const outside = kerneltest.HostIPv4 + ":8080"
	s.dockerDo("network", "create", "-d", "dnet", "--ipam-driver", "dnet", "--internal", "back")
	s.dockerDo("network", "create", "-d", "dnet", "front")
	s.dockerDo("network", "create", "-d", "bridge", "--ipam-driver", "dnet", "theirs")
	s.run("db", "--network", "back")
	s.run("www", "--network", "front", "--publish", "8080:80")
	s.noPing("db", kerneltest.NeighborIPv4)
	s.noPing("db", s.addressOf("www", "front"))
	s.dockerDo("network", "connect", "back", "www")
	s.ping("www", s.addressOf("db", "back"))
	s.wantWeb(s.Neighbor, outside, "www")
	s.dockerDo("network", "connect", "theirs", "www")
	s.dockerDo("network", "disconnect", "front", "www")
	s.ping("www", kerneltest.NeighborIPv4)
	s.dockerDo("network", "connect", "front", "www")
	s.ping("www", kerneltest.NeighborIPv4)
	s.wantWeb(s.Neighbor, outside, "www")
	if pools := s.listing().Pools; len(pools) != 2 || pools[0].Pool == pools[1].Pool {
		s.t.Errorf("the pools are %+v", pools)
	}
	for _, bad := range [][]string{
		{"-o", "driver=overlay"}, {"-o", "nonsense=1"}, {"--subnet", s.listing().Networks[0].Subnets[0]},
	} {
		if out, err := s.tryDocker(slices.Concat([]string{"network", "create", "-d", "dnet"}, bad, []string{"bad"})...); err == nil {
			s.t.Errorf("network with %q is made: %s", bad, out)
		}
	}
	s.dockerDo("rm", "--force", "www", "db")
	s.dockerDo("network", "rm", "front", "back", "theirs")
}

// manyAtOnce: containers that come and go at the same time.
func manyAtOnce(s *site) {
	s.dockerDo("network", "create", "-d", "dnet", "--ipam-driver", "dnet", "many")
	const count = 6
	var group sync.WaitGroup
	each := func(do func(i int) error) {
		s.t.Helper()
		for i := range count {
			group.Go(func() {
				if err := do(i); err != nil {
					s.t.Error(err)
				}
			})
		}
		group.Wait()
	}
	name := func(i int) string { return fmt.Sprintf("many%d", i) }
	each(func(i int) error {
		_, err := s.tryDocker("run", "--detach", "--name", name(i), "--network", "many", "--publish", fmt.Sprintf("%d:80", 9000+i), image, "httpd", "-f", "-p", "80")
		return err
	})
	seen := make(map[string]bool)
	for i := range count {
		seen[s.addressOf(name(i), "many")] = true
	}
	if len(seen) != count {
		s.t.Errorf("%d containers have %d addresses", count, len(seen))
	}
	s.ping(name(0), s.addressOf(name(count-1), "many"))
	each(func(i int) error { _, err := s.tryDocker("rm", "--force", name(i)); return err })
	s.dockerDo("network", "rm", "many")
}

// engineKilled: it forgets its endpoints when it starts again, and tells nobody; addresses
// and ports are free for it all the same.
func engineKilled(s *site) {
	const outside = kerneltest.HostIPv4 + ":8080"
	s.dockerDo("network", "create", "-d", "dnet", "--ipam-driver", "dnet", "--subnet", "10.50.0.0/24", "web")
	s.dockerDo("network", "create", "-d", "dnet", "-o", "driver=macvlan", "-o", "parent="+kerneltest.LanLink, "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.64/27", "lan")
	s.run("www", "--network", "web", "--ip", "10.50.0.77", "--publish", "8080:80")
	s.run("other", "--network", "web", "--publish", "8081:80")
	s.run("host", "--network", "lan", "--ip", "192.0.2.70")
	s.end(&s.engine, syscall.SIGKILL)
	s.wantWeb(s.Neighbor, outside, "www")
	s.startEngine()
	s.dockerDo("start", "www", "other", "host")
	s.wantWeb(s.Neighbor, outside, "www")
	s.wantWeb(s.Neighbor, kerneltest.HostIPv4+":8081", "other")
	s.wantWeb(s.Neighbor, "192.0.2.70:80", "host")
	s.ping("other", "10.50.0.77")
	listing := s.listing()
	endpoints := 0
	for _, n := range listing.Networks {
		endpoints += len(n.Endpoints)
	}
	if endpoints != 3 || len(listing.Pools) != 1 || len(listing.Pools[0].Addresses) != 3 {
		s.t.Errorf("for three containers there is %+v", listing)
	}
	s.dockerDo("rm", "--force", "www", "other", "host")
	s.dockerDo("network", "rm", "web", "lan")
}

// liveRestore: containers that outlive the engine keep what they have.
func liveRestore(s *site) {
	const outside = kerneltest.HostIPv4 + ":8080"
	s.end(&s.engine, syscall.SIGTERM)
	s.startEngine("--live-restore")
	s.dockerDo("network", "create", "-d", "dnet", "--ipam-driver", "dnet", "web")
	s.dockerDo("network", "create", "-d", "dnet", "-o", "driver=macvlan", "-o", "parent="+kerneltest.LanLink, "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.64/27", "lan")
	s.run("www", "--network", "web", "--publish", "8080:80")
	s.run("host", "--network", "lan")
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		s.end(&s.engine, signal)
		s.end(&s.plugin, signal)
		s.startPlugin()
		s.startEngine("--live-restore")
		s.run("new", "--network", "web") // the plugin hears of the new engine
		s.ping("new", s.addressOf("www", "web"))
		s.wantWeb(s.Neighbor, outside, "www")
		s.wantWeb(s.Neighbor, s.addressOf("host", "lan")+":80", "host")
		s.dockerDo("rm", "--force", "new")
	}
	s.dockerDo("rm", "--force", "www", "host")
	s.dockerDo("network", "rm", "web", "lan")
	s.end(&s.engine, syscall.SIGTERM)
	s.startEngine()
}

// forgotten: an engine that is killed while it makes a network may not know of it
// afterwards. It is listed, and can be removed.
func forgotten(s *site) {
	ctx := context.Background()
	s.dockerDo("network", "create", "-d", "dnet", "--ipam-driver", "dnet", "known")
	s.run("www", "--network", "known")
	ok(s.t, s.plugin.Process.Signal(syscall.SIGSTOP))
	create := exec.Command(s.docker, "network", "create", "-d", "dnet", "--ipam-driver", "dnet", "unknown")
	create.Env = append(os.Environ(), "DOCKER_HOST=unix://"+s.folder+"/d.sock")
	ok(s.t, create.Start())
	time.Sleep(200 * time.Millisecond) // it is under way, or has not begun: both are to be well
	s.end(&s.engine, syscall.SIGKILL)
	ok(s.t, s.plugin.Process.Signal(syscall.SIGCONT))
	_ = create.Wait() // nobody answers it
	s.startEngine()
	s.dockerDo("start", "www")
	// What is certain to be unknown.
	var none protocol.Empty
	ok(s.t, manage.Ask(ctx, manage.SocketPath("dnet"), protocol.CreateNetwork, protocol.CreateNetworkRequest{
		NetworkID: strings.Repeat("0123456789abcdef", 4), IPv4Data: []protocol.IPAMData{{Pool: "10.77.0.0/24", Gateway: "10.77.0.1/24"}},
	}, &none))
	ok(s.t, manage.Ask(ctx, manage.SocketPath("dnet"), protocol.RequestPool, protocol.RequestPoolRequest{AddressSpace: "LocalDefault", Pool: "10.78.0.0/24"}, &protocol.RequestPoolReply{}))
	if shown := s.dnetDo("plugin", "ls"); !strings.Contains(shown, "0123456789ab") || !strings.Contains(shown, "10.78.0.0/24") {
		s.t.Errorf("what is forgotten is not listed:\n%s", shown)
	}
	time.Sleep(1100 * time.Millisecond) // the least age is a second
	file := filepath.Join(s.folder, "inspected.json")
	ids := strings.Fields(s.dockerDo("network", "ls", "--quiet"))
	ok(s.t, os.WriteFile(file, []byte(s.dockerDo(append([]string{"network", "inspect"}, ids...)...)), 0o600))
	if told := s.dnetDo("plugin", "prune", "--older", "1s", file); !strings.Contains(told, "10.78.0.0/24") || len(s.listing().Pools) < 2 {
		s.t.Errorf("told to be removed is:\n%s", told)
	}
	s.dnetDo("plugin", "prune", "--older", "1s", "--force", file)
	listing := s.listing()
	if len(listing.Networks) != 1 || len(listing.Networks[0].Endpoints) != 1 || len(listing.Pools) != 1 || len(listing.Pools[0].Addresses) != 2 {
		s.t.Errorf("left is %+v", listing)
	}
	s.wantWeb(s.Host, s.addressOf("www", "known")+":80", "www")
	s.dockerDo("rm", "--force", "www")
	s.dockerDo("network", "rm", "known")
}

// daemon: a daemon is a plugin beside what else it does.
func daemon(s *site) {
	socket := filepath.Join(s.folder, "dnet.sock")
	start := func() *exec.Cmd {
		cmd := s.start("daemon", s.dnet, "daemon", "--host", "unix://"+socket, "--data-dir", s.folder+"/daemon", "--exec-root", s.folder+"/run",
			"--no-default-network", "--plugin", "beside", "--cfg-file", s.settings("[daemon]\nfirewallbackend = \"iptables\"\n"))
		s.await("the daemon", func() error {
			return manage.Ask(context.Background(), manage.SocketPath("beside"), manage.List, protocol.Empty{}, &manage.Listing{})
		})
		return cmd
	}
	running := start()
	s.dockerDo("network", "create", "-d", "beside", "--ipam-driver", "beside", "web")
	s.run("www", "--network", "web", "--publish", "8082:80")
	s.wantWeb(s.Neighbor, kerneltest.HostIPv4+":8082", "www")
	shown := s.dnetDo("--host", "unix://"+socket, "network", "ls")
	if !strings.Contains(shown, "docker-") {
		s.t.Errorf("the daemon has the networks\n%s", shown)
	}
	s.end(&running, syscall.SIGTERM)
	if _, err := os.Stat(manage.SocketPath("beside")); err == nil {
		s.t.Error("the socket is still there")
	}
	s.wantWeb(s.Neighbor, kerneltest.HostIPv4+":8082", "www")
	running = start()
	s.dockerDo("restart", "www")
	s.wantWeb(s.Neighbor, kerneltest.HostIPv4+":8082", "www")
	s.dockerDo("rm", "--force", "www")
	if out := s.dnetDo("--host", "unix://"+socket, "network", "prune"); strings.Contains(out, "docker-") {
		s.t.Errorf("pruned %s", out)
	}
	s.dockerDo("network", "rm", "web")
	s.end(&running, syscall.SIGTERM)
}

// settings writes a configuration file.
func (s *site) settings(text string) string {
	s.t.Helper()
	path := filepath.Join(s.folder, "libnetwork.toml")
	ok(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
