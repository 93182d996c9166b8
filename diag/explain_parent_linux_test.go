package diag_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// TestExplainParents sends packets to and from containers whose interfaces hang on a link
// of the host, and compares.
func TestExplainParents(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan)
	for _, options := range []map[string]string{
		{"macvlan_mode": "bridge"}, {"macvlan_mode": "private"}, {"macvlan_mode": "bridge", "com.docker.network.macvlan.host_shim": "true"},
	} {
		options["parent"] = kerneltest.LanLink
		explainParent(t, "macvlan", options)
	}
}

// A network without a parent has one of its own, and is internal.
func TestExplainParentOfItsOwn(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan, kerneltest.FeatureDummy)
	explainParent(t, "macvlan", map[string]string{})
}

func TestExplainIPvlan(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIPvlan)
	for _, mode := range []string{"l2", "l3"} {
		explainParent(t, "ipvlan", map[string]string{"ipvlan_mode": mode, "parent": kerneltest.LanLink})
	}
}

func explainParent(t *testing.T, driver string, options map[string]string) {
	t.Helper()
	lan := kerneltest.NewLan(t)
	subnet, part := "192.0.2.0/24", "192.0.2.64/26"
	if options["ipvlan_mode"] == "l3" {
		// Such a network is behind the host, as others see it.
		subnet, part = "198.18.0.0/24", ""
		lan.Expose(t, netip.MustParsePrefix(subnet))
	}
	m := newMachine(t, lan.Host)
	n := must[libnetwork.Network](t)(m.controller.NewNetwork(driver, "segment", "", libnetwork.NetworkOptionDriverOpts(options),
		libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{{PreferredPool: subnet, SubPool: part}}, nil, nil)))
	a, one := m.attach(t, n, "one")
	b, two := m.attach(t, n, "two")
	c, _ := m.attach(t, m.network(t, "bridged"), "three")
	paths := map[string]string{"one": a.Key(), "two": b.Key(), "three": c.Key(), "host": lan.Host, kerneltest.NeighborIPv4: lan.Neighbor}
	for _, path := range paths {
		kerneltest.Serve(t, path, "x", portHidden)
	}
	for from, path := range paths {
		for _, to := range []string{prefixes(one)[0].Addr().String(), prefixes(two)[0].Addr().String(), kerneltest.NeighborIPv4, kerneltest.HostIPv4} {
			if from == to || from == kerneltest.NeighborIPv4 && to == kerneltest.HostIPv4 {
				continue
			}
			said := must[api.Explanation](t)(diag.Explain(t.Context(), m.options(), from, to, portHidden, "tcp"))
			patience := 2 * time.Second
			if !said.Allowed {
				patience = 300 * time.Millisecond
			}
			_, err := kerneltest.Ask(path, "tcp", to+":81", patience)
			if said.Allowed != (err == nil) {
				t.Errorf("%v: from %s to %s: %v, explained as\n%s", options, from, to, err, lines(said))
			}
		}
	}
}
