package netns_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// current returns the inode of the calling thread's namespace.
func current(t testing.TB) uint64 { return inode(t, "/proc/thread-self/ns/net") }

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	var stat unix.Stat_t
	check(t, unix.Stat(path, &stat))
	return stat.Ino
}

func nothing() error { return nil }

func TestCreateRunsInsideAndPins(t *testing.T) {
	kerneltest.RequireRoot(t)
	path := filepath.Join(t.TempDir(), "not", "yet", "ns")
	var inside uint64
	check(t, netns.Create(path, func() error {
		inside = current(t)
		return nil
	}))
	if inside == current(t) || inside != inode(t, path) {
		t.Errorf("the thread was in namespace %d, %d is pinned, the process is in %d", inside, inode(t, path), current(t))
	}
	if err := netns.Create(path, nothing); !errors.Is(err, cnm.Exists) {
		t.Errorf("a path in use: got %v, want kind %s", err, cnm.Exists)
	}
	namespace, err := netns.Open(path)
	check(t, err)
	check(t, namespace.Do(func() error {
		if got := current(t); got != inside {
			t.Errorf("Do ran in namespace %d, want %d", got, inside)
		}
		return nil
	}))
	if err := namespace.Do(func() error { return os.ErrClosed }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Do returned %v, want what the function returned", err)
	}
	check(t, namespace.Close())
	if err := namespace.Do(nothing); err == nil {
		t.Error("a closed namespace was entered")
	}
	for range 2 {
		check(t, netns.Delete(path))
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Delete the file is still there: %v", err)
	}
}

func TestFailureInsideLeavesNothing(t *testing.T) {
	kerneltest.RequireRoot(t)
	path := filepath.Join(t.TempDir(), "ns")
	if err := netns.Create(path, func() error { return os.ErrInvalid }); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("got %v, want the error from inside", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	check(t, err)
	check(t, netns.Create(path, nothing))
	check(t, netns.Delete(path))
	after, err := os.ReadFile("/proc/self/mountinfo")
	check(t, err)
	if string(mounts) != string(after) {
		t.Errorf("mounts before\n%safter\n%s", mounts, after)
	}
}

func TestBind(t *testing.T) {
	folder := t.TempDir()
	source, path := kerneltest.NewNamespace(t), filepath.Join(folder, "bound")
	check(t, netns.Bind(path, source))
	if inode(t, path) != inode(t, source) {
		t.Error("another namespace was bound")
	}
	if err := netns.Bind(path, source); !errors.Is(err, cnm.Exists) {
		t.Errorf("a path in use: got %v, want kind %s", err, cnm.Exists)
	}
	check(t, netns.Delete(path))
	for source, want := range map[string]cnm.Kind{
		filepath.Join(folder, "missing"): cnm.NotFound,
		"/proc/self/ns/uts":              cnm.Invalid,
		folder:                           cnm.Invalid,
	} {
		if err := netns.Bind(path, source); !errors.Is(err, want) {
			t.Errorf("source %s: got %v, want kind %s", source, err, want)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("source %s: the file was left behind: %v", source, err)
		}
	}
}

func TestAlive(t *testing.T) {
	namespace, folder := kerneltest.NewNamespace(t), t.TempDir()
	file, pipe := filepath.Join(folder, "file"), filepath.Join(folder, "pipe")
	check(t, os.WriteFile(file, nil, 0o600))
	check(t, unix.Mkfifo(pipe, 0o600))
	for path, want := range map[string]bool{
		namespace: true, "/proc/self/ns/net": true, netns.ProcessPath(): true,
		file: false, pipe: false, folder: false, "/dev/null": false, "/proc/self/ns/mnt": false,
		filepath.Join(folder, "missing"): false, filepath.Join(file, "below"): false,
	} {
		if got, err := netns.Alive(path); err != nil || got != want {
			t.Errorf("Alive(%s) = %v, %v; want %v", path, got, err, want)
		}
	}
}

// TestAliveIn: links lead where they lead for whoever has the root folder.
func TestAliveIn(t *testing.T) {
	kerneltest.RequireRoot(t)
	root := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(root, "run", "netns"), 0o755))
	check(t, os.Mkdir(filepath.Join(root, "var"), 0o755))
	check(t, os.Symlink("/run", filepath.Join(root, "var", "run")))
	check(t, os.Symlink("loop", filepath.Join(root, "loop")))
	check(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o600))
	check(t, netns.Create(filepath.Join(root, "run", "netns", "c"), func() error { return nil }))
	t.Cleanup(func() { check(t, netns.Delete(filepath.Join(root, "run", "netns", "c"))) })
	for path, want := range map[string]bool{
		"/run/netns/c": true, "/var/run/netns/c": true, "/../run/netns/c": true,
		"/var/run/netns/d": false, "/file": false, "/file/below": false, "/run": false,
	} {
		if got, err := netns.AliveIn(root, path); err != nil || got != want {
			t.Errorf("AliveIn(%s) = %v, %v; want %v", path, got, err, want)
		}
	}
	for _, unknown := range [][2]string{{root, "/loop"}, {filepath.Join(root, "missing"), "/run/netns/c"}, {"/", netns.ProcessPath()}} {
		if got, err := netns.AliveIn(unknown[0], unknown[1]); err == nil {
			t.Errorf("AliveIn(%s, %s) = %v, and nobody can know", unknown[0], unknown[1], got)
		}
	}
}

func TestDeleteKeepsWhatIsNotOurs(t *testing.T) {
	kerneltest.RequireRoot(t)
	folder := t.TempDir()
	file, broken := filepath.Join(folder, "letter"), filepath.Join(folder, "broken")
	check(t, os.WriteFile(file, []byte("dear"), 0o600))
	check(t, os.WriteFile(broken, nil, 0o444))
	for _, path := range []string{file, folder} {
		if err := netns.Delete(path); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: got %v, want kind %s", path, err, cnm.Invalid)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	check(t, netns.Delete(broken))
	if _, err := os.Stat(broken); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of a creation that was broken off is still there: %v", err)
	}
}

func TestOpenOfProcesses(t *testing.T) {
	own, err := netns.Open("")
	check(t, err)
	defer own.Close() //nolint:errcheck // read only
	byPID, err := netns.OpenPID(os.Getpid())
	check(t, err)
	defer byPID.Close() //nolint:errcheck // read only
	var a, b unix.Stat_t
	check(t, errors.Join(unix.Fstat(own.FD(), &a), unix.Fstat(byPID.FD(), &b)))
	if a.Ino != b.Ino || a.Ino != inode(t, netns.ProcessPath()) {
		t.Errorf("the namespace of this process is %d, %d and %d", a.Ino, b.Ino, inode(t, netns.ProcessPath()))
	}
	if _, err := netns.OpenPID(1 << 30); !errors.Is(err, cnm.NotFound) {
		t.Errorf("a process that does not exist: got %v, want kind %s", err, cnm.NotFound)
	}
}

// TestManyAtOnce also looks whether the process's own namespace, as others see it,
// stays what it is, and whether threads or descriptors are left behind.
func TestManyAtOnce(t *testing.T) {
	kerneltest.RequireRoot(t)
	home, folder := inode(t, "/proc/self/ns/net"), t.TempDir()
	const workers, rounds = 12, 12
	round := func() {
		var all sync.WaitGroup
		for w := range workers {
			all.Go(func() {
				path := filepath.Join(folder, string(rune('a'+w)))
				for range rounds {
					if err := visit(t, path, home); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	}
	round() // the threads that the runtime keeps are there after this
	files := count(t, "/proc/self/fd")
	threads := count(t, "/proc/self/task")
	round()
	if got := count(t, "/proc/self/fd"); got > files {
		t.Errorf("%d descriptors before, %d after", files, got)
	}
	// The runtime may need another one or two; a leak would be one for each visit.
	if got := count(t, "/proc/self/task"); got > threads+workers {
		t.Errorf("%d threads before, %d after", threads, got)
	}
	for _, task := range entries(t, "/proc/self/task") {
		var stat unix.Stat_t
		if unix.Stat("/proc/self/task/"+task.Name()+"/ns/net", &stat) == nil && stat.Ino != home {
			t.Errorf("thread %s was left in another namespace", task.Name())
		}
	}
}

func visit(t *testing.T, path string, home uint64) error {
	if err := netns.Create(path, nothing); err != nil {
		return err
	}
	namespace, err := netns.Open(path)
	if err != nil {
		return err
	}
	inside := namespace.Do(func() error {
		if inode(t, "/proc/self/ns/net") != home {
			return errors.New("the process was seen to be in another namespace")
		}
		return nil
	})
	return errors.Join(inside, namespace.Close(), netns.Delete(path))
}

func entries(t testing.TB, folder string) []os.DirEntry {
	t.Helper()
	all, err := os.ReadDir(folder)
	check(t, err)
	return all
}

func count(t testing.TB, folder string) int { return len(entries(t, folder)) }

func TestFirstThreadStays(t *testing.T) {
	path := kerneltest.NewNamespace(t)
	namespace, err := netns.Open(path)
	check(t, err)
	defer namespace.Close() //nolint:errcheck // read only
	deadline := time.Now().Add(300 * time.Millisecond)
	for i := 0; i < 2000 && time.Now().Before(deadline); i++ {
		check(t, namespace.Do(func() error {
			if unix.Gettid() == unix.Getpid() {
				t.Error("the first thread left the namespace of the process")
			}
			return nil
		}))
	}
}

func TestIdentity(t *testing.T) {
	one, other := kerneltest.NewNamespace(t), kerneltest.NewNamespace(t)
	path := filepath.Join(t.TempDir(), "ns")
	if err := os.Symlink(one, path); err != nil {
		t.Fatal(err)
	}
	identity, err := netns.Identity(path)
	if err != nil {
		t.Fatal(err)
	}
	want := func(path, identity string, want bool) {
		t.Helper()
		if same, err := netns.Same(path, identity); err != nil || same != want {
			t.Errorf("Same(%s, %s) = %v, %v; want %v", path, identity, same, err, want)
		}
	}
	want(path, identity, true)
	want(one, identity, true)
	want(other, identity, false)
	want(other, "", true)
	want("/nowhere", "", false)
	want("/dev/null", identity, false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	want(path, identity, false)
	// The same number after another boot is another namespace.
	_, number, _ := strings.Cut(identity, "/")
	want(one, "another boot/"+number, false)
}
