package dnet

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// TestTrafficGoesOn: containers reach each other a hundred times a second, and a neighbor
// reaches a published port, while the daemon is restarted, and killed.
func TestTrafficGoesOn(t *testing.T) {
	lan := kerneltest.NewLan(t)
	m := newMachine(t, lan.Host)
	m.start()
	m.dnet("network", "create", "web")
	c := m.client()
	defer c.Close()
	var keys []string
	var addresses []netip.Addr
	for i, name := range []string{"c1", "c2"} {
		if _, err := c.CreateSandbox(t.Context(), api.SandboxCreate{ContainerID: name}); err != nil {
			t.Fatal(err)
		}
		connect := api.NetworkConnect{Container: name}
		if i == 0 {
			connect.Ports = []api.PortMapping{{ContainerPort: 80, HostPort: 8080}}
		}
		ep, err := c.Connect(t.Context(), "web", connect)
		if err != nil {
			t.Fatal(err)
		}
		sb, err := c.Sandbox(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		keys, addresses = append(keys, sb.Key), append(addresses, ep.Addresses[0].Addr())
	}
	kerneltest.Serve(t, keys[0], "c1", 80)

	var group sync.WaitGroup
	var pings, asks, lost atomic.Int64
	stop := make(chan struct{})
	repeat := func(count *atomic.Int64, try func() error) {
		group.Go(func() {
			ticker := time.NewTicker(10 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-stop:
					return
				case <-ticker.C:
				}
				if err := try(); err != nil {
					lost.Add(1)
					t.Error(err)
				}
				count.Add(1)
			}
		})
	}
	repeat(&pings, func() error { return kerneltest.PingWithin(keys[1], addresses[0], time.Second) })
	repeat(&asks, func() error {
		_, err := kerneltest.Ask(lan.Neighbor, "tcp", kerneltest.HostIPv4+":8080", time.Second)
		return err
	})
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		time.Sleep(300 * time.Millisecond)
		m.stop(signal)
		time.Sleep(300 * time.Millisecond)
		m.start()
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	group.Wait()
	t.Logf("%d pings and %d connections, %d lost", pings.Load(), asks.Load(), lost.Load())
	if pings.Load() < 100 || asks.Load() < 50 {
		t.Errorf("too few to say anything")
	}
}

// TestSandboxGoesWithItsProcess: dnet run is killed, with the daemon there and without.
func TestSandboxGoesWithItsProcess(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("daemon down: %v", down), func(t *testing.T) {
			m := newMachine(t, kerneltest.NewNamespace(t))
			m.start()
			m.dnet("network", "create", "web")
			cmd := exec.Command(program(t), "run", "--network", "web", "--name", "mortal", "--", "sleep", "60")
			cmd.Env = append(os.Environ(), "DNET_HOST=unix://"+m.socket)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			m.await("the container", func() error { _, err := m.try("endpoint", "inspect", "mortal"); return err }, m.daemon.log)
			if down {
				m.stop(syscall.SIGTERM)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			m.start()
			m.await("the container to go", func() error {
				if out := m.dnet("sandbox", "ls", "-q"); out != "" {
					return fmt.Errorf("still there: %s", out)
				}
				return nil
			}, m.daemon.log)
			if out := m.dnet("endpoint", "ls", "-q"); out != "" {
				t.Errorf("endpoints are left: %s", out)
			}
		})
	}
}

// TestRunPassesOn: the command's exit code, its output, and its names.
func TestRunPassesOn(t *testing.T) {
	lan := kerneltest.NewLan(t)
	m := newMachine(t, lan.Host)
	m.start()
	m.dnet("network", "create", "web")
	out, err := m.try("run", "--network", "web", "--name", "one", "--hostname", "tower", "--", "sh", "-c", "hostname; grep 127.0.0.11 /etc/resolv.conf; exit 7")
	if exit := new(exec.ExitError); err == nil || !strings.Contains(out, "tower") || !strings.Contains(out, "nameserver 127.0.0.11") || !asExit(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("got %v: %s", err, out)
	}
	if out := m.dnet("sandbox", "ls", "-q"); out != "" {
		t.Errorf("left behind: %s", out)
	}
}

func asExit(err error, to **exec.ExitError) bool {
	exit, ok := err.(*exec.ExitError) //nolint:errorlint // exec returns it as it is
	*to = exit
	return ok
}

// TestCleanEnd: nothing is left of what the daemon made.
func TestCleanEnd(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	m.start()
	m.dnet("network", "create", "web")
	m.dnet("container", "create", "c1")
	m.dnet("network", "connect", "web", "c1")
	m.stop(syscall.SIGTERM)
	if out := run(t, m.host, "ip", "-brief", "link"); !strings.Contains(out, "dnet0") || !strings.Contains(out, "veth") {
		t.Errorf("a usual end took links away:\n%s", out)
	}
	m.arguments = []string{"--shutdown-clean"}
	m.start()
	m.stop(syscall.SIGTERM)
	if out := run(t, m.host, "ip", "-brief", "link"); strings.Count(out, "\n") != 1 {
		t.Errorf("left on the host:\n%s", out)
	}
	if out := run(t, m.host, "nft", "list", "ruleset"); strings.Contains(out, "elements") {
		t.Errorf("left in the packet filter:\n%s", out)
	}
	if left, _ := filepath.Glob(filepath.Join(m.folder, "run", "netns", "*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestMemory: a daemon with a hundred endpoints.
func TestMemory(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	m.start()
	c := m.client()
	defer c.Close()
	for i := range 100 {
		name := "c" + strconv.Itoa(i)
		if _, err := c.CreateSandbox(t.Context(), api.SandboxCreate{ContainerID: name}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Connect(t.Context(), "bridge", api.NetworkConnect{Container: name}); err != nil {
			t.Fatal(err)
		}
	}
	resident := func() int {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.daemon.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(text), "VmRSS:")
		kib, _ := strconv.Atoi(strings.Fields(after)[0])
		return kib
	}
	busy := resident()
	m.stop(syscall.SIGTERM)
	m.start()
	time.Sleep(time.Second)
	idle := resident()
	t.Logf("resident with 100 endpoints: %d KiB after making them, %d KiB after a restart", busy, idle)
	if idle == 0 || idle > 80<<10 {
		t.Errorf("%d KiB resident", idle)
	}
}
