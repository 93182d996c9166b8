package remote

import (
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/linkoption"
	"github.com/docker/libnetwork/plugin"
)

// refuse is for answers that make no sense: the plugin has a defect, or means harm.
func refuse(format string, values ...any) error {
	return plugin.Unsettled(cnm.E("", cnm.Internal, fmt.Errorf("the plugin's answer: "+format, values...)))
}

// validLink follows the kernel's rules for names, and leaves out what no plugin may name:
// the loopback, and patterns, which the kernel would fill in ("%d").
func validLink(name string) bool {
	return linkoption.ValidName(name) && name != loopback
}

const loopback = "lo"

// parsePrefix reads an address with a length, of one version of IP. A length of 0, which
// would make everything part of a subnet, is none.
func parsePrefix(what, text string, ipv4 bool) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, refuse("%s %.60q: want one in CIDR form, as 192.0.2.7/24", what, text)
	case p.Addr().Is4() != ipv4 || p.Addr().Is4In6():
		return netip.Prefix{}, refuse("%s %q: is of the other version of IP", what, text)
	case p.Bits() == 0:
		return netip.Prefix{}, refuse("%s %q: its length is 0", what, text)
	}
	return p, nil
}

// isHostAddress reports whether a single host can have the address, and others can send to
// it. 0.0.0.0/8 and 240.0.0.0/4 are for nobody (RFC 1122 section 3.2.1.3, RFC 1112).
func isHostAddress(a netip.Addr) bool {
	if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.Is4In6() || a.Zone() != "" {
		return false
	}
	return !a.Is4() || a.As4()[0] != 0 && a.As4()[0] < 240
}

// parseHop reads the address of a router.
func parseHop(what, text string, ipv4 bool) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, refuse("%s %.60q: want an IP address", what, text)
	}
	switch a = a.Unmap(); {
	case a.Is4() != ipv4:
		return netip.Addr{}, refuse("%s %q: is of the other version of IP", what, text)
	case !isHostAddress(a):
		return netip.Addr{}, refuse("%s %q: no router can have it", what, text)
	}
	return a, nil
}
