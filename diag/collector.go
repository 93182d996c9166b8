package diag

import (
	"math"
	"net/http"
	"runtime"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/netstate"
)

// NewCollector returns the figures of a controller. It asks for them when it is asked; its
// metrics are in docs/metrics.md.
func NewCollector(o Options) prometheus.Collector {
	c := &collector{options: o, metrics: make(map[string]metric), descriptions: make(map[string]*prometheus.Desc), total: newTotals()}
	for _, m := range metrics(o.PerContainer) {
		c.metrics[m.name] = m
		c.descriptions[m.name] = prometheus.NewDesc(m.name, m.help, m.labels, nil)
	}
	return c
}

// Handler serves the figures of a controller, and those of the process and of Go's runtime,
// in the formats of Prometheus.
func Handler(o Options) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(o), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

type collector struct {
	options      Options
	metrics      map[string]metric
	descriptions map[string]*prometheus.Desc

	mu    sync.Mutex // guards total
	total *totals
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descriptions {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &sample{collector: c, out: out, records: c.options.Inspector.Records()}
	statistics := c.options.Inspector.Statistics()
	s.put(metricBuild, 1, c.options.Version, runtime.Version())
	s.put(metricFirewall, 1, statistics.Firewall)
	s.put(metricMended, float64(statistics.Mended))
	s.countRecords()
	s.addresses()
	s.operations(statistics.Operations)
	s.forwarder(statistics)
	s.sandboxes()
}

// sample is one answer in the making.
type sample struct {
	*collector
	out     chan<- prometheus.Metric
	records libnetwork.Records
}

func (s *sample) put(name string, value float64, labels ...string) {
	for i := range labels {
		// Names come from users; what is not UTF-8 would spoil the whole answer.
		labels[i] = strings.ToValidUTF8(labels[i], "?")
	}
	s.out <- prometheus.MustNewConstMetric(s.descriptions[name], s.metrics[name].kind, value, labels...)
}

func (s *sample) countRecords() {
	names, drivers := make(map[string]string), make(map[string]int)
	type state struct{ network, state string }
	endpoints, ports := make(map[state]int), make(map[string]int)
	for _, n := range s.records.Networks {
		names[n.ID] = n.Name
		drivers[n.Driver]++
		endpoints[state{n.Name, "joined"}], endpoints[state{n.Name, "idle"}] = 0, 0
	}
	for _, ep := range s.records.Endpoints {
		where := state{names[ep.NetworkID], "joined"}
		if ep.SandboxID == "" {
			where.state = "idle"
		}
		endpoints[where]++
		for _, b := range ep.Published {
			if b.HostIP.IsValid() {
				ports[netstate.Protocol(b.Protocol).String()] += b.Count()
			}
		}
	}
	for driver, n := range drivers {
		s.put(metricNetworks, float64(n), driver)
	}
	for where, n := range endpoints {
		s.put(metricEndpoints, float64(n), where.network, where.state)
	}
	for _, protocol := range []netstate.Protocol{netstate.TCP, netstate.UDP, netstate.SCTP} {
		s.put(metricPublished, float64(ports[protocol.String()]), protocol.String())
	}
	s.put(metricSandboxes, float64(len(s.records.Sandboxes)))
}

func (s *sample) addresses() {
	for _, n := range s.records.Networks {
		// A network that is deleted at this moment has no addresses.
		uses, err := s.options.Inspector.AddressUse(n.ID)
		if err != nil {
			continue
		}
		for _, use := range uses {
			s.put(metricUsed, float64(len(use.Holders)), n.Name, use.Pool.String())
			if use.Known {
				available := float64(use.Available)
				if use.Available == math.MaxUint64 {
					available = math.Inf(1) // that many or more
				}
				s.put(metricAvailable, available, n.Name, use.Pool.String())
			}
		}
	}
}

func (s *sample) operations(all []libnetwork.OperationStatistics) {
	for _, operation := range all {
		buckets := make(map[float64]uint64)
		var below uint64
		for i, bound := range operation.Duration.Bounds {
			below += operation.Duration.Buckets[i]
			buckets[bound.Seconds()] = below
		}
		s.out <- prometheus.MustNewConstHistogram(s.descriptions[metricDuration], operation.Duration.Count, operation.Duration.Sum.Seconds(), buckets, operation.Name)
		for kind, n := range operation.Failures {
			s.put(metricFailures, float64(n), operation.Name, string(kind))
		}
	}
}

func (s *sample) forwarder(statistics libnetwork.Statistics) {
	f := statistics.Forwarder
	for result, n := range map[string]int64{"asked": f.Asked, "shared": f.Shared, "failed": f.Failed, "limited": f.Limited} {
		s.put(metricForwarder, float64(n), result)
	}
	for reason, n := range map[string]int64{"timeout": f.Timeouts, "error": f.Errors, "stray": f.Strays} {
		s.put(metricTrouble, float64(n), reason)
	}
	for result, n := range map[string]int64{"hit": f.Hits, "miss": f.Misses} {
		s.put(metricCache, float64(n), result)
	}
	s.put(metricSent, float64(f.Sent))
	s.put(metricEvicted, float64(f.Evicted))
	s.put(metricEntries, float64(f.Entries))
	s.put(metricCacheBytes, float64(f.Bytes))
	s.put(metricInFlight, float64(f.InFlight))
	s.put(metricSockets, float64(f.Sockets))
}
