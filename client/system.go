package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// Info tells of the daemon.
func (c *Client) Info(ctx context.Context) (api.Info, error) {
	return ask[api.Info](ctx, c, get("info"))
}

// Version returns the daemon's version.
func (c *Client) Version(ctx context.Context) (string, error) {
	out, err := ask[struct {
		Version string `json:"version"`
	}](ctx, c, get("version"))
	return out.Version, err
}

// Health tells whether the daemon is well. That it is not is no error.
func (c *Client) Health(ctx context.Context) (api.Health, error) {
	answer, err := c.send(ctx, get("health"), http.StatusServiceUnavailable)
	if err != nil {
		return api.Health{}, err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	var out api.Health
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil {
		return out, c.garbled(ctx, get("health"), err)
	}
	return out, nil
}

// Metrics writes the daemon's metrics, in the text form of Prometheus.
func (c *Client) Metrics(ctx context.Context, to io.Writer) error {
	r := get("metrics")
	r.accept = "text/plain"
	return c.copy(ctx, r, to)
}

// OpenAPI returns the description of the HTTP interface.
func (c *Client) OpenAPI(ctx context.Context) (json.RawMessage, error) {
	return ask[json.RawMessage](ctx, c, get("openapi.json"))
}

// Doctor returns what the daemon finds wrong, and right, with the machine and itself.
func (c *Client) Doctor(ctx context.Context) ([]api.Finding, error) {
	return ask[[]api.Finding](ctx, c, get("doctor"))
}

// Explain tells the way of a packet to a port, and what decides. Protocol empty is "tcp".
func (c *Client) Explain(ctx context.Context, from, to string, port uint16, protocol string) (api.Explanation, error) {
	return ask[api.Explanation](ctx, c, get("why").where(
		"from", from, "to", to, "port", strconv.Itoa(int(port)), "protocol", protocol))
}

// State returns the daemon's records and statistics, for people who look for a defect:
// its form is not promised.
func (c *Client) State(ctx context.Context) (json.RawMessage, error) {
	return ask[json.RawMessage](ctx, c, get("debug", "state"))
}

// Goroutines writes what the daemon's goroutines are doing.
func (c *Client) Goroutines(ctx context.Context, to io.Writer) error {
	r := get("debug", "goroutines")
	r.accept = "text/plain"
	return c.copy(ctx, r, to)
}

// Bundle writes the support bundle, a tar.gz.
func (c *Client) Bundle(ctx context.Context, to io.Writer) error {
	r := get("debug", "bundle")
	r.accept = "application/gzip"
	return c.copy(ctx, r, to)
}

// copy writes an answer as it comes.
func (c *Client) copy(ctx context.Context, r request, to io.Writer) error {
	answer, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	body := &reader{from: answer.Body}
	if _, err := io.Copy(to, body); err != nil {
		if body.err != nil {
			return c.garbled(ctx, r, err)
		}
		return cnm.E("write the answer", cnm.Internal, err)
	}
	return nil
}

// reader remembers its error, to tell it from one of writing.
type reader struct {
	from io.Reader
	err  error
}

// Read reads.
func (r *reader) Read(buffer []byte) (int, error) {
	n, err := r.from.Read(buffer)
	if err != nil && err != io.EOF { //nolint:errorlint // readers return io.EOF itself
		r.err = err
	}
	return n, err
}
