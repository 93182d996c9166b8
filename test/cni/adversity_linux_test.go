package cni

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

// small mounts a file system of some pages at a folder, in the mount namespace of the tests.
func (m *machine) small(folder, options string) {
	t := m.t
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.must(m.call("GC", key{}, nil)) // while the records are there
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
}

// fill takes what is free of a file system, and returns what gives it back.
func fill(t *testing.T, folder string) (free func()) {
	t.Helper()
	path := filepath.Join(folder, "ballast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is full anyway
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullExecRoot: what a boot makes worthless is not worth a container, nor its end.
func TestFullExecRoot(t *testing.T) {
	m := newMachine(t)
	m.configuration["execRoot"] = filepath.Join(m.folder, "small")
	m.small(filepath.Join(m.folder, "small"), "size=4k,nr_inodes=1")
	k := m.container()
	made := m.must(m.call("ADD", k, published(8080)))
	m.must(m.call("CHECK", k, with(published(8080), object{"prevResult": made.took})))
	m.must(m.call("STATUS", key{}, nil))
	m.must(m.call("DEL", k, nil))
	m.must(m.call("GC", key{}, nil))
}

// TestFullDataDir: an ADD that cannot be recorded leaves nothing, and says what is full; what
// is there can be deleted as soon as there is room.
func TestFullDataDir(t *testing.T) {
	m := newMachine(t)
	data := filepath.Join(m.folder, "data")
	m.small(data, "size=2m")
	first := m.container()
	m.must(m.call("ADD", first, published(8080)))
	free := fill(t, data)
	refused := 0
	for range 20 {
		k := m.container()
		got := m.call("ADD", k, published(8081+refused))
		if got.status == 0 {
			m.must(m.call("DEL", k, nil))
			continue
		}
		refused++
		if !strings.Contains(got.message(), "no space left") {
			t.Errorf("says %s", got.text)
		}
		if links := run(t, k.netns, "ip", "-o", "link"); strings.Contains(links, "eth0") {
			t.Errorf("refused, and the container has\n%s", links)
		}
		if links := m.exec("ip", "-o", "link"); strings.Count(links, "veth") != 1 {
			t.Errorf("refused, and there are\n%s", links)
		}
		m.call("DEL", k, nil)
	}
	if refused == 0 {
		t.Error("the disk was not full")
	}
	free()
	m.must(m.call("DEL", first, nil))
	if got := m.must(m.call("ADD", m.container(), published(8080))); got.address(t, 0) != "10.20.0.2" {
		t.Errorf("got %s: an address is lost", got.address(t, 0))
	}
}

// TestReadOnlyDataDir: what cannot be written is said, and nothing is done.
func TestReadOnlyDataDir(t *testing.T) {
	m := newMachine(t)
	data := filepath.Join(m.folder, "data")
	m.small(data, "size=8m")
	k := m.container()
	m.must(m.call("ADD", k, nil))
	remount := func(flags uintptr) {
		if err := syscall.Mount("", data, "", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	m.refused(m.call("ADD", m.container(), nil), 5, "read-only file system")
	m.refused(m.call("DEL", k, nil), 5, "read-only file system")
	m.refused(m.call("STATUS", key{}, nil), 50, "read-only file system")
	remount(0)
	m.must(m.call("DEL", k, nil))
}

// TestOtherNetworkIsBroken: a network that cannot be mended, as its parent is gone, is not in
// the way of a network that is new, nor of mending what an ADD finds broken.
func TestOtherNetworkIsBroken(t *testing.T) {
	kerneltest.NeedFeature(t, "macvlan")
	m := newMachine(t)
	office := with(m.configuration, object{"name": "office", "subnet": "10.21.0.0/16", "driver": "macvlan", "master": "parent0"})
	m.exec("ip", "link", "add", "parent0", "type", "veth", "peer", "name", "wire0")
	m.must(m.call("ADD", m.container(), office))
	m.exec("ip", "link", "del", "parent0")
	m.must(m.call("ADD", m.container(), nil))
	m.exec("nft", "flush", "ruleset")
	m.must(m.call("ADD", m.container(), published(8080)))
	m.call("GC", key{}, office)
}

// TestHostileNames: what the kernel, a path or JSON would take for something else is refused
// with nothing made, or can be deleted again.
func TestHostileNames(t *testing.T) {
	m := newMachine(t)
	m.refused(m.call("ADD", key{"c", "eth%d", m.container().netns}, nil), 4, "CNI_IFNAME")
	m.refused(m.call("ADD", key{"c", "a\xff", m.container().netns}, nil), 4, "CNI_IFNAME")
	for _, name := range []string{"all", "default", "lo", "-", "..x", "\u00e9\u00e9"} {
		k := m.container()
		k.ifname = name
		got := m.call("ADD", k, nil)
		if links := run(t, k.netns, "ip", "-o", "link"); got.status != 0 && strings.Count(links, "\n") != 1 {
			t.Errorf("%q: refused, and there is\n%s", name, links)
		}
		m.must(m.call("DEL", k, nil))
		if links := run(t, k.netns, "ip", "-o", "link"); strings.Count(links, "\n") != 1 {
			t.Errorf("%q: deleted, and there is\n%s", name, links)
		}
	}
	m.must(m.call("GC", key{}, nil))
	long := strings.Repeat("n", 1000)
	for i, c := range []struct {
		conf object
		code int
	}{
		{object{"bridge": "br%d"}, 7}, {object{"bridge": "../x"}, 7}, {object{"bridge": "a b"}, 7}, {object{"bridge": long}, 7}, {object{"bridge": "lo"}, 102},
		{object{"network": long}, 7}, {object{"network": "a\x00b"}, 7}, {object{"mtu": 1e300}, 7}, {object{"mtu": -1}, 7}, {object{"mtu": 99999999}, 7},
		{object{"dataDir": "/\x00"}, 5}, {object{"dataDir": "/dev/null"}, 5},
		{object{"runtimeConfig": object{"bandwidth": object{"ingressRate": uint64(1) << 63}}}, 7},
	} {
		got := m.call("ADD", m.container(), c.conf)
		if got.code() != c.code || len(got.text) > 3000 {
			t.Errorf("%d: code %d, want %d: %.300s", i, got.code(), c.code, got.text)
		}
	}
	m.clean()
	whole := key{strings.Repeat("c", 256), "abcdefghijklmno", m.container().netns}
	m.must(m.call("ADD", whole, nil))
	m.must(m.call("DEL", whole, nil))
}

// TestDaemonKilledClients: a plugin that is killed while the daemon attaches leaves nothing
// that a DEL does not take away, whenever it comes.
func TestDaemonKilledClients(t *testing.T) {
	m := newMachine(t)
	d := m.withDaemon()
	m.must(m.call("ADD", m.container(), published(8079)))
	usual, killed := 10*time.Millisecond, 0
	for i := range 40 {
		k := m.container()
		c := m.prepare("ADD", k, published(8080))
		if err := kerneltest.Do(m.host, c.Start); err != nil {
			t.Fatal(err)
		}
		time.Sleep(usual * time.Duration(i) / 40)
		_ = c.Process.Kill()
		if c.Wait() != nil {
			killed++
		}
		m.must(m.call("DEL", k, nil))
		begin := time.Now()
		if got := m.call("ADD", k, published(8080)); got.status != 0 {
			t.Errorf("%d: %s", i, got.text)
		}
		usual = min(time.Since(begin), 2*usual)
		m.must(m.call("DEL", k, nil))
	}
	if text, err := d.says("sandbox", "ls", "-q"); err != nil || strings.Count(text, "\n") != 1 {
		t.Errorf("there are these sandboxes: %v\n%s", err, text)
	}
	if killed < 10 {
		t.Errorf("only %d were killed", killed)
	}
}

// TestDaemonSameAtOnce: two ADDs of one attachment, against the specification: one has it, and
// it works.
func TestDaemonSameAtOnce(t *testing.T) {
	m := newMachine(t)
	m.withDaemon()
	for range 10 {
		k := m.container()
		var group sync.WaitGroup
		answers := make([]answer, 3)
		for i := range answers {
			group.Go(func() { answers[i] = m.call("ADD", k, nil) })
		}
		group.Wait()
		good := 0
		for _, a := range answers {
			if a.status == 0 {
				good++
			} else if a.code() != 102 {
				t.Error(a.text)
			}
		}
		if links := run(t, k.netns, "ip", "-o", "link"); good != 1 || !strings.Contains(links, "eth0") {
			t.Errorf("%d of 3 say that they have made it; there are\n%s", good, links)
		}
		m.must(m.call("DEL", k, nil))
	}
}

// TestDaemonOverlap: a network that cannot be made, as its subnet or its bridge is taken, is
// refused with that reason, and soon.
func TestDaemonOverlap(t *testing.T) {
	m := newMachine(t)
	m.withDaemon()
	m.must(m.call("ADD", m.container(), nil))
	m.refused(m.call("ADD", m.container(), object{"name": "red"}), 102, "overlaps")
	m.refused(m.call("ADD", m.container(), object{"name": "green", "subnet": "10.29.0.0/16", "bridge": "lo"}), 102, `"lo"`)
}
