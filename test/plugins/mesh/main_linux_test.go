package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
)

// serveIn, in the environment, has the test binary be the plugin, in that folder.
const serveIn = "LIBNETWORK_TEST_MESH"

func TestMain(m *testing.M) {
	if folder := os.Getenv(serveIn); folder != "" {
		fmt.Fprintln(os.Stderr, "mesh:", serve(folder))
		os.Exit(1)
	}
	kerneltest.Main(m)
}

// process is the plugin as a process of its own, in the network namespace of the tests.
type process struct {
	t       *testing.T
	folder  string
	command *exec.Cmd
}

// startPlugin starts the plugin, and kills it when the test ends.
func startPlugin(t *testing.T) *process {
	t.Helper()
	kerneltest.RequireRoot(t)
	folder, err := os.MkdirTemp("/run", "mesh")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, folder: folder}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.command = exec.Command("/proc/self/exe")
	p.command.Env = append(os.Environ(), serveIn+"="+p.folder)
	p.command.Stderr = os.Stderr
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill leaves its sockets behind, as a crash does.
func (p *process) kill() {
	if p.command != nil {
		_ = p.command.Process.Kill()
		_ = p.command.Wait() // it says that it was killed
		p.command = nil
	}
}

func (p *process) restart() {
	p.t.Helper()
	p.kill()
	p.start()
}

// options are for who uses the plugin.
func (p *process) options() plugin.Options {
	return plugin.Options{SocketFolders: []string{p.folder}, SpecFolders: []string{p.folder}, CallTimeout: 10 * time.Second, RetryFor: 10 * time.Second}
}

func (p *process) registry() *plugin.Registry {
	r := plugin.New(p.options())
	p.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			p.t.Error(err)
		}
	})
	return r
}

// granted is what the address manager has in its file.
func (p *process) granted() string {
	p.t.Helper()
	content, err := os.ReadFile(filepath.Join(p.folder, "granted"))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(content)
}

// hostLinks are the names of the host's links.
func hostLinks(t *testing.T) []string {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	slices.Sort(names)
	return names
}

// adopt does what an endpoint's part says: it moves the link, and gives it what it is to
// have.
func adopt(t *testing.T, part netstate.Part) {
	t.Helper()
	link := part.Links[0]
	if err := move(link.Source, link.Name, part.Namespace); err != nil {
		t.Fatal(err)
	}
	err := kerneltest.Do(part.Namespace, func() error {
		for _, s := range part.Sysctls {
			if err := os.WriteFile(filepath.Join("/proc/thread-self/root/proc/sys", s.Key), []byte(s.Value), 0); err != nil && !s.Optional {
				return err
			}
		}
		made, err := netlink.LinkByName(link.Name)
		if err != nil {
			return err
		}
		if !link.MAC.IsZero() && made.Attrs().HardwareAddr.String() != link.MAC.String() {
			return fmt.Errorf("link %s has MAC address %s, want %s", link.Name, made.Attrs().HardwareAddr, link.MAC)
		}
		for _, a := range part.Addrs {
			if err := addAddress(made, a.Prefix.String()); err != nil {
				return err
			}
		}
		if err := netlink.LinkSetUp(made); err != nil {
			return err
		}
		for _, r := range part.Routes {
			destination, err := netlink.ParseIPNet(r.Destination.String())
			if err != nil {
				return err
			}
			route := &netlink.Route{LinkIndex: made.Attrs().Index, Dst: destination}
			if r.Gateway.IsValid() {
				route.Gw = r.Gateway.AsSlice()
			}
			if err := netlink.RouteAdd(route); err != nil {
				return fmt.Errorf("%s: %w", r, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// giveBack takes that back.
func giveBack(t *testing.T, part netstate.Part) {
	t.Helper()
	link := part.Links[0]
	host := fmt.Sprintf("/proc/%d/ns/net", os.Getpid())
	err := kerneltest.Do(part.Namespace, func() error { return move(link.Name, link.Source, host) })
	if err != nil {
		t.Fatal(err)
	}
}

// move renames a link in the namespace of the calling thread, and moves it to another.
func move(from, to, namespace string) error {
	link, err := netlink.LinkByName(from)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetDown(link); err != nil {
		return err
	}
	if err := netlink.LinkSetName(link, to); err != nil {
		return err
	}
	file, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return netlink.LinkSetNsFd(link, int(file.Fd()))
}

func contains(links []string, beginning string) bool {
	return slices.ContainsFunc(links, func(name string) bool { return strings.HasPrefix(name, beginning) })
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }
