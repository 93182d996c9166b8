package diag

import "github.com/prometheus/client_golang/prometheus"

// metric is one that the collector has. The table of them is also docs/metrics.md.
type metric struct {
	name   string
	kind   prometheus.ValueType
	labels []string
	help   string
}

// histogramKind stands for distributions, which prometheus has no ValueType for.
const histogramKind prometheus.ValueType = 0

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// Names of metrics.
const (
	prefix           = "libnetwork_"
	metricBuild      = prefix + "build_info"
	metricFirewall   = prefix + "firewall_info"
	metricNetworks   = prefix + "networks"
	metricEndpoints  = prefix + "endpoints"
	metricSandboxes  = prefix + "sandboxes"
	metricUsed       = prefix + "addresses_used"
	metricAvailable  = prefix + "addresses_available"
	metricPublished  = prefix + "published_ports"
	metricDuration   = prefix + "operation_duration_seconds"
	metricFailures   = prefix + "operation_failures_total"
	metricMended     = prefix + "mended_total"
	metricQueries    = prefix + "dns_queries_total"
	metricWaiting    = prefix + "dns_queries_waiting"
	metricStreams    = prefix + "dns_connections"
	metricForwarder  = prefix + "dns_forwarder_questions_total"
	metricSent       = prefix + "dns_forwarder_messages_total"
	metricTrouble    = prefix + "dns_forwarder_errors_total"
	metricCache      = prefix + "dns_cache_lookups_total"
	metricEvicted    = prefix + "dns_cache_evictions_total"
	metricEntries    = prefix + "dns_cache_entries"
	metricCacheBytes = prefix + "dns_cache_bytes"
	metricInFlight   = prefix + "dns_forwarder_in_flight"
	metricSockets    = prefix + "dns_forwarder_sockets"
	metricBytes      = prefix + "network_bytes_total"
	metricPackets    = prefix + "network_packets_total"
	metricErrors     = prefix + "network_errors_total"
	metricDropped    = prefix + "network_dropped_total"
)

// metrics is the table. With perContainer the traffic is told of each interface.
func metrics(perContainer bool) []metric {
	traffic := []string{"network", "direction"}
	if perContainer {
		traffic = []string{"network", "direction", "container", "interface"}
	}
	return []metric{
		{metricBuild, gauge, []string{"version", "go"}, "The version of the program and of Go, as labels; always 1."},
		{metricFirewall, gauge, []string{"backend"}, "The back end of the packet filter in use, as a label; always 1."},
		{metricNetworks, gauge, []string{"driver"}, "Networks."},
		{metricEndpoints, gauge, []string{"network", "state"}, "Endpoints; the state is \"joined\" for those in a sandbox, and \"idle\"."},
		{metricSandboxes, gauge, nil, "Sandboxes."},
		{metricUsed, gauge, []string{"network", "pool"}, "Addresses that somebody holds: endpoints, the gateway, and auxiliary ones."},
		{metricAvailable, gauge, []string{"network", "pool"}, "Addresses that an endpoint can still get without asking for one; left out where the address manager does not tell."},
		{metricPublished, gauge, []string{"protocol"}, "Ports of the host that are published, each once for each address of the host."},
		{metricDuration, histogramKind, []string{"operation"}, "How long operations took, in seconds; those that ended with an error, too."},
		{metricFailures, counter, []string{"operation", "kind"}, "Operations that ended with an error, by the kind of error."},
		{metricMended, counter, nil, "Times that something was mended that differed from the records."},
		{metricQueries, counter, []string{"result"}, "Questions to the DNS servers of containers, by what became of them."},
		{metricWaiting, gauge, nil, "Questions that wait for name servers outside."},
		{metricStreams, gauge, nil, "Connections by TCP to the DNS servers of containers."},
		{metricForwarder, counter, []string{"result"}, "Questions that were to be put to name servers outside."},
		{metricSent, counter, nil, "Messages sent to name servers outside."},
		{metricTrouble, counter, []string{"reason"}, "Messages to name servers outside that came to nothing."},
		{metricCache, counter, []string{"result"}, "Answers looked for among those kept."},
		{metricEvicted, counter, nil, "Answers that made room for others."},
		{metricEntries, gauge, nil, "Answers kept."},
		{metricCacheBytes, gauge, nil, "About the memory of the answers kept, in bytes."},
		{metricInFlight, gauge, nil, "Questions put to name servers outside that are not answered yet."},
		{metricSockets, gauge, nil, "Sockets open to name servers outside."},
		{metricBytes, counter, traffic, "Bytes that the containers of a network received and sent."},
		{metricPackets, counter, traffic, "Packets that the containers of a network received and sent."},
		{metricErrors, counter, traffic, "Packets that the interfaces of containers had errors with."},
		{metricDropped, counter, traffic, "Packets that the interfaces of containers dropped."},
	}
}
