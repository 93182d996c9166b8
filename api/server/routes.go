package server

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/libnetwork/api"
)

// route is one of the interface's.
type route struct {
	method string
	// path is as http.ServeMux takes it.
	path string
	// summary says in a few words what it does.
	summary string
	// query are the names of the parameters that it knows.
	query []string
	// in returns a pointer for the body to be decoded to; nil means that there is none.
	in func() any
	// optional says that the body may be missing.
	optional bool
	// out is a value of the type of the answer; nil means that it has no body.
	out any
	// status is that of success.
	status int
	// handle makes the answer, or stream writes it.
	handle func(*Server, *request) (any, error)
	stream func(*Server, *request) error
	// content is the type of what stream writes.
	content string
	// lines is a value of the type of each line, for clients that accept
	// application/x-ndjson; nil means that there are none.
	lines any
	// unwell is a value of the type of the answer with the status 503, if that is not
	// an error.
	unwell any
}

func body[T any]() any { return new(T) }

// routes is the table of all routes. Those of 2017 come first.
func routes() []route {
	return slices.Concat(networkRoutes(), endpointRoutes(), serviceRoutes(), sandboxRoutes(), systemRoutes(), debugRoutes())
}

func networkRoutes() []route {
	return []route{
		{
			method: "GET", path: "/networks", summary: "list networks, sorted by name",
			query: []string{"name", "partial-id", "label", "driver", "scope"}, out: []api.Network{}, status: 200, handle: (*Server).listNetworks,
		},
		{method: "GET", path: "/networks/{network}", summary: "show a network, with who holds its addresses", out: api.Network{}, status: 200, handle: (*Server).getNetwork},
		{method: "POST", path: "/networks", summary: "create a network; the answer is its id", in: body[api.NetworkCreate], out: "", status: 201, handle: (*Server).createNetwork},
		{method: "DELETE", path: "/networks/{network}", summary: "delete a network without endpoints", status: 200, handle: (*Server).deleteNetwork},
		{
			method: "POST", path: "/networks/prune", summary: "delete all networks without endpoints", query: []string{"label"},
			out: api.PruneReport{}, status: 200, handle: (*Server).pruneNetworks,
		},
		{
			method: "POST", path: "/networks/{network}/connect", summary: "make an endpoint that joins a container's sandbox, or neither",
			in: body[api.NetworkConnect], out: api.Endpoint{}, status: 201, handle: (*Server).connect,
		},
		{
			method: "POST", path: "/networks/{network}/disconnect", summary: "delete a container's endpoints in the network",
			in: body[api.NetworkDisconnect], status: 200, handle: (*Server).disconnect,
		},
	}
}

func endpointRoutes() []route {
	const of = "/networks/{network}/endpoints"
	lists := []string{"name", "partial-id", "label", "container"}
	return []route{
		{method: "GET", path: of, summary: "list a network's endpoints", query: lists, out: []api.Endpoint{}, status: 200, handle: (*Server).listEndpoints},
		{method: "GET", path: of + "/{endpoint}", summary: "show an endpoint", out: api.Endpoint{}, status: 200, handle: (*Server).getEndpoint},
		{
			method: "POST", path: of, summary: "create an endpoint; the answer is its id",
			in: body[api.EndpointCreate], out: "", status: 201, handle: (*Server).createEndpoint,
		},
		{
			method: "DELETE", path: of + "/{endpoint}", summary: "delete an endpoint; with force it leaves its sandbox first",
			query: []string{"force"}, status: 200, handle: (*Server).deleteEndpoint,
		},
		{
			method: "POST", path: of + "/{endpoint}/sandboxes", summary: "join a sandbox; the answer is the sandbox's key",
			in: body[api.EndpointJoin], out: "", status: 200, handle: (*Server).join,
		},
		{method: "DELETE", path: of + "/{endpoint}/sandboxes/{sandbox}", summary: "leave a sandbox", status: 200, handle: (*Server).leave},
		{
			method: "GET", path: "/endpoints", summary: "list the endpoints of all networks", query: append(lists, "network"),
			out: []api.Endpoint{}, status: 200, handle: (*Server).listEndpoints,
		},
		{method: "GET", path: "/endpoints/{endpoint}", summary: "show an endpoint", out: api.Endpoint{}, status: 200, handle: (*Server).getEndpoint},
		{
			method: "DELETE", path: "/endpoints/{endpoint}", summary: "delete an endpoint; with force it leaves its sandbox first",
			query: []string{"force"}, status: 200, handle: (*Server).deleteEndpoint,
		},
	}
}

func serviceRoutes() []route {
	return []route{
		{
			method: "GET", path: "/services", summary: "list the endpoints of all networks", query: []string{"network", "name", "partial-id", "label", "container"},
			out: []api.Endpoint{}, status: 200, handle: (*Server).listEndpoints,
		},
		{method: "GET", path: "/services/{endpoint}", summary: "show an endpoint", out: api.Endpoint{}, status: 200, handle: (*Server).getEndpoint},
		{
			method: "POST", path: "/services", summary: "create an endpoint in a network, or in the default one; the answer is its id",
			in: body[api.ServiceCreate], out: "", status: 201, handle: (*Server).createService,
		},
		{
			method: "DELETE", path: "/services/{endpoint}", summary: "delete an endpoint", in: body[api.ServiceDelete], optional: true,
			status: 200, handle: (*Server).deleteService,
		},
		{method: "GET", path: "/services/{endpoint}/backend", summary: "list the sandbox that the endpoint is in", out: []api.Sandbox{}, status: 200, handle: (*Server).backends},
		{
			method: "POST", path: "/services/{endpoint}/backend", summary: "join a sandbox; the answer is the sandbox's key",
			in: body[api.EndpointJoin], out: "", status: 200, handle: (*Server).join,
		},
		{method: "DELETE", path: "/services/{endpoint}/backend/{sandbox}", summary: "leave a sandbox", status: 200, handle: (*Server).leave},
	}
}

func sandboxRoutes() []route {
	return []route{
		{
			method: "GET", path: "/sandboxes", summary: "list sandboxes, sorted by their containers' ids",
			query: []string{"container-id", "partial-container-id", "partial-id", "label"}, out: []api.Sandbox{}, status: 200, handle: (*Server).listSandboxes,
		},
		{method: "GET", path: "/sandboxes/{sandbox}", summary: "show a sandbox with its endpoints", out: api.Sandbox{}, status: 200, handle: (*Server).getSandbox},
		{method: "POST", path: "/sandboxes", summary: "create a sandbox; the answer is its id", in: body[api.SandboxCreate], out: "", status: 201, handle: (*Server).createSandbox},
		{method: "DELETE", path: "/sandboxes/{sandbox}", summary: "delete a sandbox and its endpoints", status: 200, handle: (*Server).deleteSandbox},
		{
			method: "POST", path: "/sandboxes/{sandbox}/key", summary: "give an external sandbox its namespace; the answer is the sandbox's key",
			in: body[api.SandboxKey], out: "", status: 200, handle: (*Server).setKey,
		},
		{
			method: "GET", path: "/sandboxes/{sandbox}/statistics", summary: "show the counters of a sandbox's interfaces",
			out: api.SandboxStatistics{}, status: 200, handle: (*Server).sandboxStatistics,
		},
		{
			method: "GET", path: "/sandboxes/{sandbox}/resolve", summary: "say who answers for a name in the sandbox", query: []string{"name"},
			out: api.Resolution{}, status: 200, handle: (*Server).resolve,
		},
		{method: "GET", path: "/statistics", summary: "show the counters of all sandboxes' interfaces", out: []api.SandboxStatistics{}, status: 200, handle: (*Server).allStatistics},
	}
}

func systemRoutes() []route {
	return []route{
		{method: "GET", path: "/info", summary: "describe the daemon", out: api.Info{}, status: 200, handle: (*Server).info},
		{method: "GET", path: "/version", summary: "say the daemon's version", out: api.Version{}, status: 200, handle: (*Server).version},
		{method: "GET", path: "/health", summary: "say whether all is well: 503 if not", out: api.Health{}, unwell: api.Health{}, status: 200, handle: (*Server).health},
		{method: "GET", path: "/doctor", summary: "look for what is wrong on the host", out: []api.Finding{}, status: 200, handle: (*Server).doctor},
		{
			method: "GET", path: "/why", summary: "explain the way of a packet", query: []string{"from", "to", "port", "protocol"},
			out: api.Explanation{}, status: 200, handle: (*Server).why,
		},
		{
			method: "POST", path: "/repair", summary: "mend what differs from the records, or tell what would be",
			query: []string{"dry-run", "sandbox"}, out: api.RepairReport{}, status: 200, stream: (*Server).repair, content: "application/json", lines: api.RepairProgress{},
		},
		{
			method: "GET", path: "/events", summary: "stream what happens, as server-sent events", query: []string{"after", "type", "action"},
			status: 200, stream: (*Server).events, content: "text/event-stream",
		},
		{method: "GET", path: "/metrics", summary: "show metrics, in the form of Prometheus", status: 200, stream: (*Server).metrics, content: "text/plain"},
		{method: "GET", path: "/openapi.json", summary: "describe this interface", out: map[string]any{}, status: 200, handle: (*Server).openAPI},
	}
}

func debugRoutes() []route {
	return []route{
		{method: "GET", path: "/debug/state", summary: "dump all records", out: map[string]any{}, status: 200, handle: (*Server).state},
		{method: "GET", path: "/debug/goroutines", summary: "dump the daemon's goroutines", status: 200, stream: (*Server).goroutines, content: "text/plain"},
		{method: "GET", path: "/debug/bundle", summary: "write a support bundle, a compressed tar file", status: 200, stream: (*Server).bundle, content: "application/gzip"},
	}
}

// checkQuery refuses parameters that the route does not know: a filter with a slip of the
// pen must not delete everything.
func (r route) checkQuery(query url.Values) error {
	for name := range query {
		if !slices.Contains(r.query, name) {
			return invalid("query %q: %s %s does not know it; it knows %q", name, r.method, r.path, r.query)
		}
	}
	return nil
}

// firstElements are those that paths of routes begin with.
func firstElements() []string {
	var out []string
	for _, r := range routes() {
		first, _, _ := strings.Cut(r.path[1:], "/")
		if !slices.Contains(out, first) {
			out = append(out, first)
		}
	}
	return out
}

// allowedMethods are those of the routes that have the path.
func allowedMethods(path string) []string {
	var out []string
	for _, r := range routes() {
		if ok, err := regexp.MatchString("^"+parameters().ReplaceAllString(r.path, "[^/]+")+"$", path); err == nil && ok && !slices.Contains(out, r.method) {
			out = append(out, r.method)
		}
	}
	slices.Sort(out)
	if slices.Contains(out, http.MethodGet) {
		out = append(out, http.MethodHead)
	}
	return out
}

// parameters finds those of a route's path.
func parameters() *regexp.Regexp { return regexp.MustCompile(`\{(\w+)\}`) }
