package agent_test

import (
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/docker/libnetwork/cluster/agent"
	"github.com/docker/libnetwork/cnm"
)

var whole = agent.Endpoint{
	Name: "web.1", ServiceName: "web", ServiceID: "s1", VirtualIP: netip.MustParseAddr("10.0.0.2"), IP: netip.MustParseAddr("10.0.0.3"),
	Aliases: []string{"w"}, TaskAliases: []string{"t", "u"}, Disabled: true,
}

// The numbers of the fields are those of Docker's networking library: 1 name, 2 and 3 the
// service's, 4 and 5 addresses, 7 and 8 aliases, 9 disabled.
func TestRecordOnTheWire(t *testing.T) {
	const want = "0a05" + "7765622e31" + "1203" + "776562" + "1a02" + "7331" + "2208" + "31302e302e302e32" + "2a08" + "31302e302e302e33" +
		"3a01" + "77" + "4201" + "74" + "4201" + "75" + "4801"
	if got := hex.EncodeToString(whole.Marshal()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got, err := agent.Unmarshal(whole.Marshal())
	if diff := cmp.Diff(whole, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	// A port (6), a field of later years, and an address with a length.
	other, _ := hex.DecodeString("3202080128a04a" + "5a0178" + "2a0b" + hex.EncodeToString([]byte("10.0.0.3/24")))
	if got, err := agent.Unmarshal(other[:4]); err == nil && got.Name != "" {
		t.Errorf("half a record: %+v, %v", got, err)
	}
	ports, _ := hex.DecodeString("3204" + "08012001" + "5a0178" + "2a0b" + hex.EncodeToString([]byte("10.0.0.3/24")))
	if got, err := agent.Unmarshal(ports); err != nil || got.IP != whole.IP {
		t.Errorf("with fields that are not known: %+v, %v", got, err)
	}
}

func TestRecordRefused(t *testing.T) {
	many := agent.Endpoint{Aliases: strings.Split(strings.Repeat("a,", 300), ",")}
	for name, wire := range map[string][]byte{
		"cut short":    whole.Marshal()[:9],
		"line break":   agent.Endpoint{Name: "a\nb"}.Marshal(),
		"no text":      agent.Endpoint{Name: "a\xff"}.Marshal(),
		"long name":    agent.Endpoint{TaskAliases: []string{strings.Repeat("a", 256)}}.Marshal(),
		"many aliases": many.Marshal(),
		"no address":   {0x2a, 1, 'x'},
		"no tag":       {0x00},
	} {
		if got, err := agent.Unmarshal(wire); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(whole.Marshal())
	f.Add([]byte{0x32, 2, 8, 1})
	f.Fuzz(func(t *testing.T, wire []byte) {
		e, err := agent.Unmarshal(wire)
		if err != nil {
			return
		}
		again, err := agent.Unmarshal(e.Marshal())
		if diff := cmp.Diff(e, again, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%v, %s", err, diff)
		}
	})
}

func TestRing(t *testing.T) {
	secret := func(b byte) []byte { return []byte(strings.Repeat(string(rune('a'+b)), 16)) }
	key := func(b byte) agent.Key { return agent.Key{Time: uint64(b), Secret: secret(b)} }
	for _, test := range []struct {
		keys []agent.Key
		want [][]byte
	}{
		{nil, nil},
		{[]agent.Key{key(1)}, [][]byte{secret(1)}},
		{[]agent.Key{key(2), key(1)}, [][]byte{secret(2), secret(1)}},
		{[]agent.Key{key(3), key(1), key(2)}, [][]byte{secret(2), secret(1), secret(3)}},
	} {
		got, err := agent.Ring(test.keys)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%v, %s", err, diff)
		}
	}
	if _, err := agent.Ring([]agent.Key{{Secret: []byte("short")}}); !errors.Is(err, cnm.Invalid) {
		t.Errorf("a short key: %v", err)
	}
}

// freeAddress is one on the loopback that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // it has been used for nothing
	return listener.Addr().String()
}

// Two nodes on the loopback know each other's endpoints, with keys and while these change.
func TestTwoNodes(t *testing.T) {
	secret := [][]byte{[]byte("0123456789abcdef")}
	changed := make(chan string, 64)
	start := func(node string, keys [][]byte) *agent.Agent {
		t.Helper()
		a, err := agent.Start(agent.Options{Node: node, Listen: freeAddress(t), Keys: keys, Changed: func(network string) { changed <- network }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		return a
	}
	one, two := start("one", secret), start("two", secret)
	for _, node := range one.Status().Nodes {
		if err := two.Join(t.Context(), []string{node.Address}); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []*agent.Agent{one, two} {
		if err := a.Attach(t.Context(), "web"); err != nil {
			t.Fatal(err)
		}
	}
	knows := func(a *agent.Agent, want map[string]agent.Endpoint) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			diff := cmp.Diff(want, a.Endpoints("web"), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
			if diff == "" {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(diff)
			}
		}
	}
	tell := func(a *agent.Agent, endpoints map[string]agent.Endpoint) {
		t.Helper()
		if err := a.Tell("web", endpoints); err != nil {
			t.Error(err)
		}
	}
	tell(one, map[string]agent.Endpoint{"e1": whole, "e2": {Name: "other"}})
	knows(two, map[string]agent.Endpoint{"e1": whole, "e2": {Name: "other"}})
	knows(one, nil) // own ones are no news
	if network := <-changed; network != "web" {
		t.Errorf("changed: %q", network)
	}
	for _, a := range []*agent.Agent{one, two} {
		if err := a.Rotate([][]byte{[]byte("fedcba9876543210"), secret[0]}); err != nil {
			t.Error(err)
		}
	}
	if err := one.Rotate(nil); !errors.Is(err, cnm.Forbidden) {
		t.Errorf("no keys any more: %v", err)
	}
	tell(one, map[string]agent.Endpoint{"e2": {Name: "renamed"}})
	knows(two, map[string]agent.Endpoint{"e2": {Name: "renamed"}})
	if err := one.Detach("web"); err != nil {
		t.Error(err)
	}
	knows(two, nil)
	if _, err := agent.Start(agent.Options{Node: "three", Listen: "nowhere"}); !errors.Is(err, cnm.Invalid) {
		t.Errorf("an address that is none: %v", err)
	}
}
