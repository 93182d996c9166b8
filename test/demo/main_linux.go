// Command demo shows the library at work on a machine of its own: two networks,
// three containers, packets between them, and a restart in between. The machine is a
// network namespace that ends with the program.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

func main() {
	if err := kerneltest.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func step(format string, args ...any) { fmt.Printf("\n> "+format+"\n", args...) }

func open(data string) (libnetwork.NetworkController, error) {
	return libnetwork.New(config.OptionDataDir(data), config.OptionExecRoot("/run/demo"))
}

func run() error {
	data, err := os.MkdirTemp("", "libnetwork-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data) //nolint:errcheck // a temporary folder

	step("a controller, two networks, three containers")
	c, err := open(data)
	if err != nil {
		return err
	}
	if err := populate(c); err != nil {
		return err
	}
	if err := show(c); err != nil {
		return err
	}
	if err := pingAll(c); err != nil {
		return err
	}

	step("the controller stops, and a new one takes over")
	id := c.ID()
	c.Stop()
	start := time.Now()
	if c, err = open(data); err != nil {
		return err
	}
	defer c.Stop()
	fmt.Printf("  the same controller %v: %d networks, %d sandboxes, in %v\n",
		c.ID() == id, len(c.Networks()), len(c.Sandboxes()), time.Since(start).Round(time.Millisecond))
	if err := pingAll(c); err != nil {
		return err
	}

	step("all is deleted")
	if err := clean(c); err != nil {
		return err
	}
	return show(c)
}

func populate(c libnetwork.NetworkController) error {
	for _, name := range []string{"blue", "red"} {
		if _, err := c.NewNetwork("bridge", name, "", libnetwork.NetworkOptionEnableIPv6(name == "blue")); err != nil {
			return err
		}
	}
	for _, container := range []struct{ name, network string }{{"web", "blue"}, {"db", "blue"}, {"lonely", "red"}} {
		start := time.Now()
		sb, err := c.NewSandbox(container.name, libnetwork.OptionHostname(container.name))
		if err != nil {
			return err
		}
		n, err := c.NetworkByName(container.network)
		if err != nil {
			return err
		}
		ep, err := n.CreateEndpoint(container.name)
		if err != nil {
			return err
		}
		if err := ep.Join(sb); err != nil {
			return err
		}
		fmt.Printf("  %-6s joined %-4s in %.1f ms\n", container.name, container.network, float64(time.Since(start).Microseconds())/1000)
	}
	return nil
}

// show draws the records, and below each network what the kernel has for it.
func show(c libnetwork.NetworkController) error {
	links, err := observe(c)
	if err != nil {
		return err
	}
	fmt.Println()
	if len(c.Networks()) == 0 {
		fmt.Printf("  no networks, no sandboxes; links on this machine: %s\n", strings.Join(links[""], ", "))
		return nil
	}
	for _, n := range c.Networks() {
		v4, _ := n.Info().IpamInfo()
		fmt.Printf("  network %-6s %-16s bridge br-%s\n", n.Name(), v4[0].Pool, n.ID()[:12])
		endpoints := n.Endpoints()
		for i, ep := range endpoints {
			branch := "├──"
			if i == len(endpoints)-1 {
				branch = "└──"
			}
			sb := ep.Info().Sandbox()
			fmt.Printf("  %s veth%s ═══ %s (%s) in %s\n", branch, ep.ID()[:11], strings.Join(links[sb.Key()], ", "), address(ep), sb.ContainerID())
		}
	}
	return nil
}

// observe returns the names of the links in each namespace, but for the loopback.
func observe(c libnetwork.NetworkController) (map[string][]string, error) {
	host, err := kernel.Open(kernel.Options{Instance: "demo"})
	if err != nil {
		return nil, err
	}
	defer host.Close() //nolint:errcheck // read only
	namespaces := []string{""}
	for _, sb := range c.Sandboxes() {
		namespaces = append(namespaces, sb.Key())
	}
	parts, err := host.Observe(context.Background(), namespaces...)
	if err != nil {
		return nil, err
	}
	links := make(map[string][]string)
	for _, p := range parts {
		for _, l := range p.Links {
			if l.Kind != netstate.Existing || p.Namespace == "" {
				links[p.Namespace] = append(links[p.Namespace], l.Name)
			}
		}
	}
	return links, nil
}

func address(ep libnetwork.Endpoint) netip.Addr {
	a, _ := netip.AddrFromSlice(ep.Info().Iface().Address().IP)
	return a.Unmap()
}

// pingAll pings each container from each other one: on one network it must answer,
// across networks it must not, since nothing routes between them.
func pingAll(c libnetwork.NetworkController) error {
	fmt.Println()
	var all []libnetwork.Endpoint
	for _, n := range c.Networks() {
		all = append(all, n.Endpoints()...)
	}
	for _, from := range all {
		for _, to := range all {
			if from.ID() == to.ID() {
				continue
			}
			same, limit := from.Network() == to.Network(), 2*time.Second
			if !same {
				limit /= 8 // no answer is what is expected
			}
			err := kerneltest.PingWithin(from.Info().Sandbox().Key(), address(to), limit)
			fmt.Printf("  ping %-6s -> %-6s %-12s %s\n", from.Name(), to.Name(), address(to), map[bool]string{true: "answers", false: "no answer"}[err == nil])
			if same && err != nil {
				return err
			}
			if !same && err == nil {
				return errors.New("a container of another network answered")
			}
		}
	}
	return nil
}

func clean(c libnetwork.NetworkController) error {
	for _, sb := range c.Sandboxes() {
		if err := sb.Delete(); err != nil {
			return err
		}
	}
	for _, n := range c.Networks() {
		if err := n.Delete(); err != nil {
			return err
		}
	}
	left, err := filepath.Glob("/run/demo/netns/*")
	if err == nil && len(left) > 0 {
		return fmt.Errorf("left behind: %v", left)
	}
	return err
}
