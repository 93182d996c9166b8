// Package host is the driver of the host's own network: a sandbox that is the host's
// namespace uses the interfaces that are there.
package host

import (
	"context"
	"errors"

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

// Join implements cnm.Driver. A sandbox with a namespace of its own is Forbidden.
func (*Driver) Join(_ context.Context, _ *cnm.Network, ep *cnm.Endpoint, sandbox *cnm.Sandbox) ([]netstate.Part, error) {
	if !sandbox.Host {
		return nil, cnm.E("", cnm.Forbidden, errors.New(
			"the host's network is for sandboxes that are the host's own namespace only; make the sandbox with OptionUseDefaultSandbox"))
	}
	ep.Interface = ""
	return nil, nil
}

// Leave implements cnm.Driver.
func (*Driver) Leave(context.Context, *cnm.Network, *cnm.Endpoint) error { return nil }
