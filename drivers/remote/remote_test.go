package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/remote"
	"github.com/docker/libnetwork/internal/golden"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/plugintest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// impatience is for what has no end; what has one gets patience, on a busy machine.
const (
	impatience = time.Second
	patience   = 20 * time.Second
)

// start runs a plugin that says yes to everything, and a driver for it.
func start(t *testing.T) (*plugintest.Plugin, *remote.Driver) {
	t.Helper()
	p := plugintest.Start(t, "mesh", remote.Type)
	for _, name := range []string{
		"CreateNetwork", "DeleteNetwork", "CreateEndpoint", "DeleteEndpoint", "EndpointOperInfo", "Leave", "AllocateNetwork", "FreeNetwork",
		"ProgramExternalConnectivity", "RevokeExternalConnectivity", "DiscoverNew", "DiscoverDelete", "GwAllocCheck",
	} {
		p.Answer("NetworkDriver."+name, "{}")
	}
	p.Answer("NetworkDriver.GetCapabilities", `{"Scope":"local","GwAllocChecker":true}`)
	p.Answer("NetworkDriver.Join", `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"}}`)
	return p, with(t, p, patience, patience)
}

// with returns one that waits for answers, and for the plugin, as long as that.
func with(t *testing.T, p *plugintest.Plugin, answer, start time.Duration) *remote.Driver {
	t.Helper()
	r := plugin.New(plugin.Options{SocketFolders: []string{p.Folder}, SpecFolders: []string{p.Folder}, CallTimeout: answer, RetryFor: start})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return remote.New(r, "mesh")
}

func network() *cnm.Network {
	return &cnm.Network{
		ID: "0123456789abcdef", Name: "web", Driver: "mesh", EnableIPv4: true, EnableIPv6: true,
		Options: map[string]string{"vni": "4097", "com.docker.network.driver.mtu": "1400"},
		IPAM:    cnm.IPAMConfig{AddressSpace: "LocalDefault"},
		Subnets4: []cnm.Subnet{{
			Pool: cnm.Pool{ID: "p4", Prefix: netip.MustParsePrefix("192.0.2.0/24")}, Gateway: netip.MustParsePrefix("192.0.2.1/24"),
			Aux: map[string]netip.Addr{"printer": netip.MustParseAddr("192.0.2.9")},
		}},
		Subnets6: []cnm.Subnet{{Pool: cnm.Pool{ID: "p6", Prefix: netip.MustParsePrefix("2001:db8::/64")}}},
	}
}

func endpoint() *cnm.Endpoint {
	return &cnm.Endpoint{
		ID: "fedcba9876543210", Name: "ep", Interface: "eth0", Order: 1,
		IPv4: netip.MustParsePrefix("192.0.2.7/24"), IPv6: netip.MustParsePrefix("2001:db8::7/64"),
		Options: map[string]string{"color": "red"}, DNS: []string{"192.0.2.53"},
		ExposedPorts: []cnm.Port{{Protocol: 17, Port: 53}},
		PortBindings: []cnm.PortBinding{{Protocol: 6, Port: 80, HostPort: 8080}},
	}
}

func sandbox() *cnm.Sandbox {
	return &cnm.Sandbox{
		ID: "s", Key: "/run/ns", Labels: map[string]any{"com.example.rank": 7, "color": "blue"}, ExposedPorts: []cnm.Port{{Protocol: 6, Port: 443}},
		PortBindings: []cnm.PortBinding{{Protocol: 6, Port: 1000, PortEnd: 1002, HostPort: 2000, HostIP: netip.MustParseAddr("198.51.100.1")}},
	}
}

// Each method's request, as it is on the wire.
func TestRequests(t *testing.T) {
	p, d := start(t)
	for name, ask := range calls(d) {
		t.Run(name, func(t *testing.T) {
			p.Restart() // and so the capabilities are asked anew
			p.Calls()
			if err := ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			for _, c := range p.Calls() {
				if c.Method == "NetworkDriver.GetCapabilities" && name != "GetCapabilities" {
					continue // it is asked first
				}
				fmt.Fprintf(&text, "POST /%s\n", c.Method)
				var value any
				if c.Body == "" {
					continue
				}
				if err := json.Unmarshal([]byte(c.Body), &value); err != nil {
					t.Fatal(err)
				}
				pretty, err := json.MarshalIndent(value, "", " ")
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&text, "%s\n", pretty)
			}
			golden.Check(t, *update, "request-"+name, text.String())
		})
	}
}

// calls are all methods of the protocol, by the way that leads to them.
func calls(d *remote.Driver) map[string]func(context.Context) error {
	n, node := network(), remote.Node{Address: "198.51.100.7", BindAddress: "198.51.100.8", Self: true}
	return map[string]func(context.Context) error{
		"GetCapabilities": func(ctx context.Context) error { _, err := d.Capabilities(ctx); return err },
		"GwAllocCheck":    func(ctx context.Context) error { _, err := d.PlanAddresses(ctx, n); return err },
		"AllocateNetwork": func(ctx context.Context) error { _, err := d.AllocateNetwork(ctx, n); return err },
		"FreeNetwork":     func(ctx context.Context) error { return d.FreeNetwork(ctx, n) },
		"CreateNetwork":   func(ctx context.Context) error { _, err := d.CreateNetwork(ctx, n); return err },
		"DeleteNetwork":   func(ctx context.Context) error { return d.DeleteNetwork(ctx, n) },
		"CreateEndpoint":  func(ctx context.Context) error { return d.CreateEndpoint(ctx, n, endpoint()) },
		"DeleteEndpoint":  func(ctx context.Context) error { return d.DeleteEndpoint(ctx, n, endpoint()) },
		"EndpointOperInfo": func(ctx context.Context) error {
			_, err := d.EndpointOperInfo(ctx, n, endpoint())
			return err
		},
		"Join":  func(ctx context.Context) error { _, err := d.Join(ctx, n, endpoint(), sandbox()); return err },
		"Leave": func(ctx context.Context) error { return d.Leave(ctx, n, endpoint()) },
		"ProgramExternalConnectivity": func(ctx context.Context) error {
			return d.ProgramExternalConnectivity(ctx, n, endpoint(), sandbox())
		},
		"RevokeExternalConnectivity": func(ctx context.Context) error { return d.RevokeExternalConnectivity(ctx, n, endpoint()) },
		"DiscoverNew":                func(ctx context.Context) error { return d.DiscoverNew(ctx, node) },
		"DiscoverDelete":             func(ctx context.Context) error { return d.DiscoverDelete(ctx, node) },
	}
}

// undo is what takes a method back.
var undo = map[string]string{
	"CreateNetwork": "DeleteNetwork", "CreateEndpoint": "DeleteEndpoint", "Join": "Leave", "AllocateNetwork": "FreeNetwork",
	"ProgramExternalConnectivity": "RevokeExternalConnectivity",
}

// tolerated are the methods that a plugin need not have.
var tolerated = map[string]bool{
	"EndpointOperInfo": true, "ProgramExternalConnectivity": true, "RevokeExternalConnectivity": true,
	"AllocateNetwork": true, "FreeNetwork": true, "DiscoverNew": true, "DiscoverDelete": true,
}

// Each method goes wrong in each way, and what may have happened is taken back, once.
func TestEachMethodGoesWrong(t *testing.T) {
	t.Parallel()
	var methods sync.WaitGroup
	for name := range calls(nil) {
		p, patient := start(t)
		hasty, impatient := with(t, p, 3*impatience, patience), with(t, p, patience, impatience)
		methods.Go(func() {
			whole := "NetworkDriver." + name
			for _, way := range []struct {
				name    string
				prepare func()
				kind    cnm.Kind
				says    string
				maybe   bool // it may have happened
			}{
				{"refused", func() { p.Answer(whole, `{"Err":"no way"}`) }, cnm.Internal, `the plugin says "no way"`, false},
				{"refused 500", func() { p.AnswerStatus(whole, 500, `{"Err":"no way"}`) }, cnm.Internal, `the plugin says "no way"`, false},
				{"hangs", func() { p.Hang(whole) }, cnm.Timeout, "no answer within", true},
				{"garbage", func() { p.Answer(whole, "<html>") }, cnm.Internal, "protocol", true},
				{"endless", func() { p.Answer(whole, `{"Err":"`+strings.Repeat("x", 1<<20)+`"}`) }, cnm.Internal, "longer than", true},
				{"breaks", func() { p.Break(whole) }, cnm.Unavailable, "", true},
			} {
				way.prepare()
				p.Restart() // so that capabilities are asked again
				p.Calls()
				d := map[cnm.Kind]*remote.Driver{cnm.Timeout: hasty, cnm.Unavailable: impatient, cnm.Internal: patient, cnm.Unsupported: patient}[way.kind]
				err := calls(d)[name](t.Context())
				if !errors.Is(err, way.kind) || !strings.Contains(err.Error(), way.says) || !strings.HasPrefix(err.Error(), `plugin "mesh": `) {
					t.Errorf("%s: %s: error %v, want kind %q and the words %q", name, way.name, err, way.kind, way.says)
				}
				var back []string
				for _, m := range p.Methods() {
					if m == "NetworkDriver."+undo[name] {
						back = append(back, m)
					}
				}
				if want := way.maybe && undo[name] != ""; want != (len(back) == 1) || len(back) > 1 {
					t.Errorf("%s: %s: taken back by %q", name, way.name, back)
				}
				if undo[name] != "" && plugin.MayHaveHappened(err) {
					t.Errorf("%s: %s: it was taken back, and may still have happened", name, way.name)
				}
			}
			p.AnswerStatus(whole, http.StatusNotFound, "")
			p.Restart()
			if err := calls(patient)[name](t.Context()); tolerated[name] != (err == nil) || err != nil && !errors.Is(err, cnm.Unsupported) {
				t.Errorf("%s: no such method: error %v", name, err)
			}
			p.Stop()
			p.Calls()
			err := calls(impatient)[name](t.Context())
			if want := map[bool]cnm.Kind{false: cnm.Unavailable, true: cnm.NotFound}[name == "GetCapabilities" || name == "GwAllocCheck"]; !errors.Is(err, want) {
				t.Errorf("%s: no plugin: error %v, want kind %q", name, err, want)
			}
		})
	}
	methods.Wait()
}

// What cannot be taken back either may have happened.
func TestNotTakenBack(t *testing.T) {
	t.Parallel()
	p, patient := start(t)
	d := with(t, p, impatience, impatience)
	p.Hang("NetworkDriver.Join")
	p.Hang("NetworkDriver.Leave")
	_, err := d.Join(t.Context(), network(), endpoint(), sandbox())
	if !errors.Is(err, cnm.Timeout) || !plugin.MayHaveHappened(err) || !strings.Contains(err.Error(), "and it could not be taken back: plugin \"mesh\": NetworkDriver.Leave: no answer") {
		t.Errorf("error %v", err)
	}
	p.Handle("NetworkDriver.Join", func(http.ResponseWriter, plugintest.Call) {
		go p.Stop()
		<-time.After(impatience / 4)
	})
	if _, err = d.Join(t.Context(), network(), endpoint(), sandbox()); !errors.Is(err, cnm.Unavailable) || !plugin.MayHaveHappened(err) || !strings.Contains(err.Error(), "could not be taken back") {
		t.Errorf("the plugin has died: error %v", err)
	}
	p.Restart()
	p.Hang("NetworkDriver.Join")
	p.Answer("NetworkDriver.Leave", `{"Err":"no such endpoint"}`)
	if _, err = d.Join(t.Context(), network(), endpoint(), sandbox()); !errors.Is(err, cnm.Timeout) || plugin.MayHaveHappened(err) || strings.Contains(err.Error(), "no such endpoint") {
		t.Errorf("the plugin knows of nothing: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.Handle("NetworkDriver.Join", func(http.ResponseWriter, plugintest.Call) { cancel(); <-time.After(impatience / 4) })
	p.Answer("NetworkDriver.Leave", `{}`)
	p.Calls()
	if _, err = patient.Join(ctx, network(), endpoint(), sandbox()); !errors.Is(err, cnm.Timeout) || plugin.MayHaveHappened(err) {
		t.Errorf("the caller has gone: error %v", err)
	}
	if diff := cmp.Diff([]string{"NetworkDriver.Join", "NetworkDriver.Leave"}, p.Methods()); diff != "" {
		t.Error(diff)
	}
}

func TestCapabilities(t *testing.T) {
	p, d := start(t)
	for answer, want := range map[string]remote.Capabilities{ // zero: it is refused
		`{"Scope":"local"}`:                              {Scope: cnm.Local, Connectivity: cnm.Local},
		`{"Scope":"Global","GwAllocChecker":true}`:       {Scope: cnm.Global, Connectivity: cnm.Global, ChecksGateways: true},
		`{"Scope":"local","ConnectivityScope":"global"}`: {Scope: cnm.Local, Connectivity: cnm.Global},
		`{}`:                {},
		`{"Scope":"swarm"}`: {},
		`{"Scope":"` + strings.Repeat("x", 1000) + `"}`:  {},
		`{"Scope":"local","ConnectivityScope":"planet"}`: {},
		`{"Scope":1}`: {},
	} {
		p.Answer("NetworkDriver.GetCapabilities", answer)
		p.Restart()
		got, err := d.Capabilities(t.Context())
		if want == (remote.Capabilities{}) {
			if !errors.Is(err, cnm.Internal) || len(err.Error()) > 300 {
				t.Errorf("%.60s: error %v", answer, err)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", answer, got, err)
		}
		p.Calls()
		if scope, err := d.Scope(t.Context()); err != nil || scope != want.Scope || len(p.Calls()) != 0 {
			t.Errorf("%s: asked again: scope %q, %v", answer, scope, err)
		}
	}
}

func TestPlanAddresses(t *testing.T) {
	p, d := start(t)
	p.Answer("NetworkDriver.GwAllocCheck", `{"SkipIPv6":true}`)
	if got, err := d.PlanAddresses(t.Context(), network()); err != nil || got != (cnm.AddressPlan{NoGateway6: true}) {
		t.Errorf("got %+v, %v", got, err)
	}
	p.Answer("NetworkDriver.GwAllocCheck", `{"SkipIPv4":true}`)
	if got, err := d.PlanAddresses(t.Context(), network()); err != nil || got != (cnm.AddressPlan{NoGateway4: true}) {
		t.Errorf("got %+v, %v", got, err)
	}
	p.Answer("NetworkDriver.GetCapabilities", `{"Scope":"local"}`)
	p.Restart()
	p.Calls()
	if got, err := d.PlanAddresses(t.Context(), network()); err != nil || got != (cnm.AddressPlan{}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := p.Methods(); len(got) != 1 {
		t.Errorf("a plugin that has no say was asked: %q", got)
	}
}

func TestAllocateNetwork(t *testing.T) {
	p, d := start(t)
	p.Answer("NetworkDriver.AllocateNetwork", `{"Options":{"vni":"9","key":""}}`)
	n := network()
	got, err := d.AllocateNetwork(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"vni": "9", "key": "", "com.docker.network.driver.mtu": "1400"}, got); diff != "" {
		t.Error(diff)
	}
	if n.Options["vni"] != "4097" {
		t.Error("the record was changed")
	}
	many := make(map[string]string)
	for i := range 257 {
		many[fmt.Sprint(i)] = ""
	}
	for name, options := range map[string]map[string]string{"many": many, "long": {"a": strings.Repeat("x", 16<<10+1)}, "no name": {"": "x"}} {
		text, err := json.Marshal(map[string]any{"Options": options})
		if err != nil {
			t.Fatal(err)
		}
		p.Answer("NetworkDriver.AllocateNetwork", string(text))
		p.Calls()
		if _, err := d.AllocateNetwork(t.Context(), n); !errors.Is(err, cnm.Internal) || plugin.MayHaveHappened(err) {
			t.Errorf("%s: error %v", name, err)
		}
		if diff := cmp.Diff([]string{"NetworkDriver.AllocateNetwork", "NetworkDriver.FreeNetwork"}, p.Methods()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEndpointOperInfo(t *testing.T) {
	p, d := start(t)
	p.Answer("NetworkDriver.EndpointOperInfo", `{"Value":{"vni":"9","n":1}}`)
	got, err := d.EndpointOperInfo(t.Context(), network(), endpoint())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"vni": "9", "n": 1.0}, got); diff != "" {
		t.Error(diff)
	}
	p.Answer("NetworkDriver.EndpointOperInfo", `{"Value":{"0":0`+many(257, func(i int) string { return fmt.Sprintf(`,"x%d":0`, i) })+`}}`)
	if _, err := d.EndpointOperInfo(t.Context(), network(), endpoint()); !errors.Is(err, cnm.Internal) {
		t.Errorf("error %v", err)
	}
}

func many(count int, text func(int) string) string {
	var b strings.Builder
	for i := range count {
		b.WriteString(text(i))
	}
	return b.String()
}

func TestPorts(t *testing.T) {
	p, d := start(t)
	ep := endpoint()
	ep.PortBindings = []cnm.PortBinding{{Protocol: 6, Port: 1, PortEnd: 10_000}, {Protocol: 6, Port: 20_000}}
	for name, ports := range map[string][]cnm.PortBinding{
		"too many":        ep.PortBindings,
		"beyond the last": {{Protocol: 6, Port: 1, PortEnd: 3, HostPort: 65534}},
	} {
		ep.PortBindings = ports
		p.Calls()
		if err := d.ProgramExternalConnectivity(t.Context(), network(), ep, sandbox()); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := d.Join(t.Context(), network(), ep, sandbox()); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: join: error %v", name, err)
		}
		if err := d.CreateEndpoint(t.Context(), network(), ep); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: create endpoint: error %v", name, err)
		}
		if got := p.Methods(); len(got) != 0 {
			t.Errorf("%s: the plugin was asked for %q", name, got)
		}
	}
}

func TestCheckLinks(t *testing.T) {
	adopting := func(owner, source string) netstate.Part {
		return netstate.Part{Owner: owner, Namespace: "/run/" + owner, Links: []netstate.Link{{Name: "eth0", Kind: netstate.Adopted, Source: source}}}
	}
	host := func(links ...netstate.Link) netstate.Part { return netstate.Part{Owner: "network/1", Links: links} }
	inside := netstate.Part{Owner: "endpoint/2", Namespace: "/run/x", Links: []netstate.Link{{Name: "made0", Kind: netstate.Veth}}}
	for name, test := range map[string]struct {
		other netstate.Part
		taken bool
	}{
		"nothing in common":      {adopting("endpoint/2", "made1"), false},
		"adopted by another":     {adopting("endpoint/2", "made0"), true},
		"its own, from before":   {adopting("endpoint/1", "made0"), false},
		"a bridge":               {host(netstate.Link{Name: "made0", Kind: netstate.Bridge}), true},
		"a port's bridge":        {host(netstate.Link{Name: "x", Master: "made0"}), true},
		"a parent":               {host(netstate.Link{Name: "x", Parent: "made0"}), true},
		"an end of a pair":       {host(netstate.Link{Name: "x", Peer: netstate.Peer{Name: "made0"}}), true},
		"an end in a sandbox":    {host(netstate.Link{Name: "x", Peer: netstate.Peer{Name: "made0", Namespace: "/run/x"}}), false},
		"same name in a sandbox": {inside, false},
	} {
		err := remote.CheckLinks([]netstate.Part{adopting("endpoint/1", "made0")}, func(yield func(netstate.Part) bool) { yield(test.other) })
		if test.taken != (err != nil) || err != nil && !errors.Is(err, cnm.Exists) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	none := func(func(netstate.Part) bool) {}
	if err := remote.CheckLinks([]netstate.Part{adopting("endpoint/1", "made0"), adopting("endpoint/2", "made0")}, none); !errors.Is(err, cnm.Exists) {
		t.Errorf("twice: error %v", err)
	}
}
