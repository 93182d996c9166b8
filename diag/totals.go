package diag

import (
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/types"
)

// totals add up what comes and goes: the counters of a container end with it, and those of
// a network must not fall then.
type totals struct {
	// last is what each source said when it was last asked, and sums is all that has been
	// counted for each series, by its metric and labels.
	last map[string]uint64
	sums map[string]uint64
}

func newTotals() *totals {
	return &totals{last: make(map[string]uint64), sums: make(map[string]uint64)}
}

// separator is in no name and label.
const separator = "\x00"

// add counts what a source, named uniquely, says for a series. One that says less than
// before has begun anew.
func (t *totals) add(source string, value uint64, series ...string) {
	name := strings.Join(series, separator)
	key := source + separator + name
	grown := value
	if last := t.last[key]; value >= last {
		grown = value - last
	}
	t.last[key] = value
	t.sums[name] += grown
}

// forget drops what is remembered of sources that are gone. The name of a source begins
// with the sandbox's id.
func (t *totals) forget(sandboxes map[string]bool) {
	for key := range t.last {
		if id, _, _ := strings.Cut(key, separator); !sandboxes[id] {
			delete(t.last, key)
		}
	}
}

// drop ends series for which keep says no.
func (t *totals) drop(keep func(series []string) bool) {
	for name := range t.sums {
		if !keep(strings.Split(name, separator)) {
			delete(t.sums, name)
		}
	}
}

// sandboxes tells what is counted for each: questions to its DNS server, and traffic.
func (s *sample) sandboxes() {
	networks := make(map[string]string) // by id
	interfaces := make(map[[2]string]string)
	containers, ids := make(map[string]bool), make(map[string]bool)
	alive := make(map[string]bool)
	for _, n := range s.records.Networks {
		networks[n.ID], alive[n.Name] = n.Name, true
	}
	for _, ep := range s.records.Endpoints {
		interfaces[[2]string{ep.SandboxID, ep.Interface}] = networks[ep.NetworkID]
	}
	var waiting, connections int64
	for _, result := range []string{"local", "cached", "forwarded", "failed", "refused", "limited", "malformed"} {
		s.total.add("", 0, metricQueries, result)
	}
	for _, sb := range s.options.Controller.Sandboxes() {
		d := sb.ResolverStatistics()
		waiting, connections = waiting+d.Waiting, connections+d.Connections
		for result, n := range map[string]int64{
			"local": d.Local, "cached": d.Cached, "forwarded": d.Forwarded, "failed": d.Failed,
			"refused": d.Refused, "limited": d.Limited, "malformed": d.Malformed,
		} {
			s.total.add(sb.ID(), uint64(n), metricQueries, result)
		}
		containers[sb.ContainerID()], ids[sb.ID()] = true, true
		s.traffic(sb, interfaces)
	}
	s.total.forget(ids)
	s.total.drop(func(series []string) bool {
		// Of what has gone nobody wants to know for ever.
		return series[0] == metricQueries || alive[series[1]] && (len(series) < 4 || containers[series[3]])
	})
	s.put(metricWaiting, float64(waiting))
	s.put(metricStreams, float64(connections))
	for name, value := range s.total.sums {
		series := strings.Split(name, separator)
		s.put(series[0], float64(value), series[1:]...)
	}
}

func (s *sample) traffic(sb libnetwork.Sandbox, interfaces map[[2]string]string) {
	// A sandbox that is deleted at this moment, or has no namespace yet, has none.
	counters, err := sb.Statistics()
	if err != nil {
		return
	}
	for name, n := range counters {
		network, ours := interfaces[[2]string{sb.ID(), name}]
		if !ours {
			continue
		}
		for metric, value := range directions(n) {
			for direction, count := range map[string]uint64{"receive": value[0], "transmit": value[1]} {
				series := []string{metric, network, direction}
				if s.options.PerContainer {
					series = append(series, sb.ContainerID(), name)
				}
				s.total.add(sb.ID()+separator+name, count, series...)
			}
		}
	}
}

// directions returns what was received and sent, by metric.
func directions(n *types.InterfaceStatistics) map[string][2]uint64 {
	return map[string][2]uint64{
		metricBytes: {n.RxBytes, n.TxBytes}, metricPackets: {n.RxPackets, n.TxPackets},
		metricErrors: {n.RxErrors, n.TxErrors}, metricDropped: {n.RxDropped, n.TxDropped},
	}
}
