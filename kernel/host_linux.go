package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// host is the real Host.
type host struct {
	mark         string // what starts the alias of our links
	path         string // of the host's namespace; empty for the process's
	ipv6         bool   // the kernel has IPv6
	addrProtocol bool   // the kernel keeps IFA_PROTO
	reaper       *reaper
	resident     *resident
	firewall     firewall
	prober       prober
	log          *slog.Logger
	// ctx ends when the host is closed; watchers is who waits for that.
	ctx      context.Context
	cancel   context.CancelFunc
	watchers sync.WaitGroup

	mu     sync.Mutex // guards all below
	open   map[string]*space
	closed bool
	spaces sync.WaitGroup // counts what has been in open and is not yet closed
}

// longestInstance is the most bytes that an instance's name has.
const longestInstance = 64

// validInstance has no regular expression, as compiling it takes longer than the start of
// a program that lives for one operation should.
func validInstance(name string) bool {
	for _, b := range []byte(name) {
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		if !letter && (b < '0' || b > '9') && b != '_' && b != '-' {
			return false
		}
	}
	return name != "" && len(name) <= longestInstance
}

// Open returns the machine that the options name. It needs no permission; most
// changes take CAP_NET_ADMIN, and other namespaces than the process's
// CAP_SYS_ADMIN.
func Open(options Options) (Host, error) {
	if !validInstance(options.Instance) {
		return nil, cnm.E("open host", cnm.Invalid, fmt.Errorf("instance %q: want 1 to 64 letters, digits, '-' or '_'", options.Instance))
	}
	if err := checkFirewall(options.Firewall); err != nil {
		return nil, cnm.E("open host", cnm.Invalid, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &host{
		mark: "libnetwork " + options.Instance + " ", path: options.HostNamespace,
		addrProtocol: keepsAddrProtocol(), reaper: newReaper(),
		ctx: ctx, cancel: cancel, open: make(map[string]*space), log: options.Log,
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.resident = newResident(h)
	h.firewall = firewall{h: h, options: options.Firewall, instance: options.Instance, connections: connections{h: h}}
	_, err := os.Stat("/proc/sys/net/ipv6")
	h.ipv6 = err == nil
	s, err := h.space("")
	if err != nil {
		cancel()
		return nil, cnm.Wrap("open host", err)
	}
	s.release()
	return h, nil
}

// space returns the namespace of that name, opened if it is the first time, or if
// another one has taken its path. The caller releases it. A missing one is
// NotFound.
func (h *host) space(name string) (*space, error) {
	path := name
	if name == "" {
		path = h.path
	}
	var id identity
	if name != "" {
		var err error
		if id, err = identify(name); errors.Is(err, os.ErrNotExist) {
			h.forget(name)
			return nil, cnm.E("", cnm.NotFound, fmt.Errorf("namespace %q: does not exist", name))
		} else if err != nil {
			return nil, errno.Wrap(fmt.Sprintf("namespace %q", name), err)
		}
	}
	h.mu.Lock()
	s := h.open[name]
	if s != nil && (name == "" || s.identity == id) {
		s.acquire()
		h.mu.Unlock()
		return s, nil
	}
	h.mu.Unlock()
	fresh, err := openSpace(name, path)
	if err != nil {
		return nil, err
	}
	return h.keep(fresh)
}

// keep remembers the space and returns it acquired. If another goroutine was
// faster, its one is returned.
func (h *host) keep(s *space) (*space, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		s.close()
		return nil, cnm.E("", cnm.Unavailable, errors.New("the host is closed"))
	}
	old := h.open[s.name]
	if old != nil && old.identity == s.identity {
		s.close()
		old.acquire()
		return old, nil
	}
	h.spaces.Add(1)
	s.users.Store(2) // the table and the caller
	s.closed = h.spaces.Done
	h.open[s.name] = s
	if old != nil {
		old.release()
	}
	return s, nil
}

// forget closes what is open of a namespace, once nobody uses it.
func (h *host) forget(name string) {
	h.mu.Lock()
	s := h.open[name]
	delete(h.open, name)
	h.mu.Unlock()
	if s != nil {
		s.release()
	}
}

func (h *host) Close() error {
	h.firewall.connections.wait()
	h.mu.Lock()
	h.closed = true
	open := h.open
	h.open = make(map[string]*space)
	h.mu.Unlock()
	h.cancel()
	h.watchers.Wait()
	h.resident.close()
	for _, s := range open {
		s.release()
	}
	// Whatever is under way, deletions too, holds the space that it is in. The packet filter
	// closes after them: see settleTime.
	h.spaces.Wait()
	h.firewall.close()
	return h.reaper.close()
}

func (h *host) Namespaces() Namespaces { return namespaces{h} }

func (h *host) Firewall() Firewall { return &h.firewall }

func (h *host) Ports() Ports { return ports{h} }

func (h *host) Container() Container { return container{h} }
