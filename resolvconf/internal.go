package resolvconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// External is a name server that the embedded resolver asks.
type External struct {
	Addr netip.Addr
	// Host is true for a server that only the host's network namespace reaches, by
	// its loopback or by one of its interfaces.
	Host bool
}

// String returns the address, and where to ask it from unless that is the container.
func (e External) String() string {
	if e.Host {
		return e.Addr.String() + " (from the host)"
	}
	return e.Addr.String()
}

// Internal makes the embedded resolver, which listens on the given address in the
// container, the only name server, and returns the servers that it is to ask, the
// first first; there may be none. It does not ask itself, though the host's server on
// the same address is another one. If no option sets ndots, it is set to the value
// given, which is not negative then: names of containers have no dots, and the
// embedded resolver is to see them as they are.
func (f *File) Internal(listener netip.Addr, ndots int) []External {
	var externals []External
	for _, server := range f.Servers {
		external := External{Addr: server, Host: !f.given && (server.IsLoopback() || server.Zone() != "")}
		if server == listener && !external.Host {
			f.note("left out name server %s: it is the embedded resolver itself", server)
			continue
		}
		externals = append(externals, external)
	}
	f.Servers, f.given = []netip.Addr{listener}, true
	f.note("%s is the embedded resolver, which asks %s", listener, list(externals))
	if ndots >= 0 && !slices.ContainsFunc(f.Options, setsNdots) {
		f.Options = append(slices.Clip(f.Options), fmt.Sprintf("ndots:%d", ndots))
		f.note("added option ndots:%d", ndots)
	}
	return externals
}

func setsNdots(option string) bool { return strings.HasPrefix(option, "ndots:") }

func list(externals []External) string {
	if len(externals) == 0 {
		return "no name server outside"
	}
	var words []string
	for _, external := range externals {
		words = append(words, external.String())
	}
	return strings.Join(words, ", ")
}
