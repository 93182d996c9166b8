package libnetwork_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/internal/setkey"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// external makes the sandbox of a container, with an endpoint, that waits for its key.
func external(t *testing.T, c libnetwork.NetworkController, n libnetwork.Network, name string) libnetwork.Endpoint {
	t.Helper()
	sb := must[libnetwork.Sandbox](t)(c.NewSandbox(name, libnetwork.OptionUseExternalKey()))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint(name))
	ok(t, ep.Join(sb))
	return ep
}

func TestExternalKeyByTheSocket(t *testing.T) {
	if setkey.DefaultExecRoot != config.DefaultExecRoot {
		t.Errorf("hooks look in %q, controllers listen in %q", setkey.DefaultExecRoot, config.DefaultExecRoot)
	}
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	other := must[libnetwork.Sandbox](t)(attach(n, c, "other"))
	ep := external(t, c, n, "mine")
	namespace := kerneltest.NewNamespace(t)
	key := libnetwork.ExternalKey{ControllerID: c.ID(), ContainerID: "mine", Key: namespace, ExecRoot: s.run}
	ok(t, key.Set(t.Context()))
	if err := kerneltest.Ping(namespace, address(n.Endpoints()[1])); err != nil {
		t.Error(err)
	}
	ping(t, other, address(ep))
	if err := key.Set(t.Context()); !errors.Is(err, cnm.Forbidden) || !strings.Contains(err.Error(), "has its namespace already") {
		t.Errorf("a second time: %v", err)
	}
	empty(t, c)
	s.wantEmpty(t)
}

// TestExternalKeyAfterARestart: the controller that waits for the key need not be the one
// that was asked for the sandbox.
func TestExternalKeyAfterARestart(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	other := must[libnetwork.Sandbox](t)(attach(n, c, "other"))
	ep := external(t, c, n, "mine")
	c.Stop()
	c = s.open(t)
	ok(t, libnetwork.ExternalKey{ControllerID: c.ID(), ContainerID: "mine", Key: kerneltest.NewNamespace(t), ExecRoot: s.run}.Set(t.Context()))
	ping(t, must[libnetwork.Sandbox](t)(c.SandboxByID(other.ID())), address(ep))
	empty(t, c)
	s.wantEmpty(t)
}

// TestExternalKeyOfManyContainers: as when a machine starts.
func TestExternalKeyOfManyContainers(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	const count = 50 // more than are served at a time
	var group sync.WaitGroup
	for i := range count {
		name := fmt.Sprintf("c%d", i)
		ep, namespace := external(t, c, n, name), kerneltest.NewNamespace(t)
		group.Go(func() {
			key := libnetwork.ExternalKey{ControllerID: c.ID()[:12], ContainerID: name, Key: namespace, ExecRoot: s.run}
			if err := key.Set(t.Context()); err != nil {
				t.Error(err)
			}
			if err := kerneltest.Ping(namespace, address(ep)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	empty(t, c)
	s.wantEmpty(t)
}

func TestExternalKeyRefusals(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	own := must[libnetwork.Sandbox](t)(attach(n, c, "own"))
	external(t, c, n, "mine")
	before := s.picture(t, own.Key())
	for name, test := range map[string]struct {
		container, key, controller string
		kind                       cnm.Kind
		says                       string
	}{
		"unknown container":   {"none", own.Key(), c.ID(), cnm.Forbidden, "no such sandbox"},
		"not external":        {"own", own.Key(), c.ID(), cnm.Forbidden, "OptionUseExternalKey"},
		"nothing there":       {"mine", "/nowhere", c.ID(), cnm.Forbidden, "no such file"},
		"no namespace":        {"mine", "/etc/passwd", c.ID(), cnm.Forbidden, "not a network namespace"},
		"other namespace":     {"mine", fmt.Sprintf("/proc/%d/ns/uts", os.Getpid()), c.ID(), cnm.Forbidden, "not a network namespace"},
		"the host's own":      {"mine", s.host, c.ID(), cnm.Forbidden, "host's own namespace"},
		"one that stands for": {"mine", "/proc/self/ns/net", c.ID(), cnm.Invalid, "by its number"},
		"relative":            {"mine", "ns", c.ID(), cnm.Invalid, "absolute"},
		"no key":              {"mine", "", c.ID(), cnm.Invalid, "empty"},
		"no container":        {"", own.Key(), c.ID(), cnm.Invalid, "empty"},
		"no controller":       {"mine", own.Key(), "", cnm.Invalid, "12 digits"},
		"path":                {"mine", own.Key(), "../x", cnm.Invalid, "12 digits"},
		"another controller":  {"mine", own.Key(), "0123456789ab", cnm.Unavailable, "no controller listens"},
	} {
		t.Run(name, func(t *testing.T) {
			key := libnetwork.ExternalKey{ControllerID: test.controller, ContainerID: test.container, Key: test.key, ExecRoot: s.run}
			err := key.Set(t.Context())
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want kind %q and the words %q", err, test.kind, test.says)
			}
			if after := s.picture(t, own.Key()); after != before {
				t.Errorf("the refusal changed\n%s\nto\n%s", before, after)
			}
		})
	}
	empty(t, c)
	s.wantEmpty(t)
}

// ask sends text to the socket and returns the answer.
func ask(t *testing.T, socket, text string) string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing to lose
	for piece := range bytes.SplitSeq([]byte(text), []byte("|")) {
		if _, err := conn.Write(piece); err != nil {
			break // whoever does not read on says why
		}
		time.Sleep(time.Millisecond)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

// TestKeySocketTakesWhatClientsSend, among them those of 2017 and hostile ones.
func TestKeySocketTakesWhatClientsSend(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	socket := setkey.Socket(s.run, c.ID())
	for text, says := range map[string]string{
		"no JSON":                             "invalid character",
		`{"ContainerID":"mine"}`:              "key is empty",
		`{"x":"` + strings.Repeat("x", 1<<20): "larger than",
	} {
		if got := ask(t, socket, text); !strings.Contains(got, says) {
			t.Errorf("to %.30q: %q", text, got)
		}
	}
	for i, text := range []string{
		`{"ContainerID":"c%d","Key":%s}`,
		`{"Conta|inerID":"c%d",|"OTelTrace":{"a":"b"},"Key":%s|}` + "\n",
	} {
		external(t, c, n, fmt.Sprintf("c%d", i))
		key, err := json.Marshal(kerneltest.NewNamespace(t))
		ok(t, err)
		if got := ask(t, socket, fmt.Sprintf(text, i, key)); got != "success" {
			t.Errorf("to %q: %q", text, got)
		}
	}
	empty(t, c)
}

func TestKeySocketIsForRootAndItsOwn(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	socket := setkey.Socket(s.run, c.ID())
	for path, mode := range map[string]fs.FileMode{filepath.Dir(socket): fs.ModeDir | 0o700, socket: fs.ModeSocket | 0o600} {
		info, err := os.Lstat(path)
		ok(t, err)
		if info.Mode() != mode {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	// Somebody has opened it to all: the controller looks who asks.
	for _, path := range []string{s.run, filepath.Dir(socket), socket} {
		ok(t, os.Chmod(path, 0o777))
	}
	answer := make(chan string)
	go func() {
		runtime.LockOSThread() // the thread is another user's, and ends with this goroutine
		const nobody, same = 65534, ^uintptr(0)
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, same, nobody, same); e != 0 {
			answer <- e.Error()
			return
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer conn.Close() //nolint:errcheck // nothing to lose
		text, _ := io.ReadAll(conn)
		answer <- string(text)
	}()
	if got := <-answer; !strings.Contains(got, "user 65534 may not") {
		t.Errorf("answer %q", got)
	}
}

// TestKeySocketComesAndGoes with the controller.
func TestKeySocketComesAndGoes(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	socket := setkey.Socket(s.run, c.ID())
	idle, err := net.Dial("unix", socket)
	ok(t, err)
	defer idle.Close() //nolint:errcheck // nothing to lose
	start := time.Now()
	c.Stop()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a client that says nothing held the end up for %v", took)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	key := libnetwork.ExternalKey{ControllerID: c.ID(), ContainerID: "c", Key: "/proc/1/ns/net", ExecRoot: s.run}
	if err := key.Set(context.Background()); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
	// One that was killed leaves its socket.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	ok(t, err)
	dead.SetUnlinkOnClose(false)
	ok(t, dead.Close())
	c = s.open(t)
	if err := key.Set(t.Context()); !errors.Is(err, cnm.Forbidden) || !strings.Contains(err.Error(), "no such sandbox") {
		t.Errorf("in the place of a dead one: %v", err)
	}
	c.Stop()
	// What is not ours stays, and the controller goes without.
	ok(t, os.WriteFile(socket, []byte("mine"), 0o600))
	c = s.open(t)
	if text, err := os.ReadFile(socket); err != nil || string(text) != "mine" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
}

// TestExternalKeyAgainAfterAFailure: a namespace that turns out to be of no use leaves
// nothing behind, and the next one has all, names too.
func TestExternalKeyAgainAfterAFailure(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	external(t, c, n, "mine")
	taken, free := kerneltest.NewNamespace(t), kerneltest.NewNamespace(t)
	run(t, taken, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
	before := s.picture(t, taken)
	key := libnetwork.ExternalKey{ControllerID: c.ID(), ContainerID: "mine", Key: taken, ExecRoot: s.run}
	if err := key.Set(t.Context()); !errors.Is(err, cnm.Forbidden) || !strings.Contains(err.Error(), "eth0") {
		t.Errorf("a namespace with an interface of the same name: %v", err)
	}
	if after := s.picture(t, taken); after != before {
		t.Errorf("the failure changed\n%s\nto\n%s", before, after)
	}
	if got := run(t, taken, "ss", "-Hlnut"); got != "" {
		t.Errorf("there listens still:\n%s", got)
	}
	key.Key = free
	ok(t, key.Set(t.Context()))
	if got, want := lookUp(t, free, "mine", dns.TypeA), address(n.Endpoints()[0]).String(); got != want {
		t.Errorf("mine is %q, want %q", got, want)
	}
	empty(t, c)
	s.wantEmpty(t)
}

// TestExternalKeyOfABareNamespace: a process that nobody has prepared has its loopback down.
func TestExternalKeyOfABareNamespace(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	external(t, c, n, "mine")
	process := exec.Command("sleep", "60")
	process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	ok(t, process.Start())
	defer func() { _, _ = process.Process.Kill(), process.Wait() }()
	namespace := fmt.Sprintf("/proc/%d/ns/net", process.Process.Pid)
	ok(t, libnetwork.ExternalKey{ControllerID: c.ID(), ContainerID: "mine", Key: namespace, ExecRoot: s.run}.Set(t.Context()))
	if got, want := lookUp(t, namespace, "mine", dns.TypeA), address(n.Endpoints()[0]).String(); got != want {
		t.Errorf("mine is %q, want %q", got, want)
	}
	empty(t, c)
	s.wantEmpty(t)
}

// TestExternalKeyOfAnotherContainer: the first one keeps all, names too.
func TestExternalKeyOfAnotherContainer(t *testing.T) {
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
	own := must[libnetwork.Sandbox](t)(attach(n, c, "own"))
	external(t, c, n, "first")
	external(t, c, n, "second")
	namespace := kerneltest.NewNamespace(t)
	key := libnetwork.ExternalKey{ControllerID: c.ID(), ContainerID: "first", Key: namespace, ExecRoot: s.run}
	ok(t, key.Set(t.Context()))
	want := lookUp(t, namespace, "own", dns.TypeA)
	before := s.picture(t, namespace, own.Key())
	key.ContainerID = "second"
	for _, key.Key = range []string{namespace, own.Key()} {
		if err := key.Set(t.Context()); !errors.Is(err, cnm.Forbidden) || !strings.Contains(err.Error(), "namespace of sandbox of container") {
			t.Errorf("%s: %v", key.Key, err)
		}
	}
	if after := s.picture(t, namespace, own.Key()); after != before {
		t.Errorf("the refusal changed\n%s\nto\n%s", before, after)
	}
	for _, in := range []string{namespace, own.Key()} {
		if got := lookUp(t, in, "own", dns.TypeA); got != want {
			t.Errorf("own is %q, want %q", got, want)
		}
	}
	empty(t, c)
	s.wantEmpty(t)
}
