package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

// managed: the plugin that the engine itself starts, of what is in packaging/plugin. Its
// root file system is made of this machine's files in place of an image's.
func managed(s *site) {
	folder := filepath.Join(s.folder, "managed")
	rootfs := filepath.Join(folder, "rootfs")
	add := func(from, to string) {
		s.t.Helper()
		to = filepath.Join(rootfs, to)
		ok(s.t, os.MkdirAll(filepath.Dir(to), 0o755))
		text, err := os.ReadFile(from)
		ok(s.t, err)
		ok(s.t, os.WriteFile(to, text, 0o755))
	}
	busybox, err := exec.LookPath("busybox")
	ok(s.t, err)
	add(s.dnet+"d", "usr/bin/dnetd")
	add("../../packaging/plugin/start", "usr/bin/start")
	add(busybox, "bin/busybox")
	for _, applet := range []string{"sh", "mount"} {
		ok(s.t, os.Symlink("busybox", filepath.Join(rootfs, "bin", applet)))
	}
	const tables = "/usr/sbin/xtables-nft-multi"
	add(tables, tables)
	for _, name := range []string{"iptables", "iptables-restore", "iptables-save", "ip6tables", "ip6tables-restore", "ip6tables-save"} {
		ok(s.t, os.Symlink("xtables-nft-multi", filepath.Join(rootfs, "usr/sbin", name)))
	}
	extensions, err := filepath.Glob("/usr/lib/*/xtables/*.so")
	ok(s.t, err)
	for _, path := range extensions {
		add(path, path)
	}
	libraries, err := exec.Command("ldd", append([]string{tables}, extensions...)...).Output()
	ok(s.t, err)
	for _, path := range regexp.MustCompile(`\s/\S+`).FindAllString(string(libraries), -1) {
		if path = strings.TrimSpace(path); !strings.HasSuffix(path, ":") {
			add(path, path)
		}
	}
	for _, name := range []string{"data", "run", "tmp"} {
		ok(s.t, os.MkdirAll(filepath.Join(rootfs, name), 0o755))
	}
	text, err := os.ReadFile("../../packaging/plugin/config.json")
	ok(s.t, err)
	ok(s.t, os.WriteFile(filepath.Join(folder, "config.json"), text, 0o600))

	const outside = kerneltest.HostIPv4 + ":8083"
	s.dockerDo("plugin", "create", "managed", folder)
	s.dockerDo("plugin", "enable", "managed")
	s.dockerDo("network", "create", "-d", "managed:latest", "--ipam-driver", "managed:latest", "web")
	s.run("www", "--network", "web", "--publish", "8083:80")
	s.wantWeb(s.Neighbor, outside, "www")
	s.dockerDo("plugin", "disable", "--force", "managed")
	s.wantWeb(s.Neighbor, outside, "www")
	s.dockerDo("plugin", "enable", "managed")
	s.dockerDo("restart", "www")
	s.wantWeb(s.Neighbor, outside, "www")

	// A new engine finds the containers of the one before, which it leaves running.
	s.end(&s.engine, syscall.SIGTERM)
	s.startEngine("--live-restore")
	s.dockerDo("start", "www")
	s.dockerDo("network", "create", "-d", "managed:latest", "--ipam-driver", "managed:latest", "-o", "driver=macvlan", "-o", "parent="+kerneltest.LanLink, "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.64/27", "lan")
	s.run("host", "--network", "lan")
	s.end(&s.engine, syscall.SIGKILL)
	s.startEngine("--live-restore")
	s.run("new", "--network", "web")
	// Who wants what is taken makes the plugin look who is dead.
	if _, err := s.tryDocker("run", "--rm", "--network", "lan", "--ip", s.addressOf("host", "lan"), image, "true"); err == nil {
		s.t.Error("the address of a container that lives is given to another")
	}
	s.wantWeb(s.Neighbor, s.addressOf("host", "lan")+":80", "host")
	s.wantWeb(s.Neighbor, outside, "www")
	s.dockerDo("rm", "--force", "www", "host", "new")
	s.dockerDo("network", "rm", "web", "lan")
	s.dockerDo("plugin", "rm", "--force", "managed")
}
