package kerneltest

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// foreignLinks makes links on the host that are nobody's, as a plugin would.
func (w *world) foreignLinks(names ...string) {
	w.Helper()
	if fake, ok := w.host.(*Fake); ok {
		for _, name := range names {
			fake.Plant("", netstate.Link{Name: name, Kind: netstate.Dummy, MTU: 1400})
		}
		return
	}
	foreignPairs(w.T, w.host, names...)
}

// adopting is an endpoint's part with a link that somebody else made.
func adopting(id, namespace, name, source string, addresses ...string) netstate.Part {
	p := netstate.Part{
		Owner: "endpoint/" + id, Namespace: namespace,
		Links: []netstate.Link{{Name: name, Kind: netstate.Adopted, Source: source}, {Name: "lo", Kind: netstate.Existing}},
	}
	for _, a := range addresses {
		p.Addrs = append(p.Addrs, netstate.Addr{Link: name, Prefix: netip.MustParsePrefix(a)})
	}
	return p
}

// linkNames are all there are in a namespace, by whose they are.
func (w *world) linkOwners(namespace string) map[string]string {
	owners := make(map[string]string)
	for _, p := range w.observe(namespace) {
		if p.Namespace != namespace {
			continue
		}
		for _, l := range p.Links {
			owners[l.Name] = p.Owner
		}
	}
	return owners
}

func testAdoptedLink(t *testing.T, w *world) {
	ns := w.namespace("one")
	w.foreignLinks("made0", "made1")
	wished := []netstate.Part{adopting("1", ns, "eth0", "made0", "192.0.2.7/24"), adopting("2", ns, "wan", "made1", "2001:db8::7/64")}
	wished[0].Routes = []netstate.Route{{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"), Link: "eth0"}}
	for range 2 {
		for _, c := range netstate.Diff(nil, wished) {
			w.apply(netstate.Changes{c})
			w.apply(netstate.Changes{c})
		}
		w.wantWished(wished, ns)
		if owners := w.linkOwners(""); len(owners) > 3 {
			w.Errorf("on the host while both are adopted: %v", owners)
		}
		w.lead(wished, nil)
		w.lead(wished, nil)
		owners := w.linkOwners("")
		for _, name := range []string{"made0", "made1"} {
			if owner, ok := owners[name]; !ok || owner != "" {
				w.Errorf("link %q is back: %v, of %q; want nobody's", name, ok, owner)
			}
		}
		if owners := w.linkOwners(ns); len(owners) != 1 {
			w.Errorf("left in the container: %v", owners)
		}
	}

	bridge := bridgePart("br0", "192.0.2.1/24")
	w.lead(nil, []netstate.Part{bridge})
	for source, want := range map[string]cnm.Kind{"lo": cnm.Forbidden, "br0": cnm.Forbidden, "none0": cnm.NotFound} {
		err := w.host.Apply(w.Context(), netstate.Diff(nil, []netstate.Part{adopting("3", ns, "eth0", source)}))
		if !errors.Is(err, want) {
			w.Errorf("adopting %q: %v; want kind %q", source, err, want)
		}
	}
	w.lead([]netstate.Part{bridge}, nil)
}
