package server

import (
	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// wanted reports whether the query wants the endpoint.
func (r *request) wanted(x *index, e *cnm.Endpoint) bool {
	network, container := r.query.Get("network"), r.query.Get("container")
	return r.matchName(e.Name, e.ID) && r.matchLabels(e.Labels) &&
		(network == "" || network == e.NetworkID || network == x.networkName(e.NetworkID)) &&
		(container == "" || e.SandboxID != "" && (container == e.SandboxID || container == x.container(e)))
}

// listEndpoints lists those of the network in the path, or of all.
func (s *Server) listEndpoints(r *request) (any, error) {
	x := s.inspect()
	all := x.Endpoints
	if key := r.PathValue("network"); key != "" {
		n, err := x.network(key)
		if err != nil {
			return nil, err
		}
		all = x.endpointsOf(n.ID)
	}
	out := []api.Endpoint{}
	for _, e := range all {
		if r.wanted(x, e) {
			out = append(out, x.endpointView(e))
		}
	}
	return out, nil
}

// record finds the endpoint that the path names, as one of a network or of all.
func (s *Server) record(r *request) (*index, *cnm.Endpoint, error) {
	x := s.inspect()
	networkID := ""
	if key := r.PathValue("network"); key != "" {
		n, err := x.network(key)
		if err != nil {
			return nil, nil, err
		}
		networkID = n.ID
	}
	e, err := x.endpoint(networkID, r.PathValue("endpoint"))
	return x, e, err
}

func (s *Server) endpoint(r *request) (libnetwork.Endpoint, error) {
	_, rec, err := s.record(r)
	if err != nil {
		return nil, err
	}
	n, err := s.Controller.NetworkByID(rec.NetworkID)
	if err != nil {
		return nil, err
	}
	return n.EndpointByID(rec.ID)
}

func (s *Server) getEndpoint(r *request) (any, error) {
	x, e, err := s.record(r)
	if err != nil {
		return nil, err
	}
	return x.endpointView(e), nil
}

func (s *Server) createEndpoint(r *request) (any, error) {
	return s.create(r, r.PathValue("network"), r.body.(*api.EndpointCreate))
}

func (s *Server) create(r *request, network string, in *api.EndpointCreate) (any, error) {
	n, err := s.network(network)
	if err != nil {
		return nil, err
	}
	options, err := endpointOptions(in)
	if err != nil {
		return nil, err
	}
	ep, err := n.CreateEndpointContext(r.Context(), in.Name, options...)
	if err != nil {
		return nil, err
	}
	return ep.ID(), nil
}

func (s *Server) deleteEndpoint(r *request) (any, error) {
	force, err := r.flag("force")
	if err != nil {
		return nil, err
	}
	ep, err := s.endpoint(r)
	if err != nil {
		return nil, err
	}
	return nil, ep.DeleteContext(r.Context(), force)
}

func (s *Server) join(r *request) (any, error) {
	in := r.body.(*api.EndpointJoin)
	ep, err := s.endpoint(r)
	if err != nil {
		return nil, err
	}
	sb, err := s.sandbox(in.SandboxID)
	if err != nil {
		return nil, err
	}
	options, err := aliasOptions(in.Aliases)
	if err != nil {
		return nil, err
	}
	options = append(options, libnetwork.JoinOptionPriority(ep, in.Priority))
	if err := ep.JoinContext(r.Context(), sb, options...); err != nil {
		return nil, err
	}
	return sb.Key(), nil
}

func (s *Server) leave(r *request) (any, error) {
	ep, err := s.endpoint(r)
	if err != nil {
		return nil, err
	}
	sb, err := s.sandbox(r.PathValue("sandbox"))
	if err != nil {
		return nil, err
	}
	return nil, ep.LeaveContext(r.Context(), sb)
}

func (s *Server) createService(r *request) (any, error) {
	in := r.body.(*api.ServiceCreate)
	network, err := s.defaultNetwork(in.Network)
	if err != nil {
		return nil, err
	}
	return s.create(r, network, &in.EndpointCreate)
}

// deleteService refuses a body that names another service than the path.
func (s *Server) deleteService(r *request) (any, error) {
	in := r.body.(*api.ServiceDelete)
	_, rec, err := s.record(r)
	if err != nil {
		return nil, err
	}
	if in.Name != "" && in.Name != rec.Name {
		return nil, mismatch("service", in.Name, rec.Name)
	}
	ep, err := s.endpoint(r)
	if err != nil {
		return nil, err
	}
	return nil, ep.DeleteContext(r.Context(), in.Force)
}

// backends lists the sandbox that the service is in, if it is in one.
func (s *Server) backends(r *request) (any, error) {
	x, e, err := s.record(r)
	if err != nil {
		return nil, err
	}
	out := []api.Sandbox{}
	if sb := x.sandboxes[e.SandboxID]; sb != nil {
		out = append(out, s.sandboxView(x, sb))
	}
	return out, nil
}
