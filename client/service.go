package client

import (
	"context"

	"github.com/docker/libnetwork/api"
)

// Services lists endpoints by the name that they had in 2017.
func (c *Client) Services(ctx context.Context, filter EndpointFilter) ([]api.Endpoint, error) {
	return ask[[]api.Endpoint](ctx, c, get("services").where(
		"network", filter.Network, "name", filter.Name, "partial-id", filter.PartialID))
}

// Service returns a service.
func (c *Client) Service(ctx context.Context, service string) (api.Endpoint, error) {
	return ask[api.Endpoint](ctx, c, get("services", service))
}

// CreateService makes a service and returns its id.
func (c *Client) CreateService(ctx context.Context, service api.ServiceCreate) (id string, err error) {
	return ask[string](ctx, c, post(service, "services"))
}

// DeleteService deletes a service. With Force it leaves its sandbox first.
func (c *Client) DeleteService(ctx context.Context, service string, options api.ServiceDelete) error {
	r := remove("services", service)
	r.body = options
	return c.tell(ctx, r)
}

// ServiceBackends returns the sandbox that a service is in, or none.
func (c *Client) ServiceBackends(ctx context.Context, service string) ([]api.Sandbox, error) {
	return ask[[]api.Sandbox](ctx, c, get("services", service, "backend"))
}

// AttachService puts a service into a sandbox and returns the sandbox's key.
func (c *Client) AttachService(ctx context.Context, service string, join api.EndpointJoin) (key string, err error) {
	return ask[string](ctx, c, post(join, "services", service, "backend"))
}

// DetachService takes a service out of a sandbox.
func (c *Client) DetachService(ctx context.Context, service, sandbox string) error {
	return c.tell(ctx, remove("services", service, "backend", sandbox))
}
