package command

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// fake is a daemon that answers what a script wants to see, and remembers what it was
// asked. What the real one does is shown by the scenarios in test/dnet.
type fake struct {
	mu    sync.Mutex
	asked []string
	round uint64
}

// Ids that are longer than what is shown.
var (
	webID  = strings.Repeat("a1", 32)
	oldID  = strings.Repeat("b2", 32)
	wwwID  = strings.Repeat("c3", 32)
	dbID   = strings.Repeat("d4", 32)
	sandID = strings.Repeat("e5", 32)
)

func instant(second int) time.Time { return time.Date(2026, 3, 1, 12, 0, second, 0, time.UTC) }

func fakeEndpoints() []api.Endpoint {
	return []api.Endpoint{
		{
			EndpointSummary: api.EndpointSummary{Name: "www", ID: wwwID, Network: "web"}, NetworkID: webID, Created: instant(3),
			SandboxID: sandID, Container: "c1", Interface: "eth0", Labels: map[string]string{"tier": "front"},
			Addresses: []netip.Prefix{netip.MustParsePrefix("172.30.0.2/24"), netip.MustParsePrefix("fd00::2/64")},
			Ports:     []api.PortMapping{{Protocol: "tcp", ContainerPort: 80, HostPort: 8080}, {Protocol: "udp", ContainerPort: 53, ContainerPortEnd: 55, HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 5353, HostPortEnd: 5355}},
		},
		{EndpointSummary: api.EndpointSummary{Name: "db", ID: dbID, Network: "bridge"}, NetworkID: oldID, Created: instant(4)},
	}
}

func fakeNetworks() []api.Network {
	return []api.Network{
		{Name: "bridge", ID: oldID, Type: "bridge", Scope: "local", Created: instant(1), EnableIPv4: true, Endpoints: []api.EndpointSummary{fakeEndpoints()[1].EndpointSummary}},
		{
			Name: "web", ID: webID, Type: "macvlan", Scope: "local", Created: instant(2), EnableIPv4: true,
			Endpoints: []api.EndpointSummary{fakeEndpoints()[0].EndpointSummary}, Labels: map[string]string{"owner": "ci", "empty": ""},
			Subnets: []api.Subnet{{Pool: netip.MustParsePrefix("172.30.0.0/24"), Gateway: netip.MustParseAddr("172.30.0.1"), Used: 2, Available: new(uint64(252))}},
		},
	}
}

func fakeSandboxes() []api.Sandbox {
	return []api.Sandbox{{ID: sandID, Key: "/run/libnetwork/netns/e5e5", ContainerID: "c1", Created: instant(3), Ready: true, Labels: map[string]any{"n": 1}, Endpoints: fakeEndpoints()[:1]}}
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.mu.Lock()
	f.asked = append(f.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)))
	f.round++
	f.mu.Unlock()
	answer, status := f.answer(r, body)
	switch answer := answer.(type) {
	case func(http.ResponseWriter):
		answer(w)
	case string:
		if status != http.StatusCreated {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(status)
			_, _ = fmt.Fprintln(w, answer)
			return
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (f *fake) answer(r *http.Request, body []byte) (answer any, status int) {
	switch r.Method + " " + r.URL.Path {
	case "GET /networks":
		return fakeNetworks(), 200
	case "GET /networks/web":
		return fakeNetworks()[1], 200
	case "GET /endpoints":
		return fakeEndpoints(), 200
	case "GET /endpoints/www":
		return fakeEndpoints()[0], 200
	case "GET /services":
		return f.services(r), 200
	case "GET /sandboxes":
		return fakeSandboxes(), 200
	case "GET /sandboxes/c1":
		return fakeSandboxes()[0], 200
	case "GET /sandboxes/c1/resolve":
		return api.Resolution{Name: r.URL.Query().Get("name"), Source: "network", Answers: []string{"172.30.0.2"}, Networks: []string{"web"}}, 200
	case "GET /info":
		return api.Info{Version: "1.2.3", ControllerID: "ctl", DefaultNetwork: "bridge", Drivers: []string{"bridge", "host"}, Networks: 2, Endpoints: 2, Sandboxes: 1, Started: instant(0)}, 200
	case "GET /version":
		return map[string]string{"version": "1.2.3"}, 200
	case "GET /health":
		return api.Health{Problems: []string{"the store is full"}}, 503
	case "GET /statistics":
		return f.statistics(), 200
	case "GET /doctor":
		return []api.Finding{{Check: "disk", Level: api.LevelOK, Message: "there is room"}, {Check: "ip-forwarding", Level: api.LevelError, Message: "is off", Fix: "sysctl net.ipv4.ip_forward=1"}}, 200
	case "GET /why":
		return api.Explanation{From: r.URL.Query().Get("from"), To: r.URL.Query().Get("to"), Address: "172.30.0.2", Port: 80, Protocol: r.URL.Query().Get("protocol"), Steps: []api.Step{
			{Where: `container "c1"`, What: "sends to its gateway", Verdict: "pass"}, {Where: "host", What: "the networks are apart", Rule: "isolate br-1 br-2", Verdict: "drop"}}}, 200
	case "GET /events":
		return sendEvents, 200
	case "GET /debug/bundle":
		return func(w http.ResponseWriter) { _, _ = w.Write([]byte("bundle")) }, 200
	case "POST /repair":
		return sendRepair, 200
	case "POST /networks", "POST /services", "POST /sandboxes", "POST /networks/web/endpoints":
		return webID, http.StatusCreated
	case "POST /networks/web/connect":
		return fakeEndpoints()[0], http.StatusCreated
	case "POST /networks/prune":
		return api.PruneReport{Deleted: fakeNetworks()[:1]}, 200
	case "POST /Dnet.List":
		return fakeListing(), 200
	case "POST /Dnet.Prune":
		return manage.PruneReply{Removed: []string{"network " + oldID + ", with 1 endpoints"}, Problems: []string{"delete network: busy"}}, 200
	case "POST /services/" + dbID + "/backend", "POST /sandboxes/c1/key":
		return "/run/key", http.StatusCreated
	case "DELETE /networks/web":
		return `network "web" has active endpoints`, http.StatusForbidden
	case "DELETE /networks/broken":
		return api.Error{Message: `delete network "broken": link has gone`, Kind: cnm.Internal}, 500
	case "DELETE /networks/busy":
		return api.Error{Message: `delete network "busy": has 2 endpoints`, Kind: cnm.Forbidden, Detail: "disconnect them first: dnet network disconnect busy CONTAINER"}, 403
	}
	if r.Method == http.MethodDelete || strings.HasSuffix(r.URL.Path, "/disconnect") {
		return struct{}{}, 200
	}
	return api.Error{Message: fmt.Sprintf("%s: does not exist", r.URL.Path), Kind: cnm.NotFound}, 404
}

func fakeListing() manage.Listing {
	return manage.Listing{
		Networks: []manage.ListedNetwork{{
			ID: webID, Name: "docker-" + webID[:12], Driver: "bridge", Subnets: []string{"172.30.0.0/24", "fd00::/64"}, Created: time.Now().Add(-time.Hour),
			Endpoints: []manage.ListedEndpoint{{
				ID: wwwID, Address: "172.30.0.2/24", AddressIPv6: "fd00::2/64", Created: time.Now().Add(-time.Minute),
				Ports: []protocol.PortBinding{{Proto: 6, Port: 80, HostIP: "0.0.0.0", HostPort: 8080}},
			}},
		}},
		Pools: []manage.ListedPool{{ID: "LocalDefault/172.30.0.0/24", Pool: "172.30.0.0/24", Granted: time.Now(), Addresses: []manage.ListedAddress{{Address: "172.30.0.1", Gateway: true}}}},
	}
}

func (f *fake) services(r *http.Request) []api.Endpoint {
	out := []api.Endpoint{}
	query := r.URL.Query()
	for _, e := range fakeEndpoints() {
		if (query.Get("name") == "" || query.Get("name") == e.Name) && (query.Get("network") == "" || query.Get("network") == e.Network) &&
			strings.HasPrefix(e.ID, query.Get("partial-id")) {
			out = append(out, e)
		}
	}
	return out
}

// statistics grow by 5000 bytes with each request.
func (f *fake) statistics() []api.SandboxStatistics {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []api.SandboxStatistics{{SandboxID: sandID, ContainerID: "c1", Interfaces: []api.InterfaceStatistics{{Name: "eth0", Network: "web", RxBytes: 5000 * f.round, RxDropped: f.round}}}}
}

func sendEvents(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i, e := range []api.Event{
		{Type: "network", Action: "create", Name: "web", ID: webID},
		{Type: "endpoint", Action: "join", Name: "www", ID: wwwID, Network: "web", NetworkID: webID, Container: "c1"},
		{Type: "endpoint", Action: "leave", Name: "www", ID: wwwID, Network: "web", NetworkID: webID, Container: "c1"},
	} {
		e.Sequence, e.Time = uint64(i+1), instant(i)
		text, _ := json.Marshal(e)
		_, _ = fmt.Fprintf(w, ": heartbeat\n\nid: %d\nevent: %s.%s\ndata: %s\n\n", e.Sequence, e.Type, e.Action, text)
	}
}

func sendRepair(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	encoder := json.NewEncoder(w)
	_ = encoder.Encode(api.RepairProgress{Done: 1, Total: 2, Subject: `network "web"`})
	_ = encoder.Encode(api.RepairProgress{Done: 2, Total: 2, Subject: `sandbox "c1"`})
	_ = encoder.Encode(api.RepairProgress{Report: &api.RepairReport{DryRun: true, Differences: []api.Difference{{Subject: `network "web"`, Changes: []string{"add link br-a1"}}}}})
}

// serve answers at a socket until the test ends.
func (f *fake) serve(t testing.TB, socket string) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
}
