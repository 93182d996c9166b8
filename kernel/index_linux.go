package kernel

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// applyPackets takes changes to links, and to what is on them. The latter need their
// link's index.
func (a *application) applyPackets(run netstate.Changes) error {
	if err := a.lookUp(a.unknown(run)); err != nil {
		return changeError(run[0], err)
	}
	foreign, err := a.foreign(run)
	if err != nil {
		return changeError(run[0], err)
	}
	for _, c := range run {
		if link, ok := c.Object.(netstate.Link); ok {
			err = a.applyLink(c, link)
		} else {
			err = a.applyIndexed(c, foreign)
		}
		if err != nil {
			return changeError(c, err)
		}
	}
	return nil
}

func (a *application) key(name string) netstate.Peer {
	return netstate.Peer{Namespace: a.space.name, Name: name}
}

// unknown returns the links that must be looked at before the run: masters, those
// that may be found to be somebody else's, and those that carry something. What is
// made comes to be known as it is made.
func (a *application) unknown(run netstate.Changes) []string {
	var names []string
	made := make(map[string]bool)
	need := func(name string) {
		if _, known := a.known[a.key(name)]; name != "" && !known && !made[name] && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, c := range run {
		link, ok := c.Object.(netstate.Link)
		switch {
		case !ok:
			need(linkOf(c.Object))
			if limit, ok := c.Object.(netstate.Limit); ok {
				need(limit.Through)
			}
		case c.Verb == netstate.Create:
			made[link.Name] = true
			if link.Peer.Namespace == a.space.name {
				made[link.Peer.Name] = true
			}
		case c.Verb == netstate.Update:
			need(link.Master)
			if link.Adopt || !link.MAC.IsZero() {
				need(link.Name)
			}
		case c.Verb == netstate.Raise && link.Carries != (netstate.Load{}):
			need(link.Name)
		}
	}
	return names
}

// lookUp makes links known, if they exist.
func (a *application) lookUp(names []string) error {
	links, err := a.space.links(a.ctx, names)
	if err != nil {
		return err
	}
	for name, link := range links {
		a.known[a.key(name)] = link
	}
	return nil
}

// onLink is an address, of a link or of a neighbour, on a link.
type onLink struct {
	link   int
	prefix netip.Prefix
}

func neighborOn(link int, ip netip.Addr) onLink {
	return onLink{link, netip.PrefixFrom(ip, ip.BitLen())}
}

// strangers are things that somebody else put on a link: they are neither taken over
// nor removed.
type strangers struct{ addrs, neighbors map[onLink]bool }

// foreign returns the strangers that matter to a run: addresses on links that are
// not ours, and neighbours that are to be removed.
func (a *application) foreign(run netstate.Changes) (out strangers, err error) {
	var addrs, neighbors bool
	for _, c := range run {
		link, known := a.known[a.key(linkOf(c.Object))]
		_, ours := a.h.owner(link)
		switch c.Object.(type) {
		case netstate.Addr:
			addrs = addrs || known && !ours
		case netstate.Neighbor:
			neighbors = neighbors || known && c.Verb == netstate.Remove
		}
	}
	if addrs {
		if out.addrs, err = a.foreignAddrs(); err != nil {
			return out, err
		}
	}
	if neighbors {
		out.neighbors, err = a.foreignNeighbors()
	}
	return out, err
}

func (a *application) foreignAddrs() (map[onLink]bool, error) {
	ours := make(map[int]bool)
	for at, link := range a.known {
		if at.Namespace == a.space.name {
			_, ours[link.Index] = a.h.owner(link)
		}
	}
	rows, err := a.space.conn.Addrs(a.ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[onLink]bool)
	for _, row := range rows {
		if row.Protocol != rtnl.Protocol && !ours[row.Link] {
			out[onLink{row.Link, row.Prefix}] = true
		}
	}
	return out, nil
}

func (a *application) foreignNeighbors() (map[onLink]bool, error) {
	rows, err := a.space.conn.Neighbors(a.ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[onLink]bool)
	for _, row := range rows {
		if row.Protocol != rtnl.Protocol {
			out[neighborOn(row.Link, row.IP)] = true
		}
	}
	return out, nil
}

func linkOf(object netstate.Object) string {
	switch o := object.(type) {
	case netstate.Addr:
		return o.Link
	case netstate.Route:
		return o.Link
	case netstate.Neighbor:
		return o.Link
	case netstate.Limit:
		return o.Link
	}
	return ""
}

// applyIndexed adds or removes an address, route or neighbour.
func (a *application) applyIndexed(c netstate.Change, foreign strangers) error {
	name := linkOf(c.Object)
	link, ok := a.known[a.key(name)]
	switch {
	case !ok && c.Verb == netstate.Remove:
		return nil
	case !ok:
		return cnm.E("", cnm.NotFound, fmt.Errorf("link %q: does not exist", name))
	}
	if limit, ok := c.Object.(netstate.Limit); ok {
		return a.applyLimit(c, limit, link)
	}
	s := step{change: c}
	if c.Verb == netstate.Remove {
		s.tolerate = gone
	}
	add := c.Verb == netstate.Add
	switch o := c.Object.(type) {
	case netstate.Addr:
		if foreign.addrs[onLink{link.Index, o.Prefix}] {
			return nil
		}
		if s.request = rtnl.RemoveAddr(link.Index, o.Prefix); add {
			s.request = rtnl.AddAddr(link.Index, o.Prefix)
		}
	case netstate.Route:
		route := rtnl.Route{Link: link.Index, Destination: o.Destination, Gateway: o.Gateway, Metric: o.Metric}
		if s.request = rtnl.RemoveRoute(route); add {
			s.request = rtnl.AddRoute(route)
		}
	case netstate.Neighbor:
		if !add && foreign.neighbors[neighborOn(link.Index, o.IP)] {
			return nil
		}
		if s.request = rtnl.RemoveNeighbor(link.Index, o.IP); add {
			s.request = rtnl.AddNeighbor(link.Index, o.IP, o.MAC)
		}
	}
	a.add(s, false)
	return nil
}
