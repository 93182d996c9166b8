package client

import (
	"context"

	"github.com/docker/libnetwork/api"
)

// EndpointFilter says which endpoints to list; fields that are empty are not looked at.
type EndpointFilter struct {
	// Network is the id, its beginning, or the name of a network. Only Endpoints and
	// Services look at it.
	Network string
	// Name is the whole name, PartialID the beginning of the id.
	Name, PartialID string
	// Container and Labels are looked at by Endpoints only. Labels have the form key or
	// key=value; an endpoint must have all of them.
	Container string
	Labels    []string
}

// Endpoints lists the endpoints of all networks.
func (c *Client) Endpoints(ctx context.Context, filter EndpointFilter) ([]api.Endpoint, error) {
	return ask[[]api.Endpoint](ctx, c, get("endpoints").labelled(filter.Labels).where(
		"network", filter.Network, "name", filter.Name, "partial-id", filter.PartialID, "container", filter.Container))
}

// Endpoint returns an endpoint of any network.
func (c *Client) Endpoint(ctx context.Context, endpoint string) (api.Endpoint, error) {
	return ask[api.Endpoint](ctx, c, get("endpoints", endpoint))
}

// DeleteEndpoint deletes an endpoint of any network. With force it leaves its sandbox
// first; without, one that is in a sandbox is an error.
func (c *Client) DeleteEndpoint(ctx context.Context, endpoint string, force bool) error {
	r := remove("endpoints", endpoint)
	if force {
		r = r.where("force", "true")
	}
	return c.tell(ctx, r)
}

// NetworkEndpoints lists the endpoints of a network.
func (c *Client) NetworkEndpoints(ctx context.Context, network string, filter EndpointFilter) ([]api.Endpoint, error) {
	return ask[[]api.Endpoint](ctx, c, get("networks", network, "endpoints").where(
		"name", filter.Name, "partial-id", filter.PartialID))
}

// NetworkEndpoint returns an endpoint of a network.
func (c *Client) NetworkEndpoint(ctx context.Context, network, endpoint string) (api.Endpoint, error) {
	return ask[api.Endpoint](ctx, c, get("networks", network, "endpoints", endpoint))
}

// CreateEndpoint makes an endpoint in a network and returns its id.
func (c *Client) CreateEndpoint(ctx context.Context, network string, endpoint api.EndpointCreate) (id string, err error) {
	return ask[string](ctx, c, post(endpoint, "networks", network, "endpoints"))
}

// DeleteNetworkEndpoint deletes an endpoint that is in no sandbox.
func (c *Client) DeleteNetworkEndpoint(ctx context.Context, network, endpoint string) error {
	return c.tell(ctx, remove("networks", network, "endpoints", endpoint))
}

// Join puts an endpoint into a sandbox and returns the sandbox's key.
func (c *Client) Join(ctx context.Context, network, endpoint string, join api.EndpointJoin) (key string, err error) {
	return ask[string](ctx, c, post(join, "networks", network, "endpoints", endpoint, "sandboxes"))
}

// Leave takes an endpoint out of a sandbox.
func (c *Client) Leave(ctx context.Context, network, endpoint, sandbox string) error {
	return c.tell(ctx, remove("networks", network, "endpoints", endpoint, "sandboxes", sandbox))
}
