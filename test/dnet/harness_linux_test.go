package dnet

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// program builds dnet, and dnetd beside it, once, and returns the path of dnet.
func program(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "dnet")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", folder, "../../cmd/dnet", "../../cmd/dnetd").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return filepath.Join(folder, "dnet"), nil
})

// machine is a host with a place for a daemon's data.
type machine struct {
	t      testing.TB
	folder string
	host   string
	socket string
	// arguments are those of each daemon, and settings lines of its file.
	arguments []string
	settings  string
	daemon    *daemon
}

// daemon is a process.
type daemon struct {
	*exec.Cmd
	log *kerneltest.Log
}

func newMachine(t testing.TB, host string) *machine {
	t.Helper()
	kerneltest.RequireRoot(t)
	// The path of a socket must be short.
	folder, err := os.MkdirTemp("/run", "dnet")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, folder: folder, host: host, socket: filepath.Join(folder, "s")}
	t.Cleanup(func() {
		if m.daemon != nil {
			m.stop(syscall.SIGTERM)
		}
		m.arguments = append(m.arguments, "--shutdown-clean")
		m.start()
		m.stop(syscall.SIGTERM)
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return m
}

// run starts a daemon with more arguments, and does not wait for it.
func (m *machine) run(more ...string) *daemon {
	m.t.Helper()
	file := filepath.Join(m.folder, "libnetwork.toml")
	text := fmt.Sprintf("[daemon]\nhostnamespace = %q\ndatadir = %q\nexecroot = %q\nannouncecount = 0\n%s",
		m.host, filepath.Join(m.folder, "data"), filepath.Join(m.folder, "run"), m.settings)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	arguments := append([]string{"daemon", "-c", file}, m.arguments...)
	if !strings.Contains(strings.Join(append(arguments, more...), " "), "-H ") {
		arguments = append(arguments, "-H", "unix://"+m.socket)
	}
	d := &daemon{Cmd: exec.Command(program(m.t), append(arguments, more...)...), log: &kerneltest.Log{}}
	d.Stdout, d.Stderr = d.log, d.log
	if err := d.Start(); err != nil {
		m.t.Fatal(err)
	}
	return d
}

// start starts the machine's daemon, if there is none, and waits until it answers.
func (m *machine) start() {
	m.t.Helper()
	if m.daemon != nil {
		return
	}
	m.daemon = m.run()
	m.await("a daemon", func() error { return m.client().ping() }, m.daemon.log)
}

// await tries for some seconds.
func (m *machine) await(what string, try func() error, log fmt.Stringer) {
	m.t.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	m.t.Fatalf("waited for %s: %v\n%s", what, err, log)
}

// stop ends the machine's daemon by a signal and waits for it.
func (m *machine) stop(signal syscall.Signal) {
	m.t.Helper()
	if err := m.daemon.Process.Signal(signal); err != nil {
		m.t.Fatal(err)
	}
	err := m.daemon.Wait()
	if signal != syscall.SIGKILL && err != nil {
		m.t.Errorf("the daemon ended with %v:\n%s", err, m.daemon.log)
	}
	m.daemon = nil
}

// asker is a client.
type asker struct{ *client.Client }

func (m *machine) client() asker {
	m.t.Helper()
	c, err := client.New("unix://" + m.socket)
	if err != nil {
		m.t.Fatal(err)
	}
	return asker{c}
}

func (a asker) ping() error {
	defer a.Close()
	_, err := a.Version(context.Background())
	return err
}

// dnet runs the command line and returns what it prints.
func (m *machine) dnet(arguments ...string) string {
	m.t.Helper()
	out, err := m.try(arguments...)
	if err != nil {
		m.t.Fatalf("dnet %s: %v: %s", strings.Join(arguments, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (m *machine) try(arguments ...string) (string, error) {
	cmd := exec.Command(program(m.t), arguments...)
	cmd.Env = append(os.Environ(), "DNET_HOST=unix://"+m.socket)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// refused runs the daemon, which is to end with an error that says so.
func (m *machine) refused(says string, arguments ...string) {
	m.t.Helper()
	d := m.run(arguments...)
	timer := time.AfterFunc(10*time.Second, func() { _ = d.Process.Kill() })
	defer timer.Stop()
	err := d.Wait()
	if err == nil || !strings.Contains(d.log.String(), says) {
		m.t.Errorf("daemon %q: ended with %v, want %q:\n%s", arguments, err, says, d.log)
	}
}

func run(t testing.TB, namespace string, arguments ...string) string {
	t.Helper()
	var out []byte
	err := kerneltest.Do(namespace, func() (err error) {
		out, err = exec.Command(arguments[0], arguments[1:]...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%q: %v: %s", arguments, err, out)
	}
	return string(out)
}

func read(t testing.TB, from io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
