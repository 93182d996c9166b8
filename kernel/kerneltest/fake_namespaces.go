package kerneltest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
)

// Namespaces implements kernel.Host.
func (f *Fake) Namespaces() kernel.Namespaces { return fakeNamespaces{f} }

// Container implements kernel.Host.
func (f *Fake) Container() kernel.Container { return fakeContainer{f} }

type fakeNamespaces struct{ f *Fake }

func (n fakeNamespaces) Create(_ context.Context, path string) error {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	if n.f.pinned[path] {
		return cnm.E("create namespace", cnm.Exists, fmt.Errorf("%q exists", path))
	}
	n.f.pinned[path], n.f.spaces[path] = true, newFakeSpace()
	return nil
}

func (n fakeNamespaces) Bind(_ context.Context, path, source string) error {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	s, ok := n.f.spaces[source]
	switch {
	case source == n.HostPath():
		return cnm.E("bind namespace", cnm.Invalid, fmt.Errorf("%q is the host's own", source))
	case !ok || source == "":
		return cnm.E("bind namespace", cnm.NotFound, fmt.Errorf("%q does not exist", source))
	case n.f.pinned[path]:
		return cnm.E("bind namespace", cnm.Exists, fmt.Errorf("%q exists", path))
	}
	n.f.pinned[path], n.f.spaces[path] = true, s
	return nil
}

func (n fakeNamespaces) Delete(_ context.Context, path string) error {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	s := n.f.spaces[path]
	delete(n.f.pinned, path)
	delete(n.f.spaces, path)
	for _, other := range n.f.spaces {
		if other == s {
			return nil // pinned elsewhere too
		}
	}
	if s != nil {
		for name := range maps.Clone(s.links) {
			s.delete(name)
		}
	}
	return nil
}

func (n fakeNamespaces) List(_ context.Context, folder, prefix string) ([]string, error) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	var out []string
	for path := range n.f.pinned {
		if filepath.Dir(path) == filepath.Clean(folder) && strings.HasPrefix(filepath.Base(path), prefix) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (n fakeNamespaces) Alive(_ context.Context, path string) (bool, error) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	return n.f.spaces[path] != nil, nil
}

func (n fakeNamespaces) Identity(_ context.Context, path string) (string, error) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	s := n.f.spaces[path]
	switch {
	case path == n.HostPath():
		return path, nil
	case s == nil:
		return "", cnm.E("identify namespace", cnm.NotFound, fmt.Errorf("%q does not exist", path))
	}
	return fmt.Sprintf("%p", s), nil
}

func (fakeNamespaces) HostPath() string { return "/fake/host" }

type fakeContainer struct{ f *Fake }

func (c fakeContainer) Announce(_ context.Context, namespace, link string, addresses []netip.Addr) error {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if s := c.f.spaces[namespace]; s == nil || s.links[link] == nil {
		return cnm.E("announce", cnm.NotFound, fmt.Errorf("link %q: does not exist", link))
	}
	c.f.announced += len(addresses)
	return nil
}

func (c fakeContainer) Statistics(_ context.Context, namespace string, links []string) (map[string]kernel.Statistics, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	out := make(map[string]kernel.Statistics)
	for _, name := range links {
		if s := c.f.spaces[namespace]; s != nil && s.links[name] != nil {
			out[name] = kernel.Statistics{}
		}
	}
	return out, nil
}

func (c fakeContainer) Prefixes(_ context.Context, namespace string) ([]netip.Prefix, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	s := c.f.spaces[namespace]
	if s == nil {
		return nil, cnm.E("look for routes", cnm.NotFound, fmt.Errorf("namespace %q: does not exist", namespace))
	}
	var out []netip.Prefix
	for _, a := range s.addrs {
		out = append(out, a.Prefix.Masked())
	}
	for _, r := range s.routes {
		if r.Destination.Bits() > 0 {
			out = append(out, r.Destination)
		}
	}
	return out, nil
}

// Listen listens on this machine, at a port of the kernel's choice: a fake namespace has no
// traffic.
func (c fakeContainer) Listen(_ context.Context, namespace string, _ netip.AddrPort) (net.PacketConn, net.Listener, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.f.spaces[namespace] == nil {
		return nil, nil, cnm.E("listen", cnm.NotFound, fmt.Errorf("namespace %q: does not exist", namespace))
	}
	packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	streams, err := net.Listen("tcp4", "127.0.0.1:0")
	return packets, streams, err
}

func (fakeContainer) Dial(context.Context, string, string, string) (net.Conn, error) {
	return nil, cnm.E("dial", cnm.Unsupported, fmt.Errorf("a fake host has no traffic"))
}

func (c fakeContainer) HasIPv6(_ context.Context, namespace string) (bool, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	s := c.f.spaces[namespace]
	return s != nil && !s.links["lo"].Down, nil
}
