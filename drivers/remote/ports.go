package remote

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin/protocol"
)

// mostPorts is how many published ports a plugin is told of: each is a message of its own
// in the protocol, which has no ranges.
const mostPorts = 10_000

// ProgramExternalConnectivity tells the plugin that the endpoint is the one by which its
// sandbox gets out, and which ports are to be published there. A plugin that publishes
// none need not have the method.
func (d *Driver) ProgramExternalConnectivity(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint, sandbox *cnm.Sandbox) error {
	options, err := endpointOptions(ep, sandbox)
	if err != nil {
		return err
	}
	request := protocol.ConnectivityRequest{NetworkID: n.ID, EndpointID: ep.ID, Options: options}
	err = absent(d.call(ctx, "ProgramExternalConnectivity", request, nil))
	return d.takeBack(ctx, err, "RevokeExternalConnectivity", protocol.EndpointRequest{NetworkID: n.ID, EndpointID: ep.ID})
}

// RevokeExternalConnectivity takes that back.
func (d *Driver) RevokeExternalConnectivity(ctx context.Context, n *cnm.Network, ep *cnm.Endpoint) error {
	return absent(d.repeat(ctx, "RevokeExternalConnectivity", protocol.EndpointRequest{NetworkID: n.ID, EndpointID: ep.ID}, nil))
}

// portMap writes ranges out, one port each.
func portMap(bindings []cnm.PortBinding) ([]protocol.PortBinding, error) {
	count := 0
	for _, b := range bindings {
		if count += b.Count(); count > mostPorts {
			return nil, cnm.E("", cnm.Invalid, fmt.Errorf("published ports: a plugin is told of %d at most; publish fewer", mostPorts))
		}
	}
	out := make([]protocol.PortBinding, 0, count)
	for _, b := range bindings {
		for i := range b.Count() {
			p := protocol.PortBinding{
				Proto: b.Protocol, IP: text(b.IP), Port: b.Port + uint16(i),
				HostIP: text(b.HostIP), HostPort: b.HostPort, HostPortEnd: max(b.HostPort, b.HostPortEnd),
			}
			if b.PortEnd != 0 && b.HostPort != 0 {
				if int(b.HostPort)+i > 65535 {
					return nil, cnm.E("", cnm.Invalid, fmt.Errorf("published port %s/%d: the range of the host's ports from %d on ends beyond 65535",
						netstate.Protocol(b.Protocol), b.Port, b.HostPort))
				}
				p.HostPort += uint16(i)
				p.HostPortEnd = p.HostPort
			}
			out = append(out, p)
		}
	}
	return out, nil
}

func exposedPorts(ports []cnm.Port) []protocol.TransportPort {
	out := make([]protocol.TransportPort, len(ports))
	for i, p := range ports {
		out[i] = protocol.TransportPort{Proto: p.Protocol, Port: p.Port}
	}
	return out
}

// text is empty for no address.
func text(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.String()
}
