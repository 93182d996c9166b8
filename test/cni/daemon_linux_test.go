package cni

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

// daemon is a process of dnet that the machine's plugin asks.
type daemon struct {
	m            *machine
	socket, file string
	*exec.Cmd
	log strings.Builder
}

// withDaemon makes the machine's plugin ask a daemon, which runs until the test ends.
func (m *machine) withDaemon() *daemon {
	m.t.Helper()
	// The path of a socket must be short.
	folder, err := os.MkdirTemp("/run", "cni")
	if err != nil {
		m.t.Fatal(err)
	}
	d := &daemon{m: m, socket: filepath.Join(folder, "s"), file: filepath.Join(folder, "libnetwork.toml")}
	m.configuration["socket"] = d.socket
	text := fmt.Sprintf("[daemon]\nhostnamespace = %q\ndatadir = %q\nexecroot = %q\n", m.host, folder, filepath.Join(folder, "run"))
	if err := os.WriteFile(d.file, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	d.start()
	m.t.Cleanup(func() {
		if d.ProcessState == nil {
			m.must(m.call("GC", key{}, nil))
		}
		d.stop()
		delete(m.configuration, "socket") // what comes last asks nobody
		if err := os.RemoveAll(folder); err != nil {
			m.t.Error(err)
		}
	})
	return d
}

func (d *daemon) start() {
	d.m.t.Helper()
	d.Cmd = exec.Command(program(d.m.t, buildDaemon), "daemon", "-c", d.file, "-H", "unix://"+d.socket, "--no-default-network")
	d.Stdout, d.Stderr = &d.log, &d.log
	if err := d.Start(); err != nil {
		d.m.t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); d.dnet("version") != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			d.stop()
			d.m.t.Fatalf("the daemon does not answer:\n%s", d.log.String())
		}
	}
}

func (d *daemon) dnet(arguments ...string) error {
	_, err := d.says(arguments...)
	return err
}

func (d *daemon) says(arguments ...string) (string, error) {
	c := exec.Command(program(d.m.t, buildDaemon), arguments...)
	c.Env = append(os.Environ(), "DNET_HOST=unix://"+d.socket)
	out, err := c.CombinedOutput()
	return string(out), err
}

func (d *daemon) stop() {
	if d.ProcessState != nil {
		return
	}
	_, _ = d.Process.Signal(syscall.SIGTERM), d.Wait()
}

// TestDaemon: the verbs, by the daemon.
func TestDaemon(t *testing.T) {
	m := newMachine(t)
	m.withDaemon()
	m.must(m.call("STATUS", key{}, nil))
	m.must(m.call("DEL", key{"nobody", "eth0", ""}, nil))
	one, two := m.container(), m.container()
	named := with(published(8080), nil)
	named["runtimeConfig"].(object)["aliases"] = []string{"web"}
	made := m.must(m.call("ADD", one, named))
	links := made.took["interfaces"].([]any)
	if name := links[0].(object)["name"].(string); len(links) != 3 || !strings.HasPrefix(name, "br-") {
		t.Errorf("links are %v", links)
	}
	m.refused(m.call("ADD", one, named), 102, "DEL comes first")
	again := m.must(m.call("ADD", two, nil))
	if dns := again.took["dns"].(object); dns["nameservers"].([]any)[0] != "127.0.0.11" {
		t.Errorf("name resolution is %v", dns)
	}
	// Names are answered in the container.
	if said := run(t, two.netns, "dig", "+short", "+time=5", "@127.0.0.11", "web"); strings.TrimSpace(said) != made.address(t, 0) {
		t.Errorf("web is at %q", said)
	}
	kerneltest.Serve(t, one.netns, "one", 80)
	if said, err := kerneltest.Ask(m.host, "tcp", "127.0.0.1:8080", 5*time.Second); err != nil || !strings.HasPrefix(said, "one") {
		t.Errorf("the port says %q: %v", said, err)
	}
	m.must(m.call("CHECK", one, with(named, object{"prevResult": made.took})))
	run(t, one.netns, "ip", "addr", "flush", "dev", "eth0")
	m.refused(m.call("CHECK", one, with(named, object{"prevResult": made.took})), 105, "add addr")
	second := two
	second.ifname = "eth1"
	m.must(m.call("ADD", second, nil))
	m.must(m.call("DEL", second, nil))
	deleteNamespace(t, one.netns)
	m.must(m.call("DEL", one, nil))
	m.must(m.call("DEL", one, nil))
	if err := kerneltest.Ping(two.netns, netip.MustParseAddr("10.20.0.1")); err != nil {
		t.Error(err)
	}
	// A container whose namespace is gone without a DEL is in nobody's way.
	deleteNamespace(t, two.netns)
	m.makeNamespace(two.netns + "-again")
	two.netns += "-again"
	m.must(m.call("ADD", two, nil))
	m.refused(m.call("STATUS", key{}, object{"subnet": "10.21.0.0/16"}), 50, "another configuration")
	m.refused(m.call("ADD", one, object{"subnet": "10.21.0.0/16"}), 8, "CNI_NETNS")
	m.refused(m.call("ADD", m.container(), object{"subnet": "10.21.0.0/16"}), 7, "dnet network rm blue")
}

// TestDaemonAtOnce: the network is made once.
func TestDaemonAtOnce(t *testing.T) {
	m := newMachine(t)
	d := m.withDaemon()
	var group sync.WaitGroup
	for i := range 8 {
		k := m.container()
		group.Go(func() {
			for range 5 {
				if got := m.call("ADD", k, published(8080+i)); got.status != 0 {
					t.Error(got.text)
				}
				if got := m.call("DEL", k, nil); got.status != 0 {
					t.Error(got.text)
				}
			}
			if got := m.call("ADD", k, published(8080+i)); got.status != 0 {
				t.Error(got.text)
			}
		})
	}
	group.Wait()
	if text, err := d.says("sandbox", "ls", "-q"); err != nil || strings.Count(text, "\n") != 8 {
		t.Errorf("there are these sandboxes: %v\n%s", err, text)
	}
	m.must(m.call("GC", key{}, object{"cni.dev/valid-attachments": []object{{"containerID": "c1", "ifname": "eth0"}}}))
	if text, err := d.says("sandbox", "ls", "-q"); err != nil || strings.Count(text, "\n") != 1 {
		t.Errorf("after GC there are these sandboxes: %v\n%s", err, text)
	}
}

// TestDaemonsNetwork: containers may join what the daemon has, which GC leaves there.
func TestDaemonsNetwork(t *testing.T) {
	m := newMachine(t)
	d := m.withDaemon()
	if out, err := d.says("network", "create", "--subnet", "10.20.0.0/16", "shared"); err != nil {
		t.Fatal(out)
	}
	m.configuration["network"] = "shared"
	m.must(m.call("ADD", m.container(), nil))
	delete(m.configuration, "subnet")
	m.must(m.call("ADD", m.container(), nil))
	m.refused(m.call("ADD", m.container(), object{"internal": true}), 7, `"internal"`)
	m.must(m.call("GC", key{}, nil))
	if out, err := d.says("network", "rm", "shared"); err != nil {
		t.Errorf("the network is gone, or not free: %s", out)
	}
}

// TestDaemonAway: what to do without it is said, with the codes for that.
func TestDaemonAway(t *testing.T) {
	m := newMachine(t)
	d := m.withDaemon()
	k := m.container()
	m.must(m.call("ADD", k, nil))
	m.must(m.call("DEL", k, nil))
	m.must(m.call("GC", key{}, nil))
	d.stop()
	m.refused(m.call("ADD", k, nil), 11, "cannot reach the daemon")
	m.refused(m.call("DEL", k, nil), 11, "dnet daemon")
	m.refused(m.call("STATUS", key{}, nil), 51, "cannot reach the daemon")
	m.refused(m.call("ADD", k, object{"socket": "relative"}), 7, `"socket"`)
}
