package diag_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// gather returns the values of all series, as name{label="value",...}.
func gather(t testing.TB, o diag.Options) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(diag.NewCollector(o))
	return gathered(t, registry)
}

func gathered(t testing.TB, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	out := make(map[string]float64)
	families, err := registry.Gather()
	check(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, pair := range m.GetLabel() {
				labels = append(labels, pair.GetName()+"="+pair.GetValue())
			}
			name := family.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.GetHistogram() != nil:
				out[name] = float64(m.GetHistogram().GetSampleCount())
			case m.GetCounter() != nil:
				out[name] = m.GetCounter().GetValue()
			default:
				out[name] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

func TestCollector(t *testing.T) {
	p := newPatient(t)
	must[libnetwork.Endpoint](t)(p.network.CreateEndpoint("idle"))
	kerneltest.Serve(t, p.sandbox.Key(), "web", portWeb)
	if _, err := kerneltest.Ask(p.host, "tcp", prefixes(p.network.Endpoints()[1])[0].Addr().String()+":80", 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := p.controller.NewSandbox("web"); err == nil {
		t.Fatal("a second sandbox of one container")
	}
	check(t, kerneltest.Do(p.sandbox.Key(), func() error {
		question := new(dns.Msg).SetQuestion("web.", dns.TypeA)
		_, _, err := new(dns.Client).Exchange(question, "127.0.0.11:53")
		return err
	}))
	got := gather(t, p.options())
	pool := p.pool().String()
	for name, want := range map[string]float64{
		"libnetwork_networks{driver=bridge}":                                                1,
		"libnetwork_endpoints{network=web,state=joined}":                                    1,
		"libnetwork_endpoints{network=web,state=idle}":                                      1,
		"libnetwork_sandboxes{}":                                                            1,
		"libnetwork_addresses_used{network=web,pool=" + pool + "}":                          3,
		"libnetwork_addresses_available{network=web,pool=" + pool + "}":                     65536 - 2 - 3,
		"libnetwork_published_ports{protocol=tcp}":                                          2,
		"libnetwork_published_ports{protocol=udp}":                                          2,
		"libnetwork_published_ports{protocol=sctp}":                                         0,
		"libnetwork_firewall_info{backend=nftables}":                                        1,
		"libnetwork_operation_duration_seconds{operation=create network}":                   1,
		"libnetwork_operation_duration_seconds{operation=create sandbox}":                   2,
		"libnetwork_operation_failures_total{kind=already exists,operation=create sandbox}": 1,
		"libnetwork_dns_queries_total{result=failed}":                                       0,
		"libnetwork_dns_queries_total{result=local}":                                        1,
		"libnetwork_mended_total{}":                                                         0,
		"libnetwork_network_errors_total{direction=receive,network=web}":                    0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s: %v, %v; want %v", name, value, ok, want)
		}
	}
	if got["libnetwork_network_bytes_total{direction=transmit,network=web}"] < 100 {
		t.Errorf("no traffic: %v", got)
	}
}

// What a container has counted stays when it goes.
func TestTrafficStays(t *testing.T) {
	p := newPatient(t)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(diag.NewCollector(p.options()))
	const series = "libnetwork_network_packets_total{direction=receive,network=web}"
	_ = kerneltest.Ping(p.host, prefixes(p.network.Endpoints()[0])[0].Addr())
	before := gathered(t, registry)[series]
	check(t, p.sandbox.Delete())
	after, found := gathered(t, registry)[series]
	if before < 1 || !found || after != before {
		t.Errorf("%v, and %v after the container had gone", before, after)
	}
	check(t, p.network.Delete())
	if after, found := gathered(t, registry)[series]; found {
		t.Errorf("a network that has gone has %v", after)
	}
}

func TestTrafficOfContainers(t *testing.T) {
	p := newPatient(t)
	o := p.options()
	o.PerContainer = true
	const series = "libnetwork_network_bytes_total{container=web,direction=receive,interface=eth0,network=web}"
	if _, ok := gather(t, o)[series]; !ok {
		t.Errorf("no series %s", series)
	}
}

// TestEachMetricIsThere wants what the table of metrics has, and nothing else.
func TestEachMetricIsThere(t *testing.T) {
	p := newPatient(t)
	_, err := p.controller.NewSandbox("web")
	if err == nil {
		t.Fatal("a second sandbox of one container")
	}
	there := make(map[string]bool)
	for name := range gather(t, p.options()) {
		there[name[:strings.IndexByte(name, '{')]] = true
	}
	descriptions := make(chan *prometheus.Desc, 100)
	diag.NewCollector(p.options()).Describe(descriptions)
	close(descriptions)
	for d := range descriptions {
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		if !there[name] {
			t.Errorf("%s: has no value", name)
		}
		delete(there, name)
	}
	if len(there) > 0 {
		t.Errorf("not described: %v", there)
	}
}

func TestHandler(t *testing.T) {
	p := newPatient(t)
	answer := httptest.NewRecorder()
	diag.Handler(p.options()).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	body := answer.Body.String()
	for _, want := range []string{`libnetwork_build_info{go="go1.`, `libnetwork_operation_duration_seconds_bucket{operation="join endpoint",le="+Inf"} 1`, "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(body, want) {
			t.Errorf("status %d, without %q", answer.Code, want)
		}
	}
}

func TestState(t *testing.T) {
	p := newPatient(t)
	text := encoded(t, diag.State(p.controller.(libnetwork.Inspector)))
	for _, want := range []string{`"records"`, p.network.ID(), p.sandbox.ID(), `"statistics"`, "join endpoint"} {
		if !strings.Contains(text, want) {
			t.Errorf("without %q:\n%s", want, text)
		}
	}
}
