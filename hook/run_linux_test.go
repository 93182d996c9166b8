package hook_test

import (
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/hook"
	"github.com/docker/libnetwork/kernel/process"
)

// fakeDaemon knows as much of a daemon as attach and detach do. It fails the requests that
// begin with fail, and notes all.
type fakeDaemon struct {
	address string

	mu        sync.Mutex
	sandboxes map[string]api.Sandbox // by id
	asked     []string
	fail      string
	// loses makes the daemon do what fail says, and end the connection without an answer;
	// holds makes it never answer.
	loses, holds bool
	// before is called before each request is answered.
	before  func(line string)
	created api.SandboxCreate
}

func newFakeDaemon(t *testing.T) *fakeDaemon {
	t.Helper()
	return newFakeDaemonAt(t, "unix")
}

// newFakeDaemonAt is by "unix" or "tcp".
func newFakeDaemonAt(t *testing.T, network string) *fakeDaemon {
	t.Helper()
	folder, err := os.MkdirTemp("", "h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	where := filepath.Join(folder, "s")
	if network == "tcp" {
		where = "127.0.0.1:0"
	}
	listener, err := net.Listen(network, where)
	if err != nil {
		t.Fatal(err)
	}
	d := &fakeDaemon{address: network + "://" + listener.Addr().String(), sandboxes: make(map[string]api.Sandbox)}
	server := &http.Server{Handler: d, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return d
}

// ServeHTTP implements http.Handler.
func (d *fakeDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	line := r.Method + " " + r.URL.Path
	d.asked = append(d.asked, line)
	if d.before != nil {
		d.before(line)
	}
	fails := d.fail != "" && strings.HasPrefix(line, d.fail)
	if fails && !d.loses {
		hold := d.holds
		d.mu.Unlock()
		if hold {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(api.Error{Kind: cnm.Forbidden, Message: "not today"})
		return
	}
	defer d.mu.Unlock()
	status, answer := d.answer(r)
	if fails {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (d *fakeDaemon) answer(r *http.Request) (int, any) {
	id := strings.TrimPrefix(r.URL.Path, "/sandboxes/")
	for _, sb := range d.sandboxes {
		if sb.ContainerID == id {
			id = sb.ID
		}
	}
	_, known := d.sandboxes[id]
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/sandboxes":
		var in api.SandboxCreate
		_ = json.NewDecoder(r.Body).Decode(&in)
		for _, sb := range d.sandboxes {
			if sb.ContainerID == in.ContainerID {
				return http.StatusForbidden, api.Error{Kind: cnm.Exists, Message: "the container has a sandbox already"}
			}
		}
		d.created = in
		id := fmt.Sprintf("sb%d", len(d.asked))
		d.sandboxes[id] = api.Sandbox{ID: id, ContainerID: in.ContainerID, Labels: in.Labels}
		return http.StatusCreated, id
	case r.Method == http.MethodGet && r.URL.Path == "/sandboxes":
		out := []api.Sandbox{}
		for _, sb := range d.sandboxes {
			if sb.ContainerID == r.URL.Query().Get("container-id") {
				out = append(out, sb)
			}
		}
		return http.StatusOK, out
	case strings.HasSuffix(r.URL.Path, "/connect"):
		return http.StatusOK, api.Endpoint{}
	case strings.HasSuffix(r.URL.Path, "/key"):
		return http.StatusOK, "/run/netns/x"
	case !known:
		return http.StatusNotFound, api.Error{Kind: cnm.NotFound, Message: "not found"}
	case r.Method == http.MethodDelete:
		delete(d.sandboxes, id)
		return http.StatusOK, nil
	default:
		return http.StatusOK, d.sandboxes[id]
	}
}

// sleeper is a process in a network namespace of its own, and a bundle for it.
func sleeper(t *testing.T) (pid int, bundle string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces: run the tests with sudo")
	}
	command := exec.Command("sleep", "60")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = command.Process.Kill(), command.Wait() })
	bundle = t.TempDir()
	config := `{"root":{"path":"rootfs"},"hostname":"tower","annotations":{"dnet.network":"web;back","dnet.publish":"8080:80"}}`
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return command.Process.Pid, bundle
}

// run runs the program with the state and returns the exit code and what it says.
func (d *fakeDaemon) run(state string, arguments ...string) (int, string) {
	d.mu.Lock()
	d.asked = nil
	d.mu.Unlock()
	var out, problems bytes.Buffer
	code := hook.Run(context.Background(), hook.Options{
		Args: append([]string{"dnet-hook"}, arguments...), Stdin: strings.NewReader(state), Stdout: &out, Stderr: &problems,
		Getenv:  func(name string) string { return map[string]string{hook.HostVariable: d.address}[name] },
		Version: "1.0",
	})
	return code, out.String() + problems.String()
}

func (d *fakeDaemon) requests() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.asked, ", ")
}

func stateOf(pid int, bundle string) string {
	return fmt.Sprintf(`{"ociVersion":"1.2.0","id":"box","status":"creating","pid":%d,"bundle":%q}`, pid, bundle)
}

func TestAttachAndDetach(t *testing.T) {
	pid, bundle := sleeper(t)
	d := newFakeDaemon(t)
	if code, out := d.run(stateOf(pid, bundle), "attach"); code != 0 || out != "" {
		t.Fatalf("exit %d: %s", code, out)
	}
	if got, want := d.requests(), "POST /sandboxes, POST /networks/web/connect, POST /networks/back/connect, POST /sandboxes/sb1/key"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	if in := d.created; in.ContainerID != "box" || !in.UseExternalKey || in.HostName != "tower" || len(in.Ports) != 1 || in.Labels["oci.pid"] != fmt.Sprint(pid) || in.Labels["oci.bundle"] != bundle ||
		in.Lifetime != api.LifetimeProcess || in.OwnerPID != pid {
		t.Errorf("created %+v", in)
	}
	// While its process lives nobody takes the place of a sandbox.
	if code, out := d.run(stateOf(pid, bundle), "attach"); code != api.ExitCode(cnm.Exists) || !strings.Contains(out, "has a sandbox already") {
		t.Errorf("a second time: exit %d: %s", code, out)
	}
	for range 2 {
		if code, out := d.run(`{"id":"box","status":"stopped"}`, "detach"); code != 0 || out != "" || len(d.sandboxes) != 0 {
			t.Errorf("detach: exit %d: %s", code, out)
		}
	}
}

// TestAttachByTCP: there the daemon cannot follow a process.
func TestAttachByTCP(t *testing.T) {
	pid, bundle := sleeper(t)
	d := newFakeDaemonAt(t, "tcp")
	if code, out := d.run(stateOf(pid, bundle), "attach"); code != 0 || d.created.ContainerID != "box" || d.created.Lifetime != "" || d.created.OwnerPID != 0 {
		t.Errorf("exit %d: %s: created %+v", code, out, d.created)
	}
}

// TestAttachTakesBack what it has done, whatever fails.
func TestAttachTakesBack(t *testing.T) {
	pid, bundle := sleeper(t)
	for _, fail := range []string{"POST /sandboxes", "POST /networks/web", "POST /networks/back", "POST /sandboxes/"} {
		for _, how := range []string{"refuses", "loses", "holds"} {
			t.Run(how+" "+fail, func(t *testing.T) {
				d := newFakeDaemon(t)
				d.fail, d.loses, d.holds = fail, how == "loses", how == "holds"
				code, out := d.run(stateOf(pid, bundle), "attach", "--timeout", "300ms")
				if code == 0 || strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, `dnet-hook: attach container "box": `) {
					t.Errorf("exit %d: %q", code, out)
				}
				if len(d.sandboxes) != 0 {
					t.Errorf("left %+v after %s", d.sandboxes, d.requests())
				}
			})
		}
	}
}

// TestAttachLeavesTheSandboxesOfOthers: that it was not told how its request ended is no
// reason to delete what somebody else made.
func TestAttachLeavesTheSandboxesOfOthers(t *testing.T) {
	pid, bundle := sleeper(t)
	d := newFakeDaemon(t)
	d.sandboxes["other"] = api.Sandbox{ID: "other", ContainerID: "box", Labels: map[string]any{"oci.pid": "1"}}
	d.fail, d.loses = "POST /sandboxes", true
	if code, out := d.run(stateOf(pid, bundle), "attach"); code == 0 || len(d.sandboxes) != 1 {
		t.Errorf("exit %d: %s: left %v", code, out, d.sandboxes)
	}
	d.fail = ""
	if code, out := d.run(stateOf(pid, bundle), "detach"); code != api.ExitCode(cnm.Forbidden) || len(d.sandboxes) != 1 {
		t.Errorf("exit %d: %s: left %v", code, out, d.sandboxes)
	}
}

// TestDetachLeavesAnotherContainerOfTheSameID: ids are unique within one runtime only, and
// runtimes call detach also for what attach has refused.
func TestDetachLeavesAnotherContainerOfTheSameID(t *testing.T) {
	mine, other := t.TempDir(), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(mine, link); err != nil {
		t.Fatal(err)
	}
	for given, goes := range map[string]bool{mine: true, mine + "/": true, link: true, "": true, other: false, "/gone": false} {
		d := newFakeDaemon(t)
		d.sandboxes["sb"] = api.Sandbox{ID: "sb", ContainerID: "box", Labels: map[string]any{"oci.attempt": "x", "oci.bundle": mine}}
		code, out := d.run(fmt.Sprintf(`{"id":"box","status":"stopped","bundle":%q}`, given), "detach")
		if code != 0 || (len(d.sandboxes) == 0) != goes {
			t.Errorf("%q: exit %d: %s: left %v", given, code, out, d.sandboxes)
		}
	}
}

// TestAttachReplacesWhatADeadProcessLeft.
func TestAttachReplacesWhatADeadProcessLeft(t *testing.T) {
	pid, bundle := sleeper(t)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for name, labels := range map[string]map[string]any{
		"ended":             {"oci.attempt": "x", "oci.pid": fmt.Sprint(dead.Process.Pid)},
		"number used again": {"oci.attempt": "x", "oci.pid": fmt.Sprint(pid), "oci.start": "1"},
	} {
		d := newFakeDaemon(t)
		d.sandboxes["old"] = api.Sandbox{ID: "old", ContainerID: "box", Labels: labels}
		if code, out := d.run(stateOf(pid, bundle), "attach"); code != 0 || len(d.sandboxes) != 1 || d.sandboxes["old"].ID != "" {
			t.Errorf("%s: exit %d: %s: left %v", name, code, out, d.sandboxes)
		}
	}
}

// TestContainerEndsMeanwhile: the daemon goes by the number of its process, which may be
// another's by then.
func TestContainerEndsMeanwhile(t *testing.T) {
	pid, bundle := sleeper(t)
	d := newFakeDaemon(t)
	d.before = func(line string) {
		if !strings.HasSuffix(line, "/key") {
			return
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for { // until it is a zombie at least
			p, err := process.Open(pid)
			if err != nil {
				return
			}
			_ = p.Close()
		}
	}
	if code, out := d.run(stateOf(pid, bundle), "attach"); code != api.ExitCode(cnm.NotFound) || !strings.Contains(out, "ended meanwhile") || len(d.sandboxes) != 0 {
		t.Errorf("exit %d: %s: left %v", code, out, d.sandboxes)
	}
	d.before = nil
	if code, out := d.run(stateOf(pid, bundle), "attach"); code != api.ExitCode(cnm.NotFound) || d.requests() != "" {
		t.Errorf("after its end: exit %d: %s: asked %s", code, out, d.requests())
	}
}

// TestStateWithoutAnnotations, or with none in it: the bundle has them.
func TestStateWithoutAnnotations(t *testing.T) {
	pid, bundle := sleeper(t)
	for _, annotations := range []string{"null", "{}"} {
		d := newFakeDaemon(t)
		state := fmt.Sprintf(`{"ociVersion":"1.2.0","id":"box","status":"creating","pid":%d,"bundle":%q,"annotations":%s}`, pid, bundle, annotations)
		if code, out := d.run(state, "attach"); code != 0 || !strings.Contains(d.requests(), "/networks/back/connect") {
			t.Errorf("%s: exit %d: %s", annotations, code, out)
		}
	}
}

// TestStateThatDoesNotEnd: a terminal, or a runtime that hangs, holds nothing up.
func TestStateThatDoesNotEnd(t *testing.T) {
	for _, arguments := range [][]string{{"attach"}, {"detach"}, {"setkey", "c", "0123456789ab"}} {
		for name, timeout := range map[string]string{"timeout": "50ms", "signal": "1h"} {
			in, out := io.Pipe()
			ctx, cancel := context.WithCancel(t.Context())
			if name == "signal" {
				time.AfterFunc(50*time.Millisecond, cancel)
			}
			var problems bytes.Buffer
			all := append([]string{"dnet-hook", arguments[0], "--timeout", timeout}, arguments[1:]...)
			code := hook.Run(ctx, hook.Options{Args: all, Stdin: in, Stderr: &problems})
			if code != api.ExitCode(cnm.Timeout) || !strings.Contains(problems.String(), "did not come to its end") {
				t.Errorf("%s, %s: exit %d: %s", arguments, name, code, &problems)
			}
			cancel()
			_ = out.Close()
		}
	}
}

func TestCommandLine(t *testing.T) {
	d := newFakeDaemon(t)
	for _, test := range []struct {
		arguments []string
		code      int
		says      string
	}{
		{nil, 2, "no command"},
		{[]string{"fly"}, 2, `command "fly"`},
		{[]string{"version"}, 0, "dnet-hook 1.0"},
		{[]string{"help"}, 0, "createRuntime or prestart"},
		{[]string{"attach", "-h"}, 0, "annotation dnet.publish"},
		{[]string{"attach", "more"}, 2, "want 0"},
		{[]string{"attach", "--color", "red"}, 2, "not defined"},
		{[]string{"attach", "--name", "a", "--name", "b"}, 2, "given twice"},
		{[]string{"attach"}, 2, "is missing"},
		{[]string{"detach", "-H", "tcp://192.0.2.1:1"}, 2, "is missing"},
		{[]string{"attach", "--timeout", "0s"}, 2, "more than none"},
		{[]string{"setkey", "--timeout", "-1s", "c", "0123456789ab"}, 2, "more than none"},
		{[]string{"setkey", "c"}, 2, "want 2"},
		{[]string{"setkey", "c", ".."}, 2, "12 digits"},
		{[]string{"setkey", "-exec-root=run", "c", "0123456789ab"}, 2, "absolute path"},
	} {
		if code, out := d.run("", test.arguments...); code != test.code || !strings.Contains(out, test.says) {
			t.Errorf("%q: exit %d: %s", test.arguments, code, out)
		}
	}
	if asked := d.requests(); asked != "" {
		t.Errorf("asked the daemon %s", asked)
	}
	if code, out := d.run(`{"id":"a"}`, "detach", "-H", "tcp://192.0.2.1:1"); code != 2 || !strings.Contains(out, "on this machine") {
		t.Errorf("a daemon elsewhere: exit %d: %s", code, out)
	}
	if code, out := d.run(`{"id":"a"}`, "detach", "-H", "unix:///nowhere/s"); code != api.ExitCode(cnm.Unavailable) || !strings.Contains(out, "is it running?") {
		t.Errorf("no daemon: exit %d: %s", code, out)
	}
	for _, arguments := range [][]string{{"/usr/bin/libnetwork-setkey", "-exec-root=/nowhere", "c", "0123456789ab"}, {"setkey", "-exec-root=/nowhere", "c", "0123456789ab"}} {
		var problems bytes.Buffer
		code := hook.Run(context.Background(), hook.Options{Args: arguments, Stdin: strings.NewReader(`{"id":"a","pid":1}`), Stderr: &problems})
		if code != api.ExitCode(cnm.Unavailable) || !strings.Contains(problems.String(), "/nowhere/libnetwork/0123456789ab.sock") {
			t.Errorf("%q: exit %d: %s", arguments, code, &problems)
		}
	}
}
