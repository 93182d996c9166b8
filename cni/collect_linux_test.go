package cni

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/api"
)

func TestRemoveInvalid(t *testing.T) {
	one, two, three := key{"a", "eth0"}, key{"b", "eth0"}, key{"a", "eth1"}
	var tried []key
	trouble := errors.New("trouble")
	errs := removeInvalid([]key{one, {}, two, three}, map[key]bool{two: true}, func(k key) error {
		tried = append(tried, k)
		if k == one {
			return trouble
		}
		return nil
	})
	if !slices.Equal(tried, []key{one, three}) {
		t.Errorf("tried %v", tried)
	}
	if len(errs) != 1 || !errors.Is(errs[0], trouble) || !strings.Contains(errs[0].Error(), `container "a", interface "eth0"`) {
		t.Errorf("reported %v", errs)
	}
}

// fakeDaemon answers as the handler says, at a socket.
func fakeDaemon(t *testing.T, handler http.Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // it always ends with an error
	}()
	t.Cleanup(func() { _, _ = server.Close(), <-done })
	return path
}

// perform runs a command by the fake daemon.
func performBy(t *testing.T, socket, command, members string) error {
	t.Helper()
	members = `, "socket": "` + socket + `"` + members
	c, err := decoded(t, command, "", members)
	if err != nil {
		t.Fatal(err)
	}
	_, err = perform(t.Context(), &request{command: command, container: "c1", ifname: "eth0"}, c)
	return err
}

// TestCollectGoesOn: a daemon that cannot delete one endpoint is asked for the others, and
// for repair; the network, which is not empty, stays.
func TestCollectGoesOn(t *testing.T) {
	var asked []string
	mux := http.NewServeMux()
	answer := func(pattern string, status int, value any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Method+" "+r.URL.Path)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			if err := json.NewEncoder(w).Encode(value); err != nil {
				t.Error(err)
			}
		})
	}
	endpoint := func(id, container string) api.Endpoint {
		return api.Endpoint{EndpointSummary: api.EndpointSummary{ID: id}, Labels: map[string]string{labelContainer: container, labelInterface: "eth0"}}
	}
	mux.HandleFunc("GET /endpoints", func(w http.ResponseWriter, r *http.Request) {
		all := []api.Endpoint{endpoint("e1", "bad"), endpoint("e2", "valid"), endpoint("e3", "stale")}
		if labels := r.URL.Query()["label"]; len(labels) == 2 {
			all = slices.DeleteFunc(all, func(e api.Endpoint) bool { return "cni.container="+e.Labels[labelContainer] != labels[0] })
		}
		if err := json.NewEncoder(w).Encode(all); err != nil {
			t.Error(err)
		}
	})
	answer("DELETE /endpoints/e1", 500, api.Error{Message: "it is stuck", Kind: "internal"})
	answer("DELETE /endpoints/e3", 200, nil)
	answer("GET /sandboxes", 200, []api.Sandbox{})
	answer("POST /repair", 200, api.RepairReport{})
	answer("GET /networks/blue", 200, api.Network{Name: "blue", Labels: map[string]string{labelNetwork: "{}"}, Endpoints: []api.EndpointSummary{{ID: "e1"}}})
	err := performBy(t, fakeDaemon(t, mux), commandGC, `, "cni.dev/valid-attachments": [{"containerID": "valid", "ifname": "eth0"}]`)
	if codeOf(err) != 100 || !strings.Contains(err.Error(), `container "bad", interface "eth0": it is stuck`) {
		t.Errorf("reported %v", err)
	}
	want := []string{"DELETE /endpoints/e1", "DELETE /endpoints/e3", "GET /sandboxes", "POST /repair", "GET /networks/blue"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// TestDaemonHangs: that is said in time, with the code for trying again.
func TestDaemonHangs(t *testing.T) {
	release := make(chan struct{})
	socket := fakeDaemon(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer close(release)
	if err := performBy(t, socket, commandDelete, `, "lockTimeout": "50ms"`); codeOf(err) != 11 || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got %v", err)
	}
	if err := performBy(t, socket, commandStatus, `, "lockTimeout": "50ms"`); codeOf(err) != 51 {
		t.Errorf("got %v", err)
	}
}
