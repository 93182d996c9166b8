package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// Options say what is behind the interface. Functions that are nil are answered as
// unsupported.
type Options struct {
	// Controller and Inspector are required, and as a rule the same.
	Controller libnetwork.NetworkController
	Inspector  libnetwork.Inspector
	// Version is the program's, and Started when it began. Kernel is the release of the
	// running kernel.
	Version string
	Kernel  string
	Started time.Time
	// DefaultNetwork is the name of the network that an empty one means; it is not pruned.
	DefaultNetwork string
	// Lifetimes ties sandboxes to processes.
	Lifetimes Lifetimes
	Doctor    func(context.Context) ([]api.Finding, error)
	Explain   func(ctx context.Context, from, to string, port int, protocol string) (api.Explanation, error)
	// Dump writes a support bundle, and State returns what is dumped as JSON.
	Dump    func(context.Context, io.Writer) error
	State   func() any
	Metrics http.Handler
	Health  func(context.Context) api.Health
	// Log takes what clients cannot be told; nil drops it.
	Log *slog.Logger
}

// Lifetimes deletes sandboxes whose owner, a process, has ended.
type Lifetimes interface {
	// Owner tells the process that makes a request, by the request's context, or if pid is
	// not zero, the one with that number; one that has ended is NotFound. It is Unsupported
	// where the connection does not tell who asks: a number is one of this machine.
	Owner(ctx context.Context, pid int) (Owner, error)
	// Follow deletes the sandbox when the process has ended, however it ends. A process
	// that has ended already is no error.
	Follow(sandboxID string, owner Owner) error
}

// Owner is a process. Its number and start together name it for as long as the machine
// runs.
type Owner struct {
	PID int
	// Start is when it started, in clock ticks since boot.
	Start uint64
}

// Labels of a sandbox that depends on a process.
const (
	LabelLifetime   = "dnet.lifetime"
	LabelOwnerPID   = "dnet.owner.pid"
	LabelOwnerStart = "dnet.owner.start"
)

// Server is the handler. Close it to end the streams of events.
type Server struct {
	Options
	mux    *http.ServeMux
	ctx    context.Context
	cancel context.CancelFunc
	// first are what paths of routes begin with.
	first []string
	// writeTime is how long a client may take for a piece of an answer.
	writeTime time.Duration
}

// New returns a handler of all routes.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, mux: http.NewServeMux(), first: firstElements(), writeTime: 30 * time.Second}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, r := range routes() {
		s.mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) { s.serve(w, req, r) })
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) { s.unknown(w, req) })
	return s
}

// Close ends the streams that go on until the client ends them; other requests go on.
func (s *Server) Close() error {
	s.cancel()
	return nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	// A connection keeps the deadline of the request before.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // some writers have none
	w = &pieces{ResponseWriter: w, limit: s.writeTime}
	if err := sameSite(req); err != nil {
		s.fail(w, req, err)
		return
	}
	s.mux.ServeHTTP(w, s.unversioned(req))
}

// unknown answers for paths and methods that no route has.
func (s *Server) unknown(w http.ResponseWriter, req *http.Request) {
	allowed := allowedMethods(req.URL.Path)
	if len(allowed) == 0 {
		s.fail(w, req, cnm.E(quote("path", req.URL.Path), cnm.NotFound, errors.New("there is no such route; /openapi.json has all")))
		return
	}
	for _, method := range allowed {
		w.Header().Add("Allow", method)
	}
	s.fail(w, req, status(http.StatusMethodNotAllowed, cnm.Invalid, "method %q: %q does not answer it", req.Method, req.URL.Path))
}
