// Package setkey is the protocol of 2017 by which a hook of a container runtime gives the
// controller the namespace of a container: one request and one answer by a Unix socket.
// It is apart from the controller so that a hook, which is started for each container,
// needs to hold little more than this.
//
// The request is {"ContainerID": "...", "Key": "/proc/PID/ns/net"}; further fields, such as
// OTelTrace of later years, are not looked at. The answer is "success" or what was wrong,
// and the end of the stream.
package setkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// DefaultExecRoot is config.DefaultExecRoot, without all that comes with that package.
const DefaultExecRoot = "/run/libnetwork"

// Success is the answer to a request that was carried out. Controllers of early 2017 say
// nothing instead.
const Success = "success"

// What is read at most, in bytes: of a request, which holds a path (PATH_MAX is 4096), an
// id, and what is not looked at; and of an answer.
const (
	largestRequest = 16 << 10
	largestAnswer  = 64 << 10
)

// socketID is how much of a controller's id is in the name of its socket.
const socketID = 12

// Request names a container and its namespace.
type Request struct {
	ContainerID string
	// Key is the absolute path of a network namespace, as the controller sees it.
	Key string
}

// Folder returns the folder of the sockets.
func Folder(execRoot string) string { return filepath.Join(execRoot, "libnetwork") }

// Socket returns the path of a controller's socket; the id may be whole, or its first 12
// digits.
func Socket(execRoot, controllerID string) string {
	return filepath.Join(Folder(execRoot), controllerID[:min(socketID, len(controllerID))]+".sock")
}

// Check refuses what is no request: Invalid.
func (r Request) Check() error {
	switch {
	case r.ContainerID == "":
		return invalid("the container's id is empty")
	case r.Key == "":
		return invalid("the key is empty: want the path of a network namespace, as /proc/PID/ns/net")
	case !filepath.IsAbs(r.Key) || strings.ContainsRune(r.Key, 0):
		return invalid("key %q: want an absolute path, as /proc/PID/ns/net", r.Key)
	}
	// The path is followed by another process than the one that wrote it.
	for _, self := range []string{"/proc/self", "/proc/thread-self"} {
		if clean := filepath.Clean(r.Key); clean == self || strings.HasPrefix(clean, self+"/") {
			return invalid("key %q: stands for the controller there; name the process by its number", r.Key)
		}
	}
	return nil
}

func invalid(format string, arguments ...any) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf(format, arguments...))
}

// Read reads a request, which may come in pieces, and checks it. What is no request is
// Invalid, and one that does not come to its end in time is a Timeout.
func Read(from io.Reader) (Request, error) {
	var r Request
	limited := &io.LimitedReader{R: from, N: largestRequest}
	err := json.NewDecoder(limited).Decode(&r)
	switch {
	case err == nil:
		return r, r.Check()
	case limited.N <= 0:
		return Request{}, invalid("request: is larger than %d bytes", largestRequest)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Request{}, cnm.E("request", cnm.Timeout, errors.New("did not come to its end in time"))
	default:
		return Request{}, cnm.E("request", cnm.Invalid, err)
	}
}

// Answer writes the answer: what err says, or success if it is nil.
func Answer(to io.Writer, err error) error {
	text := Success
	if err != nil {
		text = err.Error()
	}
	_, err = io.WriteString(to, text)
	return err
}

// Send sends a request to the controller behind the socket and waits for the answer. A
// controller that is not there is Unavailable, and what it refuses is Forbidden, with its
// words: the protocol tells no more.
func Send(ctx context.Context, socket string, r Request) error {
	if err := r.Check(); err != nil {
		return err
	}
	answer, err := exchange(ctx, socket, r)
	switch {
	case ctx.Err() != nil:
		return cnm.E("", cnm.Timeout, fmt.Errorf("the controller behind %q: %w", socket, ctx.Err()))
	case err != nil:
		return err
	case answer == Success:
		return nil
	case answer == "":
		return survived(ctx, socket)
	default:
		return cnm.E("", cnm.Forbidden, errors.New(answer))
	}
}

// survived tells the success of a controller of early 2017, which says nothing, from the
// death of one that was at work: the dead do not listen.
func survived(ctx context.Context, socket string) error {
	conn, err := dial(ctx, socket)
	if err != nil {
		return cnm.E("", cnm.Unavailable, fmt.Errorf("the controller behind %q ended before it had answered", socket))
	}
	return conn.Close()
}

func exchange(ctx context.Context, socket string, r Request) (string, error) {
	conn, err := dial(ctx, socket)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // all has been written or is of no use
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// The answer is worth more than an error of writing: it may say why nobody reads.
	writeErr := json.NewEncoder(conn).Encode(r)
	answer, err := io.ReadAll(io.LimitReader(conn, largestAnswer))
	if len(answer) > 0 {
		return string(answer), nil
	}
	if err = errors.Join(writeErr, err); err != nil {
		return "", cnm.E("", cnm.Unavailable, fmt.Errorf("ask the controller behind %q: %w", socket, err))
	}
	return "", nil
}

func dial(ctx context.Context, socket string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, os.ErrPermission):
		return nil, cnm.E("", cnm.Forbidden, fmt.Errorf("the controller's socket %q: may be used by root only", socket))
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, cnm.E("", cnm.Unavailable, fmt.Errorf("no controller listens at %q: start it, or name its exec root", socket))
	default:
		return nil, cnm.E("", cnm.Unavailable, err)
	}
}
