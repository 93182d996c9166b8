package server

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// TestWithoutAddresses: containers of networks without addresses, which ask for them by
// themselves, have MAC addresses of their own, in each network and on each machine.
func TestWithoutAddresses(t *testing.T) {
	s := newSite(t)
	seen := make(map[string]bool)
	for i := range 2 {
		create := bridgeRequest(i, map[string]any{"driver": "macvlan", "parent": kerneltest.LanLink})
		create.IPv4Data, create.IPv6Data = []protocol.IPAMData{{Pool: "0.0.0.0/0"}}, nil
		if i > 0 {
			create.Options["com.docker.network.generic"] = nil // a bridge
		}
		s.call(protocol.CreateNetwork, create, &protocol.Empty{})
		for j := range 2 {
			var made protocol.CreateEndpointReply
			s.call(protocol.CreateEndpoint, endpointRequest(i, j, ""), &made)
			if made.Interface == nil || made.Interface.MacAddress == "" || seen[made.Interface.MacAddress] {
				t.Errorf("network %d, endpoint %d: %+v", i, j, made.Interface)
				continue
			}
			seen[made.Interface.MacAddress] = true
		}
	}
	if seen[derivedMAC(protocol.Interface{}).String()] {
		t.Error("there is a MAC address that each machine would have")
	}
	for i := range 2 {
		s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(i)}, &protocol.Empty{})
	}
	s.wantNothing()
}

// TestSweptAddressIsAnothers: an address that the engine has given back, and got again for
// another container, stays that one's when what had it before is removed.
func TestSweptAddressIsAnothers(t *testing.T) {
	s := newSite(t)
	const id, address = "LocalDefault/10.1.0.0/24", "10.1.0.11"
	s.call(protocol.CreateNetwork, bridgeRequest(1, nil), &protocol.Empty{})
	s.call(protocol.RequestPool, protocol.RequestPoolRequest{AddressSpace: "LocalDefault", Pool: "10.1.0.0/24"}, &protocol.RequestPoolReply{})
	ask := protocol.RequestAddressRequest{PoolID: id, Address: address}
	s.call(protocol.RequestAddress, ask, &protocol.RequestAddressReply{})
	s.call(protocol.CreateEndpoint, endpointRequest(1, 1, address+"/24"), &protocol.CreateEndpointReply{})
	time.Sleep(2 * time.Millisecond) // what is written down has milliseconds
	s.call(protocol.ReleaseAddress, protocol.ReleaseAddressRequest{PoolID: id, Address: address}, &protocol.Empty{})
	s.call(protocol.RequestAddress, ask, &protocol.RequestAddressReply{})
	s.server.sweepFor(context.Background(), engine{root: "/proc/self/root", started: time.Now().Add(time.Hour)})
	var listing manage.Listing
	s.call(manage.List, nil, &listing)
	if len(listing.Networks[0].Endpoints) != 0 || len(listing.Pools[0].Addresses) != 1 {
		t.Errorf("left is %+v", listing)
	}
	s.refuse(protocol.RequestAddress, ask, "is in use")
	s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, &protocol.Empty{})
	s.call(protocol.ReleasePool, protocol.ReleasePoolRequest{PoolID: id}, &protocol.Empty{})
	s.wantNothing()
}

// TestManyPorts: a request may publish a great many ports.
func TestManyPorts(t *testing.T) {
	s := newSite(t)
	s.call(protocol.CreateNetwork, bridgeRequest(1, nil), &protocol.Empty{})
	r := endpointRequest(1, 1, "10.1.0.7/24")
	const first, count = 10000, 20000
	var ports []protocol.PortBinding
	var exposed []protocol.TransportPort
	for i := range uint16(count) {
		ports = append(ports, protocol.PortBinding{Proto: 17, Port: first + i, HostIP: kerneltest.HostIPv4, HostPort: first + i, HostPortEnd: first + i})
		exposed = append(exposed, protocol.TransportPort{Proto: 17, Port: first + i})
	}
	r.Options["com.docker.network.portmap"], r.Options["com.docker.network.endpoint.exposedports"] = ports, exposed
	s.call(protocol.CreateEndpoint, r, &protocol.CreateEndpointReply{})
	s.call(protocol.Join, joinRequest(1, 1, "/run/c"), &protocol.JoinReply{})
	started := time.Now()
	s.call(protocol.ProgramConnectivity, publish(1, 1, ports...), &protocol.Empty{})
	t.Logf("published %d ports in %s", count, time.Since(started))
	if got := s.ask(protocol.EndpointInfo, name(1, 1)); got.status != http.StatusOK {
		t.Errorf("told of the endpoint: %.200s", got.Err)
	}
	s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, &protocol.Empty{})
	s.wantNothing()
}
