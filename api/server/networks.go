package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
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
func (s *Server) connect(r *request) (_ any, err error) {
	in := r.body.(*api.NetworkConnect)
	n, err := s.network(r.PathValue("network"))
	if err != nil {
		return nil, err
	}
	if err := hasLabels(n, in.NetworkLabels); err != nil {
		return nil, err
	}
	options, err := endpointOptions(&in.EndpointCreate)
	if err != nil {
		return nil, err
	}
	options = append(options, libnetwork.CreateOptionRecordWithJoin())
	for alias, name := range in.Aliases {
		options = append(options, libnetwork.CreateOptionAlias(name, alias))
	}
	var u undo.Stack
	defer u.OnError(r.Context(), &err)
	sb, err := s.sandboxToConnect(r, &u)
	if err != nil {
		return nil, err
	}
	if in.Name == "" {
		in.Name = sb.ContainerID()
	}
	ep, err := n.CreateEndpointContext(r.Context(), in.Name, options...)
	if err != nil {
		return nil, err
	}
	u.Push("delete the endpoint", func(ctx context.Context) error { return ep.DeleteContext(ctx, true) })
	if err := ep.JoinContext(r.Context(), sb, libnetwork.JoinOptionPriority(ep, in.Priority)); err != nil {
		return nil, err
	}
	x := s.inspect()
	made, err := x.endpoint("", ep.ID())
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		// Whoever was killed is followed by one who deletes what there is, maybe before this.
		return nil, cnm.E("connect", cnm.Timeout, fmt.Errorf("whoever asked has hung up: %w", err))
	}
	return x.endpointView(made), nil
}

func hasLabels(n libnetwork.Network, wanted map[string]string) error {
	has := n.Info().Labels()
	for key, value := range wanted {
		if got, found := has[key]; !found || got != value {
			return cnm.E(quote("network", n.Name()), cnm.NotFound, fmt.Errorf("there is one, but without the label %s=%s", key, value))
		}
	}
	return nil
}

// sandboxToConnect returns the one that is there, or makes it.
func (s *Server) sandboxToConnect(r *request, u *undo.Stack) (libnetwork.Sandbox, error) {
	in := r.body.(*api.NetworkConnect)
	if in.Sandbox == nil {
		return s.sandbox(in.Container)
	}
	if in.Container != "" {
		return nil, invalid("container %q: is there beside a sandbox to be made; give one of them", in.Container)
	}
	sb, err := s.makeSandbox(r.Context(), in.Sandbox, libnetwork.OptionRecordWithJoin())
	if err != nil {
		return nil, err
	}
	u.Push("delete the sandbox", func(ctx context.Context) error {
		if len(sb.Endpoints()) > 0 {
			return nil // somebody else has come to rely on it
		}
		return sb.DeleteContext(ctx)
	})
	return sb, nil
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
