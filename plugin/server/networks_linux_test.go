package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// TestNetworks: what networks can be, and cannot.
func TestNetworks(t *testing.T) {
	s := newSite(t)
	var none protocol.Empty
	internal := bridgeRequest(1, nil)
	internal.Options["com.docker.network.internal"] = true
	s.call(protocol.CreateNetwork, internal, &none)
	s.call(protocol.CreateEndpoint, endpointRequest(1, 1, "10.1.0.7/24"), &protocol.CreateEndpointReply{})
	var joined protocol.JoinReply
	s.call(protocol.Join, joinRequest(1, 1, "/run/c"), &joined)
	if joined.Gateway != "" || joined.GatewayIPv6 != "" || !joined.DisableGatewayService {
		t.Errorf("internal: joined %+v", joined)
	}
	parent := func(i int, options ...string) *protocol.CreateNetworkRequest {
		generic := map[string]any{"driver": "macvlan", "parent": kerneltest.LanLink}
		for _, option := range options {
			key, value, _ := strings.Cut(option, "=")
			generic[key] = value
		}
		r := bridgeRequest(i, generic)
		r.IPv4Data[0].AuxAddresses = nil
		return r
	}
	s.refuse(protocol.CreateNetwork, parent(2, "com.docker.network.macvlan.host_shim=true"), "host's address to a container")
	s.refuse(protocol.CreateNetwork, parent(2, "macvlan_mode=x"), "macvlan_mode")
	s.refuse(protocol.CreateNetwork, parent(2, "driver=overlay"), "want bridge, macvlan, ipvlan")
	s.refuse(protocol.CreateNetwork, bridgeRequest(2, map[string]any{"mtv": "1"}), `option "mtv": unknown`)
	s.refuse(protocol.CreateNetwork, bridgeRequest(2, map[string]any{"com.docker.network.driver.mtu": "1"}), "mtu")
	overlapping := bridgeRequest(2, nil)
	overlapping.IPv4Data = internal.IPv4Data
	s.refuse(protocol.CreateNetwork, overlapping, `overlaps subnet "10.1.0.0/24" of network "docker-`)

	// An engine brings the link back after it has left, and then deletes the endpoint.
	s.call(protocol.CreateNetwork, parent(3), &none)
	s.call(protocol.CreateEndpoint, endpointRequest(3, 3, "10.3.0.7/24"), &protocol.CreateEndpointReply{})
	s.refuse(protocol.CreateEndpoint, &protocol.CreateEndpointRequest{
		NetworkID: networkID(3), EndpointID: endpointID(4), Interface: &protocol.Interface{Address: "10.3.0.8/24"},
		Options: map[string]any{"com.docker.network.generic": map[string]any{"com.docker.network.endpoint.bandwidth.ingress": "1M"}},
	}, "the engine moves the interface")
	container := kerneltest.NewNamespace(t)
	s.call(protocol.Join, joinRequest(3, 3, container), &joined)
	s.refuse(protocol.ProgramConnectivity, publish(3, 3, protocol.PortBinding{Proto: 6, Port: 80, HostPort: 8080}), "reach them there")
	s.take(container, joined, "10.3.0.7/24")
	s.restart()
	s.call(protocol.Leave, name(3, 3), &none)
	s.run(container, "ip", "link", "set", "eth0", "netns", s.Host, "name", joined.InterfaceName.SrcName)
	s.call(protocol.DeleteEndpoint, name(3, 3), &none)
	for i := range 4 {
		s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(i)}, &none)
	}
	s.wantNothing()
}

// TestFamilies: where another endpoint of the container serves IPv6, one without leaves it
// alone.
func TestFamilies(t *testing.T) {
	s := newSite(t)
	only4 := bridgeRequest(1, nil)
	only4.IPv6Data = nil
	s.call(protocol.CreateNetwork, only4, &protocol.Empty{})
	s.call(protocol.CreateEndpoint, endpointRequest(1, 1, "10.1.0.7/24"), &protocol.CreateEndpointReply{})
	s.call(protocol.Join, joinRequest(1, 1, "/run/c"), &protocol.JoinReply{})
	asked := publish(1, 1, protocol.PortBinding{Proto: 6, Port: 80, HostPort: 8081}, protocol.PortBinding{Proto: 6, Port: 80, HostIP: "::1", HostPort: 8082})
	for value, want := range map[any]string{true: "0.0.0.0:8081", "false": "0.0.0.0:8081 :::8081 ::1:8082"} {
		asked.Options["com.docker.network.driver.private.no_proxy_6to4"] = value
		s.call(protocol.ProgramConnectivity, asked, &protocol.Empty{})
		var info protocol.EndpointInfoReply
		s.call(protocol.EndpointInfo, name(1, 1), &info)
		ports, err := publishedPorts(info.Value)
		ok(t, err)
		var got []string
		for _, p := range ports {
			got = append(got, fmt.Sprintf("%s:%d", p.HostIP, p.HostPort))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("with %v: published at %q, want %q", value, got, want)
		}
	}
	s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, &protocol.Empty{})
}

// TestRows: ports in a row may be one record, and are told one by one.
func TestRows(t *testing.T) {
	s := newSite(t)
	s.call(protocol.CreateNetwork, bridgeRequest(1, nil), &protocol.Empty{})
	s.call(protocol.CreateEndpoint, endpointRequest(1, 1, "10.1.0.7/24"), &protocol.CreateEndpointReply{})
	s.call(protocol.Join, joinRequest(1, 1, "/run/c"), &protocol.JoinReply{})
	var row []protocol.PortBinding
	for i := range uint16(3) {
		row = append(row, protocol.PortBinding{Proto: 17, Port: 80 + i, HostIP: "0.0.0.0", HostPort: 9000 + i})
	}
	s.call(protocol.ProgramConnectivity, publish(1, 1, row...), &protocol.Empty{})
	var listing manage.Listing
	s.call(manage.List, nil, &listing)
	var got []string
	for _, p := range listing.Networks[0].Endpoints[0].Ports {
		got = append(got, fmt.Sprintf("%s:%d->%d", p.HostIP, p.HostPort, p.Port))
	}
	if want := "0.0.0.0:9000->80 0.0.0.0:9001->81 0.0.0.0:9002->82"; strings.Join(got, " ") != want {
		t.Errorf("listed are %q, want %q", got, want)
	}
	s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, &protocol.Empty{})
}

// TestIPvlan: where everything is on the link the engine gets routes in place of a gateway.
func TestIPvlan(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIPvlan)
	s := newSite(t)
	for i, mode := range []string{"l2", "l3", "l3s"} {
		create := bridgeRequest(1, map[string]any{"driver": "ipvlan", "parent": kerneltest.LanLink, "ipvlan_mode": mode})
		create.IPv4Data = append(create.IPv4Data, bridgeRequest(2, nil).IPv4Data...)
		s.call(protocol.CreateNetwork, create, &protocol.Empty{})
		var containers []string
		for j, address := range []string{"10.1.0.7/24", "10.2.0.7/24"} {
			id := 10*i + j
			var made protocol.CreateEndpointReply
			s.call(protocol.CreateEndpoint, endpointRequest(1, id, address), &made)
			if made.Interface != nil && made.Interface.MacAddress != "" {
				t.Errorf("mode %s: an endpoint has the MAC address %s", mode, made.Interface.MacAddress)
			}
			container := kerneltest.NewNamespace(t)
			var joined protocol.JoinReply
			s.call(protocol.Join, joinRequest(1, id, container), &joined)
			if (joined.Gateway == "") != (mode != "l2") {
				t.Errorf("mode %s: joined %+v", mode, joined)
			}
			s.take(container, joined, address)
			for _, route := range joined.StaticRoutes {
				if !strings.Contains(route.Destination, ":") {
					s.run(container, "ip", "route", "add", route.Destination, "dev", "eth0")
				}
			}
			containers = append(containers, container)
		}
		if mode != "l2" {
			s.run(containers[0], "busybox", "ping", "-c", "1", "-W", "3", "10.2.0.7")
		}
		for _, container := range containers {
			s.run(container, "ip", "link", "delete", "eth0") // as when the container ends
		}
		s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, &protocol.Empty{})
	}
	s.wantNothing()
}
