package enter_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/enter"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// shell returns a command that runs a script in a new namespace.
func shell(t *testing.T, script string) enter.Command {
	t.Helper()
	return enter.Command{Namespace: kerneltest.NewNamespace(t), Path: "/bin/sh", Args: []string{"sh", "-c", script}}
}

// output runs a command and returns what it says and its code.
func output(t *testing.T, c enter.Command) (string, int) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = write, write
	code, err := enter.Run(c)
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text)), code
}

func TestProgramRunsInside(t *testing.T) {
	c := shell(t, "readlink /proc/self/ns/net; cat /etc/hosts; uname -n; exit 7")
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("10.0.0.1 inside\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Files, c.Hostname = map[string]string{"/etc/hosts": hosts}, "web"
	var there, here, before string
	here = link(t)
	if err := kerneltest.Do(c.Namespace, func() (err error) { there, err = os.Readlink("/proc/thread-self/ns/net"); return err }); err != nil {
		t.Fatal(err)
	}
	before = file(t, "/etc/hosts")
	name, _ := os.Hostname()
	got, code := output(t, c)
	if want := there + "\n10.0.0.1 inside\nweb"; got != want || code != 7 {
		t.Errorf("%q with code %d, want %q with 7", got, code, want)
	}
	if link(t) != here || file(t, "/etc/hosts") != before {
		t.Error("this process has been changed")
	}
	if now, _ := os.Hostname(); now != name {
		t.Errorf("the host is called %q now", now)
	}
}

func link(t *testing.T) string {
	t.Helper()
	text, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSignalsAndHowTheyEnd(t *testing.T) {
	signals := make(chan os.Signal, 1)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]int{
		"trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done": 9,
		"echo ready; exec sleep 60":                                    128 + int(syscall.SIGTERM),
	} {
		c := shell(t, script)
		c.Stdout, c.Signals = write, signals
		go func() {
			_, _ = read.Read(make([]byte, 16))
			signals <- syscall.SIGTERM
		}()
		start := time.Now()
		code, err := enter.Run(c)
		if err != nil || code != want {
			t.Errorf("%s: code %d, %v; want %d", script, code, err, want)
		}
		if time.Since(start) > 20*time.Second {
			t.Errorf("%s: did not get the signal", script)
		}
	}
}

func TestWhatCannotStart(t *testing.T) {
	c := shell(t, "")
	for name, broken := range map[string]struct {
		change func(*enter.Command)
		kind   cnm.Kind
	}{
		"program":   {func(c *enter.Command) { c.Path = "/nowhere/program" }, cnm.NotFound},
		"namespace": {func(c *enter.Command) { c.Namespace = "/nowhere/ns" }, cnm.NotFound},
		"no ns":     {func(c *enter.Command) { c.Namespace = "/etc/hosts" }, cnm.Invalid},
		"file":      {func(c *enter.Command) { c.Files = map[string]string{"/etc/hosts": "/nowhere/hosts"} }, cnm.NotFound},
	} {
		it := c
		broken.change(&it)
		if _, err := enter.Run(it); !errors.Is(err, broken.kind) {
			t.Errorf("%s: got %v, want kind %s", name, err, broken.kind)
		}
	}
}
