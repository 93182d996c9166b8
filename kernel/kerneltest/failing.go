package kerneltest

import (
	"context"
	"fmt"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

// FailingHost is a Host that counts steps, and fails one of them when told to. A
// step is each single change of an Apply, and each creation, binding and deletion of
// a namespace.
type FailingHost struct {
	kernel.Host

	mu     sync.Mutex // guards what follows
	steps  int
	failAt int
}

// Failing returns a host that works on another one.
func Failing(host kernel.Host) *FailingHost { return &FailingHost{Host: host} }

// FailAt makes the n-th step from now fail before it does anything, once. Zero makes
// none fail.
func (f *FailingHost) FailAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps, f.failAt = 0, n
}

// Steps returns the number of steps since FailAt.
func (f *FailingHost) Steps() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps
}

func (f *FailingHost) step() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.steps++; f.steps == f.failAt {
		return cnm.E("", cnm.Internal, fmt.Errorf("step %d was told to fail", f.steps))
	}
	return nil
}

// Apply implements kernel.Host: one change after the other.
func (f *FailingHost) Apply(ctx context.Context, changes netstate.Changes) error {
	for _, change := range changes {
		if err := f.step(); err != nil {
			return err
		}
		if err := f.Host.Apply(ctx, netstate.Changes{change}); err != nil {
			return err
		}
	}
	return nil
}

// Namespaces implements kernel.Host.
func (f *FailingHost) Namespaces() kernel.Namespaces {
	return failingNamespaces{f.Host.Namespaces(), f}
}

type failingNamespaces struct {
	kernel.Namespaces
	f *FailingHost
}

func (n failingNamespaces) Create(ctx context.Context, path string) error {
	if err := n.f.step(); err != nil {
		return err
	}
	return n.Namespaces.Create(ctx, path)
}

func (n failingNamespaces) Bind(ctx context.Context, path, source string) error {
	if err := n.f.step(); err != nil {
		return err
	}
	return n.Namespaces.Bind(ctx, path, source)
}

func (n failingNamespaces) Delete(ctx context.Context, path string) error {
	if err := n.f.step(); err != nil {
		return err
	}
	return n.Namespaces.Delete(ctx, path)
}
