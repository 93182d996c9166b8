package client

import (
	"context"

	"github.com/docker/libnetwork/api"
)

// SandboxFilter says which sandboxes to list; fields that are empty are not looked at.
type SandboxFilter struct {
	// ContainerID is whole, PartialContainerID and PartialID are beginnings of ids.
	ContainerID, PartialContainerID, PartialID string
	// Labels have the form key or key=value; a sandbox must have all of them.
	Labels []string
}

// Sandboxes lists sandboxes.
func (c *Client) Sandboxes(ctx context.Context, filter SandboxFilter) ([]api.Sandbox, error) {
	return ask[[]api.Sandbox](ctx, c, get("sandboxes").labelled(filter.Labels).where("container-id", filter.ContainerID,
		"partial-container-id", filter.PartialContainerID, "partial-id", filter.PartialID))
}

// Sandbox returns a sandbox.
func (c *Client) Sandbox(ctx context.Context, sandbox string) (api.Sandbox, error) {
	return ask[api.Sandbox](ctx, c, get("sandboxes", sandbox))
}

// CreateSandbox makes a sandbox for a container and returns its id. With the lifetime
// api.LifetimeProcess it lasts as long as this process, or the one with number OwnerPID.
func (c *Client) CreateSandbox(ctx context.Context, sandbox api.SandboxCreate) (id string, err error) {
	return ask[string](ctx, c, post(sandbox, "sandboxes"))
}

// DeleteSandbox deletes a sandbox and the endpoints in it.
func (c *Client) DeleteSandbox(ctx context.Context, sandbox string) error {
	return c.tell(ctx, remove("sandboxes", sandbox))
}

// SetSandboxKey gives an external sandbox its namespace, by a path as in
// /proc/PID/ns/net, and returns the sandbox's own key.
func (c *Client) SetSandboxKey(ctx context.Context, sandbox, key string) (own string, err error) {
	return ask[string](ctx, c, post(api.SandboxKey{Key: key}, "sandboxes", sandbox, "key"))
}

// SandboxStatistics returns the counters of a sandbox's interfaces.
func (c *Client) SandboxStatistics(ctx context.Context, sandbox string) (api.SandboxStatistics, error) {
	return ask[api.SandboxStatistics](ctx, c, get("sandboxes", sandbox, "statistics"))
}

// Statistics returns the counters of the interfaces of all sandboxes.
func (c *Client) Statistics(ctx context.Context) ([]api.SandboxStatistics, error) {
	return ask[[]api.SandboxStatistics](ctx, c, get("statistics"))
}

// Resolve tells who answers what when a process in the sandbox asks for a name.
func (c *Client) Resolve(ctx context.Context, sandbox, name string) (api.Resolution, error) {
	return ask[api.Resolution](ctx, c, get("sandboxes", sandbox, "resolve").where("name", name))
}
