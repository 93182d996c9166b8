package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// failure is an error of the way to the daemon: an *api.Error to the caller, which keeps
// its cause.
type failure struct {
	report *api.Error
	cause  error
}

// Error returns the message of the report.
func (f *failure) Error() string { return f.report.Message }

// Unwrap returns the report and the cause.
func (f *failure) Unwrap() []error { return []error{f.report, f.cause} }

// reported reads an error that the daemon answers: JSON, or the text of servers that know
// no other form, with the kind that the status stands for.
func reported(answer *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(answer.Body, errorLimit))
	out := &api.Error{Kind: api.KindOfStatus(answer.StatusCode)}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind == jsonType {
		var sent api.Error
		if json.Unmarshal(text, &sent) == nil && sent.Message != "" {
			if sent.Kind == "" {
				sent.Kind = out.Kind
			}
			return &sent
		}
	}
	if out.Message = strings.TrimSpace(string(text)); out.Message == "" {
		out.Message = fmt.Sprintf("the daemon answers %s, and no more", answer.Status)
		if err != nil {
			out.Message = fmt.Sprintf("the daemon answers %s, and the rest of it cannot be read: %v", answer.Status, err)
		}
	}
	return out
}

// unreachable says why a request got no answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if gone := ctx.Err(); gone != nil {
		message := fmt.Sprintf("the daemon at %s did not answer in time", c.address)
		if errors.Is(gone, context.Canceled) {
			message = fmt.Sprintf("the request to the daemon at %s was given up", c.address)
		}
		return &failure{&api.Error{Kind: cnm.Timeout, Message: message}, gone}
	}
	cause := err
	var outer *url.Error
	if errors.As(err, &outer) {
		cause = outer.Err
	}
	out := &api.Error{Kind: cnm.Unavailable, Message: fmt.Sprintf("cannot reach the daemon at %s: %s", c.address, c.reason(cause))}
	switch {
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		out.Detail = c.permission()
	case strings.Contains(cause.Error(), "HTTP response to HTTPS client"):
		out.Detail = "it does not speak TLS there; leave out the TLS options"
	case strings.Contains(cause.Error(), "certificate") || strings.Contains(cause.Error(), "tls:"):
		out.Detail = "give the files that belong together: --tlscacert, --tlscert and --tlskey"
	default:
		out.Detail = "is it running? start it with: dnet daemon"
	}
	return &failure{out, err}
}

// reason leaves out of a cause what the address says already.
func (c *Client) reason(cause error) string {
	var number syscall.Errno
	if errors.As(cause, &number) {
		return number.Error()
	}
	return cause.Error()
}

// permission says how to be allowed to use the socket.
func (c *Client) permission() string {
	group := socketGroup(c.socket)
	if group == "" {
		return "run it as root: sudo dnet ..."
	}
	return fmt.Sprintf("run it as root, or as a member of the group %s: sudo usermod --append --groups %s $USER, then log in again", group, group)
}

// garbled says that an answer is not what it should be.
func (c *Client) garbled(ctx context.Context, r request, err error) error {
	if ctx.Err() != nil {
		return c.unreachable(ctx, err)
	}
	return &failure{&api.Error{
		Kind:    cnm.Internal,
		Message: fmt.Sprintf("%s /%s: cannot read the answer of %s: %v", r.method, strings.Join(r.path, "/"), c.address, err),
		Detail:  "is it a dnet daemon, and did it live to the end of the answer?",
	}, err}
}
