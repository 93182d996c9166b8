package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// What is read of an error, and of an answer that is thrown away.
const (
	errorLimit = 64 << 10
	jsonType   = "application/json"
)

// request is what is asked of the daemon.
type request struct {
	method string
	// path has elements that are escaped one by one.
	path  []string
	query url.Values
	// body is sent as JSON unless it is nil.
	body any
	// accept is application/json if it is empty.
	accept string
	header map[string]string
}

// send sends a request. An answer of status 400 and above is an error, except for the
// status also. The caller closes the body.
func (c *Client) send(ctx context.Context, r request, also ...int) (*http.Response, error) {
	address := c.base
	escaped := make([]string, len(r.path))
	for i, element := range r.path {
		if element == "" {
			return nil, &api.Error{Kind: cnm.Invalid, Message: fmt.Sprintf("%s %s: an empty id or name", r.method, strings.Join(r.path, "/"))}
		}
		escaped[i] = escape(element)
	}
	address.Path = "/" + strings.Join(r.path, "/")
	address.RawPath = "/" + strings.Join(escaped, "/")
	address.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, &api.Error{Kind: cnm.Invalid, Message: fmt.Sprintf("%s %s: %v", r.method, address.Path, err)}
		}
		body = bytes.NewReader(text)
	}
	asked, err := http.NewRequestWithContext(ctx, r.method, address.String(), body)
	if err != nil {
		return nil, &api.Error{Kind: cnm.Invalid, Message: fmt.Sprintf("%s %s: %v", r.method, address.Path, err)}
	}
	asked.Header.Set("Accept", jsonType)
	if r.accept != "" {
		// Errors are wanted as JSON whatever the answer is.
		asked.Header.Set("Accept", r.accept+", "+jsonType)
	}
	if r.body != nil {
		asked.Header.Set("Content-Type", jsonType)
	}
	for name, value := range r.header {
		asked.Header.Set(name, value)
	}
	answer, err := c.http.Do(asked)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if answer.StatusCode < http.StatusBadRequest {
		return answer, nil
	}
	for _, status := range also {
		if status == answer.StatusCode {
			return answer, nil
		}
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	return nil, reported(answer)
}

// escape also keeps "." and ".." from being taken for steps in the path.
func escape(element string) string {
	if strings.Trim(element, ".") == "" {
		return strings.ReplaceAll(element, ".", "%2E")
	}
	return url.PathEscape(element)
}

// ask sends a request and decodes the answer.
func ask[T any](ctx context.Context, c *Client, r request, also ...int) (out T, err error) {
	answer, err := c.send(ctx, r, also...)
	if err != nil {
		return out, err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil {
		return out, c.garbled(ctx, r, err)
	}
	return out, nil
}

// tell sends a request whose answer says nothing.
func (c *Client) tell(ctx context.Context, r request) error {
	answer, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	// A connection is used again only if its last answer was read.
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, errorLimit))
	return nil
}

func get(path ...string) request { return request{method: http.MethodGet, path: path} }

func post(body any, path ...string) request {
	return request{method: http.MethodPost, path: path, body: body}
}

func remove(path ...string) request { return request{method: http.MethodDelete, path: path} }

// where adds parameters; empty ones are left out.
func (r request) where(pairs ...string) request {
	if r.query == nil {
		r.query = url.Values{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			r.query.Add(pairs[i], pairs[i+1])
		}
	}
	return r
}

// labelled adds a parameter for each label.
func (r request) labelled(labels []string) request {
	for _, label := range labels {
		r = r.where("label", label)
	}
	return r
}
