package libnetwork_test

import (
	"bytes"
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

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/datastore/storetest"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// Each operation commits once, and no process is started for any.
func TestOneCommitAndNoProcess(t *testing.T) {
	host := kerneltest.NewHost(t)
	store := storetest.Counting(memory.New())
	c := must[libnetwork.NetworkController](t)(libnetwork.OpenWith(host, store, config.OptionExecRoot(t.TempDir())))
	t.Cleanup(c.Stop)
	children := childUse(t)
	var n libnetwork.Network
	var sb libnetwork.Sandbox
	var ep libnetwork.Endpoint
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"create network", func() (err error) { n, err = c.NewNetwork("bridge", "n", ""); return err }},
		{"create sandbox", func() (err error) { sb, err = c.NewSandbox("c"); return err }},
		{"create endpoint", func() (err error) { ep, err = n.CreateEndpoint("e"); return err }},
		{"join", func() error { return ep.Join(sb) }},
		{"leave", func() error { return ep.Leave(sb) }},
		{"join again", func() error { return ep.Join(sb) }},
		{"delete sandbox", func() error { return sb.Delete() }},
		{"delete network", func() error { return n.Delete() }},
	} {
		before := store.Updates()
		ok(t, step.do())
		if got := store.Updates() - before; got != 1 {
			t.Errorf("%s: %d commits, want 1", step.name, got)
		}
	}
	if after := childUse(t); after != children {
		t.Errorf("processes were started: their use was %+v and is %+v", children, after)
	}
}

// childUse is what processes that were started and have ended used: it does not stay
// the same if there is another one.
func childUse(t *testing.T) [2]int64 {
	t.Helper()
	var use syscall.Rusage
	ok(t, syscall.Getrusage(syscall.RUSAGE_CHILDREN, &use))
	return [2]int64{use.Minflt, use.Majflt}
}

func TestNothingRunsAfterStop(t *testing.T) {
	s := newScratch(t)
	goroutines, descriptors := runtime.NumGoroutine(), countFiles(t)
	c := must[libnetwork.NetworkController](t)(libnetwork.New(config.OptionHostNamespace(s.host),
		config.OptionDataDir(s.data), config.OptionExecRoot(s.run)))
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "n", ""))
	for i := range 5 { // their addresses are being announced when the controller stops
		must[libnetwork.Sandbox](t)(attach(n, c, fmt.Sprint("c", i)))
	}
	empty(t, c)
	c.Stop()
	// A goroutine that has been waited for may still be on its way out.
	for deadline := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines ran before, %d do after", goroutines, now)
	}
	if now := countFiles(t); now > descriptors {
		t.Errorf("%d descriptors were open before, %d are after", descriptors, now)
	}
	if _, err := c.NewSandbox("late"); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("error %v after Stop, want unavailable", err)
	}
	s.wantEmpty(t)
}

func TestFullDisk(t *testing.T) {
	s := newScratch(t)
	s.data = kerneltest.SmallFolder(t, 256<<10)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "n", ""))
	ballast := filepath.Join(s.data, "ballast")
	if err := os.WriteFile(ballast, bytes.Repeat([]byte("x"), 256<<10), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	var full error
	made := 0
	for ; full == nil && made < 1000; made++ {
		_, full = n.CreateEndpoint(fmt.Sprint("ep", made))
	}
	if !errors.Is(full, cnm.Exhausted) || !strings.Contains(full.Error(), "no space left") {
		t.Fatalf("error %v after %d endpoints, want exhausted", full, made)
	}
	if got := len(n.Endpoints()); got != made-1 {
		t.Errorf("%d endpoints, want %d", got, made-1)
	}
	ok(t, os.Remove(ballast))
	must[libnetwork.Endpoint](t)(n.CreateEndpoint("room"))
	empty(t, c)
	s.wantEmpty(t)
}

func TestBadDataDir(t *testing.T) {
	s := newScratch(t)
	damaged := t.TempDir()
	file := filepath.Join(damaged, "network", "files", "local-kv.db")
	ok(t, os.MkdirAll(filepath.Dir(file), 0o700))
	ok(t, os.WriteFile(file, []byte(strings.Repeat("this is no store\n", 4096)), 0o600))
	for _, test := range []struct {
		name, data string
		kind       cnm.Kind
		says       string
	}{
		{"read-only", kerneltest.ReadOnlyFolder(t), cnm.Forbidden, "writable"},
		{"damaged", damaged, cnm.Internal, "damaged"},
		{"relative", "data", cnm.Invalid, "absolute"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := libnetwork.New(config.OptionHostNamespace(s.host), config.OptionDataDir(test.data), config.OptionExecRoot(s.run))
			if !errors.Is(err, test.kind) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("error %v, want kind %q and the word %q", err, test.kind, test.says)
			}
		})
	}
	s.wantEmpty(t)
}

func TestWithoutPermission(t *testing.T) {
	s := newScratch(t)
	ok(t, os.Chmod(s.data, 0o777))
	ok(t, os.Chmod(s.run, 0o777))
	binary := filepath.Join(runFolder(t), "test") // the binary's own folder may be closed to others
	content := must[[]byte](t)(os.ReadFile("/proc/self/exe"))
	ok(t, os.WriteFile(binary, content, 0o755))
	ok(t, os.Chmod(filepath.Dir(binary), 0o755))
	for parent := s.data; parent != "/tmp" && parent != "/"; parent = filepath.Dir(parent) {
		ok(t, os.Chmod(parent, 0o777))
	}
	command := exec.Command(binary)
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %s 1", victim, s.host, s.data, s.run, config.FirewallNFTables))
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "needs root") {
		t.Errorf("%v: %s", err, out)
	}
	s.wantEmpty(t)
}
