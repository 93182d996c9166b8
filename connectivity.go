package libnetwork

import (
	"context"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
)

// connector is a driver that publishes ports in its own way. It is told which endpoint
// gives a sandbox its default route.
type connector interface {
	// ProgramExternalConnectivity asks for what the sandbox publishes and exposes.
	ProgramExternalConnectivity(context.Context, *cnm.Network, *cnm.Endpoint, *cnm.Sandbox) error
	RevokeExternalConnectivity(context.Context, *cnm.Network, *cnm.Endpoint) error
}

// connector returns the endpoint's network, and its driver if that is a connector.
func (c *controller) connector(rec *cnm.Endpoint) (*cnm.Network, connector) {
	if rec == nil {
		return nil, nil
	}
	c.mu.RLock()
	n := c.networks[rec.NetworkID]
	c.mu.RUnlock()
	if n == nil {
		return nil, nil
	}
	network := *n.record.Load()
	driver, _ := c.driverOf(&network).(connector)
	return &network, driver
}

// program tells the driver of an endpoint, if it is a connector, that this one gives the
// default route now.
func (c *controller) program(ctx context.Context, u *undo.Stack, rec *cnm.Endpoint, sandbox *cnm.Sandbox) error {
	network, driver := c.connector(rec)
	if driver == nil {
		return nil
	}
	if err := driver.ProgramExternalConnectivity(ctx, network, rec, sandbox); err != nil {
		return err
	}
	u.Push("revoke external connectivity", func(ctx context.Context) error {
		return driver.RevokeExternalConnectivity(ctx, network, rec)
	})
	return nil
}

// revoke tells the driver of an endpoint, if it is a connector, that this one gives the
// default route no more. A driver that is away hears of it when the endpoint leaves.
func (c *controller) revoke(ctx context.Context, u *undo.Stack, rec *cnm.Endpoint, sandbox *cnm.Sandbox) {
	network, driver := c.connector(rec)
	if driver == nil {
		return
	}
	if err := driver.RevokeExternalConnectivity(ctx, network, rec); err != nil {
		c.log.Warn("revoke external connectivity", "endpoint", rec.Name, "driver", network.Driver, "error", err)
	}
	u.Push("program external connectivity", func(ctx context.Context) error {
		return driver.ProgramExternalConnectivity(ctx, network, rec, sandbox)
	})
}
