package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/kernel/sysctl"
)

// host is the real Host.
type host struct {
	mark   string // what starts the alias of our links
	path   string // of the host's namespace; empty for the process's
	ipv6   bool   // the kernel has IPv6
	reaper *reaper
	// ctx ends when the host is closed; watchers is who waits for that.
	ctx      context.Context
	cancel   context.CancelFunc
	watchers sync.WaitGroup

	mu   sync.Mutex // guards open
	open map[string]*space
}

var instancePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Open returns the machine that the options name.
func Open(options Options) (Host, error) {
	if !instancePattern.MatchString(options.Instance) {
		return nil, cnm.E("open host", cnm.Invalid, fmt.Errorf("instance %q: want 1 to 64 letters, digits, '-' or '_'", options.Instance))
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &host{
		mark: "libnetwork " + options.Instance + " ", path: options.HostNamespace,
		reaper: newReaper(), ctx: ctx, cancel: cancel, open: make(map[string]*space),
	}
	if _, err := h.space(""); err != nil {
		cancel()
		return nil, cnm.Wrap("open host", err)
	}
	_, err := os.Stat("/proc/sys/net/ipv6")
	h.ipv6 = err == nil
	return h, nil
}

// space is one namespace with what is kept open in it. Once it has been closed, as
// when its namespace was deleted, whatever still uses it gets errors.
type space struct {
	name      string // as in netstate: empty is the host
	namespace *netns.Namespace
	conn      *rtnl.Conn
	identity  identity

	mu      sync.Mutex // guards sysctls
	sysctls *sysctl.Dir
}

// identity tells namespaces apart, whatever paths they are pinned at.
type identity struct{ device, inode uint64 }

func identify(path string) (identity, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return identity{}, err
	}
	return identity{stat.Dev, stat.Ino}, nil
}

// space returns the namespace of that name, opened if it is the first time, or if
// another one has taken its path. A missing one is NotFound.
func (h *host) space(name string) (*space, error) {
	if name == "" {
		return h.hostSpace()
	}
	id, err := identify(name)
	if err != nil {
		h.forget(name)
		if errors.Is(err, os.ErrNotExist) {
			return nil, cnm.E("", cnm.NotFound, fmt.Errorf("namespace %q: does not exist", name))
		}
		return nil, cnm.E("", cnm.Internal, fmt.Errorf("namespace %q: %w", name, err))
	}
	h.mu.Lock()
	s := h.open[name]
	h.mu.Unlock()
	if s != nil && s.identity == id {
		return s, nil
	}
	fresh, err := openSpace(name, name)
	if err != nil {
		return nil, err
	}
	return h.keep(fresh), nil
}

func (h *host) hostSpace() (*space, error) {
	h.mu.Lock()
	s := h.open[""]
	h.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := openSpace("", h.path)
	if err != nil {
		return nil, err
	}
	return h.keep(s), nil
}

// keep remembers the space. If another goroutine was faster, its one is returned.
func (h *host) keep(s *space) *space {
	h.mu.Lock()
	old := h.open[s.name]
	if old != nil && old.identity == s.identity {
		h.mu.Unlock()
		s.close()
		return old
	}
	h.open[s.name] = s
	h.mu.Unlock()
	if old != nil {
		old.close()
	}
	return s
}

// forget closes what is open of a namespace.
func (h *host) forget(name string) {
	h.mu.Lock()
	s := h.open[name]
	delete(h.open, name)
	h.mu.Unlock()
	if s != nil {
		s.close()
	}
}

func openSpace(name, path string) (*space, error) {
	namespace, err := netns.Open(path)
	if err != nil {
		return nil, err
	}
	s := &space{name: name, namespace: namespace}
	if err := namespace.Do(s.dial); err != nil {
		return nil, errors.Join(err, namespace.Close())
	}
	return s, s.identifyOpen()
}

// dial runs on a thread in the namespace.
func (s *space) dial() (err error) {
	s.conn, err = rtnl.Dial()
	return err
}

// settings returns the namespace's sysctls, opened when they are first needed: the
// kernel looks the folders up in time that grows with the number of namespaces.
func (s *space) settings() (*sysctl.Dir, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sysctls != nil {
		return s.sysctls, nil
	}
	err := s.namespace.Do(func() (err error) {
		s.sysctls, err = sysctl.Open()
		return err
	})
	return s.sysctls, err
}

func (s *space) identifyOpen() error {
	var stat syscall.Stat_t
	if err := syscall.Fstat(s.namespace.FD(), &stat); err != nil {
		s.close()
		return cnm.E("", cnm.Internal, fmt.Errorf("namespace %q: %w", s.name, err))
	}
	s.identity = identity{stat.Dev, stat.Ino}
	return nil
}

// close closes all; errors of closing sockets that nothing was lost on say nothing.
func (s *space) close() {
	_ = s.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sysctls != nil {
		_ = s.sysctls.Close()
	}
	_ = s.namespace.Close()
}

func (h *host) Close() error {
	h.cancel()
	h.watchers.Wait()
	h.reaper.wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, s := range h.open {
		s.close()
		delete(h.open, name)
	}
	return nil
}

func (h *host) Namespaces() Namespaces { return namespaces{h} }

func (h *host) Container() Container { return container{h} }

// namespaces implements Namespaces.
type namespaces struct{ h *host }

func (n namespaces) Create(ctx context.Context, path string) error {
	op := fmt.Sprintf("create namespace %q", path)
	if err := ctx.Err(); err != nil {
		return cnm.E(op, cnm.Timeout, err)
	}
	s := &space{name: path}
	err := netns.Create(path, func() error {
		if err := s.dial(); err != nil {
			return err
		}
		var err error
		if s.namespace, err = netns.Open(path); err != nil {
			return errors.Join(err, s.conn.Close())
		}
		return s.identifyOpen()
	})
	if err != nil {
		return cnm.Wrap(op, err)
	}
	n.h.keep(s)
	return nil
}

func (n namespaces) Bind(ctx context.Context, path, source string) error {
	op := fmt.Sprintf("bind namespace %q at %q", source, path)
	if err := ctx.Err(); err != nil {
		return cnm.E(op, cnm.Timeout, err)
	}
	return cnm.Wrap(op, netns.Bind(path, source))
}

func (n namespaces) Delete(ctx context.Context, path string) error {
	op := fmt.Sprintf("delete namespace %q", path)
	if err := ctx.Err(); err != nil {
		return cnm.E(op, cnm.Timeout, err)
	}
	if err := netns.Delete(path); err != nil {
		return cnm.Wrap(op, err)
	}
	n.h.forget(path)
	return nil
}

func (n namespaces) List(_ context.Context, folder, prefix string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, cnm.E("list namespaces", cnm.Internal, err)
	}
	var paths []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			paths = append(paths, filepath.Join(folder, entry.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}

func (n namespaces) Alive(_ context.Context, path string) (bool, error) { return netns.Alive(path) }

func (n namespaces) HostPath() string {
	if n.h.path != "" {
		return n.h.path
	}
	return netns.ProcessPath()
}
