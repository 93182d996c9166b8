package diag_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/types"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// machine is a host of its own with a controller on it.
type machine struct {
	host, data, run string
	controller      libnetwork.NetworkController
	// inspector, if it is not nil, is asked in place of the controller.
	inspector libnetwork.Inspector
}

func newMachine(t testing.TB, host string, more ...config.Option) *machine {
	t.Helper()
	kerneltest.RequireRoot(t)
	// Paths of sockets and namespaces are short: the kernel wants them so.
	run := must[string](t)(os.MkdirTemp("/run", "diag"))
	m := &machine{host: host, data: filepath.Join(t.TempDir(), "data"), run: run}
	m.controller = m.open(t, more...)
	return m
}

func (m *machine) open(t testing.TB, more ...config.Option) libnetwork.NetworkController {
	t.Helper()
	c, err := libnetwork.New(append([]config.Option{
		config.OptionHostNamespace(m.host), config.OptionDataDir(m.data), config.OptionExecRoot(m.run), config.OptionAnnounce(0, 0),
	}, more...)...)
	check(t, err)
	t.Cleanup(c.Stop)
	return c
}

func (m *machine) options() diag.Options {
	o := diag.Options{Controller: m.controller, Inspector: m.controller.(libnetwork.Inspector), Version: "test", ResolvConf: filepath.Join(m.run, "resolv.conf")}
	if m.inspector != nil {
		o.Inspector = m.inspector
	}
	return o
}

func (m *machine) network(t testing.TB, name string, options ...libnetwork.NetworkOption) libnetwork.Network {
	t.Helper()
	return must[libnetwork.Network](t)(m.controller.NewNetwork("bridge", name, "", options...))
}

// attach makes a container in the network, with ports published.
func (m *machine) attach(t testing.TB, n libnetwork.Network, name string, ports ...types.PortBinding) (libnetwork.Sandbox, libnetwork.Endpoint) {
	t.Helper()
	sb := must[libnetwork.Sandbox](t)(m.controller.NewSandbox(name, libnetwork.OptionPortMapping(ports)))
	ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint(name))
	check(t, ep.Join(sb))
	return sb, ep
}

func binding(protocol types.Protocol, hostIP string, port, hostPort uint16) types.PortBinding {
	b := types.PortBinding{Proto: protocol, Port: port, HostPort: hostPort}
	if hostIP != "" {
		b.HostIP = netip.MustParseAddr(hostIP).AsSlice()
	}
	return b
}

// prefixes are the endpoint's addresses, IPv4 first.
func prefixes(ep libnetwork.Endpoint) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range []*net.IPNet{ep.Info().Iface().Address(), ep.Info().Iface().AddressIPv6()} {
		if n != nil {
			address, _ := netip.AddrFromSlice(n.IP)
			bits, _ := n.Mask.Size()
			out = append(out, netip.PrefixFrom(address.Unmap(), bits))
		}
	}
	return out
}
