package conntrack

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
)

func TestPublicationsThatMakeNoSense(t *testing.T) {
	v4, v6 := netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("fd00::2")
	good := Publication{Protocol: 17, HostPort: 65535, Target: v4, TargetPort: 65535}
	if _, _, err := good.normal(); err != nil {
		t.Errorf("the last port: %v", err)
	}
	for says, change := range map[string]func(*Publication){
		"publication of port 0: protocol 0":                  func(p *Publication) { *p = Publication{} },
		"protocol 1: want 6":                                 func(p *Publication) { p.Protocol = 1 },
		`target "invalid IP"`:                                func(p *Publication) { p.Target = netip.Addr{} },
		`target "0.0.0.0"`:                                   func(p *Publication) { p.Target = netip.IPv4Unspecified() },
		`host address "fd00::2"`:                             func(p *Publication) { p.HostAddr = v6 },
		"ports 0 to 65535":                                   func(p *Publication) { p.HostPort, p.HostPortEnd = 0, 65535 },
		"ports 65535 to 65534":                               func(p *Publication) { p.HostPortEnd = 65534 },
		"ports 65535 to 65535 for the container's from 0 on": func(p *Publication) { p.TargetPort = 0 },
		"ports 1 to 2 for the container's from 65535 on":     func(p *Publication) { p.HostPort, p.HostPortEnd = 1, 2 },
	} {
		p := good
		change(&p)
		if _, _, err := p.normal(); !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: error %v, want it to be invalid and to say %q", p, err, says)
		}
	}
}

func TestAddressesAreAsInTheTable(t *testing.T) {
	mapped := netip.MustParseAddr("::ffff:172.18.0.2")
	p, family, err := Publication{Protocol: 17, HostAddr: netip.MustParseAddr("::ffff:0.0.0.0"), HostPort: 53, Target: mapped, TargetPort: 53}.normal()
	if want := netip.MustParseAddr("172.18.0.2"); err != nil || p.Target != want || family != want || p.HostAddr.IsValid() || p.HostPortEnd != 53 {
		t.Errorf("got %+v, %v, %v", p, family, err)
	}
	p, _, err = Publication{
		Protocol: 17, HostAddr: netip.MustParseAddr("fe80::1%eth0"), HostPort: 53, Target: netip.MustParseAddr("fd00::2"), TargetPort: 53,
	}.normal()
	if want := netip.MustParseAddr("fe80::1"); err != nil || p.HostAddr != want {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, a := range []netip.Addr{{}, netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if _, _, err := normalAddress(a); !errors.Is(err, cnm.Invalid) {
			t.Errorf("address %q: error %v, want invalid", a, err)
		}
	}
}
