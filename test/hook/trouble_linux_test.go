package hook

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// first is a process that plays the first one of a container, in a namespace of its own.
type first struct {
	t       *testing.T
	command *exec.Cmd
	bundle  string
	state   string
}

func newFirst(t *testing.T, id string, annotations string) *first {
	t.Helper()
	command := exec.Command("sleep", "60")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	ok(t, command.Start())
	bundle := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(bundle, "config.json"), []byte(`{"root":{"path":"rootfs"}}`), 0o600))
	f := &first{t: t, command: command, bundle: bundle, state: fmt.Sprintf(
		`{"ociVersion":"1.0.2","id":%q,"status":"creating","pid":%d,"bundle":%q,"annotations":%s}`, id, command.Process.Pid, bundle, annotations)}
	t.Cleanup(f.end)
	return f
}

func (f *first) end() {
	_ = f.command.Process.Kill()
	_ = f.command.Wait()
}

func (f *first) namespace() string { return fmt.Sprintf("/proc/%d/ns/net", f.command.Process.Pid) }

// awaitClean waits for what the daemon does by itself.
func (m *machine) awaitClean() {
	m.t.Helper()
	await(m.t, "the machine to be as before", func() error {
		if after := m.picture(); after != m.before {
			return fmt.Errorf("before:\n%s\nafter:\n%s", m.before, after)
		}
		return nil
	})
}

// TestHookIsKilled at any moment of its work; then the runtime kills the container, and
// calls detach or not.
func TestHookIsKilled(t *testing.T) {
	m := newMachine(t)
	cut := 0
	for i := range 24 {
		f := newFirst(t, "box", `{"dnet.network":"web:ip=10.88.0.77","dnet.publish":"8080:80"}`)
		command := exec.Command(program(t, "dnet-hook"), "attach")
		command.Env = []string{"DNET_HOST=unix://" + m.socket}
		command.Stdin = strings.NewReader(f.state)
		ok(t, command.Start())
		time.Sleep(time.Duration(i) * time.Millisecond)
		_ = command.Process.Kill()
		if command.Wait() != nil {
			cut++
		}
		if i%2 == 0 {
			if out, err := m.hook(f.state, "detach"); err != nil {
				t.Errorf("detach: %v: %s", err, out)
			}
		}
		f.end()
		m.awaitClean()
	}
	t.Logf("%d of 24 were cut short", cut)
	if cut == 0 {
		t.Error("the hook was always faster")
	}
}

// TestDaemonIsKilled at any moment of the hook's work: the next one takes away what the
// hook could not.
func TestDaemonIsKilled(t *testing.T) {
	m := newMachine(t)
	failed := 0
	for i := range 8 {
		f := newFirst(t, "box", `{"dnet.network":"web:ip=10.88.0.77","dnet.publish":"8080:80"}`)
		command := exec.Command(program(t, "dnet-hook"), "attach")
		command.Env = []string{"DNET_HOST=unix://" + m.socket}
		command.Stdin = strings.NewReader(f.state)
		ok(t, command.Start())
		time.Sleep(time.Duration(2+i) * time.Millisecond)
		ok(t, m.daemon.Process.Kill())
		_ = m.daemon.Wait()
		attached := command.Wait() == nil
		m.start()
		if attached {
			if err := kerneltest.Ping(f.namespace(), m.peer); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		} else {
			failed++
		}
		f.end()
		m.awaitClean()
	}
	t.Logf("%d of 8 failed", failed)
	if failed == 0 {
		t.Error("the hook was always faster")
	}
}

// TestSignalsTakeBack: a hook that is told to end does so at once, and looks before whether
// the daemon has done what it was asked for.
func TestSignalsTakeBack(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		path := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", path)
		ok(t, err)
		asked, looked := make(chan struct{}, 1), make(chan struct{}, 1)
		slow := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				_, _ = io.Copy(io.Discard, r.Body) // only then is the client's end noticed
				asked <- struct{}{}
				<-r.Context().Done()
				return
			}
			looked <- struct{}{}
			http.NotFound(w, r)
		})}
		var group sync.WaitGroup
		group.Go(func() { _ = slow.Serve(listener) })
		f := newFirst(t, "box", `{"dnet.network":"web"}`)
		command := exec.Command(program(t, "dnet-hook"), "attach", "-H", "unix://"+path)
		command.Stdin = strings.NewReader(f.state)
		var said bytes.Buffer
		command.Stderr = &said
		ok(t, command.Start())
		<-asked
		start := time.Now()
		ok(t, command.Process.Signal(signal))
		err = command.Wait()
		if command.ProcessState.ExitCode() != api.ExitCode(cnm.Timeout) || strings.Count(said.String(), "\n") != 1 || len(looked) != 1 || time.Since(start) > 5*time.Second {
			t.Errorf("%v: after %v %v, looked %d times: %s", signal, time.Since(start), err, len(looked), &said)
		}
		ok(t, slow.Close())
		group.Wait()
		f.end()
	}
}

// TestSharedNamespace: what is there belongs to the first container, and stays.
func TestSharedNamespace(t *testing.T) {
	m := newMachine(t)
	f := newFirst(t, "one", `{"dnet.network":"web"}`)
	if out, err := m.hook(f.state, "attach"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ok(t, kerneltest.Ping(f.namespace(), m.peer))
	second := strings.Replace(f.state, `"one"`, `"two"`, 1)
	out, err := m.hook(second, "attach")
	if err == nil || strings.Count(out, "\n") != 1 {
		t.Errorf("%v: %s", err, out)
	}
	t.Log(out)
	ok(t, kerneltest.Ping(f.namespace(), m.peer))
	if out, err := m.hook(second, "detach"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	ok(t, kerneltest.Ping(f.namespace(), m.peer))
	if out, err := m.hook(f.state, "detach"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	m.wantClean()
}

// TestUserNamespace: the container's root is nobody outside.
func TestUserNamespace(t *testing.T) {
	for _, runtime := range runtimes() {
		t.Run(runtime[0], func(t *testing.T) {
			m := newMachine(t)
			c := newContainer(t, runtime, "box", "ping -c 1 -W 5 peer && echo reached by name; sleep 60", map[string]string{"dnet.network": "web", "dnet.files": "rootfs"}, func(spec *specs.Spec) {
				spec.Hooks.CreateRuntime = []specs.Hook{m.call("attach")}
				spec.Hooks.Poststop = []specs.Hook{m.call("detach")}
				spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
				mapping := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
				spec.Linux.UIDMappings, spec.Linux.GIDMappings = mapping, mapping
			})
			// The folders of tests are closed to others.
			for folder := c.bundle; folder != os.TempDir(); folder = filepath.Dir(folder) {
				ok(t, os.Chmod(folder, 0o755))
			}
			if err := c.run(); err != nil {
				t.Fatalf("%v: %s", err, c.said())
			}
			c.says("reached by name")
			c.remove()
			m.wantClean()
		})
	}
}

// TestContainersDiskIsFull: what was there stays.
func TestContainersDiskIsFull(t *testing.T) {
	m := newMachine(t)
	f := newFirst(t, "box", `{"dnet.network":"web","dnet.files":"rootfs"}`)
	root := filepath.Join(f.bundle, "rootfs")
	ok(t, os.Mkdir(root, 0o755))
	ok(t, syscall.Mount("tmpfs", root, "tmpfs", 0, "size=16k"))
	t.Cleanup(func() { ok(t, syscall.Unmount(root, syscall.MNT_DETACH)) })
	ok(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	ok(t, os.WriteFile(filepath.Join(root, "etc", "resolv.conf"), []byte("mine"), 0o644))
	ok(t, os.WriteFile(filepath.Join(root, "etc", "hosts"), []byte("mine"), 0o644))
	_ = os.WriteFile(filepath.Join(root, "full"), make([]byte, 64<<10), 0o600)
	if out, err := m.hook(f.state, "attach"); err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "no space left") {
		t.Errorf("%v: %s", err, out)
	}
	entries, err := os.ReadDir(filepath.Join(root, "etc"))
	ok(t, err)
	for _, entry := range entries {
		if text, err := os.ReadFile(filepath.Join(root, "etc", entry.Name())); err != nil || string(text) != "mine" {
			t.Errorf("%s: %q, %v", entry.Name(), text, err)
		}
	}
	m.wantClean()
}

// TestManyAtOnce: as when a machine starts. Each third one is refused.
func TestManyAtOnce(t *testing.T) {
	m := newMachine(t)
	const count = 30
	var group sync.WaitGroup
	var all []*first
	for i := range count {
		annotations := fmt.Sprintf(`{"dnet.network":"web","dnet.publish":"%d:80"}`, 9000+i)
		if i%3 == 2 {
			annotations = fmt.Sprintf(`{"dnet.network":"web;nope","dnet.publish":"%d:80"}`, 9000+i)
		}
		f := newFirst(t, fmt.Sprintf("box%d", i), annotations)
		all = append(all, f)
		group.Go(func() {
			out, err := m.hook(f.state, "attach")
			if refused := i%3 == 2; refused != (err != nil) {
				t.Errorf("%d: %v: %s", i, err, out)
			}
			if err == nil {
				if err := kerneltest.Ping(f.namespace(), m.peer); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	group.Wait()
	sandboxes, err := m.client.Sandboxes(t.Context(), client.SandboxFilter{})
	ok(t, err)
	if len(sandboxes) != 1+count*2/3 {
		t.Errorf("%d sandboxes", len(sandboxes))
	}
	for _, f := range all {
		group.Go(func() {
			if out, err := m.hook(f.state, "detach"); err != nil {
				t.Errorf("detach: %v: %s", err, out)
			}
		})
	}
	group.Wait()
	m.wantClean()
}
