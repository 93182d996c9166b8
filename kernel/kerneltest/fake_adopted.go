package kerneltest

import (
	"fmt"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// adopt takes a link from the host, with nothing on it.
func (f *Fake) adopt(want netstate.Link) (*fakeLink, error) {
	host := f.spaces[""]
	source, ok := host.links[want.Source]
	switch {
	case !ok:
		return nil, notFound("link %q: is not on the host", want.Source)
	case source.owner != "", want.Source == "lo", source.Master != "",
		slices.ContainsFunc(host.addrs, func(a ownedAddr) bool { return a.Link == want.Source }):
		return nil, cnm.E("", cnm.Forbidden, fmt.Errorf("link %q: the host has a use for it", want.Source))
	}
	delete(host.links, want.Source)
	adopted := *source
	adopted.was, adopted.Link = source.Kind, netstate.Link{
		Name: want.Name, Kind: netstate.Adopted, Source: want.Source, MAC: source.MAC, MTU: source.MTU, Down: true,
	}
	return &adopted, nil
}

// giveBack puts an adopted link back.
func (f *Fake) giveBack(s *fakeSpace, link *fakeLink) {
	s.delete(link.Name)
	f.spaces[""].links[link.Source] = &fakeLink{Link: netstate.Link{Name: link.Source, Kind: link.was, MAC: link.MAC, MTU: link.MTU, Down: true}}
}
