package firewalld_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/firewalld"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, err error, kind cnm.Kind, parts ...string) {
	t.Helper()
	if err == nil || cnm.KindOf(err) != kind {
		t.Fatalf("got error %v of kind %s, want kind %s", err, cnm.KindOf(err), kind)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got error %q, want %q in it", err, part)
		}
	}
}

// within is how long a test waits for what must happen.
const within = 20 * time.Second

// eventually polls until there is no error.
func eventually(t testing.TB, what string, attempt func() error) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		err := attempt()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func told(t testing.TB, client *firewalld.Client) {
	t.Helper()
	select {
	case <-client.Reloaded():
	case <-time.After(within):
		t.Fatal("nobody told of the reload")
	}
}

// forget takes a signal away that may be there.
func forget(client *firewalld.Client) {
	select {
	case <-client.Reloaded():
	default:
	}
}

// process is a program that a test started. Its stop kills it and waits for it.
type process struct {
	*exec.Cmd
	log string
}

// start runs a program in a namespace, with what it writes in a file.
func start(t testing.TB, namespace, log, bus, program string, arguments ...string) *process {
	t.Helper()
	file, err := os.Create(log)
	check(t, err)
	defer file.Close() //nolint:errcheck // the program has it
	p := &process{exec.Command(program, arguments...), log}
	p.Stdout, p.Stderr = file, file
	p.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+bus)
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check(t, kerneltest.Do(namespace, p.Start))
	t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return p
}

func (p *process) stop(signal syscall.Signal) {
	if p.ProcessState == nil {
		_ = p.Process.Signal(signal)
		_ = p.Wait() // it says that the signal ended it
	}
}

func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	return fmt.Sprint(string(text), err)
}

const busConfiguration = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
 <type>system</type>
 <listen>unix:path=%s</listen>
 <auth>EXTERNAL</auth>
 <policy context="default">
  <allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
 </policy>
</busconfig>
`

// bus is a D-Bus of the test's own, in a folder of its own.
type bus struct {
	folder, address string
	daemon          *process
}

func needs(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("needs %s: apt-get install %s", program, debianPackage)
	}
	return path
}

// newBus starts one. The folder has a short name: that of a socket may have 107 bytes.
func newBus(t testing.TB) *bus {
	t.Helper()
	kerneltest.RequireRoot(t)
	program := needs(t, "dbus-daemon", "dbus-daemon")
	folder, err := os.MkdirTemp("/run", "bus")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(folder)) })
	socket, configuration := filepath.Join(folder, "bus"), filepath.Join(folder, "bus.conf")
	check(t, os.WriteFile(configuration, fmt.Appendf(nil, busConfiguration, socket), 0o600))
	b := &bus{folder: folder, address: "unix:path=" + socket}
	b.daemon = start(t, "/proc/thread-self/ns/net", filepath.Join(folder, "bus.log"), "", program, "--nofork", "--config-file="+configuration)
	eventually(t, "start of dbus-daemon", func() error { _, err := os.Stat(socket); return err })
	return b
}

func open(t testing.TB, b *bus) *firewalld.Client {
	t.Helper()
	client, err := firewalld.Open(context.Background(), firewalld.Options{Address: b.address})
	check(t, err)
	t.Cleanup(func() { check(t, client.Close()) })
	return client
}

// noLeaks fails a test that ends with goroutines of D-Bus or of the client. It is called
// first, to look last.
func noLeaks(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		eventually(t, "end of goroutines", func() error {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			for stack := range strings.SplitSeq(string(stacks), "\n\n") {
				if strings.Contains(stack, "godbus") || strings.Contains(stack, "firewalld.(*Client)") {
					return errors.New(stack)
				}
			}
			return nil
		})
	})
}
