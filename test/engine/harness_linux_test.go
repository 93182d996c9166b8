package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// program builds dnet, once, and returns its path.
var program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("/run", "program")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "dnet")
	build := exec.Command("go", "build", "-o", folder, "../../cmd/dnet", "../../cmd/dnetd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // it runs where there are no libraries, too
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// mountProc makes /proc that of the process numbers in here.
var mountProc = sync.OnceValue(func() error { return unix.Mount("proc", "/proc", "proc", 0, "") })

// site is a host with an engine and a plugin, and others on its Ethernet segment.
type site struct {
	*kerneltest.Lan
	t          testing.TB
	folder     string
	dnet       string
	docker     string
	cgroup     string
	containerd *exec.Cmd
	engine     *exec.Cmd
	plugin     *exec.Cmd
	logs       map[string]*kerneltest.Log
}

// image is what containers are made of.
const image = "busybox"

func newSite(t testing.TB) *site {
	t.Helper()
	kerneltest.RequireRoot(t)
	ok(t, mountProc())
	path, err := program()
	ok(t, err)
	folder, err := os.MkdirTemp("/run", "eng") // the paths of sockets must be short
	ok(t, err)
	s := &site{
		Lan: kerneltest.NewLan(t), t: t, folder: folder, dnet: path, docker: "docker",
		cgroup: fmt.Sprintf("libnetwork-%d", time.Now().UnixNano()), logs: make(map[string]*kerneltest.Log),
	}
	// That of the package which the engine is of, if there is more than one.
	if _, err := os.Stat("/usr/bin/docker"); err == nil {
		s.docker = "/usr/bin/docker"
	}
	t.Cleanup(s.stop)
	// As /var/run of an engine is a link.
	ok(t, os.Mkdir(folder+"/e", 0o700))
	ok(t, os.Symlink(folder+"/e", folder+"/exec"))
	s.Route(t, "", "0.0.0.0/0", kerneltest.NeighborIPv4, kerneltest.LanLink)
	s.containerd = s.start("containerd", "containerd", "--root", folder+"/croot", "--state", folder+"/cstate", "--address", folder+"/c.sock")
	s.await("containerd", func() error { return dial(folder + "/c.sock") })
	s.startEngine()
	s.startPlugin()
	s.importImage()
	return s
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dial(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

// start starts a process on the site's host.
func (s *site) start(name, program string, arguments ...string) *exec.Cmd {
	s.t.Helper()
	if s.logs[name] == nil {
		s.logs[name] = &kerneltest.Log{}
	}
	cmd := exec.Command(program, arguments...)
	cmd.Stdout, cmd.Stderr = s.logs[name], s.logs[name]
	ok(s.t, kerneltest.Do(s.Host, cmd.Start))
	return cmd
}

func (s *site) await(what string, try func() error) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	s.t.Fatalf("waited for %s: %v\n%s", what, err, s.allLogs())
}

func (s *site) allLogs() string {
	var out strings.Builder
	for name, l := range s.logs {
		text := l.String()
		fmt.Fprintf(&out, "--- %s\n%s\n", name, text[max(0, len(text)-4000):])
	}
	return out.String()
}

func (s *site) startEngine(more ...string) {
	s.t.Helper()
	s.engine = s.start("dockerd", "dockerd", append(more, "--data-root", s.folder+"/data", "--exec-root", s.folder+"/exec", "--pidfile", s.folder+"/pid",
		"--containerd", s.folder+"/c.sock", "--host", "unix://"+s.folder+"/d.sock", "--storage-driver", "vfs", "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", "/"+s.cgroup)...)
	s.await("the engine", func() error { _, err := s.tryDocker("version"); return err })
}

func (s *site) startPlugin() {
	s.t.Helper()
	s.plugin = s.start("plugin", s.dnet, "plugin", "serve", "--data-dir", s.folder+"/plugin", "--exec-root", s.folder+"/run", "--debug")
	s.await("the plugin", func() error {
		return manage.Ask(context.Background(), manage.SocketPath("dnet"), manage.List, protocol.Empty{}, &manage.Listing{})
	})
}

// end ends a process by a signal and waits for it.
func (s *site) end(cmd **exec.Cmd, signal syscall.Signal) {
	s.t.Helper()
	if *cmd == nil {
		return
	}
	ok(s.t, (*cmd).Process.Signal(signal))
	err := (*cmd).Wait()
	if signal != syscall.SIGKILL && err != nil {
		s.t.Errorf("%s ended with %v\n%s", (*cmd).Path, err, s.allLogs())
	}
	*cmd = nil
}

func (s *site) stop() {
	if s.engine != nil {
		if out, _ := s.tryDocker("ps", "--all", "--quiet"); strings.TrimSpace(out) != "" {
			_, _ = s.tryDocker(append([]string{"rm", "--force"}, strings.Fields(out)...)...)
		}
	}
	for _, cmd := range []**exec.Cmd{&s.plugin, &s.engine, &s.containerd} {
		s.end(cmd, syscall.SIGTERM)
	}
	s.await("the control groups to be empty", s.removeGroups)
	if s.t.Failed() {
		s.t.Log(s.allLogs())
	}
	s.unmount()
	ok(s.t, os.RemoveAll(s.folder))
}

// unmount unmounts what an engine that was killed has left mounted.
func (s *site) unmount() {
	text, err := os.ReadFile("/proc/self/mounts")
	ok(s.t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Reverse(lines)
	for _, line := range lines {
		if fields := strings.Fields(line); strings.HasPrefix(fields[1], s.folder+"/") {
			ok(s.t, unix.Unmount(fields[1], unix.MNT_DETACH))
		}
	}
}

// removeGroups removes the control groups that the engine has made, which are the whole
// machine's.
func (s *site) removeGroups() error {
	var errs []error
	roots, _ := filepath.Glob("/sys/fs/cgroup/*/" + s.cgroup)
	for _, root := range append(roots, "/sys/fs/cgroup/"+s.cgroup) {
		var all []string
		_ = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		slices.Reverse(all)
		for _, path := range all {
			if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// tryDocker runs the engine's command line.
func (s *site) tryDocker(arguments ...string) (string, error) {
	cmd := exec.Command(s.docker, arguments...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+s.folder+"/d.sock", "DOCKER_CONFIG="+s.folder)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("docker %s: %w: %s", strings.Join(arguments, " "), err, problem.String())
	}
	return strings.TrimSpace(out.String()), err
}

func (s *site) dockerDo(arguments ...string) string {
	s.t.Helper()
	out, err := s.tryDocker(arguments...)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.allLogs())
	}
	return out
}

// run starts a container that answers by HTTP with its name.
func (s *site) run(name string, options ...string) {
	s.t.Helper()
	arguments := append([]string{"run", "--detach", "--name", name, "--stop-timeout", "0"}, options...)
	s.dockerDo(append(arguments, image, "sh", "-c", "echo "+name+" >/index.html; exec httpd -f -p 80 -h /")...)
}

// inside runs a program in a container.
func (s *site) inside(container string, arguments ...string) string {
	s.t.Helper()
	return s.dockerDo(append([]string{"exec", container}, arguments...)...)
}

func (s *site) ping(container, address string) {
	s.t.Helper()
	if _, err := s.tryDocker("exec", container, "ping", "-c", "1", "-W", "3", address); err != nil {
		s.t.Errorf("%v\n%s", err, s.inside(container, "ip", "address"))
	}
}

func (s *site) noPing(container, address string) {
	s.t.Helper()
	if _, err := s.tryDocker("exec", container, "ping", "-c", "1", "-W", "1", address); err == nil {
		s.t.Errorf("%s reaches %s", container, address)
	}
}

// get asks by HTTP, from a namespace.
func get(namespace, address string) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = kerneltest.Do(namespace, func() (err error) {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}}
	answer, err := (&http.Client{Transport: transport, Timeout: 3 * time.Second}).Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close() //nolint:errcheck // it is read
	text, err := io.ReadAll(answer.Body)
	return strings.TrimSpace(string(text)), err
}

// wantWeb waits a moment for the server to listen.
func (s *site) wantWeb(namespace, address, name string) {
	s.t.Helper()
	var got string
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, err = get(namespace, address); err == nil && got == name {
			return
		}
	}
	s.t.Errorf("%s answers %q, %v; want %q", address, got, err, name)
}

func (s *site) wantNoWeb(namespace, address string) {
	s.t.Helper()
	if conn, err := kerneltest.Ask(namespace, "tcp", address, 300*time.Millisecond); err == nil {
		s.t.Errorf("%s answers %q", address, conn)
	}
}

func (s *site) listing() manage.Listing {
	s.t.Helper()
	var out manage.Listing
	ok(s.t, json.Unmarshal([]byte(s.dnetDo("plugin", "ls", "--format", "json")), &out))
	return out
}

func (s *site) dnetDo(arguments ...string) string {
	s.t.Helper()
	out, err := exec.Command(s.dnet, arguments...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("dnet %s: %v: %s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// state is what the host holds that could be left behind.
func (s *site) state() string {
	s.t.Helper()
	host, err := kernel.Open(kernel.Options{HostNamespace: s.Host, Instance: "picture"})
	ok(s.t, err)
	defer host.Close() //nolint:errcheck // read only
	var out strings.Builder
	out.WriteString(kerneltest.Snapshot(s.t, host, ""))
	for _, list := range [][]string{{"iptables-save"}, {"ip6tables-save"}, {"nft", "list", "tables"}} {
		var text []byte
		ok(s.t, kerneltest.Do(s.Host, func() (err error) {
			text, err = exec.Command(list[0], list[1:]...).Output()
			return err
		}))
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "LN-") || strings.Contains(line, "libnetwork") {
				out.WriteString(line)
			}
		}
	}
	listing, err := json.Marshal(s.listing())
	ok(s.t, err)
	out.Write(listing)
	return out.String()
}

// wantState fails if something is left behind.
func (s *site) wantState(before string) {
	s.t.Helper()
	if after := s.state(); after != before {
		s.t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func (s *site) importImage() {
	s.t.Helper()
	busybox, err := exec.LookPath("busybox")
	ok(s.t, err)
	text, err := os.ReadFile(busybox)
	ok(s.t, err)
	var rootfs bytes.Buffer
	w := tar.NewWriter(&rootfs)
	add := func(h tar.Header, content []byte) {
		h.Size = int64(len(content))
		ok(s.t, w.WriteHeader(&h))
		_, err := w.Write(content)
		ok(s.t, err)
	}
	add(tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	add(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, text)
	for _, applet := range []string{"sh", "echo", "httpd", "ping", "ip", "sleep", "wget"} {
		add(tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"}, nil)
	}
	ok(s.t, w.Close())
	path := filepath.Join(s.folder, "rootfs.tar")
	ok(s.t, os.WriteFile(path, rootfs.Bytes(), 0o600))
	s.dockerDo("import", path, image)
}
