package server

import (
	"context"
	"errors"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

func (s *Server) listNetworks(r *request) (any, error) {
	x := s.inspect()
	out := []api.Network{}
	for _, n := range x.Networks {
		driver, scope := r.query.Get("driver"), r.query.Get("scope")
		if r.matchName(n.Name, n.ID) && r.matchLabels(n.Labels) &&
			(driver == "" || driver == n.Driver) && (scope == "" || scope == string(n.Scope)) {
			out = append(out, x.networkView(n, false))
		}
	}
	return out, nil
}

func (s *Server) getNetwork(r *request) (any, error) {
	x := s.inspect()
	n, err := x.network(r.PathValue("network"))
	if err != nil {
		return nil, err
	}
	return x.networkView(n, true), nil
}

func (s *Server) createNetwork(r *request) (any, error) {
	in := r.body.(*api.NetworkCreate)
	if in.NetworkType == "" && s.Controller.Config().Daemon.DefaultDriver == "" {
		return nil, invalid("no network type is named, and the daemon has no default driver")
	}
	n, err := s.Controller.NewNetworkContext(r.Context(), in.NetworkType, in.Name, in.ID, networkOptions(in)...)
	if err != nil {
		return nil, err
	}
	return n.ID(), nil
}

func (s *Server) deleteNetwork(r *request) (any, error) {
	n, err := s.network(r.PathValue("network"))
	if err != nil {
		return nil, err
	}
	return nil, n.DeleteContext(r.Context())
}

// pruneNetworks deletes the networks that nobody uses. One that somebody begins to use
// meanwhile stays.
func (s *Server) pruneNetworks(r *request) (any, error) {
	x := s.inspect()
	report := api.PruneReport{Deleted: []api.Network{}}
	var errs []error
	for _, rec := range x.Networks {
		if rec.Name == s.DefaultNetwork || rec.Labels[api.LabelPlugin] != "" || !r.matchLabels(rec.Labels) || len(x.endpointsOf(rec.ID)) > 0 {
			continue
		}
		n, err := s.Controller.NetworkByID(rec.ID)
		if err == nil {
			err = n.DeleteContext(r.Context())
		}
		switch {
		case err == nil:
			view := x.networkView(rec, false)
			view.Subnets = []api.Subnet{}
			report.Deleted = append(report.Deleted, view)
		case errors.Is(err, cnm.NotFound) || errors.Is(err, cnm.Forbidden):
		default:
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, cnm.E("prune networks", cnm.KindOf(err), err)
	}
	return report, nil
}

// connect makes an endpoint that joins the container's sandbox, or neither.
func (s *Server) connect(r *request) (any, error) {
	in := r.body.(*api.NetworkConnect)
	n, err := s.network(r.PathValue("network"))
	if err != nil {
		return nil, err
	}
	rec, err := s.inspect().sandbox(in.Container)
	if err != nil {
		return nil, err
	}
	sb, err := s.Controller.SandboxByID(rec.ID)
	if err != nil {
		return nil, err
	}
	options, err := endpointOptions(&in.EndpointCreate)
	if err != nil {
		return nil, err
	}
	for alias, name := range in.Aliases {
		options = append(options, libnetwork.CreateOptionAlias(name, alias))
	}
	if in.Name == "" {
		in.Name = rec.ContainerID
	}
	ep, err := n.CreateEndpointContext(r.Context(), in.Name, options...)
	if err != nil {
		return nil, err
	}
	if err := ep.JoinContext(r.Context(), sb, libnetwork.JoinOptionPriority(ep, in.Priority)); err != nil {
		return nil, errors.Join(err, ep.DeleteContext(context.WithoutCancel(r.Context()), true))
	}
	x := s.inspect()
	made, err := x.endpoint("", ep.ID())
	if err != nil {
		return nil, err
	}
	return x.endpointView(made), nil
}

// disconnect makes the container's endpoints in the network leave, and deletes them.
func (s *Server) disconnect(r *request) (any, error) {
	in := r.body.(*api.NetworkDisconnect)
	n, err := s.network(r.PathValue("network"))
	if err != nil {
		return nil, err
	}
	x := s.inspect()
	sb, err := x.sandbox(in.Container)
	if err != nil {
		return nil, err
	}
	found := false
	for _, rec := range x.endpointsOf(n.ID()) {
		if rec.SandboxID != sb.ID {
			continue
		}
		found = true
		ep, err := n.EndpointByID(rec.ID)
		if err == nil {
			err = ep.DeleteContext(r.Context(), true)
		}
		if err != nil && !errors.Is(err, cnm.NotFound) {
			return nil, err
		}
	}
	if !found {
		return nil, cnm.E("disconnect", cnm.NotFound, errors.New(quote("container", sb.ContainerID)+" is not in "+quote("network", n.Name())))
	}
	return nil, nil
}
