package hook

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// forms are the two kinds of hook that attach can be.
func forms() map[string]func(*specs.Hooks, specs.Hook) {
	return map[string]func(*specs.Hooks, specs.Hook){
		"createRuntime": func(hooks *specs.Hooks, h specs.Hook) { hooks.CreateRuntime = append(hooks.CreateRuntime, h) },
		"prestart": func(hooks *specs.Hooks, h specs.Hook) {
			hooks.Prestart = append(hooks.Prestart, h) //nolint:staticcheck // deprecated, and what old runtimes know
		},
	}
}

// everywhere runs a test with each runtime and each kind of hook.
func everywhere(t *testing.T, test func(t *testing.T, runtime []string, add func(*specs.Hooks, specs.Hook))) {
	t.Helper()
	for _, runtime := range runtimes() {
		for form, add := range forms() {
			t.Run(runtime[0]+" "+form, func(t *testing.T) { test(t, runtime, add) })
		}
	}
}

// visit asks the container for its page as a neighbor of the host does.
func visit(m *machine, port int) error {
	var out []byte
	err := kerneltest.Do(m.lan.Neighbor, func() (err error) {
		out, err = exec.Command("curl", "-sS", "--max-time", "1", fmt.Sprintf("http://%s:%d/index.html", kerneltest.HostIPv4, port)).CombinedOutput()
		return err
	})
	if err != nil || !strings.Contains(string(out), "hello from inside") {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

const script = `
ping -c 1 -W 5 peer && echo reached by name
cat /etc/resolv.conf /etc/hosts
wget -q -O - http://nobody.invalid 2>/dev/null || echo no such name
echo hello from inside >/index.html
httpd -f -p 80 -h /
`

// TestContainerGetsItsNetworks goes through a container's life.
func TestContainerGetsItsNetworks(t *testing.T) {
	everywhere(t, func(t *testing.T, runtime []string, add func(*specs.Hooks, specs.Hook)) {
		m := newMachine(t)
		c := newContainer(t, runtime, "box", script, map[string]string{
			"dnet.network": "web:ip=10.88.0.77,alias=store", "dnet.publish": "8080:80/tcp", "dnet.files": "rootfs", "org.example": "left alone",
		}, func(spec *specs.Spec) {
			add(spec.Hooks, m.call("attach"))
			spec.Hooks.Poststop = append(spec.Hooks.Poststop, m.call("detach"))
		})
		if err := c.run(); err != nil {
			t.Fatalf("%v: %s", err, c.said())
		}
		c.says("reached by name", "nameserver 127.0.0.11", "10.88.0.77\tbox-host", "no such name")
		ok(t, kerneltest.Ping(m.peerKey, netip.MustParseAddr("10.88.0.77")))
		await(t, "the published port", func() error { return visit(m, 8080) })
		found, err := m.client.Resolve(t.Context(), "peer", "store")
		ok(t, err)
		if len(found.Answers) != 1 || found.Answers[0] != "10.88.0.77" {
			t.Errorf("the alias has the addresses %q", found.Answers)
		}
		c.remove()
		m.wantClean()
		if err := visit(m, 8080); err == nil {
			t.Errorf("the port is published still")
		}
	})
}

// TestFilesOfTheBundle: the daemon keeps the files that the bundle mounts.
func TestFilesOfTheBundle(t *testing.T) {
	for _, runtime := range runtimes() {
		t.Run(runtime[0], func(t *testing.T) {
			m := newMachine(t)
			c := newContainer(t, runtime, "box", "ping -c 1 -W 5 peer && echo reached by name; cat /etc/resolv.conf; cat /etc/hosts; sleep 60", map[string]string{
				"dnet.network": "web", "dnet.files": "bundle", "dnet.hostname": "tower",
			}, func(spec *specs.Spec) {
				spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach")}
				spec.Hooks.Poststop = []specs.Hook{m.call("detach")}
				for _, name := range []string{"resolv.conf", "hosts"} {
					spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/etc/" + name, Type: "bind", Source: name, Options: []string{"bind", "ro"}})
				}
			})
			if err := c.run(); err == nil {
				t.Errorf("without the files the container runs")
			}
			c.remove()
			m.wantClean()
			for i := range 2 { // the second time over the files of the first
				for _, name := range []string{"resolv.conf", "hosts"} {
					file, err := os.OpenFile(filepath.Join(c.bundle, name), os.O_CREATE, 0o644)
					ok(t, err)
					ok(t, file.Close())
				}
				ok(t, os.RemoveAll(c.output))
				if err := c.run(); err != nil {
					t.Fatalf("%d: %v: %s", i, err, c.said())
				}
				c.says("reached by name", "nameserver 127.0.0.11", "\ttower")
				c.remove()
				m.wantClean()
			}
		})
	}
}

// TestSeveralNetworks: the first one gives the default route.
func TestSeveralNetworks(t *testing.T) {
	m := newMachine(t)
	_, err := m.client.CreateNetwork(t.Context(), network("back", "10.89.0.0/24"))
	ok(t, err)
	m.before = m.picture()
	c := newContainer(t, runtimes()[0], "box", "ip -4 address; ip route; hostname; sleep 60", nil, func(spec *specs.Spec) {
		spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach", "--network", "web", "--network", "back:ip=10.89.0.5", "-name", "two")}
		spec.Hooks.Poststop = []specs.Hook{m.call("detach")}
	})
	if err := c.run(); err != nil {
		t.Fatalf("%v: %s", err, c.said())
	}
	c.says("10.88.0.", "10.89.0.5/24", "default via 10.88.0.1", "box-host")
	endpoints, err := m.client.Endpoints(t.Context(), client.EndpointFilter{Container: "box"})
	ok(t, err)
	if len(endpoints) != 2 || endpoints[0].Name != "two" || endpoints[1].Name != "two" {
		t.Errorf("endpoints %+v", endpoints)
	}
	c.remove()
	m.wantClean()
}

// TestRefusalEndsTheContainer: what the hook says is what the runtime's user sees.
func TestRefusalEndsTheContainer(t *testing.T) {
	everywhere(t, func(t *testing.T, runtime []string, add func(*specs.Hooks, specs.Hook)) {
		m := newMachine(t)
		for says, annotations := range map[string]map[string]string{
			`network "nope"`:           {"dnet.network": "web;nope", "dnet.publish": "8080:80"},
			"is in no subnet of":       {"dnet.network": "web:ip=192.0.2.77"},
			`"dnet.netwrok": is not`:   {"dnet.netwrok": "web"},
			"names no network":         {},
			"is in use in subnet":      {"dnet.network": "web:ip=" + m.peer.String()},
			"want a number from 1 to":  {"dnet.network": "web", "dnet.publish": "80800:80"},
			`name "a b": holds`:        {"dnet.network": "web", "dnet.hostname": "a b"},
			`resolv.conf": is missing`: {"dnet.network": "web", "dnet.files": "bundle"},
		} {
			c := newContainer(t, runtime, "box", "echo it runs; sleep 60", annotations, func(spec *specs.Spec) {
				add(spec.Hooks, m.call("attach"))
			})
			err := c.run()
			said := c.said()
			if err == nil || !strings.Contains(said, says) || strings.Contains(said, "it runs") {
				t.Errorf("want %q, got %v: %s", says, err, said)
			}
			if out, err := c.command("state", "box").CombinedOutput(); err == nil {
				t.Errorf("there is a container: %s", out)
			}
			m.wantClean()
		}
	})
}

// TestContainerOnTheHostsNetworkIsRefused: the host would get what is for the container.
func TestContainerOnTheHostsNetworkIsRefused(t *testing.T) {
	m := newMachine(t)
	c := newContainer(t, runtimes()[0], "box", "echo it runs", map[string]string{"dnet.network": "web"}, func(spec *specs.Spec) {
		spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach")}
		spec.Linux.Namespaces = append(spec.Linux.Namespaces[:1], spec.Linux.Namespaces[2:]...)
	})
	if err := c.run(); err == nil || !strings.Contains(c.said(), "no network namespace of its own") {
		t.Errorf("%v: %s", err, c.said())
	}
	m.wantClean()
}

// TestRuntimeIsKilled between the hook and the container's program.
func TestRuntimeIsKilled(t *testing.T) {
	for _, runtime := range runtimes() {
		t.Run(runtime[0], func(t *testing.T) {
			m := newMachine(t)
			// The hook behind ours holds the runtime up until the test is over.
			gate := filepath.Join(t.TempDir(), "gate")
			ok(t, syscall.Mkfifo(gate, 0o600))
			held, err := os.OpenFile(gate, os.O_RDWR, 0)
			ok(t, err)
			defer held.Close() //nolint:errcheck // nothing to lose
			c := newContainer(t, runtime, "box", "sleep 60", map[string]string{"dnet.network": "web", "dnet.publish": "8080:80"}, func(spec *specs.Spec) {
				spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach"), {Path: "/bin/sh", Args: []string{"sh", "-c", "read line <" + gate}}}
			})
			command := c.command("run", "--bundle", c.bundle, c.id)
			output, err := os.Create(c.output)
			ok(t, err)
			defer output.Close() //nolint:errcheck // nothing to lose
			command.Stdout, command.Stderr = output, output
			ok(t, command.Start())
			var pid string
			await(t, "the sandbox", func() error {
				sb, err := m.client.Sandbox(t.Context(), "box")
				if err == nil && !sb.Ready {
					err = fmt.Errorf("has no namespace yet")
				}
				pid, _ = sb.Labels["oci.pid"].(string)
				return err
			})
			ok(t, command.Process.Kill())
			_ = command.Wait()
			state := fmt.Sprintf(`{"ociVersion":"1.0.2","id":"box","status":"stopped","bundle":%q}`, c.bundle)
			for i := range 2 {
				if out, err := m.hook(state, "detach"); err != nil || out != "" {
					t.Errorf("detach %d: %v: %s", i, err, out)
				}
			}
			m.wantClean()
			_, err = held.WriteString("go on\n")
			ok(t, err)
			_ = c.command("delete", "--force", c.id).Run()
			endProcess(t, pid)
		})
	}
}

// endProcess makes sure that the container's first process has ended.
func endProcess(t *testing.T, pid string) {
	t.Helper()
	var number int
	if _, err := fmt.Sscan(pid, &number); err != nil || number <= 1 {
		t.Fatalf("the sandbox has no process on its label: %q", pid)
	}
	await(t, "the end of the container's process", func() error {
		stat, readErr := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if ended := readErr != nil || strings.Contains(string(stat), ") Z "); ended {
			return nil
		}
		_ = syscall.Kill(number, syscall.SIGKILL)
		return fmt.Errorf("process %s: %s", pid, stat)
	})
}

// TestNothingOutlivesTheContainer: also without a poststop hook, and with a daemon that was
// not there when the container ended.
func TestNothingOutlivesTheContainer(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("daemon down: %v", down), func(t *testing.T) {
			m := newMachine(t)
			c := newContainer(t, runtimes()[1], "box", "echo it runs; sleep 60", map[string]string{"dnet.network": "web", "dnet.publish": "8080:80"}, func(spec *specs.Spec) {
				spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach")}
			})
			ok(t, c.run())
			c.says("it runs")
			if down {
				m.stop()
			}
			c.remove()
			if down {
				m.start()
			}
			await(t, "the end of the sandbox", func() error {
				if after := m.picture(); after != m.before {
					return fmt.Errorf("before:\n%s\nafter:\n%s", m.before, after)
				}
				return nil
			})
		})
	}
}

// TestTheSameContainerAgain: a second one is refused while the first one lives, and is no
// trouble after its end.
func TestTheSameContainerAgain(t *testing.T) {
	m := newMachine(t)
	box := func(poststop bool) *container {
		return newContainer(t, runtimes()[0], "box", "echo it runs; sleep 60", map[string]string{"dnet.network": "web", "dnet.publish": "8080:80"}, func(spec *specs.Spec) {
			spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach")}
			if poststop {
				spec.Hooks.Poststop = []specs.Hook{m.call("detach")}
			}
		})
	}
	first := box(false)
	ok(t, first.run())
	first.says("it runs")
	// While it lives nobody takes its place.
	state, err := first.command("state", "box").Output()
	ok(t, err)
	if out, err := m.hook(string(state), "attach"); err == nil || !strings.Contains(out, "has a sandbox already") {
		t.Errorf("a second attach: %v: %s", err, out)
	}
	first.remove() // there is no poststop hook: the sandbox may be there still
	second := box(true)
	if err := second.run(); err != nil {
		t.Fatalf("%v: %s", err, second.said())
	}
	second.says("it runs")
	second.remove()
	m.wantClean()
}

// TestTheSameIDOfAnotherRuntime: runc calls poststop hooks also for what a hook has refused,
// and the container that was there first keeps its networks.
func TestTheSameIDOfAnotherRuntime(t *testing.T) {
	m := newMachine(t)
	box := func(root string) *container {
		return newContainer(t, []string{"runc", "--root", root}, "box", "echo it runs; sleep 60", map[string]string{"dnet.network": "web:ip=10.88.0.77"}, func(spec *specs.Spec) {
			spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach")}
			spec.Hooks.Poststop = []specs.Hook{m.call("detach")}
			spec.Linux.CgroupsPath = "/" + filepath.Base(m.folder) + filepath.Base(root)
		})
	}
	first, second := box("/run/runc"), box("/run/other")
	ok(t, first.run())
	first.says("it runs")
	if err := second.run(); err == nil || !strings.Contains(second.said(), "has a sandbox already") {
		t.Errorf("%v: %s", err, second.said())
	}
	ok(t, kerneltest.Ping(m.peerKey, netip.MustParseAddr("10.88.0.77")))
	first.remove()
	m.wantClean()
}

// TestDetachLeavesOthersAlone: what attach has not made is not its to delete.
func TestDetachLeavesOthersAlone(t *testing.T) {
	m := newMachine(t)
	if out, err := m.hook(`{"id":"peer","status":"stopped"}`, "detach"); err == nil || !strings.Contains(out, "was not made by attach") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := m.hook(`{"id":"unknown","status":"stopped"}`, "detach"); err != nil || out != "" {
		t.Errorf("of none: %v: %s", err, out)
	}
	m.wantClean()
}

// TestTimes measures what the hooks add to a container's start.
func TestTimes(t *testing.T) {
	m := newMachine(t)
	const count = 10
	took := make(map[string]time.Duration)
	for _, with := range []string{"without", "with"} {
		for i := range count {
			c := newContainer(t, runtimes()[1], fmt.Sprintf("box%d", i), "sleep 60", map[string]string{"dnet.network": "web"}, func(spec *specs.Spec) {
				if with == "with" {
					spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach")}
					spec.Hooks.Poststop = []specs.Hook{m.call("detach")}
				}
			})
			start := time.Now()
			ok(t, c.run())
			took[with] += time.Since(start)
			c.remove()
		}
	}
	t.Logf("a container of crun starts in %v without hooks, in %v with them", took["without"]/count, took["with"]/count)
	if more := (took["with"] - took["without"]) / count; more > time.Second {
		t.Errorf("attach takes %v", more)
	}
	m.wantClean()
}
