package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/protocol"
)

// method answers the body of one request.
type method func(ctx context.Context, body []byte) (any, error)

// answer makes a method of a function with types.
func answer[Request, Reply any](do func(context.Context, *Request) (Reply, error)) method {
	return func(ctx context.Context, body []byte) (any, error) {
		var in Request
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return do(ctx, &in)
	}
}

// refusal is an error with a status of its own.
type refusal struct {
	error
	status int
}

// Unwrap returns the cause.
func (r refusal) Unwrap() error { return r.error }

func invalid(format string, values ...any) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf(format, values...))
}

// find returns the method of a request. Engines take the status 404 for a method that the
// plugin does not have, so that nothing else may be answered with it.
func (s *Server) find(req *http.Request) (method, error) {
	name := strings.TrimPrefix(req.URL.Path, "/")
	m, ok := s.methods[name]
	if !ok {
		return nil, refusal{cnm.E(fmt.Sprintf("method %q", name), cnm.NotFound, errors.New("the plugin does not have it")), http.StatusNotFound}
	}
	if req.Method != http.MethodPost {
		return nil, refusal{invalid("method %q: is asked with %s; want POST", name, req.Method), http.StatusMethodNotAllowed}
	}
	return m, nil
}

func readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refusal{invalid("body: is larger than %d bytes", maxBody), http.StatusRequestEntityTooLarge}
	case err != nil:
		return nil, refusal{invalid("body: %w", err), http.StatusBadRequest}
	}
	return text, nil
}

// decode reads one JSON object. A method without arguments may have no body at all.
// Fields that are not known are those of a newer engine, and ignored; options are not.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // what is in options is passed on as it was written
	err := decoder.Decode(into)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more behind the JSON object")
		}
	}
	if err != nil {
		return refusal{invalid("body: %w", err), http.StatusBadRequest}
	}
	return nil
}

// redecode reads what was decoded as any value once more, into a type.
func redecode(value, into any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return invalid("%w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return invalid("%w", err)
	}
	return nil
}

// digest tells requests apart. Maps are encoded in the order of their keys.
func digest(request any) (string, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return "", cnm.E("", cnm.Internal, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// fail answers with an error. Both keys are there, as engines look for another one with
// each type of method.
func (s *Server) fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var r refusal
	if errors.As(err, &r) {
		status = r.status
	}
	s.write(w, status, protocol.Failure{Err: err.Error(), Error: err.Error()})
}

func (s *Server) write(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		s.Log.Error("encode an answer to the engine", "plugin", s.Name, "error", err)
		http.Error(w, `{"Err":"encode the answer: see the log of the plugin"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", protocol.ContentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // who has gone needs no answer
}
