package server_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/api/server"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// daemon is an interface with a controller on a machine of its own.
type daemon struct {
	controller libnetwork.NetworkController
	handler    *server.Server
	host       string
	owners     *owners
}

// owners takes this process for who asks, and remembers whom to follow.
type owners struct{ followed map[string]server.Owner }

func (o *owners) Owner(_ context.Context, pid int) (server.Owner, error) {
	return server.Owner{PID: cmp.Or(pid, os.Getpid()), Start: 7}, nil
}

func (o *owners) Follow(id string, owner server.Owner) error {
	if o.followed == nil {
		return errors.New("nobody is followed")
	}
	o.followed[id] = owner
	return nil
}

func newDaemon(t testing.TB) *daemon {
	t.Helper()
	kerneltest.RequireRoot(t)
	run, err := os.MkdirTemp("/run", "test")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{host: kerneltest.NewNamespace(t), owners: &owners{followed: make(map[string]server.Owner)}}
	d.controller, err = libnetwork.New(
		config.OptionHostNamespace(d.host), config.OptionDataDir(t.TempDir()), config.OptionExecRoot(run),
		config.OptionAnnounce(0, 0), config.OptionDefaultDriver("bridge"), config.OptionDefaultNetwork("usual"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, sb := range d.controller.Sandboxes() {
			if err := sb.Delete(); err != nil {
				t.Error(err)
			}
		}
		d.controller.Stop()
		if err := os.RemoveAll(run); err != nil {
			t.Error(err)
		}
	})
	d.handler = server.New(server.Options{
		Controller: d.controller, Inspector: d.controller.(libnetwork.Inspector), Version: "1.2.3", Started: time.Now(),
		DefaultNetwork: "usual", Lifetimes: d.owners,
		Doctor: func(context.Context) ([]api.Finding, error) {
			return []api.Finding{{Check: "one", Level: api.LevelOK, Message: "fine"}}, nil
		},
		Explain: func(_ context.Context, from, to string, port int, protocol string) (api.Explanation, error) {
			return api.Explanation{From: from, To: to, Port: port, Protocol: protocol, Steps: []api.Step{}}, nil
		},
		Dump:    func(_ context.Context, to io.Writer) error { _, err := to.Write([]byte("bundle")); return err },
		State:   func() any { return map[string]any{"records": true} },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "metric 1") }),
		Health:  func(context.Context) api.Health { return api.Health{Healthy: true} },
	})
	return d
}

// ask sends a request with headers of the form "Name: value".
func (d *daemon) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body == "" {
		req.Body = http.NoBody
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	d.handler.ServeHTTP(recorder, req)
	return recorder
}

// validate holds a value to a schema of the document.
func validate(document map[string]any, schema any, value any) error {
	s, _ := schema.(map[string]any)
	if reference, ok := s["$ref"].(string); ok {
		all := document["components"].(map[string]any)["schemas"].(map[string]any)
		return validate(document, all[reference[strings.LastIndexByte(reference, '/')+1:]], value)
	}
	fits := true
	switch s["type"] {
	case "string":
		_, fits = value.(string)
	case "boolean":
		_, fits = value.(bool)
	case "integer":
		fits = withinBounds(s, value)
	case "array":
		list, ok := value.([]any)
		fits = ok
		for _, item := range list {
			if err := validate(document, s["items"], item); err != nil {
				return err
			}
		}
	case "object":
		object, ok := value.(map[string]any)
		fits = ok
		properties, closed := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, there := object[name.(string)]; !there {
				return fmt.Errorf("field %q is missing", name)
			}
		}
		for name, field := range object {
			schema, known := properties[name]
			if closed && !known {
				return fmt.Errorf("field %q is not in the schema", name)
			}
			if !closed {
				schema = s["additionalProperties"]
			}
			if err := validate(document, schema, field); err != nil {
				return fmt.Errorf("field %q: %w", name, err)
			}
		}
	}
	if !fits {
		return fmt.Errorf("%v is not of type %v", value, s["type"])
	}
	return nil
}

// withinBounds reports whether a value is a whole number that the schema allows.
func withinBounds(schema map[string]any, value any) bool {
	text, ok := value.(json.Number)
	number, whole := new(big.Int).SetString(string(text), 10)
	if !ok || !whole {
		return false
	}
	minimum, from := schema["minimum"].(float64)
	maximum, to := schema["maximum"].(float64)
	return (!from || number.Cmp(big.NewInt(int64(minimum))) >= 0) && (!to || number.Cmp(big.NewInt(int64(maximum))) <= 0)
}

// checkAnswer holds an answer to what the document says of its operation.
func checkAnswer(document map[string]any, operation map[string]any, answer *httptest.ResponseRecorder) error {
	responses := operation["responses"].(map[string]any)
	response, listed := responses[fmt.Sprint(answer.Code)].(map[string]any)
	if !listed {
		if answer.Code < 400 {
			return fmt.Errorf("status %d is not in the document", answer.Code)
		}
		response = responses["default"].(map[string]any)
	}
	kinds, _ := response["content"].(map[string]any)
	kind, _, _ := strings.Cut(answer.Header().Get("Content-Type"), ";")
	if len(kinds) == 0 {
		if answer.Body.Len() > 0 {
			return fmt.Errorf("there is a body: %s", answer.Body)
		}
		return nil
	}
	content, known := kinds[kind].(map[string]any)
	if !known {
		return fmt.Errorf("type %q is not in the document", kind)
	}
	if kind != "application/json" && kind != "application/x-ndjson" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(answer.Body.Bytes()))
	decoder.UseNumber()
	for values := 0; ; values++ {
		var value any
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) && (values == 1 || values > 1 && kind == "application/x-ndjson") {
			return nil
		} else if err != nil {
			return fmt.Errorf("value %d: %w", values, err)
		}
		if err := validate(document, content["schema"], value); err != nil {
			return err
		}
	}
}

// operationOf finds the operation of the document that a request is for.
func operationOf(document map[string]any, method, path string) (name string, operation map[string]any) {
	for pattern, operations := range document["paths"].(map[string]any) {
		found, ok := operations.(map[string]any)[strings.ToLower(method)].(map[string]any)
		// One without parameters is nearer than one with.
		if ok && samePath(pattern, path) && (operation == nil || !strings.Contains(pattern, "{")) {
			name, operation = method+" "+pattern, found
		}
	}
	return name, operation
}

func samePath(pattern, path string) bool {
	path, _, _ = strings.Cut(path, "?")
	wanted, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(wanted) != len(got) {
		return false
	}
	for i, part := range wanted {
		if !strings.HasPrefix(part, "{") && part != got[i] {
			return false
		}
	}
	return true
}
