package netstate_test

import (
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/netstate"
)

// intents has one of each kind and shape.
func intents() []netstate.Intent {
	address, prefix := netip.MustParseAddr, netip.MustParsePrefix
	return []netstate.Intent{
		{Kind: netstate.Inbound, Link: "br-1", Policy: netstate.Published},
		{Kind: netstate.Inbound, Link: "br-1", Policy: netstate.Nothing, IPv6: true},
		{Kind: netstate.Confine, Link: "br-1"},
		{Kind: netstate.Confine, Link: "br-1", IPv6: true},
		{Kind: netstate.Allow, From: "br-1", Link: "br-1"},
		{Kind: netstate.Loopback, Link: "br-1"},
		{Kind: netstate.Hairpin, Prefix: prefix("172.18.0.0/16"), Link: "br-1"},
		{Kind: netstate.Masquerade, Prefix: prefix("172.18.0.0/16")},
		{Kind: netstate.Masquerade, Prefix: prefix("fd00::/64"), Source: address("2001:db8::1")},
		{
			Kind: netstate.Publish, Protocol: netstate.TCP, Host: address("0.0.0.0"), Port: 8080, PortEnd: 8080,
			Target: address("172.18.0.2"), TargetPort: 80,
		},
		{
			Kind: netstate.Publish, Protocol: netstate.UDP, Host: address("::"), Port: 20000, PortEnd: 29999,
			Target: address("fd00::2"), TargetPort: 20000,
		},
		{Kind: netstate.Open, Protocol: netstate.SCTP, Target: address("fd00::2"), Port: 80, PortEnd: 90},
	}
}

func TestIntentTextRoundTrip(t *testing.T) {
	seen := make(map[string]bool)
	for _, intent := range intents() {
		text := intent.String()
		if seen[text] {
			t.Errorf("%q stands for two intents", text)
		}
		seen[text] = true
		got, err := netstate.ParseIntent(text)
		if err != nil || got != intent {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, intent)
		}
	}
}

func TestParseIntentRefuses(t *testing.T) {
	for _, text := range []string{
		"", "flood br-1", "inbound ipv4 br-1", "inbound ipv5 br-1 nothing", "inbound ipv4 br-1 some", "confine ipv4 br-1 x",
		"allow a b c", "hairpin 10.0.0.0 on br-1", "masquerade 10.0.0.0/8 to 1.2.3.4", "masquerade 10.0.0.0/8 as x",
		"publish icmp 0.0.0.0:1 to 1.2.3.4:1", "publish tcp 0.0.0.0:9-8 to 1.2.3.4:1", "publish tcp 0.0.0.0:1  to 1.2.3.4:1",
		"open tcp 1.2.3.4", "open tcp 1.2.3.4:70000", "open tcp 1.2.3.4:1-99999",
	} {
		if got, err := netstate.ParseIntent(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

func FuzzParseIntent(f *testing.F) {
	for _, intent := range intents() {
		f.Add(intent.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		intent, err := netstate.ParseIntent(text)
		if err == nil && intent.String() != text {
			t.Errorf("%q parses to %+v, which is %q", text, intent, intent)
		}
	})
}
