package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/kernel/nft"
	"github.com/docker/libnetwork/netstate"
)

// filter is a back end of the packet filter.
type filter interface {
	Apply(context.Context, netstate.Changes) error
	Observe(context.Context) ([]netstate.Part, error)
	Delete(context.Context) error
	// Watch calls notify after somebody else has changed what is ours, until ctx is done,
	// and then done. It is called on a thread in the host's namespace.
	Watch(ctx context.Context, notify, done func()) error
	Close() error
}

// firewall is the host's packet filter. The back end is opened when it is first needed.
type firewall struct {
	h        *host
	options  FirewallOptions
	instance string
	// connections has what the kernel is to forget.
	connections connections

	mu      sync.Mutex // guards what follows
	backend string     // empty until it is chosen
	filter  filter
	zone    *zone // nil where there is no firewalld to care for
}

func checkFirewall(o FirewallOptions) error {
	switch o.Backend {
	case "", NFTables, IPTables, IPTablesNFT, IPTablesLegacy, NoFirewall:
		return nil
	}
	return fmt.Errorf("firewall back end %q: want %q, %q, %q, %q or %q", o.Backend, NFTables, IPTables, IPTablesNFT, IPTablesLegacy, NoFirewall)
}

// use returns the back end, opened and chosen if it is the first time.
func (f *firewall) use(ctx context.Context) (filter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.backend != "" {
		return f.filter, nil
	}
	want := cmp.Or(f.options.Backend, NFTables)
	opened, err := f.open(want)
	if f.options.Backend == "" && errors.Is(err, cnm.Unsupported) {
		want = IPTables
		var second error
		if opened, second = f.open(want); second != nil {
			err = errors.Join(err, second)
		} else {
			err = nil
		}
	}
	if err != nil {
		return nil, err
	}
	if !f.options.Brief {
		if f.zone, err = f.openZone(ctx, opened); err != nil {
			return nil, errors.Join(err, opened.Close())
		}
	}
	if own, ok := opened.(*iptables.Filter); ok {
		want = map[string]string{iptables.VariantNFT: IPTablesNFT, iptables.VariantLegacy: IPTablesLegacy}[own.Variant()]
	}
	f.backend, f.filter = want, opened
	f.warn(ctx, opened)
	return opened, nil
}

// warn says what others drop although it is accepted here.
func (f *firewall) warn(ctx context.Context, opened filter) {
	own, ok := opened.(*nft.Filter)
	if !ok || f.options.Brief {
		return // of iptables, ours comes first
	}
	obstacles, err := own.Obstacles(ctx)
	if err != nil || len(obstacles) == 0 {
		return // the filter works as well without the warning
	}
	f.h.log.Warn("somebody else's rules drop what is forwarded and not accepted there, packets to and from containers too; "+
		`accept those there, or choose the firewall back end "iptables" if they are of iptables`,
		"rules", strings.Join(obstacles, ", "))
}

func (f *firewall) open(backend string) (filter, error) {
	s, err := f.h.space("")
	if err != nil {
		return nil, err
	}
	defer s.release()
	switch backend {
	case NFTables:
		return nft.Open(nft.Options{
			Table: f.table(), Namespace: s.namespace.FD(),
			AcceptMark: f.options.AcceptMark, AcceptMask: f.options.AcceptMask, LoopbackProxied: f.options.LoopbackProxied,
			Brief: f.options.Brief,
		})
	case IPTables, IPTablesNFT, IPTablesLegacy:
		return iptables.Open(f.iptables(backend))
	default:
		return none{}, nil
	}
}

func (f *firewall) iptables(backend string) iptables.Options {
	variant := map[string]string{IPTablesNFT: iptables.VariantNFT, IPTablesLegacy: iptables.VariantLegacy}[backend]
	return iptables.Options{
		Instance: f.instance, Variant: variant, Run: f.inside,
		AcceptMark: f.options.AcceptMark, AcceptMask: f.options.AcceptMask, LoopbackProxied: f.options.LoopbackProxied,
	}
}

func (f *firewall) table() string { return "libnetwork-" + f.instance }

// inside runs fn on a thread in the host's namespace, which processes that it starts are
// in too.
func (f *firewall) inside(fn func() error) error {
	s, err := f.h.space("")
	if err != nil {
		return err
	}
	defer s.release()
	return s.namespace.Do(fn)
}

func (f *firewall) apply(ctx context.Context, changes netstate.Changes) error {
	filter, err := f.use(ctx)
	if err != nil {
		return err
	}
	zone, err := f.zoneFor(ctx, filter, changes)
	if err != nil {
		return err
	}
	if err := filter.Apply(ctx, changes); err != nil {
		return err
	}
	f.connections.follow(changes)
	return zone.follow(ctx, changes)
}

// zoneFor returns the zone that has to follow the changes. In a process that ends with one
// operation it is opened, and the filter read, when a network comes or goes: that concerns
// the zone, and may make the filter's table or end it.
func (f *firewall) zoneFor(ctx context.Context, filter filter, changes netstate.Changes) (*zone, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	concerned := slices.ContainsFunc(changes, func(c netstate.Change) bool {
		i, ok := c.Object.(netstate.Intent)
		return ok && i.Kind == netstate.Inbound
	})
	if !f.options.Brief || f.zone != nil || !concerned {
		return f.zone, nil
	}
	if _, err := filter.Observe(ctx); err != nil {
		return nil, err
	}
	var err error
	f.zone, err = f.openZone(ctx, filter)
	return f.zone, err
}

func (f *firewall) observe(ctx context.Context) ([]netstate.Part, error) {
	filter, err := f.use(ctx)
	if errors.Is(err, cnm.Unsupported) {
		return nil, nil // a host without filter holds no intents
	}
	if err != nil {
		return nil, err
	}
	return filter.Observe(ctx)
}

// Backend implements Firewall.
func (f *firewall) Backend(ctx context.Context) (string, error) {
	if _, err := f.use(ctx); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.backend, nil
}

// Forget implements Firewall.
func (f *firewall) Forget(addresses ...netip.Addr) { f.connections.release(addresses) }

// Clean implements Firewall.
func (f *firewall) Clean(ctx context.Context) error {
	used, err := f.Backend(ctx)
	if err != nil {
		return cnm.Wrap("clean firewall", err)
	}
	var errs []error
	for _, backend := range []string{NFTables, IPTablesNFT, IPTablesLegacy} {
		if backend != used {
			errs = append(errs, f.cleanOf(ctx, backend))
		}
	}
	return cnm.Wrap("clean firewall", errors.Join(errs...))
}

// cleanOf removes what is ours from a back end. No process is started if there is nothing.
func (f *firewall) cleanOf(ctx context.Context, backend string) error {
	if backend != NFTables {
		var present bool
		err := f.inside(func() (err error) {
			present, err = iptables.Present(f.iptables(backend))
			return err
		})
		if err != nil || !present {
			return err
		}
	}
	other, err := f.open(backend)
	if backend == NFTables && errors.Is(err, cnm.Unsupported) {
		return nil // a kernel without it holds nothing
	}
	if err != nil {
		return err
	}
	return errors.Join(other.Delete(ctx), other.Close())
}

// Watch implements Firewall.
func (f *firewall) Watch(ctx context.Context, notify func()) error {
	filter, err := f.use(ctx)
	if err != nil {
		return cnm.Wrap("watch firewall", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(f.h.ctx, cancel)
	f.h.watchers.Add(1)
	done := func() { stop(); cancel(); f.h.watchers.Done() }
	if err = f.inside(func() error { return filter.Watch(ctx, notify, done) }); err != nil {
		done()
		return cnm.Wrap("watch firewall", err)
	}
	f.zone.watch(ctx, &f.h.watchers, notify)
	return nil
}

func (f *firewall) close() {
	f.connections.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.filter != nil {
		// Closing a socket that nothing waits on says nothing.
		_ = f.filter.Close()
	}
	f.zone.close()
}

// none is the back end of a host that filters nothing.
type none struct{}

func (none) Apply(_ context.Context, changes netstate.Changes) error {
	for _, c := range changes {
		if c.Verb == netstate.Add {
			return cnm.E("", cnm.Unsupported, errors.New("the firewall is switched off; choose the back end nftables or iptables"))
		}
	}
	return nil
}

func (none) Observe(context.Context) ([]netstate.Part, error) { return nil, nil }
func (none) Delete(context.Context) error                     { return nil }
func (none) Close() error                                     { return nil }

func (none) Watch(_ context.Context, _, done func()) error {
	done()
	return nil
}
