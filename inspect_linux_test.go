package libnetwork_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
)

// inspected is a controller with the containers web and db, and a network each of its own
// beside the one that they share.
func inspected(t *testing.T) (scratch, libnetwork.NetworkController, libnetwork.Network, libnetwork.Sandbox) {
	t.Helper()
	s := newScratch(t)
	c := s.open(t)
	n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "shared", "", subnet("192.0.2.0/29", "192.0.2.1")))
	web := must[libnetwork.Sandbox](t)(attach(n, c, "web"))
	must[libnetwork.Sandbox](t)(attach(n, c, "db"))
	return s, c, n, web
}

func TestEventsTellWhatHappened(t *testing.T) {
	_, c, n, web := inspected(t)
	first := c.(libnetwork.Inspector).Records().Networks[0]
	ok(t, web.Delete())
	ok(t, c.SandboxDestroy("db"))
	ok(t, n.Delete())
	c.Stop()
	var got []string
	last := uint64(0)
	for event := range c.(libnetwork.Inspector).Events(context.Background(), 0) {
		if event.Sequence <= last || event.Time.IsZero() {
			t.Errorf("event %+v: its number is not above %d, or it has no time", event, last)
		}
		last = event.Sequence
		got = append(got, strings.TrimSpace(string(event.Type)+" "+string(event.Action)+" "+event.Name+" "+event.Container))
		if event.Type == libnetwork.EndpointEvent && event.NetworkID != first.ID {
			t.Errorf("event %+v: is not of the network %s", event, first.ID)
		}
	}
	want := []string{
		"network create shared",
		"sandbox create web web", "endpoint create web", "endpoint join web web",
		"sandbox create db db", "endpoint create db", "endpoint join db db",
		"endpoint leave web web", "endpoint delete web", "sandbox delete web web",
		"endpoint leave db db", "endpoint delete db", "sandbox delete db db",
		"network delete shared",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestMendReports(t *testing.T) {
	s, c, n, web := inspected(t)
	defer empty(t, c)
	inspector := c.(libnetwork.Inspector)
	if found := must[[]libnetwork.Difference](t)(inspector.Mend(t.Context(), libnetwork.MendOptions{DryRun: true})); len(found) != 0 {
		t.Fatalf("nothing is wrong, and this was found: %+v", found)
	}
	run(t, s.host, "ip", "link", "delete", "br-"+n.ID()[:12])
	before := s.picture(t, web.Key())
	steps, subjects := 0, make(map[string]bool)
	dry := must[[]libnetwork.Difference](t)(inspector.Mend(t.Context(), libnetwork.MendOptions{
		DryRun: true,
		Progress: func(done, total int, subject string) {
			if steps++; done != steps || total != 3 {
				t.Errorf("step %d: %d of %d, want of 3", steps, done, total)
			}
			subjects[subject] = true
		},
	}))
	if !subjects[`network "shared"`] || !subjects[`sandbox of container "web"`] || steps != 3 {
		t.Errorf("progress named %v in %d steps", subjects, steps)
	}
	if len(dry) == 0 || dry[0].Subject != `network "shared"` || len(dry[0].Changes) == 0 {
		t.Errorf("the bridge is gone, and this was found: %+v", dry)
	}
	if after := s.picture(t, web.Key()); after != before {
		t.Errorf("the dry run changed something:\n%s", cmp.Diff(before, after))
	}
	wet := must[[]libnetwork.Difference](t)(inspector.Mend(t.Context(), libnetwork.MendOptions{}))
	if diff := cmp.Diff(dry, wet); diff != "" {
		t.Errorf("the dry run found -, the repair +:\n%s", diff)
	}
	if again := must[[]libnetwork.Difference](t)(inspector.Mend(t.Context(), libnetwork.MendOptions{DryRun: true})); len(again) != 0 {
		t.Errorf("after the repair there is still: %+v", again)
	}
	if got := inspector.Statistics().Mended; got != 1 {
		t.Errorf("mended %d times, want 1", got)
	}
}

func TestResolveTellsWhoAnswers(t *testing.T) {
	_, c, n, web := inspected(t)
	defer empty(t, c)
	inspector := c.(libnetwork.Inspector)
	ep := must[libnetwork.Endpoint](t)(n.EndpointByName("db"))
	got := must[libnetwork.Resolution](t)(inspector.Resolve(web.ID(), "DB"))
	if !got.Known || !got.Serving || len(got.Addresses) != 1 || got.Addresses[0] != address(ep) || cmp.Diff([]string{"shared"}, got.Networks) != "" {
		t.Errorf("db: got %+v", got)
	}
	if got := must[libnetwork.Resolution](t)(inspector.Resolve(web.ID(), address(ep).String())); got.Name != "db.shared" || !got.Known {
		t.Errorf("%s: got %+v", address(ep), got)
	}
	if got := must[libnetwork.Resolution](t)(inspector.Resolve(web.ID(), "example.com")); got.Known {
		t.Errorf("example.com: got %+v", got)
	}
	if _, err := inspector.Resolve("nobody", "db"); !errors.Is(err, cnm.NotFound) {
		t.Errorf("a sandbox that is not there: %v", err)
	}
}

func TestAddressUse(t *testing.T) {
	_, c, n, _ := inspected(t)
	defer empty(t, c)
	got := must[[]libnetwork.SubnetUse](t)(c.(libnetwork.Inspector).AddressUse(n.ID()))
	ids := make(map[string]string)
	for _, ep := range n.Endpoints() {
		ids[ep.Name()] = ep.ID()
	}
	want := []libnetwork.SubnetUse{{
		Pool: netip.MustParsePrefix("192.0.2.0/29"), Gateway: netip.MustParseAddr("192.0.2.1"), Available: 3, Known: true,
		Holders: []libnetwork.AddressHolder{
			{Address: netip.MustParseAddr("192.0.2.1"), Kind: "gateway"},
			{Address: netip.MustParseAddr("192.0.2.2"), Kind: "endpoint", Name: "web", ID: ids["web"], Container: "web"},
			{Address: netip.MustParseAddr("192.0.2.3"), Kind: "endpoint", Name: "db", ID: ids["db"], Container: "db"},
		},
	}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestStatisticsCountOperations(t *testing.T) {
	_, c, _, _ := inspected(t)
	defer empty(t, c)
	if _, err := c.NewNetwork("bridge", "shared", ""); err == nil {
		t.Fatal("a name in use was taken")
	}
	got := c.(libnetwork.Inspector).Statistics()
	counts := make(map[string]uint64)
	for _, o := range got.Operations {
		counts[o.Name] = o.Duration.Count
		if o.Name == "create network" && o.Failures[cnm.Exists] != 1 {
			t.Errorf("failures of %q: %v, want one %q", o.Name, o.Failures, cnm.Exists)
		}
	}
	want := map[string]uint64{"create network": 2, "create endpoint": 2, "create sandbox": 2, "join endpoint": 2}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if got.Firewall != "nftables" {
		t.Errorf("firewall: %q", got.Firewall)
	}
}
