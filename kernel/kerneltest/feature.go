package kerneltest

import (
	"fmt"
	"regexp"
	"strings"
)

// Feature is something that a kernel is built with or not, by the name that people
// know it by.
type Feature string

// The features that tests ask for with NeedFeature.
const (
	FeatureMacvlan   Feature = "macvlan"
	FeatureIPvlan    Feature = "ipvlan"
	FeatureDummy     Feature = "dummy"
	FeatureVLAN      Feature = "8021q"     // links with an IEEE 802.1Q tag
	FeatureIPVS      Feature = "ipvs"      // load balancing in the kernel
	FeatureESP       Feature = "esp"       // IPsec, with AES-GCM
	FeatureWireGuard Feature = "wireguard" // links that encrypt
	FeatureNetem     Feature = "netem"     // a queue that delays and loses
	FeatureTBF       Feature = "tbf"       // a queue with a token bucket
	FeatureHTB       Feature = "htb"       // a tree of queues with token buckets
	FeatureIFB       Feature = "ifb"       // links that give what comes in a queue
	FeatureMirred    Feature = "mirred"    // the action that sends a packet to another link
)

// source is where a kernel has a feature from.
type source struct {
	// symbol is the one of the kernel's configuration.
	symbol string
	// module is the one that it is built as, if it is not built in.
	module string
}

// source returns false for what is no feature.
func (f Feature) source() (s source, known bool) {
	s, known = map[Feature]source{
		FeatureMacvlan:   {"CONFIG_MACVLAN", "macvlan"},
		FeatureIPvlan:    {"CONFIG_IPVLAN", "ipvlan"},
		FeatureDummy:     {"CONFIG_DUMMY", "dummy"},
		FeatureVLAN:      {"CONFIG_VLAN_8021Q", "8021q"},
		FeatureIPVS:      {"CONFIG_IP_VS", "ip_vs"},
		FeatureESP:       {"CONFIG_INET_ESP", "esp4"},
		FeatureWireGuard: {"CONFIG_WIREGUARD", "wireguard"},
		FeatureNetem:     {"CONFIG_NET_SCH_NETEM", "sch_netem"},
		FeatureTBF:       {"CONFIG_NET_SCH_TBF", "sch_tbf"},
		FeatureHTB:       {"CONFIG_NET_SCH_HTB", "sch_htb"},
		FeatureIFB:       {"CONFIG_IFB", "ifb"},
		FeatureMirred:    {"CONFIG_NET_ACT_MIRRED", "act_mirred"},
	}[f]
	return s, known
}

// String says also what the kernel must be built with.
func (f Feature) String() string {
	s, known := f.source()
	if !known {
		return fmt.Sprintf("%q", string(f))
	}
	return fmt.Sprintf("%q (%s, module %s)", string(f), s.symbol, s.module)
}

// needs begins the line with which NeedFeature skips a test, and parts the features
// in it.
const (
	needs       = "needs kernel feature "
	betweenThem = ", and "
)

// needsLine is the reason for skipping a test for lack of features.
func needsLine(missing []Feature) string {
	names := make([]string, len(missing))
	for i, f := range missing {
		names[i] = f.String()
	}
	return needs + strings.Join(names, betweenThem)
}

// MissingFeatures reads the reason for skipping a test: the features that NeedFeature
// has not found, or none if the test was skipped for something else. What "go test"
// puts before the reason, the file and the line, may be there.
func MissingFeatures(reason string) []Feature {
	_, list, found := strings.Cut(strings.TrimRight(reason, "\n"), needs)
	if !found {
		return nil
	}
	quoted := regexp.MustCompile(`^"([a-z0-9]+)" \(`)
	var missing []Feature
	for item := range strings.SplitSeq(list, betweenThem) {
		name := quoted.FindStringSubmatch(item)
		if name == nil || Feature(name[1]).String() != item {
			return nil
		}
		missing = append(missing, Feature(name[1]))
	}
	return missing
}
