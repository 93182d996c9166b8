package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/protocol"
)

// askTime is how long an answer may take: the plugin itself gives up after two minutes.
const askTime = 3 * time.Minute

// maxReply bounds the listing of a plugin with a hundred thousand addresses.
const maxReply = 64 << 20 // bytes

// Ask calls a method of the plugin at a socket, such as List, and reads the answer.
// A socket at which nobody answers is Unavailable.
func Ask(ctx context.Context, socket, method string, request, reply any) error {
	op := fmt.Sprintf("ask plugin at unix://%s: %s", socket, method)
	text, err := json.Marshal(request)
	if err != nil {
		return cnm.E(op, cnm.Invalid, err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/"+method, bytes.NewReader(text))
	if err != nil {
		return cnm.E(op, cnm.Invalid, err)
	}
	answer, err := (&http.Client{Transport: transport, Timeout: askTime}).Do(req)
	if err != nil {
		return cnm.E(op, cnm.Unavailable, fmt.Errorf("%w; is the plugin running?", err))
	}
	defer answer.Body.Close() //nolint:errcheck // it is read
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxReply))
	if err != nil {
		return cnm.E(op, cnm.Unavailable, err)
	}
	if answer.StatusCode != http.StatusOK {
		var failure protocol.Failure
		if json.Unmarshal(body, &failure) != nil || failure.Err == "" {
			failure.Err = answer.Status
		}
		return cnm.E(op, cnm.Internal, errors.New(failure.Err))
	}
	if err := json.Unmarshal(body, reply); err != nil {
		return cnm.E(op, cnm.Internal, fmt.Errorf("the answer: %w", err))
	}
	return nil
}
