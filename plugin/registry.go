package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// Defaults of Options.
const (
	// DefaultCallTimeout is how long a plugin may take for one answer.
	DefaultCallTimeout = 30 * time.Second
	// DefaultRetryFor is how long a plugin may take to come up, as with Docker.
	DefaultRetryFor = 30 * time.Second
)

// Options say where plugins are, and how patient to be with them. The zero Options are
// Docker's folders and the defaults above.
type Options struct {
	// SocketFolders are where NAME.sock or NAME/NAME.sock may be; none means
	// /run/docker/plugins.
	SocketFolders []string
	// SpecFolders are where NAME.spec or NAME.json may be; none means
	// /etc/docker/plugins and /usr/lib/docker/plugins.
	SpecFolders []string
	// CallTimeout bounds each exchange with a plugin; zero means DefaultCallTimeout.
	CallTimeout time.Duration
	// RetryFor bounds how long a plugin that cannot be connected to is tried again;
	// zero means DefaultRetryFor, less than zero not at all.
	RetryFor time.Duration
	// Find, if it is not nil, finds plugins in place of the folders, by name and type.
	Find func(name, implements string) (Client, error)
}

func (o Options) withDefaults() Options {
	if len(o.SocketFolders) == 0 {
		o.SocketFolders = []string{"/run/docker/plugins"}
	}
	if len(o.SpecFolders) == 0 {
		o.SpecFolders = []string{"/etc/docker/plugins", "/usr/lib/docker/plugins"}
	}
	o.CallTimeout = cmp.Or(max(o.CallTimeout, 0), DefaultCallTimeout)
	o.RetryFor = max(cmp.Or(o.RetryFor, DefaultRetryFor), 0)
	return o
}

// Registry finds plugins by name. It is safe for concurrent use. New makes one, and
// Close ends it.
type Registry struct {
	options Options
	// life ends with Close, and all calls with it.
	life context.Context
	end  context.CancelFunc
	// calls counts the calls under way.
	calls sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closed  bool
	plugins map[string]*Plugin // by name; those that were found once
}

// New returns a registry. It touches nothing before it is asked for a plugin.
func New(options Options) *Registry {
	r := &Registry{options: options.withDefaults(), plugins: make(map[string]*Plugin)}
	r.life, r.end = context.WithCancel(context.Background())
	return r
}

// Close ends all calls under way, waits for them, and drops the connections. What is
// asked of the registry or its plugins afterwards is Unavailable. A second Close does
// nothing. The error, a Timeout, is about clients that Find has returned: they know no
// context, and are not waited for longer than for an answer.
func (r *Registry) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	err := r.waitForCalls()
	r.mu.Lock()
	plugins := r.plugins
	r.plugins = nil
	r.mu.Unlock()
	for _, p := range plugins {
		p.forget(nil)
	}
	return err
}

func (r *Registry) waitForCalls() error {
	ended := make(chan struct{})
	go func() { // ends with the last call
		r.calls.Wait()
		close(ended)
	}()
	timer := time.NewTimer(r.options.CallTimeout)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return cnm.E("close the registry of plugins", cnm.Timeout, fmt.Errorf("a call by a client that is not ours has not ended within %s; it is left behind", r.options.CallTimeout))
	}
}

// Names returns the names that plugins could be called by, sorted: there is a file for
// each. Whether somebody answers, and may be trusted, only Get tells.
func (r *Registry) Names(ctx context.Context) ([]string, error) {
	const op = "list plugins"
	_, done, err := r.begin(ctx)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	defer done()
	var names []string
	for _, folder := range r.options.SocketFolders {
		found, err := socketNames(folder)
		if err != nil {
			return nil, cnm.E(op, cnm.Internal, err)
		}
		names = append(names, found...)
	}
	for _, folder := range r.options.SpecFolders {
		found, err := specNames(folder)
		if err != nil {
			return nil, cnm.E(op, cnm.Internal, err)
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Get returns the plugin of that name once it says that it implements the type, such as
// NetworkDriver. One that does not answer yet is tried again for as long as the options
// allow, and is then Unavailable. NotFound means that there is no file of the name,
// Unsupported that the plugin implements something else, Forbidden that others could
// have put its file there, and Invalid that the name or the file is malformed.
func (r *Registry) Get(ctx context.Context, name, implements string) (*Plugin, error) {
	return r.get(ctx, name, implements, false)
}

// Wait is Get for a plugin that must be there, as a record says so: it is waited for as
// well if there is no file yet, because the machine may just be starting.
func (r *Registry) Wait(ctx context.Context, name, implements string) (*Plugin, error) {
	return r.get(ctx, name, implements, true)
}

func (r *Registry) get(ctx context.Context, name, implements string, wait bool) (*Plugin, error) {
	op := fmt.Sprintf("plugin %q", name)
	if err := checkName(name); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	if r.options.Find != nil {
		return r.foreign(ctx, name, implements, wait)
	}
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	defer done()
	p := r.handle(name)
	err = p.retry(ctx, wait, true, func() error {
		s, err := p.session(ctx)
		if err != nil {
			return err
		}
		return s.require(implements)
	})
	if err != nil {
		r.drop(p)
		return nil, cnm.Wrap(op, err)
	}
	return r.keep(p)
}

// drop forgets a plugin that was not found, or is none of the type, unless it is known
// already: others may be calling it.
func (r *Registry) drop(p *Plugin) {
	r.mu.Lock()
	known := r.plugins[p.name] == p
	r.mu.Unlock()
	if !known {
		p.forget(nil)
	}
}

// handle returns the plugin of that name: the one that is known, or a new one.
func (r *Registry) handle(name string) *Plugin {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.plugins[name]; ok {
		return p
	}
	return &Plugin{registry: r, name: name}
}

// keep remembers a plugin that was found. Names that were not are not remembered, so
// that nobody can fill the memory with them.
func (r *Registry) keep(p *Plugin) (*Plugin, error) {
	r.mu.Lock()
	known, ok := r.plugins[p.name]
	if !ok && !r.closed {
		r.plugins[p.name] = p
		known = p
	}
	r.mu.Unlock()
	if known != p {
		p.forget(nil) // somebody else was first, or the registry is closed
	}
	if known == nil {
		return nil, errClosed()
	}
	return known, nil
}

// begin counts a call, and makes it end with the registry.
func (r *Registry) begin(ctx context.Context) (context.Context, func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, errClosed()
	}
	r.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.life, func() { cancel(errClosed()) })
	return ctx, func() {
		stop()
		cancel(nil)
		r.calls.Done()
	}, nil
}

func errClosed() error {
	return cnm.E("", cnm.Unavailable, errors.New("the registry of plugins is closed"))
}
