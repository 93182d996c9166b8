package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/plugin/protocol"
	"github.com/docker/libnetwork/types"
)

// endpoint finds an endpoint of the engine.
func (s *Server) endpoint(networkID, endpointID string) (libnetwork.Network, libnetwork.Endpoint, error) {
	n, err := s.network(networkID)
	if err != nil {
		return nil, nil, err
	}
	ep, err := n.EndpointByName(endpointID)
	return n, ep, err
}

// withEndpoint does something with an endpoint, while nobody else does. The errors are of
// the operation.
func (s *Server) withEndpoint(ctx context.Context, what, networkID, endpointID string, do func(libnetwork.Network, libnetwork.Endpoint) error) error {
	op := fmt.Sprintf("%s endpoint %q", what, endpointID)
	release, err := s.locks.acquire(ctx, "endpoint "+endpointID)
	if err != nil {
		return cnm.Wrap(op, err)
	}
	defer release()
	n, ep, err := s.endpoint(networkID, endpointID)
	if err != nil {
		return cnm.Wrap(op, err)
	}
	return cnm.Wrap(op, do(n, ep))
}

func (s *Server) createEndpoint(ctx context.Context, r *protocol.CreateEndpointRequest) (*protocol.CreateEndpointReply, error) {
	op := fmt.Sprintf("create endpoint %q", r.EndpointID)
	release, err := s.locks.acquire(ctx, "endpoint "+r.EndpointID)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	defer release()
	asked := protocol.Interface{}
	if r.Interface != nil {
		asked = *r.Interface
	}
	ep, err := s.makeEndpoint(ctx, r, asked)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	return &protocol.CreateEndpointReply{Interface: added(asked, ep.Info().Iface())}, nil
}

func (s *Server) makeEndpoint(ctx context.Context, r *protocol.CreateEndpointRequest, asked protocol.Interface) (libnetwork.Endpoint, error) {
	n, err := s.network(r.NetworkID)
	if err != nil {
		return nil, err
	}
	if r.EndpointID == "" {
		return nil, invalid("the id is empty")
	}
	sum, err := digest(r)
	if err != nil {
		return nil, err
	}
	if ep, err := n.EndpointByName(r.EndpointID); err == nil {
		return ep, s.sameRequest(s.endpointRecord(ep.ID()).Labels, sum)
	}
	options, err := endpointOptions(n, r.Options, asked)
	if err != nil {
		return nil, err
	}
	options = append(options,
		libnetwork.CreateOptionLabels(map[string]string{LabelPlugin: s.Name, LabelRequest: sum}),
		libnetwork.CreateOptionAnonymous(), libnetwork.CreateOptionDisableResolution())
	var mac []libnetwork.EndpointOption
	// Without an address it would be the same for all, on other machines too.
	if asked.Address+asked.AddressIPv6 != "" && asked.MacAddress == "" && r.Options[netlabel.MacAddress] == nil && hasOwnMAC(n) {
		derived := map[string]any{netlabel.MacAddress: derivedMAC(asked)}
		mac = []libnetwork.EndpointOption{libnetwork.EndpointOptionGeneric(derived)}
	}
	var ep libnetwork.Endpoint
	err = s.sweeping(ctx, func() (err error) {
		ep, err = n.CreateEndpointContext(ctx, r.EndpointID, slices.Concat(mac, options)...)
		return err
	})
	if errors.Is(err, cnm.Exists) && mac != nil {
		// As a rule it is the address that is taken, and the engine has not chosen the other.
		ep, err = n.CreateEndpointContext(ctx, r.EndpointID, options...)
	}
	return ep, err
}

// endpointRecord returns the record of an endpoint; one with nothing in it if that has gone.
func (s *Server) endpointRecord(id string) *cnm.Endpoint {
	for _, rec := range s.Inspector.Records().Endpoints {
		if rec.ID == id {
			return rec
		}
	}
	return &cnm.Endpoint{}
}

// added returns what the engine left to the driver, and nil if that is nothing: to set what
// was asked for once more is an error to it.
func added(asked protocol.Interface, has libnetwork.InterfaceInfo) *protocol.Interface {
	var out protocol.Interface
	if has == nil {
		return nil
	}
	if mac := has.MacAddress(); asked.MacAddress == "" && len(mac) > 0 {
		out.MacAddress = mac.String()
	}
	if address := has.Address(); asked.Address == "" && address != nil {
		out.Address = address.String()
	}
	if address := has.AddressIPv6(); asked.AddressIPv6 == "" && address != nil {
		out.AddressIPv6 = address.String()
	}
	if out == (protocol.Interface{}) {
		return nil
	}
	return &out
}

func (s *Server) deleteEndpoint(ctx context.Context, r *protocol.EndpointRequest) (*protocol.Empty, error) {
	err := s.withEndpoint(ctx, "delete", r.NetworkID, r.EndpointID, func(_ libnetwork.Network, ep libnetwork.Endpoint) error {
		return s.removeEndpoint(context.WithoutCancel(ctx), ep)
	})
	if err := ignoreNotFound(err); err != nil {
		return nil, err
	}
	return &protocol.Empty{}, nil
}

// removeEndpoint takes the endpoint away, and the sandbox that it may be in.
func (s *Server) removeEndpoint(ctx context.Context, ep libnetwork.Endpoint) error {
	if sb := ep.Info().Sandbox(); sb != nil {
		// It takes its endpoint with it.
		if err := ignoreNotFound(sb.DeleteContext(ctx)); err != nil {
			return err
		}
	}
	return ignoreNotFound(ep.DeleteContext(ctx, true))
}

func (s *Server) endpointInfo(ctx context.Context, r *protocol.EndpointRequest) (*protocol.EndpointInfoReply, error) {
	out := &protocol.EndpointInfoReply{Value: make(map[string]any)}
	err := s.withEndpoint(ctx, "tell of", r.NetworkID, r.EndpointID, func(_ libnetwork.Network, ep libnetwork.Endpoint) error {
		info, err := ep.DriverInfo()
		if err != nil {
			return err
		}
		if mac, ok := info[netlabel.MacAddress].(net.HardwareAddr); ok {
			out.Value[netlabel.MacAddress] = mac.String()
		}
		if bindings, ok := info[netlabel.PortMap].([]types.PortBinding); ok {
			out.Value[netlabel.PortMap] = portsTo(bindings)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// sandboxName is what the container of an endpoint is called here: an engine does not say
// which container it is, and each endpoint has a sandbox of its own.
func sandboxName(endpointID string) string { return "docker-" + endpointID }

func (s *Server) join(ctx context.Context, r *protocol.JoinRequest) (*protocol.JoinReply, error) {
	var out *protocol.JoinReply
	err := s.withEndpoint(ctx, "join", r.NetworkID, r.EndpointID, func(n libnetwork.Network, ep libnetwork.Endpoint) error {
		if _, err := publishedPorts(r.Options); err != nil {
			return err // before there is anything to take back
		}
		// Whatever it was in before, the engine knows nothing of it: it asks again because
		// it got no answer, or it died with the container.
		if err := s.leaveSandbox(context.WithoutCancel(ctx), ep); err != nil {
			return err
		}
		sb, err := s.newSandbox(ctx, r)
		if err != nil {
			return err
		}
		if err := ep.JoinContext(ctx, sb); err != nil {
			return errors.Join(err, sb.DeleteContext(context.WithoutCancel(ctx)))
		}
		out = joinReply(n, s.endpointRecord(ep.ID()))
		return nil
	})
	return out, err
}

func (s *Server) newSandbox(ctx context.Context, r *protocol.JoinRequest) (libnetwork.Sandbox, error) {
	options := sandboxOptions(map[string]any{LabelPlugin: s.Name, LabelKey: r.SandboxKey})
	sb, err := s.Controller.NewSandboxContext(ctx, sandboxName(r.EndpointID), options...)
	if !errors.Is(err, cnm.Exists) {
		return sb, err
	}
	// A join that was cut short has left it, with nothing in it.
	if err := s.Controller.SandboxDestroy(sandboxName(r.EndpointID)); err != nil {
		return nil, err
	}
	return s.Controller.NewSandboxContext(ctx, sandboxName(r.EndpointID), options...)
}

// sandboxOptions are what makes a sandbox the engine's; Refresh wants them again.
func sandboxOptions(labels map[string]any) []libnetwork.SandboxOption {
	return []libnetwork.SandboxOption{libnetwork.OptionHandover(), libnetwork.OptionGeneric(labels)}
}

// joinReply says what the engine has to do: to take the link, and to give it routes.
func joinReply(n libnetwork.Network, rec *cnm.Endpoint) *protocol.JoinReply {
	prefix := n.Info().DriverOptions()[netlabel.ContainerIfacePrefix]
	if prefix == "" {
		prefix = "eth"
	}
	out := &protocol.JoinReply{
		InterfaceName: &protocol.InterfaceName{SrcName: rec.Interface, DstPrefix: prefix},
		StaticRoutes:  []protocol.StaticRoute{},
		// Where there is no gateway the user wants none.
		DisableGatewayService: true,
	}
	for _, family := range []struct {
		gateway netip.Addr
		text    *string
	}{{rec.Gateway4, &out.Gateway}, {rec.Gateway6, &out.GatewayIPv6}} {
		switch {
		case !family.gateway.IsValid():
		case family.gateway.IsUnspecified():
			everything := netip.PrefixFrom(family.gateway, 0)
			out.StaticRoutes = append(out.StaticRoutes, protocol.StaticRoute{Destination: everything.String(), RouteType: protocol.RouteConnected})
		default:
			*family.text = family.gateway.String()
		}
	}
	for _, route := range rec.Routes {
		one := protocol.StaticRoute{Destination: route.Destination.String(), RouteType: protocol.RouteConnected}
		if route.NextHop.IsValid() {
			one.RouteType, one.NextHop = protocol.RouteNextHop, route.NextHop.String()
		}
		out.StaticRoutes = append(out.StaticRoutes, one)
	}
	// What the driver wants of the container's own table, such as ways to other subnets.
	for _, part := range rec.Parts {
		for _, route := range part.Routes {
			if route.Link != rec.Interface {
				continue
			}
			one := protocol.StaticRoute{Destination: route.Destination.String(), RouteType: protocol.RouteConnected}
			if route.Gateway.IsValid() {
				one.RouteType, one.NextHop = protocol.RouteNextHop, route.Gateway.String()
			}
			out.StaticRoutes = append(out.StaticRoutes, one)
		}
	}
	return out
}

func (s *Server) leave(ctx context.Context, r *protocol.EndpointRequest) (*protocol.Empty, error) {
	err := s.withEndpoint(ctx, "leave", r.NetworkID, r.EndpointID, func(n libnetwork.Network, ep libnetwork.Endpoint) error {
		if n.Type() != driverBridge {
			// The engine brings the link back to the host only after this, and then deletes
			// the endpoint; the link must go with that. A pair goes with its other end.
			return nil
		}
		return s.leaveSandbox(context.WithoutCancel(ctx), ep)
	})
	if err := ignoreNotFound(err); err != nil {
		return nil, err
	}
	return &protocol.Empty{}, nil
}

// leaveSandbox takes the endpoint out of its sandbox, if it is in one, and deletes that.
func (s *Server) leaveSandbox(ctx context.Context, ep libnetwork.Endpoint) error {
	sb := ep.Info().Sandbox()
	if sb == nil {
		return nil
	}
	if err := ep.LeaveContext(ctx, sb); err != nil {
		return err
	}
	return ignoreNotFound(sb.DeleteContext(ctx))
}

func (s *Server) programConnectivity(ctx context.Context, r *protocol.ConnectivityRequest) (*protocol.Empty, error) {
	err := s.withEndpoint(ctx, "publish ports of", r.NetworkID, r.EndpointID, func(_ libnetwork.Network, ep libnetwork.Endpoint) error {
		ports, err := publishedPorts(r.Options)
		if err != nil {
			return err
		}
		sb := ep.Info().Sandbox()
		if sb == nil {
			return cnm.E("", cnm.Forbidden, errors.New("the endpoint is in no container; join it first"))
		}
		if isTrue(r.Options[netlabel.NoProxy6To4]) && ep.Info().Iface().AddressIPv6() == nil {
			ports = onlyIPv4(ports)
		}
		return s.sweeping(ctx, func() error {
			return sb.Refresh(append(sandboxOptions(sb.Labels()), libnetwork.OptionPortMapping(ports))...)
		})
	})
	if err != nil {
		return nil, err
	}
	return &protocol.Empty{}, nil
}

func (s *Server) revokeConnectivity(ctx context.Context, r *protocol.EndpointRequest) (*protocol.Empty, error) {
	err := s.withEndpoint(ctx, "unpublish ports of", r.NetworkID, r.EndpointID, func(_ libnetwork.Network, ep libnetwork.Endpoint) error {
		sb := ep.Info().Sandbox()
		if sb == nil {
			return nil
		}
		return sb.Refresh(sandboxOptions(sb.Labels())...)
	})
	if err := ignoreNotFound(err); err != nil {
		return nil, err
	}
	return &protocol.Empty{}, nil
}
