package server

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// sandbox finds a sandbox by its id or by that of its container.
func (s *Server) sandbox(key string) (libnetwork.Sandbox, error) {
	rec, err := s.inspect().sandbox(key)
	if err != nil {
		return nil, err
	}
	return s.Controller.SandboxByID(rec.ID)
}

func (s *Server) listSandboxes(r *request) (any, error) {
	x := s.inspect()
	out := []api.Sandbox{}
	for _, sb := range x.Sandboxes {
		labels := make(map[string]string)
		for key, value := range sb.Labels {
			if text, ok := value.(string); ok {
				labels[key] = text
			}
		}
		container := r.query.Get("container-id")
		if (container == "" || container == sb.ContainerID) &&
			strings.HasPrefix(sb.ContainerID, r.query.Get("partial-container-id")) &&
			strings.HasPrefix(sb.ID, r.query.Get("partial-id")) && r.matchLabels(labels) {
			out = append(out, s.sandboxView(x, sb))
		}
	}
	return out, nil
}

func (s *Server) getSandbox(r *request) (any, error) {
	x := s.inspect()
	sb, err := x.sandbox(r.PathValue("sandbox"))
	if err != nil {
		return nil, err
	}
	return s.sandboxView(x, sb), nil
}

func (s *Server) createSandbox(r *request) (any, error) {
	sb, err := s.makeSandbox(r.Context(), r.body.(*api.SandboxCreate))
	if err != nil {
		return nil, err
	}
	return sb.ID(), nil
}

// makeSandbox records the owner with the sandbox, so that it is known also if the daemon
// ends before it has answered.
func (s *Server) makeSandbox(ctx context.Context, in *api.SandboxCreate, further ...libnetwork.SandboxOption) (libnetwork.Sandbox, error) {
	options, err := sandboxOptions(in)
	if err != nil {
		return nil, err
	}
	options = append(options, further...)
	var owner Owner
	switch in.Lifetime {
	case "":
		if in.OwnerPID != 0 {
			return nil, invalid("owner_pid %d: needs lifetime %q", in.OwnerPID, api.LifetimeProcess)
		}
	case api.LifetimeProcess:
		if s.Lifetimes == nil {
			return nil, cnm.E("lifetime", cnm.Unsupported, errors.New("this daemon does not follow processes"))
		}
		if in.OwnerPID < 0 {
			return nil, invalid("owner_pid %d: want the number of a process", in.OwnerPID)
		}
		if owner, err = s.Lifetimes.Owner(ctx, in.OwnerPID); err != nil {
			return nil, err
		}
		options = append(options, libnetwork.OptionGeneric(ownerLabels(owner)))
	default:
		return nil, invalid("lifetime %q: want %q, or none", in.Lifetime, api.LifetimeProcess)
	}
	sb, err := s.Controller.NewSandboxContext(ctx, in.ContainerID, options...)
	if err != nil {
		return nil, err
	}
	if in.Lifetime != "" {
		if err := s.Lifetimes.Follow(sb.ID(), owner); err != nil {
			return nil, errors.Join(err, sb.DeleteContext(context.WithoutCancel(ctx)))
		}
	}
	return sb, nil
}

func (s *Server) deleteSandbox(r *request) (any, error) {
	sb, err := s.sandbox(r.PathValue("sandbox"))
	if err != nil {
		return nil, err
	}
	return nil, sb.DeleteContext(r.Context())
}

func (s *Server) setKey(r *request) (any, error) {
	sb, err := s.sandbox(r.PathValue("sandbox"))
	if err != nil {
		return nil, err
	}
	if err := sb.SetKeyContext(r.Context(), r.body.(*api.SandboxKey).Key); err != nil {
		return nil, err
	}
	return sb.Key(), nil
}

func (s *Server) sandboxStatistics(r *request) (any, error) {
	sb, err := s.sandbox(r.PathValue("sandbox"))
	if err != nil {
		return nil, err
	}
	return s.inspect().statisticsView(sb)
}

// allStatistics leaves out sandboxes that go meanwhile.
func (s *Server) allStatistics(*request) (any, error) {
	x := s.inspect()
	out := []api.SandboxStatistics{}
	for _, rec := range x.Sandboxes {
		sb, err := s.Controller.SandboxByID(rec.ID)
		if err != nil {
			continue
		}
		view, err := x.statisticsView(sb)
		if err != nil {
			if _, gone := s.Controller.SandboxByID(rec.ID); gone != nil {
				continue
			}
			return nil, err
		}
		out = append(out, view)
	}
	return out, nil
}

func (s *Server) resolve(r *request) (any, error) {
	name := r.query.Get("name")
	if name == "" {
		return nil, invalid("query \"name\": is missing; want what to ask for")
	}
	sb, err := s.sandbox(r.PathValue("sandbox"))
	if err != nil {
		return nil, err
	}
	found, err := s.Inspector.Resolve(sb.ID(), name)
	if err != nil {
		return nil, err
	}
	out := api.Resolution{Name: name, Source: "outside", Answers: []string{}, Networks: found.Networks}
	for _, server := range found.Servers {
		out.Servers = append(out.Servers, server.String())
	}
	if found.Name != "" {
		out.Answers = append(out.Answers, found.Name)
	}
	for _, address := range found.Addresses {
		out.Answers = append(out.Answers, address.String())
	}
	_, notAddress := netip.ParseAddr(name)
	switch {
	case !found.Serving:
		out.Source, out.Reason = "none", "the sandbox has no DNS server: it is in no network with name resolution; what its resolv.conf names is asked without us"
	case found.Known && len(out.Answers) > 0:
		out.Source = "network"
	case found.Known && notAddress == nil:
		out.Source, out.Reason = "network", "the address is in a network of the sandbox, and nobody has it"
	case found.Known:
		out.Source, out.Reason = "network", "the name is known, and has no address"
	case len(out.Servers) == 0:
		out.Source, out.Reason = "none", "no container of its networks is called that, and it has nobody outside to ask"
	default:
		out.Reason = "no container of its networks is called that: the servers outside are asked"
	}
	return out, nil
}
