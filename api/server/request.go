package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

const (
	// maxBody is the size of a request's body at most, in bytes: a hundred times that of
	// the largest that makes sense.
	maxBody = 1 << 20
	// writeTime is how long a client may take for a piece of an answer.
	writeTime = 30 * time.Second
)

// request is one, decoded as far as its route says.
type request struct {
	*http.Request
	w     http.ResponseWriter
	query url.Values
	// body points to a value of the route's type, or is nil.
	body any
}

// serve decodes a request, has it handled, and answers.
func (s *Server) serve(w http.ResponseWriter, req *http.Request, r route) {
	decoded := &request{Request: req, w: w, query: req.URL.Query()}
	if err := r.checkQuery(decoded.query); err != nil {
		s.fail(w, req, err)
		return
	}
	if r.in != nil {
		decoded.body = r.in()
		if err := decodeBody(w, req, decoded.body, r.optional); err != nil {
			s.fail(w, req, err)
			return
		}
	}
	// The body has been read: from now on the client has all the time it wants.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if r.stream != nil {
		if err := r.stream(s, decoded); err != nil {
			s.fail(w, req, err)
		}
		return
	}
	out, err := r.handle(s, decoded)
	if err != nil {
		s.fail(w, req, err)
		return
	}
	s.answer(w, r.status, out)
}

// giveTime lets the client take what is about to be written: what was handled for long must
// still be answered.
func giveTime(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // some writers have none
}

// patient gives the client time for each piece.
type patient struct{ http.ResponseWriter }

// Write implements io.Writer.
func (p patient) Write(piece []byte) (int, error) {
	giveTime(p.ResponseWriter)
	return p.ResponseWriter.Write(piece)
}

// answer writes a value as JSON; nil is an answer without a body.
func (s *Server) answer(w http.ResponseWriter, status int, out any) {
	giveTime(w)
	if health, ok := out.(api.Health); ok && !health.Healthy {
		status = http.StatusServiceUnavailable
	}
	if out == nil {
		w.WriteHeader(status)
		return
	}
	text, err := json.Marshal(out)
	if err != nil {
		s.Log.Error("encode an answer", "error", err)
		http.Error(w, "the answer cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client may have gone
}

// statusError is an error whose status is not that of its kind.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

func status(code int, kind cnm.Kind, format string, args ...any) error {
	return statusError{cnm.E("", kind, fmt.Errorf(format, args...)), code}
}

func invalid(format string, args ...any) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf(format, args...))
}

func quote(what, name string) string { return fmt.Sprintf("%s %q", what, name) }

// fail answers with an error: as text, or as JSON for who accepts that.
func (s *Server) fail(w http.ResponseWriter, req *http.Request, err error) {
	kind := cnm.KindOf(err)
	code := api.Status(kind)
	var own statusError
	if errors.As(err, &own) {
		code = own.status
	}
	if kind == cnm.Internal {
		s.Log.Error("answer a request", "method", req.Method, "path", req.URL.Path, "error", err)
	}
	if !acceptsJSON(req) {
		giveTime(w)
		http.Error(w, err.Error(), code)
		return
	}
	s.answer(w, code, &api.Error{Message: err.Error(), Kind: kind})
}

func acceptsJSON(req *http.Request) bool { return accepts(req, "application/json") }

// accepts reports whether the client names the type; */* is not enough.
func accepts(req *http.Request, wanted string) bool {
	for _, line := range req.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			if kind, _, err := mime.ParseMediaType(part); err == nil && kind == wanted {
				return true
			}
		}
	}
	return false
}

// decodeBody reads one JSON value. Fields that are not known are ignored, as ever.
func decodeBody(w http.ResponseWriter, req *http.Request, into any, optional bool) error {
	if content := req.Header.Get("Content-Type"); content != "" {
		if kind, _, err := mime.ParseMediaType(content); err != nil || kind != "application/json" {
			return status(http.StatusUnsupportedMediaType, cnm.Invalid, "body: type %q: want application/json", content)
		}
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxBody))
	err := decoder.Decode(into)
	if optional && errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		if _, more := decoder.Token(); more == nil {
			return invalid("body: there is more behind the JSON value")
		} else if !errors.Is(more, io.EOF) {
			err = more
		}
	}
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return status(http.StatusRequestEntityTooLarge, cnm.Invalid, "body: is larger than %d bytes", maxBody)
	case errors.As(err, &wrongType):
		return invalid("body: field %q: a %s does not fit; want %s", wrongType.Field, wrongType.Value, wrongType.Type)
	case errors.Is(err, io.EOF):
		return invalid("body: is empty; want a JSON object")
	}
	return invalid("body: %v", err)
}

// unversioned takes away a leading element that is not itself the beginning of a route.
func unversioned(req *http.Request) *http.Request {
	first, rest, found := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	second, _, _ := strings.Cut(rest, "/")
	if !found || slices.Contains(firstElements(), first) || !slices.Contains(firstElements(), second) {
		return req
	}
	out := new(http.Request)
	*out = *req
	url := *req.URL
	url.Path, url.RawPath = "/"+rest, ""
	if raw := strings.TrimPrefix(req.URL.EscapedPath(), "/"); raw != "" {
		if _, after, ok := strings.Cut(raw, "/"); ok {
			url.RawPath = "/" + after
		}
	}
	out.URL = &url
	return out
}

// flag reads a query parameter that is true or false; it is false if it is missing.
func (r *request) flag(name string) (bool, error) {
	text := r.query.Get(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, invalid("query %q: value %q: want true or false", name, text)
	}
	return value, nil
}

// matchLabels reports whether labels hold what each query parameter "label" asks for: a key,
// or a key=value.
func (r *request) matchLabels(labels map[string]string) bool {
	return !slices.ContainsFunc(r.query["label"], func(wanted string) bool {
		key, value, exact := strings.Cut(wanted, "=")
		got, found := labels[key]
		return !found || exact && got != value
	})
}

// matchName reports whether the query parameters name, which is looked at first, and
// partial-id want the object. Without them all are wanted.
func (r *request) matchName(name, id string) bool {
	if wanted := r.query.Get("name"); wanted != "" {
		return name == wanted
	}
	return strings.HasPrefix(id, r.query.Get("partial-id"))
}

// inspect returns an index of all that is recorded now.
func (s *Server) inspect() *index { return newIndex(s.Inspector.Records(), s.Inspector) }

// network finds the network that the path names.
func (s *Server) network(key string) (libnetwork.Network, error) {
	rec, err := s.inspect().network(key)
	if err != nil {
		return nil, err
	}
	return s.Controller.NetworkByID(rec.ID)
}
