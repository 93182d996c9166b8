package libnetwork_test

import (
	"context"
	"slices"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/types"
)

// TestGarbageHoldsAPort: a process was killed after it had committed that another endpoint
// publishes a port, and that the one before is deleted. What that one left has the port
// still when the next process comes.
func TestGarbageHoldsAPort(t *testing.T) {
	for _, backend := range []string{config.FirewallNFTables, config.FirewallIPTablesNFT} {
		t.Run(backend, func(t *testing.T) {
			kerneltest.RequireRoot(t)
			s := newScratch(t)
			c := s.open(t, config.OptionFirewallBackend(backend))
			n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
			sb := must[libnetwork.Sandbox](t)(c.NewSandbox("one", libnetwork.OptionPortMapping([]types.PortBinding{{Proto: types.TCP, Port: 80, HostPort: 8080}})))
			ep := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one"))
			ok(t, ep.Join(sb))
			c.Stop()
			s.exchange(t, c.ID()[:12], backend, "endpoint/"+ep.ID())
			c = s.open(t, config.OptionFirewallBackend(backend))
			s.wantRecordsOnly(t, c)
			for _, sb := range c.Sandboxes() {
				ok(t, sb.Delete())
			}
			ok(t, must[libnetwork.Network](t)(c.NetworkByName("web")).Delete())
			s.wantEmpty(t)
		})
	}
}

// exchange makes what an owner publishes be published by one that has no record, with
// another target.
func (s scratch) exchange(t *testing.T, instance, backend, owner string) {
	t.Helper()
	host := must[kernel.Host](t)(kernel.Open(kernel.Options{HostNamespace: s.host, Instance: instance, Firewall: kernel.FirewallOptions{Backend: backend}}))
	defer host.Close() //nolint:errcheck // nothing depends on it
	ctx := context.Background()
	exchanged := 0
	for _, part := range must[[]netstate.Part](t)(host.Observe(ctx, "")) {
		if part.Owner != owner {
			continue
		}
		left, garbage := part, netstate.Part{Owner: "endpoint/garbage"}
		left.Intents = nil
		for _, intent := range slices.Clone(part.Intents) {
			if intent.Kind == netstate.Publish {
				intent.Target = intent.Target.Next()
				garbage.Intents = append(garbage.Intents, intent)
				exchanged++
				continue
			}
			left.Intents = append(left.Intents, intent)
		}
		ok(t, host.Apply(ctx, netstate.Diff([]netstate.Part{part}, []netstate.Part{left})))
		ok(t, host.Apply(ctx, netstate.Diff(nil, []netstate.Part{garbage})))
	}
	if exchanged == 0 {
		t.Fatalf("%s publishes nothing", owner)
	}
}
