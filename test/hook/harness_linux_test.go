package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
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

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// programs builds dnet and dnet-hook, once, into a folder that ends with the mount
// namespace of the tests, with the name of 2017's hook beside them.
var programs = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("/run", "programs")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", folder, "../../cmd/dnet", "../../cmd/dnetd", "../../cmd/dnet-hook")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return folder, os.Symlink("dnet-hook", filepath.Join(folder, "libnetwork-setkey"))
})

func program(t testing.TB, name string) string {
	t.Helper()
	folder, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, name)
}

// machine is a host among others, with a daemon and a network called web, in which there
// is a container called peer that serves port 80.
type machine struct {
	t      testing.TB
	lan    *kerneltest.Lan
	folder string
	socket string
	daemon *exec.Cmd
	log    bytes.Buffer
	client *client.Client
	// peer is the address of the container peer, and peerKey its namespace.
	peer    netip.Addr
	peerKey string
	before  string
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	kerneltest.RequireRoot(t)
	folder, err := os.MkdirTemp("/run", "hook")
	ok(t, err)
	m := &machine{t: t, lan: kerneltest.NewLan(t), folder: folder, socket: filepath.Join(folder, "s")}
	m.start()
	t.Cleanup(func() {
		m.stop()
		m.start("--shutdown-clean")
		m.stop()
		ok(t, os.RemoveAll(folder))
	})
	m.client, err = client.New("unix://" + m.socket)
	ok(t, err)
	t.Cleanup(m.client.Close)
	_, err = m.client.CreateNetwork(t.Context(), api.NetworkCreate{
		Name: "web", IPv4Conf: []api.IPAMConfig{{PreferredPool: "10.88.0.0/24"}},
	})
	ok(t, err)
	_, err = m.client.CreateSandbox(t.Context(), api.SandboxCreate{ContainerID: "peer"})
	ok(t, err)
	ep, err := m.client.Connect(t.Context(), "web", api.NetworkConnect{Container: "peer"})
	ok(t, err)
	sb, err := m.client.Sandbox(t.Context(), "peer")
	ok(t, err)
	m.peer, m.peerKey = ep.Addresses[0].Addr(), sb.Key
	kerneltest.Serve(t, m.peerKey, "peer", 80)
	m.before = m.picture()
	return m
}

// start starts the daemon and waits until it answers.
func (m *machine) start(more ...string) {
	m.t.Helper()
	file := filepath.Join(m.folder, "libnetwork.toml")
	text := fmt.Sprintf("[daemon]\nhostnamespace = %q\ndatadir = %q\nexecroot = %q\nannouncecount = 0\n",
		m.lan.Host, filepath.Join(m.folder, "data"), filepath.Join(m.folder, "run"))
	ok(m.t, os.WriteFile(file, []byte(text), 0o600))
	m.daemon = exec.Command(program(m.t, "dnet"), append([]string{"daemon", "-c", file, "--no-default-network", "-H", "unix://" + m.socket}, more...)...)
	m.daemon.Stdout, m.daemon.Stderr = &m.log, &m.log
	ok(m.t, m.daemon.Start())
	await(m.t, "the daemon", func() error {
		c, err := client.New("unix://" + m.socket)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Version(context.Background())
		return err
	})
}

func (m *machine) stop() {
	m.t.Helper()
	ok(m.t, m.daemon.Process.Signal(syscall.SIGTERM))
	if err := m.daemon.Wait(); err != nil {
		m.t.Errorf("the daemon ended with %v:\n%s", err, &m.log)
	}
}

// picture is all that the host, and the peer, hold, and what the daemon knows.
func (m *machine) picture() string {
	m.t.Helper()
	host, err := kernel.Open(kernel.Options{HostNamespace: m.lan.Host, Instance: "picture"})
	ok(m.t, err)
	defer host.Close() //nolint:errcheck // read only
	text := kerneltest.Snapshot(m.t, host, "", m.peerKey)
	ruleset := exec.Command("nft", "list", "ruleset")
	ok(m.t, kerneltest.Do(m.lan.Host, func() error {
		out, err := ruleset.CombinedOutput()
		text += string(out)
		return err
	}))
	for _, pattern := range []string{"run/netns/*", "run/sandboxes/*/*"} {
		paths, err := filepath.Glob(filepath.Join(m.folder, pattern))
		ok(m.t, err)
		text += fmt.Sprintln(paths)
	}
	endpoints, err := m.client.Endpoints(context.Background(), client.EndpointFilter{})
	ok(m.t, err)
	for _, ep := range endpoints {
		text += fmt.Sprintln(ep.Name, ep.Network, ep.Container, ep.Addresses)
	}
	return text
}

// wantClean fails if the machine holds other things than before the first container.
func (m *machine) wantClean() {
	m.t.Helper()
	if after := m.picture(); after != m.before {
		m.t.Errorf("before:\n%s\nafter:\n%s", m.before, after)
	}
}

// hook runs the program as a runtime does and returns what it says.
func (m *machine) hook(state string, arguments ...string) (string, error) {
	m.t.Helper()
	command := exec.Command(program(m.t, "dnet-hook"), arguments...)
	command.Env = []string{"DNET_HOST=unix://" + m.socket}
	command.Stdin = strings.NewReader(state)
	out, err := command.CombinedOutput()
	return string(out), err
}

// call is a hook as a bundle has it.
func (m *machine) call(arguments ...string) specs.Hook {
	m.t.Helper()
	return specs.Hook{
		Path: program(m.t, "dnet-hook"), Args: append([]string{"dnet-hook"}, arguments...),
		Env: []string{"DNET_HOST=unix://" + m.socket},
	}
}

// runtimes are those of Debian, with their own global flags.
func runtimes() [][]string {
	return [][]string{{"runc", "--root", "/run/runc"}, {"crun", "--root", "/run/crun"}}
}

// container is a bundle, and what a runtime makes of it.
type container struct {
	t       testing.TB
	runtime []string
	id      string
	bundle  string
	output  string
}

// newContainer makes a bundle that runs a script of busybox.
func newContainer(t testing.TB, runtime []string, id, script string, annotations map[string]string, change func(*specs.Spec)) *container {
	t.Helper()
	for _, needed := range []string{runtime[0], "busybox"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Fatalf("%s is missing; scripts/install-deps installs it", needed)
		}
	}
	// crun does not take two kinds of control groups at a time; the mount namespace is ours.
	_ = syscall.Unmount("/sys/fs/cgroup/unified", syscall.MNT_DETACH)
	c := &container{t: t, runtime: runtime, id: id, bundle: t.TempDir(), output: filepath.Join(t.TempDir(), "output")}
	bin := filepath.Join(c.bundle, "rootfs", "bin")
	for _, folder := range []string{bin, filepath.Join(c.bundle, "rootfs", "proc"), filepath.Join(c.bundle, "rootfs", "etc"), filepath.Join(c.bundle, "rootfs", "dev")} {
		ok(t, os.MkdirAll(folder, 0o755))
	}
	busybox, err := exec.LookPath("busybox")
	ok(t, err)
	content, err := os.ReadFile(busybox)
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(bin, "busybox"), content, 0o755))
	for _, name := range []string{"sh", "ping", "cat", "httpd", "sleep", "wget", "ip", "hostname", "nslookup"} {
		ok(t, os.Symlink("busybox", filepath.Join(bin, name)))
	}
	annotations = maps.Clone(annotations)
	if annotations == nil {
		annotations = make(map[string]string)
	}
	// Without it crun throws away what hooks write.
	annotations["run.oci.hooks.stderr"] = c.output
	capabilities := []string{"CAP_NET_RAW", "CAP_NET_BIND_SERVICE"}
	spec := &specs.Spec{
		Version: "1.0.2", Hostname: id + "-host", Annotations: annotations,
		Root: &specs.Root{Path: "rootfs"}, Hooks: &specs.Hooks{},
		Process: &specs.Process{
			Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/bin"}, Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{Bounding: capabilities, Effective: capabilities, Permitted: capabilities},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=755"}},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.MountNamespace}, {Type: specs.UTSNamespace}, {Type: specs.IPCNamespace},
		}},
	}
	if change != nil {
		change(spec)
	}
	text, err := json.Marshal(spec)
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(c.bundle, "config.json"), text, 0o600))
	t.Cleanup(func() { _ = c.command("delete", "--force", id).Run() })
	return c
}

func (c *container) command(arguments ...string) *exec.Cmd {
	command := exec.Command(c.runtime[0], append(slices.Clone(c.runtime[1:]), arguments...)...)
	command.Dir = c.bundle
	return command
}

// run starts the container. Its output, and the runtime's, go to a file: a pipe would be
// held open by the container.
func (c *container) run() error {
	c.t.Helper()
	output, err := os.OpenFile(c.output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	ok(c.t, err)
	defer output.Close() //nolint:errcheck // the container's
	command := c.command("run", "--detach", "--bundle", c.bundle, c.id)
	command.Stdout, command.Stderr = output, output
	return command.Run()
}

// said is what the container, its hooks and the runtime have written so far. Runc quotes
// what hooks write.
func (c *container) said() string {
	text, err := os.ReadFile(c.output)
	if err != nil {
		return err.Error()
	}
	return strings.ReplaceAll(string(text), `\"`, `"`)
}

// says waits until the container has written all of the words.
func (c *container) says(words ...string) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("%q of the container", words), func() error {
		text := c.said()
		for _, word := range words {
			if !strings.Contains(text, word) {
				return fmt.Errorf("%q is not in %s", word, text)
			}
		}
		return nil
	})
}

// remove ends the container and deletes it.
func (c *container) remove() {
	c.t.Helper()
	if out, err := c.command("delete", "--force", c.id).CombinedOutput(); err != nil {
		c.t.Errorf("delete: %v: %s", err, out)
	}
}

// await tries for some seconds.
func await(t testing.TB, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("waited for %s: %v", what, err)
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
