package kerneltest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

func (f *Fake) applyIntent(c netstate.Change, intent netstate.Intent) error {
	if c.Namespace != "" {
		return cnm.E("", cnm.Invalid, fmt.Errorf("only the host's namespace has a packet filter of ours"))
	}
	own := slices.DeleteFunc(f.intents[c.Owner], func(i netstate.Intent) bool { return i == intent })
	if c.Verb == netstate.Add {
		own = append(own, intent)
	}
	if f.intents[c.Owner] = own; len(own) == 0 {
		delete(f.intents, c.Owner)
	}
	return nil
}

func (f *Fake) filtered() []netstate.Part {
	var out []netstate.Part
	for _, owner := range slices.Sorted(maps.Keys(f.intents)) {
		intents := slices.SortedFunc(slices.Values(f.intents[owner]), func(a, b netstate.Intent) int {
			if a.String() < b.String() {
				return -1
			}
			return 1
		})
		out = append(out, netstate.Part{Owner: owner, Intents: intents})
	}
	return out
}

// FlushFirewall drops all intents, as somebody else would.
func (f *Fake) FlushFirewall() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.intents)
	for _, notify := range f.disturbed {
		notify()
	}
}

// Firewall implements kernel.Host.
func (f *Fake) Firewall() kernel.Firewall { return fakeFirewall{f} }

type fakeFirewall struct{ f *Fake }

func (fakeFirewall) Backend(context.Context) (string, error) { return "fake", nil }

func (fakeFirewall) Forget(...netip.Addr) {}

func (fakeFirewall) Clean(context.Context) error { return nil }

func (w fakeFirewall) Watch(ctx context.Context, notify func()) error {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	w.f.disturbed = append(w.f.disturbed, func() {
		if ctx.Err() == nil {
			notify()
		}
	})
	return nil
}

// Ports implements kernel.Host.
func (f *Fake) Ports() kernel.Ports { return fakePorts{f} }

type fakePorts struct{ f *Fake }

func (fakePorts) Do(fn func() error) error { return fn() }

// Bind gives a pipe, whose closing nobody notices: Fake forgets no port.
func (p fakePorts) Bind(_ context.Context, protocol netstate.Protocol, address netip.AddrPort, _ bool) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return read, write.Close()
}

func (fakePorts) Admit(netstate.Protocol, *os.File) error { return nil }

func (fakePorts) InUse(context.Context, netstate.Protocol, netstate.PortRange) ([]netstate.PortUse, error) {
	return nil, nil
}

func (fakePorts) Ephemeral(context.Context) (first, last uint16, reserved []netstate.PortRange, err error) {
	return 32768, 60999, nil, nil
}

func (fakePorts) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, cnm.E("dial", cnm.Unsupported, fmt.Errorf("a fake host has no traffic"))
}
