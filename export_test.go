package libnetwork

import (
	"context"
	"fmt"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/ipams/builtin"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

// OpenWith opens a controller on the given machine and store, for tests that have
// their hands on both.
func OpenWith(host kernel.Host, store cnm.Store, options ...config.Option) (NetworkController, error) {
	return assemble(context.Background(), config.ParseConfigOptions(options...), "feedfacefeedface", store, host)
}

// Reserved describes what the controller holds in memory only: names, and addresses
// in use.
func Reserved(c NetworkController) string {
	in := c.(*controller)
	in.mu.RLock()
	defer in.mu.RUnlock()
	text := fmt.Sprintln("names", in.names, "containers", in.containers, "busy", in.busy)
	for _, n := range in.allNetworksLocked() {
		text += fmt.Sprintln(n.Name(), "closing", n.closing, "endpoints", n.endpointNames)
		for _, subnet := range n.record.Load().Subnets4 {
			status, err := in.ipams["default"].(*builtin.IPAM).Status(subnet.Pool.ID)
			text += fmt.Sprintln(status, err)
		}
	}
	return text
}

// Unfiltered returns what would have to change in the packet filter for it to be what the
// records say.
func Unfiltered(c NetworkController) (string, error) {
	in := c.(*controller)
	wished, release, _ := in.recordedIntents()
	defer release()
	observed, err := in.host.Observe(context.Background(), "")
	if err != nil {
		return "", err
	}
	var held []netstate.Part
	for _, p := range observed {
		if len(p.Intents) > 0 {
			held = append(held, netstate.Part{Owner: p.Owner, Intents: p.Intents})
		}
	}
	return netstate.Diff(held, wished).String(), nil
}

// PartsOf returns what an endpoint has in the kernel while it is in a sandbox.
func PartsOf(ep Endpoint) []netstate.Part { return ep.(*endpoint).record.Load().Parts }

// Told returns the keys of what plugins know, or may know.
func Told(public NetworkController) []string {
	var keys []string
	_ = public.(*controller).store.View(context.Background(), func(tx cnm.Tx) error {
		entries, err := tx.List(keyTold)
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
		return err
	})
	return keys
}

// PayDebts tries once to tell plugins what they have still to hear.
func PayDebts(public NetworkController) { public.(*controller).payOnce() }

// ReconcileShares compares once this host's endpoints with what other hosts know of them.
func ReconcileShares(public NetworkController) error {
	return public.(*controller).reconcileShares(context.Background())
}

// Shares returns how many endpoints of all hosts the store has told of.
func Shares(public NetworkController) int {
	there, _ := public.(*controller).global.snapshot()
	return len(there)
}

// DropRecords takes records out of the store, behind the controller's back.
func DropRecords(public NetworkController, endpoint, network string) error {
	return public.(*controller).commit(context.Background(), &batch{deletes: []string{keyEndpoint + endpoint, keyNetwork + network}})
}
