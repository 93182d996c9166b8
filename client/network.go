package client

import (
	"context"

	"github.com/docker/libnetwork/api"
)

// NetworkFilter says which networks to list; fields that are empty are not looked at.
type NetworkFilter struct {
	// Name is the whole name, PartialID the beginning of the id.
	Name, PartialID string
	Driver, Scope   string
	// Labels have the form key or key=value; a network must have all of them.
	Labels []string
}

// Networks lists networks.
func (c *Client) Networks(ctx context.Context, filter NetworkFilter) ([]api.Network, error) {
	return ask[[]api.Network](ctx, c, get("networks").labelled(filter.Labels).where(
		"name", filter.Name, "partial-id", filter.PartialID, "driver", filter.Driver, "scope", filter.Scope))
}

// Network returns a network, with the holders of its addresses.
func (c *Client) Network(ctx context.Context, network string) (api.Network, error) {
	return ask[api.Network](ctx, c, get("networks", network))
}

// CreateNetwork makes a network and returns its id.
func (c *Client) CreateNetwork(ctx context.Context, network api.NetworkCreate) (id string, err error) {
	return ask[string](ctx, c, post(network, "networks"))
}

// DeleteNetwork deletes a network that has no endpoints.
func (c *Client) DeleteNetwork(ctx context.Context, network string) error {
	return c.tell(ctx, remove("networks", network))
}

// PruneNetworks deletes the networks without endpoints, of those that have all the labels,
// which have the form key or key=value.
func (c *Client) PruneNetworks(ctx context.Context, labels ...string) (api.PruneReport, error) {
	return ask[api.PruneReport](ctx, c, post(nil, "networks", "prune").labelled(labels))
}

// Connect makes an endpoint in a network, which joins the sandbox of a container.
func (c *Client) Connect(ctx context.Context, network string, connect api.NetworkConnect) (api.Endpoint, error) {
	return ask[api.Endpoint](ctx, c, post(connect, "networks", network, "connect"))
}

// Disconnect makes the endpoint of a container in a network leave, and deletes it.
func (c *Client) Disconnect(ctx context.Context, network, container string) error {
	return c.tell(ctx, post(api.NetworkDisconnect{Container: container}, "networks", network, "disconnect"))
}
