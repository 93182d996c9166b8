package hook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/docker/libnetwork/cnm"
)

func TestReadState(t *testing.T) {
	state, err := readState(strings.NewReader(`{"ociVersion":"1.2.0","id":"web1","status":"creating","pid":4242,"bundle":"/srv/web1","annotations":{"a":"b"},"later":1}`))
	if err != nil || state.ID != "web1" || state.Pid != 4242 || state.Annotations["a"] != "b" || checkProcess(state) != nil || namespaceOf(state) != "/proc/4242/ns/net" {
		t.Errorf("%+v, %v", state, err)
	}
	for text, says := range map[string]string{
		"":                        "is missing",
		"{":                       "unexpected end",
		"[]":                      "cannot unmarshal",
		"{}":                      `id ""`,
		`{"id":"a b"}`:            "no blanks",
		`{"id":"../x"}`:           "slashes",
		`{"id":"a\nb"}`:           "control characters",
		`{"id":"a","pid":"many"}`: "cannot unmarshal",
		`{"id":"` + strings.Repeat("a", 2000) + `"}`:         "id",
		`{"id":"a","x":"` + strings.Repeat("a", 2<<20) + `"`: "larger than",
	} {
		if _, err := readState(strings.NewReader(text)); !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.30q: %v, want %q", text, err, says)
		}
	}
	for _, state := range []specs.State{{Status: "stopped", Pid: 7}, {Status: "creating"}, {Status: "creating", Pid: -1}} {
		if err := checkProcess(state); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%+v: %v", state, err)
		}
	}
}

func FuzzReadState(f *testing.F) {
	f.Add([]byte(`{"ociVersion":"1.2.0","id":"web1","status":"creating","pid":4242,"bundle":"/srv/web1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		state, err := readState(strings.NewReader(string(text)))
		if err != nil && !errors.Is(err, cnm.Invalid) || err == nil && (state.ID == "" || strings.ContainsAny(state.ID, "/\n ")) {
			t.Errorf("%+v, %v", state, err)
		}
	})
}

func TestNamespaces(t *testing.T) {
	if err := checkNamespace(specs.State{Pid: os.Getpid()}); !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), "linux.namespaces") {
		t.Errorf("our own: %v", err)
	}
	if err := checkNamespace(specs.State{Pid: 1 << 30}); !errors.Is(err, cnm.NotFound) {
		t.Errorf("of nobody: %v", err)
	}
}

// write makes a file and returns its path.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBundle(t *testing.T) {
	folder := t.TempDir()
	state := specs.State{Bundle: folder}
	path := filepath.Join(folder, "config.json")
	for says, prepare := range map[string]func(){
		"no such file":     func() {},
		"unexpected end":   func() { write(t, path, "{") },
		"larger than":      func() { write(t, path, `{"x":"`+strings.Repeat("x", 9<<20)) },
		"not a regular":    func() { _, _ = os.Remove(path), syscall.Mkfifo(path, 0o600) },
		"an absolute path": func() { state.Bundle = "bundle" },
	} {
		state.Bundle = folder
		_ = os.Remove(path)
		prepare()
		if _, err := readBundle(state); !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
	state.Bundle = folder
	_ = os.Remove(path)
	write(t, path, `{"root":{"path":"rootfs"},"hostname":"tower","annotations":{"a":"b"},"process":{"args":["sh"]}}`)
	b, err := readBundle(state)
	if err != nil {
		t.Fatal(err)
	}
	if root, err := b.rootfs(); err != nil || root != filepath.Join(folder, "rootfs") || b.Hostname != "tower" || b.Annotations["a"] != "b" {
		t.Errorf("%q, %+v, %v", root, b, err)
	}
	b.Root.Path = "/srv/root"
	if root, err := b.rootfs(); err != nil || root != "/srv/root" {
		t.Errorf("%q, %v", root, err)
	}
	b.Root.Path = ""
	if _, err := b.rootfs(); !errors.Is(err, cnm.Invalid) {
		t.Errorf("no root: %v", err)
	}
	if _, err := b.ownFile("hosts"); !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("no file: %v", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "hosts")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ownFile("hosts"); !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), "not a regular") {
		t.Errorf("a link: %v", err)
	}
	if path, err := b.ownFile("config.json"); err != nil || path != filepath.Join(folder, "config.json") {
		t.Errorf("%q, %v", path, err)
	}
}

// TestCopyStaysInTheRoot: an image may hold links to wherever it likes.
func TestCopyStaysInTheRoot(t *testing.T) {
	folder := t.TempDir()
	outside := write(t, filepath.Join(folder, "outside"), "untouched")
	from := write(t, filepath.Join(folder, "from"), "nameserver 127.0.0.11\n")
	root := filepath.Join(folder, "rootfs")
	for name, link := range map[string]string{"absolute": outside, "relative": "../../outside", "dangling": "../../made"} {
		etc := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(etc, 0o755), os.Symlink(link, filepath.Join(etc, "resolv.conf"))); err != nil {
			t.Fatal(err)
		}
		opened, err := os.OpenRoot(root)
		if err != nil {
			t.Fatal(err)
		}
		if err := copyFile(opened, name+"/resolv.conf", from); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		info, err := os.Lstat(filepath.Join(etc, "resolv.conf"))
		if err != nil || info.Mode() != 0o644 || info.Size() != 22 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		_ = opened.Close()
	}
	if err := os.Symlink("..", filepath.Join(root, "up")); err != nil {
		t.Fatal(err)
	}
	opened, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close() //nolint:errcheck // a folder
	if err := copyFile(opened, "up/outside", from); err == nil {
		t.Error("a folder that leads out of the root was followed")
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "untouched" {
		t.Errorf("outside: %q, %v", text, err)
	}
	if _, err := os.Lstat(filepath.Join(folder, "made")); err == nil {
		t.Error("a file was made outside")
	}
	large := write(t, filepath.Join(folder, "large"), strings.Repeat("x", largestFile+1))
	if err := copyFile(opened, "large", large); !errors.Is(err, cnm.Invalid) {
		t.Errorf("a large file: %v", err)
	}
	if err := copyFile(opened, "none", fmt.Sprint(folder, "/none")); err == nil {
		t.Error("a file that does not exist was copied")
	}
}

// TestRootOfTheHost: its files are not the container's to have replaced.
func TestRootOfTheHost(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/", link); err != nil {
		t.Fatal(err)
	}
	for path, refused := range map[string]bool{"/": true, link: true, "/proc/self/root": true, t.TempDir(): false} {
		root, err := os.OpenRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkRoot(root); errors.Is(err, cnm.Invalid) != refused || err != nil != refused {
			t.Errorf("%s: %v", path, err)
		}
		_ = root.Close()
	}
}
