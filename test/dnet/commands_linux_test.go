package dnet

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// rows returns the words of each line but the first.
func rows(table string) [][]string {
	var out [][]string
	for _, line := range strings.Split(table, "\n")[1:] {
		out = append(out, strings.Fields(line))
	}
	return out
}

// TestCommandsOf2017 goes through what its own tests did: networks, services, aliases,
// several networks, an internal one, and restarts between.
func TestCommandsOf2017(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	m.start()
	id := m.dnet("network", "create", "-d", "bridge", "multi1")
	if !regexp.MustCompile("^[0-9a-f]{64}$").MatchString(id) {
		t.Errorf("network create prints %q", id)
	}
	m.dnet("network", "create", "multi2")
	m.dnet("network", "create", "-internal", "closed")
	if out := m.dnet("network", "ls"); !strings.HasPrefix(out, "NETWORK ID") || !strings.Contains(out, id[:12]+" ") {
		t.Errorf("network ls prints\n%s", out)
	}
	if out := m.dnet("network", "info", "multi1"); !strings.Contains(out, "Network Id: "+id) || !strings.Contains(out, "Type: bridge") {
		t.Errorf("network info prints\n%s", out)
	}
	for i := 1; i <= 3; i++ {
		m.dnet("container", "create", fmt.Sprintf("container_%d", i))
		m.dnet("service", "publish", "--alias", "everyone", fmt.Sprintf("svc%d.multi1", i))
	}
	m.dnet("service", "attach", "container_1", "svc1.multi1", "--alias", "container_2:c2")
	m.dnet("service", "attach", "container_2", "svc2.multi1")
	m.dnet("service", "publish", "svc1.multi2")
	m.dnet("service", "attach", "container_1", "svc1.multi2")
	m.dnet("service", "publish", "svc3.closed")
	m.dnet("service", "attach", "container_3", "svc3.closed")
	if got := rows(m.dnet("service", "ls", "--network", "multi2")); len(got) != 1 || got[0][1] != "svc1" || got[0][2] != "multi2" || got[0][3] != "container_1" {
		t.Errorf("service ls: %q", got)
	}
	inside := func(container string, arguments ...string) (string, error) {
		return m.try(append([]string{"exec", container, "--"}, arguments...)...)
	}
	reaches := func() {
		t.Helper()
		for _, name := range []string{"svc2", "svc2.multi1", "svc1.multi2"} {
			if out, err := inside("container_1", "getent", "hosts", name); err != nil {
				t.Errorf("container_1 does not find %q: %v %s", name, err, out)
			}
		}
		if out, err := inside("container_2", "getent", "hosts", "svc3"); err == nil {
			t.Errorf("container_2 finds what is in another network: %s", out)
		}
		if out, err := inside("container_3", "ip", "route", "get", "192.0.2.1"); err == nil {
			t.Errorf("the internal network has a way out: %s", out)
		}
	}
	reaches()
	m.stop(syscall.SIGTERM)
	m.start()
	reaches()
	m.stop(syscall.SIGKILL)
	m.start()
	reaches()
	if out, err := m.try("network", "rm", "multi1"); err == nil || !strings.Contains(out, "has endpoints") {
		t.Errorf("a network in use was removed: %s", out)
	}
	m.dnet("service", "detach", "container_1", "svc1.multi1")
	if out, err := inside("container_1", "getent", "hosts", "svc2.multi1"); err == nil {
		t.Errorf("after leaving, container_1 still finds %s", out)
	}
	m.dnet("service", "unpublish", "svc1.multi1")
	m.dnet("service", "unpublish", "-f", "svc2.multi1")
	m.dnet("service", "unpublish", "svc3.multi1")
	m.dnet("network", "rm", "multi1")
	for i := 1; i <= 3; i++ {
		m.dnet("container", "rm", fmt.Sprintf("container_%d", i))
	}
	m.dnet("network", "prune")
	if got := rows(m.dnet("network", "ls")); len(got) != 1 || got[0][1] != "bridge" {
		t.Errorf("left are %q, want the default network alone", got)
	}
}

// TestMending: what somebody took away is found, told and mended.
func TestMending(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	m.start()
	m.dnet("network", "create", "web")
	m.dnet("container", "create", "c1")
	m.dnet("network", "connect", "web", "c1")
	out := run(t, m.host, "ip", "-brief", "link")
	bridge := regexp.MustCompile(`br-[0-9a-f]+`).FindString(out)
	run(t, m.host, "ip", "link", "delete", bridge)
	if out := m.dnet("repair", "--dry-run"); !strings.Contains(out, "create link "+bridge) {
		t.Errorf("the dry run prints\n%s", out)
	}
	m.dnet("repair")
	run(t, m.host, "ip", "link", "show", bridge)
	if out := m.dnet("repair", "--dry-run"); !strings.Contains(out, "nothing differs") {
		t.Errorf("after the repair:\n%s", out)
	}
	bundle := filepath.Join(m.folder, "bundle.tar.gz")
	m.dnet("dump", "-o", bundle)
	if out := run(t, m.host, "tar", "-tzf", bundle); !strings.Contains(out, "records.json") {
		t.Errorf("the bundle has\n%s", out)
	}
	if out := m.dnet("why", "outside", "c1:80"); !strings.Contains(out, "does not arrive") {
		t.Errorf("why prints\n%s", out)
	}
}

// TestFullDisk: a store that cannot grow refuses, tells, and takes again what fits.
func TestFullDisk(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	data := filepath.Join(m.folder, "data")
	run(t, m.host, "mkdir", data)
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if m.daemon != nil {
			m.stop(syscall.SIGTERM)
		}
		m.arguments = []string{"--shutdown-clean"}
		m.start()
		m.stop(syscall.SIGTERM)
		if err := syscall.Unmount(data, 0); err != nil {
			t.Error(err)
		}
	})
	m.start()
	c := m.client()
	defer c.Close()
	filler := filepath.Join(data, "filler")
	_ = exec.Command("dd", "if=/dev/zero", "of="+filler).Run() // it ends when the disk is full
	health, err := c.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if health.Healthy {
		t.Errorf("with a full disk the daemon says that it is well")
	}
	var refused error
	for i := 0; i < 400 && refused == nil; i++ {
		_, refused = m.try("container", "create", fmt.Sprintf("c%d", i))
	}
	if exit := new(exec.ExitError); !errors.As(refused, &exit) {
		t.Fatalf("a full disk took 400 records: %v", refused)
	}
	before := m.dnet("sandbox", "ls", "-q")
	run(t, m.host, "rm", filler)
	m.dnet("container", "create", "fits")
	m.stop(syscall.SIGKILL)
	m.start()
	after := m.dnet("sandbox", "ls", "-q")
	if len(strings.Fields(after)) != len(strings.Fields(before))+1 {
		t.Errorf("before the restart %d sandboxes and one more, after it %d", len(strings.Fields(before)), len(strings.Fields(after)))
	}
	if _, err := c.Sandbox(t.Context(), "fits"); errors.Is(err, cnm.NotFound) {
		t.Errorf("what was recorded last is lost")
	}
}
