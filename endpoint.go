package libnetwork

import (
	"context"
	"net"
	"slices"
	"sync/atomic"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/portmap"
	"github.com/docker/libnetwork/types"
)

// endpoint is the one implementation of Endpoint, EndpointInfo and InterfaceInfo.
// Its record is immutable.
type endpoint struct {
	n       *network
	lock    opLock
	record  atomic.Pointer[cnm.Endpoint]
	deleted atomic.Bool
	// quiet ends the announcing of the endpoint's addresses; it belongs to whoever
	// holds lock.
	quiet context.CancelFunc
	// ports are the host's ports that are held for the endpoint, or nil; whoever holds
	// the lock of its sandbox may change them.
	ports *portmap.Reservation
}

func (n *network) newEndpoint(record *cnm.Endpoint) *endpoint {
	ep := &endpoint{n: n, lock: newOpLock(), quiet: func() {}}
	ep.record.Store(record)
	return ep
}

func (ep *endpoint) ID() string { return ep.record.Load().ID }

func (ep *endpoint) Name() string { return ep.record.Load().Name }

func (ep *endpoint) Network() string { return ep.n.Name() }

func (ep *endpoint) Info() EndpointInfo { return ep }

// subject is how errors name the endpoint.
func (ep *endpoint) subject() string { return quote("endpoint", ep.Name()) }

func (ep *endpoint) DriverInfo() (map[string]interface{}, error) {
	if ep.deleted.Load() {
		return nil, ep.gone()
	}
	rec := ep.record.Load()
	info := make(map[string]interface{})
	if !rec.MAC.IsZero() {
		info[netlabel.MacAddress] = rec.MAC.HardwareAddr()
	}
	exposed := rec.ExposedPorts
	if sb := ep.sandbox(); sb != nil {
		if first := ep.n.c.publishingEndpoint(recordsOf(sb.members())); first != nil && first.ID == rec.ID {
			exposed = slices.Concat(exposed, sb.record.Load().ExposedPorts)
		}
	}
	if exposed != nil {
		info[netlabel.ExposedPorts] = portsTo(exposed)
	}
	switch {
	case rec.Published != nil:
		info[netlabel.PortMap] = bindingsTo(rec.Published)
	case rec.PortBindings != nil:
		info[netlabel.PortMap] = bindingsTo(rec.PortBindings)
	}
	network := ep.n.record.Load()
	if driver, ok := ep.n.c.driverOf(network).(informer); ok {
		told, err := driver.EndpointOperInfo(context.Background(), network, rec)
		if err != nil {
			return nil, operationError("driver info of "+ep.subject(), err)
		}
		for key, value := range told {
			if _, ours := info[key]; !ours {
				info[key] = value
			}
		}
	}
	return info, nil
}

// informer is a driver that tells more of an endpoint than its record does.
type informer interface {
	EndpointOperInfo(context.Context, *cnm.Network, *cnm.Endpoint) (map[string]any, error)
}

func (ep *endpoint) gone() error { return &UnknownEndpointError{name: ep.Name(), id: ep.ID()} }

func (ep *endpoint) Iface() InterfaceInfo {
	rec := ep.record.Load()
	if rec.MAC.IsZero() && !rec.IPv4.IsValid() && !rec.IPv6.IsValid() {
		return nil
	}
	return ep
}

func (ep *endpoint) Gateway() net.IP { return ipTo(nextHop(ep.record.Load().Gateway4)) }

func (ep *endpoint) GatewayIPv6() net.IP { return ipTo(nextHop(ep.record.Load().Gateway6)) }

func (ep *endpoint) StaticRoutes() []*types.StaticRoute {
	var out []*types.StaticRoute
	for _, r := range ep.record.Load().Routes {
		route := &types.StaticRoute{Destination: ipNetTo(r.Destination), RouteType: types.CONNECTED}
		if r.NextHop.IsValid() {
			route.RouteType, route.NextHop = types.NEXTHOP, ipTo(r.NextHop)
		}
		out = append(out, route)
	}
	return out
}

func (ep *endpoint) Sandbox() Sandbox {
	// A nil *sandbox in the interface would not be nil.
	if sb := ep.sandbox(); sb != nil {
		return sb
	}
	return nil
}

// sandbox returns the sandbox that the endpoint is in, or nil.
func (ep *endpoint) sandbox() *sandbox {
	id := ep.record.Load().SandboxID
	ep.n.c.mu.RLock()
	defer ep.n.c.mu.RUnlock()
	return ep.n.c.sandboxes[id]
}

func (ep *endpoint) MacAddress() net.HardwareAddr { return ep.record.Load().MAC.HardwareAddr() }

func (ep *endpoint) Address() *net.IPNet { return ipNetTo(ep.record.Load().IPv4) }

func (ep *endpoint) AddressIPv6() *net.IPNet { return ipNetTo(ep.record.Load().IPv6) }

func (ep *endpoint) LinkLocalAddresses() []*net.IPNet { return ipNetsTo(ep.record.Load().LinkLocal) }

func (ep *endpoint) Join(sandbox Sandbox, options ...EndpointOption) error {
	return ep.JoinContext(context.Background(), sandbox, options...)
}

func (ep *endpoint) Leave(sandbox Sandbox, options ...EndpointOption) error {
	return ep.LeaveContext(context.Background(), sandbox, options...)
}

func (ep *endpoint) Delete(force bool) error { return ep.DeleteContext(context.Background(), force) }
