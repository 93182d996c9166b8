package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore/bolt"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/plugin/lease"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// site is a machine with a plugin, which is started anew on the same data as often as a
// test likes. It plays the engine by requests.
type site struct {
	*kerneltest.Lan
	t      testing.TB
	folder string
	// before is what the machine has without the plugin's networks.
	before     string
	controller libnetwork.NetworkController
	store      cnm.Store
	server     *Server
}

func newSite(t testing.TB) *site {
	t.Helper()
	kerneltest.RequireRoot(t)
	s := &site{Lan: kerneltest.NewLan(t), t: t, folder: t.TempDir()}
	s.before = s.picture()
	s.start()
	t.Cleanup(func() {
		s.stop()
		if after := s.picture(); after != s.before && !t.Failed() {
			t.Errorf("on the host before:\n%s\nand after:\n%s", s.before, after)
		}
	})
	return s
}

func (s *site) picture() string {
	s.t.Helper()
	host, err := kernel.Open(kernel.Options{HostNamespace: s.Host, Instance: "picture"})
	ok(s.t, err)
	defer host.Close() //nolint:errcheck // read only
	return kerneltest.Snapshot(s.t, host, "")
}

func (s *site) start() {
	s.t.Helper()
	controller, err := libnetwork.New(config.OptionHostNamespace(s.Host), config.OptionDataDir(s.folder),
		config.OptionExecRoot(filepath.Join(s.folder, "run")), config.OptionAnnounce(0, 0))
	ok(s.t, err)
	s.controller = controller
	s.store, err = bolt.Open(filepath.Join(s.folder, "leases.db"), bolt.Options{})
	ok(s.t, err)
	book, err := lease.Open(context.Background(), s.store, lease.Options{})
	ok(s.t, err)
	s.server, err = New(Options{
		Name: "dnet", Controller: controller, Inspector: controller.(libnetwork.Inspector), Leases: book, HostNamespace: s.Host,
	})
	ok(s.t, err)
}

func (s *site) stop() {
	s.t.Helper()
	s.controller.Stop()
	ok(s.t, s.store.Close())
}

func (s *site) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

// call expects an answer, and refuse an error that says so.
func (s *site) call(method string, request, reply any) {
	s.t.Helper()
	got := s.ask(method, request)
	if got.status != http.StatusOK {
		s.t.Fatalf("%s: status %d: %s", method, got.status, got.Err)
	}
	ok(s.t, json.Unmarshal([]byte(got.text), reply))
}

func (s *site) refuse(method string, request any, says string) {
	s.t.Helper()
	if got := s.ask(method, request); got.Err == "" || !strings.Contains(got.Err, says) {
		s.t.Errorf("%s: %q, want %q", method, got.text, says)
	}
}

func (s *site) ask(method string, request any) reply {
	s.t.Helper()
	text, err := json.Marshal(request)
	ok(s.t, err)
	return ask(s.t, s.server, http.MethodPost, method, string(text))
}

// Ids, as an engine makes them.
func networkID(i int) string  { return fmt.Sprintf("%012x%052x", 0xabcd<<32+i, i) }
func endpointID(i int) string { return fmt.Sprintf("%012x%052x", 0xef01<<32+i, i) }

func bridgeRequest(i int, options map[string]any) *protocol.CreateNetworkRequest {
	return &protocol.CreateNetworkRequest{
		NetworkID: networkID(i), Options: map[string]any{"com.docker.network.enable_ipv6": true, "com.docker.network.generic": options},
		IPv4Data: []protocol.IPAMData{{AddressSpace: "LocalDefault", Pool: fmt.Sprintf("10.%d.0.0/24", i), Gateway: fmt.Sprintf("10.%d.0.1/24", i), AuxAddresses: map[string]string{"a": fmt.Sprintf("10.%d.0.9/24", i)}}},
		IPv6Data: []protocol.IPAMData{{AddressSpace: "LocalDefault", Pool: fmt.Sprintf("fd00:%d::/64", i), Gateway: fmt.Sprintf("fd00:%d::1/64", i)}},
	}
}

func endpointRequest(network, i int, address string) *protocol.CreateEndpointRequest {
	return &protocol.CreateEndpointRequest{
		NetworkID: networkID(network), EndpointID: endpointID(i), Interface: &protocol.Interface{Address: address},
		Options: map[string]any{
			"com.docker.network.endpoint.exposedports": []protocol.TransportPort{{Proto: 6, Port: 80}},
			"com.docker.network.portmap":               []protocol.PortBinding{{Proto: 6, Port: 80, HostPort: 8080}},
		},
	}
}

func name(network, i int) *protocol.EndpointRequest {
	return &protocol.EndpointRequest{NetworkID: networkID(network), EndpointID: endpointID(i)}
}

func joinRequest(network, i int, key string) *protocol.JoinRequest {
	return &protocol.JoinRequest{NetworkID: networkID(network), EndpointID: endpointID(i), SandboxKey: key}
}

func publish(network, i int, ports ...protocol.PortBinding) *protocol.ConnectivityRequest {
	return &protocol.ConnectivityRequest{NetworkID: networkID(network), EndpointID: endpointID(i), Options: map[string]any{"com.docker.network.portmap": ports}}
}

func (s *site) run(namespace string, arguments ...string) string {
	s.t.Helper()
	var out []byte
	err := kerneltest.Do(namespace, func() (err error) {
		out, err = exec.Command(arguments[0], arguments[1:]...).CombinedOutput()
		return err
	})
	if err != nil {
		s.t.Fatalf("%q: %v: %s", arguments, err, out)
	}
	return string(out)
}

// take is what the engine does with the answer of a join.
func (s *site) take(container string, joined protocol.JoinReply, address string) {
	s.t.Helper()
	inside := joined.InterfaceName.DstPrefix + "0"
	s.run(s.Host, "ip", "link", "set", joined.InterfaceName.SrcName, "netns", container, "name", inside)
	s.run(container, "ip", "address", "add", address, "dev", inside)
	s.run(container, "ip", "link", "set", inside, "up")
	if joined.Gateway != "" {
		s.run(container, "ip", "route", "add", "default", "via", joined.Gateway)
	}
}

func (s *site) wantAnswer(namespace, address string, there bool) {
	s.t.Helper()
	limit := 2 * time.Second
	if !there {
		limit = 300 * time.Millisecond
	}
	if got, err := kerneltest.Ask(namespace, "tcp", address, limit); (err == nil) != there {
		s.t.Errorf("%s answers %q, %v", address, got, err)
	}
}

// TestLife: a container comes and goes, with each side started anew in between and each
// request sent twice.
func TestLife(t *testing.T) {
	s := newSite(t)
	var none protocol.Empty
	create := bridgeRequest(1, map[string]any{"com.docker.network.driver.mtu": "1400", "com.docker.network.container_iface_prefix": "lan"})
	for range 2 {
		s.call(protocol.CreateNetwork, create, &none)
		s.restart()
	}
	other := bridgeRequest(1, nil)
	s.refuse(protocol.CreateNetwork, other, "was made with other settings; remove it first")

	var made, again protocol.CreateEndpointReply
	ep := endpointRequest(1, 1, "10.1.0.7/24")
	s.call(protocol.CreateEndpoint, ep, &made)
	s.call(protocol.CreateEndpoint, ep, &again)
	if made.Interface == nil || made.Interface.MacAddress == "" || made.Interface.Address != "" || again.Interface == nil || *again.Interface != *made.Interface {
		t.Errorf("endpoint %+v, and again %+v", made.Interface, again.Interface)
	}
	s.refuse(protocol.CreateEndpoint, endpointRequest(1, 1, "10.1.0.8/24"), "other settings")
	s.refuse(protocol.CreateEndpoint, endpointRequest(1, 2, "10.1.0.7/24"), "10.1.0.7")
	s.refuse(protocol.CreateEndpoint, endpointRequest(1, 2, "10.1.0.9/24"), "is in use") // the auxiliary address
	s.refuse(protocol.CreateEndpoint, endpointRequest(1, 2, "10.2.0.7/24"), "is in no subnet of the network")
	s.refuse(protocol.ProgramConnectivity, publish(1, 1, protocol.PortBinding{Proto: 6, Port: 80}), "is in no container; join it first")

	container := kerneltest.NewNamespace(t)
	var joined protocol.JoinReply
	s.call(protocol.Join, joinRequest(1, 1, "/run/gone"), &joined)
	s.call(protocol.Join, joinRequest(1, 1, container), &joined)
	s.restart()
	want := protocol.InterfaceName{SrcName: joined.InterfaceName.SrcName, DstPrefix: "lan"}
	if *joined.InterfaceName != want || joined.Gateway != "10.1.0.1" || joined.GatewayIPv6 != "fd00:1::1" || !joined.DisableGatewayService || len(joined.StaticRoutes) != 0 {
		t.Errorf("joined %+v %+v", joined, joined.InterfaceName)
	}
	if shown := s.run(s.Host, "ip", "-o", "link", "show", "dev", want.SrcName); !strings.Contains(shown, "state DOWN") || !strings.Contains(shown, made.Interface.MacAddress) || !strings.Contains(shown, "mtu 1400") {
		t.Errorf("what waits is %s", shown)
	}
	s.take(container, joined, "10.1.0.7/24")
	kerneltest.Serve(t, container, "engine's", 80)

	outside := kerneltest.HostIPv4 + ":8080"
	s.wantAnswer(s.Neighbor, outside, false)
	for range 2 {
		s.call(protocol.ProgramConnectivity, publish(1, 1, protocol.PortBinding{Proto: 6, Port: 80, HostPort: 8080}, protocol.PortBinding{Proto: 17, Port: 80}), &none)
		s.restart()
		s.wantAnswer(s.Neighbor, outside, true)
	}
	var info protocol.EndpointInfoReply
	s.call(protocol.EndpointInfo, name(1, 1), &info)
	ports, _ := publishedPorts(info.Value)
	if info.Value["com.docker.network.endpoint.macaddress"] != made.Interface.MacAddress || len(ports) < 2 || ports[0].HostPort != 8080 || ports[len(ports)-1].HostPort == 0 {
		t.Errorf("told of the endpoint: %v, %v", info.Value, ports)
	}
	for range 2 {
		s.call(protocol.RevokeConnectivity, name(1, 1), &none)
		s.wantAnswer(s.Neighbor, outside, false)
	}
	for _, method := range []string{protocol.Leave, protocol.Leave, protocol.DeleteEndpoint, protocol.DeleteEndpoint, protocol.Leave, protocol.RevokeConnectivity} {
		s.call(method, name(1, 1), &none)
		s.restart()
	}
	// The same address has the same MAC address: neighbours remember it.
	s.call(protocol.CreateEndpoint, endpointRequest(1, 5, "10.1.0.7/24"), &again)
	if *again.Interface != *made.Interface {
		t.Errorf("the address had %+v and now has %+v", made.Interface, again.Interface)
	}
	for range 2 {
		s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, &none) // with what is left in it
		s.restart()
	}
	s.wantNothing()
}

// wantNothing fails if the controller, or the book of addresses, has something.
func (s *site) wantNothing() {
	s.t.Helper()
	records := s.controller.(libnetwork.Inspector).Records()
	pools, err := s.server.Leases.List(context.Background())
	if n := len(records.Networks) + len(records.Endpoints) + len(records.Sandboxes) + len(pools); n != 0 || err != nil {
		s.t.Errorf("left are %d networks, %d endpoints, %d sandboxes, %d pools, %v", len(records.Networks), len(records.Endpoints), len(records.Sandboxes), len(pools), err)
	}
}

// TestForeign: what the daemon has for others is none of the engine's business.
func TestForeign(t *testing.T) {
	s := newSite(t)
	n, err := s.controller.NewNetwork("bridge", "ours", networkID(1))
	ok(t, err)
	ep, err := n.CreateEndpoint(endpointID(1))
	ok(t, err)
	s.refuse(protocol.CreateNetwork, bridgeRequest(1, nil), `was not made by plugin "dnet"`)
	s.refuse(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, `was not made by plugin "dnet"`)
	s.refuse(protocol.CreateEndpoint, endpointRequest(1, 2, ""), `was not made by plugin "dnet"`)
	for _, method := range []string{protocol.DeleteEndpoint, protocol.Leave, protocol.EndpointInfo, protocol.RevokeConnectivity} {
		s.refuse(method, name(1, 1), `was not made by plugin "dnet"`)
	}
	s.refuse(protocol.Join, joinRequest(1, 1, ""), `was not made by plugin "dnet"`)
	var reply manage.PruneReply
	s.call(manage.Prune, manage.PruneRequest{Age: 1}, &reply)
	if len(reply.Removed) > 0 {
		t.Errorf("pruned %q", reply.Removed)
	}
	ok(t, ep.Delete(true))
	ok(t, n.Delete())
}

// TestParallel: requests about many things, and about the same, at once.
func TestParallel(t *testing.T) {
	s := newSite(t)
	var group sync.WaitGroup
	for i := range 4 {
		for range 2 {
			group.Go(func() {
				s.call(protocol.CreateNetwork, bridgeRequest(i, nil), &protocol.Empty{})
			})
		}
	}
	group.Wait()
	for i := range 20 {
		for range 2 {
			group.Go(func() {
				network := i % 4
				address := fmt.Sprintf("10.%d.0.%d/24", network, 20+i)
				s.call(protocol.CreateEndpoint, endpointRequest(network, i, address), &protocol.CreateEndpointReply{})
				s.call(protocol.Join, joinRequest(network, i, fmt.Sprintf("/run/c%d", i)), &protocol.JoinReply{})
				s.call(protocol.ProgramConnectivity, publish(network, i, protocol.PortBinding{Proto: 6, Port: 80, HostPort: uint16(9000 + i)}), &protocol.Empty{})
			})
		}
	}
	group.Wait()
	var listing manage.Listing
	s.call(manage.List, nil, &listing)
	if len(listing.Networks) != 4 {
		t.Errorf("%d networks", len(listing.Networks))
	}
	for _, n := range listing.Networks {
		for _, ep := range n.Endpoints {
			if len(n.Endpoints) != 5 || ep.Interface == "" || ep.Key == "" || len(ep.Ports) == 0 || ep.MacAddress == "" {
				t.Errorf("%d endpoints, one is %+v", len(n.Endpoints), ep)
			}
		}
	}
	for i := range 20 {
		for range 2 {
			group.Go(func() {
				s.call(protocol.Leave, name(i%4, i), &protocol.Empty{})
				s.call(protocol.DeleteEndpoint, name(i%4, i), &protocol.Empty{})
			})
		}
	}
	group.Wait()
	for i := range 4 {
		group.Go(func() {
			s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(i)}, &protocol.Empty{})
		})
	}
	group.Wait()
	s.wantNothing()
}

// TestCutShort: an engine that dies in the midst of a request leaves nothing.
func TestCutShort(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.server.createNetwork(ctx, bridgeRequest(1, nil)); err == nil {
		t.Error("a network is made for nobody")
	}
	s.wantNothing()
	s.call(protocol.CreateNetwork, bridgeRequest(1, nil), &protocol.Empty{})
	s.call(protocol.CreateEndpoint, endpointRequest(1, 1, "10.1.0.7/24"), &protocol.CreateEndpointReply{})
	if _, err := s.server.join(ctx, joinRequest(1, 1, "/run/c")); err == nil {
		t.Error("a container is joined for nobody")
	}
	if left := s.controller.Sandboxes(); len(left) > 0 {
		t.Errorf("%d sandboxes are left", len(left))
	}
	// A sandbox that a crash has left is in nobody's way.
	_, err := s.controller.NewSandbox(sandboxName(endpointID(1)), sandboxOptions(map[string]any{LabelPlugin: "dnet"})...)
	ok(t, err)
	s.call(protocol.Join, joinRequest(1, 1, "/run/c"), &protocol.JoinReply{})
	// What was asked to go goes, whoever waits for the answer.
	release, err := s.server.locks.acquire(context.Background(), "network "+networkID(1))
	ok(t, err)
	if _, err := s.server.deleteNetwork(ctx, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}); !errors.Is(err, cnm.Timeout) {
		t.Errorf("while another request is at it: %v", err)
	}
	release()
	s.call(protocol.DeleteNetwork, &protocol.DeleteNetworkRequest{NetworkID: networkID(1)}, &protocol.Empty{})
	s.wantNothing()
}
