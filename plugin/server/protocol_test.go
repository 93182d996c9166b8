package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin/lease"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/protocol"
)

// empty is a controller that has nothing. Whatever is not here panics: bad requests are to
// be refused before anything is asked of it.
type empty struct {
	libnetwork.NetworkController
	libnetwork.Inspector
}

func (empty) NetworkByID(id string) (libnetwork.Network, error) {
	return nil, libnetwork.ErrNoSuchNetwork(id)
}

func (empty) Networks() []libnetwork.Network { return nil }

func (empty) Records() libnetwork.Records { return libnetwork.Records{} }

func newEmpty(t testing.TB) *Server {
	t.Helper()
	book, err := lease.Open(context.Background(), memory.New(), lease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Name: "dnet", Controller: empty{}, Inspector: empty{}, Leases: book})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reply is an answer.
type reply struct {
	status int
	text   string
	protocol.Failure
}

func ask(t testing.TB, s http.Handler, verb, method, body string) reply {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(verb, "/"+method, strings.NewReader(body)))
	out := reply{status: w.Code, text: w.Body.String()}
	if got := w.Header().Get("Content-Type"); got != protocol.ContentType {
		t.Errorf("%s: content type %q", method, got)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out.Failure); err != nil {
		t.Errorf("%s: answer %q: %v", method, out.text, err)
	}
	if out.Err != out.Error || (out.Err == "") != (out.status == http.StatusOK) {
		t.Errorf("%s: status %d with %q", method, out.status, out.text)
	}
	return out
}

// TestEachMethod asks each method something that it can answer without a controller.
func TestEachMethod(t *testing.T) {
	const id = `"NetworkID":"n1"`
	const ids = id + `,"EndpointID":"e1"`
	const notFound = `network "n1": not found`
	asked := map[string][]struct{ body, answer, err string }{
		protocol.Activate:            {{"", `{"Implements":["NetworkDriver","IpamDriver"]}`, ""}, {"null", `"NetworkDriver"`, ""}},
		protocol.NetworkCapabilities: {{"", `{"Scope":"local","ConnectivityScope":"local","GwAllocChecker":true}`, ""}},
		protocol.GatewayCheck: {
			{`{"Options":{"com.docker.network.generic":{"driver":"macvlan"}}}`, `{"SkipIPv4":true,"SkipIPv6":true}`, ""},
			{`{}`, `{"SkipIPv4":false,"SkipIPv6":false}`, ""},
			{`{"Options":{"com.docker.network.generic":{"driver":"host"}}}`, "", `check gateways: option "driver": value "host": want bridge, macvlan, ipvlan`},
		},
		protocol.AllocateNetwork: {{`{` + id + `}`, "", "of local scope"}},
		protocol.FreeNetwork:     {{`{` + id + `}`, "", "of local scope"}},
		protocol.CreateNetwork: {
			{`{}`, "", `create network "": the id is empty`},
			{`{` + id + `,"Options":{"com.docker.network.generic":"x"}}`, "", `option "com.docker.network.generic": value of type string: want an object`},
			{`{` + id + `,"Options":{"com.docker.network.generic":{"driver":["bridge"]}}}`, "", `want bridge, macvlan, ipvlan`},
			{`{` + id + `,"Options":{"a":"1","com.docker.network.generic":{"a":"2"}}}`, "", `option "a": is given twice`},
			{`{` + id + `,"Options":{"a":[1],"com.docker.network.generic":{"a":[2]}}}`, "", `option "a": is given twice`},
			{`{` + id + `,"IPv4Data":[{"Pool":"x"}]}`, "", `create network "n1": subnet "x": not in CIDR form`},
			{`{` + id + `,"IPv4Data":[{"Pool":"fd00::/64"}]}`, "", "is of the other address family"},
			{`{` + id + `,"IPv6Data":[{"Pool":"10.0.0.0/8"}]}`, "", "is of the other address family"},
		},
		protocol.DeleteNetwork:  {{`{` + id + `}`, "{}", ""}},
		protocol.CreateEndpoint: {{`{` + ids + `}`, "", `create endpoint "e1": ` + notFound}},
		protocol.EndpointInfo:   {{`{` + ids + `}`, "", `tell of endpoint "e1": ` + notFound}},
		protocol.DeleteEndpoint: {{`{` + ids + `}`, "{}", ""}},
		protocol.Join:           {{`{` + ids + `}`, "", `join endpoint "e1": ` + notFound}},
		protocol.Leave:          {{`{` + ids + `}`, "{}", ""}},
		protocol.ProgramConnectivity: {
			{`{` + ids + `}`, "", `publish ports of endpoint "e1": ` + notFound},
		},
		protocol.RevokeConnectivity:   {{`{` + ids + `}`, "{}", ""}},
		protocol.DiscoverNew:          {{`{"DiscoveryType":1,"DiscoveryData":{"Address":"10.0.0.1","Self":true}}`, "{}", ""}},
		protocol.DiscoverDelete:       {{`{"DiscoveryType":1,"DiscoveryData":{"Address":"10.0.0.1"}}`, "{}", ""}},
		protocol.IpamCapabilities:     {{"", `{"RequiresMACAddress":false,"RequiresRequestReplay":false}`, ""}},
		protocol.DefaultAddressSpaces: {{"", `{"LocalDefaultAddressSpace":"LocalDefault","GlobalDefaultAddressSpace":"GlobalDefault"}`, ""}},
		protocol.RequestPool: {
			{`{"AddressSpace":"LocalDefault","Pool":"10.9.8.7/24"}`, `{"PoolID":"LocalDefault/10.9.8.0/24","Pool":"10.9.8.0/24","Data":{}}`, ""},
			{`{"AddressSpace":"LocalDefault","Pool":"10.9.8.0/24"}`, "", `request pool: subnet "10.9.8.0/24": overlaps subnet`},
			{`{"AddressSpace":"LocalDefault"}`, `{"PoolID":"LocalDefault/172.17.0.0/16"`, ""},
			{`{"AddressSpace":"LocalDefault"}`, `{"PoolID":"LocalDefault/172.18.0.0/16"`, ""},
			{`{"AddressSpace":"else"}`, "", `address space "else": is unknown`},
			{`{"AddressSpace":"LocalDefault","Pool":"x"}`, "", `subnet "x": not in CIDR form`},
			{`{"AddressSpace":"LocalDefault","Pool":"10.0.0.0/8","SubPool":"y"}`, "", `address range "y": not in CIDR form`},
			{`{"AddressSpace":"LocalDefault","Options":{"z":"1"}}`, "", `option "z": value "1": there is only "com.docker.network.ipam.serial"`},
			{`{"AddressSpace":"LocalDefault","Options":{"com.docker.network.ipam.serial":"x"}}`, "", `with true or false`},
			{`{"AddressSpace":"LocalDefault","Pool":"10.8.0.0/24","Options":{"com.docker.network.ipam.serial":"true"}}`, `{"PoolID":"LocalDefault/10.8.0.0/24"`, ""},
		},
		protocol.RequestAddress: {
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Options":{"RequestAddressType":"com.docker.network.gateway"}}`, `{"Address":"10.9.8.1/24","Data":{}}`, ""},
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Address":"10.9.8.9","Options":{"com.docker.network.endpoint.macaddress":"02:00:00:00:00:01","com.docker.network.endpoint.name":"x"}}`, `{"Address":"10.9.8.9/24"`, ""},
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Address":"10.9.8.9"}`, "", `request address: address "10.9.8.9": is in use`},
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Address":"10.9.8.9/24"}`, "", `not an IP address`},
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Options":{"RequestAddressType":"x"}}`, "", `option "RequestAddressType": value "x"`},
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Options":{"com.docker.network.endpoint.macaddress":"x"}}`, "", `value "x"`},
			{`{"PoolID":"none"}`, "", `pool "none": does not exist`},
		},
		protocol.ReleaseAddress: {
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Address":"10.9.8.9"}`, "{}", ""},
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Address":"10.9.8.9"}`, "{}", ""},
			{`{"PoolID":"none","Address":"10.9.8.9"}`, "{}", ""},
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Address":"x"}`, "", "not an IP address"},
			{`{"PoolID":"LocalDefault/10.9.8.0/24","Address":"10.1.1.1"}`, "", "is not in subnet"},
		},
		protocol.ReleasePool: {{`{"PoolID":"LocalDefault/10.9.8.0/24"}`, "{}", ""}, {`{"PoolID":"LocalDefault/10.9.8.0/24"}`, "{}", ""}},
		manage.List:          {{"", `{"Networks":[],"Pools":[{"ID":"LocalDefault/10.8.0.0/24"`, ""}},
		manage.Prune: {
			{`{"Networks":[{"ID":""}]}`, "", "prune: a network has no id"},
			{`{"Networks":[{"ID":"x","Subnets":["y"]}]}`, "", `prune: subnet "y": not in CIDR form`},
			{`{"Networks":[{"ID":"x","Addresses":["y"]}]}`, "", `prune: address "y": not an IP address`},
			{`{"Networks":[]}`, `{"Removed":[],"Problems":null}`, ""},
		},
	}
	s := newEmpty(t)
	order := []string{protocol.RequestPool, protocol.RequestAddress, protocol.ReleaseAddress, protocol.ReleasePool}
	for method := range s.methods {
		if len(asked[method]) == 0 {
			t.Errorf("%s: is not tested", method)
		}
		if !slices.Contains(order, method) {
			order = append(order, method)
		}
	}
	for _, method := range order {
		for _, a := range asked[method] {
			got := ask(t, s, http.MethodPost, method, a.body)
			if a.err == "" && (got.status != http.StatusOK || !strings.Contains(got.text, a.answer)) || !strings.Contains(got.Err, a.err) || (a.err == "") != (got.Err == "") {
				t.Errorf("%s %s: status %d: %s\nwant %s%s", method, a.body, got.status, got.text, a.answer, a.err)
			}
		}
	}
}

// TestGarbage: what is no request is refused, with the status that engines understand.
func TestGarbage(t *testing.T) {
	s := newEmpty(t)
	for method := range s.methods {
		for _, c := range []struct {
			verb, body string
			status     int
		}{
			{http.MethodGet, "", http.StatusMethodNotAllowed},
			{http.MethodDelete, "{}", http.StatusMethodNotAllowed},
			{http.MethodPost, "{", http.StatusBadRequest},
			{http.MethodPost, "\x00\xff", http.StatusBadRequest},
			{http.MethodPost, "[]", http.StatusBadRequest},
			{http.MethodPost, `"x"`, http.StatusBadRequest},
			{http.MethodPost, "{} {}", http.StatusBadRequest},
			{http.MethodPost, strings.Repeat("[", 20000), http.StatusBadRequest},
		} {
			if got := ask(t, s, c.verb, method, c.body); got.status != c.status {
				t.Errorf("%s %s %.20s: status %d, want %d: %s", c.verb, method, c.body, got.status, c.status, got.text)
			}
		}
	}
	huge := `{"x":"` + strings.Repeat("y", maxBody) + `"}`
	if got := ask(t, s, http.MethodPost, protocol.Join, huge); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d bytes: status %d: %s", len(huge), got.status, got.text)
	}
	for _, path := range []string{"", "x", "NetworkDriver", "NetworkDriver.", "NetworkDriver.Nothing", "../etc/passwd", "networkdriver.join"} {
		if got := ask(t, s, http.MethodPost, path, "{}"); got.status != http.StatusNotFound {
			t.Errorf("%q: status %d: %s", path, got.status, got.text)
		}
	}
}

func TestWithoutAddressManager(t *testing.T) {
	s, err := New(Options{Name: "dnet", Controller: empty{}, Inspector: empty{}})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, http.MethodPost, protocol.Activate, ""); strings.Contains(got.text, "Ipam") {
		t.Errorf("implements %s", got.text)
	}
	if got := ask(t, s, http.MethodPost, protocol.RequestPool, "{}"); got.status != http.StatusNotFound {
		t.Errorf("status %d: %s", got.status, got.text)
	}
	for _, o := range []Options{{Controller: empty{}, Inspector: empty{}}, {Name: "a/b", Controller: empty{}, Inspector: empty{}}, {Name: "dnet"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v makes a server", o)
		}
	}
}

// TestEndpointGarbage reads what no network is needed for.
func TestEndpointGarbage(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                             "",
		`null`:                           "",
		`"x"`:                            "cannot unmarshal",
		`[{"Proto":6,"Port":70000}]`:     "70000",
		`[{"Proto":6,"IP":"x"}]`:         `address "x": not an IP address`,
		`[{"Proto":6,"HostIP":"::1%x"}]`: `address "::1%x": not an IP address`,
	} {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		_, err := portBindings(value)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for text, good := range map[string]bool{`"02:00:00:00:00:01"`: true, `"AgAAAAAB"`: true, `null`: true, `""`: true, `"x"`: false, `7`: false} {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		if err := takeMAC(map[string]any{}, value); (err == nil) != good {
			t.Errorf("MAC address %s: %v", text, err)
		}
	}
}

// named is a network with nothing but options.
type named struct {
	libnetwork.Network
	libnetwork.NetworkInfo
	options map[string]string
}

func (n named) Info() libnetwork.NetworkInfo { return n }

func (n named) DriverOptions() map[string]string { return n.options }

func TestRoutesOfJoin(t *testing.T) {
	rec := &cnm.Endpoint{
		Interface: "dnet1", Gateway4: netip.IPv4Unspecified(), Gateway6: netip.MustParseAddr("fd00::1"),
		Routes: []cnm.StaticRoute{{Destination: netip.MustParsePrefix("10.8.0.0/16"), NextHop: netip.MustParseAddr("10.1.0.9")}, {Destination: netip.MustParsePrefix("10.9.0.0/16")}},
		Parts: []netstate.Part{
			{Routes: []netstate.Route{{Destination: netip.MustParsePrefix("10.1.0.0/24"), Link: "else"}}},
			{Namespace: "/run/c", Routes: []netstate.Route{
				{Destination: netip.MustParsePrefix("10.2.0.0/24"), Link: "dnet1"}, {Destination: netip.MustParsePrefix("10.3.0.0/24"), Gateway: netip.MustParseAddr("10.1.0.8"), Link: "dnet1"},
			}},
		},
	}
	got, err := json.Marshal(joinReply(named{options: map[string]string{"com.docker.network.container_iface_prefix": "lan"}}, rec))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"InterfaceName":{"SrcName":"dnet1","DstPrefix":"lan"},"Gateway":"","GatewayIPv6":"fd00::1","StaticRoutes":[` +
		`{"Destination":"0.0.0.0/0","RouteType":1,"NextHop":""},{"Destination":"10.8.0.0/16","RouteType":0,"NextHop":"10.1.0.9"},` +
		`{"Destination":"10.9.0.0/16","RouteType":1,"NextHop":""},{"Destination":"10.2.0.0/24","RouteType":1,"NextHop":""},` +
		`{"Destination":"10.3.0.0/24","RouteType":0,"NextHop":"10.1.0.8"}],"DisableGatewayService":true}`
	if string(got) != want {
		t.Errorf("joined\n%s, want\n%s", got, want)
	}
}

// TestSubnets: what engines write of a subnet.
func TestSubnets(t *testing.T) {
	for _, c := range []struct {
		data         protocol.IPAMData
		ipv6, onLink bool
		want         string
	}{
		{data: protocol.IPAMData{}, want: "none"},
		{data: protocol.IPAMData{Pool: "0.0.0.0/0"}, want: "none"},
		{data: protocol.IPAMData{Pool: "::/0"}, ipv6: true, want: "none"},
		{data: protocol.IPAMData{Pool: "10.1.2.3/24", Gateway: "10.1.2.1/24"}, want: "10.1.2.0/24 10.1.2.1/24 map[]"},
		{data: protocol.IPAMData{Pool: "10.1.2.0/24", Gateway: "10.1.2.1/24", AuxAddresses: map[string]string{"a": "10.1.2.9"}}, onLink: true, want: "10.1.2.0/24  map[a:10.1.2.9 the engine's gateway:10.1.2.1/24]"},
		{data: protocol.IPAMData{Pool: "10.1.2.0/24"}, onLink: true, want: "10.1.2.0/24  map[]"},
	} {
		conf, err := subnet(c.data, c.ipv6, c.onLink)
		got := "none"
		if conf != nil {
			got = fmt.Sprint(conf.PreferredPool, " ", conf.Gateway, " ", conf.AuxAddresses)
		}
		if err != nil || got != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.data, got, err, c.want)
		}
	}
}

// FuzzRequest: nothing that is sent makes the server answer with anything but JSON.
func FuzzRequest(f *testing.F) {
	methods := make([]string, 0)
	for method := range newEmpty(f).methods {
		methods = append(methods, method)
	}
	slices.Sort(methods)
	for i := range methods {
		f.Add(uint8(i), `{"NetworkID":"n","EndpointID":"e","Options":{"com.docker.network.generic":{"driver":"bridge"}},"IPv4Data":[{"Pool":"10.0.0.0/24","Gateway":"10.0.0.1/24"}]}`)
		f.Add(uint8(i), `{"AddressSpace":"LocalDefault","Pool":"10.0.0.0/24","PoolID":"LocalDefault/10.0.0.0/24","Address":"10.0.0.1"}`)
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		method := methods[int(which)%len(methods)]
		if method == protocol.CreateNetwork {
			// Up to the controller, which has tests of its own.
			var r protocol.CreateNetworkRequest
			if decode([]byte(body), &r) == nil {
				_, _, _ = newEmpty(t).networkOptions(&r)
			}
			return
		}
		ask(t, newEmpty(t), http.MethodPost, method, body)
	})
}
