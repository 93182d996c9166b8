// Package null is the driver of the network without a network: its endpoints give a
// sandbox nothing but the loopback that it has anyway.
package null

import (
	"context"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// Driver implements cnm.Driver.
type Driver struct{}

// New returns the driver.
func New() *Driver { return &Driver{} }

// CreateNetwork implements cnm.Driver.
func (*Driver) CreateNetwork(context.Context, *cnm.Network) ([]netstate.Part, error) { return nil, nil }

// DeleteNetwork implements cnm.Driver.
func (*Driver) DeleteNetwork(context.Context, *cnm.Network) error { return nil }

// CreateEndpoint implements cnm.Driver.
func (*Driver) CreateEndpoint(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }

// DeleteEndpoint implements cnm.Driver.
func (*Driver) DeleteEndpoint(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }

// Join implements cnm.Driver.
func (*Driver) Join(_ context.Context, _ *cnm.Network, ep *cnm.Endpoint, _ *cnm.Sandbox) ([]netstate.Part, error) {
	ep.Interface = ""
	return nil, nil
}

// Leave implements cnm.Driver.
func (*Driver) Leave(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }
