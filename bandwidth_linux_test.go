package libnetwork_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netlabel"
)

// throughput is what iperf3 measures from one namespace to a server in another, in bits
// per second, without the first second, in which a burst passes.
func throughput(t *testing.T, client, server, address string) float64 {
	t.Helper()
	inside := func(namespace string, args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "nsenter", append([]string{"--net=" + namespace, "iperf3"}, args...)...)
	}
	serving := inside(server, "--server", "--one-off", "--bind", address)
	ok(t, serving.Start())
	defer serving.Wait()         //nolint:errcheck // it ends by itself, or is killed
	defer serving.Process.Kill() //nolint:errcheck // it may have ended
	var report struct {
		End struct {
			Received struct {
				Rate float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	var said string
	for range 40 { // until the server listens
		out, err := inside(client, "--client", address, "--time", "2", "--omit", "1", "--json").CombinedOutput()
		said = fmt.Sprint(string(out), err)
		// That the connection was refused is in the report; the status is 0.
		if err == nil && json.Unmarshal(out, &report) == nil && report.End.Received.Rate > 0 {
			return report.End.Received.Rate
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("iperf3: %s", said)
	return 0
}

// wantRate allows a tenth: headers count for the limit, and not for iperf3. On a machine that
// is busy less may arrive, or what waited before the measuring arrives in it, so that is
// tried again; a limit that is wrong is wrong each time.
func wantRate(t *testing.T, what string, want float64, client, server, address string) {
	t.Helper()
	for try := 1; ; try++ {
		got := throughput(t, client, server, address)
		t.Logf("%s: %.2f Mbit/s of %.2f", what, got/1e6, want/1e6)
		switch off := got < want*0.9 || got > want*1.1; {
		case off && try == 4:
			t.Errorf("%s: %.2f Mbit/s, want %.2f", what, got/1e6, want/1e6)
			return
		case !off:
			return
		}
	}
}

func limited(ingress, egress string) libnetwork.EndpointOption {
	return libnetwork.EndpointOptionGeneric(map[string]any{netlabel.EndpointIngress: ingress, netlabel.EndpointEgress: egress})
}

func TestBandwidthOfBridge(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureTBF)
	testBandwidth(t, "bridge")
}

func TestBandwidthOfMacvlan(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureMacvlan, kerneltest.FeatureTBF, kerneltest.FeatureIFB)
	testBandwidth(t, "macvlan", "parent=phys0")
}

func TestBandwidthOfIPvlan(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIPvlan, kerneltest.FeatureTBF, kerneltest.FeatureIFB)
	testBandwidth(t, "ipvlan", "parent=phys0")
}

func testBandwidth(t *testing.T, driver string, options ...string) {
	if _, err := exec.LookPath("iperf3"); err != nil {
		t.Fatal("iperf3 is needed: scripts/install-deps installs it")
	}
	w := newWire(t)
	before := w.picture(t)
	c := w.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork(driver, "n", "", onWire(options...)...))
	a, epA := place(t, c, n, "a", limited("80M", "20M"))
	b, epB := place(t, c, n, "b")
	wantRate(t, "ingress", 80e6, b.Key(), a.Key(), address(epA).String())
	wantRate(t, "egress", 20e6, a.Key(), b.Key(), address(epB).String())
	picture := w.picture(t, a.Key())
	if strings.Count(picture, " limit dev ") != 2 {
		t.Errorf("want two limits:\n%s", picture)
	}
	// The container takes them off, and the host too.
	for _, place := range [][2]string{{a.Key(), "eth0"}, {w.host, hostEnd(epA)}, {a.Key(), "ifb" + epA.ID()[:12]}} {
		_ = exec.Command("nsenter", "--net="+place[0], "tc", "qdisc", "del", "dev", place[1], "root").Run()
	}
	if free := w.picture(t, a.Key()); strings.Contains(free, " limit dev ") {
		t.Errorf("still limited:\n%s", free)
	}
	ok(t, c.Repair(t.Context()))
	if after := w.picture(t, a.Key()); after != picture {
		t.Errorf("before:\n%s\nafter the repair:\n%s", picture, after)
	}
	c.Stop()
	c = w.open(t)
	if after := w.picture(t, a.Key()); after != picture {
		t.Errorf("before:\n%s\nafter the restart:\n%s", picture, after)
	}
	wantRate(t, "ingress after repair and restart", 80e6, b.Key(), a.Key(), address(epA).String())
	empty(t, c)
	w.wantAsBefore(t, before)
}

func hostEnd(ep libnetwork.Endpoint) string { return fmt.Sprintf("veth%.11s", ep.ID()) }
