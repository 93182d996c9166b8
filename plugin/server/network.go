package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/protocol"
)

func (s *Server) capabilities(context.Context, *protocol.Empty) (*protocol.NetworkCapabilitiesReply, error) {
	return &protocol.NetworkCapabilitiesReply{
		Scope: protocol.ScopeLocal, ConnectivityScope: protocol.ScopeLocal, GwAllocChecker: true,
	}, nil
}

// checkGateways: networks on a parent have the gateway that the user names, or none.
func (s *Server) checkGateways(_ context.Context, r *protocol.GatewayCheckRequest) (*protocol.GatewayCheckReply, error) {
	n, err := parseNetworkOptions(r.Options)
	if err != nil {
		return nil, cnm.Wrap("check gateways", err)
	}
	skip := n.driver != driverBridge
	return &protocol.GatewayCheckReply{SkipIPv4: skip, SkipIPv6: skip}, nil
}

func errLocal() error {
	return cnm.E("", cnm.Unsupported, errors.New("the networks of this plugin are of local scope; no manager allocates them"))
}

func (s *Server) allocateNetwork(_ context.Context, r *protocol.AllocateNetworkRequest) (*protocol.AllocateNetworkReply, error) {
	return nil, cnm.Wrap(fmt.Sprintf("allocate network %q", r.NetworkID), errLocal())
}

func (s *Server) freeNetwork(_ context.Context, r *protocol.FreeNetworkRequest) (*protocol.Empty, error) {
	return nil, cnm.Wrap(fmt.Sprintf("free network %q", r.NetworkID), errLocal())
}

// discover hears of nodes, which networks of local scope have no use for.
func (s *Server) discover(context.Context, *protocol.DiscoveryNotification) (*protocol.Empty, error) {
	return &protocol.Empty{}, nil
}

// network finds a network that was made for the engine. Those of others are none of its
// business.
func (s *Server) network(id string) (libnetwork.Network, error) {
	n, err := s.Controller.NetworkByID(id)
	if err != nil {
		return nil, err
	}
	if n.Info().Labels()[LabelPlugin] != s.Name {
		return nil, cnm.E(fmt.Sprintf("network %q", id), cnm.Forbidden, fmt.Errorf("was not made by plugin %q", s.Name))
	}
	return n, nil
}

func (s *Server) createNetwork(ctx context.Context, r *protocol.CreateNetworkRequest) (*protocol.Empty, error) {
	release, err := s.locks.acquire(ctx, "network "+r.NetworkID)
	if err != nil {
		return nil, err
	}
	defer release()
	op := fmt.Sprintf("create network %q", r.NetworkID)
	if r.NetworkID == "" {
		return nil, cnm.Wrap(op, invalid("the id is empty"))
	}
	sum, err := digest(r)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	driver, options, err := s.networkOptions(r)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	if n, err := s.Controller.NetworkByID(r.NetworkID); err == nil {
		if err := s.sameRequest(n.Info().Labels(), sum); err != nil {
			return nil, cnm.Wrap(op, err)
		}
		return &protocol.Empty{}, nil
	}
	options = append(options, libnetwork.NetworkOptionLabels(map[string]string{LabelPlugin: s.Name, LabelRequest: sum}))
	name := "docker-" + short(r.NetworkID)
	_, err = s.Controller.NewNetworkContext(ctx, driver, name, r.NetworkID, options...)
	var taken libnetwork.NetworkNameError
	if errors.As(err, &taken) {
		_, err = s.Controller.NewNetworkContext(ctx, driver, "docker-"+r.NetworkID, r.NetworkID, options...)
	}
	if err != nil {
		return nil, err
	}
	return &protocol.Empty{}, nil
}

// sameRequest says whether what is there already is what is asked for.
func (s *Server) sameRequest(labels map[string]string, sum string) error {
	switch {
	case labels[LabelPlugin] != s.Name:
		return cnm.E("", cnm.Exists, fmt.Errorf("there is one with that id, which was not made by plugin %q", s.Name))
	case labels[LabelRequest] != sum:
		return cnm.E("", cnm.Exists, errors.New("there is one with that id, which was made with other settings; remove it first"))
	}
	return nil
}

// short is how ids are shown.
func short(id string) string { return id[:min(12, len(id))] }

// deleteNetwork takes with it what an engine that died has left in the network: as far as
// the engine knows, there is nothing in it.
func (s *Server) deleteNetwork(ctx context.Context, r *protocol.DeleteNetworkRequest) (*protocol.Empty, error) {
	release, err := s.locks.acquire(ctx, "network "+r.NetworkID)
	if err != nil {
		return nil, err
	}
	defer release()
	n, err := s.network(r.NetworkID)
	if errors.Is(err, cnm.NotFound) {
		return &protocol.Empty{}, nil
	}
	if err == nil {
		err = s.removeNetwork(context.WithoutCancel(ctx), n)
	}
	if err != nil {
		return nil, cnm.Wrap(fmt.Sprintf("delete network %q", r.NetworkID), err)
	}
	return &protocol.Empty{}, nil
}

func (s *Server) removeNetwork(ctx context.Context, n libnetwork.Network) error {
	for _, ep := range n.Endpoints() {
		if err := s.removeEndpoint(ctx, ep); err != nil {
			return err
		}
	}
	return ignoreNotFound(n.DeleteContext(ctx))
}

func ignoreNotFound(err error) error {
	if errors.Is(err, cnm.NotFound) {
		return nil
	}
	return err
}
