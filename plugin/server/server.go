// Package server lets a container engine use the networks of this library: it answers the
// plugin protocol, as a network driver and as an address manager.
//
// A network of the engine is a network of the controller with the same id, an endpoint is
// one that is named by the engine's id, and a container is a sandbox whose interfaces are
// handed over: they wait on the host until the engine takes them. All that is known of
// them is in the controller's records, so that the engine finds everything as it was when
// either side has been started anew. Addresses that the engine asks for are in the book of
// package plugin/lease.
//
// Requests may come twice: an engine that got no answer asks again. Who removes what is
// not there any more succeeds, and what is made again as it was made is there already.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/lease"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Labels of what is made for an engine.
const (
	// LabelPlugin, of networks, endpoints and sandboxes, has the name of the plugin.
	LabelPlugin = api.LabelPlugin
	// LabelRequest has a digest of the request by which a network or endpoint was made.
	LabelRequest = "dnet.plugin.request"
	// LabelKey, of sandboxes, has the path of the namespace in which the engine puts the
	// interfaces.
	LabelKey = "dnet.plugin.key"
)

// Bounds of what an engine may ask for.
const (
	// maxBody, in bytes, is enough for the largest request: all ports of two protocols, in
	// two lists with about 130 bytes for each.
	maxBody     = 24 << 20
	maxRequests = 64 // at a time; others wait
	// requestTime bounds one request. The longest is to delete a network with all that an
	// engine that died has left in it.
	requestTime = 2 * time.Minute
)

// Options say what is behind a Server.
type Options struct {
	// Name is that of the plugin: what users name as driver. It is required.
	Name string
	// Controller and Inspector are required, and as a rule the same.
	Controller libnetwork.NetworkController
	Inspector  libnetwork.Inspector
	// Leases has the addresses that are managed for the engine. Nil means that there is no
	// address manager.
	Leases *lease.Book
	// HostNamespace is that of the controller's configuration.
	HostNamespace string
	// Log takes what the engine cannot be told; nil drops it.
	Log *slog.Logger
}

// Server is an http.Handler that answers the protocol. New makes one.
type Server struct {
	Options
	methods map[string]method
	// places has one element for each request under way.
	places chan struct{}
	locks  locks
}

// New returns a handler. Invalid is for a name that no plugin can have.
func New(o Options) (*Server, error) {
	const op = "create plugin server"
	if err := manage.CheckName(o.Name); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	if o.Controller == nil || o.Inspector == nil {
		return nil, cnm.E(op, cnm.Invalid, errors.New("there is no controller"))
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, places: make(chan struct{}, maxRequests)}
	s.methods = map[string]method{
		protocol.Activate: answer(s.activate),
		manage.List:       answer(s.list),
		manage.Prune:      answer(s.prune),
	}
	s.addNetworkMethods()
	if o.Leases != nil {
		s.addIPAMMethods()
	}
	return s, nil
}

// activate is what an engine asks first.
func (s *Server) activate(ctx context.Context, _ *protocol.Empty) (*protocol.Activation, error) {
	s.sweep(ctx)
	out := &protocol.Activation{Implements: []string{protocol.NetworkDriver}}
	if s.Leases != nil {
		out.Implements = append(out.Implements, protocol.IpamDriver)
	}
	return out, nil
}

func (s *Server) addNetworkMethods() {
	for name, m := range map[string]method{
		protocol.NetworkCapabilities: answer(s.capabilities),
		protocol.GatewayCheck:        answer(s.checkGateways),
		protocol.AllocateNetwork:     answer(s.allocateNetwork),
		protocol.FreeNetwork:         answer(s.freeNetwork),
		protocol.CreateNetwork:       answer(s.createNetwork),
		protocol.DeleteNetwork:       answer(s.deleteNetwork),
		protocol.CreateEndpoint:      answer(s.createEndpoint),
		protocol.EndpointInfo:        answer(s.endpointInfo),
		protocol.DeleteEndpoint:      answer(s.deleteEndpoint),
		protocol.Join:                answer(s.join),
		protocol.Leave:               answer(s.leave),
		protocol.ProgramConnectivity: answer(s.programConnectivity),
		protocol.RevokeConnectivity:  answer(s.revokeConnectivity),
		protocol.DiscoverNew:         answer(s.discover),
		protocol.DiscoverDelete:      answer(s.discover),
	} {
		s.methods[name] = m
	}
}

func (s *Server) addIPAMMethods() {
	for name, m := range map[string]method{
		protocol.IpamCapabilities:     answer(s.ipamCapabilities),
		protocol.DefaultAddressSpaces: answer(s.defaultAddressSpaces),
		protocol.RequestPool:          answer(s.requestPool),
		protocol.ReleasePool:          answer(s.releasePool),
		protocol.RequestAddress:       answer(s.requestAddress),
		protocol.ReleaseAddress:       answer(s.releaseAddress),
	} {
		s.methods[name] = m
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	m, err := s.find(req)
	if err != nil {
		s.fail(w, err)
		return
	}
	body, err := readBody(w, req)
	if err != nil {
		s.fail(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), requestTime)
	defer cancel()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		s.fail(w, cnm.E("wait for other requests", cnm.Timeout, ctx.Err()))
		return
	}
	started := time.Now()
	out, err := m(ctx, body)
	s.Log.Debug("answered the engine", "plugin", s.Name, "method", req.URL.Path, "request", string(body),
		"took", time.Since(started).Round(time.Microsecond), "error", err)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.write(w, http.StatusOK, out)
	if a, ok := out.(acknowledged); ok {
		s.acknowledge(context.WithoutCancel(ctx), w, a)
	}
}

// acknowledged is an answer that grants something: to whoever gets it, and nobody else.
type acknowledged interface {
	// sent notes that it was sent.
	sent(context.Context) error
	// lost takes the grant back: the engine has hung up, and does not know of it.
	lost(context.Context) error
}

// acknowledge notes what has become of an answer. It must be on its way before that.
func (s *Server) acknowledge(ctx context.Context, w http.ResponseWriter, a acknowledged) {
	note := a.sent
	if http.NewResponseController(w).Flush() != nil {
		note = a.lost
	}
	if err := note(ctx); err != nil {
		s.Log.Error("note an answer to the engine", "plugin", s.Name, "error", err)
	}
}
