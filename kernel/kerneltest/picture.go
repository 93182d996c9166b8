package kerneltest

import (
	"fmt"
	"strings"

	"github.com/docker/libnetwork/netstate"
)

// Picture renders parts, one object a line.
func Picture(parts []netstate.Part) string {
	var b strings.Builder
	for _, p := range parts {
		for _, l := range p.Links {
			fmt.Fprintf(&b, "%q %q %s\n", p.Namespace, p.Owner, l)
		}
		for _, a := range p.Addrs {
			fmt.Fprintf(&b, "%q %q %s\n", p.Namespace, p.Owner, a)
		}
		for _, r := range p.Routes {
			fmt.Fprintf(&b, "%q %q %s\n", p.Namespace, p.Owner, r)
		}
		for _, l := range p.Limits {
			fmt.Fprintf(&b, "%q %q %s\n", p.Namespace, p.Owner, l)
		}
		for _, n := range p.Neighbors {
			fmt.Fprintf(&b, "%q %q %s\n", p.Namespace, p.Owner, n)
		}
	}
	return b.String()
}
