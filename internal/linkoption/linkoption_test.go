package linkoption_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/linkoption"
	"github.com/docker/libnetwork/netstate"
)

const prefix = "com.docker.network.endpoint."

func TestBandwidth(t *testing.T) {
	const in, out = prefix + "bandwidth.ingress", prefix + "bandwidth.egress"
	for _, test := range []struct {
		name    string
		options map[string]string
		mtu     int
		want    linkoption.Bandwidth // of ingress
		kind    cnm.Kind             // empty: it is taken
	}{
		{"none", nil, 0, linkoption.Bandwidth{}, ""},
		{"the other one", map[string]string{out: "1M"}, 0, linkoption.Bandwidth{}, ""},
		{"least", map[string]string{in: "8k"}, 0, linkoption.Bandwidth{Rate: 8_000, Burst: 16 << 10}, ""},
		{"less", map[string]string{in: "7999"}, 0, linkoption.Bandwidth{}, cnm.Invalid},
		{"most", map[string]string{in: "400G"}, 0, linkoption.Bandwidth{Rate: 400_000_000_000, Burst: 500_000_000}, ""},
		{"more", map[string]string{in: "401G"}, 0, linkoption.Bandwidth{}, cnm.Invalid},
		{"whole bytes", map[string]string{in: "10001"}, 0, linkoption.Bandwidth{Rate: 10_000, Burst: 16 << 10}, ""},
		{"10 ms", map[string]string{in: "1G"}, 0, linkoption.Bandwidth{Rate: 1_000_000_000, Burst: 1_250_000}, ""},
		{"large packets", map[string]string{in: "1M"}, 65535, linkoption.Bandwidth{Rate: 1_000_000, Burst: 65553}, ""},
		{"burst", map[string]string{in: "1M", in + ".burst": "80k"}, 0, linkoption.Bandwidth{Rate: 1_000_000, Burst: 10_000}, ""},
		{"least burst", map[string]string{in: "1M", in + ".burst": "12144"}, 0, linkoption.Bandwidth{Rate: 1_000_000, Burst: 1518}, ""},
		{"less burst", map[string]string{in: "1M", in + ".burst": "12143"}, 0, linkoption.Bandwidth{}, cnm.Invalid},
		{"less than a packet", map[string]string{in: "1M", in + ".burst": "12144"}, 9000, linkoption.Bandwidth{}, cnm.Invalid},
		{"longest burst", map[string]string{in: "8k", in + ".burst": "2160k"}, 0, linkoption.Bandwidth{Rate: 8_000, Burst: 270_000}, ""},
		{"longer burst", map[string]string{in: "8k", in + ".burst": "2161k"}, 0, linkoption.Bandwidth{}, cnm.Invalid},
		{"burst alone", map[string]string{in + ".burst": "80k"}, 0, linkoption.Bandwidth{}, cnm.Invalid},
		{"milli", map[string]string{in: "10m"}, 0, linkoption.Bandwidth{}, cnm.Invalid},
		{"empty", map[string]string{in: ""}, 0, linkoption.Bandwidth{}, cnm.Invalid},
		{"unknown", map[string]string{prefix + "bandwith.ingress": "1M"}, 0, linkoption.Bandwidth{}, cnm.Invalid},
	} {
		e, err := linkoption.Parse(&cnm.Endpoint{Options: test.options}, test.mtu)
		if test.kind != "" {
			if !errors.Is(err, test.kind) {
				t.Errorf("%s: error %v, want %s", test.name, err, test.kind)
			}
			continue
		}
		if err != nil || e.Ingress != test.want {
			t.Errorf("%s: got %+v, %v; want %+v", test.name, e.Ingress, err, test.want)
		}
	}
}

// What is somebody else's option is left alone, and ours are checked as ever.
func TestParseOurs(t *testing.T) {
	ep := &cnm.Endpoint{Options: map[string]string{prefix + "ifname": "net0", "color": "red", prefix + "unknown": "x"}}
	if e, err := linkoption.ParseOurs(ep, 0); err != nil || e.Ifname != "net0" {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, err := linkoption.Parse(ep, 0); !errors.Is(err, cnm.Invalid) {
		t.Errorf("strictly: error %v", err)
	}
	ep.Options[prefix+"ifname"] = "a b"
	if _, err := linkoption.ParseOurs(ep, 0); !errors.Is(err, cnm.Invalid) {
		t.Errorf("error %v", err)
	}
}

func TestParseBits(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "8": 8, "10k": 10_000, "10K": 10_000, "3M": 3_000_000, "2G": 2_000_000_000, "2g": 2_000_000_000, "999999999999k": 999_999_999_999_000,
	} {
		if got, err := linkoption.ParseBits(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "k", "-1", "1.5M", "1m", "1 M", "1Mbit", "0x10", "1000000000000000000000", "9999999999999k", "١"} {
		if got, err := linkoption.ParseBits(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

// Whatever is read stays within what can be counted, and what a number is written as is
// read as that number.
func FuzzParseBits(f *testing.F) {
	for _, seed := range []string{"", "0", "10k", "400G", "1m", "999999999999999", "18446744073709551615", "1e3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := linkoption.ParseBits(text)
		if err == nil && n > 1e15 {
			t.Errorf("%q is %d", text, n)
		}
		if _, again := linkoption.ParseBits(text); (again == nil) != (err == nil) {
			t.Errorf("%q: %v and then %v", text, err, again)
		}
	})
}

func TestMACs(t *testing.T) {
	ep := &cnm.Endpoint{}
	if err := linkoption.ChooseMAC(ep); err != nil || ep.MAC[0] != 2 || ep.MAC == (netstate.MAC{2}) {
		t.Errorf("MAC %s, %v", ep.MAC, err)
	}
	if err := linkoption.ChooseMAC(&cnm.Endpoint{MAC: netstate.MAC{3, 0, 0, 0, 0, 1}}); !errors.Is(err, cnm.Invalid) {
		t.Errorf("multicast: error %v", err)
	}
}

func TestAddresses(t *testing.T) {
	ep := &cnm.Endpoint{Interface: "eth0", IPv4: netip.MustParsePrefix("192.0.2.2/24"), LinkLocal: []netip.Prefix{netip.MustParsePrefix("169.254.0.7/16")}}
	if got := linkoption.Addresses(ep); len(got) != 2 || linkoption.UsesIPv6(ep) {
		t.Errorf("addresses %v", got)
	}
	ep.LinkLocal = append(ep.LinkLocal, netip.MustParsePrefix("fe80::7/64"))
	if !linkoption.UsesIPv6(ep) {
		t.Error("a link-local address of IPv6 does not count")
	}
}
